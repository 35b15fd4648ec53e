"""A carrier whose answers are false, and one whose answers only look so."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.policy import Policy
from core.safety import Protected
from detectors.fas import State, detect, forget
from detectors.protocol import Limits, Settings
from detectors.sums import SUMS

T_MS = 1_790_000_000_000
RULES = Settings(lambda _: Policy(), lambda _: Protected(), lambda *_: "EUR", Limits())


def cut(*rows: dict) -> pl.DataFrame:
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    zero |= {"tenant": "t1", "second_ms": T_MS, "learned_ms": T_MS, "currency": "EUR", "call_id": "c"}
    return pl.DataFrame([zero | row for row in rows], schema=SUMS)


HONEST = {"kind": "route", "subject": "2348\x1fbeta", "ends": 400, "answers": 180, "shorts": 12, "delay_ms": 180 * 14_000, "talk_ms": 180 * 120_000}


@pytest.mark.parametrize(
    ("what", "ends", "answers", "shorts", "delay_s", "found"),
    [
        ("nearly all answered, after a second", 300, 285, 20, 1, True),
        ("as many, as late as the others: other callers", 300, 285, 20, 14, False),
        ("as the others", 300, 140, 10, 13, False),
        ("too few calls for a claim", 60, 58, 4, 1, False),
    ],
)
def test_which_answers_are_false(what, ends, answers, shorts, delay_s, found):
    route = {"kind": "route", "subject": "2348\x1falpha", "ends": ends, "answers": answers, "shorts": shorts, "delay_ms": answers * delay_s * 1000}
    state = State()
    findings, orders = detect(state, cut(HONEST, route), RULES)
    assert [finding.subject for finding in findings] == (["alpha>2348"] if found else []), what
    assert orders == [], "it only warns"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    forget(state, T_MS + 9 * 86_400_000)
    assert state == State()


SIDED = {
    "early": 3, "sided": 180, "by_callee": 80, "briefs": 40, "brief_s": 40 * 25, "brief_s2": 40 * 900,
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "observed", "found"),
    [
        ("the answers come while it begins to ring", {"early": 90, "delay_ms": 140 * 2_000}, ["fas_early"]),
        ("some come early", {"early": 20}, []),
        ("machines answer, and as late as the others'", {"early": 90}, []),
        ("the called side hardly ever hangs up, and talk is longer", {"by_callee": 10, "talk_ms": 140 * 135_000}, ["fas_late"]),
        ("... and talk is not longer: diallers, that hang up themselves", {"by_callee": 10, "talk_ms": 140 * 60_000}, []),
        ("a recording is heard out", {"answers": 230, "briefs": 130, "brief_s": 130 * 22, "brief_s2": 130 * (22**2 + 40)}, ["fas_recorded"]),
        ("brief calls of all lengths", {"answers": 230, "briefs": 130, "brief_s": 130 * 22, "brief_s2": 130 * (22**2 + 400)}, []),
        ("brief calls of an honest share of answers", {"briefs": 100, "brief_s": 100 * 22, "brief_s2": 100 * (22**2 + 40)}, []),
        ("nobody knows who hung up", {"sided": 0, "by_callee": 0, "talk_ms": 140 * 135_000}, []),
    ],
)
def test_which_kind_of_false_answer_it_is(what, observed, found):
    route = {"kind": "route", "subject": "2348\x1falpha", "ends": 300, "answers": 140, "delay_ms": 140 * 13_000, "talk_ms": 140 * 120_000}
    route |= {**SIDED, "sided": observed.get("answers", 140), "by_callee": 62, "briefs": 31, "brief_s": 31 * 25, "brief_s2": 31 * 900} | observed
    state = State()
    findings, _ = detect(state, cut(HONEST | SIDED, route), RULES)
    assert [finding.facts.fraud for finding in findings if finding.subject == "alpha>2348"] == found, what
    again, _ = detect(state, cut(HONEST | SIDED | {"second_ms": T_MS + 1_000}, route | {"second_ms": T_MS + 1_000}), RULES)
    assert again == [], "it is written once a minute at most"
