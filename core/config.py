"""One config version: everything that decides what a record costs and when it is suspicious, together and immutable.

The books store it as JSON (`msgspec.json`), a row a version; the tick names the version; the row keeps it.
Lists, suppressions and protected numbers are not in it: they act at once, where orders are delivered.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from core.numbers import DialPlan, is_range
from core.policy import Policy


class Caps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hard caps of a subject; None = no cap. Money in nanos of the account's sell currency."""

    money_hour_nanos: int | None = None
    money_day_nanos: int | None = None
    concurrent_calls: int | None = None
    calls_per_second: int | None = None


class UnpricedCaps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hard caps of an account's calls to numbers that cannot be read, or that no rate deck prices; None = no cap.

    Answered calls and minutes of talk count in the clock hours of UTC.
    """

    calls_hour: int | None = None
    minutes_hour: int | None = None
    concurrent_calls: int | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is sold to. A counterparty may be customer and carrier at once: the same `counterparty` on both."""

    tenant: str
    name: str
    counterparty: str = ""
    sell_deck: str = ""  # a deck's name; its content is in `Config.decks`
    caps: Caps = Caps()
    destination_caps: Caps = Caps()  # for each destination under it
    unpriced_caps: UnpricedCaps = UnpricedCaps()  # of all numbers together that cannot be read or priced
    first_seen_destination: bool = False  # alert when it calls a country for the first time


class Carrier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is bought from."""

    tenant: str
    name: str
    counterparty: str = ""
    buy_deck: str = ""
    caps: Caps = Caps()  # of all calls that go out over it, whoever's they are


class Trunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way in (or out). `sources`: addresses or networks that the switch takes as this trunk."""

    tenant: str
    name: str
    account: str = ""  # of an ingress trunk
    carrier: str = ""  # of an egress trunk
    address: str = ""  # HOST:PORT of an egress trunk: where switches send its calls
    prefix: str = ""  # of an egress trunk: what is put before the E.164 digits of the sent number
    trunk_group: str = ""  # of an egress trunk
    dial_plan: str = "e164"
    sources: tuple[str, ...] = ()
    caller_ranges: tuple[str, ...] = ()  # numbers that it is trusted for as callers: prefixes of E.164 digits
    keepalive: bool = False  # both ends of its calls are asked for a sign of life inside the call
    accept_unreadable: bool = False  # its calls to what means no number are sent on as they came, instead of refused
    caps: Caps = Caps()
    max_call_s: int = 4 * 3600  # a call without a sign of life for this long is closed as suspected hung
    hung_ends: Literal["sign_of_life", "timer"] = "sign_of_life"  # when it ended: then, or max_call_s later (the session timer's doing)


class TrunkGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group of trunks to a carrier, as the switch names it; here only where it has caps."""

    tenant: str
    name: str
    caps: Caps = Caps()


class Range(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A range of numbers and what all accounts together may spend there. A call belongs to the longest one that its number begins with.

    >>> Range(tenant="t1", b_range="88213").name
    '88213'
    """

    tenant: str
    b_range: str  # 1 to 15 digits
    caps: Caps = Caps()

    @property
    def name(self) -> str:
        return self.b_range


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole version. `decks`: name -> deck version id (`DeckVersion` in the books)."""

    version: int
    accounts: tuple[Account, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    trunk_groups: tuple[TrunkGroup, ...] = ()
    ranges: tuple[Range, ...] = ()
    dial_plans: tuple[DialPlan, ...] = (DialPlan(),)
    decks: dict[str, str] = {}
    policy: Policy = Policy()
    protected_numbers: tuple[str, ...] = ()  # as the lists stood at publishing; the dispatcher asks the lists themselves
    protected_accounts: tuple[str, ...] = ()
    protected_trunks: tuple[str, ...] = ()
    self_register: bool = False  # replay without books: unknown accounts, trunks and carriers are taken as they come
    default_sell_deck: str = ""  # of accounts that registered themselves
    default_buy_deck: str = ""


UNPRICED_BLOCKS = ("ask", "automatic", "never")


def faults(config: Config) -> list[str]:
    """What in a version would stop the flows or silence a detector, each with its place; [] = nothing.

    >>> faults(Config(version=1, policy=Policy(half_life_s=0)))
    ['policy.half_life_s: 0 is not more than 0']
    """
    found: list[str] = []

    def positive(place: str, value: float, *, or_zero: bool = False) -> None:
        if not (math.isfinite(value) and (value > 0 or (or_zero and value == 0))):
            found.append(f"{place}: {value} is not {'0 or more' if or_zero else 'more than 0'}")

    policy = config.policy
    for name in ("half_life_s", "baseline_half_life_s", "episode_ms", "order_ttl_ms", "reissue_ms"):
        positive(f"policy.{name}", getattr(policy, name))
    for name in ("account_floor", "a_number_floor", "b_range_floor", "unpriced_floor", "baseline_factor", "unpriced_per_min", "unpriced_risk",
                 "order_score"):  # fmt: skip
        positive(f"policy.{name}", getattr(policy, name), or_zero=True)
    if policy.unpriced_blocks not in UNPRICED_BLOCKS:
        found.append(f"policy.unpriced_blocks: {policy.unpriced_blocks!r} is none of {', '.join(UNPRICED_BLOCKS)}")
    for account in config.accounts:
        for name in account.unpriced_caps.__struct_fields__:
            if (value := getattr(account.unpriced_caps, name)) is not None:
                positive(f"account {account.tenant}/{account.name}: unpriced_caps.{name}", value, or_zero=True)
    for currency, unit in policy.units.items():
        positive(f"policy.units[{currency}]", unit)
    for kind, owners in (("carrier", config.carriers), ("trunk group", config.trunk_groups)):
        for owner in owners:
            if owner.caps.calls_per_second is not None:
                found.append(
                    f"{kind} {owner.tenant}/{owner.name}: calls_per_second counts how calls come in, before a {kind} is chosen: "
                    "set it on accounts, trunks or ranges"
                )
    for one in config.ranges:
        if not is_range(one.b_range):
            found.append(f"range {one.tenant}/{one.b_range}: {one.b_range!r} is not 1 to 15 digits from the country code on")
    for trunk in config.trunks:
        positive(f"trunk {trunk.tenant}/{trunk.name}: max_call_s", trunk.max_call_s)
        for digits in trunk.caller_ranges:
            if not is_range(digits):
                found.append(f"trunk {trunk.tenant}/{trunk.name}: caller range {digits!r} is not 1 to 15 digits from the country code on")
    return found
