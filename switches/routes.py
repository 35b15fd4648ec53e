"""The rows of routes that the tables of a switch should hold: gateways of the config, and the routes and plans of its views.

A **view** is a route plan as the accounts see it that have one price list: its rows differ by what the account pays only where the plan asks
for a margin or names destinations. Rows are the same for every kind of switch; a driver translates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from core.config import Account, Config, Find, RoutePlan, is_gateway, plans_of
from rating.routes.table import DENIED, Table, rows

Rows = dict[str, str]


class Gateway(msgspec.Struct, frozen=True):
    """A next hop of routes, by TENANT|NAME. `capacity_calls`, `calls_per_second`: None = without a bound."""

    carrier: str
    address: str  # HOST:PORT
    trunk_group: str = ""
    prefix: str = ""
    capacity_calls: int | None = None
    calls_per_second: int | None = None
    probe: bool = False


class Route(msgspec.Struct, frozen=True):
    """The gateways of a prefix in their order, by VIEW|PREFIX; none, and why."""

    gateways: tuple[str, ...] = ()
    refuse: Literal["", "denied", "no_route"] = ""


class Plan(msgspec.Struct, frozen=True):
    """What a switch does with the routes of a view, by its name."""

    tries: int
    stop_codes: tuple[str, ...]
    go_on_codes: tuple[str, ...]
    first: Literal["table", "weight", "load", "probe"] = "table"  # who goes first: as the rows say; or drawn, the least loaded, now and then another
    weights: dict[str, int] = {}
    by_lrn: bool = False


def gateways(config: Config, tenants: Sequence[str]) -> Rows:
    """The gateways that are in service.

    >>> from core.config import Trunk
    >>> out = Trunk(tenant="t1", name="out", carrier="blue", address="192.0.2.1:5060", capacity_calls=30)
    >>> gateways(Config(trunks=(out,)), ["t1"])["t1|out"][:44]
    '{"carrier":"blue","address":"192.0.2.1:5060"'
    """
    return {
        f"{trunk.tenant}|{trunk.name}": _json(
            Gateway(
                trunk.carrier, trunk.address, trunk.trunk_group, trunk.prefix, trunk.capacity_calls, trunk.capacity_calls_per_second, trunk.probe
            )
        )
        for trunk in config.trunks
        if trunk.tenant in tenants and is_gateway(trunk) and not trunk.out_of_service
    }


def asks_sale(plan: RoutePlan, find: Find) -> bool:
    """Whether the routes of a plan depend on what the account pays."""
    return any(one.margin_floor_percent is not None or any(rule.destination for rule in one.rules) for one in plans_of(plan, find))


def view_name(account: Account, plan: RoutePlan, find: Find) -> str:
    """The name of an account's view at the switches.

    >>> plan = RoutePlan(tenant="t1", name="best", margin_floor_percent=5.0)
    >>> view_name(Account(tenant="t1", name="acme", sell_deck="retail"), plan, lambda kind, tenant, name: None)
    'best@t1+retail'
    """
    sold_by = (account.agreement or account.sell_deck or "+") + (f"@{account.party}" if account.party else "")
    return f"{plan.name}@{plan.tenant}" + (f"+{sold_by}" if asks_sale(plan, find) else "")


def view_of_account(account: Account | None, find: Find) -> str:
    """The name of the view by which an account's calls are routed; "" = it has no route plan."""
    plan = find("route_plans", account.tenant, account.route_plan) if account and account.route_plan else None
    return view_name(account, plan, find) if account and plan else ""


def routes_of(view: str, table: Table) -> Rows:
    """The rows of a view's table.

    A gateway has one row of its own, so that a change of its address or capacity changes one row.
    """
    found = {}
    for prefix, entries, outcome in rows(table):
        names = tuple(table.view.entries[place].gateway for place in entries)
        refuse: Literal["", "denied", "no_route"] = "" if names else "denied" if outcome == DENIED else "no_route"
        found[f"{view}|{prefix}"] = _json(Route(names, refuse))
    return found


_FIRST: dict[str, Literal["table", "weight", "load", "probe"]] = {
    "weight": "weight", "load": "load", "quality": "probe", "blend": "probe"
}


def plan_row(plan: RoutePlan, entries: Iterable[tuple[str, int]]) -> str:
    """The row of a plan. `entries`: gateways and their weights."""
    weights = dict(entries) if plan.order == "weight" else {}
    first = _FIRST.get(plan.order, "table")
    return _json(Plan(plan.tries, plan.stop_codes, plan.go_on_codes, first, weights, bool(plan.portability)))


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(msgspec.structs.asdict(value)).decode()
