"""Orders from the journal to the switch: live, waiting and lifted ones, and the rows that the switch holds."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import msgspec
import pytest

from books import alerts, audit, deliveries, lists, orders, reading, suppressions, switches, writing
from core.decide import Limits
from core.numbers import DialPlan
from core.orders import Key
from core.topics import BLOCK_ORDERS, FINDINGS
from journal.repair import check, repair
from switches import hold
from switches.control import Change, Fenced
from switches.deliver import Pace
from switches.loopback import Loopback, LoopbackControl

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
ACME = Key(tenant="t1", account="acme")
RANGE = Key(tenant="t1", account="acme", b_range="88213")
CALLER = Key(tenant="t1", account="acme", a_number="4318123456")


def test_an_order_gets_into_the_books_and_to_the_switch(house):
    order = house.order(RANGE)
    house.dispatcher().step()
    assert house.status(order.order_id) == "standing" and house.due() == 0
    assert house.switch.lookup("t1", "acme", "", "4318123456", "88213999000") == order.order_id
    assert house.switch.lookup("t1", "acme", "", "4318123456", "88214999000") == ""
    assert house.switch.lookup("t1", "other", "", "4318123456", "88213999000") == ""


def test_a_switch_is_in_shadow_until_a_person_enforces(house):
    with writing(house.engine) as conn:
        switches.set_enforcing(conn, "k1", "t1", False, "ann", "first a week of watching", house.clock())
    order = house.order(RANGE)
    dispatcher = house.dispatcher()
    dispatcher.step()
    assert house.status(order.order_id) == "shadow"
    assert house.switch.verdict("t1", "acme", "", "", "88213999") == (False, f"shadow:{order.order_id}")
    with writing(house.engine) as conn:
        switches.set_enforcing(conn, "k1", "t1", True, "ann", "watched", house.clock())
    dispatcher.step()
    assert house.status(order.order_id) == "standing"
    assert house.switch.lookup("t1", "acme", "", "", "88213999") == order.order_id
    assert house.switch.live("shadow") == {}
    for on in (False, True, False):  # there and back before anybody delivers
        with writing(house.engine) as conn:
            switches.set_enforcing(conn, "k1", "t1", on, "ann", "undecided", house.clock())
    dispatcher.step()
    assert house.status(order.order_id) == "shadow"
    assert house.switch.live() == {} and house.switch.live("shadow") == {"t1|A|acme||88213": order.order_id}


def test_removed_or_damaged_offsets_are_audited_and_the_next_order_is_delivered(house):
    """The journal begins after the books' progress; then a part of it is damaged. Neither stops the dispatcher, and both are audited."""
    first = house.order(RANGE)
    dispatcher = house.dispatcher()
    dispatcher.step()
    dispatcher.close()
    part = Path(house.home) / "journal" / BLOCK_ORDERS / "0"
    house.order(RANGE)
    house.writers.pop(BLOCK_ORDERS).close()
    trimming = house.journal.writer(BLOCK_ORDERS, 0)
    trimming.trim(2)
    trimming.close()
    house.order(CALLER, "lost")
    house.writers.pop(BLOCK_ORDERS).close()
    (segment,) = part.glob("*.log")
    segment.write_bytes(segment.read_bytes()[:-9] + b"scrambled")
    (damage,) = check(part.parent.parent, BLOCK_ORDERS)
    repair(part.parent.parent, damage, house.clock())
    last = house.order(ACME, "last")
    again = house.dispatcher()
    for _ in range(3):
        again.step()
    assert (house.status(first.order_id), house.status("lost"), house.status(last.order_id)) == ("standing", "", "standing")
    with reading(house.engine) as conn:
        said = [entry.why for entry in audit.last(conn, verb="skipped")]
        assert audit.counted(conn, f"{BLOCK_ORDERS} skipped") == 2
    assert len(said) == 2 and said[1] == "offsets 1 to 1 are not in the journal any more"
    assert said[0].startswith("offsets 2 to 2 are lost in the journal: no frame follows in 0000")
    assert house.journal.readers(BLOCK_ORDERS, 0)["dispatcher"] <= 4


def test_a_new_switch_gets_the_live_orders(house):
    order = house.order(RANGE)
    dispatcher = house.dispatcher()
    dispatcher.step()
    other = Loopback(house.clock.seconds)
    served = other.serve(0, house.token)
    with writing(house.engine) as conn:
        switches.add(conn, "k2", "loopback", served.url, house.token, house.clock())
        switches.serve(conn, "k2", "t1", house.clock())
    dispatcher.step()
    assert other.live() == {} and other.live("shadow") == {"t1|A|acme||88213": order.order_id}
    assert house.status(order.order_id) == "standing" and house.switch.live() == {"t1|A|acme||88213": order.order_id}
    served.close()


def test_a_tenant_without_a_switch_is_in_shadow_everywhere(house):
    order = house.order(Key(tenant="t2", account="acme"))
    house.dispatcher().step()
    assert house.status(order.order_id) == "shadow" and house.switch.live() == {}


def test_the_same_order_again_is_harmless(house):
    order = house.order(RANGE)
    dispatcher = house.dispatcher()
    dispatcher.step()
    house.order(RANGE, order.order_id)
    assert dispatcher.step().orders == {"repeated": 1}
    house.order(ACME, order.order_id)  # the same id for something else
    assert dispatcher.step().orders == {"conflict": 1}
    assert house.switch.live() == {"t1|A|acme||88213": order.order_id}


def test_an_order_that_is_too_old_blocks_nobody(house):
    late = house.order(RANGE, "late", learned_ms=house.clock() - 5 * MINUTE_MS - 1)
    just = house.order(ACME, "just", learned_ms=house.clock() - 5 * MINUTE_MS)
    house.dispatcher().step()
    assert house.status(late.order_id) == "stale" and house.status(just.order_id) == "standing"
    assert set(house.switch.live()) == {"t1|A|acme||"}


def test_an_order_from_the_future_blocks_nobody(house):
    order = house.order(RANGE, learned_ms=house.clock() + HOUR_MS)
    house.dispatcher().step()
    assert house.status(order.order_id) == "refused"


def test_no_block_outlives_its_time_by_a_wrong_clock(house):
    in_2100 = 4_102_444_800_000
    house.order(RANGE, created_at_ms=in_2100, expires_at_ms=in_2100 + HOUR_MS)
    house.dispatcher().step()
    house.clock.now_ms += HOUR_MS + 1
    assert house.switch.live() == {}


# --- safety ---


@pytest.mark.parametrize(
    "key",
    [
        Key(tenant="t1", account="acme", b_range="112"),
        Key(tenant="t1", account="acme", b_range="11"),
        Key(tenant="t1", account="acme", b_range="1161"),
        Key(tenant="t1", account="acme", a_number="4315000000"),
        Key(tenant="t1", account="acme", b_range="43150000001"),
        Key(tenant="t1", account="hospital"),
        Key(tenant="t1", ingress_trunk="tg7"),
        Key(tenant="t1", a_number="4318123456"),
        Key(tenant="nobody", account="acme"),
        Key(tenant="t1", account="a|b"),
    ],
)
def test_the_dispatcher_applies_the_safety_check(house, key):
    with writing(house.engine) as conn:
        lists.add(conn, "protected", "number", "4315000000", "hospital", "ann", house.clock())
        lists.add(conn, "protected", "account", "hospital", "hospital", "ann", house.clock())
    dispatcher = house.dispatcher()
    dispatcher.step()  # what it does at its start is over
    order = house.order(key)
    assert dispatcher.step().orders == {"refused": 1}
    assert house.status(order.order_id) == "refused" and house.why(order.order_id)
    assert house.switch.live() == {}


def test_an_order_from_the_journal_is_automatic_whatever_it_claims(house):
    dispatcher = house.dispatcher()
    dispatcher.step()
    house.order(Key(tenant="t1", ingress_trunk="tg7"), by="ann")
    assert dispatcher.step().orders == {"refused": 1}


def test_protecting_a_number_ends_the_orders_against_it(house):
    order = house.order(RANGE)
    dispatcher = house.dispatcher()
    dispatcher.step()
    with writing(house.engine) as conn:
        lists.add(conn, "protected", "number", "88213555", "our own satellite phone", "ann", house.clock())
    dispatcher.step()
    assert house.status(order.order_id) == "refused" and house.switch.live() == {}
    assert house.switch.tables["protected"]["88213555"].value == "our own satellite phone"
    with writing(house.engine) as conn:
        lists.remove(conn, "protected", "number", "88213555", "given back", "ann", house.clock())
    dispatcher.step()
    assert "88213555" not in house.switch.tables["protected"]


def test_a_blocked_caller_reaches_112_and_can_be_called_back(house):
    house.switch.plan = DialPlan(country_code="43")  # a plan without a country opens no country to a caller who claims one
    house.order(ACME)
    house.dispatcher().step()
    call = house.switch.lookup
    line, control_centre = "4318123456", "4313456789"
    assert call("t1", "acme", "", line, control_centre)
    assert call("t1", "acme", "", line, "112") == ""
    assert call("t1", "acme", "", line, control_centre) == "" and call("t1", "acme", "", control_centre, line) == ""
    assert call("t1", "acme", "", line, "88213000000"), "not abroad"
    assert call("t1", "acme", "", "4319999999", control_centre), "not another line"
    house.clock.now_ms += 2 * HOUR_MS
    assert call("t1", "acme", "", line, control_centre) == "", "the block itself was for an hour"


def test_the_switch_protects_without_any_dispatcher(house):
    house.switch.apply([Change("blocks", "t1|A|acme||", "order-x", 60)])
    assert house.switch.lookup("t1", "acme", "", "4318123456", "112") == ""


# --- limits ---


def test_at_the_limit_of_a_minute_an_order_waits_for_a_person(house):
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=2))
    keys = [Key(tenant="t1", account=f"a{n}") for n in range(3)]
    made = [house.order(key, f"order-{n}") for n, key in enumerate(keys)]
    dispatcher.step()
    assert [house.status(order.order_id) for order in made] == ["standing", "standing", "waiting"]
    house.order(keys[0], "order-again")
    dispatcher.step()
    assert house.status("order-again") == "standing", "it blocks nobody who is not blocked"
    with writing(house.engine) as conn:
        assert orders.approve(conn, "order-2", "ann", "looked at the calls", house.clock()) == ["order-2"]
    dispatcher.step()
    assert house.status("order-2") == "standing" and house.switch.lookup("t1", "a2", "", "", "4312345678") == "order-2"
    house.clock.now_ms += MINUTE_MS + 1
    house.order(Key(tenant="t1", account="a4"), "order-4")
    dispatcher.step()
    assert house.status("order-4") == "standing", "a minute later there is room"


def test_an_order_with_ask_waits_for_approval(house):
    dispatcher = house.dispatcher()
    asked = house.order(ACME, "one", ask=True)
    dispatcher.step()
    assert house.status("one") == "waiting" and "leaves this block to a person" in house.why("one")
    assert house.switch.lookup("t1", "acme", "", "", "88213999") == ""
    house.write(msgspec.json.encode(asked))  # a judge that was killed says it again
    dispatcher.step()
    with reading(house.engine) as conn:
        assert not audit.last(conn, verb="another order with a known id")
    with writing(house.engine) as conn:
        orders.approve(conn, "one", "ann", "their PBX is hacked", house.clock())
    house.order(ACME, "two", ask=True)
    dispatcher.step()
    assert house.status("one") == "standing" == house.status("two")
    assert house.switch.lookup("t1", "acme", "", "", "88213999")


@pytest.mark.parametrize("first", [{}, {"ask": False}])
def test_an_order_with_ask_does_not_unblock_a_blocked_key(house, first):
    dispatcher = house.dispatcher()
    house.order(ACME, "one", **first)
    house.order(ACME, "two", ask=True)
    dispatcher.step()
    assert house.status("one") == "standing" == house.status("two")


def test_a_denied_order_with_ask_does_not_wait_again(house):
    dispatcher = house.dispatcher()
    house.order(ACME, "one", ask=True)
    dispatcher.step()
    with writing(house.engine) as conn:
        orders.deny(conn, "one", "ann", "a fax machine", house.clock())
    house.order(ACME, "two", ask=True)
    dispatcher.step()
    assert house.status("two") == "suppressed"


def test_the_limit_of_subjects_counts_callers_not_ranges(house):
    dispatcher = house.dispatcher(limits=Limits(distinct_subjects=1))
    house.order(RANGE, "one")
    house.order(Key(tenant="t1", account="acme", b_range="37"), "two")
    house.order(Key(tenant="t1", account="other", b_range="37"), "three")
    dispatcher.step()
    assert [house.status(i) for i in ("one", "two", "three")] == ["standing", "standing", "waiting"]


def test_an_order_that_would_refuse_much_of_the_last_hour_waits(house):
    asked = []

    def answered(tenant, keys, now_ms):
        asked.append((tenant, set(keys), now_ms))
        return 400, 1000

    dispatcher = house.dispatcher(answered=answered, limits=Limits(answered_share=0.3))
    house.order(ACME, "much")
    dispatcher.step()
    assert house.status("much") == "waiting" and "40 %" in house.why("much")
    assert asked == [("t1", {ACME}, house.clock())]


@pytest.mark.parametrize("answer", [None, (9, 9), RuntimeError("the warehouse hangs")])
def test_an_unknown_share_stops_no_order(house, answer):
    def answered(tenant, keys, now_ms):
        if isinstance(answer, Exception):
            raise answer
        return answer

    house.order(ACME, "one")
    house.dispatcher(answered=answered).step()
    assert house.status("one") == "standing"


def test_the_allow_list_makes_orders_wait_and_the_deny_list_spares_them_the_limits(house):
    with writing(house.engine) as conn:
        lists.add(conn, "allow", "account", "acme", "our largest customer", "ann", house.clock(), tenant="t1")
        lists.add(conn, "deny", "account", "crook", "known", "ann", house.clock())
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=0))
    house.order(RANGE, "good")
    house.order(Key(tenant="t1", account="crook"), "bad")
    dispatcher.step()
    assert house.status("good") == "waiting" and "largest customer" in house.why("good")
    assert house.status("bad") == "standing"


def test_a_denied_order_does_not_wait_again(house):
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=0))
    house.order(ACME, "one")
    dispatcher.step()
    with writing(house.engine) as conn:
        orders.deny(conn, "one", "ann", "a promotion of theirs", house.clock())
    house.clock.now_ms += MINUTE_MS
    house.order(ACME, "two")
    dispatcher.step()
    assert house.status("one") == "lifted" and house.status("two") == "suppressed"


def test_a_waiting_order_that_nobody_decides_expires(house):
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=0))
    house.order(ACME, "one")
    dispatcher.step()
    house.clock.now_ms += HOUR_MS
    dispatcher.step()
    assert house.status("one") == "expired" and "no person" in house.why("one")
    with pytest.raises(orders.Refused, match="not waiting"), writing(house.engine) as conn:
        orders.approve(conn, "one", "ann", "too late", house.clock())


# --- people ---


def test_a_lifted_key_stays_lifted_for_every_detector(house):
    dispatcher = house.dispatcher()
    house.order(RANGE, "one")
    house.order(CALLER, "caller")
    dispatcher.step()
    with writing(house.engine) as conn:
        lifted = orders.lift(conn, ACME, "ann", "talked to the customer", house.clock())
    assert set(lifted.order_ids) == {"one", "caller"}
    dispatcher.step()
    assert house.switch.live() == {} and house.due() == 0
    house.clock.now_ms += 23 * HOUR_MS
    house.order(Key(tenant="t1", account="acme", b_range="37"), "two", finding_id="finding-of-another")
    dispatcher.step()
    assert house.status("two") == "suppressed" and house.switch.live() == {}
    house.clock.now_ms += HOUR_MS
    house.order(RANGE, "three")
    dispatcher.step()
    assert house.status("three") == "standing", "24 hours are over"


def test_lifting_a_range_ends_the_wider_automatic_block(house):
    dispatcher = house.dispatcher()
    house.order(ACME, "wide")
    house.order(Key(tenant="t1", account="other"), "other")
    dispatcher.step()
    with writing(house.engine) as conn:
        orders.lift(conn, RANGE, "ann", "a known partner", house.clock())
    dispatcher.step()
    assert set(house.switch.live()) == {"t1|A|other||"}


def test_a_person_blocks_what_no_detector_may_but_nothing_protected(house):
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=0))
    with writing(house.engine) as conn:
        suppressions.add(conn, ACME, house.clock() + HOUR_MS, "bob", "earlier", house.clock())
        order_id = orders.block(conn, ACME, HOUR_MS, "ann", "called the customer", house.clock())
        trunk = orders.block(conn, Key(tenant="t1", ingress_trunk="tg7"), HOUR_MS, "ann", "stolen", house.clock())
    dispatcher.step()
    assert house.switch.live() == {"t1|A|acme||": order_id, "t1|T|tg7||": trunk}
    for key, ttl_ms in (
        (Key(tenant="t1", account="acme", b_range="112"), HOUR_MS),
        (ACME, 8 * 24 * HOUR_MS),
        (Key(tenant="t9", account="x"), 1),
    ):
        with pytest.raises(orders.Refused), writing(house.engine) as conn:
            orders.block(conn, key, ttl_ms, "ann", "why not", house.clock())


def test_lifting_within_a_persons_wider_block_names_it(house):
    with writing(house.engine) as conn:
        order_id = orders.block(conn, ACME, HOUR_MS, "ann", "does not pay", house.clock())
        lifted = orders.lift(conn, RANGE, "bob", "should go through", house.clock())
        assert [kept.order.order_id for kept in lifted.still] == [order_id] and not lifted.order_ids
        assert orders.lift(conn, ACME, "bob", "has paid", house.clock()).order_ids == [order_id]
    house.dispatcher().step()
    assert house.switch.live() == {}


def test_every_action_of_a_person_is_audited(house):
    with writing(house.engine) as conn:
        orders.block(conn, ACME, HOUR_MS, "ann", "fraud", house.clock())
        orders.lift(conn, ACME, "bob", "no fraud", house.clock())
    with reading(house.engine) as conn:
        words = [(entry.who, entry.verb, entry.why) for entry in audit.last(conn)]
    assert ("ann", "blocked", "fraud") in words and ("bob", "lifted", "no fraud") in words


# --- time ---


def test_an_entry_lives_as_long_as_the_last_live_order_of_its_key(house):
    dispatcher = house.dispatcher()
    house.order(RANGE, "long")
    house.order(RANGE, "short", expires_at_ms=house.clock() + MINUTE_MS)
    dispatcher.step()
    house.clock.now_ms += 2 * MINUTE_MS
    dispatcher.step()
    assert house.status("short") == "expired" and house.status("long") == "standing"
    assert house.switch.live() == {"t1|A|acme||88213": "long"}
    house.order(RANGE, "longer")
    dispatcher.step()
    house.clock.now_ms += HOUR_MS - 1
    assert house.switch.live() == {"t1|A|acme||88213": "longer"}


def test_a_block_expires_at_the_switch_without_a_dispatcher(house):
    house.order(RANGE)
    house.dispatcher().step()
    house.clock.now_ms += HOUR_MS - 1
    assert house.switch.lookup("t1", "acme", "", "", "88213000")
    house.clock.now_ms += 1
    assert house.switch.lookup("t1", "acme", "", "", "88213000") == ""


# --- hold ---


def test_hold_turns_all_blocks_off_until_a_person_clears_it(house):
    dispatcher = house.dispatcher()
    house.order(RANGE, "one")
    dispatcher.step()
    assert hold.hold_all(house.engine, "ann", "an outage", house.clock()).ok
    assert house.switch.lookup("t1", "acme", "", "", "88213000") == ""
    house.order(Key(tenant="t1", account="other"), "two")
    dispatcher.step()
    assert house.status("two") == "standing" and house.due() == 1, "it is in the books and goes nowhere"
    house.switch.restart()
    dispatcher.step()
    assert house.switch.held and house.switch.live() == {}
    assert hold.clear(house.engine, "ann", "over", house.clock()).ok
    dispatcher.step()
    assert set(house.switch.live()) == {"t1|A|acme||88213", "t1|A|other||"} and not house.switch.held


def test_hold_needs_nothing_but_the_books_file(house):
    house.switch.apply([Change("blocks", "t1|A|acme||", "order-x", 60)], fence=7)
    with writing(house.engine):  # somebody keeps the books from being written to
        done = hold.hold_all(house.engine, "ann", "an outage", house.clock())
    assert house.switch.held and [held.error for held in done.switches] == [""]
    assert "could not be stored in the books" in done.books_error
    house.dispatcher().step()
    with reading(house.engine) as conn:
        assert switches.holds(conn)["k1"].why == "the hold flag was set at the switch itself"


def test_a_hold_set_at_the_switch_is_obeyed_and_stored(house):
    house.switch.set_hold(True)
    house.order(RANGE)
    dispatcher = house.dispatcher()
    dispatcher.step()
    house.switch.set_hold(False)  # at the switch alone it is not cleared
    dispatcher.step()
    assert house.switch.held and house.switch.live() == {}


def test_a_switch_that_was_away_is_held_when_it_answers(house):
    house.switch.trouble = "error"
    done = hold.hold_all(house.engine, "ann", "an outage", house.clock())
    assert not done.ok and not done.books_error
    house.switch.trouble = ""
    house.dispatcher().step()
    assert house.switch.held


def test_a_hold_cleared_during_a_round_stays_cleared(house):
    def clear_in_between(step):
        if step == "hold" and not house.switch.held:
            hold.clear(house.engine, "ann", "over", house.clock())

    assert hold.hold_all(house.engine, "ann", "an outage", house.clock()).ok
    house.switch.set_hold(False)  # lost there: the dispatcher is about to set it again
    house.dispatcher(fault=clear_in_between).step()
    assert not house.switch.held
    with reading(house.engine) as conn:
        assert switches.holds(conn) == {}


def test_a_hold_in_the_middle_of_a_long_delivery_is_obeyed(house):
    def a_person_steps_in(step: str) -> None:
        if step == "acknowledged":
            hold.hold_all(house.engine, "ann", "an outage", house.clock())

    first = house.dispatcher()
    first.step()  # the other tables are filled
    first.close()
    with writing(house.engine) as conn:
        for n in range(9):
            orders.block(conn, Key(tenant="t1", account=f"a{n}"), HOUR_MS, "ann", "many", house.clock())
    house.dispatcher(pace=Pace(look_ms=0, compare_ms=0, chunk=3), fault=a_person_steps_in).step()
    assert len(house.switch.live()) == 3 and house.due() == 6


# --- drift ---


def test_after_a_restart_of_the_switch_all_rows_are_sent_again(house):
    dispatcher = house.dispatcher()
    house.order(RANGE, "one")
    dispatcher.step()
    house.switch.restart()
    assert house.switch.live() == {}
    dispatcher.step()
    assert house.switch.live() == {"t1|A|acme||88213": "one"}
    assert "112" in house.switch.tables["protected"]


def test_one_missing_and_one_surplus_row_are_drift(house):
    dispatcher = house.dispatcher()
    house.order(RANGE, "one")
    dispatcher.step()
    house.switch.apply([Change("blocks", "t1|A|acme||88213", "", 0), Change("blocks", "t1|A|honest||", "one", 600)])
    dispatcher.step()
    dispatcher.step()
    assert house.switch.live() == {"t1|A|acme||88213": "one"}
    with reading(house.engine) as conn:
        state = switches.state(conn, "k1")
    assert (state.missing, state.strangers) == (1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_any_drift_is_repaired_and_other_rows_are_not_sent(house, seed):
    chance = random.Random(seed)
    dispatcher = house.dispatcher()
    with writing(house.engine) as conn:
        for n in range(200):
            life_ms = chance.choice([1_000, 3_000, HOUR_MS])  # some are about to end, some end while they are compared
            orders.block(conn, Key(tenant="t1", account=f"a{n}"), life_ms, "ann", "many", house.clock())
    dispatcher.step()
    house.clock.now_ms += 2_500
    table = house.switch.tables["blocks"]
    wanted = dict(house.switch.live())
    for entry in chance.sample(sorted(wanted), 20):
        table[f"t1|A|stranger-{entry[-6:].strip('|a')}||"] = table.pop(entry) if chance.random() < 0.7 else table[entry]
    there = set(house.switch.live()) & set(wanted)
    dispatcher.step()
    assert there <= set(house.switch.live())
    house.clock.now_ms += 500
    dispatcher.step()
    lasting = {entry: order for entry, order in house.switch.live().items() if table[entry].ends_s * 1000 > house.clock() + 2_000}
    assert lasting == house.switch.live() == {entry: wanted[entry] for entry in lasting} and len(lasting) > 40
    assert dispatcher.deliver_once()["k1"] == (0, 0, 0, ""), "and then there is nothing left to do"


def test_of_two_dispatchers_one_writes_to_the_switch(house):
    first, second = house.dispatcher(), house.dispatcher()
    first.step()
    house.order(RANGE, "one")
    assert second.deliver_once()["k1"].result == "another holds the lease"
    house.clock.now_ms += 5_000  # the first is frozen; the second takes over
    second.step()
    assert house.switch.live() == {"t1|A|acme||88213": "one"}
    former = LoopbackControl(house.served.url, house.token)
    former.fence = 1
    with pytest.raises(Fenced, match="later than 1"):
        former.apply([Change("blocks", "t1|A|acme||88213", "", 0)])
    former.close()
    assert house.switch.live() == {"t1|A|acme||88213": "one"}


# --- trouble ---


@pytest.mark.parametrize("trouble", ["nonsense", "error", "hang"])
def test_a_failing_switch_gets_its_orders_when_it_answers_again(house, trouble):
    house.switch.trouble = trouble
    dispatcher = house.dispatcher(connect=lambda switch: LoopbackControl(switch.control_url, switch.control_token, timeout_s=0.2))
    house.order(RANGE, "one")
    dispatcher.step()
    assert house.status("one") == "standing" and house.due() == 1
    with reading(house.engine) as conn:
        assert switches.state(conn, "k1").error
    house.switch.trouble = ""
    house.clock.now_ms += 10_000
    dispatcher.step()
    assert house.due() == 0 and house.switch.live() == {"t1|A|acme||88213": "one"}
    with reading(house.engine) as conn:
        assert switches.state(conn, "k1").error == ""


def test_a_switch_that_is_away_is_tried_again_later_each_time(house):
    pace = Pace(look_ms=0, compare_ms=0, lease_ms=60_000, retry_ms=250, retry_most_ms=1_000)
    dispatcher = house.dispatcher(pace=pace)
    house.switch.trouble = "error"
    assert dispatcher.deliver_once()["k1"].result.startswith("away: ")
    for pause_ms in (250, 500, 1_000, 1_000):
        house.clock.now_ms += pause_ms - 1
        assert dispatcher.deliver_once()["k1"].result == "away"  # it is not asked yet
        house.clock.now_ms += 1
        assert dispatcher.deliver_once()["k1"].result.startswith("away: ")
    house.switch.trouble = ""
    house.clock.now_ms += 1_000
    assert dispatcher.deliver_once()["k1"].result == ""
    house.switch.trouble = "error"
    assert dispatcher.deliver_once()["k1"].result.startswith("away: ")
    house.clock.now_ms += 250
    assert dispatcher.deliver_once()["k1"].result.startswith("away: "), "the pauses begin again with the shortest"


def test_a_round_at_an_idle_switch_sends_and_repairs_nothing(house):
    dispatcher = house.dispatcher(pace=Pace(look_ms=60_000))
    dispatcher.deliver_once()
    assert dispatcher.deliver_once()["k1"] == (0, 0, 0, "")


def test_a_wrong_control_token_is_reported_and_orders_stay_due(house):
    with writing(house.engine) as conn:
        switches.add(conn, "k1", "loopback", house.served.url, "another-token", house.clock())
    house.order(RANGE, "one")
    house.dispatcher().step()
    assert house.due() == 1 and house.switch.live() == {}
    with reading(house.engine) as conn:
        assert "403" in switches.state(conn, "k1").error


def test_a_switch_that_hangs_delays_no_other(house):
    other = Loopback()
    served = other.serve(0, house.token)
    with writing(house.engine) as conn:
        switches.add(conn, "k0", "loopback", served.url, house.token, house.clock())
        switches.serve(conn, "k0", "t1", house.clock())
    other.trouble = "hang"
    stop = threading.Event()
    dispatcher = house.dispatcher(connect=lambda switch: LoopbackControl(switch.control_url, switch.control_token, timeout_s=8.0))
    running = threading.Thread(target=dispatcher.run, args=(stop,))
    running.start()
    try:
        time.sleep(0.5)
        began = time.monotonic()
        house.order(RANGE, "one")
        while not house.switch.live() and time.monotonic() - began < 6:
            time.sleep(0.005)
        assert house.switch.live(), "it does not wait for the other switch, whose answer may take 8 s"
    finally:
        other.trouble = ""
        stop.set()
        running.join(60)
        served.close()
    assert not running.is_alive()


# --- findings and bad input ---


def finding(**changes) -> bytes:
    facts = {
        "finding_id": "finding-1", "tenant": "t1", "detector": "burst", "subject_kind": "account", "subject": "acme",
        "detected_at_ms": 1, "first_ms": 1, "last_ms": 2, "calls": 10, "exposure_nanos": 5, "currency": "EUR", "score": 1.5,
        "reason": "a burst", "example_call_ids": ["c1"],
    }  # fmt: skip
    return json.dumps(facts | changes).encode()


def test_findings_become_alerts_and_a_later_one_replaces_an_earlier(house):
    house.write(finding(), FINDINGS)
    house.write(finding(calls=20), FINDINGS)
    house.write(finding(calls=10**30, reason="nul \u0000 and more"), FINDINGS)
    house.write(b"{", FINDINGS)
    house.dispatcher().step()
    with reading(house.engine) as conn:
        assert alerts.count(conn) == 1 and alerts.find(conn, "finding-1").calls == 2**63 - 1
        assert audit.counted(conn, "findings malformed") == 1


def test_names_too_long_for_an_index_do_not_stop_the_dispatcher(house):
    """Incompressible text: a database that refused such a row would stop the dispatcher."""
    chance = random.Random(1)

    def long() -> str:
        return "".join(chr(chance.randrange(0x10000, 0x1F000)) for _ in range(1_500))

    house.write(finding(**{name: long() for name in ("tenant", "subject", "reason")}), FINDINGS)
    house.order(Key(tenant=long(), account=long(), ingress_trunk=long(), a_number=long(), b_range=long()), "long", finding_id=long())
    house.order(RANGE, "next")
    house.dispatcher().step()
    assert (house.status("long"), house.status("next")) == ("refused", "standing")
    with reading(house.engine) as conn:
        assert alerts.count(conn) == 1


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"null", b"[]", b'"order"', b"\xff\xfe", b"{}", b'{"order_id":1}', b"[" * 100_000, b"x" * 200_000],
)
def test_a_malformed_order_is_counted_and_audited_and_the_next_is_read(house, value):
    house.write(value)
    order = house.order(RANGE)
    assert house.dispatcher().step().orders == {"malformed": 1, "standing": 1}
    assert house.status(order.order_id) == "standing"
    with reading(house.engine) as conn:
        assert audit.counted(conn, "block_orders malformed") == 1
        assert len(audit.last(conn, verb="malformed")) == 1


def test_deliveries_show_when_the_switch_acknowledged(house):
    house.order(RANGE)
    house.dispatcher().step()
    with reading(house.engine) as conn:
        (row,) = deliveries.every(conn, "k1", "blocks")
    assert row.delivered_at_ms == house.clock() and not row.due
