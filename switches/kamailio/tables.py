"""Rows of a switch's tables as Kamailio's `htable`s hold them: keys and values as text, which the Lua beside this file reads.

Values are checked before they are sent: a bad one is a `ValueError` here, and never breaks the switch.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import msgspec

from books.deliveries import CARRIERS, DIAL_PLANS, GATEWAYS, ROUTE_PLANS, ROUTES, SOURCES
from core.address import host_and_port
from core.config import TECH_PREFIX
from core.numbers import DialPlan
from switches.desired import Carrier, Source
from switches.routes import Gateway, Plan, Route

_NAME = re.compile(r"[A-Za-z0-9._@+-]{0,64}")
_DIGITS = re.compile(r"[0-9]{0,15}")
_VIEW = re.compile(r"[A-Za-z0-9._@+-]{1,200}")
_CODE = re.compile(r"[0-9x]{3}")


def checked(value: str, pattern: re.Pattern[str], what: str) -> str:
    """The value, if it has only characters that its column allows.

    >>> checked('a"b', _NAME, "account")
    Traceback (most recent call last):
    ...
    ValueError: account 'a"b' has a character that the switch's tables do not take
    """
    if not pattern.fullmatch(value):
        raise ValueError(f"{what} {value!r} has a character that the switch's tables do not take")
    return value


def network_key(network: str) -> str:
    """A network as the look-up of the switch writes it: IPv6 without `::`.

    >>> network_key("192.0.2.7"), network_key("2001:db8::/32")
    ('192.0.2.7/32', '2001:db8:0:0:0:0:0:0/32')
    """
    net = ipaddress.ip_network(network, strict=False)
    if net.version == 4:
        return str(net)
    groups = net.network_address.exploded.split(":")
    return ":".join(f"{int(group, 16):x}" for group in groups) + f"/{net.prefixlen}"


def source_row(source: Source) -> str:
    """tenant|account|trunk|dial plan|longest call in s|keepalive 0/1|ranges of trusted callers|accepts unreadable numbers 0/1|view of routes.

    >>> source_row(Source("t1", "acme", "in-1", caller_ranges=("4314040",), view="best@t1"))
    't1|acme|in-1|e164|14400|0|4314040|0|best@t1'
    """
    names = [
        checked(value, _NAME, what)
        for what, value in (
            ("tenant", source.tenant),
            ("account", source.account),
            ("trunk", source.trunk),
            ("dial plan", source.dial_plan),
        )
    ]
    ranges = ",".join(checked(digits, _DIGITS, "range of callers") for digits in source.caller_ranges if digits)
    flags = ["1" if flag else "0" for flag in (source.keepalive, source.accept_unreadable)]
    view = source.view and checked(source.view, _VIEW, "view of routes")
    return "|".join([*names, str(int(source.max_call_s)), flags[0], ranges, flags[1], view])


def dial_plan_row(plan: DialPlan) -> str:
    """country code|international prefix|trunk prefix|tech prefixes|bare is E.164 0/1|longest short|emergency|service.

    >>> dial_plan_row(DialPlan(country_code="43", trunk_prefix="0", tech_prefixes=("7001#",)))
    '43|00|0|7001#|1|6|112,911,999|'
    """
    return "|".join(
        [
            checked(plan.country_code, _DIGITS, "country code"),
            checked(plan.international_prefix, _DIGITS, "international prefix"),
            checked(plan.trunk_prefix, _DIGITS, "trunk prefix"),
            ",".join(checked(tech, TECH_PREFIX, "tech prefix") for tech in plan.tech_prefixes),
            "1" if plan.bare_is_e164 else "0",
            str(int(plan.short_max)),
            ",".join(checked(digits, _DIGITS, "emergency number") for digits in plan.emergency),
            ",".join(checked(digits, _DIGITS, "service number") for digits in plan.service),
        ]
    )


def carrier_row(carrier: Carrier) -> str:
    """name|trunk group|egress trunk|HOST:PORT|prefix.

    >>> carrier_row(Carrier("a", "192.0.2.1:5060", "tg1"))
    'a|tg1||192.0.2.1:5060|'
    """
    host_and_port(carrier.address)
    return "|".join(
        [
            checked(carrier.name, _NAME, "carrier"),
            checked(carrier.trunk_group, _NAME, "trunk group"),
            checked(carrier.egress_trunk, _NAME, "egress trunk"),
            carrier.address,
            carrier.prefix and checked(carrier.prefix, TECH_PREFIX, "carrier prefix"),
        ]
    )


def gateway_row(gateway: Gateway) -> str:
    """carrier|trunk group|HOST:PORT|prefix|capacity in calls|calls per second|probed 0/1.

    >>> gateway_row(Gateway("blue", "192.0.2.1:5060", capacity_calls=30, probe=True))
    'blue||192.0.2.1:5060||30||1'
    """
    head = carrier_row(Carrier(gateway.carrier, gateway.address, gateway.trunk_group, "", gateway.prefix)).split("|")
    bounds = ["" if bound is None else str(int(bound)) for bound in (gateway.capacity_calls, gateway.calls_per_second)]
    return "|".join([head[0], head[1], head[3], head[4], *bounds, "1" if gateway.probe else "0"])


def route_row(route: Route) -> str:
    """GATEWAY,GATEWAY,... or !denied, !no_route.

    >>> route_row(Route(("a", "b"))), route_row(Route(refuse="denied"))
    ('a,b', '!denied')
    """
    return ",".join(checked(name, _NAME, "gateway") for name in route.gateways) or f"!{route.refuse or 'no_route'}"


def route_plan_row(plan: Plan) -> str:
    """tries|stop codes|go-on codes|who goes first|GATEWAY:WEIGHT,...|by LRN 0/1.

    >>> route_plan_row(Plan(4, ("486",), ("5xx",), "weight", {"a": 3, "b": 1}))
    '4|486|5xx|weight|a:3,b:1|0'
    """
    codes = [",".join(checked(code, _CODE, "code") for code in codes) for codes in (plan.stop_codes, plan.go_on_codes)]
    weights = ",".join(f"{checked(name, _NAME, 'gateway')}:{int(weight)}" for name, weight in plan.weights.items())
    return "|".join([str(int(plan.tries)), *codes, plan.first, weights, "1" if plan.by_lrn else "0"])


def spell_name(table: str, name: str) -> str:
    """The key of a row in its `htable`."""
    if table != SOURCES:
        return name
    try:
        return network_key(name)
    except ValueError:  # not a network: it is removed by its name
        return name


_ROUTE = msgspec.json.Decoder(Route)


@lru_cache(200_000)
def spell(table: str, name: str, value: str) -> tuple[str, str]:
    """Key and value of a row of `books.deliveries` in its `htable`; a `ValueError` where Kamailio cannot hold it.

    >>> spell("sources", "2001:db8::/32", '{"tenant":"t1","account":"acme"}')
    ('2001:db8:0:0:0:0:0:0/32', 't1|acme||e164|14400|0||0|')
    >>> spell("blocks", "t1|A|acme||88213", "order-1"), spell("carriers", "t1|1", "")
    (('t1|A|acme||88213', 'order-1'), ('t1|1', ''))
    """
    if not value:
        return spell_name(table, name), ""
    if table == SOURCES:
        return network_key(name), source_row(msgspec.json.decode(value, type=Source))
    if table == CARRIERS:
        return name, carrier_row(msgspec.json.decode(value, type=Carrier))
    if table == GATEWAYS:
        return name, gateway_row(msgspec.json.decode(value, type=Gateway))
    if table == ROUTES:
        view, _, prefix = name.rpartition("|")
        return f"{checked(view, _VIEW, 'view of routes')}|{checked(prefix, _DIGITS, 'prefix')}", route_row(_ROUTE.decode(value))
    if table == ROUTE_PLANS:
        return checked(name, _VIEW, "view of routes"), route_plan_row(msgspec.json.decode(value, type=Plan))
    if table == DIAL_PLANS:
        return checked(name, _NAME, "dial plan"), dial_plan_row(msgspec.json.decode(value, type=DialPlan))
    return name, value
