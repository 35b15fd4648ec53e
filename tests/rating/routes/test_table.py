"""The columns choose as the scalar twin does, and the rows of a switch say what the columns say."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from routing import deck, house, listed

from core.config import BlendWeights, RoutePlan, RouteRule
from rating.deck import Call
from rating.prefixes import encode_all
from rating.routes.choose import choose
from rating.routes.durations import Durations, Profile, profile
from rating.routes.live import Live, Standing
from rating.routes.table import DENIED, NO_ROUTE, OPEN, compile_table, rows
from rating.routes.view import View, view_of

NAMES = ("blue", "red", "green")
prefix = st.text("0123", min_size=1, max_size=4).map(lambda rest: "4" + rest)
row = st.builds(
    lambda prefix, price, steps, fee, destination: f"{prefix} {price / 100} {steps} {fee / 1000} {fee / 2000} {destination}",
    prefix, st.integers(1, 30), st.sampled_from(["1/1", "60/60", "30/6"]), st.integers(0, 4), st.sampled_from(["", "a", "b"]),
)  # fmt: skip
a_deck = st.lists(row, min_size=1, max_size=6, unique_by=lambda text: text.split(" ")[0])
rule = st.builds(
    RouteRule, action=st.sampled_from(["allow", "deny"]), b_range=st.sampled_from(["", "4", "40", "4123", "401"]),
    carrier=st.sampled_from(["", "red"]), destination=st.sampled_from(["", "a"]), window=st.sampled_from(["", "thu", "fri"]),
)  # fmt: skip
plan = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["lcr", "quality", "priority", "load", "blend"]),
        "weights": st.just(BlendWeights(cost=0.7, quality=0.2, load=0.1)),
        "carriers": st.sampled_from([(), listed(blue=1, red=1, green=1), listed(green=1, blue=2)]),
        "rules": st.lists(rule, max_size=3).map(tuple),
        "tries": st.integers(1, 4),
        "margin_floor_percent": st.sampled_from([None, -20.0, 0.0, 10.0]),
        "below_floor": st.sampled_from(["drop", "allow"]),
        "then": st.sampled_from(["", "rest"]),
    }
)
standing = st.builds(Standing, st.floats(0, 1), st.sampled_from([None, 0.1, 0.5, 1.0]), st.just(9.0), st.sampled_from(["", "false answers"]))
live = st.builds(
    Live, st.dictionaries(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "40", "41", "420"])), standing, max_size=4),
    st.just({"blue-1": 100, "red-1": 3}), st.sampled_from([{}, {"green-1": "does not answer"}]),
    st.sampled_from([{}, {"blue": "on the list"}, dict.fromkeys(NAMES, "on the list")]),
)  # fmt: skip
REST = RoutePlan(tenant="t1", name="rest", order="priority", carriers=listed(red=1), margin_floor_percent=5.0)
DURATIONS = Durations({"40": profile([(61_000, 30), (5_000, 200)], 90), "4012": Profile(((20_000, 1),), 2)})


@settings(max_examples=60, deadline=None)
@given(a_deck, st.lists(a_deck, min_size=3, max_size=3), plan, live, st.lists(st.text("0123", max_size=5), min_size=1, max_size=12))
def test_columns_and_rows_are_the_choice(sell: list[str], buy: list[list[str]], plan: dict[str, object], live: Live, ends: list[str]) -> None:
    terms = house(deck("s", *sell), {name: deck(name, *own) for name, own in zip(NAMES, buy, strict=True)}, plan, plans=(REST,))
    view = view_of(terms, "t1", "acme", 0)
    assert isinstance(view, View)
    table = compile_table(view, live, DURATIONS)
    written = {one.prefix: one for one in rows(table)}
    numbers = [f"4{end}".ljust(12, "7") for end in ends] + ["5".ljust(12, "7")]
    found = table.find(encode_all(numbers))
    for at, number in enumerate(numbers):
        one = choose(view, Call(number), live, DURATIONS)
        expected = [view.entries.index(route.entry) for route in one.routes]
        assert [place for place in found.entries[at].tolist() if place >= 0] == expected
        assert [sum_ for sum_ in found.cost_nanos[at].tolist() if sum_ != -(2**63)] == [route.cost_nanos for route in one.routes]
        assert int(found.outcome[at]) == {"": OPEN, "denied": DENIED, "no_route": NO_ROUTE}[one.cause]
        longest = next((written[number[:n]] for n in range(15, -1, -1) if number[:n] in written), None)
        assert (longest.entries if longest else (), longest.outcome if longest else NO_ROUTE) == (tuple(expected), int(found.outcome[at]))
        assert ([view.entries[place] for place in expected], int(found.outcome[at])) == table.find_one(number)


def test_what_the_lists_deny_is_denied_whatever_gateway_is_down() -> None:
    rules = (RouteRule(action="deny", b_range="43"),)
    view = view_of(house(deck("s", "4 1"), {"blue": deck("b", "43 0.05"), "red": deck("r", "43 0.07")}, {"rules": rules}), "t1", "acme", 0)
    assert isinstance(view, View)
    down = Live(down={"blue-1": "does not answer"})
    assert choose(view, Call("431"), down, DURATIONS).cause == "denied"
    assert compile_table(view, down, DURATIONS).find_one("431") == ([], DENIED)


def test_what_is_the_same_under_a_shorter_prefix_is_not_written_again() -> None:
    sell = deck("s", "4 1")
    buy = {"blue": deck("b", "43 0.05", "436 0.05", "4366 0.08"), "red": deck("r", "43 0.07")}
    view = view_of(house(sell, buy), "t1", "acme", 0)
    assert isinstance(view, View)
    found = [(one.prefix, [view.entries[place].carrier for place in one.entries]) for one in rows(compile_table(view, Live(), Durations()))]
    assert found == [("43", ["blue", "red"]), ("4366", ["red", "blue"])]


def test_sums_beyond_64_bits_are_out_of_range_and_near_ones_exact() -> None:
    sell, dear, fine = deck("s", "4 1"), deck("d", "43 8000000"), deck("f", "43 7200")
    view = view_of(house(sell, {"dear": dear, "fine": fine}), "t1", "acme", 0)
    assert isinstance(view, View)
    long = Durations({"4": Profile(((3_600_000, 10_000),), 0)})
    choice, table = choose(view, Call("4312"), Live(), long), compile_table(view, Live(), long)
    assert [(one.entry.carrier, one.cost_nanos) for one in choice.routes] == [("fine", 10_000 * 60 * 7_200 * 10**9)]
    assert [entry.carrier for entry in table.find_one("4312")[0]] == [one.entry.carrier for one in choice.routes]
    at = np.searchsorted(table.starts, encode_all(["4312"]), side="right") - 1
    assert int(table.cost_nanos[at][0][0]) == choice.routes[0].cost_nanos
