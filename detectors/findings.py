"""The facts of a finding, from the row that crossed a line and what that row sees of its subject."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.facts import UNPRICED, Facts
from core.money import in_range
from core.policy import Policy
from detectors.burst import KEPT_MS
from detectors.caps import Breach
from detectors.destination import country_name, destination
from detectors.features import BLOCK_DIGITS

LEAST_PAST_MS = 3_600_000
"""A subject that was watched for less time than that before an episode has no usual yet."""


Past = tuple[float, float, int]
"""What came before an episode: money per millisecond of the subject and of its whole account, -1 where it is not known, and for how long
there was no call of the subject at all."""


def past_of(row: dict[str, Any], kind: str, policy: Policy) -> Past:
    """What a row sees of the time before the windows of its subject."""
    is_first = row[f"{kind}_since_ms"] >= row[f"{kind}_began_ms"]
    # A subject that is silent for long may have been forgotten, and nobody knows what was before the account was watched.
    watched_ms = row[f"{kind}_began_ms"] - row["account_since_ms"]
    quiet_ms = max(0, min(watched_ms, KEPT_MS)) if is_first else 0
    return usual_per_ms(row, kind, policy), usual_per_ms(row, "account", policy) if kind != "account" else -1.0, quiet_ms


def usual_per_ms(row: Mapping[str, Any], kind: str, policy: Policy) -> float:
    """The average money per millisecond of a subject before the windows that its row sees; -1 where its past is too short to tell.

    The long sum holds what the windows hold too, hardly faded; a sum that has run for `age` covers so much time as it has not faded:

    >>> row = {"a_usual_money": 105.0, "a_now_nanos": 45 * 10**9, "a_since_ms": 0, "a_began_ms": 3_600_000, "t_ms": 3_600_000}
    >>> round(usual_per_ms(row, "a", Policy()) * 60_000, 2)
    1.0
    """
    past_ms = row[f"{kind}_began_ms"] - row[f"{kind}_since_ms"]
    if past_ms < LEAST_PAST_MS:
        return -1.0
    half_ms = policy.baseline_half_life_s * 1000
    covered_ms = half_ms / math.log(2) * (1 - 2.0 ** (-past_ms / half_ms))
    before = row[f"{kind}_usual_money"] - row[f"{kind}_now_nanos"] * 1e-9
    return max(0.0, float(before)) / float(covered_ms)


def of_burst(row: dict[str, Any], kind: str, calls: int, nanos: int, talk_ms: int, window_ms: int, past: Past,
             currency: str, dialled: list[str]) -> Facts:  # fmt: skip
    """Of an account, an a_number, a b_range or the numbers that cannot be read or priced. `past`: of the episode's beginning."""
    usual, account_usual, quiet_ms = past

    def usually(per_ms: float) -> int | None:
        return None if per_ms < 0 else in_range(round(per_ms * window_ms * 1e9))

    weighted, lead = row[f"{kind}_weighted"], row[f"{kind}_lead"]
    share = 0 if weighted <= 0 else 100 if kind == "b_range" else max(0, min(100, round(50 * (1 + lead / weighted))))
    top = str(row[f"{kind}_top"])[1:]
    to = destination(top) if top else destination("", row["b_kind"])
    return Facts(
        subject_kind=kind, account=row["account"], trunk=_trunk(row), a_number=row["a_number"],
        calls=calls, talk_ms=talk_ms, window_ms=window_ms, nanos=in_range(nanos), currency=currency,
        usual_nanos=usually(usual), account_usual_nanos=usually(account_usual), quiet_ms=quiet_ms, b_range=top[:-BLOCK_DIGITS],
        share_percent=share, code=to.code, country=to.country, country_name=to.name, number_kind=to.kind,
        dialled=dialled if kind == UNPRICED else [],
    )  # fmt: skip


def of_breach(row: dict[str, Any], breach: Breach, currency: str, dialled: list[str]) -> Facts:
    """Of a cap of an account, of a destination under it, or of its numbers that cannot be read or priced."""
    is_first = breach.cap == "first_seen"
    number = str(row["b_code"])[1:] if is_first else ""
    to = destination(number, row["b_kind"]) if is_first else None
    country = row["country"] if breach.watched == "destination" and row["country"] != "001" else ""
    return Facts(
        subject_kind=breach.watched, account=row["account"], trunk=_trunk(row), a_number=row["a_number"],
        cap=breach.cap, value=in_range(breach.value), limit=breach.line, currency=currency,
        b_range=number[:-BLOCK_DIGITS], code=to.code if to else "", country=country,
        country_name=country_name(country) if country else to.kind if to else "", number_kind=to.kind if to and country else "",
        dialled=dialled if breach.watched == UNPRICED else [],
    )  # fmt: skip


def _trunk(row: dict[str, Any]) -> str:
    """Of callers without an account alone: who has one is named by it."""
    return "" if row["account"] else str(row["ingress_trunk"])
