"""A config version compiled: who is sold to by which deck, who is bought from, how a trunk writes numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.config import Account, Caps, Config, Trunk, UnpricedCaps, faults
from core.numbers import DialPlan
from core.policy import Policy
from core.safety import Protected
from rating.decks import Deck
from rating.prefixes import Ints

UNKNOWN = -2  # the party is not in the books
NO_DECK = -1  # it is, and has no deck: amounts of a feed that was rated elsewhere stand
PLANNED = -3  # several decks, one after the other: the plan says which


class Charged(NamedTuple):
    """By what a party is charged: `deck` is a place in `decks`, `NO_DECK`, `UNKNOWN` or `PLANNED`, where `plan` has (from, until, place)."""

    level: int
    party: str
    agreement: str
    deck: int
    plan: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Shelf:
    """The arrays of several decks one behind the other, so that a batch over all of them is priced in one go."""

    base: Ints  # where each deck's rates begin
    per_min_nanos: Ints
    connect_nanos: Ints
    attempt_nanos: Ints
    first_s: Ints
    next_s: Ints


def shelve(decks: tuple[Deck, ...]) -> Shelf:
    """The decks, in their order."""
    sizes = [len(deck.prefixes) for deck in decks]
    names = ("per_min_nanos", "connect_nanos", "attempt_nanos", "first_s", "next_s")
    arrays = {name: np.concatenate([*(getattr(deck, name) for deck in decks), np.ones(1, np.int64)]) for name in names}
    return Shelf(base=np.cumsum([0, *sizes])[:-1].astype(np.int64), **arrays)


@dataclass(frozen=True, eq=False)
class Contracts:
    """What pricing looks up. Names are under their tenant."""

    version: int
    decks: tuple[Deck, ...]
    shelf: Shelf
    sell: Mapping[tuple[str, str], int]  # (tenant, account) -> place in decks, or NO_DECK
    buy: Mapping[tuple[str, str], int]  # (tenant, carrier) -> likewise
    accounts: Mapping[tuple[str, str], Account]
    trunks: Mapping[tuple[str, str], Trunk]
    plans: Mapping[tuple[str, str], DialPlan]  # (tenant, trunk) -> its dial plan
    plan: DialPlan  # of a trunk that we do not know
    caps: Mapping[str, Mapping[tuple[str, str], Caps]]  # account | destination | SPANNING -> (tenant, name) -> its caps, where it has any
    unpriced_caps: Mapping[tuple[str, str], UnpricedCaps]  # (tenant, account) -> its caps, where it has any
    first_seen: frozenset[tuple[str, str]]  # accounts whose first call to a country is told
    policy: Policy
    protected: Protected
    self_register: bool
    default_sell: int  # of a party that registered itself
    default_buy: int
    sell_amount_expected: bool = False  # a feed's rows say what each call was sold for: an answered one that does not is unrated

    def plan_of(self, tenant: str, trunk: str) -> DialPlan:
        """The dial plan of an ingress trunk."""
        return self.plans.get((tenant, trunk), self.plan)

    def silence(self, tenant: str, trunk: str) -> tuple[int, bool]:
        """How long a call of this trunk may show no sign of life, in ms, and whether that time counts as talk."""
        known = self.trunks.get((tenant, trunk), ANY_TRUNK)
        return 1000 * known.max_call_s, known.hung_ends == "timer"

    def sell_place(self, tenant: str, account: str) -> int:
        """The sell deck's place, `NO_DECK` or `UNKNOWN`."""
        return self.sell.get((tenant, account), self.default_sell if self.self_register else UNKNOWN)

    def sold(self, tenant: str, account: str) -> tuple[Charged, ...]:
        return (Charged(0, account, "", self.sell_place(tenant, account)),)

    def bought(self, tenant: str, carrier: str) -> Charged:
        return Charged(0, carrier, "", self.buy_place(tenant, carrier))

    def currency_of(self, tenant: str, account: str) -> str:
        """Of what is sold to an account; "" where no deck of ours says."""
        place = self.sell_place(tenant, account)
        return self.decks[place].currency if place >= 0 else ""

    def buy_place(self, tenant: str, carrier: str) -> int:
        """The buy deck's place, `NO_DECK` or `UNKNOWN`; no carrier, nothing bought."""
        if not carrier:
            return NO_DECK
        return self.buy.get((tenant, carrier), self.default_buy if self.self_register else UNKNOWN)


ANY_TRUNK = Trunk(tenant="", name="")


class ConfigError(ValueError):
    """A config version that contradicts itself."""


def compile_contracts(config: Config, decks: Mapping[str, Deck]) -> Contracts:
    """Check a version and make its look-ups. `decks`: name -> the deck of the version that `config.decks` names.

    >>> from core.config import Account
    >>> compile_contracts(Config(version=3, accounts=(Account(tenant="t", name="a"),)), {}).sell_place("t", "a")
    -1
    """
    if wrong := faults(config):
        raise ConfigError(f"config {config.version}: {'; '.join(wrong)}")
    names = sorted(decks)
    place = {name: i for i, name in enumerate(names)}
    plans = {plan.name: plan for plan in config.dial_plans}

    def deck_of(kind: str, owner: str, name: str) -> int:
        if not name:
            return NO_DECK
        if name not in place:
            raise ConfigError(f"config {config.version}: {kind} {owner} names deck {name!r}, which this version has not")
        return place[name]

    for trunk in config.trunks:
        if trunk.dial_plan not in plans:
            raise ConfigError(f"config {config.version}: trunk {trunk.name} names dial plan {trunk.dial_plan!r}, which this version has not")
    return Contracts(
        version=config.version,
        decks=tuple(decks[name] for name in names),
        shelf=shelve(tuple(decks[name] for name in names)),
        sell={(a.tenant, a.name): deck_of("account", a.name, a.sell_deck) for a in config.accounts},
        buy={(c.tenant, c.name): deck_of("carrier", c.name, c.buy_deck) for c in config.carriers},
        accounts={(a.tenant, a.name): a for a in config.accounts},
        trunks={(t.tenant, t.name): t for t in config.trunks},
        plans={(t.tenant, t.name): plans[t.dial_plan] for t in config.trunks},
        plan=plans.get("e164") or next(iter(plans.values()), DialPlan()),
        caps={
            "destination": {(a.tenant, a.name): a.destination_caps for a in config.accounts if a.destination_caps != Caps()},
            **{
                kind: {(one.tenant, one.name): one.caps for one in owners if one.caps != Caps()}
                for kind, owners in (
                    ("account", config.accounts),
                    ("trunk", config.trunks),
                    ("carrier", config.carriers),
                    ("trunk_group", config.trunk_groups),
                    ("range", config.ranges),
                )
            },
        },
        unpriced_caps={(a.tenant, a.name): a.unpriced_caps for a in config.accounts if a.unpriced_caps != UnpricedCaps()},
        first_seen=frozenset((a.tenant, a.name) for a in config.accounts if a.first_seen_destination),
        policy=config.policy,
        protected=Protected(
            numbers=config.protected_numbers, accounts=frozenset(config.protected_accounts), trunks=frozenset(config.protected_trunks)
        ),
        self_register=config.self_register,
        default_sell=deck_of("the default", "sell side", config.default_sell_deck),
        default_buy=deck_of("the default", "buy side", config.default_buy_deck),
    )
