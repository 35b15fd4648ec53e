"""The config in force: the rows of the newest version, and compiled versions: each part once per hash, each deck once per deck version."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar
from weakref import WeakSet, WeakValueDictionary

from books import Connection, Engine, configs, decks, models, reading
from core.config import ROWS
from core.parts import Slot, bucket_of, decode_part
from rating.contracts import Part, Terms, compile_part, compile_parts
from rating.deck import Deck
from rating.decks import read_deck

VERSIONS = 64
"""Compiled versions in memory: live records need the last one or two, a replay more."""

Value = TypeVar("Value")
Wait: TypeAlias = Callable[[Callable[[], Any]], Any]


class View:
    """The rows of the newest version, read part by part on demand. `rows` may be changed: `find` and `every` then return the change."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.version = configs.latest(conn)
        self.hashes = configs.parts(conn, self.version)
        self._rows: dict[Slot, dict[str, Any]] = {}

    def rows(self, slot: Slot) -> dict[str, Any]:
        """The rows of a part by name."""
        self._read([slot])
        return self._rows[slot]

    def find(self, kind: str, tenant: str, name: str) -> Any:
        """The row, or None; of "decks" the currency (`core.config.Find`)."""
        if kind == "decks":
            return self._currencies(tenant).get(name)
        return self.rows(Slot(tenant, kind, bucket_of(name))).get(name)

    def every(self, kinds: Iterable[str], of: Iterable[str] | None = None) -> list[Any]:
        """All rows of some kinds, of all tenants or of some."""
        wanted = [one for one in {*self.hashes, *self._rows} if one.kind in ROWS and one.kind in kinds and (of is None or one.tenant in of)]
        self._read(wanted)
        return [row for slot in sorted(wanted) for row in self._rows[slot].values() if row is not None]

    def _read(self, slots: Iterable[Slot]) -> None:
        absent = [slot for slot in slots if slot not in self._rows]
        found = configs.decoded(self.conn, {slot: self.hashes[slot] for slot in absent if slot in self.hashes})
        self._rows |= {slot: {row.name: row for row in found.get(slot, ())} for slot in absent}

    def decks(self, tenant: str) -> dict[str, str]:
        """The decks of a tenant: name -> id of the version in the books."""
        slot = Slot(tenant, "decks")
        found: dict[str, str] = configs.decoded(self.conn, {slot: self.hashes[slot]})[slot] if slot in self.hashes else {}
        return dict(found)

    def put_decks(self, tenant: str, ids: dict[str, str]) -> None:
        """From now on `find` answers for these decks of a tenant."""
        currencies = decks.currencies(self.conn, ids.values())
        self._rows[Slot(tenant, "decks")] = {name: currencies[deck_id] for name, deck_id in ids.items()}

    def _currencies(self, tenant: str) -> dict[str, str]:
        slot = Slot(tenant, "decks")
        if slot not in self._rows:
            self.put_decks(tenant, self.decks(tenant))
        return self._rows[slot]


def at_once(work: Callable[[], Value]) -> Value:
    """Calls `work` once: if the books do not answer, that is an error."""
    return work()


def from_books(engine: Engine, patiently: Wait = at_once, compiled_one: Callable[[], None] = lambda: None) -> Callable[[int], Terms]:
    """The contracts of a version, by its number. Version 0, before the first one, has none. `patiently` calls a query of the books, and may
    wait for them. `compiled_one` is called after each version that was compiled.

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
                found = twin.renamed(name)
            else:
                stored = ask(lambda conn: decks.content(conn, deck_id))
                found = read_deck(stored.csv, name, stored.currency)
            price_lists[deck_id, name] = found
        return found

    @lru_cache(maxsize=VERSIONS)
    def terms_of(version: int) -> Terms:
        wanted = parts_of(ask(lambda conn: configs.parts(conn, version)))
        priced = {
            (slot.tenant, name): deck(name, deck_id)
            for slot, content in wanted.items()
            if slot.kind == "decks"
            for name, deck_id in content.items()
        }
        for older in compiled:
            older.forget()  # so that only versions in use cache answers
        terms = compile_parts(version, wanted, priced)
        if any(policy.detectors.get("learned", {}).get("model") for policy in terms.policies.values()):
            terms.models = ask(models.contents)
        compiled.add(terms)
        compiled_one()
        return terms

    return terms_of
