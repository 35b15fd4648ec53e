"""What carriers offered: how each writes his files, the versions that were imported of them, and when which was put in force.

A version is CARRIER@NUMBER; its rates are a deck version of `books.decks`. Profiles change, versions never do, and an activation is only
marked when it is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from books import audit, tables
from books.upsert import put
from core.config import DeckSpan
from rating.offers.finding import Finding
from rating.offers.mapping import Mapping, Profile


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of an imported version besides its rates."""

    currency: str
    scope: str  # full | partial
    missing: str  # what became of codes that the file left out: closed | unchanged
    mapping: Mapping
    valid_from_ms: int | None = None  # the date that the carrier gave the whole file
    rows: int = 0  # of the file
    codes: int = 0  # of the version
    carried: int = 0  # rows of the deck before that are in it
    left_out: int = 0  # codes of the deck before that the file does not name
    changes: dict[str, int] = {}  # kind of change -> codes
    late: dict[str, int] = {}  # of these, without the notice that was agreed on
    finding_counts: dict[str, int] = {}


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a carrier's deck, as it was imported."""

    tenant: str
    carrier: str
    number: int
    deck_id: str
    base: str
    base_id: str
    file_name: str
    file_sha256: str
    facts: Facts
    findings: tuple[Finding, ...]
    who: str
    at_ms: int

    @property
    def name(self) -> str:
        """What the version is called, here and in the config."""
        return name_of(self.carrier, self.number)


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """That a version was put in force: the plan of the carrier's agreement before and after, and whether it was taken back."""

    id: int
    tenant: str
    carrier: str
    deck: str
    from_at_ms: int
    plan_before: tuple[DeckSpan, ...]
    plan_after: tuple[DeckSpan, ...]
    config_version: int
    who: str
    why: str
    at_ms: int
    rolled_back_at_ms: int


def name_of(carrier: str, number: int) -> str:
    """
    >>> name_of("alpha", 3)
    'alpha@3'
    """
    return f"{carrier}@{number}"


def profile(conn: sa.Connection, tenant: str, carrier: str) -> Profile | None:
    """How a carrier writes his files, if that was kept."""
    t = tables.deck_profiles.c
    text = conn.execute(sa.select(t.profile).where(t.tenant == tenant, t.carrier == carrier)).scalar()
    return None if text is None else msgspec.json.decode(text, type=Profile)


def keep_profile(conn: sa.Connection, tenant: str, carrier: str, kept: Profile, who: str, now_ms: int) -> None:
    """Keeps it for the next file; what it is already is not written."""
    if profile(conn, tenant, carrier) == kept:
        return
    row = {"tenant": tenant, "carrier": carrier, "profile": msgspec.json.encode(kept).decode(), "who": audit.clean(who), "at_ms": now_ms}
    put(conn, tables.deck_profiles, row)
    audit.note(conn, who, "kept an import profile", f"{tenant}/{carrier}", "", now_ms)


def next_number(conn: sa.Connection, tenant: str, carrier: str) -> int:
    """The number of a carrier's next version."""
    t = tables.deck_imports.c
    return 1 + int(conn.execute(sa.select(sa.func.max(t.number)).where(t.tenant == tenant, t.carrier == carrier)).scalar() or 0)


def add(conn: sa.Connection, one: Import) -> None:
    """Stores a version; its deck is in the books already."""
    row = {name: getattr(one, name) for name in ("tenant", "carrier", "number", "deck_id", "base", "base_id", "file_sha256", "at_ms")}
    row |= {"file_name": audit.clean(one.file_name, 200), "who": audit.clean(one.who)}
    row |= {"facts": _json(one.facts), "findings": _json(one.findings)}
    conn.execute(sa.insert(tables.deck_imports).values(**row))
    audit.note(conn, one.who, "imported a deck", f"{one.tenant}/{one.name}", one.file_name, one.at_ms)


def find(conn: sa.Connection, tenant: str, carrier: str, number: int) -> Import | None:
    """A version, if there is one."""
    t = tables.deck_imports.c
    row = conn.execute(sa.select(tables.deck_imports).where(t.tenant == tenant, t.carrier == carrier, t.number == number)).first()
    return None if row is None else _import(row)


def every(conn: sa.Connection, tenant: str, carrier: str = "") -> list[Import]:
    """The versions of a tenant's carriers, or of one: the newest first."""
    t = tables.deck_imports.c
    query = sa.select(tables.deck_imports).where(t.tenant == tenant).order_by(t.carrier, t.number.desc())
    return [_import(row) for row in conn.execute(query.where(t.carrier == carrier) if carrier else query)]


def activated(
    conn: sa.Connection, tenant: str, carrier: str, deck: str, from_at_ms: int, plans: tuple[Iterable[DeckSpan], Iterable[DeckSpan]],
    config_version: int, who: str, why: str, now_ms: int,
) -> None:  # fmt: skip
    """Notes that a version was put in force. `plans`: of the agreement, before and after."""
    before, after = (_json(tuple(plan)) for plan in plans)
    values = {"tenant": tenant, "carrier": carrier, "deck": deck, "from_at_ms": from_at_ms, "config_version": config_version}
    values |= {"plan_before": before, "plan_after": after, "who": audit.clean(who), "why": audit.clean(why), "at_ms": now_ms}
    conn.execute(sa.insert(tables.deck_activations).values(**values))
    audit.note(conn, who, "activated a deck", f"{tenant}/{deck}", why, now_ms)


def activations(conn: sa.Connection, tenant: str, carrier: str) -> list[Activation]:
    """When which version of a carrier was put in force, the newest first."""
    t = tables.deck_activations.c
    query = sa.select(tables.deck_activations).where(t.tenant == tenant, t.carrier == carrier).order_by(t.id.desc())
    return [_activation(row) for row in conn.execute(query)]


def rolled_back(conn: sa.Connection, one: Activation, who: str, why: str, now_ms: int) -> None:
    """Marks an activation as taken back."""
    t = tables.deck_activations
    conn.execute(sa.update(t).where(t.c.id == one.id).values(rolled_back_at_ms=now_ms))
    audit.note(conn, who, "rolled a deck back", f"{one.tenant}/{one.deck}", why, now_ms)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _import(row: Any) -> Import:
    values = {name: getattr(row, name) for name in Import.__struct_fields__}
    values["facts"] = msgspec.json.decode(row.facts, type=Facts)
    values["findings"] = msgspec.json.decode(row.findings, type=tuple[Finding, ...])
    return Import(**values)


def _activation(row: Any) -> Activation:
    values = {name: getattr(row, name) for name in Activation.__struct_fields__}
    for name in ("plan_before", "plan_after"):
        values[name] = msgspec.json.decode(values[name], type=tuple[DeckSpan, ...])
    return Activation(**values)
