"""The switch's own tables, compiled from settings: plain text keys and values that the Lua beside this file reads.

Values that reach a configuration file are checked against what they may contain; a bad one is a `ValueError` at compile time,
never a broken switch.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable

from core.numbers import DialPlan
from core.safety import Protected
from switches.kamailio.settings import Carrier, Settings, Source

Table = dict[str, str]

_NAME = re.compile(r"[A-Za-z0-9._@+-]{0,64}")
_OWN_NAME = re.compile(rf"(?:{_NAME.pattern}/)?{_NAME.pattern}")
_DIGITS = re.compile(r"[0-9]{0,15}")
_TECH = re.compile(r"[A-Za-z0-9*#+]{1,16}")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


def checked(value: str, pattern: re.Pattern[str], what: str) -> str:
    """The value, if it is made of what its place in the configuration allows.

    >>> checked('a"b', _NAME, "account")
    Traceback (most recent call last):
    ...
    ValueError: account 'a"b' has a character that the switch's tables do not take
    """
    if not pattern.fullmatch(value):
        raise ValueError(f"{what} {value!r} has a character that the switch's tables do not take")
    return value


def network_key(network: str) -> str:
    """A network as the switch's look-up writes it: IPv6 without `::`.

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

    >>> source_row(Source("192.0.2.7", "t1", "acme", "in-1", caller_ranges=("4314040",)))
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


def protected_rows(protected: Protected) -> Table:
    """Numbers as digits; the operator's own accounts and trunks as A|NAME and T|NAME, one tenant's as A|TENANT/NAME.

    >>> protected_rows(Protected(numbers=("112",), trunks=frozenset({"own"})))
    {'112': 'protected', 'T|own': 'protected'}
    """
    keys = [checked(digits, _DIGITS, "protected number") for digits in sorted(set(protected.numbers)) if digits]
    keys += [f"A|{checked(name, _OWN_NAME, 'account')}" for name in sorted(protected.accounts)]
    keys += [f"T|{checked(name, _OWN_NAME, 'trunk')}" for name in sorted(protected.trunks)]
    return dict.fromkeys(keys, "protected")


def tables(settings: Settings) -> dict[str, Table]:
    """Everything that is compiled into the switch, by table."""
    plans = {checked(plan.name, _NAME, "dial plan"): dial_plan_row(plan) for plan in settings.dial_plans}
    for source in settings.sources:
        if source.dial_plan not in plans:
            raise ValueError(f"source {source.network} names the dial plan {source.dial_plan!r}, which is not among the settings")
    compiled = {
        "dialplan": plans,
        "sources": {network_key(source.network): source_row(source) for source in settings.sources},
        "carriers": {str(number): carrier_row(carrier) for number, carrier in enumerate(settings.carriers, 1)},
        "protected": protected_rows(settings.protected),
    }
    compiled["ctl"] = {
        "tables": checked(settings.tables_version, _NAME, "version of the tables") or content_version(compiled),
        "lengths4": _lengths(settings.sources, 4),
        "lengths6": _lengths(settings.sources, 6),
    }
    return compiled


def content_version(compiled: dict[str, Table]) -> str:
    """A version from the content alone: the same tables, the same version."""
    lines = sorted(f"{table}\t{key}\t{value}" for table, rows in compiled.items() for key, value in rows.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _lengths(sources: Iterable[Source], version: int) -> str:
    """The prefix lengths that occur, longest first, so that the switch tries only those."""
    nets = [ipaddress.ip_network(source.network, strict=False) for source in sources]
    return ",".join(str(length) for length in sorted({net.prefixlen for net in nets if net.version == version}, reverse=True))
