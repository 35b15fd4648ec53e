"""The rows that the tables of a switch should hold of the config in force and the protected list: one pure function per table. Routes are
made apart from them, by the router (`switches.routes`).

Names and values are the same for every kind of switch; a driver translates them. A value is JSON (`Source`, `Carrier`,
`core.numbers.DialPlan`), except in `protected`, where it is the reason.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import msgspec

from books.deliveries import CARRIERS, DIAL_PLANS, GATEWAYS, PROTECTED, SOURCES
from core.config import Config, RoutePlan, Trunk, path
from core.decide import Listed
from core.numbers import DialPlan
from switches import routes

Rows = dict[str, str]
"""name -> value"""


class Source(msgspec.Struct, frozen=True):
    """The account and trunk of calls from a network. Only the source address makes a call an account's, whatever From claims."""

    tenant: str
    account: str = ""
    trunk: str = ""
    dial_plan: str = "e164"
    max_call_s: int = 4 * 3600  # a longer call is ended and marked as suspected hung
    keepalive: bool = False  # send OPTIONS to both sides inside the call
    caller_ranges: tuple[str, ...] = ()  # prefixes of caller numbers that the trunk is trusted for; only they may call "from a protected number"
    accept_unreadable: bool = False  # calls to an unreadable number are sent on unchanged, instead of refused with 484
    view: str = ""  # by which its calls are routed (`switches.routes`); "" = to the carriers in their order


class Carrier(msgspec.Struct, frozen=True):
    """A next hop. `prefix` goes before the E.164 digits of the sent number."""

    name: str
    address: str  # HOST:PORT
    trunk_group: str = ""
    egress_trunk: str = ""
    prefix: str = ""


def tables(config: Config, listed: Iterable[Listed], tenants: Sequence[str], next_hop: str = "") -> dict[str, Rows]:
    """The rows of all tables whose rows do not expire, for a switch that carries these tenants. `next_hop`: see `carriers`."""
    return {
        PROTECTED: protected(listed),
        DIAL_PLANS: dial_plans(config),
        GATEWAYS: routes.gateways(config, tenants),
        SOURCES: sources(config, tenants),
        CARRIERS: carriers(config, tenants, next_hop),
    }


def protected(listed: Iterable[Listed]) -> Rows:
    """Digits, `A|account` or `T|trunk` (`A|tenant/account` where the entry is of one tenant) -> the reason, without characters that
    switches cannot hold, such as quotes.

    >>> protected([Listed("protected", "trunk", "", "tg1", 'our "own" line', "ops", 0)])
    {'T|tg1': 'our own line'}
    """
    letter = {"number": "", "account": "A|", "trunk": "T|"}
    return {letter[row.kind] + path(row.tenant, row.value): _plain(row.why) or "protected" for row in listed if row.list == "protected"}


def dial_plans(config: Config) -> Rows:
    """Name at the switch (`plan_name`) -> the plan; with `e164` always.

    >>> plans = dial_plans(Config(dial_plans=(DialPlan("at", tenant="t1"),)))
    >>> list(plans), plans["e164"][:33]
    (['e164', 'at@t1'], '{"name":"e164","country_code":"",')
    """
    own = {plan_name(plan.tenant, plan.name): plan for plan in config.dial_plans}
    plans = {"e164": DialPlan()} | own
    return {name: _json(msgspec.structs.replace(plan, tenant="", name=name)) for name, plan in plans.items()}


def plan_name(tenant: str, name: str) -> str:
    """The name of a dial plan at a switch that carries several tenants.

    >>> plan_name("t1", "at"), plan_name("", "at")
    ('at@t1', 'at')
    """
    return f"{name}@{tenant}" if tenant else name


def sources(config: Config, tenants: Sequence[str]) -> Rows:
    """Network (`192.0.2.7/32`) -> account and trunk of the calls from there.

    >>> from core.config import Trunk
    >>> trunk = Trunk(tenant="t1", name="in", account="acme", sources=("192.0.2.7",))
    >>> sources(Config(version=1, trunks=(trunk,)), ["t1"])["192.0.2.7/32"][:47]
    '{"tenant":"t1","account":"acme","trunk":"in","d'
    """
    plans = {(plan.tenant, plan.name) for plan in config.dial_plans}
    accounts = {(account.tenant, account.name): account for account in config.accounts if account.route_plan}
    route_plans = {(plan.tenant, plan.name): plan for plan in config.route_plans}

    def find(kind: str, tenant: str, name: str) -> RoutePlan | None:
        return route_plans.get((tenant, name))

    return {
        str(ipaddress.ip_network(network, strict=False)): _json(
            Source(
                trunk.tenant, trunk.account, trunk.name,
                plan_name(trunk.tenant if (trunk.tenant, trunk.dial_plan) in plans else "", trunk.dial_plan), trunk.max_call_s, trunk.keepalive,
                caller_ranges=trunk.caller_ranges, accept_unreadable=trunk.accept_unreadable,
                view=routes.view_of_account(accounts.get((trunk.tenant, trunk.account)), find),
            )
        )
        for trunk in config.trunks
        if trunk.tenant in tenants and (trunk.account or not trunk.carrier)
        for network in trunk.sources
    }  # fmt: skip


def carriers(config: Config, tenants: Sequence[str], next_hop: str = "") -> Rows:
    """`tenant|n` -> the n-th next hop of the tenant's calls, in the order of its egress trunks. `|n` are those of emergency calls from unknown
    addresses: the next hops of the first tenant.

    `next_hop` (HOST:PORT) is used for a tenant without an egress trunk that has an address, as the address of its first egress trunk.

    >>> from core.config import Trunk
    >>> out = Trunk(tenant="t1", name="out", carrier="blue")
    >>> carriers(Config(version=1, trunks=(out,)), ["t1"], "192.0.2.1:5060")["|1"]
    '{"name":"blue","address":"192.0.2.1:5060","trunk_group":"","egress_trunk":"out","prefix":""}'
    """
    found: Rows = {}
    nobody: Rows = {}
    for tenant in tenants:
        egress = [trunk for trunk in config.trunks if trunk.tenant == tenant and trunk.carrier]
        if next_hop and not any(one.address for one in egress):
            nowhere = Trunk(tenant=tenant, name="", carrier="next-hop")
            egress = [msgspec.structs.replace((egress or [nowhere])[0], address=next_hop)]
        hops = [Carrier(one.carrier, one.address, one.trunk_group, one.name, one.prefix) for one in egress if one.address]
        mine = {str(number): _json(hop) for number, hop in enumerate(hops, 1)}
        nobody = nobody or mine
        found |= {f"{tenant}|{number}": value for number, value in mine.items()}
    return found | {f"|{number}": value for number, value in nobody.items()}


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(msgspec.structs.asdict(value)).decode()  # with all fields: equal values are equal text


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isascii() and (c.isalnum() or c in " .,:+-"))[:60]
