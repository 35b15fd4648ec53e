"""A config version compiled: who is sold to and by which deck, who is bought from, how a trunk writes numbers.

Versions share what they have in common: a part is compiled once per hash, a deck once per deck version, and a version is only the list of
its parts. A look-up goes to the bucket of its name, so that a version over 100,000 accounts is made in the time of its changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as of_class
from decimal import Decimal
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakMethod

from core.config import (
    ROWS,
    Account,
    Agreement,
    Caps,
    Carrier,
    Config,
    DeckSpan,
    Find,
    FxRate,
    Markup,
    Party,
    Trunk,
    UnpricedCaps,
    agreement_of,
    chain_of,
    faults_of,
    limits,
    party_of,
    path,
    plan_of,
    split_path,
)
from core.known import Known
from core.numbers import DialPlan
from core.parts import BUCKETS, ProtectedNames, Slot, bucket_of, rows_of, split
from core.policy import Policy
from core.policy import faults as policy_faults
from core.safety import Protected
from rating.deck import FOREVER_MS, Deck
from rating.markup import marked_up
from rating.price import Offer
from rating.rules import Instant, Rules
from rating.tariff import in_units
from rating.window import day_of

NO_DECK = -1  # the party is in the books and has no deck: amounts of a feed that was rated elsewhere stand
UNKNOWN = -2  # the party is not in the books
PLANNED = -3  # its plan has the deck of each time

DAY_MS = 86_400_000

MOST_REMEMBERED = 32_768
"""Answers that a version caches per question; at more, the cache is cleared."""


class Charged(NamedTuple):
    """Who pays for a call, or is paid, at one level of the chain, and by which deck."""

    level: int  # 0 the customer or the carrier; 1 the reseller above the customer, and so on
    party: str
    agreement: str  # "" = the short form, an account or carrier with a deck
    offer: int  # the place in `Terms.offers`, or NO_DECK, UNKNOWN, PLANNED
    plan: tuple[tuple[int, int, int], ...] = ()  # of PLANNED: (from_ms, until_ms, place in `Terms.offers`)
    instant: Instant = "answer"  # whose price list prices the call


Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Part:
    """A compiled part. `rows`: those that the part holds by name; the others: of those rows, what each question needs."""

    rows: Mapping[str, Any]
    caps: Mapping[str, Caps]
    destination_caps: Mapping[str, Caps]
    unpriced_caps: Mapping[str, UnpricedCaps]
    first_seen: Mapping[str, bool]


def compile_part(kind: str, content: Any) -> Any:
    """The compiled form of a part's content (`core.parts.decode_part`): of rows a `Part`, else the content itself."""
    if kind not in ROWS:
        return content
    rows = {row.name: row for row in content}

    def other_than(field: str, default: Any) -> dict[str, Any]:
        return {name: value for name, row in rows.items() if (value := getattr(row, field, default)) != default}

    return Part(
        rows,
        other_than("caps", Caps()),
        other_than("destination_caps", Caps()),
        other_than("unpriced_caps", UnpricedCaps()),
        other_than("first_seen_destination", False),
    )


EMPTY = Part({}, {}, {}, {}, {})


class Rows(Mapping[tuple[str, str], Value], Generic[Value]):
    """Values by (tenant, name), bucket by bucket: versions share the buckets that are the same in both."""

    def __init__(self, buckets: Mapping[str, tuple[Mapping[str, Value], ...]]) -> None:
        self._buckets = buckets
        self._size = sum(len(bucket) for own in buckets.values() for bucket in own)

    def __getitem__(self, key: tuple[str, str]) -> Value:
        tenant, name = key
        return self._buckets[tenant][bucket_of(name)][name]

    def get(self, key: tuple[str, str], default: Any = None) -> Any:
        """The value, or `default`."""
        own = self._buckets.get(key[0])
        return default if own is None else own[bucket_of(key[1])].get(key[1], default)

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, tuple)
        own = self._buckets.get(key[0])
        return own is not None and key[1] in own[bucket_of(key[1])]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((tenant, name) for tenant, own in self._buckets.items() for bucket in own for name in bucket)

    def __len__(self) -> int:
        return self._size

    def of(self, tenant: str) -> Iterator[Value]:
        """The values of one tenant."""
        return (value for bucket in self._buckets.get(tenant, ()) for value in bucket.values())


class Remembered(dict[tuple[str, str], Value]):
    """Answers by their question, found at the first time. `find` is a method of whoever holds this, and does not hold it in turn: old terms are
    freed without a collection, which leaves alone what was frozen."""

    def __init__(self, find: Callable[[str, str], Value]) -> None:
        super().__init__()
        self._find = WeakMethod(find)

    def __missing__(self, key: tuple[str, str]) -> Value:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        find = self._find()
        assert find is not None
        found: Value = find(*key)
        self[key] = found
        return found


def offer_of(deck: Deck, rules: Rules) -> Offer:
    """A deck as an agreement applies it: with its mark-ups, in its units of time. All but the tariffs is shared with the deck."""
    raised = marked_up(deck, rules.markups)
    if rules.unit_ms == 1000:
        return Offer(raised, rules)
    return Offer(raised.with_tariffs(tuple(in_units(tariff, 1000 // rules.unit_ms) for tariff in raised.tariffs)), rules)


class ConfigError(ValueError):
    """A config version that contradicts itself."""


ANY_TRUNK = Trunk(tenant="", name="")
ANY_PLAN = DialPlan()


@dataclass(eq=False)
class Terms:
    """A config version, as the stages of `judge` look it up. Names are under their tenant. Made by `compile_parts`.

    `sell_amount_expected`: a feed's rows name what each call was sold for, and an answered one that does not is unrated.
    """

    version: int
    decks: tuple[Deck, ...]  # in the order of tenant and name
    deck_places: Mapping[tuple[str, str], int]
    rows: Mapping[str, Rows[Any]]  # by kind
    caps: Mapping[str, Rows[Caps]]  # account | destination | carrier | trunk | trunk_group | range -> of those that have any
    unpriced_caps: Rows[UnpricedCaps]  # of accounts that have any
    first_seen: Rows[bool]  # accounts whose first call to a country is an alert
    policies: Mapping[str, Policy]
    protected_names: Mapping[str, Protected]
    parts: tuple[Any, ...] = ()  # compiled; they live for as long as a version that has them
    self_register: bool = False
    default_sell: int = NO_DECK  # of a party that registered itself
    default_buy: int = NO_DECK
    sell_amount_expected: bool = False
    models: Mapping[str, bytes] = of_class(default_factory=dict)  # the files of the trained scorers that its policies may name, by their SHA-256

    def __post_init__(self) -> None:
        self.offers: list[Offer] = []
        self._places: dict[tuple[int, Rules], int] = {}
        self._lock = Lock()
        self.forget()

    def offer(self, deck: int, rules: Rules) -> int:
        """The place in `offers` of a deck (a place in `decks`) by an agreement's rules; it is made at the first question."""
        place = self._places.get((deck, rules))
        if place is None:
            with self._lock:  # a re-rating asks from two threads
                if (place := self._places.get((deck, rules))) is None:
                    self.offers.append(offer_of(self.decks[deck], rules))
                    place = self._places[deck, rules] = len(self.offers) - 1
        return place

    def forget(self) -> None:
        """Drop the answers that were remembered: they are found again."""
        self._known: dict[str, Known] = {}
        self._sold = Remembered(self._find_sold)
        self._bought = Remembered(self._find_bought)
        self._plans = Remembered(self._find_plan)
        self._silences = Remembered(self._find_silence)

    def with_rows(self, kind: str, rows: Iterable[Any]) -> Terms:
        """These terms with other rows of a kind, each in the place of the one of its name."""
        before, added = self.rows[kind], list(rows)
        buckets = {tenant: [dict[str, Any]() for _ in range(BUCKETS)] for tenant in {key[0] for key in before} | {row.tenant for row in added}}
        for row in (*before.values(), *added):
            buckets[row.tenant][bucket_of(row.name)][row.name] = row
        return replace(self, rows={**self.rows, kind: Rows({tenant: tuple(own) for tenant, own in buckets.items()})})

    @property
    def trunks(self) -> Rows[Trunk]:
        """Trunks by (tenant, name)."""
        return self.rows["trunks"]

    def find(self, kind: str, tenant: str, name: str) -> Any:
        """The row of a kind, its tenant's own or every tenant's, or None; of "decks" the currency (`core.config.Find`)."""
        if kind == "decks":
            place = self.place_of(tenant, name)
            return None if place is None else self.decks[place].currency
        rows = self.rows[kind]
        found = rows.get((tenant, name))
        return found if found is not None or not tenant else rows.get(("", name))

    def place_of(self, tenant: str, deck: str) -> int | None:
        """The place of a tenant's deck in `decks`, or None."""
        found = self.deck_places.get((tenant, deck))
        return self.deck_places.get(("", deck)) if found is None else found

    def sold(self, tenant: str, account: str) -> tuple[Charged, ...]:
        """Who pays for a call of an account: the customer, then the resellers above it."""
        return self._sold[tenant, account]

    def bought(self, tenant: str, carrier: str) -> Charged:
        """Who is paid for a call over a carrier; no carrier, nothing bought."""
        return self._bought[tenant, carrier]

    def plan_of(self, tenant: str, trunk: str) -> DialPlan:
        """The dial plan of an ingress trunk."""
        return self._plans[tenant, trunk]

    def silence(self, tenant: str, trunk: str) -> tuple[int, bool]:
        """How long a call of this trunk may send nothing, in ms, and whether that time counts as talk."""
        return self._silences[tenant, trunk]

    def currency_of(self, tenant: str, account: str) -> str:
        """Of what is sold to an account; "" where no deck of ours prices it."""
        charged = self.sold(tenant, account)[0]
        place = charged.plan[0][2] if charged.offer == PLANNED else charged.offer
        return self.offers[place].currency if place >= 0 else ""

    def policy_of(self, tenant: str) -> Policy:
        """The policy of a tenant."""
        return self.policies.get(tenant) or self.policies.get("") or Policy()

    def protected_of(self, tenant: str) -> Protected:
        """What no order of a tenant may touch: its own names and numbers, and every tenant's."""
        return self.protected_names.get(tenant) or self.protected_names[""]

    def known_of(self, tenant: str) -> Known:
        """The ranges that a tenant knows for fraud."""
        found = self._known.get(tenant)
        if found is None:
            found = self._known[tenant] = Known(self.rows["known_ranges"].of(tenant))
        return found

    def _find_sold(self, tenant: str, name: str) -> tuple[Charged, ...]:
        account: Account | None = self.find("accounts", tenant, name)
        if account is None:
            return (Charged(0, name, "", self._default(self.default_sell)),)
        chain = chain_of(account, self.find)
        return tuple(self._charged(level, tenant, chain[level:]) for level in range(len(chain)))

    def _find_bought(self, tenant: str, name: str) -> Charged:
        carrier: Carrier | None = self.find("carriers", tenant, name) if name else None
        if carrier is None:
            return Charged(0, name, "", NO_DECK if not name else self._default(self.default_buy))
        return self._charged(0, tenant, (carrier,))

    def _charged(self, level: int, tenant: str, chain: Sequence[Account | Carrier | Party]) -> Charged:
        """What the first of a chain pays."""
        row = chain[0]
        agreement, (spans, markups), party = agreement_of(row, self.find), plan_of(chain, self.find), party_of(row)
        if agreement is None or not spans:
            return Charged(level, party, row.agreement, NO_DECK)
        plan, instant = self._plan(tenant, agreement, spans, markups), agreement.rating_instant
        if len(plan) == 1 and plan[0][:2] == (-FOREVER_MS, FOREVER_MS):
            return Charged(level, party, agreement.name, plan[0][2], instant=instant)
        return Charged(level, party, agreement.name, PLANNED, plan, instant)

    def _default(self, deck: int) -> int:
        """The offer of a party that registered itself."""
        if not self.self_register:
            return UNKNOWN
        return self.offer(deck, Rules()) if deck >= 0 else deck

    def _plan(
        self, tenant: str, agreement: Agreement, plan: Sequence[DeckSpan], markups: tuple[Markup, ...]
    ) -> tuple[tuple[int, int, int], ...]:
        rules, spans = replace(self._rules(tenant, agreement), markups=markups), []
        for span in plan:
            place = self.place_of(tenant, span.deck)
            if place is None:
                raise ConfigError(f"config {self.version}: agreement {path(tenant, agreement.name)} names deck {span.deck!r}, which it has not")
            start, end = limits(span)
            for from_ms, until_ms, converted in self._converted(tenant, rules, self.decks[place].currency, agreement.currency):
                if max(start, from_ms) < min(end, until_ms):
                    spans.append((max(start, from_ms), min(end, until_ms), self.offer(place, converted)))
        return tuple(sorted(spans))

    def _rules(self, tenant: str, agreement: Agreement) -> Rules:
        """How an agreement applies its decks, in their own currency."""
        lists = {**self._holidays(""), **self._holidays(tenant)}
        return Rules(
            time_zone=agreement.time_zone, holidays=tuple(sorted(lists.items())), change=agreement.price_change,
            rating_instant=agreement.rating_instant, seconds=agreement.duration_rounding,
            unit_ms=agreement.duration_unit_ms, rounding_mode=agreement.rounding,
            decimals=agreement.decimals, by_lrn=agreement.rated_number == "lrn", tax="inclusive" if agreement.tax == "inclusive" else "",
        )  # fmt: skip

    def _holidays(self, tenant: str) -> dict[str, tuple[int, ...]]:
        rows = self.rows["holidays"]
        return {name.lower(): tuple(sorted(map(day_of, rows[of, name].dates))) for of, name in rows if of == tenant}

    def _converted(self, tenant: str, rules: Rules, currency: str, wanted: str) -> Iterator[tuple[int, int, Rules]]:
        """The rules with each rate of the day, from and until when they are in force. Before the first rate nothing is priced."""
        if currency == wanted or not wanted or not currency:
            yield -FOREVER_MS, FOREVER_MS, rules
            return
        found: FxRate | None = self.find("fx_rates", tenant, f"{currency}-{wanted}")
        days = sorted(found.rates) if found else []
        for day, following in zip(days, [*days[1:], ""], strict=True):
            assert found is not None
            rate = Decimal(found.rates[day]).as_integer_ratio()
            text = " ".join(filter(None, (currency, found.rates[day], day, found.source)))
            until_ms = DAY_MS * day_of(following) if following else FOREVER_MS
            yield DAY_MS * day_of(day), until_ms, replace(rules, fx=rate, fx_source=text, currency=wanted)

    def _find_silence(self, tenant: str, trunk: str) -> tuple[int, bool]:
        known = self.trunks.get((tenant, trunk), ANY_TRUNK)
        return 1000 * known.max_call_s, known.hung_ends == "timer"

    def _find_plan(self, tenant: str, trunk: str) -> DialPlan:
        known = self.trunks.get((tenant, trunk), ANY_TRUNK)
        found: DialPlan = self.find("dial_plans", tenant, known.dial_plan) or ANY_PLAN
        return found


def compile_parts(version: int, parts: Mapping[Slot, Any], decks: Mapping[tuple[str, str], Deck]) -> Terms:
    """The look-ups of a version. `parts`: compiled (`compile_part`) and shared with other versions; `decks`: by (tenant, name)."""
    buckets: dict[str, dict[str, list[Part]]] = {kind: {} for kind in ROWS}
    for slot, part in parts.items():
        if slot.kind in ROWS:
            buckets[slot.kind].setdefault(slot.tenant, [EMPTY] * BUCKETS)[slot.bucket] = part

    def rows(kind: str, field: str = "rows") -> Rows[Any]:
        found = {
            tenant: tuple(getattr(part, field) for part in own)
            for tenant, own in buckets[kind].items()
            if field == "rows" or any(getattr(part, field) for part in own)
        }
        return Rows(found)

    capped = ("account", "accounts"), ("carrier", "carriers"), ("trunk", "trunks"), ("trunk_group", "trunk_groups"), ("range", "ranges")
    names = sorted(decks)
    protected = {slot.tenant: part for slot, part in parts.items() if slot.kind == "protected"}
    every = protected.get("", ProtectedNames())
    return Terms(
        version=version,
        decks=tuple(decks[name] for name in names),
        deck_places={name: place for place, name in enumerate(names)},
        rows={kind: rows(kind) for kind in ROWS},
        caps={"destination": rows("accounts", "destination_caps"), **{one: rows(kind, "caps") for one, kind in capped}},
        unpriced_caps=rows("accounts", "unpriced_caps"),
        first_seen=rows("accounts", "first_seen"),
        policies={slot.tenant: part for slot, part in parts.items() if slot.kind == "policy"},
        parts=tuple(parts.values()),
        protected_names={tenant: _protected(every, own) for tenant, own in {"": ProtectedNames(), **protected}.items()},
    )


@lru_cache(maxsize=256)  # versions with the same lists share them
def _protected(every: ProtectedNames, own: ProtectedNames) -> Protected:
    return Protected(
        numbers=tuple(sorted({*every.numbers, *own.numbers})),
        accounts=frozenset({*every.accounts, *own.accounts}),
        trunks=frozenset({*every.trunks, *own.trunks}),
    )


def compile_contracts(config: Config, decks: Mapping[str, Deck]) -> Terms:
    """Check a version and make its look-ups. `decks`: by the keys of `config.decks`.

    >>> from core.config import Account
    >>> compile_contracts(Config(version=3, accounts=(Account(tenant="t", name="a"),)), {}).sold("t", "a")
    (Charged(level=0, party='a', agreement='', offer=-1, plan=(), instant='answer'),)
    """
    parts = {slot: compile_part(slot.kind, content) for slot, content in split(config).items()}
    terms = compile_parts(config.version, parts, {split_path(name): deck for name, deck in decks.items()})
    wrong = [*faults(rows_of(config), terms.find)]
    for tenant, policy in terms.policies.items():
        wrong += [f"{path(tenant, 'policy')}.{fault}" for fault in policy_faults(policy)]
    places = []
    for field in ("default_sell_deck", "default_buy_deck"):
        name = getattr(config, field)
        place = terms.place_of("", name) if name else NO_DECK
        if place is None:
            wrong.append(f"{field}: no deck {name!r}")
        places.append(NO_DECK if place is None else place)
    if wrong:
        raise ConfigError(f"config {config.version}: {'; '.join(wrong)}")
    return replace(terms, self_register=config.self_register, default_sell=places[0], default_buy=places[1])


def faults(rows: Iterable[tuple[str, Any]], find: Find) -> Iterator[str]:
    """What `core.config.faults_of` finds in rows, each with its place."""
    for kind, row in rows:
        for field, words in faults_of(kind, row, find):
            yield f"{kind} {path(row.tenant, row.name)}: {field}: {words}"
