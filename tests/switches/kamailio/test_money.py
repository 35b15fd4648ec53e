"""What a call is in the records: who talked how long, over whom, from ringing to hanging up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kamailio_calls import Bench, picks_up, talk

pytestmark = pytest.mark.kamailio

NewBench = Callable[..., Bench]


def test_five_seconds_of_ringing_and_two_of_talk_are_two_seconds(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=5000))
    bench.caller(talk(2000), "4312345678").finish()

    (stop,) = bench.wait_for("stop")
    (answer,) = bench.records("answer")
    (ringing,) = bench.records("ringing")
    assert abs(stop["end_ms"] - stop["answer_ms"] - 2000) < 60
    assert stop["answer_ms"] == answer["answer_ms"]
    assert abs(answer["answer_ms"] - ringing["ringing_ms"] - 5000) < 60
    assert [r["event"] for r in bench.records()] == ["boot", "setup", "ringing", "answer", "stop"]
    assert [r["seq"] for r in bench.records()] == [1, 2, 3, 4, 5]
    assert {(r["account"], r["ingress_trunk"], r["tenant"]) for r in bench.records()[1:]} == {("acme", "in-acme", "t1")}
    assert (stop["carrier"], stop["trunk_group"], stop["egress_trunk"]) == ("carrier-1", "tg-1", "out-1")
    assert stop["sent_number"] == "4312345678" and stop["release_side"] == "caller"
    assert 0 <= stop["pdd_ms"] < 200
