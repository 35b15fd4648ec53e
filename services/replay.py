"""A replay: prices and judges a file of calls as if they came live, by a deck, by the file's own amounts or by the config in force."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from books import BooksError, Engine, configs, reading
from core.config import path
from flows import replay as flow
from rating.contracts import ConfigError, Terms, compile_contracts
from rating.deck import Deck
from rating.decks import DeckError, DeckFormat, read_deck
from services import files
from switches.files.mapping import Mapping, MappingError, read_mapping

WRONG = (BooksError, MappingError, ConfigError, DeckError, KeyError, OSError, UnicodeDecodeError)
"""Errors of the arguments and files; the text of each is one line for a person."""

NO_CURRENCY = "XXX"
"""The currency of a deck if the mapping has none (ISO 4217: no currency): money without one would be left out of the sums."""


def replay(
    calls: Path,
    mapping_file: Path,
    out: Path,
    deck_file: Path | None,
    show: Callable[[int, int], None],
    contracts_with: Callable[[Deck | None], Terms] = flow.self_registering,
) -> flow.Summary:
    """Judges the file and writes the results below `out`. Raises the errors of `WRONG`; no order reaches a switch.

    `show` is called now and then with the rows done and the total (0 = not known yet). `contracts_with`: the contracts that price the calls,
    by a deck that sells all of them or None; by default accounts register themselves.
    """
    files.checked(calls)
    mapping = mapping_of(mapping_file)
    deck = None
    if deck_file:
        content = files.read(deck_file, files.DECK_BYTES)
        deck = read_deck(content, deck_file.stem, mapping.currency or NO_CURRENCY, mapping.deck or DeckFormat())
    return flow.run(calls, mapping, out, contracts_with(deck), show)


def mapping_of(file: Path) -> Mapping:
    """The mapping that a file has. Raises `MappingError` and `OSError`."""
    try:
        return read_mapping(text_of(file), file.name)
    except RecursionError:
        raise MappingError(f"{file.name}: lists and mappings are nested too deeply") from None


def text_of(file: Path) -> str:
    """The text of a mapping. Raises `MappingError` and `OSError`."""
    try:
        return files.read(file, files.CONFIG_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise MappingError(f"{file.name}: byte {wrong.start} is not UTF-8: save the mapping as UTF-8") from None


def in_force(engine: Engine, contracts_of: Callable[[int], Terms], deck: Deck | None) -> Terms:
    """The contracts of the newest config version; with a deck, every account is sold by it."""
    with reading(engine) as conn:
        version = configs.latest(conn)
        config = configs.load(conn, version)
    terms = contracts_of(version)
    if deck is None:
        return terms
    owners = {"", *(account.tenant for account in config.accounts), *(carrier.tenant for carrier in config.carriers)}
    mine = {path(tenant, deck.name): deck for tenant in owners}
    config = msgspec.structs.replace(
        config,
        accounts=tuple(msgspec.structs.replace(account, agreement="", sell_deck=deck.name) for account in config.accounts),
        default_sell_deck=deck.name,
    )
    return compile_contracts(config, {**{path(*key): terms.decks[place] for key, place in terms.deck_places.items()}, **mine})
