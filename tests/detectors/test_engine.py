"""From a frame and its ticks to findings, orders and a state that forgets."""

from __future__ import annotations

import pytest

from core.config import Caps, UnpricedCaps
from core.facts import UNPRICED
from core.policy import Policy
from core.record import Tick
from core.safety import Protected
from detectors.alerts import Alert
from detectors.engine import detect
from detectors.protocol import Limits, Settings
from detectors.state import DetectorState

HOUR_MS = 3_600_000
T_MS = 500_000 * HOUR_MS
ACME = ("t1", "acme")
CALL = {
    "tenant": "t1", "account": "acme", "ingress_trunk": "in", "a_number": "4366", "a_kind": "e164", "b_kind": "e164", "b_number": "43123450001",
    "t_ms": T_MS, "started_ms": T_MS, "learned_ms": T_MS, "calls": 1, "answered": True, "currency": "EUR",
}  # fmt: skip


def settings(policy: Policy = Policy(), *, protected: Protected = Protected(), **limits) -> Settings:
    return Settings(lambda _: policy, lambda _: protected, lambda tenant, account: f"{tenant}/{account}", Limits(**limits))


def tick(offset: int, at_ms: int, partition: int = 0):
    return partition, offset, Tick(at_ms=at_ms, config_version=1)


def crowd(times: int, **changes) -> list[dict]:
    """Calls into one range, a euro each; what they weigh adds up to 0, 0.04, 0.2, 0.56, 1.2, 2.2, 3.2, ..."""
    euro = CALL | {"nanos": 10**9}
    return [euro | {"offset": no, "call_id": f"c{no}", "call_key": f"k{no}", "started_ms": T_MS - no} | changes for no in range(times)]


EAGER = {"block_probability": 0.0, "block_loss": 0.0, "refused_call_cost": 0.0}
"""Blocks whatever is found: calls to ordinary numbers are blocked only where fraud is likely."""


def burst(floor: float = 1.0, **more) -> Policy:
    floors = {f"{level}_floor": 10**9 for level in ("account", "a_number", "unpriced")} | {"b_range_floor": floor}
    return Policy(detectors={"burst": floors}, **more)


@pytest.mark.parametrize(
    ("units", "score", "calls"),
    [
        ({}, 1.2, ["c1", "c2", "c3", "c4"]),  # the first call of a range is no crowd
        ({"USD": 2.0}, 1.2, ["c1", "c2", "c3", "c4"]),
        ({"EUR": 2.0}, 1.1, ["c1", "c2", "c3", "c4", "c5"]),
    ],
)
def test_money_counts_in_the_policy_s_units(usage_of, units, score, calls):
    found = detect(DetectorState(b"s"), usage_of(*crowd(7)), [], settings(burst(units=units, **EAGER)))
    (finding,) = found.findings
    assert (finding.score, finding.example_call_ids) == (score, calls)
    assert finding.first_ms == T_MS - int(calls[-1][1:]), "the earliest start of a call that it shows"
    assert [order.key.text() for order in found.orders] == ["t1/account:acme/a:4366/b:4312345"]


def test_a_finding_shows_calls_of_earlier_batches_and_not_of_later_rows(usage_of):
    state, rows = DetectorState(b"s"), crowd(9)
    detect(state, usage_of(*rows[:3]), [], settings(burst()))
    (finding,) = detect(state, usage_of(*rows[3:]), [], settings(burst())).findings
    assert finding.example_call_ids == ["c1", "c2", "c3", "c4"]
    later = crowd(1, offset=9, t_ms=T_MS + 60_000, call_id="c9")
    (finding,) = detect(state, usage_of(*later), [], settings(burst())).findings
    assert finding.example_call_ids == ["c5", "c6", "c7", "c8", "c9"]


def test_a_row_that_begins_no_call_is_no_example(usage_of):
    rows = crowd(4) + crowd(1, offset=4, calls=0, nanos=10**10)
    (finding,) = detect(DetectorState(b"s"), usage_of(*rows), [], settings(burst())).findings
    assert finding.example_call_ids == ["c1", "c2", "c3", "c0"], "the row that the finding is about is always shown"


@pytest.mark.parametrize(("currency", "expected"), [("EUR", "EUR"), ("", "t1/acme")])
def test_a_row_without_a_price_has_the_currency_of_its_account(usage_of, currency, expected):
    limits = {"caps": {"account": {ACME: Caps(concurrent_calls=0)}}}
    (finding,) = detect(DetectorState(b"s"), usage_of(CALL | {"active": 1, "currency": currency}), [], settings(**limits)).findings
    assert finding.currency == expected


def test_findings_are_in_the_order_of_rows_and_detectors_and_have_their_partition(usage_of):
    caps = {"account": {ACME: Caps(concurrent_calls=0, calls_per_second=0), ("t2", "blue"): Caps(concurrent_calls=0)}}
    rows = [CALL | {"partition": 2, "active": 1}, CALL | {"tenant": "t2", "account": "blue", "partition": 1, "active": 1}]
    found = detect(DetectorState(b"s"), usage_of(*rows), [], settings(caps=caps, first_seen={ACME}))
    assert [(finding.tenant, finding.detector, found.places[finding.finding_id]) for finding in found.findings] == [
        ("t1", "cap_calls_per_second", 2), ("t1", "cap_concurrent_calls", 2), ("t1", "cap_first_seen", 2), ("t2", "cap_concurrent_calls", 1),
    ]  # fmt: skip
    assert len(found.orders) == 3 and len(found.places) == 4


def test_a_protected_account_is_reported_and_not_blocked(usage_of):
    rules = settings(caps={"account": {ACME: Caps(concurrent_calls=0)}}, protected=Protected(accounts=frozenset({"acme"})))
    found = detect(DetectorState(b"s"), usage_of(CALL | {"active": 1}), [], rules)
    assert not found.orders and "account acme is protected" in found.findings[0].facts.no_block


# --- numbers that cannot be read: what was dialled ---


@pytest.mark.parametrize(
    ("row", "ticks", "dialled"),
    [
        ({"b_kind": "invalid", "b_raw": "1#2"}, [], ["1#2"]),
        ({"b_kind": "invalid", "b_raw": ""}, [], []),  # a row of a tick, or a record that says nothing
        ({"b_kind": "alpha", "b_raw": ""}, [], []),
        ({"b_kind": "withheld", "b_raw": ""}, [], [""]),  # nothing was dialled
        ({"b_kind": "", "b_raw": ""}, [], [""]),
        ({"b_kind": "e164", "b_raw": "+99890", "no_rate": True}, [], ["+99890"]),
        ({"b_kind": "withheld", "b_raw": ""}, [tick(3, T_MS)], []),  # a tick accrued the call
    ],
)
def test_a_finding_shows_what_was_dialled(usage_of, row, ticks, dialled):
    limits = {"unpriced_caps": {ACME: UnpricedCaps(calls_hour=0)}}
    found = detect(DetectorState(b"s"), usage_of(CALL | {"offset": 3, "b_number": ""} | row), ticks, settings(**limits))
    (finding,) = found.findings
    assert finding.subject_kind == UNPRICED and finding.facts.dialled == dialled


def test_a_finding_shows_what_was_dialled_in_an_earlier_batch(usage_of):
    state, rules = DetectorState(b"s"), settings(unpriced_caps={ACME: UnpricedCaps(calls_hour=1)})
    row = CALL | {"b_kind": "invalid", "b_number": "", "call_key": "k1", "b_raw": "1#2"}
    assert not detect(state, usage_of(row), [], rules).findings
    (finding,) = detect(state, usage_of(row | {"call_key": "k2", "b_raw": "3#4", "offset": 1}), [], rules).findings
    assert finding.facts.dialled == ["1#2", "3#4"]


# --- what is forgotten, and when ---


def ranges_known(state: DetectorState) -> int:
    return len(state.subjects["burst"]["range"])


SILENT_MS = 6 * HOUR_MS


@pytest.mark.parametrize(
    ("ticks", "known"),
    [
        ([T_MS, T_MS + SILENT_MS], 0),  # an hour began: what was silent for six hours goes
        ([T_MS, T_MS + SILENT_MS - 1], 1),
        ([T_MS, T_MS + SILENT_MS - 1, T_MS + SILENT_MS], 0),  # to the millisecond
        ([T_MS + SILENT_MS + 1], 1),  # a first tick begins no hour
        ([T_MS + SILENT_MS - HOUR_MS, T_MS + SILENT_MS + 1], 0),
        ([T_MS + SILENT_MS + 1, T_MS + SILENT_MS + 2], 1),  # the same hour
        ([T_MS + 9 * HOUR_MS, T_MS, T_MS + 8 * HOUR_MS], 1),  # a clock that went back begins no hour again
    ],
)
def test_silent_subjects_are_forgotten_when_an_hour_begins(usage_of, ticks, known):
    state = DetectorState(b"s")
    detect(state, usage_of(CALL), [tick(offset, at_ms) for offset, at_ms in enumerate(ticks, 1)], settings())
    assert ranges_known(state) == known and state.clocks == {0: max(ticks)}


def test_the_first_hours_after_1970_are_hours_as_well(usage_of):
    state = DetectorState(b"s")
    detect(state, usage_of(CALL | {"t_ms": 1, "started_ms": 1}), [tick(1, HOUR_MS), tick(2, 8 * HOUR_MS)], settings())
    assert ranges_known(state) == 0


@pytest.mark.parametrize(("offset", "known"), [(1, 0), (2, 1), (3, 1)])
def test_a_tick_forgets_only_subjects_of_rows_before_it(usage_of, offset, known):
    state = DetectorState(b"s")
    detect(state, usage_of(CALL | {"offset": offset}), [tick(0, T_MS), tick(2, T_MS + SILENT_MS)], settings())
    assert ranges_known(state) == known


def test_a_tick_forgets_only_in_its_own_partition(usage_of):
    state = DetectorState(b"s")
    rows = [CALL | {"partition": partition, "account": f"a{partition}"} for partition in (0, 1)]
    detect(state, usage_of(*rows), [tick(1, T_MS), tick(2, T_MS + SILENT_MS), tick(1, T_MS, 1)], settings())
    assert ranges_known(state) == 1 and state.clocks == {0: T_MS + SILENT_MS, 1: T_MS}


def test_a_call_that_a_tick_ended_is_forgotten_with_the_hour(usage_of):
    state = DetectorState(b"s")
    ended = CALL | {"b_kind": "invalid", "b_number": "", "call_key": "k1", "offset": 1, "final": True}
    detect(state, usage_of(ended), [tick(1, T_MS)], settings())
    assert list(state.odd_calls) == ["k1"]
    detect(state, usage_of(), [tick(2, T_MS + 49 * HOUR_MS)], settings())
    assert not state.odd_calls


@pytest.mark.parametrize(("slowest_ms", "known"), [(T_MS + 48 * HOUR_MS, 1), (T_MS + 48 * HOUR_MS + 1, 0)])
def test_an_episode_is_remembered_for_two_days_of_the_slowest_partition(usage_of, slowest_ms, known):
    state = DetectorState(b"s", alerts={"name": Alert("finding-1", T_MS, T_MS, T_MS, 1.0)})
    detect(state, usage_of(), [tick(1, slowest_ms), tick(1, T_MS + 99 * HOUR_MS, 1)], settings())
    assert len(state.alerts) == known


def test_an_empty_batch_has_no_findings(usage_of):
    found = detect(DetectorState(b"s"), usage_of(), [], settings())
    assert (found.findings, found.orders, found.places, found.sums.height) == ([], [], {}, 0)
