"""Switches: the address of their control port, whose calls they carry, whether they enforce, and whether a person holds them."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from books import audit, deliveries, tables
from books.upsert import put, put_once


class Switch(NamedTuple):
    name: str
    kind: str
    control_url: str
    control_token: str


class Hold(NamedTuple):
    switch: str
    who: str
    why: str
    at_ms: int


class State(NamedTuple):
    """The state of a switch at the dispatcher's last round."""

    switch: str
    boot: str = ""
    seen_ms: int = 0
    compared_ms: int = 0
    missing: int = 0
    strangers: int = 0
    error: str = ""


def add(conn: sa.Connection, name: str, kind: str, control_url: str, control_token: str, now_ms: int) -> None:
    """Adds a switch, or changes its address. It serves no tenant and enforces nothing until a person decides so."""
    row = {"name": name, "kind": kind, "control_url": control_url, "control_token": control_token, "at_ms": now_ms}
    put(conn, tables.switches, row)


def every(conn: sa.Connection) -> list[Switch]:
    t = tables.switches.c
    return [Switch(*row) for row in conn.execute(sa.select(t.name, t.kind, t.control_url, t.control_token).order_by(t.name))]


def serve(conn: sa.Connection, switch: str, tenant: str, now_ms: int) -> None:
    """The switch carries this tenant's calls: its orders go there, in shadow."""
    if put_once(conn, tables.switch_tenants, {"switch": switch, "tenant": tenant, "enforcing": False}):
        deliveries.touch_tenant(conn, tenant, now_ms)


def enforcing(conn: sa.Connection, switch: str, tenant: str) -> bool:
    """Whether the switch refuses calls of this tenant. False = shadow: it only marks the calls that it would refuse."""
    t = tables.switch_tenants.c
    return bool(conn.execute(sa.select(t.enforcing).where(t.switch == switch, t.tenant == tenant)).scalar())


def set_enforcing(conn: sa.Connection, switch: str, tenant: str, on: bool, who: str, why: str, now_ms: int) -> None:
    """From shadow to enforcing or back, for one tenant at one switch. Its live entries move to the other table."""
    serve(conn, switch, tenant, now_ms)
    was = enforcing(conn, switch, tenant)
    put(conn, tables.switch_tenants, {"switch": switch, "tenant": tenant, "enforcing": on})
    audit.note(conn, who, "enforcing" if on else "shadow", f"{switch} for {tenant}", why, now_ms)
    if on != was:
        deliveries.move(conn, switch, tenant, deliveries.BLOCKS if on else deliveries.SHADOW, now_ms)
        deliveries.settle(conn, tenant, now_ms)
        deliveries.keep_shadow(conn, tenant, now_ms)


def tenants_of(conn: sa.Connection, switch: str) -> dict[str, bool]:
    """Tenant -> enforcing."""
    t = tables.switch_tenants.c
    return {tenant: bool(on) for tenant, on in conn.execute(sa.select(t.tenant, t.enforcing).where(t.switch == switch))}


def hold(conn: sa.Connection, switch: str, who: str, why: str, now_ms: int) -> bool:
    """Stores that the switch is held. False = it was already."""
    new = put_once(conn, tables.holds, {"switch": switch, "who": who, "why": why, "at_ms": now_ms})
    if new:
        audit.note(conn, who, "hold", switch, why, now_ms)
    return new


def clear_hold(conn: sa.Connection, switch: str, who: str, why: str, now_ms: int) -> bool:
    """Lets orders through again. The flag at the switch must be cleared too (`switches.hold.clear`)."""
    gone = bool(conn.execute(sa.delete(tables.holds).where(tables.holds.c.switch == switch)).rowcount)
    if gone:
        audit.note(conn, who, "hold cleared", switch, why, now_ms)
    return gone


def holds(conn: sa.Connection) -> dict[str, Hold]:
    """Switch -> who holds it and why."""
    return {row.switch: Hold(*row) for row in conn.execute(sa.select(tables.holds))}


def state(conn: sa.Connection, switch: str) -> State:
    row = conn.execute(sa.select(tables.switch_states).where(tables.switch_states.c.switch == switch)).first()
    return State(*row) if row else State(switch)


def set_state(conn: sa.Connection, switch: str, **changes: Any) -> None:
    put(conn, tables.switch_states, {**state(conn, switch)._asdict(), **changes})
