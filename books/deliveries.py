"""What each switch should hold, entry by entry, and what it has acknowledged.

`touch` is called in the transaction of whatever changes an order: it works out anew what the switches should hold for that key,
and marks as due what differs. So a crash between the books and a switch leaves a row that is due, and it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa

from books import tables
from books.upsert import put
from core.decide import LIVE
from core.orders import Key

BLOCKS, SHADOW = "blocks", "shadow"
KEY_PARTS = ("tenant", "account", "ingress_trunk", "a_number", "b_range")


class Delivery(NamedTuple):
    switch: str
    table: str
    key: Key
    order_id: str  # "" = to be removed
    expires_at_ms: int
    due: bool
    delivered_at_ms: int | None


Wanted = tuple[str, str, str, str, str, str, int, int]
"""tenant, account, ingress_trunk, a_number, b_range, order_id ("" = to be removed), expires_at_ms, due"""


def of_key(table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of exactly one key, whose parts are given as in `key_row`."""
    return sa.and_(*(table.c[name] == sa.bindparam(name) for name in KEY_PARTS))


def row_key(row: sa.Row[Any]) -> Key:
    """The key of a row that has a key's columns: the other way round of `key_row`."""
    return Key(**{name: getattr(row, name) for name in KEY_PARTS})


def key_row(key: Key) -> dict[str, str]:
    return {name: getattr(key, name) for name in KEY_PARTS}


# What `touch` asks for every order, built once: building a statement takes longer than running it.
_o, _s, _d = tables.block_orders.c, tables.switch_tenants.c, tables.deliveries.c
_BEST = (
    sa.select(_o.order_id, _o.expires_at_ms)
    .where(of_key(tables.block_orders), _o.status.in_(LIVE), _o.expires_at_ms > sa.bindparam("now_ms"))
    .order_by(_o.expires_at_ms.desc(), _o.learned_ms.desc(), _o.order_id)
    .limit(1)
)
_SERVING = sa.select(_s.switch, _s.enforcing).where(_s.tenant == sa.bindparam("tenant"))
_THERE = (
    # Switch and table come first in the primary key: without them every row would be read.
    _d.switch.in_(sa.select(tables.switches.c.name)),
    _d.table_name.in_((BLOCKS, SHADOW)),
    of_key(tables.deliveries),
)
_HELD = sa.select(_d.switch, _d.table_name, _d.order_id, _d.expires_at_ms).where(*_THERE)
_OF_ONE_KEY = sa.select(tables.deliveries).where(*_THERE)


def touch(conn: sa.Connection, key: Key, now_ms: int) -> None:
    """Works out what every switch of the key's tenant should hold for it. An entry lives as long as the latest of its key's
    live orders."""
    of_key = key_row(key)
    best = conn.execute(_BEST, {**of_key, "now_ms": now_ms}).first()
    serving = {name: bool(on) for name, on in conn.execute(_SERVING, {"tenant": key.tenant})}
    wanted = {(name, BLOCKS if on else SHADOW): best for name, on in serving.items()} if best else {}
    held = {(row.switch, row.table_name): (row.order_id, row.expires_at_ms) for row in conn.execute(_HELD, of_key)}
    for place in wanted.keys() | held.keys():
        order_id, expires_at_ms = wanted.get(place) or ("", held.get(place, ("", 0))[1])
        if place in held and held[place] == (order_id, expires_at_ms):
            continue
        switch, table = place
        row = {"switch": switch, "table_name": table, **of_key, "order_id": order_id, "expires_at_ms": expires_at_ms}
        put(conn, tables.deliveries, {**row, "due": True, "changed_ms": now_ms, "delivered_at_ms": None})


def touch_tenant(conn: sa.Connection, tenant: str, now_ms: int) -> None:
    """After a switch has begun to serve a tenant: its live orders are due there too. One key at a time: rare, and slow with
    many."""
    o = tables.block_orders.c
    for row in conn.execute(
        sa.select(o.account, o.ingress_trunk, o.a_number, o.b_range).where(o.tenant == tenant, o.status.in_(LIVE)).distinct()
    ).all():
        touch(conn, Key(tenant=tenant, **row._asdict()), now_ms)


def move(conn: sa.Connection, switch: str, tenant: str, to: str, now_ms: int) -> None:
    """A tenant's entries at a switch go from one table to the other, in two statements however many they are."""
    d = tables.deliveries.c
    there = sa.and_(d.switch == switch, d.tenant == tenant, d.table_name == (SHADOW if to == BLOCKS else BLOCKS))
    conn.execute(sa.delete(tables.deliveries).where(d.switch == switch, d.tenant == tenant, d.table_name == to, d.order_id == ""))
    names = ["switch", "table_name", *KEY_PARTS, "order_id", "expires_at_ms", "due", "changed_ms"]
    moved: dict[str, Any] = {"table_name": sa.literal(to), "due": sa.true(), "changed_ms": sa.literal(now_ms)}
    rows = sa.select(*(moved.get(name, d[name]) for name in names)).where(there, d.order_id != "")
    conn.execute(sa.insert(tables.deliveries).from_select(names, rows))
    conn.execute(sa.update(tables.deliveries).where(there).values(order_id="", due=True, changed_ms=now_ms, delivered_at_ms=None))


def settle(conn: sa.Connection, tenant: str, now_ms: int) -> None:
    """Live orders of a tenant are `standing` where some switch enforces for it, else `shadow`."""
    o, s = tables.block_orders.c, tables.switch_tenants.c
    enforced = bool(conn.execute(sa.select(s.switch).where(s.tenant == tenant, s.enforcing).limit(1)).first())
    to = "standing" if enforced else "shadow"
    other = sa.and_(o.tenant == tenant, o.status.in_(LIVE), o.status != to)
    conn.execute(sa.update(tables.block_orders).where(other).values(status=to, status_at_ms=now_ms))


def due(conn: sa.Connection, switch: str, most: int) -> list[Delivery]:
    """What the switch has not acknowledged yet, the newest change first: while a table of many is filled anew, the attack of this
    minute does not wait behind those of last week."""
    d = tables.deliveries.c
    return _load(conn, switch, d.due.is_(True), most, order=(d.changed_ms.desc(),))


def due_count(conn: sa.Connection, switch: str) -> int:
    d = tables.deliveries.c
    return int(conn.execute(sa.select(sa.func.count()).where(d.switch == switch, d.due.is_(True))).scalar() or 0)


def held(conn: sa.Connection, now_ms: int) -> dict[tuple[str, str], int]:
    """(switch, table) -> entries that it has acknowledged and that have not expired."""
    d = tables.deliveries.c
    there = sa.and_(d.order_id != "", d.delivered_at_ms.is_not(None), d.expires_at_ms > now_ms)
    query = sa.select(d.switch, d.table_name, sa.func.count()).where(there).group_by(d.switch, d.table_name)
    return {(switch, table): int(n) for switch, table, n in conn.execute(query)}


def learned(conn: sa.Connection, done: Sequence[Delivery]) -> dict[str, list[int]]:
    """Table -> when we learned of the records that decided on these, where an automatic order has just come and is at the switch for
    the first time. What was moved, repaired, approved or sent again says nothing of how long an order takes.

    Asked before `acknowledge`, in its transaction.
    """
    d, o = tables.deliveries.c, tables.block_orders.c
    fresh = {(one.switch, one.order_id) for one in done if one.order_id and one.delivered_at_ms is None}
    found: dict[str, list[int]] = {}
    for switch in {switch for switch, _ in fresh}:
        ids = [order_id for name, order_id in fresh if name == switch]
        came = sa.and_(o.automatic, d.changed_ms == o.received_at_ms, d.delivered_at_ms.is_(None))
        joined = tables.deliveries.join(tables.block_orders, d.order_id == o.order_id)
        query = sa.select(d.table_name, o.learned_ms).select_from(joined).where(d.switch == switch, o.order_id.in_(ids), came)
        for table, learned_ms in conn.execute(query):
            found.setdefault(table, []).append(learned_ms)
    return found


def every(conn: sa.Connection, switch: str, table: str = "") -> list[Delivery]:
    """All rows of a switch, of one table or ("") of both."""
    return _load(conn, switch, tables.deliveries.c.table_name == table if table else sa.true(), None)


def of_one_key(conn: sa.Connection, key: Key) -> list[Delivery]:
    """The rows of one key, at every switch."""
    return [_delivery(row) for row in conn.execute(_OF_ONE_KEY, key_row(key))]


def acknowledge(conn: sa.Connection, done: Sequence[Delivery], now_ms: int) -> None:
    """The switch has these. A row that was changed meanwhile stays due; one that was to be removed is gone."""
    d = tables.deliveries.c
    same = sa.and_(*_this_row(), d.order_id == sa.bindparam("of_order"), d.expires_at_ms == sa.bindparam("of_expiry"))
    if there := [_row_of(one) for one in done if one.order_id]:
        conn.execute(sa.update(tables.deliveries).where(same).values(due=False, delivered_at_ms=now_ms), there)
    if gone := [_row_of(one) for one in done if not one.order_id]:
        conn.execute(sa.delete(tables.deliveries).where(same), gone)


def make_due(conn: sa.Connection, rows: Iterable[Delivery], changed_ms: int) -> None:
    """To be sent again: the switch does not hold them. `changed_ms` says when it is their turn: 0 = behind all others."""
    if again := [_row_of(one) for one in rows]:
        conn.execute(sa.update(tables.deliveries).where(*_this_row()).values(due=True, changed_ms=changed_ms), again)


def _this_row() -> list[sa.ColumnElement[bool]]:
    d = tables.deliveries.c
    return [d[name] == sa.bindparam(f"of_{name}") for name in ("switch", "table_name", *KEY_PARTS)]


def _row_of(one: Delivery) -> dict[str, Any]:
    named = {
        "switch": one.switch,
        "table_name": one.table,
        **key_row(one.key),
        "order": one.order_id,
        "expiry": one.expires_at_ms,
    }
    return {f"of_{name}": value for name, value in named.items()}


def make_all_due(conn: sa.Connection, switch: str) -> int:
    """Everything is to be sent again, the newest first: the switch has started anew."""
    return conn.execute(sa.update(tables.deliveries).where(tables.deliveries.c.switch == switch).values(due=True)).rowcount


def sweep(conn: sa.Connection, switch: str, expired_before_ms: int) -> int:
    """Forgets entries that ended by their own time: the switch dropped them itself."""
    d = tables.deliveries.c
    return conn.execute(sa.delete(tables.deliveries).where(d.switch == switch, d.expires_at_ms < expired_before_ms)).rowcount


def wanted(conn: sa.Connection, switch: str, table: str) -> Sequence[Wanted]:
    """Every row of one table, as plain as they come: a hundred thousand of them are read every few seconds."""
    d = tables.deliveries.c
    due = sa.type_coerce(d.due, sa.Integer)
    columns = (d.tenant, d.account, d.ingress_trunk, d.a_number, d.b_range, d.order_id, d.expires_at_ms, due)
    query = sa.select(*columns).where(d.switch == switch, d.table_name == table)
    return cast(Sequence[Wanted], conn.execute(query).all())


def _load(
    conn: sa.Connection,
    switch: str,
    where: sa.ColumnElement[bool],
    most: int | None,
    order: Sequence[sa.ColumnElement[Any]] = (tables.deliveries.c.changed_ms,),
) -> list[Delivery]:
    d = tables.deliveries.c
    query = sa.select(tables.deliveries).where(d.switch == switch, where).order_by(*order).limit(most)
    return [_delivery(row) for row in conn.execute(query)]


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(row.switch, row.table_name, row_key(row), row.order_id, row.expires_at_ms, bool(row.due), row.delivered_at_ms)
