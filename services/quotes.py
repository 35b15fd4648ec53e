"""What a call would cost, by what is in force or by a deck alone; and how long a call some money buys."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from books import configs, reading
from core.config import Account, Config
from core.money import to_text
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck
from rating.quote import Quote, above, quote, seconds_for
from services import files
from services.in_force import from_books
from services.installation import Installation, opened_books, tenant_of


class QuoteRequest(NamedTuple):
    """A call that somebody asks the price of; numbers as people write them."""

    account: str
    b_number: str
    a_number: str = ""
    lrn: str = ""
    carrier: str = ""
    at_ms: int = 0
    talk_ms: int = 60_000
    setup_ms: int | None = None


def in_force(installation: Installation, tenant: str) -> tuple[Terms, str]:
    """The newest config version, and the tenant that is meant. Raises `NoInstallation`, `UnknownName`."""
    with opened_books(installation) as engine, reading(engine) as conn:
        return from_books(engine)(configs.latest(conn)), tenant_of(conn, tenant)


def by_deck(file: Path, currency: str, account: str) -> Terms:
    """Terms that sell to one account by a deck alone. Raises `DeckError`."""
    deck = read_deck(files.read(file, files.DECK_BYTES), file.stem, currency)
    config = Config(accounts=(Account(tenant="", name=account, sell_deck=deck.name),), decks={deck.name: deck.deck_id})
    return compile_contracts(config, {deck.name: deck})


def ask(terms: Terms, tenant: str, asked: QuoteRequest) -> Quote:
    """The price of a call."""
    return quote(
        terms, tenant, asked.account, asked.a_number, asked.b_number, asked.at_ms, asked.talk_ms, lrn=asked.lrn, carrier=asked.carrier,
        setup_ms=asked.setup_ms,
    )  # fmt: skip


def resellers(terms: Terms, tenant: str, asked: QuoteRequest) -> list[Quote]:
    """What each reseller above the account pays for the same call, the nearest first."""
    if asked.carrier:
        return []
    return above(
        terms, tenant, asked.account, asked.a_number, asked.b_number, asked.at_ms, asked.talk_ms, lrn=asked.lrn, setup_ms=asked.setup_ms
    )  # fmt: skip


def margins(levels: list[Quote]) -> list[int | None]:
    """What each party of `levels` keeps of a call that the one before it pays for, in nanos: of every level but the first. None = they pay in two
    currencies, or one of them has no price."""
    return [
        below.nanos - above.nanos
        if below.offer and above.offer and not (below.why_not or above.why_not) and below.offer.currency == above.offer.currency
        else None
        for below, above in pairwise(levels)
    ]


def buys(terms: Terms, tenant: str, asked: QuoteRequest, money_nanos: int) -> tuple[int, Quote]:
    """How many seconds of a call some money buys, and the price of a call of that length."""
    found = ask(terms, tenant, asked._replace(talk_ms=1))  # the offer of the answer, also where the end chooses it
    if found.offer is None or found.why_not:
        return 0, found
    at_ms = asked.at_ms if found.offer.rules.rating_instant == "end" else found.at_ms
    seconds = seconds_for(found.offer, found.call, at_ms, money_nanos, found.until_ms)
    return seconds, ask(terms, tenant, asked._replace(talk_ms=1000 * seconds))


def derivation(found: Quote) -> list[tuple[str, str]]:
    """Why a call costs what it costs, as names and texts for a person, from the deck to the amount. [] = it has no price."""
    why = found.explanation
    if why is None or found.offer is None or found.why_not:
        return []

    def time(units: int) -> str:
        return f"{Decimal(units * why.unit_ms) / 1000:f}"

    free = f", less {time(why.free_s)} s free" if why.free_s else ""
    rows = [
        ("deck", f"{why.deck} in {why.currency}" + (f", agreement {why.agreement}" if why.agreement else "")),
        ("version", why.deck_version[:16]),
        *(("mark-up", text) for text in why.markups),
        ("row", " ".join(filter(None, (f"prefix {why.prefix}", why.destination, *(f"{name} {text}" for name, text in why.conditions.items()))))),
        ("price list of", why.at),
        ("billable", f"{time(why.billable_s)} s{free} ({why.talk_rounding.replace('_', ' ')})"),
    ]
    for part in why.parts:
        per = f"{part.price} per {time(part.per_s)} s" if part.per_s * why.unit_ms != 60_000 else f"{part.price} per minute"
        other = "" if part.prefix == why.prefix else f", prefix {part.prefix}"
        window = f", {part.window}" if part.window and part.window != why.conditions.get("window") else ""
        increments = f"{part.increments} x {time(part.increment_s)} s = {time(part.seconds)} s"
        rows.append((f"from {time(part.from_s)} s", f"{increments} at {per}{other}{window}"))
    fees = (("connect fee", why.connect_fee), ("surcharge", why.surcharge), ("attempt fee", why.attempt_fee), ("at least", why.at_least))
    rows += [(name, text) for name, text in (*fees, ("at most", why.at_most)) if text not in ("", "0")]
    rows += [("converted", why.fx)] if why.fx else []
    rows.append(("rounded", f"once, {found.offer.rules.rounding}"))
    gross = ", tax included" if why.tax else ""
    rows.append(("amount", f"{to_text(found.nanos)} {why.amount_currency}{gross}"))
    return rows
