"""Runs all detectors over a batch: features -> each detector -> what is over a line -> findings and orders.

What is found in a row depends on that row and earlier ones of its partition alone, never on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from core.facts import UNPRICED
from core.orders import BlockOrder, Finding
from core.policy import Policy
from core.record import Tick
from detectors import alerts, blocked, columns, corrector, sums
from detectors.blocked import Blocked
from detectors.columns import Columns
from detectors.features import UNREADABLE_KINDS, features, forget_odd_calls, values_of
from detectors.known import KnownOf, nobody, with_known
from detectors.latest import MOST_ITEMS, Cursor, New
from detectors.profile import AT
from detectors.protocol import Case, Detector, Hit, Settings
from detectors.registry import detectors, parameters_of
from detectors.registry import features as shared
from detectors.scored import is_enough, repeated
from detectors.state import DetectorState

HOUR_MS = 3_600_000
SUBJECTS_OF_A_ROW = 2
"""That a row adds to one group, at most."""
NARROWER = ("wide", "a_number", "b_range")
"""Why nothing is blocked for a wide subject; where its account is blocked already, the alert of that says more."""
ALERT_MS = 2 * 86_400_000
"""How long an episode is remembered."""

PlacedTick = tuple[int, int, Tick]
"""Partition, offset and the tick."""


class Dropped(NamedTuple):
    """Subjects that a detector (or feature) had no room for, of a group of its state in a partition."""

    detector: str
    group: str
    partition: int
    subjects: int


@dataclass(frozen=True)
class Detected:
    """What a batch leads to."""

    findings: list[Finding]
    orders: list[BlockOrder]
    places: dict[str, int]  # finding_id -> the partition of its record
    sums: pl.DataFrame  # detectors.sums.SUMS: the epochs that ended
    dropped: list[Dropped]


def detect(state: DetectorState, usage: pl.DataFrame, ticks: Sequence[PlacedTick], settings: Settings) -> Detected:
    """Judge a frame of `core.schemas.USAGE` and the ticks beside it, both in the order of the log within each partition; `state` is updated
    in place. Raises `ValueError` where a policy names a parameter that is out of its range."""
    placed = {(partition, offset) for partition, offset, _ in ticks}
    found: list[tuple[int, Finding, BlockOrder | None]] = []
    dropped: list[Dropped] = []
    for rows in _by_hour(state, usage, ticks, dropped):
        if rows.is_empty():
            continue
        frame = features(rows, state.odd_calls, placed, state.secret)
        found += [one for part, policy in _by_policy(frame, settings) for one in _detect(state, part, policy, settings, placed)]
    if ticks and state.alerts:
        alerts.forget(state.alerts, min(state.clocks.values()) - ALERT_MS)
    if ticks and state.blocked:
        blocked.forget(state.blocked, min(state.clocks.values()))
    ended = sums.gather(state.gathered, usage, ticks, settings.limits)
    return Detected(
        findings=[finding for _, finding, _ in found],
        orders=[order for _, _, order in found if order is not None],
        places={finding.finding_id: partition for partition, finding, _ in found},
        sums=ended, dropped=dropped,
    )  # fmt: skip


def featured(state: DetectorState, usage: pl.DataFrame, ticks: Sequence[PlacedTick], policy: Policy) -> Iterator[pl.DataFrame]:
    """The frames that the detectors would read, with the columns of the shared features: for whoever trains a scorer. `state` is updated in place."""
    placed = {(partition, offset) for partition, offset, _ in ticks}
    for rows in _by_hour(state, usage, ticks, []):
        if not rows.is_empty():
            yield prepared(state.subjects, features(rows, state.odd_calls, placed, state.secret), policy, state.secret, state.began)


def _by_hour(state: DetectorState, usage: pl.DataFrame, ticks: Sequence[PlacedTick], dropped: list[Dropped]) -> Iterator[pl.DataFrame]:
    """The frame in pieces: where a tick begins an hour of its partition, what has faded is forgotten between the rows before it and those
    behind it; at each tick, of a partition with more subjects than there is room for, some are dropped. So it depends on the place in the log, not on
    the batch: where this batch cannot fill the room, nothing is cut, and nothing would have been dropped."""
    is_crowded = max(map(len, state.columns()), default=0) + SUBJECTS_OF_A_ROW * usage.height > columns.MOST_SUBJECTS
    for partition, offset, tick in ticks:
        before_ms = state.clocks.get(partition, 0)
        state.clocks[partition] = max(before_ms, tick.at_ms)
        state.began.setdefault(partition, tick.at_ms)
        is_hour = tick.at_ms // HOUR_MS > before_ms // HOUR_MS > 0
        if not is_hour and not is_crowded:
            continue
        before = (pl.col("partition") == partition) & (pl.col("offset") < offset)
        yield usage.filter(before)
        usage = usage.filter(~before)
        for name, groups in state.subjects.items():
            for group, held in groups.items():
                if is_hour:
                    held.forget(partition, tick.at_ms)
                if lost := held.bound(partition, columns.MOST_SUBJECTS):
                    dropped.append(Dropped(name, group, partition, lost))
        if is_hour:
            forget_odd_calls(state.odd_calls, tick.at_ms)
    yield usage


def _by_policy(frame: pl.DataFrame, settings: Settings) -> Iterable[tuple[pl.DataFrame, Policy]]:
    """The frame by equal policies: tenants share no subject. Usually it is one."""
    policies = {tenant: settings.policy_of(tenant) for tenant in dict.fromkeys(frame["tenant"].to_list())}
    different: list[Policy] = []
    for policy in policies.values():
        if policy not in different:
            different.append(policy)
    if len(different) == 1:
        return [(frame, different[0])]
    return [(frame.filter(pl.col("tenant").is_in([t for t in policies if policies[t] == policy])), policy) for policy in different]


def prepared(
    subjects: dict[str, dict[str, Columns]], frame: pl.DataFrame, policy: Policy, secret: bytes, began: Mapping[int, int],
    known_of: KnownOf = nobody,
) -> pl.DataFrame:  # fmt: skip
    """A frame of features with the money in the policy's units, what is known of its ranges, and what the shared features add; `subjects`, their
    state, is updated.
    `began`: since when each partition has been watched."""
    unit = np.ones(frame.height)
    if policy.units:
        unit = 1.0 / np.asarray([policy.units.get(currency, 1.0) for currency in frame["currency"].to_list()])
    money, watched_ms = frame["nanos"].to_numpy() * 1e-9 * unit, _watched_ms(frame, began)
    frame = frame.hstack([pl.Series("money", money), pl.Series("watched_ms", watched_ms), pl.Series("unit", unit)])
    frame = with_known(frame, known_of)
    for feature in shared():
        frame = feature.update(subjects[feature.name], frame, secret)
    return frame


def _watched_ms(frame: pl.DataFrame, began: Mapping[int, int]) -> np.ndarray[Any, Any]:
    partitions, t_ms = frame["partition"].to_numpy(), frame["t_ms"].to_numpy()
    watched = np.zeros(frame.height, np.int64)
    for partition, began_ms in began.items():
        mine = partitions == partition
        watched[mine] = np.maximum(t_ms[mine] - began_ms, 0)
    return watched


def _detect(
    state: DetectorState, frame: pl.DataFrame, policy: Policy, settings: Settings, ticks: set[tuple[int, int]]
) -> list[tuple[int, Finding, BlockOrder | None]]:
    """Partition, finding and order of each hit that is due to be written, in the order of the rows."""
    frame = prepared(state.subjects, frame, policy, state.secret, state.began, settings.known_of)
    hits: list[tuple[Hit, Detector, Any]] = []
    for detector in detectors():
        parameters = parameters_of(detector, policy)
        frame = detector.update(state.subjects[detector.name], frame, parameters, settings.limits)
        if detector.name not in policy.off:
            hits += [(hit, detector, parameters) for hit in detector.findings(frame, parameters, settings.limits)]
    hits += _repeats(state, frame, hits, policy, settings)
    hits.sort(key=lambda one: (one[0].row, one[0].detector, one[0].subject_kind))
    examples, dialled = Cursor(state.examples, _crowded(frame)), Cursor(state.dialled, _dialled(frame, ticks))
    times, found = frame["t_ms"].to_list(), []
    accounts = frame["k_account"].to_list() if hits else []
    for hit, detector, parameters in hits:
        t_ms, kind = times[hit.row], hit.subject_kind
        if blocked.is_remembered(state.blocked, accounts[hit.row], t_ms):
            if hit.no_block in NARROWER:
                continue
            hit = _again(hit, frame, state.blocked[accounts[hit.row]], t_ms)
        if hit.can_repeat and (hit.few or not is_enough(hit)):
            continue
        key = int(frame[f"k_{kind}"][hit.row])
        name = f"{hit.detector}/{kind}/{key:x}"
        if alerts.is_recent(state.alerts, name, t_ms, hit.score, policy, not alerts.no_block_of(hit, policy)):
            continue
        row = frame.row(hit.row, named=True)
        subject = alerts.subject_of(kind, row)
        alert = alerts.episode(state.alerts, name, t_ms, hit.score, policy, (row["tenant"], hit.detector, kind, subject), row["home"])
        currency = row["currency"] or settings.currency_of(row["tenant"], row["account"])
        case = Case(hit, row, alert.start, currency, dialled.until(hit.row, key) if kind == UNPRICED else [])
        shown = [*examples.until(hit.row, row["k_account_range"]), (row["call_id"], row["started_ms"])]
        shown = list(dict.fromkeys(shown))[-MOST_ITEMS:]
        protected = settings.protected_of(row["tenant"])
        weighed, facts = corrector.applied(policy, hit, detector.facts(case, parameters))
        finding, order = alerts.report(weighed, row, subject, facts, alert, shown, policy, protected, state.blocked)
        alert.blocks = not alerts.no_block_of(hit, policy)  # as `is_recent` asks: a block that was corrected away is not asked for at each row
        found.append((row["partition"], finding, order))
    examples.finish()
    dialled.finish()
    return found


def _again(hit: Hit, frame: pl.DataFrame, before: Blocked, t_ms: int) -> Hit:
    """A hit of an account that was blocked before, as likely as that makes it."""
    if not hit.can_repeat:
        return hit
    is_same = blocked.is_same(before, frame["zone" if hit.subject_kind == "account_zone" else "b_range"][hit.row])
    opened_ms = t_ms - frame["p_account_zone"].to_numpy()[hit.row, AT["country_age_ms"]]
    if is_same or opened_ms >= before.first_ms - alerts.OPENED_MS:
        hit = hit._replace(few=False)
    return repeated(hit, is_same, float(frame["p_account"].to_numpy()[hit.row, AT["normal_calls"]]), before.odds)


HAS_RANGE = ("b_range", "account_range", "account_zone")
"""Kinds of subjects whose block names a range, and makes its account one that was blocked."""


def _repeats(
    state: DetectorState, frame: pl.DataFrame, hits: list[tuple[Hit, Detector, Any]], policy: Policy, settings: Settings
) -> list[tuple[Hit, Detector, Any]]:
    """The rows that count only if their account was blocked before: of accounts that were, or that may be blocked by a hit of this frame."""
    keys = frame["k_account"].to_numpy()
    suspects = {*state.blocked, *(int(keys[hit.row]) for hit, _, _ in hits if hit.can_repeat or hit.subject_kind in HAS_RANGE)}
    if not suspects:
        return []
    rows = np.flatnonzero(np.isin(keys, np.fromiter(suspects, np.uint64, len(suspects))))
    part, found = frame[rows], []
    for detector in detectors():
        if detector.repeats and detector.name not in policy.off:
            parameters = parameters_of(detector, policy)
            found += [(hit._replace(row=int(rows[hit.row])), detector, parameters) for hit in detector.repeats(part, parameters, settings.limits)]
    return found


def _crowded(frame: pl.DataFrame) -> list[New[tuple[str, int]]]:
    """First rows of calls into a range that sees more than one call in a short time: honest traffic costs next to nothing."""
    if "range_calls" not in frame.columns:
        return []
    rows = np.flatnonzero((frame["calls"].to_numpy() > 0) & (frame["range_calls"].to_numpy() > 1.0)).tolist()
    by = values_of(frame, ("k_account_range", "home", "call_id", "started_ms"), rows)
    return [New(row, key, home, (call_id, started_ms)) for row, (key, home, call_id, started_ms) in zip(rows, by, strict=True)]


def _dialled(frame: pl.DataFrame, ticks: set[tuple[int, int]]) -> list[New[str]]:
    """What was dialled in records of calls to numbers that cannot be read or priced."""
    rows, found = np.flatnonzero(frame["odd"].to_numpy()).tolist(), []
    by = values_of(frame, ("partition", "offset", "b_raw", "b_kind", "k_unpriced", "home"), rows)
    for row, (partition, offset, raw, kind, key, home) in zip(rows, by, strict=True):
        if (partition, offset) not in ticks and (raw or kind in UNREADABLE_KINDS - {"invalid", "alpha"}):
            found.append(New(row, key, home, raw))
    return found
