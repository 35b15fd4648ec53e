"""A config version: all settings that decide what a record costs and when it is suspicious, immutable.

Every row belongs to a tenant, and names are unique within their tenant. A row whose tenant is "" applies to every tenant that has no row of
that name: a replay without books prices tenants that are not listed.

The books store a version as a list of hashes of parts (`core.parts`). It contains the protected numbers as of its publication; where orders
are delivered, the current lists, suppressions and protected numbers apply at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import msgspec

from core.address import host_and_port
from core.billing import (
    Commission,
    Exemption,
    Invoicing,
    Legal,
    LegalEntity,
    TaxProfile,
    TaxTable,
    faults_of_days,
    faults_of_entity,
    faults_of_legal,
    faults_of_percents,
    faults_of_table,
    is_day,
)
from core.currencies import is_code
from core.known import KnownRange
from core.money import to_nanos
from core.numbers import DialPlan
from core.policy import Policy

Role: TypeAlias = Literal["sell", "buy"]
Rounding: TypeAlias = Literal["half_up", "half_even", "up", "down"]
FOREVER_MS = 2**62


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


class Party(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A company that is sold to or bought from. An account or carrier without a `party` belongs to a party of its own name.

    `parent` is its reseller: each call of its accounts is also charged to the reseller, by the reseller's own `agreement` (or `sell_deck`),
    and so on upwards.
    """

    tenant: str
    name: str
    kinds: tuple[Literal["customer", "carrier", "reseller"], ...] = ()
    parent: str = ""
    agreement: str = ""  # of a reseller: for the calls of the parties under it
    sell_deck: str = ""  # short form of an agreement: that deck at all times
    legal: Legal = Legal()
    exemptions: tuple[Exemption, ...] = ()
    commission: Commission | None = None  # of a reseller


class DeckSpan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The deck of an agreement from one time until another; None = unlimited."""

    deck: str
    from_at_ms: int | None = None
    until_at_ms: int | None = None  # exclusive


class Markup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a party pays more than its reseller does: each price of the reseller's decks, raised by a percentage and an amount per minute.

    `percent_nanos` is 1e-9 of a percent: 12.5 % is 12_500_000_000. It applies to fees and bounds as well, the amount to prices alone. Each raised
    price is rounded once, to `decimals`.
    """

    percent_nanos: int = 0
    per_minute_nanos: int = 0
    rounding: Rounding = "half_up"
    decimals: int = 9


class Allowance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds of a cycle that a package charges at a price of its own: 0 = included. No `included_s`: without end. No `prefixes`: to any number."""

    name: str
    prefixes: tuple[str, ...] = ()
    included_s: int | None = None
    per_minute_nanos: int = 0


class VolumeTier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The price per minute of all seconds of a volume, where they are more than `above_s` in a cycle."""

    above_s: int = 0
    per_minute_nanos: int = 0


class Volume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A price that follows from the sum of a cycle. Below the lowest tier the deck's prices stay."""

    name: str
    prefixes: tuple[str, ...] = ()
    tiers: tuple[VolumeTier, ...] = ()


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agreement charges otherwise than its decks, by the sum of a cycle (`rating.packages`)."""

    allowances: tuple[Allowance, ...] = ()
    volumes: tuple[Volume, ...] = ()


class Agreement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a party pays (sell) or is paid (buy), and how it is invoiced.

    The spans of `plan` do not overlap; between them nothing is priced. A deck in another currency is converted by an `FxRate`. With a `markup`
    the plan is that of the reseller above the party.
    """

    tenant: str
    name: str
    role: Role
    party: str = ""  # "" = any row that names this agreement
    plan: tuple[DeckSpan, ...] = ()
    markup: Markup | None = None  # instead of a plan
    package: Package | None = None
    currency: str = ""
    time_zone: str = "UTC"
    rounding: Rounding = "half_up"  # of a call's amount, once
    decimals: int = 9  # of a call's amount
    duration_rounding: Rounding = "half_up"  # of talk time, to whole units
    duration_unit_ms: int = 1000  # a second, or a part of one: an increment of 1 s of its decks is then such a unit
    price_change: Literal["call_start", "increment_start", "split"] = "call_start"  # what prices a call within which the price changes
    rating_instant: Literal["answer", "setup", "end"] = "answer"  # whose price list prices a call
    rated_number: Literal["dialled", "lrn"] = "dialled"  # whose prefix prices a call; a number that was not ported has no other
    tax: Literal["exclusive", "inclusive"] = "exclusive"  # inclusive: the prices of the decks are gross
    tax_profile: str = ""
    cycle: Literal["daily", "weekly", "half_monthly", "monthly", "custom"] = "monthly"
    credit_limit_nanos: int | None = None  # what the party may owe: beyond what it paid beforehand where `invoicing.paid` is hybrid
    over_credit: Literal["alert", "block"] = "alert"  # block: refuse new calls of its accounts while it has used more
    payment_days: int = 30
    dispute_days: int = 30
    invoicing: Invoicing = Invoicing()


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who calls and is sold to: by an `agreement`, or by its short form, one `sell_deck` at all times."""

    tenant: str
    name: str
    party: str = ""
    agreement: str = ""
    sell_deck: str = ""
    caps: Caps = Caps()
    destination_caps: Caps = Caps()  # for each destination under it
    unpriced_caps: UnpricedCaps = UnpricedCaps()  # of all numbers together that cannot be read or priced
    first_seen_destination: bool = False  # alert when it calls a country for the first time
    route_plan: str = ""  # "" = its calls go to the egress trunks in their order


class Carrier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is bought from: by an `agreement`, or by its short form, one `buy_deck` at all times."""

    tenant: str
    name: str
    party: str = ""
    agreement: str = ""
    buy_deck: str = ""
    caps: Caps = Caps()  # of the calls of all accounts that go out over it


class Trunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way into or out of the switch. `sources`: addresses or networks that the switch identifies as this trunk."""

    tenant: str
    name: str
    account: str = ""  # of an ingress trunk
    carrier: str = ""  # of an egress trunk
    address: str = ""  # HOST:PORT of an egress trunk: where switches send its calls
    prefix: str = ""  # of an egress trunk: put before the E.164 digits of the sent number
    trunk_group: str = ""  # of an egress trunk
    dial_plan: str = "e164"
    sources: tuple[str, ...] = ()
    caller_ranges: tuple[str, ...] = ()  # numbers that it is trusted for as callers: prefixes of E.164 digits
    keepalive: bool = False  # the switch sends keepalives to both ends of its calls
    accept_unreadable: bool = False  # calls to a text that is no number are sent on unchanged, instead of refused
    caps: Caps = Caps()
    max_call_s: int = 4 * 3600  # a call without a record for this long is closed as suspected hung
    hung_ends: Literal["sign_of_life", "timer"] = "sign_of_life"  # its end: its last record, or max_call_s later (by the session timer)
    # Of a gateway: an egress trunk with an address.
    capacity_calls: int | None = None  # calls at the same time; one more goes to the next gateway
    capacity_calls_per_second: int | None = None
    probe: bool = False  # switches send it OPTIONS, and pass it over while it does not answer
    out_of_service: bool = False  # a person has taken it out: no call goes to it


class RouteCarrier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A carrier of a route plan: its place where the plan orders by priority (the lowest first), its share where it orders by weight."""

    carrier: str
    priority: int = 1
    weight: int = 1


class RouteRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a route plan's lists. It applies where everything that it names fits; the first line that applies decides, and where none
    does the candidate is allowed."""

    action: Literal["allow", "deny"]
    b_range: str = ""  # numbers that begin so; "" = every number
    destination: str = ""  # as the price list of the account names it
    carrier: str = ""
    window: str = ""  # when, as price lists write it (`rating.window`), in the plan's time zone
    why: str = ""


class BlendWeights(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much counts what, where a plan orders by `blend`."""

    cost: float = 0.0
    quality: float = 0.0
    load: float = 0.0


Order: TypeAlias = Literal["lcr", "quality", "priority", "weight", "load", "blend"]
MOST_CANDIDATES = 8
"""Gateways that a call may be tried over."""


class Portability(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who knows where numbers were ported to. `fails`: whether a call goes on as dialled, or is refused, where that cannot be found out."""

    tenant: str
    name: str
    kind: Literal["local", "http", "enum"] = "local"
    url: str = ""  # of http, with {number} in it
    zone: str = ""  # of enum, as e164.arpa
    server: str = ""  # of enum: HOST:PORT of the name server; "" = the machine's own
    timeout_ms: int = 200
    cache_s: int = 3600
    fails: Literal["open", "closed"] = "open"


class RoutePlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How calls of the accounts that name it are routed (`rating.routes`)."""

    tenant: str
    name: str
    order: Order = "lcr"
    carriers: tuple[RouteCarrier, ...] = ()  # () = every carrier that has a gateway and a price
    weights: BlendWeights = BlendWeights()
    rules: tuple[RouteRule, ...] = ()
    tries: int = 4  # gateways that a call is tried over at most
    stop_codes: tuple[str, ...] = ("404", "410", "484", "486", "600", "603", "604", "606")  # the called person, or the number, has decided
    go_on_codes: tuple[str, ...] = ("402", "403", "407", "408", "480", "487", "5xx")  # x stands for any digit
    margin_floor_percent: float | None = None  # of what the call is expected to be sold for; None = any loss is allowed
    below_floor: Literal["drop", "allow"] = "drop"
    portability: str = ""  # of ported numbers: routes are those of the LRN; "" = nobody is asked
    time_zone: str = "UTC"
    then: str = ""  # the plan whose candidates follow


class TrunkGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group of trunks to a carrier, by the switch's own name; listed only where it has caps."""

    tenant: str
    name: str
    caps: Caps = Caps()


class Range(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A range of numbers with caps for all accounts together. A call belongs to the longest range that its number begins with.

    >>> Range(tenant="t1", b_range="88213").name
    '88213'
    """

    tenant: str
    b_range: str  # 1 to 15 digits
    caps: Caps = Caps()

    @property
    def name(self) -> str:
        return self.b_range


class HolidayList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Days on which windows of decks that name this list hold, or do not (`rating.window`). `dates`: ISO, as 2026-12-25."""

    tenant: str
    name: str
    dates: tuple[str, ...] = ()


class FxRate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a unit of one currency is worth in another: `name` is FROM-TO, as USD-EUR. Each rate counts from its day on (00:00 UTC)."""

    tenant: str
    name: str
    source: str = ""
    rates: dict[str, str] = {}  # ISO date -> decimal text


ROWS: dict[str, type[msgspec.Struct]] = {
    "holidays": HolidayList,
    "fx_rates": FxRate,
    "legal_entities": LegalEntity,
    "tax_tables": TaxTable,
    "tax_profiles": TaxProfile,
    "parties": Party,
    "agreements": Agreement,
    "accounts": Account,
    "carriers": Carrier,
    "trunks": Trunk,
    "trunk_groups": TrunkGroup,
    "ranges": Range,
    "dial_plans": DialPlan,
    "portability": Portability,
    "route_plans": RoutePlan,
    "known_ranges": KnownRange,
}
"""The kinds of rows, each with a tenant and a name, in the order of the config file."""

KEPT = frozenset({"known_ranges"})
"""Kinds of rows that the config file does not have: publishing a file keeps them, and commands of their own change them."""


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole version as values. Keys of `decks`, protected accounts and protected trunks are TENANT/NAME, or NAME for every tenant.

    `policies`: by tenant; `policy` applies to a tenant without one.
    """

    version: int = 0
    holidays: tuple[HolidayList, ...] = ()
    fx_rates: tuple[FxRate, ...] = ()
    legal_entities: tuple[LegalEntity, ...] = ()
    tax_tables: tuple[TaxTable, ...] = ()
    tax_profiles: tuple[TaxProfile, ...] = ()
    parties: tuple[Party, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    accounts: tuple[Account, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    trunk_groups: tuple[TrunkGroup, ...] = ()
    ranges: tuple[Range, ...] = ()
    dial_plans: tuple[DialPlan, ...] = ()
    portability: tuple[Portability, ...] = ()
    route_plans: tuple[RoutePlan, ...] = ()
    known_ranges: tuple[KnownRange, ...] = ()  # used for fraud before (`services.known_ranges`)
    decks: dict[str, str] = {}  # -> id of the deck version
    policies: dict[str, Policy] = {}
    policy: Policy = Policy()
    protected_numbers: tuple[str, ...] = ()  # for every tenant
    protected_accounts: tuple[str, ...] = ()
    protected_trunks: tuple[str, ...] = ()
    self_register: bool = False  # replay without books: unknown accounts, trunks and carriers are accepted
    default_sell_deck: str = ""  # of accounts that registered themselves
    default_buy_deck: str = ""


def path(tenant: str, name: str) -> str:
    """A name qualified by its tenant.

    >>> path("t1", "retail"), path("", "retail"), split_path("t1/retail"), split_path("retail")
    ('t1/retail', 'retail', ('t1', 'retail'), ('', 'retail'))
    """
    return f"{tenant}/{name}" if tenant else name


def split_path(text: str) -> tuple[str, str]:
    """The inverse of `path`: tenant ("" = every tenant) and name."""
    tenant, _, name = text.rpartition("/")
    return tenant, name


Find: TypeAlias = Callable[[str, str, str], Any]
"""(kind, tenant, name) -> the row, or None. For the kind "decks": the currency of the deck."""


def agreement_of(row: Account | Carrier | Party, find: Find) -> Agreement | None:
    """The agreement that a row names, or that its deck stands for; None = none, or it does not exist.

    >>> agreement_of(Account(tenant="t1", name="acme", sell_deck="retail"), lambda kind, tenant, name: "EUR").plan[0].deck
    'retail'
    """
    if row.agreement:
        found: Agreement | None = find("agreements", row.tenant, row.agreement)
        return found
    role: Role = "buy" if isinstance(row, Carrier) else "sell"
    deck = row.buy_deck if isinstance(row, Carrier) else row.sell_deck
    currency = find("decks", row.tenant, deck) if deck else None
    if currency is None:
        return None
    return Agreement(tenant=row.tenant, name="", role=role, party=party_of(row), plan=(DeckSpan(deck=deck),), currency=currency)


def party_of(row: Account | Carrier | Party) -> str:
    """The name of the party that a row belongs to."""
    return row.name if isinstance(row, Party) else row.party or row.name


def resellers(tenant: str, party: str, find: Find) -> Iterator[Party]:
    """The resellers above a party, the nearest first; ends where the chain would repeat."""
    visited = {party}
    row = find("parties", tenant, party)
    while row is not None and row.parent and row.parent not in visited:
        visited.add(row.parent)
        row = find("parties", tenant, row.parent)
        if row is not None:
            yield row


def chain_of(row: Account | Party, find: Find) -> tuple[Account | Party, ...]:
    """Who is charged for the calls of an account: the account itself, then the resellers above it, the nearest first."""
    return (row, *resellers(row.tenant, party_of(row), find))


def plan_of(chain: Sequence[Account | Carrier | Party], find: Find) -> tuple[tuple[DeckSpan, ...], tuple[Markup, ...]]:
    """The decks that price a row, and the mark-ups that raise them, in the order in which they apply. `chain`: the row, and the resellers above.

    >>> rows = {
    ...     "root": Agreement(tenant="t1", name="root", role="sell", plan=(DeckSpan(deck="wholesale"),)),
    ...     "shop": Agreement(tenant="t1", name="shop", role="sell", markup=Markup(percent_nanos=10**10)),
    ... }
    >>> chain = Account(tenant="t1", name="acme", agreement="shop"), Party(tenant="t1", name="north", agreement="root")
    >>> plan, markups = plan_of(chain, lambda kind, tenant, name: rows[name])
    >>> plan[0].deck, len(markups)
    ('wholesale', 1)
    """
    markups: tuple[Markup, ...] = ()
    for row in chain:
        agreement = agreement_of(row, find)
        if agreement is None:
            break
        if agreement.markup is None:
            return agreement.plan, markups
        markups = (agreement.markup, *markups)
    return (), markups


def faults_of(kind: str, row: Any, find: Find) -> Iterator[tuple[str, str]]:
    """Names in a row that do not exist, and contradictions between rows: (field, what is wrong and what to do).

    Single values are checked where the file is read (`services.config_file`).

    >>> trunk = Trunk(tenant="t1", name="in", account="acme")
    >>> list(faults_of("trunks", trunk, lambda kind, tenant, name: None))
    [('account', "no account 'acme'")]
    """
    if kind in ("carriers", "trunk_groups") and row.caps.calls_per_second is not None:
        yield "caps.calls_per_second", "counts incoming calls, before a carrier is chosen: set it on accounts, trunks or ranges"
    if kind in ("accounts", "carriers", "parties"):
        yield from _priced(row, find)
        if kind == "accounts" and row.route_plan and find("route_plans", row.tenant, row.route_plan) is None:
            yield "route_plan", f"no route plan {row.route_plan!r}"
    elif kind == "agreements":
        yield from _planned(row, find)
    elif kind == "holidays":
        yield from ((f"dates[{at}]", f"{day!r} is no date: write 2026-12-25") for at, day in enumerate(row.dates) if not _is_date(day))
    elif kind == "fx_rates":
        yield from _rates(row)
    elif kind == "legal_entities":
        yield from faults_of_entity(row)
    elif kind == "tax_tables":
        yield from faults_of_table(row)
    elif kind == "tax_profiles":
        for at, one in enumerate(row.stack):
            if find("tax_tables", row.tenant, one.tax) is None:
                yield f"stack[{at}].tax", f"no tax table {one.tax!r}"
    elif kind == "trunks":
        for field, of, what in (("account", "accounts", "account"), ("carrier", "carriers", "carrier")):
            name = getattr(row, field)
            if name and find(of, row.tenant, name) is None:
                yield field, f"no {what} {name!r}"
        if row.dial_plan != "e164" and find("dial_plans", row.tenant, row.dial_plan) is None:
            yield "dial_plan", f"no dial plan {row.dial_plan!r}"
        yield from _gateway(row)
    elif kind == "portability":
        yield from _dipped(row)
    elif kind == "route_plans":
        yield from _routed(row, find)


TECH_PREFIX = re.compile(r"[A-Za-z0-9*#+]{1,16}")
"""What may go before a number that is sent, as switches take it."""


def _gateway(row: Trunk) -> Iterator[tuple[str, str]]:
    if row.address:
        try:
            host_and_port(row.address)
        except ValueError as error:
            yield "address", str(error)
    if row.prefix and not TECH_PREFIX.fullmatch(row.prefix):
        yield "prefix", f"{row.prefix!r} is not 1 to 16 letters, digits, * # +"
    for field in ("capacity_calls", "capacity_calls_per_second", "probe", "out_of_service"):
        if getattr(row, field) not in (None, False) and not (row.carrier and row.address):
            yield field, "is of a gateway: set the trunk's `carrier` and `address` as well"
        if getattr(row, field) == 0 and not isinstance(getattr(row, field), bool):
            yield field, "must be > 0; to send it no call, set out_of_service"


def _dipped(row: Portability) -> Iterator[tuple[str, str]]:
    if row.kind == "http" and not re.fullmatch(r"https?://[^\s/]+/\S*\{number\}\S*", row.url):
        yield "url", f"{row.url!r} must be an address with {{number}} in it, as https://mnp.example/{{number}}"
    if row.kind == "enum" and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", row.zone):
        yield "zone", f"{row.zone!r} is no zone of numbers: write it as e164.arpa" if row.zone else "is missing: write it as e164.arpa"
    if row.server:
        try:
            host_and_port(row.server, names=False)
        except ValueError as error:
            yield "server", str(error)


CODE = re.compile(r"[3-6]([0-9][0-9]|[0-9]x|xx)")
"""A SIP code of a failure, or several of one kind: 503, 50x, 5xx."""


def _routed(row: RoutePlan, find: Find) -> Iterator[tuple[str, str]]:
    """Whether the carriers of a plan have gateways is checked where all trunks are at hand (`faults_of_routes`)."""
    names = [one.carrier for one in row.carriers]
    for at, one in enumerate(row.carriers):
        if find("carriers", row.tenant, one.carrier) is None:
            yield f"carriers[{at}].carrier", f"no carrier {one.carrier!r}"
        if one.carrier in names[:at]:
            yield f"carriers[{at}].carrier", f"{one.carrier!r} is in the list already"
    for at, rule in enumerate(row.rules):
        if rule.carrier and find("carriers", row.tenant, rule.carrier) is None:
            yield f"rules[{at}].carrier", f"no carrier {rule.carrier!r}"
    if row.order == "weight" and not sum(one.weight for one in row.carriers):
        yield "carriers", "order is by weight, and the weights of the carriers sum to nothing: give at least one a weight > 0"
    weights = row.weights
    if row.order == "blend" and not weights.cost + weights.quality + weights.load > 0:
        yield "weights", "order is by blend, and the weights sum to nothing: give cost, quality or load a weight > 0"
    for name in ("cost", "quality", "load"):
        if getattr(weights, name) < 0:
            yield f"weights.{name}", "must be >= 0"
    if not 1 <= row.tries <= MOST_CANDIDATES:
        yield "tries", f"must be 1 to {MOST_CANDIDATES} gateways, and is {row.tries}"
    if row.margin_floor_percent is not None and not -1000 <= row.margin_floor_percent < 100:
        yield "margin_floor_percent", f"must be -1000 to less than 100 percent of the sale, and is {row.margin_floor_percent:g}"
    for field in ("stop_codes", "go_on_codes"):
        for at, code in enumerate(getattr(row, field)):
            if not CODE.fullmatch(code):
                yield f"{field}[{at}]", f"{code!r} is no code of a failure such as 503, 50x or 5xx"
    if row.portability and find("portability", row.tenant, row.portability) is None:
        yield "portability", f"no portability {row.portability!r}"
    if row.then and find("route_plans", row.tenant, row.then) is None:
        yield "then", f"no route plan {row.then!r}"
    elif row.then:
        chain = [plan.name for plan in plans_of(row, find)]
        if (following := find("route_plans", row.tenant, chain[-1])) is not None and following.then in chain:
            yield "then", f"the route plans form a circle: {' > '.join([*chain, following.then])}"


def plans_of(plan: RoutePlan, find: Find) -> Iterator[RoutePlan]:
    """A plan and those that follow it; ends where the chain would repeat."""
    visited: set[str] = set()
    row: RoutePlan | None = plan
    while row is not None and row.name not in visited:
        visited.add(row.name)
        yield row
        row = find("route_plans", plan.tenant, row.then) if row.then else None


def is_gateway(trunk: Trunk) -> bool:
    """Whether calls can be sent to a trunk."""
    return bool(trunk.carrier and trunk.address)


def faults_of_routes(plans: Iterable[RoutePlan], trunks: Iterable[Trunk]) -> Iterator[tuple[RoutePlan, str, str]]:
    """Carriers of route plans that have no gateway: (plan, field, what is wrong). `trunks`: of all tenants that the plans are of.

    >>> plan = RoutePlan(tenant="t1", name="p", carriers=(RouteCarrier(carrier="blue"),))
    >>> [fault[1:] for fault in faults_of_routes([plan], [Trunk(tenant="t1", name="out", carrier="blue")])]
    [('carriers[0].carrier', "carrier 'blue' has no gateway: give it a trunk with an address, or leave it out")]
    """
    reached = {(trunk.tenant, trunk.carrier) for trunk in trunks if is_gateway(trunk)}
    for plan in plans:
        for at, one in enumerate(plan.carriers):
            if one.carrier and (plan.tenant, one.carrier) not in reached:
                yield plan, f"carriers[{at}].carrier", f"carrier {one.carrier!r} has no gateway: give it a trunk with an address, or leave it out"


def _priced(row: Account | Carrier | Party, find: Find) -> Iterator[tuple[str, str]]:
    field = "buy_deck" if isinstance(row, Carrier) else "sell_deck"
    role = "buy" if isinstance(row, Carrier) else "sell"
    deck = getattr(row, field)
    if row.agreement and deck:
        yield field, "is short for an agreement: set `agreement` or this, not both"
    if deck and find("decks", row.tenant, deck) is None:
        yield field, f"no deck {deck!r}"
    if row.agreement:
        agreement = find("agreements", row.tenant, row.agreement)
        if agreement is None:
            yield "agreement", f"no agreement {row.agreement!r}"
        elif agreement.role != role:
            yield "agreement", f"{row.agreement!r} is a {agreement.role} agreement: name a {role} agreement"
        elif agreement.party and agreement.party != party_of(row):
            yield "agreement", f"{row.agreement!r} is an agreement with party {agreement.party!r}, not with {party_of(row)!r}"
        elif agreement.markup is not None and not isinstance(row, Carrier):
            yield from _marked_up(row, agreement, find)
    if isinstance(row, Party):
        yield from _under(row, find)
        yield from ((f"legal.{field}", fault) for field, fault in faults_of_legal(row.legal))
        yield from faults_of_days(row.exemptions, "exemptions")
        for at, one in enumerate(row.exemptions):
            if find("tax_tables", row.tenant, one.tax) is None:
                yield f"exemptions[{at}].tax", f"no tax table {one.tax!r}"
    elif row.party and find("parties", row.tenant, row.party) is None:
        yield "party", f"no party {row.party!r}"


def _marked_up(row: Account | Party, agreement: Agreement, find: Find) -> Iterator[tuple[str, str]]:
    """A mark-up needs somebody above whose decks it raises, and rates of exchange into its currency."""
    chain, name = chain_of(row, find), row.agreement
    if len(chain) == 1:
        above = "set its parent" if find("parties", row.tenant, party_of(row)) else "list it among the parties, with a parent"
        yield "agreement", f"{name!r} is a mark-up over the deck of a reseller, and party {party_of(row)!r} has no reseller above it: {above}"
        return
    assert agreement.markup is not None
    for span in plan_of(chain, find)[0]:
        currency = find("decks", row.tenant, span.deck)
        if not currency or not agreement.currency or currency == agreement.currency:
            continue
        what = f"{name!r} is a mark-up over deck {span.deck!r} in {currency}, and is in {agreement.currency}"
        if agreement.markup.per_minute_nanos:
            yield "agreement", f"{what}: its markup.per_minute would be in {currency}; set a percentage alone, or agree in {currency}"
        if find("fx_rates", row.tenant, f"{currency}-{agreement.currency}") is None:
            yield "agreement", f"{what}: add a rate {currency}-{agreement.currency} to fx_rates"


def _under(row: Party, find: Find) -> Iterator[tuple[str, str]]:
    if not row.parent:
        return
    parent = find("parties", row.tenant, row.parent)
    if parent is None:
        yield "parent", f"no party {row.parent!r}"
        return
    if "reseller" not in parent.kinds:
        yield "parent", f"party {row.parent!r} is not a reseller: add reseller to its kinds, or name another parent"
    elif not (parent.agreement or parent.sell_deck):
        yield "parent", f"reseller {row.parent!r} has no agreement or sell_deck: set one, it is charged for the calls of the parties under it"
    chain = [row.name, row.parent, *(one.parent for one in resellers(row.tenant, row.name, find) if one.parent)]
    if chain[-1] in chain[:-1]:
        yield "parent", f"the resellers form a circle: {' > '.join(chain)}"


def _is_date(text: str) -> bool:
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False


def _rates(row: FxRate) -> Iterator[tuple[str, str]]:
    if not all(is_code(code) for code in (row.name.split("-") if row.name.count("-") == 1 else ("",))):
        yield "name", f"{row.name!r} must be two currencies, as USD-EUR: what one unit of the first is worth in the second"
    if not row.rates:
        yield "rates", "is empty: write the rate of at least one day"
    for day, rate in row.rates.items():
        if not _is_date(day):
            yield f"rates.{day}", "its day is no date: write 2026-12-25"
        try:
            fine = to_nanos(rate) > 0
        except ValueError:
            fine = False
        if not fine:
            yield f"rates.{day}", f"{rate!r} must be a decimal number > 0 with at most 9 decimals"


def _planned(row: Agreement, find: Find) -> Iterator[tuple[str, str]]:
    if row.party and find("parties", row.tenant, row.party) is None:
        yield "party", f"no party {row.party!r}"
    yield from _invoiced(row, find)
    if (row.plan or row.markup) and not row.currency:
        yield "currency", "is missing: an agreement has the currency of its decks"
    if row.markup and row.plan:
        yield "markup", "raises the decks of the reseller above: set it or `plan`, not both"
    if row.markup and row.role == "buy":
        yield "markup", "is for what is sold: a carrier is paid by a plan of decks"
    if row.package is not None:
        yield from _packaged(row.package)
    for at, span in enumerate(row.plan):
        currency = find("decks", row.tenant, span.deck)
        if currency is None:
            yield f"plan[{at}].deck", f"no deck {span.deck!r}"
        elif row.currency and currency and currency != row.currency and find("fx_rates", row.tenant, f"{currency}-{row.currency}") is None:
            yield f"plan[{at}].deck", (
                f"deck {span.deck!r} is in {currency} and the agreement in {row.currency}: add a rate {currency}-{row.currency} to fx_rates"
            )
    if not 1 <= row.duration_unit_ms <= 1000 or 1000 % row.duration_unit_ms:
        yield "duration_unit", "must be a second or a whole part of one, such as 500ms, 100ms or 1ms"
    if row.price_change != "call_start" and row.rating_instant != "answer":
        yield "price_change", f"{row.price_change} counts from the answer: it goes with rating_instant answer, or write call_start"
    spans = sorted((*limits(span), at) for at, span in enumerate(row.plan))
    for start, end, at in spans:
        if start >= end:
            yield f"plan[{at}].until", "must be after `from`"
    for (_, end, _), (start, _, at) in pairwise(spans):
        if start < end:
            yield f"plan[{at}]", "overlaps another deck of the plan: end that one with `until` or begin this one later"


def _packaged(package: Package) -> Iterator[tuple[str, str]]:
    """Names that stand twice, volumes without a tier, and prices that no call could have."""
    names: set[str] = set()
    kinds: tuple[tuple[str, Sequence[Allowance | Volume]], ...] = (("allowances", package.allowances), ("volumes", package.volumes))
    for kind, rows in kinds:
        for at, row in enumerate(rows):
            place = f"package.{kind}[{at}]"
            if row.name in names:
                yield f"{place}.name", f"{row.name!r} is in the package already: charges name what covered them"
            names.add(row.name)
            for digits in row.prefixes:
                if not (digits.isascii() and digits.isdigit()):
                    yield f"{place}.prefixes", f"{digits!r} is no prefix: write digits from the country code on, as 4366"
            prices = [("per_minute", row.per_minute_nanos)] if isinstance(row, Allowance) else []
            if isinstance(row, Volume):
                prices = [(f"tiers[{n}].per_minute", tier.per_minute_nanos) for n, tier in enumerate(row.tiers)]
                if not row.tiers:
                    yield f"{place}.tiers", "is missing: a volume has at least one tier, as {above: 1000m, per_minute: 0.018}"
                if len({tier.above_s for tier in row.tiers}) < len(row.tiers):
                    yield f"{place}.tiers", "two tiers begin above the same sum: leave one"
            for field, nanos in prices:
                if nanos > MOST_PER_MINUTE:
                    yield f"{place}.{field}", "must be at most 1000000"


MOST_PER_MINUTE = 1_000_000 * 10**9
"""A price per minute of a package: a call of days at it is still within the range of one call's money."""


def _invoiced(row: Agreement, find: Find) -> Iterator[tuple[str, str]]:
    how = row.invoicing
    if row.tax_profile and find("tax_profiles", row.tenant, row.tax_profile) is None:
        yield "tax_profile", f"no tax profile {row.tax_profile!r}"
    if how.issuer and find("legal_entities", row.tenant, how.issuer) is None:
        yield "invoicing.issuer", f"no legal entity {how.issuer!r}"
    if how.first_day and not is_day(how.first_day):
        yield "invoicing.first_day", f"{how.first_day!r} is no date: write 2026-12-25"
    if how.swap is not None:
        buys = find("agreements", row.tenant, how.swap.buys)
        if row.role != "sell" or buys is None or buys.role != "buy":
            yield "invoicing.swap.buys", f"{how.swap.buys!r} must be an agreement to buy, and this one an agreement to sell: both with the same party"
        elif buys.currency != row.currency:
            yield "invoicing.swap.buys", f"is in {buys.currency} and this agreement in {row.currency}: a swap is settled in one currency"
        elif how.commitment_nanos is not None:
            yield "invoicing.commitment", "a swap has its own commitment: leave one of the two out"
    if how.paid == "prepaid" and row.credit_limit_nanos is not None:
        yield "credit_limit", "a prepaid agreement has no limit beyond what was paid: write `paid: hybrid`, or leave it out"
    if how.paid == "hybrid" and row.credit_limit_nanos is None:
        yield "credit_limit", "a hybrid agreement needs one: what may be owed beyond what was paid"
    if row.over_credit == "block" and how.paid == "postpaid" and row.credit_limit_nanos is None:
        yield "over_credit", "block needs `credit_limit`, or `invoicing.paid: prepaid`: a credit without a limit is never used up"
    if row.cycle == "custom" and not (how.first_day and how.cycle_days > 0):
        yield "cycle", "custom needs `first_day` and `cycle_days` > 0 in `invoicing`"
    yield from faults_of_days(how.fees, "invoicing.fees")
    yield from faults_of_percents(how.discounts, "invoicing.discounts")


def limits(span: DeckSpan) -> tuple[int, int]:
    """Start and (exclusive) end of a span."""
    start = -FOREVER_MS if span.from_at_ms is None else span.from_at_ms
    return start, FOREVER_MS if span.until_at_ms is None else span.until_at_ms
