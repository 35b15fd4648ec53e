"""Config versions: published once, never changed. A tick names the version in force, and rated rows store it.

A version is a list of hashes of parts (`core.parts`); a part is stored once, however many versions have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from books import audit, tables
from books.upsert import put_once
from core.config import Config
from core.parts import Slot, decode_part, encode_part, hash_of, join, split

MOST_AT_ONCE = 500
"""Parts that one query asks for: both databases limit the parameters of a statement."""


class Version(NamedTuple):
    """A published version: by whom, why and when."""

    version: int
    who: str
    why: str
    at_ms: int


def publish(conn: sa.Connection, config: Config, who: str, why: str, now_ms: int) -> int:
    """Stores `config` as the next version, whatever is in force, and returns its number."""
    contents = {slot: encode_part(content) for slot, content in split(config).items()}
    return add(conn, {slot: hash_of(data) for slot, data in contents.items()}, contents, who, why, now_ms)


def add(
    conn: sa.Connection, parts: Mapping[Slot, str], contents: Mapping[Slot, bytes], who: str, why: str, now_ms: int
) -> int:
    """Stores the next version and returns its number. `parts`: all of its hashes; `contents`: of the parts that may be new.

    Order: parts, then the version that names them, then the audit; all in the caller's transaction, so that a crash leaves nothing.
    """
    for slot, data in contents.items():
        if slot.kind == "decks":
            _check_decks(conn, decode_part("decks", data))
        put_once(conn, tables.config_parts, {"hash": parts[slot], "content": data})
    number = latest(conn) + 1
    text = msgspec.json.encode([(*slot, parts[slot]) for slot in sorted(parts)]).decode()
    conn.execute(sa.insert(tables.config_versions).values(version=number, parts=text, who=who, why=why, at_ms=now_ms))
    audit.note(conn, who, "published a config version", str(number), why, now_ms)
    return number


def _check_decks(conn: sa.Connection, named: Mapping[str, str]) -> None:
    t = tables.deck_versions.c
    known = set(conn.execute(sa.select(t.id).where(t.id.in_(list(named.values())))).scalars())
    for name, deck_id in named.items():
        if deck_id not in known:
            raise ValueError(f"deck {name!r} names a version that the books do not have: {deck_id}")


def parts(conn: sa.Connection, version: int) -> dict[Slot, str]:
    """The hashes of a version's parts; of version 0, in force before the first one, there are none."""
    if version == 0:
        return {}
    t = tables.config_versions.c
    text = conn.execute(sa.select(t.parts).where(t.version == version)).scalar()
    if text is None:
        raise KeyError(f"the books have no config version {version}")
    rows = msgspec.json.decode(text, type=list[tuple[str, str, int, str]])
    return {Slot(tenant, kind, bucket): part for tenant, kind, bucket, part in rows}


def contents(conn: sa.Connection, hashes: Iterable[str]) -> dict[str, bytes]:
    """The contents of parts by their hash."""
    t = tables.config_parts.c
    found: dict[str, bytes] = {}
    wanted = list(dict.fromkeys(hashes))
    for start in range(0, len(wanted), MOST_AT_ONCE):
        query = sa.select(t.hash, t.content).where(t.hash.in_(wanted[start : start + MOST_AT_ONCE]))
        found |= {part: bytes(content) for part, content in conn.execute(query)}
    return found


def decoded(conn: sa.Connection, wanted: Mapping[Slot, str]) -> dict[Slot, Any]:
    """The contents of parts as values (`core.parts.decode_part`)."""
    found = contents(conn, wanted.values())
    return {slot: decode_part(slot.kind, found[part]) for slot, part in wanted.items()}


def load(conn: sa.Connection, version: int) -> Config:
    """A whole version as values; of version 0, an empty one."""
    return join(version, decoded(conn, parts(conn, version)))


def latest(conn: sa.Connection) -> int:
    """The newest version's number; 0 = none was published yet."""
    return int(conn.execute(sa.select(sa.func.max(tables.config_versions.c.version))).scalar() or 0)


def every(conn: sa.Connection) -> list[Version]:
    """All versions, the newest first."""
    t = tables.config_versions.c
    return [Version(*row) for row in conn.execute(sa.select(t.version, t.who, t.why, t.at_ms).order_by(t.version.desc()))]
