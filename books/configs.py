"""Config versions: published once, never changed. The tick names one; the row keeps it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from books import audit, decks, tables, tenants
from core.config import Config
from core.numbers import DialPlan


class Version(NamedTuple):
    """That a version was published, by whom and why."""

    version: int
    who: str
    why: str
    at_ms: int


def publish(conn: sa.Connection, config: Config, who: str, why: str, now_ms: int) -> int:
    """Keeps `config` as the next version and returns its number; the number inside it is replaced by that one."""
    for name, version_id in config.decks.items():
        if conn.execute(sa.select(tables.deck_versions.c.id).where(tables.deck_versions.c.id == version_id)).first() is None:
            raise ValueError(f"deck {name!r} names a version that the books do not have: {version_id}")
    number = latest(conn) + 1
    text = msgspec.json.encode(msgspec.structs.replace(config, version=number)).decode()
    row = {"version": number, "content": text, "who": who, "why": why, "at_ms": now_ms}
    conn.execute(sa.insert(tables.config_versions).values(**row))
    audit.note(conn, who, "published a config version", str(number), why, now_ms)
    return number


def load(conn: sa.Connection, version: int) -> Config:
    t = tables.config_versions.c
    text = conn.execute(sa.select(t.content).where(t.version == version)).scalar()
    if text is None:
        raise KeyError(f"the books have no config version {version}")
    return msgspec.json.decode(text, type=Config)


def latest(conn: sa.Connection) -> int:
    """The newest version's number; 0 = none was published yet."""
    return int(conn.execute(sa.select(sa.func.max(tables.config_versions.c.version))).scalar() or 0)


def every(conn: sa.Connection) -> list[Version]:
    """All versions, the newest first."""
    t = tables.config_versions.c
    return [Version(*row) for row in conn.execute(sa.select(t.version, t.who, t.why, t.at_ms).order_by(t.version.desc()))]


def draft(conn: sa.Connection, base: Config | None = None) -> Config:
    """The next version as the tables stand now: accounts, carriers, trunks, dial plans and the newest decks; the rest from
    `base`."""
    plans = tenants.dial_plans(conn)
    return msgspec.structs.replace(
        base or Config(version=0),
        accounts=tuple(tenants.accounts(conn)),
        carriers=tuple(tenants.carriers(conn)),
        trunks=tuple(tenants.trunks(conn)),
        dial_plans=tuple(plans) or (DialPlan(name="e164"),),
        decks=decks.latest(conn),
    )
