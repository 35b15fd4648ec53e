"""Config versions from the books, compiled: a part once per hash, a deck once per deck version, whatever the number of versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar
from weakref import WeakSet, WeakValueDictionary

from books import Connection, Engine, configs, decks, reading
from core.parts import Slot, decode_part
from rating.contracts import Part, Terms, compile_part, compile_parts
from rating.decks import Deck, read_deck

VERSIONS = 64
"""Versions that stay compiled: a record is judged by the last one or two, a replay by more."""

Value = TypeVar("Value")
Wait: TypeAlias = Callable[[Callable[[], Any]], Any]


def at_once(work: Callable[[], Value]) -> Value:
    """Does the work; books that are away are an error."""
    return work()


def from_books(engine: Engine, patiently: Wait = at_once) -> Callable[[int], Terms]:
    """What a version says, by its number. Version 0 is what was in force before the first one: nothing. `patiently` does what is asked of
    the books, and may wait for them.

    Parts and decks are released with the last of `VERSIONS` versions that has them.
    """
    parts: WeakValueDictionary[tuple[str, str], Any] = WeakValueDictionary()
    price_lists: WeakValueDictionary[tuple[str, str], Deck] = WeakValueDictionary()
    compiled: WeakSet[Terms] = WeakSet()

    def ask(question: Callable[[Connection], Value]) -> Value:
        def once() -> Value:
            with reading(engine) as conn:
                return question(conn)

        found: Value = patiently(once)
        return found

    def parts_of(wanted: dict[Slot, str]) -> dict[Slot, Any]:
        found = {slot: part for slot, name in wanted.items() if (part := parts.get((slot.kind, name))) is not None}
        absent = {slot: name for slot, name in wanted.items() if slot not in found}
        contents = ask(lambda conn: configs.contents(conn, absent.values())) if absent else {}
        for slot, name in absent.items():
            part = found[slot] = compile_part(slot.kind, decode_part(slot.kind, contents[name]))
            if isinstance(part, Part):
                parts[slot.kind, name] = part
        return found

    def deck(name: str, deck_id: str) -> Deck:
        found = price_lists.get((deck_id, name))
        if found is None:
            twin = next((one for (other, _), one in price_lists.items() if other == deck_id), None)
            if twin is not None:
                found = replace(twin, name=name)  # the arrays are the same
            else:
                stored = ask(lambda conn: decks.content(conn, deck_id))
                found = read_deck(stored.csv, name, stored.currency)
            price_lists[deck_id, name] = found
        return found

    @lru_cache(maxsize=VERSIONS)
    def terms_of(version: int) -> Terms:
        wanted = parts_of(ask(lambda conn: configs.parts(conn, version)))
        named = {
            (slot.tenant, name): deck(name, deck_id)
            for slot, content in wanted.items()
            if slot.kind == "decks"
            for name, deck_id in content.items()
        }
        for older in compiled:
            older.forget()  # so that only versions in use remember answers
        terms = compile_parts(version, wanted, named)
        compiled.add(terms)
        return terms

    return terms_of
