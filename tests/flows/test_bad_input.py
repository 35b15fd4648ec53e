"""Whatever comes over the wire gets one disposition and a reason; the flow never stops, and no record disappears."""

from __future__ import annotations

import json

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import schemas
from core.config import Account, Carrier, Config, Trunk
from core.decode import MAX_BYTES
from core.message import Message
from core.policy import Policy
from core.record import TICK_KEY, Tick, journal_key
from flows.snapshot import freeze, pack, unpack
from flows.step import State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck

NOW_MS = 1_772_438_400_000
HOUR_MS = 3_600_000
DECK = read_deck(b"prefix,price_per_min,attempt_fee\n43,0.06,0.001\n44,0.12,0", "basic", "EUR")
CONFIG = Config(
    version=1,
    accounts=(Account(tenant="t1", name="acme", sell_deck="basic"),),
    carriers=(Carrier(tenant="t1", name="blue", buy_deck="basic"),),
    trunks=(Trunk(tenant="t1", name="in-1", account="acme"),),
    decks={"basic": DECK.deck_id},
)
CONTRACTS = compile_contracts(CONFIG, {"basic": DECK})


def stop(**facts) -> dict:
    """A good stop of 60 seconds to Austria, with some facts changed."""
    return {
        "v": 2, "event": "stop", "switch": "k1", "at_ms": NOW_MS, "boot_id": "b1", "seq": 1, "dialog_id": "d1", "call_id": "c1",
        "account": "acme", "ingress_trunk": "in-1", "carrier": "blue", "a_raw": "+4366012345678", "b_raw": "+431234567",
        "answer_ms": NOW_MS - 60_000, "end_ms": NOW_MS, "sip_code": 200, **facts,
    }  # fmt: skip


def judged(*values: bytes | dict, state: State | None = None, first_offset: int = 1, learned_ms: int = NOW_MS + 100):
    state = state or State(b"s" * 16)
    tick = msgspec.json.encode(Tick(at_ms=NOW_MS - 120_000, config_version=1, complete_to_ms={"k1": NOW_MS - 120_000}))
    messages = [Message(0, 0, NOW_MS - 120_000, TICK_KEY, tick)]
    for offset, value in enumerate(values, first_offset):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        messages.append(Message(0, offset, learned_ms, journal_key("t1", "acme", ""), raw))
    outcome = judge(state, messages, lambda version: CONTRACTS if version else compile_contracts(Config(version=0), {}))
    assert outcome.records.height == len(values), "every record has its row"
    return outcome, state


def fate(*values, **kwargs) -> list[tuple[str, str]]:
    outcome, _ = judged(*values, **kwargs)
    return list(outcome.records.sort("offset").select("disposition", "reason").iter_rows())


GOOD = json.dumps(stop()).encode()


@pytest.mark.parametrize(
    ("value", "disposition", "reason"),
    [
        (stop(), "rated", ""),
        # what is no record at all
        (GOOD[:40], "reject", "not JSON: Input data was truncated"),
        (b"", "reject", "not JSON"),
        (b"\x00" * 30, "reject", "not JSON"),
        (b"[" * 50_000, "reject", "not JSON"),
        (GOOD.replace(b"acme", b"ac\x00me"), "reject", "not JSON"),
        (GOOD.replace(b"acme", b"ac\xffme"), "reject", "not JSON"),
        (b"[1,2]", "reject", "not a version 2 record"),
        (stop(at_ms="noon"), "reject", "`int`, got `str` - at `$.at_ms`"),
        (stop(event="flash"), "reject", "Invalid enum value 'flash'"),
        (stop(v=1), "reject", "version 1 is unknown: this release reads version 2"),
        (stop(seq=-1), "reject", "$.seq"),
        (stop(at_ms=0, end_ms=0), "reject", "1970-01-01"),
        (stop(at_ms=4_102_444_800_000), "reject", "2100-01-01"),
        (stop(user_agent="x" * 1_000_000), "reject", f"more than the {MAX_BYTES} of a record"),
        (stop(tenant="t2"), "reject", "the body has tenant 't2', its key 't1'"),
        (stop(b_raw="1" * 5000), "reject", "$.b_raw"),
        (stop(attempt_no=2**40), "reject", "$.attempt_no"),
        # what is a record whose money cannot be told
        (stop(b_raw=""), "unrated", "b_number is empty"),
        (stop(b_raw="4312345678901234567890"), "unrated", "b_number is invalid"),
        (stop(b_raw="+43%41x"), "unrated", "b_number is alpha"),
        (stop(b_raw="144"), "unrated", "b_number 144 is short"),
        (stop(b_raw="+99890123456"), "unrated", "no rate for 99890123456 in deck basic"),
        (stop(duration_ms=-5), "unrated", "duration_ms -5 is negative"),
        (stop(answer_ms=NOW_MS + 5000), "unrated", "lies before answer"),
        (stop(answer_ms=86_400_000), "unrated", "is not a time between 2000 and the stop"),
        (stop(duration_ms=8 * 86_400_000), "unrated", "longer than seven days"),
        (stop(answer_ms=None, end_ms=None), "unrated", "a stop without a start"),
        (stop(account="nobody"), "unrated", "account 'nobody' is not known: add it"),
        (stop(account=""), "unrated", "no ingress account"),
        (stop(ingress_trunk="in-9"), "unrated", "ingress trunk 'in-9' is not known"),
        (stop(carrier="red"), "unrated", "carrier 'red' is not known"),
        # what is odd, and priced all the same: a bad A never stops the pricing by B
        (stop(a_raw=""), "rated", ""),
        (stop(a_raw="anonymous"), "rated", ""),
        (stop(a_raw="ACME Bank"), "rated", ""),
        (stop(a_raw="%00%01"), "rated", ""),
        (stop(a_raw="\u0000"), "rated", ""),
        (stop(b_raw="112"), "rated", ""),
        (stop(answer_ms=None, sip_code=486), "rated", ""),
        (stop(colour="red"), "rated", ""),
    ],
)
def test_a_record_and_what_becomes_of_it(value, disposition, reason):
    outcome, _ = judged(value)
    row = outcome.records.row(0, named=True)
    assert (row["disposition"], reason in row["reason"]) == (disposition, True), row["reason"]
    assert bool(row["reason"]) == (disposition != "rated")
    assert outcome.priced.height == (1 if disposition == "rated" else 0)
    if disposition == "reject":
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        assert raw.startswith(row["raw"]) and (row["raw"] or not raw)


def test_a_bad_record_does_not_touch_its_neighbours():
    fates = fate(stop(), b"{", stop(seq=2, dialog_id="d2"), stop(seq=3, dialog_id="d3", b_raw=""), stop(seq=4, dialog_id="d4"))
    assert [disposition for disposition, _ in fates] == ["rated", "reject", "rated", "unrated", "rated"]


def test_the_same_record_twice_in_one_batch_and_again_an_hour_later():
    outcome, state = judged(stop(), stop())
    assert outcome.records["disposition"].to_list() == ["rated", "duplicate"]
    later, _ = judged(stop(), state=state, first_offset=10, learned_ms=NOW_MS + HOUR_MS)
    assert later.records["disposition"].to_list() == ["duplicate"]
    assert later.priced.is_empty()


def test_the_same_delivery_and_the_same_call_with_other_content_are_conflicts():
    fates = fate(stop(), stop(answer_ms=NOW_MS - 1000), stop(seq=2, answer_ms=NOW_MS - 1000))
    assert fates[0][0] == "rated"
    assert fates[1] == ("conflict", "sequence 1 of boot b1 was delivered before with other content")
    assert fates[2] == ("conflict", "this call was ended before by a stop with other content")


def test_a_sequence_number_too_old_to_tell_is_unrated_not_dropped():
    fates = fate(stop(seq=40_000), stop(seq=7_000, dialog_id="d2"), stop(seq=7_500, dialog_id="d3"))
    assert [d for d, _ in fates] == ["rated", "unrated", "rated"]
    assert fates[1][1] == "sequence 7000 of boot b1 is too old to tell whether it was counted before"


def test_a_start_that_never_stops_is_closed_as_hung_and_its_late_stop_corrects_it():
    answer = stop(event="answer", at_ms=NOW_MS - 60_000, answer_ms=None, end_ms=None)
    _, state = judged(answer)
    beyond_ms = NOW_MS + 5 * HOUR_MS
    tick = msgspec.json.encode(Tick(at_ms=beyond_ms, config_version=1, complete_to_ms={"k1": beyond_ms}))
    hung = judge(state, [Message(0, 5, beyond_ms, TICK_KEY, tick)], lambda _: CONTRACTS)
    closed = hung.priced.row(0, named=True)
    assert (closed["suspected_hung"], closed["revision"], closed["offset"]) == (True, 1, 1)
    late, _ = judged(stop(seq=2), state=state, first_offset=6, learned_ms=beyond_ms)
    corrected = late.priced.row(0, named=True)
    # Under the same place, as the next revision: money is read from the highest, and nothing is charged twice.
    assert (corrected["offset"], corrected["revision"], corrected["billable_s"]) == (1, 2, 60)


def test_a_spool_that_drains_hours_later_does_not_look_like_calls_in_flight():
    """The switch says how far it has delivered; only up to there a call without a stop is in flight."""
    answer = stop(event="answer", at_ms=NOW_MS - 60_000, answer_ms=None, end_ms=None, b_raw="+441234567890")
    _, state = judged(answer)
    later_ms = NOW_MS + 2 * HOUR_MS
    tick = msgspec.json.encode(Tick(at_ms=later_ms, config_version=1, complete_to_ms={"k1": NOW_MS - 30_000}))
    judge(state, [Message(0, 5, later_ms, TICK_KEY, tick)], lambda _: CONTRACTS)
    (call,) = state.calls[0].active.values()
    assert call.accrued_ms == 30_000


def test_parts_are_added_up_once_all_are_there():
    part = {"event": "partial", "answer_ms": NOW_MS - 60_000, "sip_code": None}
    outcome, _ = judged(
        stop(**part, seq=1, part_no=0, duration_ms=20_000), stop(**part, seq=2, part_no=2, duration_ms=25_000, last=True),
        stop(**part, seq=3, part_no=1, duration_ms=15_000),
    )  # fmt: skip
    assert outcome.records["disposition"].to_list() == ["event", "event", "rated"]
    assert outcome.priced["billable_s"].to_list() == [60]


def tick(at_ms: int) -> Message:
    return Message(0, 1_000_000, at_ms, TICK_KEY, msgspec.json.encode(Tick(at_ms=at_ms, config_version=1, complete_to_ms={"k1": at_ms})))


def hung_after(state: State) -> pl.DataFrame:
    return judge(state, [tick(NOW_MS + 6 * HOUR_MS)], lambda _: CONTRACTS).priced


UNTIMED = {"answer_ms": None, "end_ms": None, "sip_code": None}
SILENT_FEED = {"boot_id": "", "seq": None}


@pytest.mark.parametrize("late", [False, True])
def test_a_feed_without_a_sequence_ends_the_call_that_its_answer_opened(late):
    answer = stop(event="answer", at_ms=NOW_MS - 60_000, **SILENT_FEED)
    records = (stop(**SILENT_FEED), answer) if late else (answer, stop(**SILENT_FEED), stop(**SILENT_FEED))
    outcome, state = judged(*records)
    assert outcome.priced["billable_s"].to_list() == [60]
    assert hung_after(state).is_empty(), "not charged a second time as hung"


@pytest.mark.parametrize("event", ["interim", "partial"])
def test_talk_that_was_reported_is_owed_even_where_neither_answer_nor_stop_arrives(event):
    _, state = judged(stop(event=event, interim_no=1, duration_ms=1_800_000, **UNTIMED))
    closed = hung_after(state).row(0, named=True)
    assert (closed["billable_s"], closed["suspected_hung"]) == (1800, True)


def test_a_carriers_refusal_does_not_make_the_call_unanswered():
    """The stop came before the answer: nobody can tell its money, and it is not free."""
    failed = stop(event="attempt", attempt_no=1, seq=1, **UNTIMED | {"sip_code": 503})
    outcome, _ = judged(failed, stop(seq=3, attempt_no=2, **UNTIMED))
    assert outcome.records["disposition"].to_list() == ["event", "unrated"]


def test_an_earlier_attempt_that_is_told_late_does_not_take_the_call():
    answer = stop(event="answer", seq=2, attempt_no=2, carrier="blue")
    outcome, _ = judged(answer, stop(event="attempt", seq=1, attempt_no=1, carrier="", sip_code=503), stop(seq=3, carrier="", attempt_no=2))
    assert outcome.priced["carrier"].to_list() == ["blue"]


def test_seventeen_boots_of_a_switch_and_what_they_send_again_later():
    """One more than a partition remembers: what is sent again by the forgotten one is never counted again."""
    first = [stop(boot_id=f"b{n}") for n in range(17)]
    outcome, state = judged(*first)
    assert outcome.priced.height == 17
    later_ms = NOW_MS + HOUR_MS
    state.calls[0].closed.clear()  # as after a while
    again, _ = judged(*first, state=state, first_offset=100, learned_ms=later_ms)
    assert again.priced.is_empty()
    assert "too old to tell" in again.records["reason"][0]


def test_no_switch_pushes_another_out_of_memory():
    """Seventeen boots of one switch are forgotten one by one; another's repeat is still known."""
    outcome, state = judged(stop(switch="k0"), *(stop(switch="k1", boot_id=f"b{n}") for n in range(40)))
    assert outcome.priced.height == 41
    state.calls[0].closed.clear()
    again, _ = judged(stop(switch="k0"), state=state, first_offset=100)
    assert again.records["disposition"].to_list() == ["duplicate"]


ABSURD = "9000000000"


@pytest.mark.parametrize(
    "records",
    [
        [stop(event="partial", seq=n, part_no=n, duration_ms=2**53, end_ms=None) for n in range(1030)],
        [stop(event="interim", seq=1, duration_ms=2**53, end_ms=None), stop(event="interim", seq=2, dialog_id="d2", answer_ms=-(2**53))],
        [stop(event="interim", seq=1, duration_ms=1, sell_amount=f"-{ABSURD}"), stop(seq=2, sell_amount=ABSURD)],
        [stop(seq=n, dialog_id=f"d{n}", b_raw=f"+882131234{n:03}", sell_amount=ABSURD) for n in range(30)],
    ],
    ids=["parts", "interims", "there-and-back", "many"],
)
def test_absurd_durations_and_amounts_do_not_stop_the_flow(records):
    given = [record | {"account": "rated-elsewhere", "currency": "EUR", "carrier": ""} for record in records]
    accounts = tuple(Account(tenant="t1", name=name) for name in ("rated-elsewhere", "acme"))
    contracts = compile_contracts(Config(version=1, accounts=accounts, trunks=CONFIG.trunks), {})
    state = State(b"s" * 16)
    for cut in (given[:3], given[3:]):
        values = [Message(0, 10 * n, NOW_MS + 100, journal_key("t1", "rated-elsewhere", ""), json.dumps(v).encode()) for n, v in enumerate(cut)]
        outcome = judge(state, values, lambda _: contracts)
        assert msgspec.json.encode(outcome.findings) and msgspec.json.encode(outcome.orders)
        assert unpack(pack(freeze(state)))
    judge(state, [tick(NOW_MS + 6 * HOUR_MS)], lambda _: contracts)


@pytest.mark.parametrize("skew_ms", [-2 * HOUR_MS, 0, 2 * HOUR_MS, 23 * HOUR_MS])
def test_a_switch_with_a_wrong_clock_neither_blinds_a_detector_nor_bends_an_order(skew_ms):
    """An hour of blocking is an hour from when we learned of it, and a record from the future does not make the present look late."""
    policy = Policy(detectors={"burst": {"b_range_floor": 0.1}}, block_probability=0.0)
    contracts = compile_contracts(msgspec.structs.replace(CONFIG, policy=policy), {"basic": DECK})
    state, orders = State(b"s" * 16), []
    for n in range(12):
        at_ms = NOW_MS + n * 1000 + (23 * HOUR_MS if n == 0 and skew_ms >= 0 else skew_ms)
        value = stop(seq=n, dialog_id=f"d{n}", at_ms=at_ms, end_ms=at_ms, answer_ms=at_ms - 60_000, b_raw=f"+4312345{n:03}")
        message = Message(0, n, NOW_MS + n * 1000, journal_key("t1", "acme", ""), json.dumps(value).encode())
        orders += judge(state, [message], lambda _: contracts).orders
    assert orders
    assert {order.expires_at_ms - order.learned_ms for order in orders} == {policy.order_ttl_ms}
    assert all(order.created_at_ms <= order.learned_ms for order in orders)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(stop())), anything, max_size=4) | st.binary(max_size=60), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_nothing_that_is_posted_stops_the_flow(changes):
    values = [change if isinstance(change, bytes) else stop(**change) for change in changes]
    outcome, _ = judged(*values)
    assert sorted(outcome.records["offset"].to_list()) == list(range(1, len(values) + 1))
    assert set(outcome.records["disposition"]) <= set(schemas.DISPOSITIONS)
    assert outcome.records.filter(pl.col("disposition").is_in(["reject", "unrated"]) & (pl.col("reason") == "")).is_empty()


def test_a_trunk_s_profile_says_when_a_hung_call_ended():
    trunks = (Trunk(tenant="t1", name="in-1", account="acme", max_call_s=1800, hung_ends="timer"),)
    by_timer = compile_contracts(msgspec.structs.replace(CONFIG, trunks=trunks), {"basic": DECK})
    answer = stop(event="answer", at_ms=NOW_MS - 60_000, answer_ms=None, end_ms=None)
    _, state = judged(answer)
    tick = msgspec.json.encode(Tick(at_ms=NOW_MS + HOUR_MS, config_version=1, complete_to_ms={"k1": NOW_MS + HOUR_MS}))
    closed = judge(state, [Message(0, 5, NOW_MS + HOUR_MS, TICK_KEY, tick)], lambda _: by_timer).priced.row(0, named=True)
    assert (closed["duration_ms"], closed["duration_source"], closed["end_ms"]) == (1_800_000, "session_timer", NOW_MS - 60_000 + 1_800_000)


def test_a_number_far_ahead_of_its_boot_is_counted_and_noted_and_silences_nobody():
    fates = fate(stop(), stop(seq=2**40, dialog_id="d2"), stop(seq=2, dialog_id="d3"), stop(seq=2**40, dialog_id="d2"))
    assert [disposition for disposition, _ in fates] == ["rated", "rated", "rated", "duplicate"]
    assert fates[1][1] == f"sequence {2**40} of boot b1 is far ahead of every number before it"


@pytest.mark.parametrize("ahead", [40_000, 10**6, 2**31, 2**31 + 29, 2**53 - 64])
def test_one_faulty_number_or_a_few_make_nothing_that_follows_too_old(ahead: int):
    faulty = [stop(seq=ahead + n, dialog_id=f"x{n}") for n in range(7)]
    after = [stop(seq=n, dialog_id=f"d{n}") for n in range(2, 600)]
    assert {disposition for disposition, _ in fate(stop(), *faulty, *after)} == {"rated"}


def test_a_boot_whose_numbers_go_on_far_ahead_is_followed():
    """What lay between was lost: from the eighth number on the boot is where its numbers are."""
    ahead = [stop(seq=50_000 + n, dialog_id=f"a{n}") for n in range(40)]
    fates = fate(stop(), *ahead, *ahead)
    assert [disposition for disposition, _ in fates] == ["rated"] * 41 + ["duplicate"] * 40
    assert sum("far ahead" in reason for _, reason in fates) == 8


def test_numbers_that_are_far_ahead_of_each_other_too_are_unrated_in_the_end():
    fates = fate(stop(), *(stop(seq=10**6 * n, dialog_id=f"a{n}") for n in range(1, 80)), stop(seq=2, dialog_id="d2"))
    assert [disposition for disposition, _ in fates] == ["rated"] * 65 + ["unrated"] * 15 + ["rated"]


@pytest.mark.parametrize(
    ("wrong", "note"),
    [
        ({"q850": 1000}, "q850 1000 was left out"),
        ({"q850": "16"}, "q850 '16' was left out"),
        ({"sip_code": -1}, "sip_code -1 was left out"),
        ({"sip_code": 1e30}, "sip_code 1e+30 was left out"),
        ({"pdd_ms": 2**60}, f"pdd_ms {2**60} was left out"),
        ({"user_agent": "x" * 3000}, "user_agent was cut from 3000 to 2048 characters"),
        ({"imei": "9" * 200}, "imei was cut from 200 to 128 characters"),
        ({"cell": 7}, "cell 7 was left out"),
        ({"release_side": "both"}, "release_side 'both' was left out"),
        ({"suspected_hung": "no"}, "suspected_hung 'no' was left out"),
        ({"attestation": None, "diversion": "d" * 5000}, "diversion was cut from 5000 to 2048 characters; attestation None was left out"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_money_never_costs_the_record(wrong: dict[str, object], note: str):
    assert fate(stop(**wrong)) == [("rated", note)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"call_id": {"a": []}}, {"call_id": [1]}, {"user_agent": {}}, {"b_raw": 43}, {"duration_ms": "60"}, {"duration_ms": 2**60},
        {"answer_ms": 1.5}, {"sell_amount": 7}, {"account": ["acme"]}, {"seq": -1}, {"leg": {}}, {"attempt_no": "1"},
    ],
)  # fmt: skip
def test_what_is_money_or_identity_or_no_text_at_all_is_a_reject(wrong: dict[str, object]):
    ((disposition, reason),) = fate(stop(**wrong))
    assert disposition == "reject" and next(iter(wrong)) in reason


def test_a_switch_that_never_says_how_far_it_delivered_is_taken_to_be_an_hour_behind():
    _, state = judged(stop(event="answer", switch="mute", at_ms=NOW_MS - 60_000, answer_ms=None, end_ms=None))
    for at_ms, active in ((NOW_MS + HOUR_MS, 1), (NOW_MS + 8 * HOUR_MS, 0)):
        tick = msgspec.json.encode(Tick(at_ms=at_ms, config_version=1))
        judge(state, [Message(0, at_ms, at_ms, TICK_KEY, tick)], lambda _: CONTRACTS)
        assert len(state.calls[0].active) == active
