"""How carriers do at each destination: ASR, NER, ACD, PDD and the share of short calls, from their route attempts.

State is integer sums of each five minutes of event time (equal under any order and any cut). A score is computed from them when it is asked
for: older minutes count less (half after 30 minutes, nothing after six hours), and few attempts are drawn to the carrier's own mean, and that
to the mean of all carriers, as if 30 attempts of that mean had been observed besides. Below ten attempts a destination has no score of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from core.numbering import country_code
from core.scores import Score, Scores

BUCKET_MS = 300_000
BUCKETS = 72  # six hours
HALF_LIFE_MS = 1_800_000
PRIOR_ATTEMPTS = 30.0
LEAST_ATTEMPTS = 10.0
SHORT_MS = 6_000
MOST_IDS = 100_000
"""Attempts of a partition that are remembered, so that those which a restarted judge writes again are not counted twice."""

USER_CODES = (480, 486, 487, 600, 603)
USER_CAUSES = (17, 18, 19, 21)
"""The called person is busy, does not answer, or rejects: the network was effective (ITU-T E.425)."""

NEEDED = (
    "tenant", "call_key", "attempt_no", "revision", "learned_ms", "carrier", "b_number", "at_ms", "answered", "duration_ms", "pdd_ms", "sip_code",
    "q850",
)  # fmt: skip


class Sums(msgspec.Struct):
    """Of the attempts of five minutes."""

    attempts: int = 0
    answered: int = 0
    effective: int = 0
    talk_ms: int = 0
    short: int = 0
    pdd_ms: int = 0
    pdds: int = 0


class Stored(msgspec.Struct):
    """What a snapshot has. `sums`: tenant|carrier|calling code -> number of five minutes since 1970 -> sums."""

    sums: dict[str, dict[int, Sums]] = {}
    latest_ms: int = 0
    ids: dict[int, list[int]] = {}  # by partition, the oldest first


@dataclass
class Qualities:
    """The state: what is stored, and an index of the remembered attempts."""

    stored: Stored = field(default_factory=Stored)
    known: dict[int, tuple[set[int], deque[int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Stored) -> Qualities:
        """From what a snapshot had."""
        return cls(stored, {partition: (set(ids), deque(ids)) for partition, ids in stored.ids.items()})

    def frozen(self) -> Stored:
        """What a snapshot has; a copy may be made of it later."""
        self.stored.ids = {partition: list(order) for partition, (_, order) in self.known.items()}
        return self.stored


def add(state: Qualities, partition: int, attempts: pl.DataFrame) -> None:
    """Counts a frame of `core.schemas.ATTEMPTS` of one partition of the journal; `state` is updated in place.

    A correction of a call is not a second attempt: only first revisions count.
    """
    stored = state.stored
    ids, order = state.known.setdefault(partition, (set(), deque()))
    for row in attempts.select(NEEDED).iter_rows():
        tenant, key, number, revision, learned_ms, carrier, b_number, at_ms, answered, talk_ms, pdd_ms, code, q850 = row
        if revision != 1 or not carrier:
            continue
        attempt = int(key[:13], 16) * 64 + number % 64
        if attempt in ids:
            continue
        ids.add(attempt)
        order.append(attempt)
        if len(order) > MOST_IDS:
            ids.discard(order.popleft())
        t_ms = min(learned_ms if at_ms is None else at_ms, learned_ms)
        stored.latest_ms = max(stored.latest_ms, t_ms)
        by = stored.sums.setdefault(f"{tenant}|{carrier}|{country_code(b_number)}", {})
        one = by.setdefault(t_ms // BUCKET_MS, Sums())
        one.attempts += 1
        one.answered += answered
        one.effective += bool(answered or code in USER_CODES or q850 in USER_CAUSES)
        if answered:
            one.talk_ms += talk_ms or 0
            one.short += (talk_ms or 0) < SHORT_MS
        if pdd_ms is not None:
            one.pdd_ms += pdd_ms
            one.pdds += 1


def forget(state: Qualities) -> None:
    """Drops what is older than six hours; it counts nothing."""
    oldest = state.stored.latest_ms // BUCKET_MS - BUCKETS
    for key, by in list(state.stored.sums.items()):
        for bucket in [bucket for bucket in by if bucket <= oldest]:
            del by[bucket]
        if not by:
            del state.stored.sums[key]


@dataclass
class Faded:
    """Decayed sums."""

    attempts: float = 0.0
    answered: float = 0.0
    effective: float = 0.0
    talk_ms: float = 0.0
    short: float = 0.0
    pdd_ms: float = 0.0
    pdds: float = 0.0

    def add(self, other: Any, weight: float = 1.0) -> None:
        for name in FIELDS:
            setattr(self, name, getattr(self, name) + weight * getattr(other, name))


FIELDS = ("attempts", "answered", "effective", "talk_ms", "short", "pdd_ms", "pdds")


def scores(state: Qualities) -> Scores:
    """All scores as of the latest attempt."""
    forget(state)
    at = state.stored.latest_ms // BUCKET_MS
    faded: dict[str, dict[str, dict[str, Faded]]] = {}
    for key in sorted(state.stored.sums):
        tenant, carrier, code = key.split("|")
        one = Faded()
        for bucket in sorted(state.stored.sums[key]):
            one.add(state.stored.sums[key][bucket], 0.5 ** ((at - bucket) * BUCKET_MS / HALF_LIFE_MS))
        faded.setdefault(tenant, {}).setdefault(carrier, {})[code] = one
    return Scores(at_ms=state.stored.latest_ms, scores=tuple(row for tenant, carriers in faded.items() for row in _rows(tenant, carriers)))


def _rows(tenant: str, carriers: dict[str, dict[str, Faded]]) -> Iterator[Score]:
    totals = {carrier: _sum(codes.values()) for carrier, codes in carriers.items()}
    everyone = _shares(_sum(totals.values()), (0.5, 0.7, 180_000.0, 3_000.0, 0.0))
    for carrier, codes in carriers.items():
        mean = _shares(totals[carrier], everyone)
        yield _score(tenant, carrier, "", totals[carrier].attempts, mean)
        for code, one in codes.items():
            if one.attempts >= LEAST_ATTEMPTS:
                yield _score(tenant, carrier, code, one.attempts, _shares(one, mean))


Shares = tuple[float, float, float, float, float]
"""asr, ner, acd in ms, pdd in ms, share of short calls."""


def _sum(parts: Any) -> Faded:
    whole = Faded()
    for part in parts:
        whole.add(part)
    return whole


def _shares(one: Faded, towards: Shares) -> Shares:
    """The shares of decayed sums, drawn to others as if `PRIOR_ATTEMPTS` of those had been observed besides."""
    asr, ner, acd_ms, pdd_ms, short = towards
    attempts = one.attempts + PRIOR_ATTEMPTS
    answered = one.answered + PRIOR_ATTEMPTS * asr
    return (
        answered / attempts,
        (one.effective + PRIOR_ATTEMPTS * ner) / attempts,
        (one.talk_ms + PRIOR_ATTEMPTS * asr * acd_ms) / answered if answered else acd_ms,
        (one.pdd_ms + PRIOR_ATTEMPTS * pdd_ms) / (one.pdds + PRIOR_ATTEMPTS),
        (one.short + PRIOR_ATTEMPTS * asr * short) / answered if answered else short,
    )


def score_of(shares: Shares) -> float:
    """One number for how a carrier does: ASR counts 60 %, NER 30 %, PDD 10 % (nothing is left of it at ten seconds). An answer is worth what comes
    of it: ASR and NER count by ACD where that is below a minute, and less the share of short calls. Whoever answers falsely answers always,
    and for seconds.

    >>> round(score_of((0.6, 0.9, 180_000.0, 2_000.0, 0.1)), 2), round(score_of((1.0, 1.0, 7_500.0, 200.0, 0.3)), 2)
    (0.65, 0.18)
    """
    asr, ner, acd_ms, pdd_ms, short = shares
    worth = min(acd_ms / 60_000.0, 1.0) * (1.0 - short)
    return (0.6 * asr + 0.3 * ner) * worth + 0.1 * max(1.0 - pdd_ms / 10_000.0, 0.0)


def _score(tenant: str, carrier: str, code: str, attempts: float, shares: Shares) -> Score:
    asr, ner, acd_ms, pdd_ms, short = (round(share, 6) for share in shares)
    return Score(tenant, carrier, code, round(attempts, 3), asr, ner, round(acd_ms / 1000, 3), round(pdd_ms, 1), short, round(score_of(shares), 6))
