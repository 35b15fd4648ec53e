"""Back-test: the detectors over history, under the policy in force and under a changed one, side by side.

The stages before the detectors run once; only the detectors run per policy. Nothing is written and nothing is ordered. What blocks refused when
the history was made has left no calls in it, so the money of a policy that blocked the same attacks is a lower bound.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import polars as pl

from core.message import Message
from core.orders import EVERYONE, Finding, Key
from core.policy import Policy
from core.record import TICK_KEY, Tick, journal_key, line_of
from detectors.engine import detect
from detectors.protocol import Settings
from detectors.registry import spanning
from detectors.state import DetectorState
from flows.refused import RefusedCall, Tally
from flows.replay import found_across, without_full_collections
from flows.step import State, Used, settings_of, used
from rating.contracts import Terms
from rating.priced import priced
from switches.files.records import Row

BATCH = 8192
TICK_MS = 60_000
SECRET = b"back-test"  # keys the hashes of subjects, which end with the run
ORDER_MS = 3_600_000
"""How long after its alert a verdict still says what a call was: as long as an order lives by default."""

class Line(NamedTuple):
    """A record as judge reads it: when it was received, and up to when its switch had delivered everything (0 = not known)."""

    learned_ms: int
    key: bytes
    value: bytes
    switch: str
    complete_to_ms: int


class Verdict(NamedTuple):
    """What a person said of an alert of the history: whose calls, from when to when, and what they were."""

    tenant: str
    subject: str
    key: Key | None
    first_ms: int
    last_ms: int
    verdict: str  # fraud | not fraud | unsure


class Counted(msgspec.Struct):
    """One detector under one policy. Calls are those that its orders would have refused: `fraud` and `good` by verdicts; without a verdict
    `during_alert` while its alert went on, `after_alert` after the last call that the detector found suspicious."""

    alerts: int = 0
    right: int = 0  # of them, by verdicts
    wrong: int = 0
    calls: int = 0
    fraud: int = 0
    good: int = 0
    during_alert: int = msgspec.field(default=0, name="explained")  # stored, and printed as JSON, under this name
    after_alert: int = msgspec.field(default=0, name="after")
    saved_nanos: dict[str, int] = {}  # currency -> money of these calls, without the good ones


@dataclass(frozen=True)
class Result:
    """What each policy comes to, by detector. `before`: the policy in force."""

    from_ms: int
    to_ms: int
    records: int
    before: dict[str, Counted]
    after: dict[str, Counted]

    @property
    def days(self) -> float:
        return max(self.to_ms - self.from_ms, 1) / 86_400_000


def of_history(frames: Iterable[pl.DataFrame]) -> Iterator[Line]:
    """The records of `warehouse.history.records`. A shipper delivers in order, so a switch had delivered all that is older than its newest record."""
    newest: dict[str, int] = {}
    for frame in frames:
        for row in frame.iter_rows(named=True):
            switch = row["switch"]
            newest[switch] = max(newest.get(switch, 0), row["at_ms"] or 0)
            key = journal_key(row["tenant"], row["account"], row["ingress_trunk"])
            yield Line(row["learned_ms"], key, line_of(row), switch, newest[switch])


def of_file(rows: Sequence[Row]) -> Iterator[Line]:
    """The rows of a file of calls, by the end of the call; rows that are no records are left out."""
    for row in sorted((row for row in rows if row.record), key=lambda row: (row.record.at_ms if row.record else 0, row.line)):
        record = row.record
        assert record is not None
        yield Line(record.at_ms, journal_key(row.tenant, record.account, record.ingress_trunk), msgspec.json.encode(record), record.switch, 0)


@dataclass
class _Side:
    """One policy at work."""

    settings: Settings
    from_ms: int
    to_ms: int
    tally: Tally
    detectors: DetectorState = field(default_factory=lambda: DetectorState(SECRET))
    spanning: dict[str, Any] = field(default_factory=lambda: {one.name: one.state() for one in spanning()})
    detector_of: dict[str, str] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    refused: list[RefusedCall] = field(default_factory=list)

    def take(self, made: Used, ended: pl.DataFrame) -> None:
        found = detect(self.detectors, made.usage, made.ticks, self.settings)
        wide = found_across(self.spanning, found.sums, self.settings)
        for finding in (*found.findings, *wide.findings):
            self.findings[finding.finding_id] = finding
            self.detector_of[finding.finding_id] = finding.detector
        self.tally.order((*found.orders, *wide.orders), self.detector_of)
        self.refused += [one for one in self.tally.would_refuse(ended) if self.from_ms <= one.began_ms < self.to_ms]


@without_full_collections()
def run(
    lines: Iterable[Line], terms: Terms, changed: Mapping[str, Policy], from_ms: int, to_ms: int, verdicts: Sequence[Verdict] = (),
    progress: Callable[[int], None] = lambda done: None, *, unique_ids: bool = False,
) -> Result:  # fmt: skip
    """Judge lines, in their order, under the policies of `terms` and under `changed` (tenant -> policy; the others' stay). What came before
    `from_ms` only teaches the detectors what is normal. `progress(lines done)`."""
    settings = settings_of(terms)
    sides = [_Side(settings, from_ms, to_ms, Tally(terms.plan_of))]
    if changed:
        settings = replace(settings, policy_of=lambda tenant: changed.get(tenant) or terms.policy_of(tenant))
        sides.append(_Side(settings, from_ms, to_ms, Tally(terms.plan_of)))
    state, done, count = State(SECRET), 0, 0
    for messages, n, within in batches(lines, terms.version, from_ms):
        made = used(state, messages, terms, unique_ids=unique_ids)
        ended = priced(made.calls, made.charges)
        for side in sides:
            side.take(made, ended)
        done, count = done + n, count + within
        gc.collect(1)
        progress(done)
    counted = [_counted(side, verdicts) for side in sides]
    return Result(from_ms, to_ms, count, counted[0], counted[-1])


def batches(lines: Iterable[Line], version: int, from_ms: int) -> Iterator[tuple[list[Message], int, int]]:
    """Messages of one partition, with a tick each minute; how many are lines, and how many of these from `from_ms` on."""
    coming, place, next_tick_ms = iter(lines), 0, 0
    complete: dict[str, int] = {}
    while batch := list(islice(coming, BATCH)):
        messages: list[Message] = []
        for line in batch:
            if line.learned_ms >= next_tick_ms:
                tick = Tick(at_ms=line.learned_ms, config_version=version, complete_to_ms=complete.copy())
                messages.append(Message(0, 2 * place, line.learned_ms, TICK_KEY, msgspec.json.encode(tick)))
                next_tick_ms = line.learned_ms + TICK_MS
            if line.complete_to_ms:
                complete[line.switch] = line.complete_to_ms
            messages.append(Message(0, 2 * place + 1, line.learned_ms, line.key, line.value))
            place += 1
        yield messages, len(batch), sum(line.learned_ms >= from_ms for line in batch)


def _counted(side: _Side, verdicts: Sequence[Verdict]) -> dict[str, Counted]:
    found: dict[str, Counted] = {}
    for finding in side.findings.values():
        if not side.from_ms <= finding.detected_at_ms < side.to_ms:
            continue
        one = found.setdefault(finding.detector, Counted())
        said = {verdict.verdict for verdict in verdicts if _same_alert(verdict, finding)}
        one.alerts += 1
        one.right += "fraud" in said
        one.wrong += said == {"not fraud"}
    for call in side.refused:
        one = found.setdefault(call.detector, Counted())
        said = {verdict.verdict for verdict in verdicts if _covers(verdict, call)}
        one.calls += 1
        is_good = "not fraud" in said and "fraud" not in said
        if "fraud" in said:
            one.fraud += 1
        elif is_good:
            one.good += 1
        elif call.began_ms <= side.findings[call.finding_id].last_ms:
            one.during_alert += 1
        else:
            one.after_alert += 1
        if call.nanos and call.currency and not is_good:
            one.saved_nanos[call.currency] = one.saved_nanos.get(call.currency, 0) + call.nanos
    return dict(sorted(found.items()))


def _same_alert(verdict: Verdict, finding: Finding) -> bool:
    if verdict.tenant != finding.tenant or finding.last_ms < verdict.first_ms or finding.first_ms > verdict.last_ms + ORDER_MS:
        return False
    return verdict.subject == finding.subject or (verdict.key is not None and verdict.key == finding.key)


def _covers(verdict: Verdict, call: RefusedCall) -> bool:
    key = verdict.key
    if key is None or key.tenant != call.tenant or key.account not in (call.account, EVERYONE):
        return False
    in_time = verdict.first_ms <= call.began_ms <= verdict.last_ms + ORDER_MS
    return in_time and key.a_number in ("", call.a_number) and call.b_number.startswith(key.b_range)
