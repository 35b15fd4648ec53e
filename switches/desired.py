"""The rows that the tables of a switch should hold of the config in force and the protected list: one pure function per table. Routes are
made apart from them, by the router (`switches.routes`).

Names and values are the same for every kind of switch; a driver translates them. A value is JSON (`Source`, `Carrier`,
`core.numbers.DialPlan`), except in `protected`, where it is the reason.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from books.deliveries import CARRIERS, DIAL_PLANS, GATEWAYS, LISTS, PROTECTED, SOURCES
from core.config import Config, RoutePlan, Trunk, path
from core.decide import Listed
from core.ids import derived_id
from core.numbering import prefixes_of
from core.numbers import DialPlan
from core.orders import EVERYONE
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
    redress: str = ""  # what a refused caller reads (`Policy.redress`); "" = a plain 603
    view: str = ""  # by which its calls are routed (`switches.routes`); "" = to the carriers in their order


class Carrier(msgspec.Struct, frozen=True):
    """A next hop. `prefix` goes before the E.164 digits of the sent number."""

    name: str
    address: str  # HOST:PORT
    trunk_group: str = ""
    egress_trunk: str = ""
    prefix: str = ""


def tables(config: Config, listed: Sequence[Listed], carried: Mapping[str, bool], next_hop: str = "") -> dict[str, Rows]:
    """The rows of all tables whose rows do not expire, for a switch that carries these tenants (-> whether it enforces for them). `next_hop`: see
    `carriers`."""
    tenants = sorted(carried)
    return {
        PROTECTED: protected(listed),
        LISTS: lists(listed, carried),
        DIAL_PLANS: dial_plans(config),
        GATEWAYS: routes.gateways(config, tenants),
        SOURCES: sources(config, tenants),
        CARRIERS: carriers(config, tenants, next_hop, [row for row in listed if row.list == "deny" and row.kind == "carrier"]),
    }


def protected(listed: Iterable[Listed]) -> Rows:
    """Digits, `A|account` or `T|trunk` (`A|tenant/account` where the entry is of one tenant) -> the reason, without characters that
    switches cannot hold, such as quotes.

    >>> protected([Listed("protected", "trunk", "", "tg1", 'our "own" line', "ops", 0)])
    {'T|tg1': 'our own line'}
    """
    letter = {"number": "", "account": "A|", "trunk": "T|"}
    return {letter[row.kind] + path(row.tenant, row.value): _plain(row.why) or "protected" for row in listed if row.list == "protected"}


def lists(listed: Iterable[Listed], carried: Mapping[str, bool]) -> Rows:
    """Entry of a key (`Key.entry`; account `*` = all callers of a tenant) -> `verb|until in s|id`: allow, deny, or mark in shadow.

    >>> entry = Listed("deny", "number", "", "88213", "pumped", "ann", 0, account="acme")
    >>> rows = lists([entry, Listed("deny", "destination", "t1", "LV", "w", "ann", 0, until_ms=5_000)], {"t1": True, "t2": False})
    >>> [(name, value.rpartition("|")[0]) for name, value in sorted(rows.items())]
    [('t1|A|*||371', 'deny|5'), ('t1|A|acme||88213', 'deny|0'), ('t2|A|acme||88213', 'mark|0')]
    """
    found: Rows = {}
    for row in listed:
        if row.list not in ("allow", "deny") or row.kind == "carrier":
            continue
        for tenant, enforcing in carried.items():
            if row.tenant not in ("", tenant):
                continue
            verb = "allow" if row.list == "allow" else "deny" if enforcing else "mark"
            value = f"{verb}|{-(-row.until_ms // 1000)}|{listed_id(row)}"
            for name in _entries(row, tenant):
                if found.get(name, "").partition("|")[0] != "deny":  # of a number that is on both lists
                    found[name] = value
    return found


def listed_id(row: Listed) -> str:
    """By which the record of a call names the entry that refused it."""
    return derived_id("list", row.list, row.kind, row.tenant, row.account, row.value)


def _entries(row: Listed, tenant: str) -> Iterator[str]:
    whose = f"A|{row.account or EVERYONE}"
    if row.kind in ("account", "trunk"):
        yield f"{tenant}|{'A' if row.kind == 'account' else 'T'}|{row.value}||"
    elif row.kind == "caller":
        yield f"{tenant}|{whose}|{row.value}|"
    else:
        for digits in prefixes_of(row.value) if row.kind == "destination" else (row.value,):
            yield f"{tenant}|{whose}||{digits}"


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

    def redress(tenant: str) -> str:
        return config.policies.get(tenant, config.policy).redress

    def find(kind: str, tenant: str, name: str) -> RoutePlan | None:
        return route_plans.get((tenant, name))

    return {
        str(ipaddress.ip_network(network, strict=False)): _json(
            Source(
                trunk.tenant, trunk.account, trunk.name,
                plan_name(trunk.tenant if (trunk.tenant, trunk.dial_plan) in plans else "", trunk.dial_plan), trunk.max_call_s, trunk.keepalive,
                caller_ranges=trunk.caller_ranges, accept_unreadable=trunk.accept_unreadable,
                redress=redress(trunk.tenant), view=routes.view_of_account(accounts.get((trunk.tenant, trunk.account)), find),
            )
        )
        for trunk in config.trunks
        if trunk.tenant in tenants and (trunk.account or not trunk.carrier)
        for network in trunk.sources
    }  # fmt: skip


def carriers(config: Config, tenants: Sequence[str], next_hop: str = "", denied: Sequence[Listed] = ()) -> Rows:
    """`tenant|n` -> the n-th next hop of the tenant's calls, in the order of its egress trunks. `|n` are those of emergency calls from unknown
    addresses: the next hops of the first tenant.

    Carriers on the deny list are left out, where another is left: an emergency call needs a way.

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
        out = {row.value for row in denied if row.tenant in ("", tenant)}
        egress = [one for one in egress if one.carrier not in out] or egress
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
