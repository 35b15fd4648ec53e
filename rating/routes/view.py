"""A route plan for one account at one moment: its candidates with their prices, its lists, its limits. Both spellings of the choice read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.config import RouteCarrier, RoutePlan, RouteRule, Trunk, is_gateway, plans_of
from rating.contracts import NO_DECK, PLANNED, Charged, Terms
from rating.price import Offer
from rating.routes.expected import in_currency, net
from rating.rules import Rules
from rating.window import DAY_S, day_of, parse


@dataclass(frozen=True)
class Entry:
    """A gateway in a plan. `offer` is None, and `why_not` says why, where it can carry no call now."""

    gateway: str
    carrier: str
    capacity_calls: int | None = None
    priority: int = 1
    weight: int = 1
    stage: int = 0  # 0 = of the plan itself, 1 = of the one that follows it, ...
    offer: Offer | None = None  # net of tax, in the currency of the sale
    why_not: str = ""


@dataclass(frozen=True)
class Stage:
    """A plan of the chain with the lines of its lists that are in force."""

    plan: RoutePlan
    rules: tuple[RouteRule, ...]


@dataclass(frozen=True)
class View:
    """`sell` is None where the account has no price list at this moment."""

    tenant: str
    stages: tuple[Stage, ...]
    entries: tuple[Entry, ...]
    sell: Offer | None
    currency: str
    at_ms: int

    @property
    def plan(self) -> RoutePlan:
        """The plan that the account names."""
        return self.stages[0].plan


def view_of(terms: Terms, tenant: str, account: str, at_ms: int, plan: str = "") -> View | str:
    """The view of an account, or why there is none. `plan`: instead of the one that the account names."""
    row = terms.find("accounts", tenant, account)
    name = plan or (row.route_plan if row else "")
    found: RoutePlan | None = terms.find("route_plans", tenant, name) if name else None
    if found is None:
        return f"no route plan {name!r}" if name else f"account {account!r} has no route plan: its calls go to the egress trunks in their order"
    return view(terms, tenant, found, sale_at(terms, tenant, account, at_ms), at_ms)


def view(terms: Terms, tenant: str, plan: RoutePlan, sell: Offer | None, at_ms: int) -> View:
    """A plan for those who are sold to by an offer."""
    trunks = sorted((t for (of, _), t in terms.trunks.items() if of == tenant and is_gateway(t)), key=lambda trunk: trunk.name)
    sell = net(sell) if sell else None
    stages, entries = [], list[Entry]()
    for stage, one in enumerate(plans_of(plan, terms.find)):
        stages.append(Stage(one, tuple(_in_force(terms, one, at_ms))))
        for entry in _entries(terms, one, stage, trunks, at_ms):
            if entry.gateway not in {e.gateway for e in entries if e.gateway}:
                entries.append(entry)
    currency = sell.currency if sell else next((e.offer.currency for e in entries if e.offer), "")
    converted = tuple(_converted(entry, currency, tenant, at_ms, terms) for entry in entries)
    return View(tenant, tuple(stages), converted, sell, currency, at_ms)


def sale_at(terms: Terms, tenant: str, account: str, at_ms: int) -> Offer | None:
    """By what we are paid for the calls of an account: by itself, or by the reseller that is furthest above it."""
    return offer_at(terms, terms.sold(tenant, account)[-1], at_ms)


def offer_at(terms: Terms, charged: Charged, at_ms: int) -> Offer | None:
    """By what a party is priced at a moment."""
    place = charged.offer
    if place == PLANNED:
        place = next((of for from_ms, until_ms, of in charged.plan if from_ms <= at_ms < until_ms), NO_DECK)
    return terms.offers[place] if place >= 0 else None


def offers_of(terms: Terms, of: View, carriers: Iterable[str]) -> dict[str, Offer]:
    """The prices of carriers, in a plan or not, as those of a view: net of tax, in its currency. Carriers without a price are left out."""
    found = {}
    for name in carriers:
        offer = offer_at(terms, terms.bought(of.tenant, name), of.at_ms)
        priced = in_currency(net(offer), of.currency, of.tenant, of.at_ms, terms.find) if offer else ""
        if isinstance(priced, Offer):
            found[name] = priced
    return found


def _in_force(terms: Terms, plan: RoutePlan, at_ms: int) -> Iterable[RouteRule]:
    windows = [rule.window for rule in plan.rules if rule.window]
    lists = terms.rows["holidays"] if windows else {}
    holidays = {name.lower(): frozenset(map(day_of, lists[of, name].dates)) for of, name in lists if of in ("", plan.tenant)}
    local_s = Rules(time_zone=plan.time_zone).zone.local_s(at_ms)
    return (rule for rule in plan.rules if not rule.window or parse(rule.window).holds(*divmod(local_s, DAY_S), holidays))


def _entries(terms: Terms, plan: RoutePlan, stage: int, trunks: list[Trunk], at_ms: int) -> Iterable[Entry]:
    listed = plan.carriers or tuple(RouteCarrier(carrier=name) for name in dict.fromkeys(trunk.carrier for trunk in trunks))
    for one in listed:
        own = [trunk for trunk in trunks if trunk.carrier == one.carrier]
        if not own:
            yield Entry("", one.carrier, stage=stage, why_not="has no gateway")
        offer = offer_at(terms, terms.bought(plan.tenant, one.carrier), at_ms)
        why = "" if offer else "has no price list at this moment"
        for trunk in own:
            out = "a person has taken it out of service" if trunk.out_of_service else ""
            yield Entry(
                trunk.name, one.carrier, trunk.capacity_calls, one.priority, one.weight, stage,
                None if out or offer is None else net(offer), out or why,
            )  # fmt: skip


def _converted(entry: Entry, currency: str, tenant: str, at_ms: int, terms: Terms) -> Entry:
    if entry.offer is None:
        return entry
    offer = in_currency(entry.offer, currency, tenant, at_ms, terms.find)
    why = offer if isinstance(offer, str) else ""
    return Entry(
        entry.gateway, entry.carrier, entry.capacity_calls, entry.priority, entry.weight, entry.stage,
        None if isinstance(offer, str) else offer, why,
    )  # fmt: skip
