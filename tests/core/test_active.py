"""What a partition forgets, and when: each switch's calls by its own clock, a day later at the latest."""

from __future__ import annotations

from typing import Any

import pytest

from core import active
from core.active import HORIZON_MS, LATE_MS, LEG_LINGER_MS, LINGER_MS, ActiveCall, Leg, Partition, close, complete_to_ms, forget
from core.record import Tick

NOW = 1_772_438_400_000
COMPLETE = NOW - 60_000


def tick(at_ms: int = NOW, **complete: int) -> Tick:
    return Tick(at_ms=at_ms, config_version=1, complete_to_ms={"k1": COMPLETE} | complete)


def call(name: str = "c", **fields: Any) -> ActiveCall:
    return ActiveCall(0, 1, 1, "t1", **{"switch": "k1", "sequenced": True, "key": name, "call_key": name, **fields})


def test_a_switch_that_reports_no_delivery_is_taken_to_be_complete_an_hour_behind():
    assert (complete_to_ms(tick(), "k1"), complete_to_ms(tick(), "k2")) == (COMPLETE, NOW - LATE_MS)


@pytest.mark.parametrize(
    ("sequenced", "at_ms", "is_forgotten"),
    [
        (True, COMPLETE - LINGER_MS - 1, True),
        (True, COMPLETE - LINGER_MS, False),
        (False, COMPLETE - LINGER_MS - 1, False),  # a feed that counts no records: by our clock, for a day
        (False, NOW - HORIZON_MS, False),
        (False, NOW - HORIZON_MS - 1, True),
    ],
)
def test_the_end_of_a_call(sequenced, at_ms, is_forgotten):
    state = Partition(0)
    close(state, "c", 5, at_ms, "k1", sequenced)
    assert state.closed == {"c": (5, at_ms, "k1", sequenced)}
    assert forget(state, tick()) == [] and bool(state.closed) is not is_forgotten


def test_a_silent_switch_holds_up_the_ends_of_others_for_a_day_at_most():
    state = Partition(0)
    close(state, "of k2", 5, NOW - HORIZON_MS, "k2", True)
    close(state, "of k1", 5, NOW - HORIZON_MS, "k1", True)
    silent = {"k2": NOW - 2 * HORIZON_MS}
    forget(state, tick(**silent))
    assert list(state.closed) == ["of k2", "of k1"]
    forget(state, tick(NOW + 1, **silent))
    assert not state.closed


def test_the_number_of_remembered_ends_is_limited(monkeypatch):
    monkeypatch.setattr(active, "CLOSED", 2)
    state = Partition(0)
    for name in "abc":
        close(state, name, 0, NOW, "k1", True)
    assert list(state.closed) == ["b", "c"]


@pytest.mark.parametrize(
    ("accrued_ms", "silent_ms", "is_forgotten"),
    [(0, HORIZON_MS - 1, False), (0, HORIZON_MS, True), (5, HORIZON_MS + 4, False), (5, HORIZON_MS + 5, True), (-5, HORIZON_MS, True)],
)
def test_a_hung_call_can_be_corrected_for_a_day_and_as_long_as_it_talked(accrued_ms, silent_ms, is_forgotten):
    state = Partition(0, now_ms=NOW)
    state.hung["c"] = call(accrued_ms=accrued_ms, last_ms=NOW - silent_ms)
    assert [one.key for one in forget(state, tick())] == ["c"] * is_forgotten
    assert bool(state.hung) is not is_forgotten


@pytest.mark.parametrize(
    ("fields", "is_forgotten"),
    [
        ({"ended_ms": COMPLETE - LEG_LINGER_MS - 1}, True),
        ({"ended_ms": COMPLETE - LEG_LINGER_MS}, False),
        ({"ended_ms": COMPLETE - LEG_LINGER_MS - 1, "sequenced": False}, False),
        ({"ended_ms": NOW - HORIZON_MS - 1, "sequenced": False}, True),
    ],
)
def test_a_call_that_waits_for_its_legs(fields, is_forgotten):
    state = Partition(0)
    state.lingering["c"] = call(**fields)
    assert [one.key for one in forget(state, tick())] == ["c"] * is_forgotten
    assert bool(state.lingering) is not is_forgotten


def test_a_call_of_a_switch_behind_by_more_than_a_day_waits_a_day():
    state = Partition(0)
    state.lingering["c"] = call(ended_ms=NOW - HORIZON_MS - 1)
    assert len(forget(state, tick(k1=NOW - 3 * HORIZON_MS))) == 1


def talking(name: str, end_ms: int) -> ActiveCall:
    return call(name, ended_ms=0, end_ms=end_ms, leg={"e": Leg(1, answer_ms=1)})


def test_a_call_with_a_leg_that_talks_waits_behind_the_others_for_a_day_after_its_end():
    until_ms = COMPLETE - LEG_LINGER_MS
    state = Partition(0)
    state.lingering = {"talks": talking("talks", until_ms - HORIZON_MS + 1), "silent": call("silent", ended_ms=0)}
    assert [one.key for one in forget(state, tick())] == ["silent"]
    assert list(state.lingering) == ["talks"] and state.lingering["talks"].ended_ms == until_ms
    state.lingering = {"talks": talking("talks", until_ms - HORIZON_MS)}
    assert [one.key for one in forget(state, tick())] == ["talks"]


def test_the_number_of_calls_that_wait_is_limited_however_they_talk(monkeypatch):
    monkeypatch.setattr(active, "LINGERING", 1)
    state = Partition(0)
    state.lingering = {name: call(name, ended_ms=NOW, leg={"e": Leg(1, answer_ms=1)}) for name in "abc"}
    assert [one.key for one in forget(state, tick())] == ["a", "b"] and list(state.lingering) == ["c"]


@pytest.mark.parametrize(
    ("legs", "waits"),
    [
        ([], False), ([Leg(1)], False), ([Leg(1, answer_ms=5)], True), ([Leg(1, answer_ms=5, ended=True)], False),
        ([Leg(1), Leg(2, answer_ms=0)], True),
    ],
)  # fmt: skip
def test_a_call_waits_for_a_leg_that_answered_and_has_not_ended(legs, waits):
    assert call(leg={str(no): leg for no, leg in enumerate(legs)}).waits is waits


def test_equal_rows_are_remembered_for_a_day_in_their_order():
    state = Partition(0)
    state.rows = {1: NOW - HORIZON_MS - 1, 2: NOW - HORIZON_MS, 3: NOW - HORIZON_MS - 1}
    forget(state, tick())
    assert list(state.rows) == [2, 3]


def test_the_calls_of_a_partition_are_those_of_which_more_than_the_end_is_remembered():
    state = Partition(0)
    state.active["a"], state.hung["h"], state.lingering["l"] = call("a"), call("h"), call("l")
    close(state, "z", 0, NOW, "k1", True)
    assert [one.key for one in state.calls] == ["a", "h", "l"]


def test_documented_limits():
    assert (LINGER_MS, LEG_LINGER_MS, HORIZON_MS, LATE_MS) == (120_000, 600_000, 86_400_000, 3_600_000)
    assert (active.CLOSED, active.LINGERING) == (1_000_000, 200_000)


def test_a_new_call_has_no_facts():
    new = ActiveCall(0, -1, 0, "t1", "k1", "ab")
    values = {name: getattr(new, name) for name in new.__struct_fields__[6:]}
    assert {name: value for name, value in values.items() if value} == {"attempts": 1, "last_part": -1}
    assert Partition(3) == Partition(3, 0, 0, 0) and Leg(1).answer_ms is None
