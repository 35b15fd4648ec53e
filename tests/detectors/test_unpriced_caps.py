"""Calls to numbers that cannot be read or priced: counted, capped and alerted per account; a person decides on the block."""

from __future__ import annotations

import random

import msgspec
import polars as pl
import pytest

from core.config import Account, Config, Trunk, UnpricedCaps
from core.decode import Message
from core.facts import UNPRICED
from core.policy import Policy
from core.record import TICK_KEY, Record, Tick, journal_key
from detectors import engine
from detectors.caps import NOT_COUNTED
from detectors.columns import FOR_EVER
from detectors.features import FEATURES, NO_RATE, READABLE
from detectors.protocol import Limits
from detectors.registry import detectors
from detectors.unpriced_caps import DETECTOR
from flows.repartition import merge, spread
from flows.snapshot import freeze, pack, unpack
from flows.step import State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck

NOW_MS = 1_772_438_400_000
DECK = b"prefix,price_per_min\n4,0.02\n371,2"
STORED = {"unpriced": {"hour": "int64", "hour_calls": "int64", "hour_talk_ms": "int64", "active": "int64"}}
UNREADABLE = ["1234#8821312345", "0088213\x01\x0212345", "ACME Bank", "", "anonymous", "+999999999999999999999", "12%4188213", "+0882131234567"]


def contracts(policy: Policy = Policy(), **account):
    config = Config(
        version=1, decks={"basic": "x"}, trunks=(Trunk(tenant="t1", name="in"),), policy=policy,
        accounts=(Account(tenant="t1", name="acme", sell_deck="basic", **account), Account(tenant="t1", name="blue", sell_deck="basic")),
    )  # fmt: skip
    return compile_contracts(config, {"basic": read_deck(DECK, "basic", "EUR")})


class Log:
    """Messages of ended calls, and of the answers of active calls."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.at_ms = NOW_MS

    def add(self, event: str, call: str, b_raw: str, account: str = "acme", **more) -> None:
        self.at_ms += 1000
        offset = len(self.messages)
        record = Record(
            v=2, event=event, switch="k1", boot_id="b", seq=offset, dialog_id=call, call_id=call, at_ms=self.at_ms, account=account,
            ingress_trunk="in", a_raw="+4366012345678", b_raw=b_raw, sip_code=200, **more,
        )  # fmt: skip
        self.messages.append(Message(0, offset, self.at_ms, journal_key("t1", account, "in"), msgspec.json.encode(record)))

    def calls(self, times: int, *numbers: str, talk_s: int = 480, account: str = "acme") -> None:
        for no in range(times):
            ended = self.at_ms + 1000
            number = numbers[no % len(numbers)]
            self.add("stop", f"{account}-{len(self.messages)}", number, account, answer_ms=ended - talk_s * 1000, end_ms=ended)

    def tick(self, after_ms: int) -> None:
        self.at_ms += after_ms
        tick = Tick(at_ms=self.at_ms, config_version=1, complete_to_ms={"k1": self.at_ms})
        self.messages.append(Message(0, len(self.messages), self.at_ms, TICK_KEY, msgspec.json.encode(tick)))


@pytest.fixture(autouse=True)
def no_others(monkeypatch):
    """Judged by these caps and bursts alone: the same calls may look like another fraud as well."""
    monkeypatch.setattr(engine, "detectors", lambda: tuple(one for one in detectors() if one.name in ("burst", "unpriced_caps")))


def judged(log: Log, rules, cuts=(), restart: bool = False):
    state, findings, orders = State(b"s" * 16), [], []
    for start, end in zip([0, *cuts], [*cuts, len(log.messages)], strict=True):
        if restart:
            state = unpack(pack(freeze(state)))
        outcome = judge(state, log.messages[start:end], lambda _: rules)
        findings += outcome.findings
        orders += outcome.orders
    return findings, orders


@pytest.mark.parametrize("b_raw", UNREADABLE)
def test_unreadable_numbers_raise_an_alert_and_an_order_that_waits(b_raw):
    log = Log()
    log.calls(150, b_raw)
    findings, orders = judged(log, contracts())
    mine = [f for f in findings if f.subject_kind == UNPRICED]
    assert mine and {f.subject for f in mine} == {"acme>numbers that cannot be read or priced"}
    assert mine[0].facts.calls <= 10, "within the first calls, not after hours"
    assert mine[-1].facts.calls > 100 and mine[-1].facts.talk_ms == mine[-1].facts.calls * 480_000
    assert mine[-1].facts.dialled == [b_raw]
    assert {(o.key.text(), o.ask) for o in orders} == {("t1/account:acme", True)}
    assert "waits for a person" in mine[0].reason and orders[0].reason in mine[0].reason


@pytest.mark.parametrize("b_raw", ["+99890123456", "+88213123456", "+9609001234567", "+5312345678", "12345"])
def test_numbers_without_a_rate_raise_an_alert(b_raw):
    log = Log()
    log.calls(150, b_raw)
    findings, _ = judged(log, contracts())
    mine = [f for f in findings if f.subject_kind == UNPRICED]
    assert mine and mine[0].facts.dialled == [b_raw]


@pytest.mark.parametrize("b_raw", ["+4312345678", "+37120123456", "112"])
def test_priced_and_emergency_calls_do_not_count(b_raw):
    log = Log()
    log.calls(150, b_raw)
    findings, _ = judged(log, contracts(unpriced_caps=UnpricedCaps(calls_hour=0, minutes_hour=0, concurrent_calls=0)))
    assert not [f for f in findings if f.subject_kind == UNPRICED]


def test_different_numbers_are_one_subject():
    log = Log()
    log.calls(60, *(f"{no}#88213{no:06d}" for no in range(60)))
    findings, _ = judged(log, contracts())
    assert len({f.finding_id for f in findings if f.subject_kind == UNPRICED}) == 1
    assert len(findings[-1].facts.dialled) == 5


@pytest.mark.parametrize(("blocks", "asked", "key"), [("ask", [True], True), ("automatic", [False], True), ("never", [], False)])
def test_the_policy_decides_whether_an_order_waits(blocks, asked, key):
    log = Log()
    log.calls(20, "1#2")
    findings, orders = judged(log, contracts(Policy(unpriced_blocks=blocks, reissue_ms=3_600_000)))
    mine = [f for f in findings if f.subject_kind == UNPRICED]
    assert [o.ask for o in orders] == asked and (mine[0].key is not None) == key
    assert "Not blocked: the policy sets" in mine[0].reason or key


def test_a_few_misdialled_calls_raise_no_alert():
    log = Log()
    for _ in range(20):
        log.calls(1, "1#2", talk_s=30)
        log.calls(10, "+4312345678", talk_s=60)
        log.tick(600_000)
    assert judged(log, contracts()) == ([], [])


def test_each_account_has_its_own_unreadable_calls():
    log = Log()
    log.calls(40, "1#2")
    log.calls(2, "1#2", account="blue")
    findings, orders = judged(log, contracts())
    assert {f.facts.account for f in findings} == {"acme"} == {o.key.account for o in orders}


@pytest.mark.parametrize(
    ("caps", "detector", "words"),
    [
        (UnpricedCaps(calls_hour=5), "cap_calls_hour", "acme has made 6 answered calls this hour to numbers that cannot be read or priced"),
        (UnpricedCaps(minutes_hour=5), "cap_minutes_hour", "acme has talked 6 minutes this hour to numbers that"),
    ],
)
def test_caps_of_the_hour(caps, detector, words):
    log = Log()
    log.calls(3, "1#2", talk_s=60)
    log.calls(3, "+99890123456", talk_s=60)
    log.calls(9, "+4312345678", talk_s=60)
    findings, orders = judged(log, contracts(unpriced_caps=caps))
    assert [f.detector for f in findings] == [detector] and words in findings[0].reason
    assert "“1#2”, “+99890123456”" in findings[0].reason and [o.ask for o in orders] == [True]


def test_a_cap_per_hour_starts_again_each_hour():
    log = Log()
    for _ in range(4):
        log.calls(5, "1#2", talk_s=60)
        log.tick(3_600_000)
    assert judged(log, contracts(unpriced_caps=UnpricedCaps(calls_hour=5, minutes_hour=5))) == ([], [])


@pytest.mark.parametrize("b_raw", ["1#2", "+99890123456"])
def test_concurrent_calls_count_from_answer_to_end(b_raw):
    log = Log()
    for event, call in [("answer", 1), ("answer", 2), ("stop", 1), ("answer", 3), ("stop", 2), ("stop", 3), ("answer", 4), ("answer", 5)]:
        log.add(event, f"c{call}", b_raw)
    for call in range(6, 9):
        log.add("answer", f"c{call}", "+4312345678")
    rules = contracts(unpriced_caps=UnpricedCaps(concurrent_calls=2))
    assert judged(log, rules) == ([], [])
    log.add("answer", "c9", b_raw)
    (finding,), _ = judged(log, rules)
    assert "acme has 3 calls at once to numbers that cannot be read or priced" in finding.reason


def test_a_call_that_a_new_deck_prices_before_its_end_still_ends():
    rules, later = contracts(unpriced_caps=UnpricedCaps(concurrent_calls=1)), None
    deck = read_deck(DECK + b"\n998,1", "basic", "EUR")
    config = Config(
        version=2, decks={"basic": "y"}, trunks=(Trunk(tenant="t1", name="in"),),
        accounts=(Account(tenant="t1", name="acme", sell_deck="basic", unpriced_caps=UnpricedCaps(concurrent_calls=1)),),
    )  # fmt: skip
    later = compile_contracts(config, {"basic": deck})
    state, log = State(b"s" * 16), Log()
    for no in range(10):
        log.add("answer", f"c{no}", "+99890123456")
        assert not judge(state, log.messages[-1:], lambda _: rules).findings
        log.add("stop", f"c{no}", "+99890123456")
        assert not judge(state, log.messages[-1:], lambda _: later).findings


def mixed(seed: int) -> Log:
    rng, log = random.Random(seed), Log()
    for no in range(300):
        b_raw = rng.choice([*UNREADABLE, "+99890123456", "+88213123456", "+4312345678", "+37120123456", "112", "4711"])
        account = rng.choice(["acme", "acme", "blue", ""])
        log.add("answer", f"c{no}", b_raw, account)
        if rng.random() < 0.8:
            log.at_ms += rng.randrange(60_000)
            log.add("stop", f"c{no}", b_raw, account)
        if rng.random() < 0.1:
            log.tick(rng.randrange(1, 900_000))
    return log


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batch_boundaries_and_restarts_change_no_finding(seed):
    log, rules = mixed(seed), contracts(unpriced_caps=UnpricedCaps(calls_hour=20, minutes_hour=50, concurrent_calls=5))
    whole = judged(log, rules)
    assert {f.detector for f in whole[0]} >= {"burst", "cap_calls_hour", "cap_minutes_hour", "cap_concurrent_calls"}
    cuts = sorted(random.Random(seed).sample(range(1, len(log.messages)), 40))
    for restart in (False, True):
        assert judged(log, rules, cuts, restart) == whole


def test_dialled_numbers_move_with_their_account():
    log, rules = mixed(1), contracts(unpriced_caps=UnpricedCaps(calls_hour=20))
    half = len(log.messages) // 2
    outcomes = []
    for moves in (False, True):
        state = State(b"s" * 16, partitions=1)
        judge(state, log.messages[:half], lambda _: rules)
        if moves:
            (state,) = spread(merge([state], b""), 1, 1)
        outcomes.append(judge(state, log.messages[half:], lambda _: rules))
    assert outcomes[0].findings == outcomes[1].findings and outcomes[0].orders == outcomes[1].orders
    assert any(f.facts.dialled for f in outcomes[0].findings)


def test_talk_time_that_has_a_price_does_not_count():
    limits, state = Limits(unpriced_caps={("t1", "acme"): UnpricedCaps(minutes_hour=0)}), DETECTOR.new_state()
    plain = {name: "" if FEATURES[name] == pl.String else 0 for name in DETECTOR.needs}
    mine = plain | {"tenant": "t1", "account": "acme", "t_ms": NOW_MS, "k_unpriced": 7, "talk_ms": 60_000}
    schema = {name: FEATURES[name] for name in DETECTOR.needs}
    for odd, hits in ((READABLE, 0), (NO_RATE, 1)):
        frame = DETECTOR.update(state, pl.DataFrame([mine | {"odd": odd}], schema=schema), None, limits)
        assert len(DETECTOR.findings(frame, None, limits)) == hits


LIMITS = Limits(unpriced_caps={("t1", "acme"): UnpricedCaps(calls_hour=9)})
HOUR_MS = 3_600_000
T_MS = 500_000 * HOUR_MS


def rows(*changes: dict) -> pl.DataFrame:
    plain = {name: "" if FEATURES[name] == pl.String else 0 for name in DETECTOR.needs}
    call = plain | {"tenant": "t1", "account": "acme", "t_ms": T_MS, "k_unpriced": 7, "odd": NO_RATE}
    return pl.DataFrame([call | one for one in changes], schema={name: FEATURES[name] for name in DETECTOR.needs})


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ([{"odd_answers": 1, "talk_ms": 5, "odd_active": 1}], [1, 5, 1]),
        ([{"odd_answers": 1, "talk_ms": 5}, {"odd_answers": 1, "talk_ms": 6, "odd_active": -1}], [2, 11, -1]),
        ([{"odd_answers": 1, "talk_ms": 5}, {"odd_answers": 1, "talk_ms": 6, "t_ms": T_MS + HOUR_MS - 1}], [2, 11, 0]),
        ([{"odd_answers": 1, "talk_ms": 5, "odd_active": 1}, {"odd_answers": 1, "talk_ms": 6, "t_ms": T_MS + HOUR_MS}], [1, 6, 1]),  # another hour
        ([{"odd_answers": 1, "talk_ms": 5}, {"odd_answers": 1, "talk_ms": 6, "t_ms": T_MS - 1}], [1, 5, 0]),  # a late row
        ([{"odd_answers": 1, "talk_ms": 5, "account": "other"}], [NOT_COUNTED] * 3),
        ([{"odd_answers": 1, "talk_ms": 5, "k_unpriced": 0, "odd": READABLE}], [NOT_COUNTED] * 3),  # it has a price
    ],
)
def test_answers_and_talk_time_count_per_clock_hour_and_active_calls_beside_them(changes, values):
    frame = DETECTOR.update(DETECTOR.new_state(), rows({}, *changes), None, LIMITS)
    assert frame["cap_unpriced"].to_list()[-1] == values


def test_without_such_a_row_there_is_no_column():
    for changes in ({"k_unpriced": 0}, {"account": "other"}):
        state = DETECTOR.new_state()
        assert "cap_unpriced" not in DETECTOR.update(state, rows(changes), None, LIMITS).columns
        assert len(state[UNPRICED]) == 0


@pytest.mark.parametrize(("active", "until_ms"), [(0, T_MS + HOUR_MS + 2 * 86_400_000), (1, FOR_EVER), (-1, T_MS + HOUR_MS + 2 * 86_400_000)])
def test_an_account_is_remembered_for_two_days_after_its_latest_hour_or_while_a_call_is_active(active, until_ms):
    state = DETECTOR.new_state()
    DETECTOR.update(state, rows({"odd_active": active, "t_ms": T_MS + 5}), None, LIMITS)
    assert int(state[UNPRICED]["until_ms"][0]) == until_ms
