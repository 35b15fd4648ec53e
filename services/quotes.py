"""What a call would cost, by what is in force or by a deck alone; and how long a call some money buys."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from books import configs, reading
from core.config import Account, Config
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck
from rating.quote import Quote, quote, seconds_for
from services import files
from services.in_force import from_books
from services.installation import Installation, opened_books, tenant_of


class Asked(NamedTuple):
    """A call that somebody asks the price of; numbers as people write them."""

    account: str
    b_number: str
    a_number: str = ""
    lrn: str = ""
    carrier: str = ""
    at_ms: int = 0
    talk_ms: int = 60_000


def in_force(installation: Installation, tenant: str) -> tuple[Terms, str]:
    """The newest config version, and the tenant that is meant. Raises `NoInstallation`, `UnknownName`."""
    with opened_books(installation) as engine, reading(engine) as conn:
        return from_books(engine)(configs.latest(conn)), tenant_of(conn, tenant)


def by_deck(file: Path, currency: str, account: str) -> Terms:
    """Terms that sell to one account by a deck alone. Raises `DeckError`."""
    deck = read_deck(files.read(file, files.DECK_BYTES), file.stem, currency)
    config = Config(accounts=(Account(tenant="", name=account, sell_deck=deck.name),), decks={deck.name: deck.deck_id})
    return compile_contracts(config, {deck.name: deck})


def ask(terms: Terms, tenant: str, asked: Asked) -> Quote:
    """The price of a call."""
    return quote(
        terms, tenant, asked.account, asked.a_number, asked.b_number, asked.at_ms, asked.talk_ms, lrn=asked.lrn, carrier=asked.carrier
    )  # fmt: skip


def buys(terms: Terms, tenant: str, asked: Asked, money_nanos: int) -> tuple[int, Quote]:
    """How many seconds of a call some money buys, and the price of a call of that length."""
    found = ask(terms, tenant, asked)
    if found.offer is None or found.why_not:
        return 0, found
    seconds = seconds_for(found.offer, found.call, asked.at_ms, money_nanos)
    return seconds, ask(terms, tenant, asked._replace(talk_ms=1000 * seconds))

