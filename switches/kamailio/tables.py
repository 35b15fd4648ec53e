"""Rows of a switch's tables as Kamailio's `htable`s hold them: keys and values as text, which the Lua beside this file reads.

Values are checked before they are sent: a bad one is a `ValueError` here, and never breaks the switch.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import msgspec

from books.deliveries import CARRIERS, DIAL_PLANS, SOURCES
from core.numbers import DialPlan
from switches.desired import Carrier, Source

_NAME = re.compile(r"[A-Za-z0-9._@+-]{0,64}")
_DIGITS = re.compile(r"[0-9]{0,15}")
_TECH = re.compile(r"[A-Za-z0-9*#+]{1,16}")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


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
    """tenant|account|trunk|dial plan|longest call in s|keepalive 0/1|ranges of trusted callers|accepts unreadable numbers 0/1.

    >>> source_row(Source("t1", "acme", "in-1", caller_ranges=("4314040",)))
    't1|acme|in-1|e164|14400|0|4314040|0'
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
    return "|".join([*names, str(int(source.max_call_s)), flags[0], ranges, flags[1]])


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
            ",".join(checked(tech, _TECH, "tech prefix") for tech in plan.tech_prefixes),
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
    return "|".join(
        [
            checked(carrier.name, _NAME, "carrier"),
            checked(carrier.trunk_group, _NAME, "trunk group"),
            checked(carrier.egress_trunk, _NAME, "egress trunk"),
            checked(carrier.address, _ADDRESS, "carrier address"),
            carrier.prefix and checked(carrier.prefix, _TECH, "carrier prefix"),
        ]
    )


def spell_name(table: str, name: str) -> str:
    """The key of a row in its `htable`."""
    if table != SOURCES:
        return name
    try:
        return network_key(name)
    except ValueError:  # not a network: it is removed by its name
        return name


@lru_cache(200_000)
def spell(table: str, name: str, value: str) -> tuple[str, str]:
    """Key and value of a row of `books.deliveries` in its `htable`; a `ValueError` where Kamailio cannot hold it.

    >>> spell("sources", "2001:db8::/32", '{"tenant":"t1","account":"acme"}')
    ('2001:db8:0:0:0:0:0:0/32', 't1|acme||e164|14400|0||0')
    >>> spell("blocks", "t1|A|acme||88213", "order-1"), spell("carriers", "t1|1", "")
    (('t1|A|acme||88213', 'order-1'), ('t1|1', ''))
    """
    if not value:
        return spell_name(table, name), ""
    if table == SOURCES:
        return network_key(name), source_row(msgspec.json.decode(value, type=Source))
    if table == CARRIERS:
        return name, carrier_row(msgspec.json.decode(value, type=Carrier))
    if table == DIAL_PLANS:
        return checked(name, _NAME, "dial plan"), dial_plan_row(msgspec.json.decode(value, type=DialPlan))
    return name, value
