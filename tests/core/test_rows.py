"""Rows of the tables `records`, `calls` and `attempts`: each record once, each call once per revision, each attempt once."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl
import pytest

from core import rows, schemas
from core.calls import Fate, LegEnd
from core.decode import Reject, decode
from core.frames import Table
from core.message import Message
from core.record import Record
from core.schemas import ATTEMPTS, CALLS, JUDGED, NUMBERS, STEPS

BLANK: dict[str, Any] = {name: "" if dtype == pl.String else False if dtype == pl.Boolean else 0 for name, dtype in STEPS.items()}
SOLD = BLANK | {
    "final": True, "sells": True, "answered": True, "answer_ms": 10_000, "duration_ms": 60_000, "t_ms": 70_000, "attempts": 1, "revision": 1,
    "tenant": "t1", "call_key": "ab", "account": "acme", "carrier": "alpha", "trunk_group": "tg", "egress_trunk": "out", "b_number": "43664",
    "pdd_ms": 5, "sip_code": 200, "q850": 16, "partition": 2, "offset": 7, "record_partition": 2, "record_offset": 9, "learned_ms": 71_000,
}  # fmt: skip
RECORD = Record(v=2, event="stop", switch="k1", at_ms=70_000)


def steps(*found: dict[str, Any]) -> Table:
    return Table([tuple((SOLD | one)[name] for name in STEPS) for one in found], STEPS)


def test_every_record_and_every_reject_is_a_row_with_its_disposition():
    good = b'{"v":2,"event":"setup","switch":"k1","at_ms":1700000000000,"b_raw":"43664"}'
    records = decode([Message(0, 7, 1_700_000_000_100, b"t1\x1facme", good)]).records
    records = records.with_columns(**{name: pl.lit("x") for name in NUMBERS})
    reject = Reject(1, 8, 1_700_000_000_200, "t2", "not JSON", b"{")
    frame = rows.judged(records, [Fate("event", "why", True, "ab")], [reject], 5)
    assert frame.schema == JUDGED
    names = ("partition", "offset", "tenant", "disposition", "reason", "suspected_duplicate", "raw", "call_key", "config_version", "b_raw", "a_kind")
    assert frame.select(names).rows() == [
        (0, 7, "t1", "event", "why", True, None, "ab", 5, "43664", "x"),
        (1, 8, "t2", "reject", "not JSON", False, b"{", "", 5, "", ""),
    ]
    of_reject = frame.row(1, named=True)
    assert of_reject["at_ms"] == of_reject["learned_ms"] == 1_700_000_000_200, "a reject has no time but ours"
    assert [of_reject[name] for name in ("attempt_no", "interim_no", "part_no", "last", "suspected_hung", "q850")] == [0, 0, 0, False, False, None]
    assert rows.judged(records.clear(), [], [reject], 5).height == 1 and rows.judged(records.clear(), [], [], 5).schema == JUDGED


def test_a_call_that_ended_is_a_row():
    frame = rows.calls(steps(SOLD | {"final": False}, SOLD, {"answered": False, "offset": 8}), [1, 2], 5)
    assert frame.schema == CALLS
    assert frame.select("offset", "duration_ms", "config_version", "account").rows() == [(7, 60_000, 5, "acme"), (8, 0, 5, "acme")]
    assert rows.calls(steps(SOLD), [], 5).equals(schemas.empty(CALLS))


@pytest.mark.parametrize(
    ("attempts", "failed", "answered", "made"),
    [(1, 0, True, 1), (3, 0, True, 3), (1, 2, True, 3), (1, 2, False, 2), (1, 0, False, 1), (0, 0, False, 0)],
)
def test_a_call_had_at_least_the_attempts_that_failed_and_the_one_that_answered(attempts, failed, answered, made):
    frame = rows.calls(steps({"attempts": attempts, "failed": failed, "answered": answered}), [0], 5)
    assert frame["attempts"].to_list() == [made]


@pytest.mark.parametrize(
    ("changes", "is_row"),
    [
        ({}, True),
        ({"final": False}, False),
        ({"sells": False}, False),
        ({"legs": 1}, False),  # each of its legs is a row
        ({"carrier": "", "egress_trunk": ""}, False),
        ({"carrier": ""}, True),
        ({"egress_trunk": ""}, True),
        ({"answered": False}, True),  # nobody answered, and the stop is all that reports the attempt
        ({"answered": False, "failed": 1, "failed_no": 1}, False),  # its attempt has a record of its own
        ({"answered": False, "failed": 1, "attempts": 2}, True),
        ({"answered": False, "failed_no": 2, "attempts": 2}, False),
        ({"failed": 1, "failed_no": 1, "attempts": 1}, True),
    ],
)
def test_the_end_of_a_proxys_call_is_that_of_its_last_attempt(changes, is_row):
    frame = rows.attempts(steps(changes), [], [RECORD])
    assert frame.schema == ATTEMPTS and frame.height == is_row


def test_what_a_row_of_an_attempt_holds():
    leg = LegEnd(3, False, 20_000, 0, 503, 34, 180, "beta", "tg-b", "out-b")
    of_leg = SOLD | {"final": False, "buys": True, "record_offset": 8, "carrier": "other"}
    unanswered = SOLD | {"answered": False, "answer_ms": None, "offset": 11, "record_offset": 12, "attempts": 4, "failed": 1}
    by_route = msgspec.structs.replace(RECORD, sent_number="0043664", route="best@t1+retail|43", route_rank=2)
    frame = rows.attempts(steps(SOLD | {"row": 1}, of_leg, unanswered | {"row": -1}), [leg], [RECORD, by_route])
    names = ("offset", "attempt_no", "account", "carrier", "trunk_group", "egress_trunk", "b_number", "at_ms", "answered", "duration_ms", "pdd_ms",
             "sip_code", "q850", "partition", "revision", "call_key", "sent_number", "route", "route_rank")  # fmt: skip
    assert sorted(frame.select(names).rows()) == [
        (8, 3, "acme", "beta", "tg-b", "out-b", "43664", 20_000, False, 0, 180, 503, 34, 2, 1, "ab", "", "", 0),
        (9, 1, "acme", "alpha", "tg", "out", "43664", 10_000, True, 60_000, 5, 200, 16, 2, 1, "ab", "0043664", "best@t1+retail|43", 2),
        (12, 4, "acme", "alpha", "tg", "out", "43664", 70_000, False, 0, 5, 200, 16, 2, 1, "ab", "", "", 0),
    ]
