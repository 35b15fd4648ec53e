"""A simulation with known answers: the money kept by expected money and live quality, against least cost alone and against a static order.

    python bench/bench_route_money.py [ATTEMPTS_PER_SEED] [SEEDS]

Six carriers to three destinations over six hours. Each has its own price and share of answers; one is the cheapest and degrades for an hour
and a half, one recovers in the middle, and the cheapest to one destination cheats: it answers falsely after a second (FAS), and the customer,
who hears nobody, hangs up after some seconds and is credited. Kept is what is sold less what is bought, credits taken off.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from core.config import Account, BlendWeights, Carrier, Config, RouteCarrier, RoutePlan, Trunk
from core.schemas import ATTEMPTS
from detectors.quality import Qualities, add, scores
from rating.contracts import Terms, compile_contracts
from rating.deck import Deck
from rating.decks import read_deck
from rating.routes.durations import Durations
from rating.routes.live import Live
from rating.routes.table import Table, arrange, prepare
from rating.routes.view import View, view_of
from services.routes import live, steady

HOUR_MS = 3_600_000
HOURS = 6
DESTINATIONS = ("43", "49", "44")
NAMES = ("a", "b", "c", "d", "e", "f")
SELL = 0.02  # a minute
TRIES = 3


class World(NamedTuple):
    """What a seed draws: prices, shares of answers, who degrades, recovers and cheats."""

    price: dict[tuple[str, str], float]
    asr: dict[tuple[str, str], float]
    degrades: str
    recovers: str
    cheats: tuple[str, str]


def world(chance: random.Random) -> World:
    price = {(name, to): round(chance.uniform(0.012, 0.018), 4) for name in NAMES for to in DESTINATIONS}
    asr = {(name, to): chance.uniform(0.40, 0.65) for name in NAMES for to in DESTINATIONS}
    degrades, recovers, cheats = chance.sample(NAMES, 3)
    to = chance.choice(DESTINATIONS)
    for at in DESTINATIONS:
        price[degrades, at] = 0.0115
    price[cheats, to] = 0.008
    return World(price, asr, degrades, recovers, (cheats, to))


def share(world: World, name: str, to: str, hour: float) -> float:
    found = world.asr[name, to]
    if name == world.degrades and 1.5 <= hour < 3.0:
        return found * 0.15
    if name == world.recovers and hour < 3.0:
        return found * 0.3
    return found


def terms_of(world: World) -> Terms:
    def deck(name: str, price: Callable[[str], float]) -> Deck:
        return read_deck("\n".join(["prefix,price_per_min", *(f"{to},{price(to)}" for to in DESTINATIONS)]).encode(), name, "EUR")

    decks = {name: deck(name, lambda to, name=name: world.price[name, to]) for name in NAMES}
    decks["retail"] = deck("retail", lambda to: SELL)
    in_order = tuple(RouteCarrier(carrier=name, priority=at) for at, name in enumerate(NAMES))
    plans = (
        RoutePlan(tenant="t", name="lcr", tries=TRIES),
        RoutePlan(tenant="t", name="static", order="priority", tries=TRIES, carriers=in_order),
        RoutePlan(tenant="t", name="blend", order="blend", tries=TRIES, weights=BlendWeights(cost=1.0, quality=2.0)),
    )
    return compile_contracts(
        Config(
            accounts=(Account(tenant="t", name="x", sell_deck="retail", route_plan="lcr"),),
            carriers=tuple(Carrier(tenant="t", name=name, buy_deck=name) for name in NAMES),
            trunks=tuple(Trunk(tenant="t", name=name, carrier=name, address="192.0.2.1:5060") for name in NAMES),
            route_plans=plans,
            decks={f"t/{name}": deck.deck_id for name, deck in decks.items()},
        ),
        {f"t/{name}": deck for name, deck in decks.items()},
    )


def kept(world: World, terms: Terms, plan: str, seed: int, calls: int) -> tuple[float, float, float]:
    """Money kept per million attempts, the share of calls answered by a person, and attempts per call."""
    chance = random.Random(seed)
    view = view_of(terms, "t", "x", 0, plan)
    assert isinstance(view, View)
    prepared, standing = prepare(view, Durations()), Live()
    table: Table = arrange(prepared, standing)
    state, rows, money, attempts, good = Qualities(), list[dict[str, object]](), 0.0, 0, 0
    step_ms = HOURS * HOUR_MS // calls
    blank = {name: "" if dtype == pl.String else None for name, dtype in ATTEMPTS.items()}
    looked_ms = 0
    for at in range(calls):
        now_ms = at * step_ms
        if plan == "blend" and now_ms - looked_ms >= 60_000:
            looked_ms = now_ms
            add(state, 0, pl.DataFrame(rows, schema=ATTEMPTS))
            rows = []
            new = steady(standing, live(scores(state), {}, "t"))
            if new is not standing:
                standing = new
                table = arrange(prepared, standing)
        to = chance.choice(DESTINATIONS)
        entries, _ = table.find_one(to + "1234567")
        if plan == "blend" and chance.random() < 0.01 and len(entries) > 1:
            entries.insert(0, entries.pop(chance.randrange(1, len(entries))))
        talk_s = min(chance.expovariate(1 / 180), 3_600)
        for number, entry in enumerate(entries, 1):
            attempts += 1
            name = entry.carrier
            cheats = (name, to) == world.cheats
            answered = cheats or chance.random() < share(world, name, to, now_ms / HOUR_MS)
            lasts_s = chance.uniform(3, 12) if cheats else talk_s
            rows.append(
                blank
                | {
                    "partition": 0, "offset": attempts, "revision": 1, "learned_ms": now_ms, "tenant": "t", "call_key": f"{at:013x}{0:019x}",
                    "attempt_no": number, "carrier": name, "b_number": to + "1234567", "at_ms": now_ms, "answered": answered,
                    "duration_ms": round(1000 * lasts_s) * answered, "pdd_ms": 2_000, "sip_code": None if answered else 503,
                }
            )  # fmt: skip
            if answered:
                money += (0.0 if cheats else SELL * lasts_s / 60) - world.price[name, to] * lasts_s / 60
                good += not cheats
                break
    return 1e6 * money / attempts, good / calls, attempts / calls


def main(calls: int, seeds: int) -> None:
    found: dict[str, list[tuple[float, float, float]]] = {"static": [], "lcr": [], "blend": []}
    for seed in range(seeds):
        drawn = world(random.Random(seed))
        terms = terms_of(drawn)
        for plan in found:
            found[plan].append(kept(drawn, terms, plan, seed, calls))
    print(f"{seeds} seeds, {calls:,} calls each: EUR kept per million attempts, calls that reached a person, attempts per call")
    for plan, rows in found.items():
        money = [one[0] for one in rows]
        rest = [statistics.mean(one[n] for one in rows) for n in (1, 2)]
        print(f"  {plan:8s}{statistics.mean(money):10,.0f} (lowest {min(money):,.0f}, highest {max(money):,.0f}){100 * rest[0]:8.1f} %{rest[1]:8.2f}")
    for other in ("static", "lcr"):
        better = sum(ours[0] > theirs[0] for ours, theirs in zip(found["blend"], found[other], strict=True))
        print(f"  blend keeps more than {other} in {better} of {seeds} seeds")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, int(sys.argv[2]) if len(sys.argv) > 2 else 20)
