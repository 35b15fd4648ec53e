"""The world of the traffic: tenants, accounts with habits, carriers, trunks with dial plans, decks, and the config."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random

from core.config import Account, Carrier, Config, Trunk
from core.numbers import DialPlan
from simulator import destinations
from simulator.countries import COUNTRIES
from simulator.decks import CURRENCY, OFFERS, deck_csv
from simulator.patterns import DIGITS

TENANT = "demo"

DIAL_PLANS = (
    DialPlan(name="e164"),
    DialPlan(name="at", country_code="43", trunk_prefix="0", bare_is_e164=False, emergency=("112", "133", "144", "122")),
    DialPlan(name="gb", country_code="44", trunk_prefix="0", bare_is_e164=False, emergency=("112", "999")),
    DialPlan(
        name="us", country_code="1", international_prefix="011", trunk_prefix="1", bare_is_e164=False, emergency=("911",)
    ),
    DialPlan(name="tech", tech_prefixes=("7001#", "99#")),
)

HABITS = ("office", "home", "callcentre", "callshop", "wholesale")
UTC_OFFSET_H = {"AT": 1, "DE": 1, "GB": 0, "US": -5}
EMERGENCY = {"AT": "144", "DE": "112", "GB": "999", "US": "911"}

NAMES = (
    "hotel-tyrol", "clinic-west", "bakery-chain", "logistics-hub", "school-board", "law-office", "energy-coop", "museum",
    "taxi-central", "print-works", "garden-centre", "shipyard", "city-library", "dairy", "quarry", "brewery", "opticians",
    "ski-lift", "tile-factory", "book-club", "hardware-store", "vineyard", "pharmacy-group", "ferry-line", "saw-mill",
)  # fmt: skip
"""Names of accounts. They never reveal the role of an account."""

USER_AGENTS = (
    "Asterisk PBX 18.9",
    "FreeSWITCH-mod_sofia/1.10.9",
    "Cisco-SIPGateway/IOS-16",
    "AVM FRITZ!OS",
    "Yealink SIP-T46S",
    "snomD785",
)


@dataclass(frozen=True)
class Contact:
    """A called party: an E.164 number, its country ("" = none) and number type."""

    number: str
    region: str
    kind: str


@dataclass
class Caller:
    """An a_number and the few people it calls."""

    number: str
    contacts: list[Contact] = field(default_factory=list)


@dataclass
class Subscriber:
    """An account with its habits: who calls, when, where to, and in which number format."""

    tenant: str
    name: str
    habit: str
    region: str
    trunk: str
    dial_plan: DialPlan
    tech: str  # written before every called number on its trunk
    auth: str
    ips: tuple[str, ...]
    user_agent: str
    switch: str
    weight: float
    callers: list[Caller]
    partners: list[tuple[str, str, float]]  # country, number type, weight of its destinations abroad
    abroad: float  # share of contacts abroad
    faithful: float  # share of calls to a known contact
    circle: int  # the most contacts of a caller
    median_s: float
    spelling: str  # of called numbers: national | plus | zeros | bare
    withheld: float
    alpha: str  # an alphanumeric caller name, "" = none


@dataclass
class World:
    """The world of a day. `decks`: name -> CSV. `newcomers` have never called before this day."""

    seed: int
    config: Config
    decks: dict[str, bytes]
    currency: str
    subscribers: list[Subscriber]
    newcomers: dict[str, Subscriber]  # of each tenant
    switches: tuple[str, ...]
    routes: dict[str, list[tuple[str, str, str, str]]]  # tenant -> carrier, trunk group, egress trunk, prefix of sent numbers

    def tenants(self) -> list[str]:
        """The tenants, in order."""
        return list(self.newcomers)


def make_world(
    seed: int,
    tenants: tuple[str, ...] = (TENANT,),
    accounts: int = 14,
    switches: tuple[str, ...] = ("sim1", "sim2"),
) -> World:
    """The world of a seed.

    `accounts` per tenant: 4 to 24, besides the new one. Each account's trunk is at one of the `switches`.

    >>> w = make_world(1)
    >>> len(w.subscribers), w.config.accounts[0].tenant, len(w.config.trunks), sorted(w.decks)[0]
    (14, 'demo', 18, 'buy-alpha')
    """
    if not 4 <= accounts < len(NAMES):
        raise ValueError(f"accounts must be 4 to {len(NAMES) - 1}, not {accounts}")
    rng = Random(f"world {seed}")
    subscribers: list[Subscriber] = []
    newcomers: dict[str, Subscriber] = {}
    routes: dict[str, list[tuple[str, str, str, str]]] = {}
    carriers: list[Carrier] = []
    trunks: list[Trunk] = []
    for tenant_no, tenant in enumerate(tenants):
        names = rng.sample(NAMES, accounts + 1)
        habits = ["office", "wholesale", "home", "callshop", *rng.choices(HABITS, (8, 3, 2, 1, 1), k=accounts - 4)]
        for i, (name, habit) in enumerate(zip(names, [*habits, rng.choice(("office", "home"))], strict=True)):
            net = 1 + tenant_no * 40 + i
            one = _subscriber(rng, tenant, name, habit, switches[i % len(switches)], net)
            if i == accounts:
                newcomers[tenant] = one
            else:
                subscribers.append(one)
            trunks.append(Trunk(tenant=tenant, name=one.trunk, account=name, dial_plan=one.dial_plan.name, sources=one.ips))
        routes[tenant] = []
        for carrier, prefix in (("alpha", ""), ("bravo", "00"), ("charlie", "9911#")):
            carriers.append(Carrier(tenant=tenant, name=carrier, buy_deck=f"buy-{carrier}"))
            trunks.append(Trunk(tenant=tenant, name=f"out-{carrier}", carrier=carrier))
            routes[tenant].append((carrier, f"tg-{carrier}", f"out-{carrier}", prefix))
    decks = {name: deck_csv(name) for name in OFFERS}
    everyone = sorted([*subscribers, *newcomers.values()], key=lambda one: (one.tenant, one.name))
    config = Config(
        version=1,
        accounts=tuple(
            Account(tenant=one.tenant, name=one.name, sell_deck=_sell_deck(one.habit)) for one in everyone
        ),
        carriers=tuple(carriers),
        trunks=tuple(trunks),
        dial_plans=DIAL_PLANS,
        decks={name: hashlib.sha256(csv).hexdigest() for name, csv in decks.items()},
    )
    return World(seed, config, decks, CURRENCY, subscribers, newcomers, switches, routes)


def _sell_deck(habit: str) -> str:
    return {"wholesale": "sell-wholesale", "callcentre": "sell-wholesale", "home": "sell-retail", "callshop": "sell-retail"}.get(
        habit, "sell-business"
    )


_NEAR = tuple(region for region, one in COUNTRIES.items() if one.fixed < 0.02)
_FAR = tuple(region for region, one in COUNTRIES.items() if one.fixed >= 0.02)


def _subscriber(rng: Random, tenant: str, name: str, habit: str, switch: str, net: int) -> Subscriber:
    region = rng.choices(("AT", "GB", "US", "DE"), (5, 3, 2, 2))[0]
    size = {
        "office": rng.randint(8, 60), "home": rng.randint(60, 250), "callshop": rng.randint(1, 4),
        "callcentre": rng.randint(1, 3), "wholesale": rng.randint(250, 900),
    }[habit]  # fmt: skip
    abroad = {"office": 0.12, "home": 0.1, "callshop": 0.9, "callcentre": 0.03, "wholesale": 0.8}[habit] * rng.uniform(0.6, 1.1)
    faithful = {"office": 0.86, "home": 0.93, "callshop": 0.35, "callcentre": 0.02, "wholesale": 0.75}[habit]
    circle = {"office": 14, "home": 8, "callshop": 60, "callcentre": 40, "wholesale": 6}[habit]
    median_s = {"office": 75.0, "home": 110.0, "callshop": 150.0, "callcentre": 35.0, "wholesale": 70.0}[habit]
    weight = {"office": 1.0, "home": 1.6, "callshop": 1.0, "callcentre": 2.0, "wholesale": 4.5}[habit] * rng.lognormvariate(
        0, 0.5
    )
    plan = "tech" if habit == "wholesale" and rng.random() < 0.6 else {"AT": "at", "GB": "gb", "US": "us", "DE": "e164"}[region]
    row = next(one for one in DIAL_PLANS if one.name == plan)
    spelling = rng.choice(("plus", "bare") if plan in ("e164", "tech") else ("national", "national", "plus", "zeros"))
    source = f"{('192.0.2', '198.51.100', '203.0.113')[net // 80 % 3]}.{net * 3 % 240 + 1}"
    return Subscriber(
        tenant=tenant, name=name, habit=habit, region=region, trunk=f"in-{name}", dial_plan=row,
        tech=rng.choice(row.tech_prefixes) if row.tech_prefixes else "",
        auth="source" if habit == "wholesale" else rng.choice(("digest", "source")), ips=(source,),
        user_agent=rng.choice(USER_AGENTS), switch=switch, weight=weight,
        callers=_callers(rng, region, habit, size), partners=_partners(rng, region, habit), abroad=abroad,
        faithful=faithful, circle=circle, median_s=median_s * rng.uniform(0.75, 1.3), spelling=spelling,
        withheld=rng.choice((0.0, 0.01, 0.04, 0.15)), alpha="ACME Bank" if habit == "callcentre" and rng.random() < 0.5 else "",
    )  # fmt: skip


def _callers(rng: Random, region: str, habit: str, size: int) -> list[Caller]:
    if habit == "wholesale":  # its customers' customers, from several countries
        homes = [region, *rng.sample(_NEAR, 5)]
        return [Caller(destinations.number(rng.choice(homes), "mobile", rng)) for _ in range(size)]
    if habit == "home":
        return [Caller(destinations.number(region, "fixed", rng)) for _ in range(size)]
    block = destinations.number(region, "fixed", rng)  # a block of extensions: they differ in the last digits
    width = len(str(size * 4))
    ends = rng.sample(range(10**width), size)
    return [Caller(block[:-width] + f"{end:0{width}d}") for end in ends]


def _partners(rng: Random, region: str, habit: str) -> list[tuple[str, str, float]]:
    """The destinations abroad of an account: mostly near and cheap, some far; a call shop's customers call a few far countries."""
    far = {"callshop": 5, "wholesale": 40, "home": 4}.get(habit, 3)
    near = {"callshop": 2, "wholesale": 30, "home": 6}.get(habit, 8)
    heavy = 3.0 if habit == "callshop" else 0.35
    found = [
        (one, rng.choice(("fixed", "mobile")), rng.expovariate(1)) for one in rng.sample([n for n in _NEAR if n != region], near)
    ]
    return found + [
        (one, rng.choices(("mobile", "fixed"), (3, 1))[0], heavy * rng.expovariate(1)) for one in rng.sample(_FAR, far)
    ]


ODD = 0.003
"""Share of new contacts that are premium or satellite in legitimate traffic: a television vote, a ship, a hotline."""


def new_contact(rng: Random, one: Subscriber) -> Contact:
    """A random new contact of a subscriber."""
    if rng.random() < ODD:
        if rng.random() < 0.3:
            prefix = rng.choice(("8707", "8816", "88216"))
            return Contact(destinations.beyond(prefix, rng), "", "satellite")
        region, kind = one.region, rng.choice(("premium", "shared", "tollfree"))
    elif rng.random() < one.abroad:
        region, kind, _ = rng.choices(one.partners, [weight for *_, weight in one.partners])[0]
    else:
        region, kind = one.region, rng.choices(("fixed", "mobile", "tollfree"), (5, 5, 0.4))[0]
    return Contact(destinations.number(region, kind, rng), region, kind)


def pick_contact(rng: Random, one: Subscriber, caller: Caller) -> Contact:
    """The contact of the next call: mostly one of the caller's few contacts, the first ones most often."""
    known = caller.contacts
    if known and (rng.random() < one.faithful or len(known) >= one.circle * 3):
        return known[int(len(known) * rng.random() ** 2)]
    contact = new_contact(rng, one)
    if len(known) < one.circle:
        known.append(contact)
    return contact


def write_number(number: str, plan: DialPlan, spelling: str, tech: str = "") -> str:
    """A number as an account on a dial plan dials it: the inverse of `core.numbers.normalise`.

    >>> write_number("43123456", DIAL_PLANS[1], "national"), write_number("8821699", DIAL_PLANS[1], "national")
    ('0123456', '008821699')
    >>> write_number("43123456", DIAL_PLANS[4], "bare", "99#")
    '99#43123456'
    """
    if not set(number) <= set(DIGITS):
        return number
    code = plan.country_code
    if spelling == "national":
        if code and number.startswith(code):
            return tech + plan.trunk_prefix + number[len(code) :]
        return tech + plan.international_prefix + number
    if spelling == "zeros" or (spelling == "bare" and not plan.bare_is_e164):
        return tech + plan.international_prefix + number
    return tech + ("+" if spelling == "plus" else "") + number
