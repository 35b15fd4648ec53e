"""A house with carriers for the tests of routes: decks by text, a plan, and the terms of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.config import Account, Carrier, Config, FxRate, RouteCarrier, RoutePlan, Trunk
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck

HEAD = "prefix,price_per_min,connect_fee,attempt_fee,first_s,next_s,destination"


def deck(name: str, *rows: str, currency: str = "EUR") -> Any:
    """A deck of rows `PREFIX PRICE [INCREMENTS [CONNECT [ATTEMPT [DESTINATION]]]]`, such as `43 0.06 60/60`."""
    lines = []
    for row in rows:
        prefix, price, steps, connect, attempt, destination = (*row.split(" ", 5), *("1/1", "0", "0", "")[max(0, len(row.split(" ", 5)) - 2) :])
        first, following = steps.split("/")
        lines.append(f"{prefix},{price},{connect},{attempt},{first},{following},{destination}")
    return read_deck("\n".join([HEAD, *lines]).encode(), name, currency)


def house(
    sell: Any, buy: Mapping[str, Any], plan: Mapping[str, Any] | None = None, *, trunks: tuple[Trunk, ...] | None = None,
    plans: tuple[RoutePlan, ...] = (), fx: tuple[FxRate, ...] = (),
) -> Terms:  # fmt: skip
    """Account acme by plan best, and carriers by name, each with one gateway NAME-1."""
    decks = {f"t1/{one.name}": one for one in (sell, *buy.values())}
    if trunks is None:
        trunks = tuple(Trunk(tenant="t1", name=f"{name}-1", carrier=name, address=f"192.0.2.{n}:5060") for n, name in enumerate(buy, 1))
    config = Config(
        accounts=(Account(tenant="t1", name="acme", sell_deck=sell.name, route_plan="best"),),
        carriers=tuple(Carrier(tenant="t1", name=name, buy_deck=one.name) for name, one in buy.items()),
        trunks=trunks,
        route_plans=(RoutePlan(tenant="t1", name="best", **(plan or {})), *plans),
        decks={name: one.deck_id for name, one in decks.items()},
        fx_rates=fx,
    )
    return compile_contracts(config, decks)


def listed(**weights: int) -> tuple[RouteCarrier, ...]:
    return tuple(RouteCarrier(carrier=name, weight=weight, priority=at) for at, (name, weight) in enumerate(weights.items(), 1))
