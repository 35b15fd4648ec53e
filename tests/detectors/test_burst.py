"""Bursts in tables: who calls where and how often, and whom the orders block."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import polars as pl
import pytest

from core.policy import Policy
from core.record import Record, journal_key
from detectors import engine
from detectors.burst import DETECTOR, Parameters, usual_per_ms
from detectors.decay import FLOATS, INTS
from detectors.features import FEATURES, NO_RATE, UNREADABLE
from detectors.profile import NAMES
from detectors.protocol import Case, Hit, Limits
from detectors.registry import detectors

HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def no_others(monkeypatch):
    """Judged by this detector alone: the same calls may look like another fraud as well."""
    monkeypatch.setattr(engine, "detectors", lambda: tuple(one for one in detectors() if one.name in ("burst",)))


DECAYED = {
    "t_ms": "int64", "weighted": "float64", "calls": "float64", "usual": "float64", "usual_money": "float64", "since_ms": "int64",
    "sum_nanos": "int64", "sum_calls": "int64", "sum_talk_ms": "int64", "top": "int64", "lead": "float64", "begin_ms": "int64",
    "begin_nanos": "int64", "begin_calls": "int64", "begin_talk_ms": "int64", "before_ms": "int64", "before_nanos": "int64",
    "before_calls": "int64", "before_talk_ms": "int64",
}  # fmt: skip
FADING = {"t_ms": "int64", "calls": "float64"}
STORED = {
    "account": DECAYED, "a_number": DECAYED, "b_range": DECAYED, "unpriced": DECAYED, "range": FADING, "unpriced_crowd": FADING,
}  # fmt: skip


@pytest.mark.parametrize(
    ("times", "b_number", "talk_s", "ordered"),
    [
        # a range that fills up, dear and far away: the narrowest block
        (10, "8821312", 120, {"t1/account:acme/a:4366012345678/b:8821312"}),
        # one long call home by satellite, however dear, is nobody's crowd
        (1, "8821312", 3600, set()),
        # three hundred cheap calls into one range cost nothing to speak of
        (300, "4312345", 120, set()),
    ],
)
def test_a_burst_needs_money_and_a_crowd(day_of, times, b_number, talk_s, ordered):
    day = day_of()
    day.calls(times, b_number, talk_s)
    assert day.ordered() == ordered


def test_a_withheld_caller_is_blocked_by_account_and_range_alone(day_of):
    day = day_of()
    day.calls(10, "8821312", a_raw="anonymous")
    assert day.ordered() == {"t1/account:acme/b:8821312"}


def test_a_caller_without_an_account_raises_an_alert_and_no_order(day_of):
    day = day_of(self_register=True, default_sell_deck="basic")
    day.calls(20, "8821312", account="")
    assert day.findings and not day.orders


def test_calls_to_a_prefix_without_a_rate_count_by_their_minutes(day_of):
    day = day_of()
    day.calls(40, "99890123", talk_s=1800)
    assert "at no known price" in day.findings[0].reason
    assert "acme/4366012345678>99890123" in {finding.subject for finding in day.findings}
    assert "t1/account:acme/a:4366012345678/b:99890123" not in day.ordered(), "an ordinary range, before anything is known of the account"


@pytest.mark.parametrize(("units", "blocked"), [({}, True), ({"IDR": 17_500.0}, False)])
def test_floors_are_in_the_policy_s_units(day_of, units, blocked):
    day = day_of("IDR", policy=Policy(units=units))
    day.calls(8, "6281234")  # 8 times 2 minutes at 15,000 rupiah: 14 euro in all
    assert bool(day.findings) == blocked


def test_an_order_is_issued_again_each_minute_while_its_condition_holds(day_of):
    day = day_of()
    day.calls(130, "8821312")
    assert [order.created_at_ms for order in day.orders] == sorted({order.created_at_ms for order in day.orders})
    assert len(day.orders) == 1 + (130 - 8) // 60
    assert len({order.order_id for order in day.orders}) == len(day.orders)
    assert len({finding.finding_id for finding in day.findings if finding.subject_kind == "b_range"}) == 1


def test_silent_callers_are_forgotten_at_the_hour_and_a_subject_with_a_history_is_not(day_of):
    day = day_of()
    day.tick()
    day.calls(60, "8821312", account="other")
    for no in range(500):
        day.calls(1, "4312345", talk_s=1, a_raw=f"+43660{no:07d}")
    known = day.state.detectors.subjects["burst"]
    assert len(known["a_number"]) == 501
    day.tick(8 * HOUR_MS)
    assert len(known["a_number"]) == 1
    assert len(known["range"]) == 0
    assert float(known["account"]["usual"][0]) > 0


def test_a_finding_has_a_currency_even_if_its_last_record_has_no_money(day_of):
    """A setup costs nothing: the money that its finding shows was spent before."""
    day = day_of()
    day.calls(12, "8821312")
    spent = len(day.findings)
    day.at_ms += 120_000
    setup = Record(
        v=2, event="setup", switch="k1", boot_id="b", seq=day.offset, dialog_id="new", call_id="new", at_ms=day.at_ms, account="acme",
        ingress_trunk="in", a_raw="+4366012345678", b_raw="+88213120001",
    )  # fmt: skip
    day.judge(journal_key("t1", "acme", "in"), setup)
    assert len(day.findings) > spent, "it is written again each minute"
    assert {finding.currency for finding in day.findings} == {"EUR"}
    assert not any("at no known price" in finding.reason for finding in day.findings)


# --- row by row ---

T_MS = 500_000 * HOUR_MS
PARAMETERS = Parameters(account_floor=1.0, a_number_floor=1.0, b_range_floor=1.0, unpriced_floor=1.0)
CALL = {
    "t_ms": T_MS, "started_ms": T_MS, "currency": "EUR", "calls": 1, "weight": 1.0, "money": 1.0, "nanos": 10**9, "b_code": 143123450001,
    "b_kind": "e164", "b_range": "4312345", "a_number": "4366",
    "account": "acme", "ingress_trunk": "in", "k_account": 1, "k_a_number": 2, "k_b_range": 3, "k_account_range": 4, "unit": 1.0,
}  # fmt: skip


NEEDS = [name for name in DETECTOR.needs if name in FEATURES]


def frame_of(*changes: dict) -> pl.DataFrame:
    """Rows as the engine makes them: a call each, of one caller into one range, for a euro."""
    plain = {name: "" if FEATURES[name] == pl.String else 0 for name in NEEDS} | CALL
    return pl.DataFrame([plain | one for one in changes], schema={name: FEATURES[name] for name in NEEDS}).hstack(
        [pl.Series(f"p_{kind}", np.zeros((len(changes), len(NAMES)))) for kind in ("account", "account_range", "account_zone")]
    )


def updated(*changes: dict, parameters: Parameters = PARAMETERS, state=None) -> pl.DataFrame:
    return DETECTOR.update(DETECTOR.new_state() if state is None else state, frame_of(*changes), parameters, Limits())


def test_only_a_crowd_has_weight():
    frame = updated(*[{}] * 8)
    assert frame["range_calls"].to_list() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert np.diff(frame["account_sums"].to_numpy()[:, 0]) == pytest.approx([0.04, 0.16, 0.36, 0.64, 1.0, 1.0, 1.0])
    assert frame["account_score"].to_list() == pytest.approx([0, 0.04, 0.2, 0.56, 1.2, 2.2, 3.2, 4.2])
    assert updated({}, {"t_ms": T_MS + 900_000})["range_calls"].to_list() == pytest.approx([1.0, 1.5]), "a crowd decays"


@pytest.mark.parametrize(
    ("row", "weighted"),
    [
        ({}, 1.0),
        ({"weight": 6.0}, 6.0),
        ({"money": 2.5}, 2.5),
        ({"money": 0.0, "currency": "", "talk_ms": 120_000}, 0.5),  # no price is known: a minute at a quarter
        ({"money": 1.0, "currency": "EUR", "talk_ms": 120_000}, 1.0),
        ({"money": 0.0, "currency": "", "talk_ms": 120_000, "weight": 4.0}, 2.0),
    ],
)
def test_a_row_weighs_its_money_by_the_risk_of_its_destination(row, weighted):
    sums = updated(*[{"money": 0.0}] * 6, row)["b_range_sums"].to_numpy()[:, 0]
    assert sums[-1] - sums[-2] == pytest.approx(weighted)


def test_a_subject_s_long_average_raises_its_floor():
    parameters = Parameters(account_floor=1.0, half_life_s=1000.0, baseline_half_life_s=8000.0, baseline_factor=4.0)
    frame = updated(*[{}] * 8, parameters=parameters)
    usual = frame["account_sums"].to_numpy()[-1, 1]
    assert usual == pytest.approx(3.2 / 8) and frame["account_score"][-1] == pytest.approx(4.2 / (4.0 * 3.2 / 8))
    faded = updated(*[{}] * 8, {"t_ms": T_MS + 8_000_000}, parameters=parameters)
    assert faded["account_sums"].to_numpy()[-1, 1] == pytest.approx(4.2 / 2 / 8)


def test_a_floor_of_0_gives_a_finite_score():
    nothing = Parameters(account_floor=0.0, a_number_floor=0.0, b_range_floor=0.0, unpriced_floor=0.0, baseline_factor=0.0)
    assert updated({}, parameters=nothing)["account_score"].to_list() == [0.0]
    assert updated({}, {}, parameters=nothing)["account_score"][-1] == pytest.approx(0.04e9)


@pytest.mark.parametrize(
    ("changes", "hits"),
    [
        ({}, [("b_range", "")]),  # the narrowest level reports, and blocks
        ({"b_range": ""}, [("account", "a_number"), ("a_number", "wide")]),  # a short number is no range
        ({"a_number": ""}, [("b_range", "")]),  # a withheld caller is nobody
        ({"a_number": "", "b_range": ""}, [("account", "wide")]),
    ],
)
def test_each_level_over_its_floor_is_a_hit(changes, hits):
    found = DETECTOR.findings(updated(*[changes] * 5), PARAMETERS, Limits())
    assert [(hit.subject_kind, hit.no_block) for hit in found] == hits
    assert {(hit.row, hit.detector, round(hit.score, 3), hit.cap, hit.value, hit.limit) for hit in found} == {(4, "burst", 1.2, "", 0, 0)}
    assert not DETECTOR.findings(updated(*[changes] * 4), PARAMETERS, Limits())


def test_a_score_of_one_is_a_hit():
    score = updated(*[{}] * 5)["account_score"][-1]
    at = Parameters(account_floor=score, a_number_floor=1e9, b_range_floor=1e9)
    assert [hit.score for hit in DETECTOR.findings(updated(*[{}] * 5, parameters=at), at, Limits())] == [1.0]


@pytest.mark.parametrize(
    ("row", "weighted"),
    [
        ({"odd": UNREADABLE, "talk_ms": 240_000}, 6.0),  # as premium rate, a minute at a quarter
        ({"odd": NO_RATE, "talk_ms": 240_000, "weight": 3.0}, 3.0),
        ({"odd": NO_RATE, "talk_ms": 240_000, "odd_answers": 0}, 1.0),
    ],
)
def test_numbers_that_cannot_be_priced_crowd_together(row, weighted):
    odd = {"odd": NO_RATE, "odd_answers": 1, "k_unpriced": 9, "currency": "", "money": 0.0, "nanos": 0}
    frame = updated(*[odd | {"talk_ms": 0}] * 6, {}, odd | row)
    sums = frame["unpriced_sums"].to_numpy()[:, 0]
    assert sums[-1] - sums[-3] == pytest.approx(weighted) and sums[-2] == 0.0, "a row that has a price is not of it"
    assert frame["unpriced_score"].to_list()[:6] == [0.0] * 6 and frame["unpriced_counts"].to_numpy()[-1, 1] == 6 + (row.get("odd_answers", 1))
    hits = DETECTOR.findings(frame, PARAMETERS, Limits())
    assert [(hit.row, hit.subject_kind) for hit in hits if hit.subject_kind == "unpriced"] == [(7, "unpriced")]
    assert "unpriced_score" not in updated({}).columns


# --- how long a subject is remembered ---


@pytest.mark.parametrize(
    ("times", "group", "stays_ms"),
    [
        (1, "range", 6 * HOUR_MS),
        (1, "account", 6 * HOUR_MS),
        (8, "account", 6 * HOUR_MS),  # its long average does not matter
    ],
)
def test_a_subject_may_be_forgotten_after_six_hours_of_silence(times, group, stays_ms):
    state = DETECTOR.new_state()
    updated(*[{}] * times, state=state)
    assert int(state[group]["until_ms"][0]) == T_MS + stays_ms


def test_a_subject_with_a_high_long_average_is_remembered_for_longer():
    """4.2 euro on average over 8 s half-lives, 1 s of them at 8 times: 4.2 against a twentieth of a floor of 1."""
    parameters = Parameters(account_floor=1.0, half_life_s=10_000.0, baseline_half_life_s=80_000.0, baseline_factor=8.0)
    state = DETECTOR.new_state()
    updated(*[{}] * 8, parameters=parameters, state=state)
    assert int(state["account"]["until_ms"][0]) - T_MS == pytest.approx(80_000_000 * math.log2(4.2 / 0.05), abs=2)


# --- the facts of an episode ---


def sums_of(**changes) -> dict:
    """What a row has of its subject: 5 euro in 5 calls since `began_ms`, of 12 euro and 7 calls in all."""
    floats = {"weighted": 4.0, "usual": 0.0, "usual_money": 12.0, "calls": 5.0, "lead": 2.0}
    ints = {
        "sum_nanos": 12 * 10**9, "sum_calls": 7, "sum_talk_ms": 700, "since_ms": T_MS - 3 * HOUR_MS, "top": 143123450001, "began_ms": T_MS - HOUR_MS,
        "now_nanos": 5 * 10**9, "now_calls": 5, "now_talk_ms": 500,
    }  # fmt: skip
    merged = floats | ints | changes
    return {"sums": [merged[name] for name in FLOATS], "counts": [merged[name] for name in INTS]}


def facts_of(kind: str = "a_number", start: dict | None = None, account: dict | None = None, row: dict | None = None, **changes):
    own, whole = sums_of(**changes), sums_of(**(account or {}))
    values = frame_of(row or {}).row(0, named=True)
    values |= {f"{kind}_sums": own["sums"], f"{kind}_counts": own["counts"]}
    if kind != "account":
        values |= {"account_sums": whole["sums"], "account_counts": whole["counts"]}
    start = {} if start is None else start
    return DETECTOR.facts(Case(Hit(0, "burst", kind, 1.0), values, start, "EUR", ["1#2"]), PARAMETERS), start


def test_an_episode_includes_what_its_windows_contain_when_it_begins():
    facts, start = facts_of()
    assert (facts.nanos, facts.calls, facts.talk_ms, facts.window_ms, facts.currency) == (5 * 10**9, 5, 500, HOUR_MS, "EUR")
    assert (start["nanos"], start["calls"], start["talk_ms"], start["began_ms"]) == (7 * 10**9, 2, 200, T_MS - HOUR_MS)
    later, _ = facts_of(start=start, row={"t_ms": T_MS + 5}, sum_nanos=20 * 10**9, sum_calls=9, sum_talk_ms=900, began_ms=T_MS, now_nanos=0)
    assert (later.nanos, later.calls, later.talk_ms, later.window_ms) == (13 * 10**9, 7, 700, HOUR_MS + 5)
    assert facts_of(began_ms=T_MS)[0].window_ms == 0 == facts_of(began_ms=T_MS + 5)[0].window_ms, "a late row"
    nothing, _ = facts_of(sum_nanos=0, now_nanos=0)
    assert (nothing.nanos, nothing.currency) == (0, "")


@pytest.mark.parametrize(
    ("kind", "changes", "share"),
    [
        ("a_number", {}, 75),  # it leads all others by half of the whole
        ("a_number", {"lead": 4.0}, 100),
        ("a_number", {"lead": 0.0}, 50),
        ("a_number", {"lead": 5.0}, 100),
        ("a_number", {"lead": -5.0}, 0),
        ("a_number", {"weighted": 0.5, "lead": 0.25}, 75),
        ("a_number", {"weighted": 0.0, "lead": 0.0}, 0),
        ("b_range", {"lead": 0.0}, 100),
    ],
)
def test_the_share_of_the_leading_number(kind, changes, share):
    assert facts_of(kind, **changes)[0].share_percent == share


def test_the_destination_is_that_of_the_leading_number():
    facts, _ = facts_of()
    assert (facts.b_range, facts.code, facts.country, facts.country_name, facts.number_kind) == ("4312345", "43", "AT", "Austria", "fixed line")
    facts, _ = facts_of(top=0, row={"b_kind": "invalid"})
    assert (facts.b_range, facts.code, facts.number_kind) == ("", "", "numbers that cannot be read")
    assert (facts.account, facts.trunk, facts.a_number, facts.dialled) == ("acme", "", "4366", [])
    facts, _ = facts_of(row={"account": ""})
    assert (facts.account, facts.trunk) == ("", "in")
    assert facts_of("unpriced")[0].dialled == ["1#2"]


@pytest.mark.parametrize(
    ("changes", "account", "quiet_ms"),
    [
        ({"since_ms": T_MS - HOUR_MS, "began_ms": T_MS - HOUR_MS}, {}, 2 * HOUR_MS),  # new under an account that is watched for longer
        ({"since_ms": T_MS, "began_ms": T_MS - HOUR_MS}, {}, 2 * HOUR_MS),
        ({"since_ms": T_MS - HOUR_MS - 1, "began_ms": T_MS - HOUR_MS}, {}, 0),  # it was there before
        ({"since_ms": T_MS, "began_ms": T_MS}, {"since_ms": T_MS - 99 * HOUR_MS}, 6 * HOUR_MS),  # it may have been forgotten
        ({"since_ms": T_MS, "began_ms": T_MS}, {"since_ms": T_MS + 1}, 0),
    ],
)
def test_how_long_a_subject_was_silent_before(changes, account, quiet_ms):
    assert facts_of(account=account, **changes)[0].quiet_ms == quiet_ms


def test_usual_spending_needs_an_hour_of_history():
    facts, start = facts_of(began_ms=T_MS - HOUR_MS, since_ms=T_MS - 2 * HOUR_MS, account={"since_ms": T_MS - HOUR_MS})
    assert facts.usual_nanos == pytest.approx(7 * 10**9, rel=0.01), "7 euro in the hour before"
    assert facts.usual_nanos == round(start["usual_per_ms"] * HOUR_MS * 1e9)
    assert facts.account_usual_nanos is None
    facts, _ = facts_of(began_ms=T_MS - HOUR_MS, since_ms=T_MS - 2 * HOUR_MS + 1)
    assert facts.usual_nanos is None and facts.account_usual_nanos == pytest.approx(3.5 * 10**9, rel=0.01), "7 euro in two hours"
    assert usual_per_ms({"began_ms": 1, "since_ms": 0, "usual_money": 9.0, "now_nanos": 0}, PARAMETERS) == -1.0
    facts, start = facts_of("account")
    assert (facts.account_usual_nanos, start["account_usual_per_ms"]) == (None, -1.0), "an account is compared with itself alone"
    assert facts_of(usual_money=4.0)[0].usual_nanos == 0, "the windows hold more than is left of the past"
    assert usual_per_ms({"usual_money": 1.0, "now_nanos": 0, "since_ms": 0, "began_ms": 10**15}, PARAMETERS) == pytest.approx(
        math.log(2) / (7 * 86_400_000), rel=1e-6
    ), "of an endless past a half-life counts"


def test_the_default_parameters():
    assert msgspec.to_builtins(Parameters()) == {
        "half_life_s": 900.0, "baseline_half_life_s": 604_800.0, "account_floor": 120.0, "a_number_floor": 80.0, "b_range_floor": 50.0,
        "unpriced_floor": 60.0, "baseline_factor": 6.0, "unpriced_per_min": 0.25, "unpriced_risk": 6.0,
    }  # fmt: skip
