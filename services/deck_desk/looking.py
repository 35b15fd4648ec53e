"""What a carrier manager looks at before he decides: versions, what changes between two decks, and what that costs on his own traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from books import Connection, offers
from books.offers import Import
from core.config import limits
from rating.deck import Deck
from rating.offers.compare import Changes, Rates, compare, settled_ms
from rating.offers.effect import AsOf, Line, Traffic, cost, total
from rating.offers.mapping import Notice
from rating.price import RULES
from rating.rules import Rules
from services.deck_desk import exchange, plans
from services.deck_desk.exchange import Rate
from services.errors import BadArgument, UnknownName
from services.in_force import View
from warehouse import Warehouse
from warehouse.traffic import sent, sold


@dataclass(frozen=True)
class Listed:
    """A deck of a carrier. `state`: in force | planned | was in force | imported; times None = without a limit."""

    name: str
    carrier: str
    state: str
    from_at_ms: int | None = None
    until_at_ms: int | None = None
    version: Import | None = None  # None = it was not imported here


def every(conn: Connection, tenant: str, carrier: str, now_ms: int) -> list[Listed]:
    """All versions of a tenant's carriers and sell decks, or of one of them, and decks in their plans that were not imported: by name, the newest
    first."""
    view = View(conn)
    if carrier:
        plans.plan_of(view, tenant, carrier)
    carriers = (row.name for row in view.every(("carriers",), {tenant}))
    names = [carrier] if carrier else sorted({*carriers, *(one.carrier for one in offers.every(conn, tenant))})
    found: list[Listed] = []
    for name in names:
        versions = {one.name: one for one in offers.every(conn, tenant, name)}
        listed = []
        for span in plans.plan_of(view, tenant, name).spans:
            start, end = limits(span)
            state = "planned" if start > now_ms else "in force" if now_ms < end else "was in force"
            listed.append(Listed(span.deck, name, state, span.from_at_ms, span.until_at_ms, versions.get(span.deck)))
        planned = {one.name for one in listed}
        listed += [Listed(one.name, name, "imported", version=one) for one in versions.values() if one.name not in planned]
        found += sorted(listed, key=lambda one: (one.version.number if one.version else 0, one.from_at_ms or 0), reverse=True)
    return found


@dataclass(frozen=True)
class Difference:
    """What changes from one deck to another. `old` "" = there was none."""

    old: str
    new: str
    currency: str
    changes: Changes
    rate: str = ""  # at which the old prices were converted


def diff(conn: Connection, tenant: str, one: str, other: str, now_ms: int, unchanged: bool = False) -> Difference:
    """Two decks by their names; with one alone, a version against the deck that it was made of. `unchanged`: rows of what stays as well."""
    view = View(conn)
    found = plans.split_name(one)
    old, new = one, other
    if not other:
        version = plans.version_of(conn, tenant, one)
        old, new = version.base, one
    decks = {name: plans.read(conn, view, tenant, name) for name in (old, new) if name}
    before: Rates | None = decks.get(old)
    at = None
    if before is not None and decks[old].currency != decks[new].currency:
        at = exchange.rate(view, tenant, decks[old].currency, decks[new].currency, now_ms)
        if at is None:
            pair = f"{decks[old].currency}-{decks[new].currency}"
            raise BadArgument(
                f"{old} is in {decks[old].currency} and {new} in {decks[new].currency}: add a rate {pair} to fx_rates in the config file"
            )
        before = exchange.converted(before, at)
    profile = offers.profile(conn, tenant, found[0]) if found else None
    told_ms = now_ms
    start_ms = now_ms
    named = plans.split_name(new)
    version_of_new = offers.find(conn, tenant, *named) if named else None
    if version_of_new is not None:
        told_ms = version_of_new.at_ms
        start_ms = max(version_of_new.facts.valid_from_ms or told_ms, told_ms)
    notice = profile.notice_days if profile else Notice()
    changes = compare(before, decks[new], told_ms, start_ms, notice, unchanged)
    return Difference(old, new, decks[new].currency, changes, at.text if at else "")


@dataclass(frozen=True)
class Effect:
    """Own traffic of a period under several decks. `decks`: their names as columns, in order; `currencies`: of each."""

    decks: tuple[str, ...]
    currencies: dict[str, str]
    lines: list[Line]
    totals: dict[str, int]
    calls: int
    seconds: int
    from_ms: int
    to_ms: int
    as_of_ms: int  # when the decks are looked at
    rates: dict[str, str]  # of decks in another currency: the rate at which their prices were converted
    routed_nanos: dict[str, int]  # by currency: what the decks in force say of the traffic as it was routed
    sells: bool = False  # the amounts are what customers pay


def simulate(
    conn: Connection, client: Warehouse, tenant: str, name: str, from_ms: int, to_ms: int, now_ms: int, as_of_ms: int | None = None
) -> Effect:
    """The traffic that went over a version's carrier in a period, or that was sold by a sell deck, under the deck in force and under the version,
    once all that it announces is in force (or at `as_of_ms`). Amounts are in the agreement's currency."""
    view = View(conn)
    version = plans.version_of(conn, tenant, name)
    plan = plans.plan_of(view, tenant, version.carrier)
    before = plan.at(now_ms)
    decks = {one: plans.read(conn, view, tenant, one) for one in dict.fromkeys((before, name)) if one}
    at_ms = as_of_ms if as_of_ms is not None else settled_ms(decks[name], now_ms)
    if plan.sells:
        frame = sold(client, tenant, from_ms, to_ms, plans.accounts_under(view, tenant, plan))
    else:
        frame = sent(client, tenant, from_ms, to_ms, version.carrier)
    rates = _rates(view, tenant, decks, plan.currency, min(now_ms, at_ms))
    # The deck in force is looked at as it is now, the new one as it will be.
    seen = {one: AsOf(deck, at_ms if one == name else min(now_ms, at_ms), _rules(rates, one)) for one, deck in decks.items()}
    lines = cost(_traffic(frame), seen, [seen[name], *(one for key, one in seen.items() if key != name)])
    if before and before != name:
        lines.sort(key=lambda line: (-abs(line.cost_nanos[name] - line.cost_nanos[before]), -line.seconds, line.destination))
    return replace(_effect(decks, rates, lines, from_ms, to_ms, at_ms, {}), sells=plan.sells)


def _rates(view: View, tenant: str, decks: Mapping[str, Deck], currency: str, at_ms: int) -> dict[str, Rate]:
    """The rate of each deck in another currency than the wanted one; a deck without a rate stays in its own."""
    found = {name: exchange.rate(view, tenant, deck.currency, currency, at_ms) for name, deck in decks.items() if currency not in ("", deck.currency)}
    return {name: at for name, at in found.items() if at is not None}


def _rules(rates: Mapping[str, Rate], name: str) -> Rules:
    return rates[name].rules if name in rates else RULES


def compare_carriers(
    conn: Connection, client: Warehouse, tenant: str, names: list[str], from_ms: int, to_ms: int, now_ms: int, as_of_ms: int | None = None,
    currency: str = "",
) -> Effect:
    """All own traffic of a period under several decks side by side. `names`: carriers (their deck in force), versions or decks; none = all
    carriers. Destinations are named by the first of them. Amounts are in `currency`, "" = that of the first."""
    view = View(conn)
    carriers = sorted({row.name for row in view.every(("carriers",), {tenant})})
    at_ms = now_ms if as_of_ms is None else as_of_ms
    decks: dict[str, Deck] = {}
    in_force: dict[str, Deck] = {}
    for carrier in carriers:
        deck = plans.plan_of(view, tenant, carrier).at(at_ms)
        if deck:
            in_force[carrier] = plans.read(conn, view, tenant, deck)
    for name in names or list(in_force):
        if name in in_force:
            decks[name] = in_force[name]
        elif name in carriers:
            raise BadArgument(f"Carrier {name} has no deck in force then.")
        else:
            decks[name] = plans.read(conn, view, tenant, name)
    if not decks:
        raise UnknownName("No carrier has a deck in force.")
    frame = sent(client, tenant, from_ms, to_ms)
    wanted = currency or next(iter(decks.values())).currency
    rates = _rates(view, tenant, decks | {f"carrier {name}": deck for name, deck in in_force.items()}, wanted, min(now_ms, at_ms))
    seen = {name: AsOf(deck, at_ms, _rules(rates, name)) for name, deck in decks.items()}
    together = frame.group_by("b_number", "answered", "duration_ms").agg(pl.col("attempts").sum())
    lines = cost(_traffic(together), seen, list(seen.values()))
    routed: dict[str, int] = {}
    for carrier, deck_of in in_force.items():
        own = frame.filter(pl.col("carrier") == carrier)
        rules = _rules(rates, f"carrier {carrier}")
        paid = total(cost(_traffic(own), {carrier: AsOf(deck_of, at_ms, rules)}, ()), carrier)
        in_currency = rules.currency or deck_of.currency
        routed[in_currency] = routed.get(in_currency, 0) + paid
    return _effect(decks, rates, lines, from_ms, to_ms, at_ms, routed)


def _effect(
    decks: Mapping[str, Deck], rates: Mapping[str, Rate], lines: list[Line], from_ms: int, to_ms: int, at_ms: int, routed: dict[str, int]
) -> Effect:
    return Effect(
        decks=tuple(decks), currencies={name: rates[name].currency if name in rates else deck.currency for name, deck in decks.items()},
        rates={name: rates[name].text for name in decks if name in rates}, lines=lines,
        totals={name: total(lines, name) for name in decks}, calls=sum(line.calls for line in lines), seconds=sum(line.seconds for line in lines),
        from_ms=from_ms, to_ms=to_ms, as_of_ms=at_ms, routed_nanos=routed,
    )  # fmt: skip


def _traffic(frame: pl.DataFrame) -> Traffic:
    digits = frame.filter(pl.col("b_number").str.contains(r"^[0-9]{1,15}$"))
    return Traffic(
        digits["b_number"].to_list(), digits["duration_ms"].to_numpy(), digits["answered"].to_numpy(), digits["attempts"].to_numpy()
    )
