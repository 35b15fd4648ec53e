"""A replay, from its options: which contracts price it, and a bar that shows how far it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from books import configs, open_books, reading
from core.config import Config
from flows import replay
from flows.mapping import MappingError, read_mapping
from rating.contracts import ConfigError, Contracts, compile_contracts
from rating.decks import Deck, DeckError, read_deck
from ringfence.contracts import from_books

WRONG = (MappingError, ConfigError, DeckError, KeyError, OSError, UnicodeDecodeError)
"""What is wrong with what was asked for: told in one line."""


NO_CURRENCY = "XXX"
"""Of a deck where the mapping says none (ISO 4217: no currency is known): money without a name would be left out of the sums."""


def run(calls: Path, mapping_file: Path, out: Path, deck_file: Path | None, books_dsn: str) -> replay.Summary:
    """Judges the file and writes the results."""
    mapping = read_mapping(mapping_file.read_text("utf-8"), mapping_file.name)
    deck = read_deck(deck_file.read_bytes(), deck_file.stem, mapping.currency or NO_CURRENCY) if deck_file else None
    contracts = in_force(books_dsn, deck) if books_dsn else replay.self_registering(deck)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"reading {calls.name}", total=None)
        return replay.run(
            calls,
            mapping,
            out,
            contracts,
            lambda done, total: bar.update(task, description=f"judging {calls.name}", completed=done, total=total),
        )


def in_force(books_dsn: str, deck: Deck | None) -> Contracts:
    """The books' newest config version; with a deck, every account is sold to by that one."""
    engine = open_books(books_dsn)
    try:
        with reading(engine) as conn:
            version = configs.latest(conn)
            config = configs.load(conn, version) if version else Config(version=0)
        contracts = from_books(engine)(version)
    finally:
        engine.dispose()
    if deck is None:
        return contracts
    config = msgspec.structs.replace(
        config,
        accounts=tuple(msgspec.structs.replace(account, sell_deck=deck.name) for account in config.accounts),
        decks={**config.decks, deck.name: deck.deck_id},
        default_sell_deck=deck.name,
    )
    return compile_contracts(config, {**{one.name: one for one in contracts.decks}, deck.name: deck})
