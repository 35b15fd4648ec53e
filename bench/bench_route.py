"""What routing costs: the order of a batch with its prices (8 carriers of 30,000 prefixes), one call with its reasons, a table and its rows.

    python bench/bench_route.py [CALLS]
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

import numpy as np

from core.config import Account, Carrier, Config, RoutePlan, Trunk
from rating.contracts import Terms, compile_contracts
from rating.deck import Call, Calls, Deck
from rating.decks import read_deck
from rating.price import price_by
from rating.routes.choose import choose
from rating.routes.durations import Durations, profile
from rating.routes.live import Live, Standing
from rating.routes.table import compile_table, rows
from rating.routes.view import View, view_of

CARRIERS, PREFIXES = 8, 30_000
NOW_MS = 1_795_000_000_000


def decks(seed: int) -> list[Deck]:
    """A price list of the customer and eight of carriers, over the same prefixes."""
    chance = random.Random(seed)
    prefixes = sorted({str(chance.randrange(1, 10)) + "".join(chance.choices("0123456789", k=chance.randrange(1, 7))) for _ in range(2 * PREFIXES)})
    found = []
    for carrier in range(CARRIERS + 1):
        lines = ["prefix,price_per_min,first_s,next_s"]
        for prefix in chance.sample(prefixes, PREFIXES):
            least = 1 if carrier else 4_000
            lines.append(f"{prefix},0.{chance.randrange(least, 9999):04},{chance.choice(('1', '60'))},{chance.choice(('1', '6'))}")
        found.append(read_deck("\n".join(lines).encode(), f"carrier-{carrier}", "EUR"))
    return found


def house(seed: int) -> Terms:
    sell, *buy = decks(seed)
    return compile_contracts(
        Config(
            accounts=(Account(tenant="t1", name="acme", sell_deck=sell.name, route_plan="best"),),
            carriers=tuple(Carrier(tenant="t1", name=one.name, buy_deck=one.name) for one in buy),
            trunks=tuple(Trunk(tenant="t1", name=f"{one.name}-1", carrier=one.name, address=f"192.0.2.{n}:5060") for n, one in enumerate(buy, 1)),
            route_plans=(RoutePlan(tenant="t1", name="best", margin_floor_percent=0.0),),
            decks={f"t1/{one.name}": one.deck_id for one in (sell, *buy)},
        ),
        {f"t1/{one.name}": one for one in (sell, *buy)},
    )


def seconds(function: Callable[[], object]) -> float:
    begin = time.process_time()
    function()
    return time.process_time() - begin


def main(n: int) -> None:
    chance = random.Random(7)
    terms = house(1)
    view = view_of(terms, "t1", "acme", NOW_MS)
    assert isinstance(view, View)
    for offer in terms.offers:
        assert offer.deck.index
    durations = Durations({str(code): profile([(1000 * chance.randrange(1, 900), 3) for _ in range(200)], 400) for code in (1, 33, 43, 44, 49)})
    live = Live({(f"carrier-{n}", ""): Standing(chance.random(), chance.uniform(0.3, 0.7), 100.0) for n in range(1, 9)})
    made: list[object] = []
    took = seconds(lambda: made.append(compile_table(view, live, durations)))
    table = compile_table(view, live, durations)
    print(f"a table of 8 carriers       {took:10.2f} s for {len(table.starts):,} intervals")
    written: list[object] = []
    took = seconds(lambda: written.extend(rows(table)))
    print(f"its rows for a switch       {took:10.2f} s for {len(written):,} prefixes")
    numbers = ["".join(chance.choices("123456789", k=1) + chance.choices("0123456789", k=10)) for _ in range(n)]
    at_ms = NOW_MS + np.asarray([chance.randrange(86_400_000) for _ in range(n)], np.int64)
    talk_ms = np.asarray([chance.randrange(1, 600_000) for _ in range(n)], np.int64)
    answered = np.ones(n, np.bool_)
    offers = [view.sell, *(entry.offer for entry in view.entries)]

    def order() -> None:
        table.find(Calls(numbers).codes)

    def priced() -> None:
        calls = Calls(numbers)
        first = table.find(calls.codes).entries[:, 0]
        price_by([offer for offer in offers if offer], np.zeros(n, np.int64), calls, at_ms, talk_ms, answered)
        price_by([offer for offer in offers if offer], np.where(first < 0, -1, first + 1), calls, at_ms, talk_ms, answered)

    print(f"order of a batch            {n / min(seconds(order) for _ in range(3)):10,.0f} calls/s, one core")
    rate = n / min(seconds(priced) for _ in range(3))
    print(f"with the prices             {rate:10,.0f} calls/s: sale and purchase of each call by its own duration")
    some = numbers[:200]
    took = seconds(lambda: [choose(view, Call(number), live, durations) for number in some])
    print(f"one call with its reasons   {1000 * took / len(some):10.2f} ms")
    took = seconds(lambda: [table.find_one(number) for number in numbers[:20_000]])
    print(f"one call by the table       {1e6 * took / 20_000:10.1f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
