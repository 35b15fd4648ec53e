"""One suite over every detector of the folder, found by reflection: it covers a new detector without a change here."""

from __future__ import annotations

import random
from copy import deepcopy
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from core.alert_text import finding_text
from core.config import Caps, UnpricedCaps
from core.facts import Facts
from core.partition import partition_for
from core.policy import Policy
from core.record import Tick, journal_key
from core.safety import Protected
from core.schemas import USAGE, empty
from detectors import engine, model
from detectors.engine import detect, prepared
from detectors.features import FEATURES, features
from detectors.protocol import Case, Detector, Limits, Settings
from detectors.registry import detectors, faults, parameters_of, spanning, summed
from detectors.registry import features as shared
from detectors.state import BY_HOME, DetectorState, merge, subset
from detectors.trees import Forest
from flows import snapshot
from flows.step import State

PARTITIONS = 3
START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
OWNERS = [("t1", "acme"), ("t1", "blue"), ("t2", "acme"), ("t2", "")]
NUMBERS = [
    ("e164", "8821312{:04d}"), ("e164", "37120123{:03d}"), ("e164", "4312345{:04d}"), ("e164", "9989012{:04d}"), ("invalid", ""), ("withheld", ""),
    ("emergency", "112"),
]  # fmt: skip
LEAST: dict[str, dict[str, Any]] = {
    one.name: {field.name: 0.0 for field in msgspec.structs.fields(one.parameters) if field.name.startswith("least_")} for one in detectors()
}  # fmt: skip
SCORER = model.encode(
    model.Model(
        format=model.FORMAT, name="one split", trained_on="nothing", data_sha256="", at_ms=0, features=["account_zone.calls", "account.calls"],
        forest=Forest(bias=0.0, roots=[0], feature=[0, -1, -1], threshold=[3.0, 0, 0], left=[1, 0, 0], right=[2, 0, 0], value=[0.5, 0.0, 1.0]),
        slope=1.0, shift=0.0, metrics={},
    )
)  # fmt: skip
"""Of the detector `learned`, which is silent without one."""
LEAST["learned"]["model"] = model.sha256_of(SCORER)
EAGER = Policy(
    detectors=LEAST | {"burst": {"account_floor": 1.0, "a_number_floor": 1.0, "b_range_floor": 1.0, "unpriced_floor": 1.0}},
    block_probability=0.0, block_loss=0.0,
)  # fmt: skip
"""Every limit is exceeded all the time."""
CAPS = Caps(money_hour_nanos=10**9, money_day_nanos=2 * 10**9, concurrent_calls=2, calls_per_second=1)


def settings(policies: dict[str, Policy] | None = None) -> Settings:
    """Limits that are exceeded all the time, for every account."""
    caps = {kind: dict.fromkeys(OWNERS, CAPS) for kind in ("account", "destination")}
    unpriced = dict.fromkeys(OWNERS, UnpricedCaps(calls_hour=2, minutes_hour=3, concurrent_calls=1))
    return Settings(
        policy_of=lambda tenant: (policies or {}).get(tenant, EAGER),
        protected_of=lambda tenant: Protected(),
        currency_of=lambda tenant, account: "EUR",
        limits=Limits(caps, unpriced, frozenset(OWNERS), {model.sha256_of(SCORER): SCORER}),
    )


class Log:
    """Rows of USAGE and ticks in the order in which they were learned of, with their partitions and offsets."""

    def __init__(self, partitions: int = PARTITIONS) -> None:
        self.partitions, self.offsets, self.entries = partitions, [0] * partitions, []
        self.at_ms, self.calls = START_MS, 0

    def tick(self, after_ms: int = 0) -> None:
        self.at_ms += after_ms
        for partition in range(self.partitions):
            self._add(partition, Tick(at_ms=self.at_ms, config_version=1))

    def row(self, call: dict, **changes) -> None:
        of = (call["tenant"], call["account"], call["ingress_trunk"])
        zero = {name: 0 if dtype.is_integer() else False if dtype == pl.Boolean else "" for name, dtype in USAGE.items()}
        self._add(partition_for(journal_key(*of), self.partitions), {**zero, "t_ms": self.at_ms, "learned_ms": self.at_ms, **call, **changes})

    def call(self, number: tuple[str, str], owner: tuple[str, str], a_number: str) -> dict:
        self.calls += 1
        kind, digits = number
        b_number = digits.format(self.calls % 10_000) if kind == "e164" else digits
        return {
            "tenant": owner[0], "account": owner[1], "ingress_trunk": "in", "call_key": f"{self.calls:032x}", "call_id": f"c{self.calls}",
            "started_ms": self.at_ms, "a_number": a_number, "a_kind": "e164" if a_number else "withheld", "b_number": b_number, "b_kind": kind,
            "currency": "" if kind in ("invalid", "withheld") else "EUR", "no_rate": kind == "e164" and b_number.startswith("998"),
        }  # fmt: skip

    def _add(self, partition: int, what: Tick | dict) -> None:
        self.entries.append((partition, self.offsets[partition], what))
        self.offsets[partition] += 1

    def over(self, partitions: int) -> Log:
        """The same log as if there were so many partitions; ticks go to each."""
        other = Log(partitions)
        for partition, _, what in self.entries:
            if isinstance(what, dict):
                other._add(partition_for(journal_key(what["tenant"], what["account"], what["ingress_trunk"]), partitions), what)
            elif partition == 0:
                for each in range(partitions):
                    other._add(each, what)
        return other

    def batch(self, start: int = 0, end: int | None = None, mine=None):
        """A piece of the log as `detect` takes it."""
        found = [one for one in self.entries[start:end] if mine is None or one[0] in mine]
        rows = [{**what, "partition": p, "offset": o} for p, o, what in found if isinstance(what, dict)]
        return pl.DataFrame(rows, schema=USAGE), [(p, o, what) for p, o, what in found if isinstance(what, Tick)]


def traffic(seed: int, rows: int = 240) -> Log:
    """Calls with and without answers, active and ended, to all kinds of numbers; ticks in between, some of them hours later."""
    rng, log, running = random.Random(seed), Log(), []
    log.tick()
    for _ in range(rows):
        log.at_ms += rng.choice([0, 200, 1_000, 5_000])
        if running and rng.random() < 0.6:
            call, answered = running.pop(rng.randrange(len(running)))
            if not answered and rng.random() < 0.2:  # given up
                log.row(call, final=True, b_raw=call["b_number"] or "1#2")
                continue
            final = rng.random() < 0.6
            log.row(
                call, answered=True, final=final, nanos=rng.randrange(10**9), talk_ms=rng.randrange(300_000), b_raw=call["b_number"] or "1#2",
                active=(not final) * (not answered) - final * answered, no_rate=call["no_rate"] or rng.random() < 0.2,
            )  # fmt: skip
            if not final:
                running.append((call, True))
        else:
            call = log.call(rng.choice(NUMBERS), rng.choice(OWNERS), rng.choice(["4366000", "4366001", ""]))
            log.row(call, calls=1, b_raw=call["b_number"] or "1#2")
            running.append((call, False))
        if rng.random() < 0.1:
            log.tick(rng.choice([0, 0, 5_000, 1_800_000, 9 * 3_600_000]))
    return log


EACH = pytest.mark.parametrize("detector", detectors(), ids=lambda detector: detector.name)


@pytest.fixture
def alone(detector: Detector, monkeypatch):
    """The engine with this detector and no other."""
    monkeypatch.setattr(engine, "detectors", lambda: (detector,))


def judged(state: DetectorState, *batches, rules: Settings | None = None, dropped: list[Any] | None = None):
    findings, orders = [], []
    for usage, ticks in batches:
        found = detect(state, usage, ticks, rules or settings())
        if dropped is not None:
            dropped += found.dropped
        findings += found.findings
        orders += found.orders
    return sorted(map(msgspec.json.encode, findings)), sorted(map(msgspec.json.encode, orders))


def state_of(state: DetectorState, but: tuple[str, ...] = ()):
    """The state of each subject, whatever its slot is."""
    columns = [
        {key: [columns[name][columns.find(key)] for name in columns.dtypes if name not in but] for key in columns.known()}
        for columns in state.columns()
    ]
    return columns, *(getattr(state, name) for name in BY_HOME)


def frame_of(log: Log, start: int = 0, end: int | None = None) -> pl.DataFrame:
    usage, ticks = log.batch(start, end)
    return prepared(DetectorState(b"s").subjects, features(usage, {}, {(p, o) for p, o, _ in ticks}, b"s"), EAGER, b"s", {0: START_MS})


COLUMNS = {*FEATURES, *(name for feature in shared() for name in feature.adds), "answers", "shorts", "rings", "misses", "per_min"}


# --- the stream ---


@EACH
@pytest.mark.parametrize("seed", [1, 3, 4])
@pytest.mark.usefixtures("alone")
def test_batch_boundaries_change_neither_findings_nor_state(detector, seed):
    log, whole, cut = traffic(seed), DetectorState(b"s"), DetectorState(b"s")
    expected = judged(whole, log.batch())
    assert expected[0], "this traffic exceeds a limit of each detector"
    cuts = sorted(random.Random(seed).sample(range(1, len(log.entries)), 30))
    assert judged(cut, *(log.batch(a, b) for a, b in zip([0, *cuts], [*cuts, None], strict=True))) == expected
    assert state_of(cut) == state_of(whole)


@EACH
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.usefixtures("alone")
def test_restarts_change_no_finding(detector, seed):
    log = traffic(seed)
    expected = judged(DetectorState(b"s"), log.batch())
    state, found = State(b"s"), ([], [])
    cuts = sorted(random.Random(seed).sample(range(1, len(log.entries)), 12))
    for start, end in zip([0, *cuts], [*cuts, None], strict=True):
        state = snapshot.unpack(snapshot.pack(snapshot.freeze(state)))
        for some, more in zip(found, judged(state.detectors, log.batch(start, end)), strict=True):
            some += more
    assert (sorted(found[0]), sorted(found[1])) == expected


@EACH
@pytest.mark.parametrize(("partitions", "shares"), [(3, [[0], [1, 2]]), (7, [[0, 2, 4, 6], [1, 3, 5]])])
@pytest.mark.usefixtures("alone")
def test_subjects_move_with_their_accounts(detector, partitions, shares):
    log = traffic(4)
    half, moved = len(log.entries) // 2, log.over(partitions)
    stays = DetectorState(b"s")
    judged(stays, log.batch(0, half))
    states = [subset(merge([deepcopy(stays)], b"?"), partitions, mine) for mine in shares]
    for state, mine in zip(states, shares, strict=True):  # the next tick begins an hour, or does not, as it would have
        assert state.clocks == {p: stays.clocks.get(p, max(stays.clocks.values())) for p in mine}
    at = sum(1 for p, _, what in log.entries[:half] if isinstance(what, dict)) + partitions * sum(
        1 for p, _, what in log.entries[:half] if isinstance(what, Tick) and p == 0
    )
    expected = judged(stays, log.batch(half))
    found = [judged(state, moved.batch(at, None, mine)) for state, mine in zip(states, shares, strict=True)]
    assert tuple(sorted(a + b) for a, b in zip(*found, strict=True)) == expected
    assert expected[0]
    assert state_of(merge(states, b"?"), but=("partition",)) == state_of(stays, but=("partition",))


@EACH
def test_columns_and_hits_depend_on_a_row_and_earlier_rows_only(detector):
    log, parameters, limits = traffic(5), parameters_of(detector, EAGER), settings().limits
    whole = frame_of(log)
    seen = detector.update(detector.new_state(), whole, parameters, limits)
    assert seen.select(whole.columns).equals(whole), "the other columns are unchanged"
    for rows in (1, 17, 80, whole.height - 1):
        early = detector.update(detector.new_state(), whole.head(rows), parameters, limits)
        assert early.equals(seen.head(rows).select(early.columns))
        hits = [hit for hit in detector.findings(seen, parameters, limits) if hit.row < rows]
        assert sorted(detector.findings(early, parameters, limits)) == sorted(hits)


@EACH
def test_it_reads_only_the_columns_that_it_declares(detector):
    frame, parameters, limits = frame_of(traffic(6, 480)), parameters_of(detector, EAGER), settings().limits
    assert set(detector.needs) <= COLUMNS
    found = detector.update(detector.new_state(), frame.select(detector.needs), parameters, limits)
    hits = detector.findings(found, parameters, limits)
    assert hits
    for hit in hits[:20]:
        detector.facts(Case(hit, found.row(hit.row, named=True), {}, "EUR", []), parameters)


@EACH
def test_a_frame_without_rows_changes_nothing(detector):
    frame, state = frame_of(traffic(5)).head(0), detector.new_state()
    found = detector.update(state, frame, parameters_of(detector, EAGER), settings().limits)
    assert found.height == 0 and not any(len(columns) for columns in state.values())
    assert detector.findings(found, parameters_of(detector, EAGER), settings().limits) == []


HELD = [one for one in detectors() if one.state] + [one for one in detectors() if not one.state][:1]
"""Those that remember something themselves, and one that only has what all share."""


@pytest.mark.parametrize("detector", HELD, ids=lambda detector: detector.name)
@pytest.mark.usefixtures("alone")
def test_callers_cannot_fill_the_memory(detector):
    """Two thousand callers to two thousand ranges of one country; weeks later what is left is of accounts and countries."""
    log, state = Log(1), DetectorState(b"s")
    log.tick()
    for no in range(2_000):
        log.row(log.call(("e164" if no % 5 else "invalid", f"43{no:05d}{{:04d}}" if no % 5 else ""), ("t1", "acme"), f"43660{no:06d}"), calls=1,
                answered=True, final=True, nanos=10**6, talk_ms=60_000)  # fmt: skip
    log.tick(60 * 86_400_000)
    judged(state, log.batch())
    assert sum(len(columns) for columns in state.columns()) <= 2
    assert not state.odd_calls and not state.alerts


def test_more_new_subjects_in_a_batch_than_the_state_has_room_for():
    """Every kind of subject at once: accounts, callers, ranges and countries. The arrays grow while the batch is judged."""
    log = Log(1)
    log.tick()
    for no in range(2_500):
        called = ("e164", f"{(43, 49, 39, 33, 44)[no % 5]}{no:06d}{{:04d}}") if no % 7 else ("invalid", "")
        log.row(log.call(called, ("t1", f"account-{no}"), f"43660{no:06d}"), calls=1, answered=True, final=True, nanos=10**6, talk_ms=60_000)
    whole, cut, rules = DetectorState(b"s"), DetectorState(b"s"), settings({"t1": Policy()})
    expected = judged(whole, log.batch(), rules=rules)
    assert judged(cut, *(log.batch(at, at + 100) for at in range(0, len(log.entries), 100)), rules=rules) == expected
    assert state_of(cut) == state_of(whole)
    assert max(len(columns) for columns in whole.columns()) >= 2_000


@pytest.mark.parametrize("seed", [1, 2])
def test_an_account_that_floods_the_keys_loses_its_own_subjects_whatever_the_cut(monkeypatch, seed):
    """Three honest accounts of five callers each, and one that calls from ever new numbers to ever new ranges."""
    monkeypatch.setattr("detectors.columns.MOST_SUBJECTS", 200)
    log = Log(1)
    for no in range(1_000):
        if no % 25 == 0:
            log.tick(5_000)
        honest = no % 10 == 0
        account, caller = ("t1", f"honest-{no // 10 % 3}" if honest else "flood"), f"43660{no // 10 % 5 if honest else 1_000 + no:06d}"
        called = ("e164", "4312345{:04d}" if honest else f"43{no:05d}{{:04d}}")
        log.row(log.call(called, account, caller), calls=1, answered=True, final=True, nanos=10**6, talk_ms=60_000)
    log.tick()
    rng, rules = random.Random(seed), settings({"t1": Policy()})
    whole, cut = DetectorState(b"s"), DetectorState(b"s")
    cuts = sorted({0, len(log.entries), *(rng.randrange(len(log.entries)) for _ in range(9))})
    dropped, again = [], []
    expected = judged(whole, log.batch(), rules=rules, dropped=dropped)
    assert judged(cut, *(log.batch(at, to) for at, to in pairwise(cuts)), rules=rules, dropped=again) == expected
    assert state_of(cut) == state_of(whole) and again == dropped, "batch boundaries do not matter"
    assert dropped and {one.partition for one in dropped} == {0}, "it says what it dropped"
    assert max(len(columns) for columns in whole.columns()) <= 200
    callers = whole.subjects["profile"]["a_number"]
    homes, counts = np.unique(callers["home"][: len(callers)], return_counts=True)
    assert sorted(counts.tolist())[:-1] == [5, 5, 5] and len(homes) == 4, "honest accounts keep theirs"


def test_tenants_with_different_policies_are_judged_independently():
    log, strict = traffic(7), Policy(order_score=3.0, reissue_ms=1, detectors={"burst": {"half_life_s": 60.0, "b_range_floor": 0.5}})
    rules = settings({"t2": strict})
    usage, ticks = log.batch()
    whole = judged(DetectorState(b"s"), (usage, ticks), rules=rules)
    apart = [judged(DetectorState(b"s"), (usage.filter(tenant=tenant), ticks), rules=rules) for tenant in ("t1", "t2")]
    assert whole == tuple(sorted(a + b) for a, b in zip(*apart, strict=True))
    assert apart[1] != judged(DetectorState(b"s"), (usage.filter(tenant="t2"), ticks)), "the other policy counts"


# --- what is written ---


@EACH
@pytest.mark.usefixtures("alone")
def test_its_facts_survive_json_and_make_the_reason(detector):
    findings = detect(DetectorState(b"s"), *traffic(8).batch(), settings()).findings
    assert findings
    for finding in findings:
        assert msgspec.json.decode(msgspec.json.encode(finding.facts), type=Facts) == finding.facts
        assert finding.facts.subject_kind == finding.subject_kind
        assert finding_text(finding.facts) == finding.reason and finding.reason.endswith((".", ")"))


def golden_of(name: str) -> object:
    """`STORED` in the detector's own test."""
    path = Path(__file__).parent / f"test_{name}.py"
    assert path.exists(), f"a detector has a test of its own: {path.name}"
    spec = spec_from_file_location(f"stored_names_of_{name}", path)
    test = module_from_spec(spec)
    spec.loader.exec_module(test)
    assert hasattr(test, "STORED"), f"{path.name} holds the names that are stored: STORED = {{group: {{column: dtype}}}}"
    return test.STORED


@EACH
def test_its_stored_names_are_unchanged(detector):
    """Names in a snapshot are a format; a state without a group or a column begins there with nothing."""
    stored = {group: {name: np.dtype(dtype).name for name, dtype in columns.items()} for group, columns in detector.state.items()}
    assert golden_of(detector.name) == stored


@EACH
def test_its_parameters_have_defaults_and_ranges(detector):
    defaults = msgspec.to_builtins(detector.parameters())
    assert detector.parameters() == parameters_of(detector, Policy())
    for field in msgspec.structs.fields(detector.parameters):
        wrong = Policy(detectors={detector.name: {**defaults, field.name: float("nan")}})
        assert faults(wrong)[0].startswith(f"policy.detectors.{detector.name}.{field.name}: ")
        with pytest.raises(ValueError, match=field.name):
            parameters_of(detector, Policy(detectors={detector.name: {field.name: -1.0}}))


def test_a_detector_that_a_stored_state_lacks_begins_empty():
    state = State(b"s")
    judged(state.detectors, traffic(9).batch())
    whole = state_of(state.detectors)
    del state.detectors.subjects["burst"]["range"], state.detectors.subjects["caps"]
    again = snapshot.unpack(snapshot.pack(snapshot.freeze(state))).detectors
    assert len(again.subjects["burst"]["range"]) == 0 == len(again.subjects["caps"]["account"])
    assert len(again.subjects["burst"]["account"]) > 0 and state_of(again)[1:] == whole[1:]


# --- those that span partitions ---

SPANNING = pytest.mark.parametrize("detector", spanning(), ids=lambda detector: detector.name)
CAPPED = pytest.mark.parametrize("detector", [one for one in spanning() if one.capped], ids=lambda detector: detector.name)


@SPANNING
def test_its_kinds_of_sums_are_gathered(detector):
    usage, _ = traffic(1).batch()
    for kind, names in detector.sums.items():
        assert summed()[kind] is names
        found = names(usage, Limits())  # None: the records lack a field that it needs
        assert len(found) == usage.height if found is not None else detector.capped or detector.asked or {"imsi"} <= set(detector.fields)
    assert set(detector.by_account) <= set(detector.sums)


@SPANNING
def test_an_empty_state_survives_a_snapshot(detector):
    state = detector.state()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=detector.state, strict=False) == state


@CAPPED
def test_its_kinds_of_sums_are_gathered_if_a_subject_has_a_cap(detector):
    usage, _ = traffic(1).batch()
    for kind, names in detector.sums.items():
        assert names(usage, Limits()) is None, "nobody is watched: nothing to add up"
        assert names(empty(USAGE), Limits(caps={kind: {("t1", "in"): CAPS}})).len() == 0


@CAPPED
def test_its_state_survives_a_snapshot_and_is_forgotten(detector):
    state = detector.state()
    rows = [
        {"tenant": "t1", "kind": kind, "subject": "882", "account": "acme", "second_ms": START_MS + second, "currency": "EUR", "nanos": 10**9,
         "calls": 2, "active": 0, "learned_ms": START_MS, "call_id": "c1"} for kind in detector.sums for second in (0, 1000)
    ]  # fmt: skip
    rules = Settings(lambda _: EAGER, lambda _: Protected(), lambda *_: "EUR", Limits(caps={kind: {("t1", "882"): CAPS} for kind in detector.sums}))
    findings, _ = detector.detect(state, pl.DataFrame(rows), rules)
    assert {finding.subject_kind for finding in findings} == set(detector.sums)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=detector.state, strict=False) == state
    detector.forget(state, START_MS + 3 * 86_400_000)
    assert state == detector.state()
