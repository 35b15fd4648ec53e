"""Changes of a tenant's policy on their way: tried on the past, in shadow, asked for, promoted, or thrown away. The audit log has every step.

    tried -> shadow -> asked -> promoted          and from each of the first three -> thrown away
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from books import audit, tables

State = Literal["tried", "shadow", "asked", "promoted", "thrown away"]

_c = tables.rule_changes.c


class RuleChange(NamedTuple):
    """`changes`: keys of the policy, as in the config file. `tried`, `shadowed`: JSON of what the back-tests came to, "" = none."""

    id: int
    tenant: str
    changes: dict[str, Any]
    why: str
    who: str
    at_ms: int
    state: State
    state_why: str
    state_who: str
    state_at_ms: int
    shadow_from_ms: int
    tried: str
    shadowed: str


def add(conn: sa.Connection, tenant: str, changes: dict[str, Any], tried: str, who: str, why: str, now_ms: int) -> int:
    """Stores a change that was tried; returns its id."""
    text = msgspec.json.encode(changes).decode()
    row = {"tenant": tenant, "changes": text, "why": audit.clean(why), "who": who, "at_ms": now_ms, "tried": tried}
    row |= {"state": "tried", "state_why": "", "state_who": who, "state_at_ms": now_ms}
    number = int(conn.execute(sa.insert(tables.rule_changes).values(**row).returning(_c.id)).scalar_one())
    audit.note(conn, who, "tried a rule change", f"{tenant} {number}", f"{text}: {why}", now_ms)
    return number


def become(conn: sa.Connection, change: RuleChange, state: State, who: str, why: str, now_ms: int) -> bool:
    """The next state; False = somebody else has changed it meanwhile, and nothing was done."""
    values: dict[str, Any] = {"state": state, "state_why": audit.clean(why), "state_who": who, "state_at_ms": now_ms}
    if state == "shadow":
        values["shadow_from_ms"] = now_ms
    moved = sa.update(tables.rule_changes).where(_c.id == change.id, _c.state == change.state).values(**values)
    if not conn.execute(moved).rowcount:
        return False
    audit.note(conn, who, f"rule change: {state}", f"{change.tenant} {change.id}", why, now_ms)
    return True


def measured(conn: sa.Connection, number: int, shadowed: str) -> None:
    """Stores what the shadow has come to so far."""
    conn.execute(sa.update(tables.rule_changes).where(_c.id == number).values(shadowed=shadowed))


def find(conn: sa.Connection, number: int) -> RuleChange | None:
    row = conn.execute(sa.select(tables.rule_changes).where(_c.id == number)).first()
    return _change(row) if row else None


def every(conn: sa.Connection, tenant: str) -> list[RuleChange]:
    """The changes of a tenant, the newest first."""
    query = sa.select(tables.rule_changes).where(_c.tenant == tenant).order_by(_c.id.desc())
    return [_change(row) for row in conn.execute(query)]


def _change(row: sa.Row[Any]) -> RuleChange:
    values = row._asdict()
    return RuleChange(**(values | {"changes": msgspec.json.decode(values["changes"])}))
