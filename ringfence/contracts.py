"""Config versions from the books, compiled once each. A version is immutable, so what was compiled is never looked at again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from books import Connection, Engine, configs, decks, reading
from core.config import Config
from rating.contracts import Contracts, compile_contracts
from rating.decks import Deck, read_deck

VERSIONS = 64
"""Versions that are kept compiled: a record is judged by the last one or two, a replay by more."""

Value = TypeVar("Value")
Wait = Callable[[Callable[[], Value]], Value]


def at_once(work: Callable[[], Value]) -> Value:
    """Does the work; books that are away are an error."""
    return work()


def from_books(engine: Engine, patiently: Wait = at_once) -> Callable[[int], Contracts]:  # type: ignore[type-arg]
    """What a version means. Version 0 is what was in force before the first one: nothing. `patiently` does what is asked of the
    books, and may wait for them."""

    def ask(question: Callable[[Connection], Value]) -> Value:
        def once() -> Value:
            with reading(engine) as conn:
                return question(conn)

        return patiently(once)

    @lru_cache(maxsize=VERSIONS * 16)
    def deck(version_id: str) -> Deck:
        name, currency, csv = ask(lambda conn: decks.content(conn, version_id))
        return read_deck(csv, name, currency)

    @lru_cache(maxsize=VERSIONS)
    def contracts_of(version: int) -> Contracts:
        if version == 0:
            return compile_contracts(Config(version=0), {})
        config = ask(lambda conn: configs.load(conn, version))
        return compile_contracts(config, {name: deck(version_id) for name, version_id in config.decks.items()})

    return contracts_of
