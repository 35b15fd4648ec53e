"""The rows that the tables of each switch should hold, and whether the switch has acknowledged them.

A row has a name and a value, which mean the same for every kind of switch (`switches.desired`); the driver of a switch translates them.
Blocks expire by themselves, at the switch too; rows of the other tables stay until they are removed.

`touch` is called in each transaction that changes an order: it computes the rows that the switches should hold for the order's key, and
marks as due those that differ. So a crash between the books and a switch leaves a row that is due, and it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa

from books import tables
from books.upsert import put, put_all
from core.decide import LIVE
from core.orders import ACTIONS, Key, entry_of, entry_value

BLOCKS, SHADOW = "blocks", "shadow"
"""Tables of entry (`Key.entry`) -> order id, whose rows expire."""

PROTECTED, DIAL_PLANS, SOURCES, CARRIERS = "protected", "dialplan", "sources", "carriers"
"""Tables whose rows do not expire: numbers that no block refuses, dial plans, networks of accounts, next hops."""

LISTS = "lists"
"""Also: what people allow and deny (`switches.desired.lists`)."""

GATEWAYS, ROUTES, ROUTE_PLANS = "gateways", "routes", "plans"
"""Also: gateways, the gateways of each prefix of a view, and what a view does with them (`switches.routes`)."""

TABLES = (PROTECTED, LISTS, DIAL_PLANS, GATEWAYS, ROUTES, ROUTE_PLANS, SOURCES, CARRIERS, BLOCKS, SHADOW)
"""In the order in which they are filled: protected numbers before any block, a dial plan before the sources that name it, and all routes of a
view before its plan, without which it is not used."""


class Delivery(NamedTuple):
    switch: str
    table: str
    name: str
    value: str  # "" = to be removed
    until_ms: int  # 0 = until it is removed
    due: bool
    delivered_at_ms: int | None


Row = tuple[str, str, int, int]
"""name, value ("" = to be removed), until_ms, due"""


def urgency(table: str, value: str) -> int:
    """The highest is sent first: new rows in the order of `TABLES`, then removals in the reverse order. 0 is for rows that the switch refused.

    >>> urgency(DIAL_PLANS, "{}") > urgency(SOURCES, "{}") > urgency(BLOCKS, "order-1") == urgency(BLOCKS, "")
    True
    >>> urgency(BLOCKS, "") > urgency(SOURCES, "") > urgency(DIAL_PLANS, "") > 0
    True
    """
    if table in (BLOCKS, SHADOW):
        return 10
    at = TABLES.index(table)
    return 20 - at if value else 1 + at


def of_key(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """The rows of exactly one key, whose parts are given as in `key_row`."""
    return sa.and_(*(table.c[name] == sa.bindparam(name) for name in tables.KEY))


def row_key(row: Any) -> Key:
    """The key of a row that has a key's columns: the other way round of `key_row`."""
    return Key(**{name: getattr(row, name) for name in tables.KEY})


def key_row(key: Key) -> dict[str, str]:
    return {name: getattr(key, name) for name in tables.KEY}


# The statements of `touch`, which runs for every order, are built once: building one takes longer than running it.
_o, _s, _d = tables.block_orders.c, tables.switch_tenants.c, tables.deliveries.c
_STRENGTH = sa.case({name: at for at, name in enumerate(ACTIONS)}, value=_o.action, else_=0)
# Whichever order says that calls in progress are ended: they are, with the order that lives longest.
_also = tables.block_orders.alias("also")
_CUT = sa.exists().where(
    of_key(_also), _also.c.status.in_(LIVE), _also.c.expires_at_ms > sa.bindparam("now_ms"), _also.c.cut, _also.c.action == "refuse"
)
_BEST = (
    sa.select(_o.order_id, _o.expires_at_ms, _o.action, _o.calls_a_minute, _CUT.label("cut"))
    .where(of_key(tables.block_orders), _o.status.in_(LIVE), _o.expires_at_ms > sa.bindparam("now_ms"))
    .order_by(_STRENGTH, _o.expires_at_ms.desc(), _o.learned_ms.desc(), _o.order_id)
    .limit(1)
)
_SERVING = sa.select(_s.switch, _s.enforcing).where(_s.tenant == sa.bindparam("tenant"))
_THERE = (
    # Switch and table come first in the primary key: without them every row would be read.
    _d.switch.in_(sa.select(tables.switches.c.name)),
    _d.table_name.in_((BLOCKS, SHADOW)),
    _d.name == sa.bindparam("entry"),
)
_COLUMNS = (_d.switch, _d.table_name, _d.name, _d.value, _d.until_ms, _d.due, _d.delivered_at_ms)
_OF_ONE_KEY = sa.select(*_COLUMNS).where(*_THERE)


def touch(conn: sa.Connection, key: Key, now_ms: int) -> None:
    """Computes the row of this key for every switch of its tenant. The row lives as long as the last of the key's live orders of the strongest
    action."""
    best = conn.execute(_BEST, {**key_row(key), "now_ms": now_ms}).first()
    serving = {name: bool(on) for name, on in conn.execute(_SERVING, {"tenant": key.tenant})}
    wanted = {}
    if best:
        row = entry_value(best.order_id, best.action, best.calls_a_minute, best.cut), best.expires_at_ms
        wanted = {(name, BLOCKS if on and best.action != "shadow" else SHADOW): row for name, on in serving.items()}
    held = {(one.switch, one.table): (one.value, one.until_ms) for one in of_one_key(conn, key)}
    for switch, table in wanted.keys() | held.keys():
        value, until_ms = wanted.get((switch, table)) or ("", held.get((switch, table), ("", 0))[1])
        if held.get((switch, table)) != (value, until_ms):
            put(conn, tables.deliveries, _due(switch, table, key.entry(), value, until_ms, now_ms))


def want(conn: sa.Connection, switch: str, table: str, wanted: Mapping[str, str], now_ms: int) -> int:
    """Makes these the rows of a table whose rows do not expire: rows that differ are due, others are to be removed. Returns how many rows
    that changes."""
    changed = differences(conn, switch, table, wanted)
    change(conn, switch, table, changed, now_ms)
    return len(changed)


def differences(conn: sa.Connection, switch: str, table: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """The rows of a table whose rows do not expire that are not as wanted: name -> value, "" = to be removed."""
    held = {name: value for name, value, _, _ in rows(conn, switch, table)}
    changed = {name: value for name, value in wanted.items() if held.get(name) != value}
    return changed | {name: "" for name, value in held.items() if value and name not in wanted}


def change(conn: sa.Connection, switch: str, table: str, changed: Mapping[str, str], now_ms: int) -> None:
    """Makes rows of `differences` due; a table of many is changed part by part, so that others can write to the books in between."""
    put_all(conn, tables.deliveries, [_due(switch, table, name, value, 0, now_ms) for name, value in changed.items()])


def _due(switch: str, table: str, name: str, value: str, until_ms: int, now_ms: int) -> dict[str, Any]:
    row = {"switch": switch, "table_name": table, "name": name, "value": value, "until_ms": until_ms, "due": True}
    return row | {"urgency": urgency(table, value), "changed_ms": now_ms, "delivered_at_ms": None}


def touch_tenant(conn: sa.Connection, tenant: str, now_ms: int) -> None:
    """After a switch has begun to serve a tenant: the tenant's live orders are due there too. One key at a time: slow with many, but rare."""
    live = sa.select(*(_o[name] for name in tables.KEY)).where(_o.tenant == tenant, _o.status.in_(LIVE)).distinct()
    for row in conn.execute(live).all():
        touch(conn, row_key(row), now_ms)


def move(conn: sa.Connection, switch: str, tenant: str, to: str, now_ms: int) -> None:
    """Moves the entries of a tenant at a switch from one table to the other, in a few statements however many they are."""
    d = tables.deliveries.c
    ours = sa.and_(d.switch == switch, sa.func.substr(d.name, 1, len(tenant) + 1) == f"{tenant}|")
    there = sa.and_(ours, d.table_name == (SHADOW if to == BLOCKS else BLOCKS))
    conn.execute(sa.delete(tables.deliveries).where(ours, d.table_name == to, d.value == ""))
    names = ["switch", "table_name", "name", "value", "until_ms", "due", "urgency", "changed_ms"]
    moved: dict[str, Any] = {"table_name": sa.literal(to), "due": sa.true(), "changed_ms": sa.literal(now_ms)}
    moved["urgency"] = sa.literal(urgency(to, ""))
    selected = sa.select(*(moved.get(name, d[name]) for name in names)).where(there, d.value != "")
    conn.execute(sa.insert(tables.deliveries).from_select(names, selected))
    gone = {"value": "", "due": True, "urgency": urgency(to, ""), "changed_ms": now_ms, "delivered_at_ms": None}
    conn.execute(sa.update(tables.deliveries).where(there).values(gone))


def live_status(conn: sa.Connection, tenant: str) -> str:
    """Of the live orders of a tenant: `standing` where some switch enforces for it, else `shadow`."""
    s = tables.switch_tenants.c
    return "standing" if conn.execute(sa.select(s.switch).where(s.tenant == tenant, s.enforcing).limit(1)).first() else "shadow"


def keep_shadow(conn: sa.Connection, tenant: str, now_ms: int) -> None:
    """After `move`: orders that only mark calls go back to the table that does."""
    only = sa.select(*(_o[name] for name in tables.KEY)).where(_o.tenant == tenant, _o.status.in_(LIVE), _o.action == "shadow").distinct()
    for row in conn.execute(only).all():
        touch(conn, row_key(row), now_ms)


def settle(conn: sa.Connection, tenant: str, now_ms: int) -> None:
    """Gives the live orders of a tenant their status after a switch has begun or ceased to enforce."""
    to = live_status(conn, tenant)
    other = sa.and_(_o.tenant == tenant, _o.status.in_(LIVE), _o.status != to, _o.action != "shadow")
    conn.execute(sa.update(tables.block_orders).where(other).values(status=to, status_at_ms=now_ms))


def due(conn: sa.Connection, switch: str, most: int) -> list[Delivery]:
    """Rows that the switch has not acknowledged, the most urgent first, and of those the latest change: while a large table is filled again,
    the attack of this minute does not wait behind those of last week."""
    query = sa.select(*_COLUMNS).where(_d.switch == switch, _d.due.is_(True))
    return [_delivery(row) for row in conn.execute(query.order_by(_d.urgency.desc(), _d.changed_ms.desc()).limit(most))]


def due_count(conn: sa.Connection, switch: str, of: Sequence[str] = TABLES) -> int:
    query = sa.select(sa.func.count()).where(_d.switch == switch, _d.due.is_(True), _d.table_name.in_(of))
    return int(conn.execute(query).scalar() or 0)


def oldest_due_ms(conn: sa.Connection, switch: str) -> int | None:
    """Since when the oldest row has been due; None = no row is."""
    found = conn.execute(sa.select(sa.func.min(_d.changed_ms)).where(_d.switch == switch, _d.due.is_(True), _d.urgency > 0)).scalar()
    return None if found is None else int(found)


def held(conn: sa.Connection, now_ms: int) -> dict[tuple[str, str], int]:
    """(switch, table of blocks) -> entries that it has acknowledged and that have not expired."""
    there = sa.and_(_d.value != "", _d.delivered_at_ms.is_not(None), _d.until_ms > now_ms)
    query = sa.select(_d.switch, _d.table_name, sa.func.count()).where(there).group_by(_d.switch, _d.table_name)
    return {(switch, table): int(n) for switch, table, n in conn.execute(query)}


def learned(conn: sa.Connection, done: Sequence[Delivery]) -> dict[str, list[int]]:
    """Table -> when we learned of the records behind automatic orders that have just come and are at the switch for the first time. Rows that
    were moved, repaired, approved or sent again do not measure how long an order takes.

    To be called before `acknowledge`, in its transaction.
    """
    fresh = [one for one in done if one.value and one.until_ms and one.delivered_at_ms is None]
    orders = {one: entry_of(one.value).order_id for one in fresh}
    if not orders:
        return {}
    query = sa.select(_o.order_id, _o.received_at_ms, _o.learned_ms).where(_o.order_id.in_(set(orders.values())), _o.automatic)
    came = {order_id: (received_ms, learned_ms) for order_id, received_ms, learned_ms in conn.execute(query)}
    here = sa.select(_d.switch, _d.table_name, _d.name, _d.value, _d.changed_ms).where(
        _d.switch.in_({one.switch for one in fresh}), _d.table_name.in_((BLOCKS, SHADOW)), _d.name.in_([one.name for one in fresh]),
        _d.delivered_at_ms.is_(None),
    )  # fmt: skip
    changed_ms = {(switch, table, name, value): at_ms for switch, table, name, value, at_ms in conn.execute(here)}
    found: dict[str, list[int]] = {}
    for one, order_id in orders.items():
        if order_id in came and changed_ms.get((one.switch, one.table, one.name, one.value)) == came[order_id][0]:
            found.setdefault(one.table, []).append(came[order_id][1])
    return found


def every(conn: sa.Connection, switch: str, table: str) -> list[Delivery]:
    """All rows of one table of a switch."""
    query = sa.select(*_COLUMNS).where(_d.switch == switch, _d.table_name == table)
    return [_delivery(row) for row in conn.execute(query.order_by(_d.changed_ms, _d.name))]


def rows(conn: sa.Connection, switch: str, table: str) -> Sequence[Row]:
    """The same as plain tuples: a hundred thousand of them are read every few seconds."""
    query = sa.select(_d.name, _d.value, _d.until_ms, sa.type_coerce(_d.due, sa.Integer))
    return cast(Sequence[Row], conn.execute(query.where(_d.switch == switch, _d.table_name == table)).all())


def of_one_key(conn: sa.Connection, key: Key) -> list[Delivery]:
    """The rows of one key, at every switch."""
    return [_delivery(row) for row in conn.execute(_OF_ONE_KEY, {"entry": key.entry()})]


_THIS_ROW = [_d[name] == sa.bindparam(f"of_{name}") for name in ("switch", "table_name", "name")]
_THIS_STATE = sa.and_(*_THIS_ROW, _d.value == sa.bindparam("of_value"), _d.until_ms == sa.bindparam("of_until_ms"))


def acknowledge(conn: sa.Connection, done: Sequence[Delivery], now_ms: int) -> None:
    """The switch has these rows. One that was changed meanwhile stays due; one that was to be removed is deleted."""
    if there := [_key_of_row(one) for one in done if one.value]:
        conn.execute(sa.update(tables.deliveries).where(_THIS_STATE).values(due=False, delivered_at_ms=now_ms), there)
    if gone := [_key_of_row(one) for one in done if not one.value]:
        conn.execute(sa.delete(tables.deliveries).where(_THIS_STATE), gone)


def refused(conn: sa.Connection, some: Iterable[Delivery]) -> None:
    """The switch refused these rows: they are sent again after all others."""
    if again := [_key_of_row(one) for one in some]:
        conn.execute(sa.update(tables.deliveries).where(*_THIS_ROW).values(urgency=0), again)


def make_due(conn: sa.Connection, switch: str, table: str, names: Iterable[str]) -> None:
    """Marks rows to be sent again, in their own order: the switch does not hold them."""
    if again := [{"of_switch": switch, "of_table_name": table, "of_name": name} for name in names]:
        conn.execute(sa.update(tables.deliveries).where(*_THIS_ROW).values(due=True), again)


def _key_of_row(one: Delivery) -> dict[str, Any]:
    return {
        "of_switch": one.switch, "of_table_name": one.table, "of_name": one.name, "of_value": one.value, "of_until_ms": one.until_ms,
    }  # fmt: skip


def sweep(conn: sa.Connection, switch: str, expired_before_ms: int) -> int:
    """Deletes rows that expired before that time: the switch has dropped them itself."""
    over = _d.until_ms.between(1, expired_before_ms - 1)
    return conn.execute(sa.delete(tables.deliveries).where(_d.switch == switch, over)).rowcount


def _delivery(row: Sequence[Any]) -> Delivery:
    switch, table, name, value, until_ms, due, delivered_at_ms = row
    return Delivery(switch, table, name, value, until_ms, bool(due), delivered_at_ms)
