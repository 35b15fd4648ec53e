"""What is counted of calls to numbers that cannot be read or priced, row by row, and the keys of subjects."""

from __future__ import annotations

import polars as pl
import pytest

from core.schemas import USAGE
from detectors import features
from detectors.features import FEATURES, OddCall, forget_odd_calls

BASE = {name: 0 if dtype.is_integer() else False if dtype == pl.Boolean else "" for name, dtype in USAGE.items()}
UNREADABLE = {"tenant": "t1", "account": "acme", "call_key": "c", "b_kind": "invalid", "b_raw": "1#2", "t_ms": 5_000}


def rows(*changes: dict, ticks=frozenset(), calls: dict | None = None) -> pl.DataFrame:
    """Rows of one call, at offsets 0, 1, ..."""
    usage = pl.DataFrame([{**BASE, **UNREADABLE, "offset": at, **one} for at, one in enumerate(changes)], schema=USAGE)
    return features.features(usage, {} if calls is None else calls, ticks, b"s")


ANSWER, END = {"answered": True}, {"answered": True, "final": True}


@pytest.mark.parametrize(
    ("changes", "ticks", "answers", "active"),
    [
        ([{}, ANSWER, ANSWER, END], [], [0, 1, 0, 0], [0, 1, 0, -1]),  # setup, answer, an interim, the stop
        ([END], [], [1], [0]),  # one record for the whole call: it was never in flight
        ([{}, {"final": True}], [], [0, 0], [0, 0]),  # no answer
        ([ANSWER, END, END], [(0, 1)], [1, 0, 0], [1, -1, 0]),  # a tick ended it, its stop comes late: no second answer
        ([ANSWER, {**END, "b_kind": "e164"}], [], [1, 0], [1, -1]),  # it can be read in the end: its +1 has its -1 all the same
        ([{**ANSWER, "b_kind": "e164"}, END], [], [0, 1], [0, 0]),  # odd from its end on
    ],
)
def test_each_odd_call_counts_one_answer_one_start_and_one_end(changes, ticks, answers, active):
    calls: dict[str, OddCall] = {}
    frame = rows(*changes, ticks={(0, offset) for _, offset in ticks}, calls=calls)
    assert frame["odd_answers"].to_list() == answers and frame["odd_active"].to_list() == active
    assert not calls or not changes[-1].get("final"), "what is over is not remembered"
    assert set(frame.columns) == set(FEATURES) - {"money", "unit", "watched_ms", "known_points", "known_days"}
    assert all(frame.schema[name] == FEATURES[name] for name in frame.columns)


def test_a_call_that_a_tick_ended_is_remembered_for_two_days():
    calls: dict[str, OddCall] = {}
    rows(ANSWER, END, ticks={(0, 1)}, calls=calls)
    forget_odd_calls(calls, 5_000 + 2 * 86_400_000)
    assert calls["c"].answered and not calls["c"].active
    forget_odd_calls(calls, 5_001 + 2 * 86_400_000)
    assert not calls


def test_the_oldest_odd_call_is_dropped_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(features, "MOST_ODD_CALLS", 2)
    calls: dict[str, OddCall] = {}
    rows(*({"call_key": key} for key in "abc"), calls=calls)
    assert list(calls) == ["b", "c"]


@pytest.mark.parametrize(
    ("changes", "weight", "code", "odd"),
    [
        ({"b_kind": "e164", "b_number": "881612345678"}, 4.0, 1881612345678, features.READABLE),
        ({"b_kind": "e164", "b_number": "881612345678", "no_rate": True}, 4.0, 1881612345678, features.NO_RATE),
        ({"b_kind": "invalid", "currency": ""}, 0.0, 0, features.UNREADABLE),
        ({"b_kind": "invalid", "currency": "EUR"}, 1.0, 0, features.UNREADABLE),  # its feed knows the price
        ({"b_kind": "emergency", "b_number": "112"}, 1.0, 0, features.READABLE),
    ],
)
def test_a_destination_has_a_weight_if_it_is_readable_or_priced(changes, weight, code, odd):
    frame = rows(changes)
    assert (frame["weight"][0], frame["b_code"][0], frame["odd"][0]) == (weight, code, odd)
    assert (frame["k_unpriced"][0] != 0) == (odd != features.READABLE)


def test_subjects_belong_to_a_tenant_and_an_account():
    keys = ("k_account", "k_a_number", "k_b_range", "k_account_range", "k_destination")
    call = {"a_number": "4366", "a_kind": "e164", "b_kind": "e164", "b_number": "881612345678"}
    frame = rows(
        call, {**call, "tenant": "t2"}, {**call, "account": "blue"}, {**call, "account": "", "ingress_trunk": "in"}, {**call, "a_kind": "alpha"}
    )
    for name in keys:
        assert frame[name].n_unique() == (5 if name in ("k_a_number", "k_b_range") else 4)
    assert frame["a_number"].to_list() == ["4366"] * 4 + [""], "a block could not name it"
    assert frame["home"][0] == frame["home"][4] and frame["home"].n_unique() == 4


def test_a_call_that_is_active_is_never_forgotten():
    calls: dict[str, OddCall] = {}
    rows(ANSWER, calls=calls)
    forget_odd_calls(calls, 10**15)
    assert list(calls) == ["c"] and calls["c"].active


@pytest.mark.parametrize(("b_number", "b_range"), [("", ""), ("43123456", ""), ("431234567", "43123"), ("8821312345678", "882131234")])
def test_a_range_is_a_number_without_its_last_four_digits(b_number, b_range):
    assert features.range_of(b_number) == b_range
