"""Which gateways a call is tried over, and why: by order, lists, capacity, expected money."""

from __future__ import annotations

from typing import Any

import pytest
from routing import deck, house, listed

from core.config import BlendWeights, FxRate, RoutePlan, RouteRule, Trunk
from rating.deck import Call
from rating.routes.choose import Choice, choose
from rating.routes.durations import Durations, Profile
from rating.routes.live import Live, Standing
from rating.routes.view import View, view_of

SELL = deck("retail", "43 0.10 1/1 0 0 Austria", "436 0.20 1/1 0 0 Austria mobile", "882 9 1/1 0 0 networks")
BUY = {"blue": deck("b", "43 0.05", "436 0.16", "882 1"), "red": deck("r", "43 0.04", "436 0.19"), "green": deck("g", "43 0.06", "882 2")}
MINUTE = Durations({"43": Profile(((60_000, 1),), 0)})


def chosen(plan: dict[str, Any], number: str = "4312345678", live: Live = Live(), chance: float = 1.0, **more: Any) -> Choice:
    found = view_of(house(SELL, BUY, plan, **more), "t1", "acme", 0)
    assert isinstance(found, View)
    return choose(found, Call(number), live, MINUTE, chance)


def tried(choice: Choice) -> str:
    return " ".join(one.entry.gateway.removesuffix("-1") for one in choice.routes)


QUALITY = Live({("blue", "43"): Standing(0.9, 0.6, 100), ("red", "43"): Standing(0.3, 0.2, 100), ("green", ""): Standing(0.8, 0.5, 50)})


@pytest.mark.parametrize(
    ("plan", "number", "routes"),
    [
        ({}, "4312345678", "red blue green"),
        ({}, "4366412345", "green blue red"),  # green has one price for all of Austria
        ({}, "8821312345", "blue green"),
        ({"tries": 1}, "4312345678", "red"),
        ({"order": "quality"}, "4312345678", "blue green red"),
        ({"order": "priority", "carriers": listed(green=1, blue=1, red=1)}, "4312345678", "green blue red"),
        ({"order": "weight", "carriers": listed(blue=1, red=2)}, "4312345678", "blue red"),  # drawn: chance is 1
        ({"order": "load"}, "4312345678", "red green blue"),
        ({"order": "blend", "weights": BlendWeights(cost=1)}, "4312345678", "red blue green"),
        ({"order": "blend", "weights": BlendWeights(quality=1)}, "4312345678", "blue green red"),
        ({"order": "blend", "weights": BlendWeights(cost=1, quality=1)}, "4312345678", "blue red green"),
    ],
)
def test_each_order_has_its_own_first(plan: dict[str, Any], number: str, routes: str) -> None:
    live = QUALITY._replace(busy={"blue-1": 400, "green-1": 1})
    assert tried(chosen(plan, number, live)) == routes


def test_chance_draws_by_weight_and_probes_where_quality_decides() -> None:
    plan = {"order": "weight", "carriers": listed(blue=1, red=3)}
    assert [tried(chosen(plan, chance=chance)) for chance in (0.1, 0.74, 0.76)] == ["red blue", "red blue", "blue red"]
    probed = chosen({"order": "quality"}, live=QUALITY, chance=0.009)
    assert tried(probed) == "red blue green" and "to see how it does now" in probed.routes[0].why
    assert tried(chosen({"order": "lcr"}, live=QUALITY, chance=0.0)) == "red blue green", "least cost needs no probes"


@pytest.mark.parametrize("order", ["lcr", "quality", "priority", "load"])
def test_a_suspect_carrier_is_behind_all_others_whatever_the_order(order: str) -> None:
    live = Live({("red", ""): Standing(0.99, suspected="its answers come after 0 s: false answers (FAS)")})
    choice = chosen({"order": order, "carriers": listed(red=1, blue=1, green=1)}, live=live)
    assert choice.routes[-1].entry.carrier == "red" and "false answers" in choice.routes[-1].why


def rule(action: str, **fields: str) -> RouteRule:
    return RouteRule(action=action, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rules", "number", "routes", "cause"),
    [
        ([rule("deny", b_range="882")], "8821312345", "", "denied"),
        ([rule("deny", b_range="882")], "4312345678", "red blue green", ""),
        ([rule("allow", b_range="88213"), rule("deny", b_range="882")], "8821312345", "blue green", ""),
        ([rule("deny", carrier="red")], "4312345678", "blue green", ""),
        ([rule("deny", destination="austria MOBILE")], "4366412345", "", "denied"),
        ([rule("deny", destination="Austria mobile", carrier="green")], "4366412345", "blue red", ""),
        ([rule("deny", b_range="43", window="mon-wed")], "4312345678", "red blue green", ""),  # 1970-01-01 was a Thursday
        ([rule("deny", b_range="43", window="thu 00:00-01:00")], "4312345678", "", "denied"),
    ],
)
def test_the_first_line_that_applies_decides(rules: list[RouteRule], number: str, routes: str, cause: str) -> None:
    choice = chosen({"rules": tuple(rules)}, number)
    assert (tried(choice), choice.cause) == (routes, cause)


def test_a_60_60_carrier_under_a_1_1_customer_loses_money_at_a_lower_price_per_minute() -> None:
    sell, minutes, seconds = deck("s", "43 0.10 1/1"), deck("m", "43 0.08 60/60"), deck("p", "43 0.09 1/1")
    found = view_of(house(sell, {"minutes": minutes, "seconds": seconds}, {"margin_floor_percent": 0}), "t1", "acme", 0)
    assert isinstance(found, View)
    short = Durations({"43": Profile(((20_000, 3), (70_000, 1)), 0)})  # sold are 130 s, bought 5 minutes
    choice = choose(found, Call("431"), Live(), short)
    assert tried(choice) == "seconds"
    (dropped,) = choice.dropped
    assert dropped.why == "its expected margin of -84.6 % is below the floor of 0 %"
    assert (dropped.cost_nanos, dropped.sell_nanos) == (400_000_000, 216_666_666), "5 x 0.08, and 130 s of 0.10 a minute"
    long = Durations({"43": Profile(((600_000, 1),), 0)})
    assert tried(choose(found, Call("431"), Live(), long)) == "minutes seconds"


def test_what_is_below_the_floor_is_allowed_where_the_plan_says_so() -> None:
    choice = chosen({"margin_floor_percent": 55.0, "below_floor": "allow"})
    assert tried(choice) == "red blue green"
    assert choice.routes[1].why.endswith("its expected margin of 50.0 % is below the floor of 55 %: allowed by the plan")


def test_fees_of_failed_attempts_make_a_carrier_that_seldom_answers_the_dearer_one() -> None:
    buy = {"often": deck("o", "43 0.05 1/1 0 0.01"), "seldom": deck("x", "43 0.045 1/1 0 0.01")}
    found = view_of(house(SELL, buy), "t1", "acme", 0)
    assert isinstance(found, View)
    assert tried(choose(found, Call("431"), Live(), MINUTE)) == "seldom often"
    live = Live({("often", "43"): Standing(0.5, asr=0.8), ("seldom", "43"): Standing(0.5, asr=0.1)})
    assert tried(choose(found, Call("431"), live, MINUTE)) == "often seldom"


def test_a_carrier_in_another_currency_is_compared_in_that_of_the_sale() -> None:
    buy = {"usd": deck("u", "43 0.05", currency="USD"), "eur": deck("e", "43 0.046"), "gbp": deck("p", "43 0.01", currency="GBP")}
    rate = FxRate(tenant="t1", name="USD-EUR", rates={"1970-01-01": "0.9", "1970-02-01": "0.95"})
    found = view_of(house(SELL, buy, fx=(rate,)), "t1", "acme", 0)
    assert isinstance(found, View)
    choice = choose(found, Call("431"), Live(), MINUTE)
    assert tried(choice) == "usd eur" and choice.routes[0].cost_nanos == 45_000_000
    assert [one.why for one in choice.dropped] == ["no rate of exchange GBP-EUR at this moment: add it to fx_rates"]


def test_busy_gateways_and_those_taken_out_are_passed_over() -> None:
    trunks = (
        Trunk(tenant="t1", name="blue-1", carrier="blue", address="192.0.2.1:5060", out_of_service=True),
        Trunk(tenant="t1", name="blue-2", carrier="blue", address="192.0.2.2:5060", capacity_calls=30),
        Trunk(tenant="t1", name="green-1", carrier="green", address="192.0.2.3:5060"),
        Trunk(tenant="t1", name="red-1", carrier="red"),
    )
    choice = chosen({"carriers": listed(red=1, blue=1, green=1)}, live=Live(busy={"blue-2": 30}, down={"green-1": "does not answer"}), trunks=trunks)
    assert {(one.entry.gateway, one.why) for one in choice.dropped} == {
        ("", "has no gateway"),
        ("blue-1", "a person has taken it out of service"),
        ("blue-2", "is busy: 30 calls, and its capacity is 30"),
        ("green-1", "does not answer"),
    }
    assert choice.cause == "no_route" and choice.why.startswith("all 4 candidates of route plan best were dropped: red: has no gateway; blue-1: ")


def test_a_plan_goes_on_with_the_one_that_follows_it() -> None:
    rest = RoutePlan(tenant="t1", name="rest", order="priority", carriers=listed(green=1, red=1))
    choice = chosen({"carriers": listed(red=1), "then": "rest"}, plans=(rest,))
    assert tried(choice) == "red green", "a gateway is tried once"


def test_every_candidate_says_why_it_stands_where_it_stands() -> None:
    choice = chosen({"order": "blend", "weights": BlendWeights(cost=1, quality=1), "tries": 2}, live=QUALITY)
    assert [one.why for one in choice.routes] == [
        "by cost, quality and load together: 0.05 EUR expected per answered call, 25.0 % above the cheapest, quality 0.90 from 100 attempts, "
        "0 % in use, margin 0.05 EUR",
        "by cost, quality and load together: 0.04 EUR expected per answered call, quality 0.30 from 100 attempts, 0 % in use, margin 0.06 EUR",
    ]
    assert [one.why for one in choice.dropped] == ["not tried: the plan tries 2 gateways, and this is number 3"]
