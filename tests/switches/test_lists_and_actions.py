"""Lists and actions from the books to a switch: what it holds, when it ends, and what stays in shadow."""

from __future__ import annotations

import pytest

from books import lists, orders, switches, writing
from core.orders import Key
from services import blocks, known_ranges
from services import lists as of_people
from services.errors import ServiceError
from switches.loopback import Verdict

HOUR_MS = 3_600_000
PUMPED = Key(tenant="t1", account="acme", b_range="8821312")


def change(house, list_: str, kind: str, value: str, **more) -> None:
    with writing(house.engine) as conn:
        of_people.change(conn, list_, kind, value, more.pop("remove", False), "ann", "w", house.clock(), **{"tenant": "t1", **more})


def verdict(house, b_number: str, account: str = "acme", a_number: str = "4319990001") -> Verdict:
    return house.switch.verdict("t1", account, "", a_number, b_number)


def test_an_entry_of_a_list_ends_at_its_time_and_leaves_the_books(house):
    dispatcher = house.dispatcher()
    change(house, "deny", "number", "+88213", until_ms=house.clock() + HOUR_MS)
    dispatcher.step()
    assert verdict(house, "88213123456").refused and not verdict(house, "4312345678").refused
    with writing(house.engine) as conn:
        (one,) = lists.every(conn, "deny")
        assert of_people.at_switches(conn) == {of_people.listed_id(one): {"k1": True}}
    house.clock.now_ms += HOUR_MS + 1_000
    assert not verdict(house, "88213123456").refused, "it ends at the switch by itself"
    dispatcher.step()
    with writing(house.engine) as conn:
        assert lists.every(conn, "deny") == [] and of_people.at_switches(conn) == {}


IMPOSSIBLE = [
    ("deny", "number", "112", {}, "overlaps the protected number 112"),
    ("deny", "number", "1", {}, "2 to 15 digits|means no"),
    ("deny", "destination", "XX", {}, "no country with calling codes"),
    ("deny", "destination", "GG", {}, "list its ranges"),
    ("deny", "account", "a|b", {}, "is not a name"),
    ("deny", "account", "acme", {"account": "acme"}, "all its calls"),
    ("allow", "carrier", "blue", {}, "a carrier can be denied"),
    ("deny", "number", "+88213", {"until_ms": 1}, "would have ended"),
    ("protected", "number", "+4314040", {"until_ms": 9**15}, "without an end"),
]


def test_an_entry_that_cannot_be_is_refused_with_the_reason(house):
    for list_, kind, value, more, why in IMPOSSIBLE:
        with pytest.raises(ServiceError, match=why):
            change(house, list_, kind, value, **more)


def test_in_shadow_the_deny_list_only_marks(house):
    with writing(house.engine) as conn:
        switches.set_enforcing(conn, "k1", "t1", False, "ann", "w", house.clock())
    dispatcher = house.dispatcher()
    change(house, "deny", "number", "+88213")
    dispatcher.step()
    found = verdict(house, "88213123456")
    assert not found.refused and found.order_id.startswith("shadow:list-")
    with writing(house.engine) as conn:
        switches.set_enforcing(conn, "k1", "t1", True, "ann", "w", house.clock())
    dispatcher.step()
    assert verdict(house, "88213123456").refused


def test_of_two_orders_of_a_key_the_stronger_counts_and_then_the_weaker(house):
    dispatcher = house.dispatcher()
    with writing(house.engine) as conn:
        blocks.block(conn, PUMPED, 10 * HOUR_MS, "ann", "w", house.clock(), "throttle", 2)
        blocks.block(conn, PUMPED, HOUR_MS, "bob", "w", house.clock(), "refuse")
    dispatcher.step()
    assert verdict(house, "88213123456").refused
    house.clock.now_ms += HOUR_MS + 2_000
    dispatcher.step()
    assert [verdict(house, "88213123456").refused for _ in range(3)] == [False, False, True]


def test_calls_are_ended_by_a_shorter_order_too(house):
    dispatcher = house.dispatcher()
    with writing(house.engine) as conn:
        blocks.block(conn, PUMPED, 10 * HOUR_MS, "ann", "w", house.clock())
        blocks.block(conn, PUMPED, HOUR_MS, "bob", "w", house.clock(), "refuse", 0, True)
    dispatcher.step()
    assert [value.endswith(";cut") for value in house.switch.live().values()] == [True]
    house.clock.now_ms += HOUR_MS + 2_000
    dispatcher.step()
    assert verdict(house, "88213123456").refused


def test_an_order_that_only_marks_does_so_after_the_switch_begins_to_enforce(house):
    dispatcher = house.dispatcher()
    with writing(house.engine) as conn:
        blocks.block(conn, PUMPED, HOUR_MS, "ann", "w", house.clock(), "shadow")
        assert {one.status for one in orders.select(conn)} == {"shadow"}
    dispatcher.step()
    assert verdict(house, "88213123456").order_id.startswith("shadow:order-")
    for on in (False, True):
        with writing(house.engine) as conn:
            switches.set_enforcing(conn, "k1", "t1", on, "ann", "w", house.clock())
        dispatcher.step()
        found = verdict(house, "88213123456")
        assert not found.refused and found.order_id.startswith("shadow:order-")


@pytest.mark.parametrize(("confirmed", "b_range", "cut"), [("8821312", "88213123", True), ("8821312", "882131", False), ("", "8821312", False)])
def test_an_automatic_block_ends_calls_only_into_a_range_that_a_person_has_confirmed(house, confirmed: str, b_range: str, cut: bool):
    with writing(house.engine) as conn:
        if confirmed:
            known_ranges.confirm(conn, "t1", confirmed, "ann", "case 17", house.clock())
    key = Key(tenant="t1", account="acme", b_range=b_range)
    house.order(key)
    house.dispatcher().step()
    assert [value.endswith(";cut") for value in house.switch.live().values()] == [cut]


def test_a_range_that_was_confirmed_long_ago_ends_no_calls(house):
    with writing(house.engine) as conn:
        known_ranges.confirm(conn, "t1", "8821312", "ann", "case 17", house.clock() - 2 * 365 * 24 * HOUR_MS)
    house.order(Key(tenant="t1", account="acme", b_range="88213123"))
    house.dispatcher().step()
    assert [value.endswith(";cut") for value in house.switch.live().values()] == [False]


def test_what_a_person_cannot_order(house):
    with writing(house.engine) as conn:
        for action, a_minute, cut, why in (("throttle", 0, False, "a throttle lets"), ("shadow", 0, True, "calls are ended only")):
            with pytest.raises(ValueError, match=why):
                blocks.block(conn, PUMPED, HOUR_MS, "ann", "w", house.clock(), action, a_minute, cut)
