"""How records become calls: what each event adds, when a call was answered, how long it lasted, which records repeat."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import schemas
from core.active import LEG_LINGER_MS, Partition
from core.calls import ACCRUAL_STEP, MAX_DURATION_MS, NO_ANSWER_MS, Assembled, assemble, content_of, event_of, leg_of, talk_of
from core.decode import EARLIEST_MS, MAX_AHEAD_MS, decode
from core.message import Message
from core.record import TICK_KEY, Record, Tick

T0 = 1_772_438_400_000
SILENCE_MS = 3_600_000
CALL = {"dialog_id": "d1", "call_id": "c1", "from_tag": "f1", "account": "acme", "ingress_trunk": "in", "a_raw": "431", "b_raw": "43664"}
ROUTE = {"carrier": "alpha", "trunk_group": "tg-a", "egress_trunk": "out-a"}
OTHER_ROUTE = {"carrier": "beta", "trunk_group": "tg-b", "egress_trunk": "out-b"}


class Log:
    """One partition: records and ticks go in, dispositions and steps come out. Seconds count from T0."""

    def __init__(self, by_timer: bool = False, partition: int = 0, **options: bool) -> None:
        self.states: dict[int, Partition] = {}
        self.by_timer, self.partition, self.options = by_timer, partition, options
        self.offset = self.seq = 0

    def add(self, event: str, at_s: float, *, learned_s: float | None = None, **fields: Any) -> dict[str, Any]:
        """The step of one record, with its disposition, reason and leg; {} of a record without a step has those three alone."""
        self.seq += 1
        at_ms = T0 + round(at_s * 1000)
        body = {"v": 2, "event": event, "switch": "k1", "at_ms": at_ms, "boot_id": "b1", "seq": self.seq, **CALL, **fields}
        body = {name: value for name, value in body.items() if value is not None}
        learned_ms = at_ms if learned_s is None else T0 + round(learned_s * 1000)
        out = self._assemble(Message(self.partition, self.offset, learned_ms, b"t1\x1facme", msgspec.json.encode(body)))
        (fate,) = out.fates
        (row,) = steps_of(out) or [{}]
        leg = out.legs[0] if out.legs else None
        return row | {"disposition": fate.disposition, "reason": fate.reason, "twin": fate.suspected_duplicate, "leg": leg}

    def tick(self, at_s: float, complete_s: float | None = None) -> list[dict[str, Any]]:
        at_ms = T0 + round(at_s * 1000)
        complete_ms = at_ms if complete_s is None else T0 + round(complete_s * 1000)
        tick = Tick(at_ms=at_ms, config_version=7, complete_to_ms={"k1": complete_ms})
        return steps_of(self._assemble(Message(self.partition, self.offset, at_ms, TICK_KEY, msgspec.json.encode(tick))))

    def _assemble(self, message: Message) -> Assembled:
        decoded = decode([message])
        assert not decoded.rejects, decoded.rejects
        numbers = [(r.a_raw, "e164" if r.a_raw else "withheld", r.b_raw, "e164" if r.b_raw else "invalid") for r in decoded.values]
        self.offset += 1
        return assemble(self.states, decoded, numbers, lambda tenant, trunk: (SILENCE_MS, self.by_timer), **self.options)

    @property
    def state(self) -> Partition:
        return self.states[self.partition]

    @property
    def call(self) -> Any:
        (call,) = self.state.calls
        return call


def steps_of(out: Assembled) -> list[dict[str, Any]]:
    return [dict(zip(schemas.STEPS, values, strict=True)) for values in zip(*(out.steps[name] for name in schemas.STEPS), strict=True)]


def some(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


# --- how long a call lasted ---

ANSWER, END = T0 + 10_000, T0 + 70_000
STOP = {"event": "stop", "switch": "k1", "at_ms": END, "v": 2}
NO_START = "a stop without a start: neither an answer time nor a duration nor a failure code is known"
NO_LENGTH = "sip_code 200 means that the call was answered, and the record has neither an answer time nor a duration"


@pytest.mark.parametrize(
    ("fields", "known", "sequenced", "talk"),
    [
        # what the stop has; answer, setup and code of earlier records; whether its switch counts records -> talk, answer, source, fault
        ({"answer_ms": ANSWER, "end_ms": END - 5}, {}, True, (59_995, ANSWER, "answer_to_end", "")),
        ({"end_ms": END}, {"answer_ms": ANSWER}, True, (60_000, ANSWER, "answer_to_end", "")),
        ({"answer_ms": ANSWER}, {"answer_ms": ANSWER - 1}, True, (60_000, ANSWER, "answer_to_end", "")),
        ({"answer_ms": END}, {}, True, (0, END, "answer_to_end", "")),
        ({"answer_ms": END + 1}, {}, True, (-1, END + 1, "answer_to_end", f"end {END} lies before answer {END + 1}")),
        ({"duration_ms": 30_000}, {}, True, (30_000, END - 30_000, "switch", "")),
        ({"duration_ms": 30_000}, {}, False, (30_000, END - 30_000, "file", "")),
        ({"duration_ms": 30_000, "end_ms": END - 7}, {}, False, (30_000, END - 30_007, "file", "")),
        ({"duration_ms": 30_000}, {"answer_ms": ANSWER}, True, (30_000, ANSWER, "switch", "")),
        ({"duration_ms": 1}, {}, True, (1, END - 1, "switch", "")),
        ({"duration_ms": 0}, {}, True, (0, None, "switch", "")),
        ({"duration_ms": -1}, {}, True, (-1, None, "switch", "duration_ms -1 is negative")),
        ({"duration_ms": 5, "end_ms": ANSWER - 1}, {"answer_ms": ANSWER}, True, (5, ANSWER, "switch",
                                                                                  f"end {ANSWER - 1} lies before answer {ANSWER}")),
        ({"duration_ms": 5, "end_ms": ANSWER}, {"answer_ms": ANSWER}, True, (5, ANSWER, "switch", "")),
        ({"duration_ms": MAX_DURATION_MS}, {}, True, (MAX_DURATION_MS, END - MAX_DURATION_MS, "switch", "")),
        ({"duration_ms": MAX_DURATION_MS + 1}, {}, True, (MAX_DURATION_MS + 1, END - MAX_DURATION_MS - 1, "switch",
                                                            f"duration_ms {MAX_DURATION_MS + 1} is longer than seven days")),
        ({"answer_ms": EARLIEST_MS, "duration_ms": 1}, {}, True, (1, EARLIEST_MS, "switch", "")),
        ({"answer_ms": EARLIEST_MS - 1, "duration_ms": 1}, {}, True, (1, EARLIEST_MS - 1, "switch",
                                                                       f"answer_ms {EARLIEST_MS - 1} is not a time between 2000 and the stop")),
        ({"answer_ms": END + MAX_AHEAD_MS, "duration_ms": 1}, {}, True, (1, END + MAX_AHEAD_MS, "switch", "")),
        ({"answer_ms": END + MAX_AHEAD_MS + 1, "duration_ms": 1}, {}, True,
         (1, END + MAX_AHEAD_MS + 1, "switch", f"answer_ms {END + MAX_AHEAD_MS + 1} is not a time between 2000 and the stop")),
        # A failure code says that nobody answered.
        ({"sip_code": 486}, {}, True, (0, None, "answer_to_end", "")),
        ({"sip_code": 300}, {}, True, (0, None, "answer_to_end", "")),
        ({}, {"sip_code": 486}, True, (0, None, "answer_to_end", "")),
        *[({"sip_code": code} if code else {}, {"setup_ms": T0}, True, (0, None, "answer_to_end", NO_START)) for code in (0, 200, 299)],
        # A file says so by leaving out the answer, if it has the setup.
        ({}, {"setup_ms": T0}, False, (0, None, "answer_to_end", "")),
        ({"sip_code": 200}, {}, False, (0, None, "answer_to_end", NO_START)),
        ({"sip_code": 200}, {"setup_ms": T0}, False, (0, None, "answer_to_end", NO_LENGTH)),
        *[({"sip_code": 200, amount: "0"}, {"setup_ms": T0}, False, (0, None, "answer_to_end", "")) for amount in ("sell_amount", "buy_amount")],
    ],
)  # fmt: skip
def test_talk_time_and_its_source(fields, known, sequenced, talk):
    stop = msgspec.convert(STOP | fields, Record)
    assert talk_of(stop, known.get("answer_ms"), known.get("setup_ms"), known.get("sip_code"), sequenced, stop.duration_ms) == talk


# --- the life of one call ---


def test_a_call_from_its_setup_to_its_stop():
    log = Log()
    setup = log.add("setup", 0, sip_code=100)
    assert some(setup, "disposition", "sells", "answered", "final", "gone", "offset", "revision", "setup_ms", "row") == (
        "event", False, False, False, False, -1, 0, T0, 0,
    )  # fmt: skip
    names = ("duration_ms", "duration_source", "end_ms", "suspected_hung", "suspected_duplicate", "buys")
    assert some(setup, *names) == (0, "", 0, False, False, False), "a record without talk"
    assert log.add("ringing", 3)["ringing_ms"] == T0 + 3_000
    answer = log.add("answer", 10, **ROUTE, attempt_no=1, sip_code=200)
    assert some(answer, "sells", "answered", "duration_ms", "answer_ms", "offset", "final") == (True, True, 1, ANSWER, 2, False)
    stop = log.add("stop", 70, end_ms=END, release_side="caller", q850=16)
    assert some(stop, "disposition", "final", "gone", "sells", "answered", "duration_ms", "end_ms", "revision", "offset", "record_offset") == (
        "rated", True, True, True, True, 60_000, END, 1, 2, 3,
    )  # fmt: skip
    assert some(stop, "carrier", "release_side", "sip_code", "q850", "duration_source") == ("alpha", "caller", 200, 16, "answer_to_end")
    assert not list(log.state.calls) and log.state.next_offset == 4
    assert some(log.add("answer", 80), "disposition", "reason") == ("event", "arrived after the call's stop")
    assert some(log.add("stop", 70, end_ms=END, q850=16), "disposition", "reason") == ("duplicate", "this call was ended before by the same stop")
    assert some(log.add("stop", 71), "disposition", "reason") == ("conflict", "this call was ended before by a stop with other content")


def test_who_calls_is_what_came_first_and_who_carries_it_what_came_last():
    log = Log()
    log.add("setup", 0, **ROUTE, account="", a_raw="", pdd_ms=5, q850=1)
    row = log.add("ringing", 1, **OTHER_ROUTE, call_id="c1", ingress_trunk="other", a_raw="439", b_raw="43999", pdd_ms=7, attempt_no=3)
    assert some(row, "account", "ingress_trunk", "carrier", "trunk_group", "egress_trunk") == ("acme", "in", "beta", "tg-b", "out-b")
    assert some(row, "a_number", "a_kind") == ("439", "e164"), "a withheld number names no caller"
    assert some(row, "b_number", "pdd_ms", "q850", "attempts") == ("43664", 7, 1, 3)
    row = log.add("answer", 2, a_raw="438", attempt_no=2)
    assert some(row, "a_number", "attempts", "carrier", "pdd_ms") == ("439", 3, "beta", 7)


def test_times_that_a_record_states_go_before_the_time_of_the_record():
    log = Log()
    assert log.add("setup", 5, setup_ms=T0 + 1)["setup_ms"] == T0 + 1
    assert log.add("ringing", 6, ringing_ms=T0 + 2)["ringing_ms"] == T0 + 2
    row = log.add("ringing", 8, attempt_no=2)
    assert some(row, "setup_ms", "ringing_ms") == (T0 + 1, T0 + 2), "the first ringing stays"
    assert log.add("early_media", 9, ringing_ms=T0 + 3)["ringing_ms"] == T0 + 3


@pytest.mark.parametrize(
    ("answer_ms", "taken"),
    [(T0 + 4, T0 + 4), (None, T0 + 9_000), (EARLIEST_MS - 1, T0 + 9_000), (T0 + 9_000 + MAX_AHEAD_MS + 1, T0 + 9_000),
     (T0 + 9_000 + MAX_AHEAD_MS, T0 + 9_000 + MAX_AHEAD_MS)],
)  # fmt: skip
def test_a_stated_answer_time_counts_where_it_is_plausible(answer_ms, taken):
    log = Log()
    log.add("setup", 0)
    assert log.add("answer", 9, answer_ms=answer_ms)["answer_ms"] == taken
    assert log.add("answer", 20, attempt_no=2)["answer_ms"] == taken, "a second answer moves nothing"


@pytest.mark.parametrize(
    ("duration_ms", "sold_ms", "answer_ms"),
    [
        (5_000, 5_000, T0 + 295_000), (1, 1, T0 + 299_999), (MAX_DURATION_MS, MAX_DURATION_MS, T0 + 300_000 - MAX_DURATION_MS),
        (0, None, None), (-1, None, None), (MAX_DURATION_MS + 1, None, None), (None, None, None),
    ],
)  # fmt: skip
def test_an_interim_that_states_a_duration_implies_the_answer(duration_ms, sold_ms, answer_ms):
    log = Log()
    row = log.add("interim", 300, interim_no=1, duration_ms=duration_ms)
    assert some(row, "sells", "duration_ms", "answer_ms") == (sold_ms is not None, sold_ms or 0, answer_ms)


def test_an_interim_accrues_only_a_longer_talk_time():
    log = Log()
    log.add("answer", 10)
    assert log.add("interim", 70, interim_no=1)["duration_ms"] == 60_000, "from the answer to the record"
    assert some(log.add("interim", 80, interim_no=2, duration_ms=60_000), "sells", "duration_ms") == (False, 0)
    assert some(log.add("interim", 90, interim_no=3, duration_ms=60_001), "sells", "duration_ms") == (True, 60_001)
    assert log.call.accrued_ms == 60_001


def test_slices_add_up_and_the_one_that_completes_them_ends_the_call():
    log = Log()
    first = log.add("partial", 60, part_no=0, duration_ms=50_000)
    assert some(first, "sells", "duration_ms", "answer_ms", "final", "disposition") == (True, 50_000, ANSWER, False, "event")
    last = log.add("partial", 200, part_no=2, duration_ms=20_000, last=True)
    assert some(last, "duration_ms", "final") == (70_000, False), "one is missing"
    missing = log.add("partial", 150, part_no=1, duration_ms=90_000, end_ms=T0 + 170_000)
    assert some(missing, "duration_ms", "final", "disposition", "revision", "end_ms") == (160_000, True, "rated", 1, T0 + 170_000)


@pytest.mark.parametrize(("duration_ms", "disposition"), [(None, "unrated"), (-1, "unrated"), (MAX_DURATION_MS + 1, "unrated"),
                                                          (0, "event"), (MAX_DURATION_MS, "event")])  # fmt: skip
def test_a_slice_has_a_duration_that_can_be_added(duration_ms, disposition):
    row = Log().add("partial", 60, part_no=4, duration_ms=duration_ms)
    assert row["disposition"] == disposition
    assert row["reason"] == ("part 4 has no duration that can be added up" if disposition == "unrated" else "")


def test_slices_accrue_seven_days_at_most():
    log = Log()
    log.add("partial", 60, part_no=0, duration_ms=MAX_DURATION_MS)
    assert log.add("partial", 61, part_no=1, duration_ms=MAX_DURATION_MS)["duration_ms"] == MAX_DURATION_MS
    assert log.add("partial", 62, part_no=2, duration_ms=1, last=True)["reason"].endswith("is longer than seven days")


def test_a_single_slice_that_is_the_last_ends_the_call():
    row = Log().add("partial", 60, part_no=0, duration_ms=5, last=True)
    assert some(row, "final", "duration_ms", "disposition") == (True, 5, "rated")


def test_a_refused_call_is_over_and_owes_nothing():
    log = Log()
    log.add("setup", 0)
    row = log.add("refused", 0, order_id="o-1", sip_code=603)
    assert some(row, "final", "gone", "sells", "disposition") == (True, True, False, "event")
    assert not list(log.state.calls) and log.add("stop", 1)["disposition"] == "conflict"


def test_a_broken_stop_ends_the_call_unrated_and_leaves_what_was_accrued():
    log = Log()
    log.add("answer", 10)
    row = log.add("stop", 70, duration_ms=-5)
    assert some(row, "disposition", "final", "gone", "sells", "revision") == ("unrated", True, True, False, 0)


# --- attempts ---


def test_a_failed_attempt_is_bought_from_its_own_carrier():
    log = Log()
    log.add("setup", 0, **ROUTE, attempt_no=1)
    row = log.add("attempt", 2, **ROUTE, attempt_no=1, sip_code=503, q850=34, pdd_ms=180)
    assert tuple(row["leg"]) == (1, False, T0 + 2_000, 0, 503, 34, 180, "alpha", "tg-a", "out-a")
    assert some(row, "buys", "failed", "failed_no", "sip_code", "q850") == (True, 1, 1, None, 34), "a carrier's 503 is not the call's code"
    row = log.add("attempt", 3, **OTHER_ROUTE, attempt_no=3, sip_code=500)
    assert some(row, "failed", "failed_no", "attempts", "carrier") == (2, 3, 3, "beta")
    late = log.add("attempt", 4, **ROUTE, attempt_no=2, sip_code=500)
    assert some(late, "failed", "failed_no") == (3, 3) and late["leg"].carrier == "alpha"
    assert log.call.carrier == "beta", "one that is reported late is not the carrier of the call"
    log.add("attempt", 5, **ROUTE, attempt_no=3, sip_code=501)
    assert log.call.carrier == "beta", "the same attempt again, with other content, is a conflict"


def test_the_latest_attempt_carries_the_call():
    log = Log()
    log.add("setup", 0, **ROUTE, attempt_no=1)
    log.add("attempt", 2, **OTHER_ROUTE, attempt_no=1, sip_code=503)
    assert some(vars_of(log.call), "carrier", "trunk_group", "egress_trunk") == ("beta", "tg-b", "out-b")


def vars_of(struct: Any) -> dict[str, Any]:
    return msgspec.structs.asdict(struct)


# --- the clock ---


def test_an_active_call_accrues_once_it_has_grown_by_a_quarter():
    log = Log()
    log.add("answer", 0)
    assert [some(row, "kind", "row", "t_ms", "event", "duration_ms", "sells", "final", "gone") for row in log.tick(100)] == [
        (schemas.ACCRUAL, -1, T0 + 100_000, "tick", 100_000, True, False, False)
    ]
    assert log.tick(100 * ACCRUAL_STEP) == [] and log.call.accrued_ms == 100_000
    assert [row["duration_ms"] for row in log.tick(100 * ACCRUAL_STEP + 0.001)] == [125_001]
    assert log.tick(900, complete_s=150) == [], "its switch has not delivered so far"
    assert log.state.now_ms == T0 + 900_000 and log.state.config_version == 7
    log.tick(800)
    assert log.state.now_ms == T0 + 900_000, "time never goes back"


def test_a_call_that_rings_for_too_long_is_dropped_and_owes_nothing():
    log = Log()
    log.add("setup", 0)
    assert log.tick(NO_ANSWER_MS / 1000) == []
    (row,) = log.tick(NO_ANSWER_MS / 1000 + 0.001)
    assert some(row, "kind", "row", "t_ms", "sells", "final", "gone") == (schemas.CLOSING, -1, T0, False, True, True)
    assert not list(log.state.calls)


@pytest.mark.parametrize(("by_timer", "end_s", "source"), [(False, 60, "sign_of_life"), (True, 3660, "session_timer")])
def test_a_silent_call_is_closed_as_hung_and_its_stop_is_the_next_revision(by_timer, end_s, source):
    log = Log(by_timer)
    log.add("answer", 10)
    log.add("interim", 60, interim_no=1)
    assert [row["kind"] for row in log.tick(60 + SILENCE_MS / 1000)] == [schemas.ACCRUAL]
    (row,) = log.tick(60 + SILENCE_MS / 1000 + 0.001)
    assert some(row, "kind", "row", "t_ms", "end_ms", "duration_ms", "duration_source", "suspected_hung", "release_side", "revision") == (
        schemas.CLOSING, -1, T0 + end_s * 1000, T0 + end_s * 1000, (end_s - 10) * 1000, source, True, "switch", 1,
    )  # fmt: skip
    assert some(row, "sells", "answered", "final", "gone") == (True, True, True, False)
    stop = log.add("stop", 3700, end_ms=T0 + 100_000, release_side="caller")
    assert some(stop, "disposition", "revision", "duration_ms", "final", "gone", "suspected_hung") == ("rated", 2, 90_000, True, True, False)
    assert stop["offset"] == 0, "its money stands where its answer was"


def test_a_broken_stop_of_a_hung_call_changes_nothing_that_was_sold():
    log = Log()
    log.add("answer", 10)
    log.tick(11 + SILENCE_MS / 1000)
    row = log.add("stop", 3700, duration_ms=-5)
    assert some(row, "disposition", "final", "gone", "revision") == ("unrated", False, True, 1)


def test_a_hung_call_that_shows_life_is_active_again():
    log = Log()
    log.add("answer", 10)
    log.tick(11 + SILENCE_MS / 1000)
    row = log.add("interim", 3700, interim_no=1)
    assert some(row, "sells", "duration_ms") == (True, 3_690_000) and not log.state.hung and len(log.state.active) == 1


def test_an_answer_that_is_dated_after_the_last_record_is_a_call_of_no_time():
    log = Log()
    log.add("answer", 10, answer_ms=T0 + 20_000)
    (row,) = log.tick(11 + SILENCE_MS / 1000)
    assert row["duration_ms"] == 0


def test_a_tick_applies_before_the_records_after_it():
    log = Log()
    log.add("answer", 0)
    tick = Message(0, 1, T0, TICK_KEY, msgspec.json.encode(Tick(at_ms=T0 + 100_000, config_version=7, complete_to_ms={"k1": T0 + 100_000})))
    stop = {"v": 2, "event": "stop", "switch": "k1", "at_ms": T0 + 200_000, "boot_id": "b1", "seq": 9, **CALL}
    decoded = decode([tick, Message(0, 2, T0, b"t1\x1facme", msgspec.json.encode(stop))])
    out = assemble(log.states, decoded, [("", "withheld", "", "invalid")], lambda tenant, trunk: (SILENCE_MS, False))
    assert [row["event"] for row in steps_of(out)] == ["tick", "stop"] and log.state.next_offset == 3


# --- deliveries ---


@pytest.mark.parametrize(
    ("seqs", "fields", "disposition", "reason"),
    [
        ((1, 1), {}, "duplicate", "sequence 1 of boot b1 was delivered before"),
        ((1, 1), {"q850": 16}, "conflict", "sequence 1 of boot b1 was delivered before with other content"),
        ((1, 10**9), {}, "event", "sequence 1000000000 of boot b1 is far ahead of every number before it"),
        ((10**9, 1), {}, "unrated", "sequence 1 of boot b1 is too old to tell whether it was counted before"),
        ((1, *(n * 10**9 for n in range(1, 66))), {}, "unrated",
         "sequence 65000000000 of boot b1 is one of many that are far ahead of this boot and of each other"),
    ],
)  # fmt: skip
def test_what_a_delivery_is(seqs, fields, disposition, reason):
    log = Log()
    for seq in seqs[:-1]:
        log.add("auth", 0, seq=seq, dialog_id=str(seq))
    assert some(log.add("auth", 0, seq=seqs[-1], dialog_id=str(seqs[-1]), **fields), "disposition", "reason") == (disposition, reason)


def test_a_note_on_a_record_follows_the_reason():
    log = Log()
    assert log.add("auth", 0, q850=1000)["reason"] == "q850 1000 was left out"
    assert log.add("auth", 0, seq=10**9, q850=1000, dialog_id="d2")["reason"] == (
        "q850 1000 was left out; sequence 1000000000 of boot b1 is far ahead of every number before it"
    )
    assert log.add("stop", 1, duration_ms=-1, q850=1000)["reason"] == "duration_ms -1 is negative; q850 1000 was left out"


def test_an_event_of_a_call_is_taken_once():
    log = Log()
    log.add("setup", 0)
    assert some(log.add("setup", 0), "disposition", "reason") == ("duplicate", "this call's setup was received before")
    assert some(log.add("setup", 1), "disposition", "reason") == ("conflict", "this call's setup was received before with other content")
    assert log.add("attempt", 1, attempt_no=1)["disposition"] == log.add("attempt", 1, attempt_no=2)["disposition"] == "event"


def test_a_call_without_an_id_is_a_row_of_its_own():
    nameless = {"boot_id": None, "seq": None, "dialog_id": None, "call_id": None, "from_tag": None}
    log = Log()
    assert some(log.add("setup", 0, **nameless), "disposition", "reason") == ("event", "")
    one, two = (log.add("stop", 70, duration_ms=5, **nameless) for _ in range(2))
    assert some(one, "disposition", "twin", "suspected_duplicate", "revision", "offset") == ("rated", False, False, 1, 1)
    assert some(two, "disposition", "twin", "suspected_duplicate", "revision", "offset") == ("rated", True, True, 1, 2)
    assert one["call_key"] != two["call_key"] and len(one["call_key"]) == 32 and not list(log.state.calls)
    assert Log(dedupe=False).add("stop", 70, duration_ms=5, **nameless)["twin"] is False


FILE = {"boot_id": None, "seq": None, "dialog_id": None, "from_tag": None}


@pytest.mark.parametrize(
    ("rows", "unique_ids", "last"),
    [
        # stops of one id, one after the other: the changed fields of each -> disposition, suspected duplicate, of the last one
        ([{}, {}], False, ("duplicate", False)),
        ([{}, {"duration_ms": 6}], False, ("rated", True)),
        ([{}, {"duration_ms": 6}, {"duration_ms": 6}], False, ("duplicate", False)),
        ([{}, {"duration_ms": 6}], True, ("conflict", False)),
        ([{"attempt_no": 1}, {"attempt_no": 2}], False, ("rated", False)),
        ([{"attempt_no": 1}, {"attempt_no": 2}, {"attempt_no": 2}], False, ("duplicate", False)),
        ([{"attempt_no": 1}, {"attempt_no": 2}, {"attempt_no": 2, "duration_ms": 6}], False, ("rated", True)),
        # An answer opens a call; the stop that names its account and number ends it.
        ([{"event": "answer"}, {}], False, ("rated", False)),
        ([{"event": "answer"}, {"account": None}], False, ("rated", False)),
        ([{"event": "answer"}, {"b_raw": None}], False, ("rated", False)),
        ([{"event": "answer"}, {"account": "blue"}], False, ("rated", True)),
        ([{"event": "answer"}, {"b_raw": "43999"}], False, ("rated", True)),
        ([{"event": "answer", "account": None, "b_raw": None}, {}], False, ("rated", False)),
        ([{"event": "answer"}, {}, {}], False, ("duplicate", False)),
        ([{"event": "answer"}, {}, {"duration_ms": 6}], False, ("rated", True)),
        ([{}, {"event": "answer"}], False, ("event", False)),
    ],
)  # fmt: skip
def test_one_id_in_several_rows_of_a_file(rows, unique_ids, last):
    log = Log(unique_ids=unique_ids)
    for row in rows:
        fields = {"event": "stop", "duration_ms": 5, **FILE, **row}
        found = log.add(fields.pop("event"), 70, **fields)
    assert some(found, "disposition", "twin") == last


def test_a_later_attempt_of_a_file_continues_its_call():
    log = Log()
    for attempt_no, continues in ((0, False), (1, False), (2, True)):
        assert log.add("stop", 70, duration_ms=5, attempt_no=attempt_no, **FILE)["continues"] is continues
    assert Log().add("setup", 0, attempt_no=2)["continues"] is False, "a switch that counts its records writes events, not attempts"


def test_a_call_of_a_file_is_remembered_by_our_clock_and_one_of_a_switch_by_its_own():
    log = Log()
    log.add("stop", 70, learned_s=500, duration_ms=5)
    log.add("stop", 70, learned_s=500, duration_ms=5, call_id="c2", **{**FILE})
    assert sorted(at_ms - T0 for _, at_ms, _, _ in log.state.closed.values()) == [70_000, 500_000]


# --- what distinguishes records ---

BASE = Record(v=2, event="stop", switch="k1", at_ms=T0)
CONTENT = {
    "at_ms": 1, "answer_ms": 1, "end_ms": 1, "duration_ms": 1, "sip_code": 200, "q850": 16, "a_raw": "1", "b_raw": "1", "account": "x",
    "carrier": "x", "egress_trunk": "x", "sell_amount": "1", "buy_amount": "1",
}  # fmt: skip
CONTENT_OF_A_FILE = {"ingress_trunk": "x", "setup_ms": 1, "currency": "EUR", "buy_currency": "EUR"}


@pytest.mark.parametrize("field", [*CONTENT, *CONTENT_OF_A_FILE, "user_agent"])
def test_the_fields_that_distinguish_two_records(field):
    value = (CONTENT | CONTENT_OF_A_FILE | {"user_agent": "x"})[field]
    other = msgspec.structs.replace(BASE, **{field: value})
    assert (content_of(BASE, True) != content_of(other, True)) is (field in CONTENT)
    assert (content_of(BASE, False) != content_of(other, False)) is (field in CONTENT | CONTENT_OF_A_FILE)


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({}, "stop"), ({"attempt_no": 1}, "stop/1/0/0"), ({"interim_no": 2}, "stop/0/2/0"), ({"part_no": 3}, "stop/0/0/3"),
        ({"leg": "ingress"}, "stop/0/0/0"), ({"leg": "egress", "attempt_no": 4}, "stop/4/0/0/#4"),
        ({"leg": "egress", "dialog_id": "d", "from_tag": "f"}, "stop/0/0/0/d\x1f\x1ff"), ({"leg": "egress", "call_id": "c"}, "stop/0/0/0/\x1fc\x1f"),
    ],
)  # fmt: skip
def test_the_name_of_an_event_within_its_call(fields, event):
    assert event_of(msgspec.structs.replace(BASE, **fields)) == event


@given(st.text(max_size=3), st.text(max_size=3), st.integers(0, 3))
def test_the_id_of_a_leg_is_its_dialog_or_else_its_number(dialog_id, call_id, attempt_no):
    leg = msgspec.structs.replace(BASE, dialog_id=dialog_id, call_id=call_id, attempt_no=attempt_no)
    assert (leg_of(leg) == f"#{attempt_no}") is not bool(dialog_id or call_id)


# --- egress legs ---

INGRESS = {"root_id": "r1", "leg": "ingress"}


def egress(no: int, **fields: Any) -> dict[str, Any]:
    route = {"carrier": f"c{no}", "trunk_group": f"tg{no}", "egress_trunk": f"out{no}"}
    return {"root_id": "r1", "leg": "egress", "dialog_id": f"e{no}", "call_id": f"e{no}", **route, **fields}


def test_the_leg_that_answers_carries_the_call():
    log = Log()
    log.add("setup", 0, **INGRESS)
    assert some(log.add("setup", 1, **egress(1)), "carrier", "legs", "attempts") == ("c1", 1, 1)
    assert some(log.add("setup", 1, **egress(2), pdd_ms=8), "carrier", "pdd_ms", "legs", "attempts") == ("c2", 8, 2, 2)
    answer = log.add("answer", 10, **egress(1), pdd_ms=9)
    assert some(answer, "carrier", "trunk_group", "egress_trunk", "pdd_ms") == ("c1", "tg1", "out1", 9)
    assert some(answer, "sells", "duration_ms", "answer_ms", "offset") == (True, 1, ANSWER, 3)
    assert log.add("ringing", 11, **egress(2), pdd_ms=5)["carrier"] == "c1", "one that rings beside it does not"
    ingress = log.add("answer", 11, **INGRESS, answer_ms=T0 + 11_000, carrier="x")
    assert some(ingress, "answer_ms", "carrier") == (ANSWER, "c1"), "the ingress leg names no carrier"


def test_a_leg_has_its_own_number_or_else_the_next_one():
    log = Log()
    for no, attempt_no in ((1, 0), (2, 5), (3, 5), (4, 2)):
        log.add("setup", 1, **egress(no, attempt_no=attempt_no))
    assert [leg.attempt_no for leg in log.call.leg.values()] == [1, 5, 6, 2] and some(vars_of(log.call), "legs", "attempts") == (4, 6)


def test_an_egress_leg_that_comes_first_lends_its_numbers_until_the_ingress_leg_comes():
    log = Log()
    row = log.add("setup", 0, **egress(1, a_raw="439", b_raw="43999"))
    assert some(row, "a_number", "b_number", "call_id", "account") == ("439", "43999", "e1", "acme")
    row = log.add("setup", 1, **INGRESS)
    assert some(row, "a_number", "b_number", "call_id", "carrier") == ("431", "43664", "c1", "c1")
    assert log.add("ringing", 2, **egress(1, b_raw="43999"))["b_number"] == "43664"


def test_each_leg_is_bought_and_the_ingress_leg_is_sold():
    log = Log()
    log.add("setup", 0, **INGRESS)
    failed = log.add("stop", 5, **egress(1), sip_code=503, pdd_ms=7)
    assert tuple(failed["leg"]) == (1, False, T0 + 5_000, 0, 503, None, 7, "c1", "tg1", "out1")
    assert some(failed, "buys", "sells", "failed", "answer_ms", "disposition") == (True, False, 1, None, "event")
    answered = log.add("stop", 70, **egress(2), answer_ms=ANSWER, sip_code=200, q850=16)
    assert tuple(answered["leg"]) == (2, True, ANSWER, 60_000, 200, 16, None, "c2", "tg2", "out2")
    assert some(answered, "failed", "answer_ms", "offset", "final") == (1, ANSWER, 2, False)
    stop = log.add("stop", 70, **INGRESS, answer_ms=ANSWER + 500)
    assert some(stop, "final", "gone", "duration_ms", "revision", "legs", "failed") == (True, False, 59_500, 1, 2, 1)


def test_an_attempt_record_of_a_leg_is_a_failure():
    log = Log()
    log.add("setup", 0, **INGRESS)
    row = log.add("attempt", 5, **egress(1), answer_ms=ANSWER, sip_code=503)
    assert row["leg"].answered is False and row["failed"] == 1


def test_a_leg_whose_talk_time_is_unknown_is_unrated():
    log = Log()
    log.add("setup", 0, **INGRESS)
    row = log.add("stop", 5, **egress(1), duration_ms=-1)
    assert some(row, "disposition", "reason", "buys") == ("unrated", "egress leg: duration_ms -1 is negative", False)
    assert row["legs"] == 1 and row["leg"] is None


def test_a_leg_that_ends_after_its_call_is_the_next_revision():
    log = Log()
    log.add("answer", 10, **egress(1))
    log.add("stop", 70, **INGRESS, answer_ms=ANSWER)
    assert len(log.state.lingering) == 1
    assert some(log.add("ringing", 71, **egress(1)), "disposition", "sells") == ("event", False)
    row = log.add("stop", 72, **egress(1))
    assert some(row, "disposition", "revision", "final", "gone", "sells", "buys", "duration_ms", "end_ms", "suspected_hung") == (
        "rated", 2, True, False, True, True, 60_000, END, False,
    )  # fmt: skip
    assert row["leg"].talk_ms == 62_000
    assert some(log.add("answer", 73, **egress(2)), "sells", "disposition") == (False, "event"), "the call has ended"
    assert some(log.add("stop", 74, **INGRESS, attempt_no=1), "disposition", "reason") == (
        "conflict", "this call was ended before by a stop with other content",
    )  # fmt: skip


def test_a_leg_of_a_hung_call_corrects_it_and_leaves_it_hung():
    log = Log()
    log.add("answer", 10, **egress(1))
    log.add("answer", 10, **INGRESS)
    log.tick(11 + SILENCE_MS / 1000)
    row = log.add("stop", 3700, **egress(1))
    assert some(row, "revision", "suspected_hung", "duration_source", "final") == (2, True, "sign_of_life", True)


def test_a_leg_after_a_call_that_could_not_be_priced_is_bought_all_the_same():
    log = Log()
    log.add("answer", 10, **egress(1))
    log.add("stop", 70, **INGRESS, duration_ms=-1)
    row = log.add("stop", 72, **egress(1))
    assert some(row, "disposition", "reason", "revision", "buys", "final") == (
        "event", "arrived after the call's stop, which could not be priced", 0, True, False,
    )  # fmt: skip


def test_a_call_that_waits_for_its_legs_is_gone_after_a_while():
    log = Log()
    log.add("setup", 0, **INGRESS)
    log.add("stop", 70, **INGRESS, sip_code=486)
    assert log.tick(70 + LEG_LINGER_MS / 1000) == []
    (row,) = log.tick(70.001 + LEG_LINGER_MS / 1000)
    assert some(row, "kind", "row", "gone", "final", "t_ms") == (schemas.GONE, -1, True, False, END) and not log.state.lingering


def test_a_leg_answers_with_the_first_of_its_records_that_states_an_answer():
    log = Log()
    log.add("setup", 0, **INGRESS)
    log.add("interim", 20, **egress(1), answer_ms=ANSWER)
    log.add("interim", 25, **egress(1), answer_ms=ANSWER + 5, interim_no=2)
    assert log.add("ringing", 30, **egress(2))["carrier"] == "c1"
    assert log.call.leg["e1\x1fe1\x1ff1"].answer_ms == ANSWER and log.call.answer_ms is None
    log.add("answer", 40, **egress(3), answer_ms=EARLIEST_MS - 1)
    assert log.call.leg["e3\x1fe3\x1ff1"].answer_ms == T0 + 40_000


def test_documented_limits():
    assert (NO_ANSWER_MS, MAX_DURATION_MS, ACCRUAL_STEP) == (10 * 60_000, 7 * 86_400_000, 1.25)
