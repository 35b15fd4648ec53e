"""Block orders: their content, their status, and the actions of people on them.

standing    in force at the switches that enforce           waiting   for a person: a limit was reached, or the allow list has its key
shadow      the switches only mark the calls they would refuse    refused   by the safety check
lifted      a person ended it                               suppressed, stale, expired   as the words mean
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from books import audit, configs, deliveries, lists, suppressions, tables, tenants, verdicts
from books.deliveries import key_row, row_key
from books.upsert import put_once
from core.decide import LIVE, Answered, Decision, Limits, OrderFacts, TenantFacts, decide
from core.ids import derived_id
from core.known import LEAST_DIGITS, points
from core.orders import EVERYONE, Action, BlockOrder, Key, overlaps
from core.parts import Slot, bucket_of
from core.safety import fault, refusal

MANUAL_FINDING = "by-hand"


class Refused(ValueError):
    """An action of a person that is not allowed: the message is the reason."""


class StoredOrder(NamedTuple):
    """An order with its status."""

    order: BlockOrder
    automatic: bool
    status: str
    status_why: str
    status_at_ms: int
    decided_by: str
    received_at_ms: int
    facts_expire_at_ms: int  # of the order as it came: `order.expires_at_ms` may differ


class Blocked(NamedTuple):
    """A key with orders of one status: the newest of them, and from when until when they last."""

    newest: StoredOrder
    since_ms: int
    until_ms: int


class Lifted(NamedTuple):
    """The orders that `lift` ended, its suppression, and the orders of people that still cover some of the key's calls."""

    order_ids: list[str]
    suppression_id: int
    still: list[StoredOrder]


# --- deciding ---


def facts(
    conn: sa.Connection, orders: Sequence[BlockOrder], now_ms: int, *, automatic: bool, limits: Limits = Limits(), answered: Answered | None = None
) -> OrderFacts:
    """The facts that the decisions on these orders need, read once. An order of a person needs fewer: only the protected list applies to it."""
    concerned = {order.key.tenant for order in orders}
    if not automatic:
        counted = {name: TenantFacts(deliveries.live_status(conn, name)) for name in tenants.every(conn) if name in concerned}
        return OrderFacts(now_ms, automatic=False, protected=lists.protected(conn), tenants=counted)
    blocked = {key: approved for key in {order.key for order in orders} if (approved := standing_of(conn, key, now_ms)) is not None}
    new = {order.key.tenant for order in orders if order.key not in blocked}
    counted = {
        name: TenantFacts(
            deliveries.live_status(conn, name),
            opened_since(conn, name, now_ms - 60_000),
            live_automatic_subjects(conn, name, now_ms),
            live_automatic_keys(conn, name, now_ms) if answered and name in new else frozenset(),  # they may be many
        )
        for name in tenants.every(conn)
        if name in concerned
    }
    stored = {order.order_id: found for order in orders if (found := find(conn, order.order_id))}
    return OrderFacts(
        now_ms,
        protected=lists.protected(conn),
        tenants=counted,
        suppressed=suppressions.live(conn, now_ms),
        quiet=verdicts.quiet_findings(conn, orders, now_ms),
        allowed=lists.every(conn, "allow"),
        denied=lists.every(conn, "deny"),
        limits=limits,
        answered=answered,
        hot=hot_keys(conn, orders, now_ms),
        known={name: msgspec.structs.replace(one.order, expires_at_ms=one.facts_expire_at_ms) for name, one in stored.items()},
        blocked=blocked,
    )


def hot_keys(conn: sa.Connection, orders: Sequence[BlockOrder], now_ms: int) -> set[Key]:
    """The keys into a range that a person of this operator has confirmed as fraud and that has not cooled down: the calls in progress there are
    ended with the block, unless the tenant's policy says never."""
    keys = {order.key for order in orders if len(order.key.b_range) >= LEAST_DIGITS and order.action == "refuse"}
    version = configs.latest(conn) if keys else 0
    hashes = configs.parts(conn, version) if version else {}
    wanted = {
        (key, length): slot
        for key in keys
        for length in range(LEAST_DIGITS, len(key.b_range) + 1)
        if (slot := Slot(key.tenant, "known_ranges", bucket_of(key.b_range[:length]))) in hashes
    }
    if not wanted:
        return set()
    own = {key.tenant: [slot for slot in (Slot(key.tenant, "policy"), Slot("", "policy")) if slot in hashes] for key, _ in wanted}
    policies = {tenant: slots[0] for tenant, slots in own.items() if slots}
    found = configs.decoded(conn, {slot: hashes[slot] for slot in {*wanted.values(), *policies.values()}})
    hot = set()
    for (key, length), slot in wanted.items():
        policy = found[policies[key.tenant]] if key.tenant in policies else None
        confirmed = any(one.b_range == key.b_range[:length] and one.kind == "confirmed" and points(one, now_ms) for one in found[slot])
        if confirmed and (policy is None or policy.cut_calls == "confirmed"):
            hot.add(key)
    return hot


def write(conn: sa.Connection, order: BlockOrder, decision: Decision, now_ms: int, *, automatic: bool) -> None:
    """Stores an order with the decision on it, and updates the rows that the switches should hold. An order that the books have already
    (`repeated`, `conflict`) changes nothing."""
    if decision.status == "repeated":
        return
    if decision.status == "conflict":
        audit.note(conn, "dispatcher", "another order with a known id", order.order_id, decision.why, now_ms)
        return
    row = {
        **key_row(order.key),
        "order_id": order.order_id,
        "finding_id": order.finding_id,
        "action": order.action,
        "calls_a_minute": order.calls_a_minute,
        "cut": decision.cut,
        "created_at_ms": order.created_at_ms,
        "learned_ms": order.learned_ms,
        "expires_at_ms": decision.expires_at_ms,
        "facts_expire_at_ms": order.expires_at_ms,
        "reason": order.reason,
        "by": order.by,
        "automatic": automatic,
        "opened_key": decision.opened_key,
        "status": decision.status,
        "status_why": audit.clean(decision.why),
        "status_at_ms": now_ms,
        "received_at_ms": now_ms,
    }
    if not put_once(conn, tables.block_orders, row):
        return
    if decision.status in LIVE:
        deliveries.touch(conn, order.key, now_ms)
    elif decision.status in ("waiting", "refused"):
        audit.note(conn, "dispatcher", decision.status, f"{order.order_id} {order.key.text()}", decision.why, now_ms)


def expire(conn: sa.Connection, now_ms: int) -> int:
    """Ends orders that have expired. The switches have dropped their entries by themselves."""
    o = tables.block_orders.c
    over = sa.and_(o.status.in_((*LIVE, "waiting")), o.expires_at_ms <= now_ms)
    other = tables.block_orders.alias()
    of_key = [other.c[name] == o[name] for name in tables.KEY]
    same = sa.and_(*of_key, other.c.status.in_(LIVE), other.c.expires_at_ms > now_ms, other.c.action != o.action)
    weaker = sa.select(*(o[name] for name in tables.KEY)).where(o.status.in_(LIVE), o.expires_at_ms <= now_ms, sa.exists().where(same)).distinct()
    left = [row_key(row) for row in conn.execute(weaker)]
    why = sa.case((o.status == "waiting", "no person decided in its time"), else_="its time to live is over")
    ended = conn.execute(
        sa.update(tables.block_orders).where(over).values(status="expired", status_why=why, status_at_ms=now_ms)
    ).rowcount
    for key in left:  # after a refusal, a throttle of the same key may still be live
        deliveries.touch(conn, key, now_ms)
    return ended


def any_to_expire(conn: sa.Connection, now_ms: int) -> bool:
    o = tables.block_orders.c
    query = sa.select(o.order_id).where(o.status.in_((*LIVE, "waiting")), o.expires_at_ms <= now_ms).limit(1)
    return conn.execute(query).first() is not None


def any_unsafe(conn: sa.Connection) -> bool:
    """Whether `refuse_unsafe` would end an order: a query that keeps nobody from writing."""
    protected = lists.protected(conn)
    return any(unsafe(stored.order, protected, automatic=stored.automatic) for stored in select(conn, statuses=(*LIVE, "waiting")))


def refuse_unsafe(conn: sa.Connection, now_ms: int) -> list[str]:
    """After a change of the lists: ends live and waiting orders that now affect a protected number, account or trunk. Returns their ids."""
    protected = lists.protected(conn)
    ended = []
    for stored in select(conn, statuses=(*LIVE, "waiting")):
        if why := unsafe(stored.order, protected, automatic=stored.automatic):
            _decide(conn, [stored.order.order_id], "refused", why, "safety", now_ms)
            deliveries.touch(conn, stored.order.key, now_ms)
            audit.note(conn, "safety", "refused a live order", stored.order.order_id, why, now_ms)
            ended.append(stored.order.order_id)
    return ended


def unsafe(order: BlockOrder, protected: Any, *, automatic: bool) -> str:
    """`core.safety.refusal` for an order that a person may have extended: its time to live is not checked again."""
    return refusal(msgspec.structs.replace(order, created_at_ms=0, expires_at_ms=1), protected, automatic=automatic)


# --- actions of people ---


def block(
    conn: sa.Connection, key: Key, ttl_ms: int, who: str, why: str, now_ms: int, action: Action = "refuse", calls_a_minute: int = 0, cut: bool = False
) -> str:
    """An order of a person. Only the protected list applies to it: no limit, no suppression, no allow list."""
    _signed("a block by hand", who, why)
    order = BlockOrder(
        order_id=derived_id("order", key.text(), MANUAL_FINDING, who, now_ms),
        key=key,
        action=action,
        calls_a_minute=calls_a_minute,
        cut=cut,
        created_at_ms=now_ms,
        learned_ms=now_ms,
        expires_at_ms=now_ms + ttl_ms,
        finding_id=MANUAL_FINDING,
        reason=audit.clean(why),
        by=audit.clean(who),
    )
    decision = decide(order, facts(conn, [order], now_ms, automatic=False))
    if decision.status not in LIVE:
        raise Refused(decision.why)
    write(conn, order, decision, now_ms, automatic=False)
    what = {"refuse": "blocked", "refuse_abroad": "blocked abroad", "throttle": f"throttled to {calls_a_minute} calls per minute", "shadow": "marked"}
    audit.note(conn, who, what[action] + (" and cut" if cut else ""), key.text(), why, now_ms)
    return order.order_id


def approve(conn: sa.Connection, order_id: str, who: str, why: str, now_ms: int, cut: bool = False) -> list[str]:
    """A person approves a waiting order, and with it each waiting order of the same key. Its time to live starts now, because it was issued
    while it waited. The protected list still applies."""
    _signed("an approval", who, why)
    first = _waiting(conn, order_id)
    same = [
        stored for stored in select(conn, statuses=("waiting",), tenant=first.order.key.tenant) if stored.order.key == first.order.key
    ]
    if bad := unsafe(first.order, lists.protected(conn), automatic=False):
        raise Refused(bad)
    status = deliveries.live_status(conn, first.order.key.tenant)
    ids = [stored.order.order_id for stored in same]
    for stored in same:
        ends = now_ms + (stored.facts_expire_at_ms - stored.order.created_at_ms)
        update = sa.update(tables.block_orders).where(tables.block_orders.c.order_id == stored.order.order_id)
        refuses = stored.order.action == "refuse"
        conn.execute(update.values(expires_at_ms=ends, cut=(cut or stored.order.cut) and refuses))
    _decide(conn, ids, status, f"approved{' with its calls in progress' if cut else ''}: {why}", who, now_ms)
    deliveries.touch(conn, first.order.key, now_ms)
    audit.note(conn, who, "approved", first.order.key.text(), why, now_ms)
    return ids


def deny(conn: sa.Connection, order_id: str, who: str, why: str, now_ms: int) -> Lifted:
    """A person denies a waiting order. Its key is lifted, so that the same order a minute later does not wait again."""
    _signed("a denial", who, why)
    return lift(conn, _waiting(conn, order_id).order.key, who, f"denied: {why}", now_ms)


def lift(conn: sa.Connection, key: Key, who: str, why: str, now_ms: int, for_ms: int = suppressions.DEFAULT_MS) -> Lifted:
    """Ends each automatic order that overlaps the key, and orders of people that lie within it; suppresses the key for `for_ms`.

    A wider order of a person stays, and is returned in `still`.
    """
    _signed("lifting a block", who, why)
    if bad := fault(key):
        raise Refused(bad)
    ended: list[StoredOrder] = []
    still: list[StoredOrder] = []
    for stored in _near(conn, key):
        if overlaps(stored.order.key, key):
            (ended if stored.automatic or _within(stored.order.key, key) else still).append(stored)
    _decide(conn, [stored.order.order_id for stored in ended], "lifted", why, who, now_ms)
    for each in {stored.order.key for stored in ended}:
        deliveries.touch(conn, each, now_ms)
    suppression_id = suppressions.add(conn, key, now_ms + for_ms, who, why, now_ms)
    audit.note(conn, who, "lifted", key.text(), why, now_ms)
    return Lifted([stored.order.order_id for stored in ended], suppression_id, still)


def lift_finding(conn: sa.Connection, finding_id: str, who: str, why: str, now_ms: int) -> list[str]:
    """Ends the live and waiting orders of one finding, and no other order of their key. Returns their ids."""
    o = tables.block_orders.c
    query = sa.select(tables.block_orders).where(o.finding_id == finding_id, o.status.in_((*LIVE, "waiting")))
    ended = [_stored(row) for row in conn.execute(query)]
    _decide(conn, [stored.order.order_id for stored in ended], "lifted", why, who, now_ms)
    for each in {stored.order.key for stored in ended}:
        deliveries.touch(conn, each, now_ms)
        audit.note(conn, who, "lifted", each.text(), why, now_ms)
    return [stored.order.order_id for stored in ended]


def _signed(what: str, who: str, why: str) -> None:
    if not who.strip() or not why.strip():
        raise Refused(f"{what} needs who and why")


def _near(conn: sa.Connection, key: Key) -> list[StoredOrder]:
    """Live and waiting orders that may overlap a key: a person must not wait while a hundred thousand are read."""
    o = tables.block_orders.c
    near = [o.status.in_((*LIVE, "waiting")), o.tenant == key.tenant]
    near += [
        column.in_(("", EVERYONE, value))
        for column, value in ((o.account, key.account), (o.ingress_trunk, key.ingress_trunk), (o.a_number, key.a_number))
        if value not in ("", EVERYONE)
    ]
    query = sa.select(tables.block_orders).where(*near).order_by(o.received_at_ms.desc(), o.order_id)
    return [_stored(row) for row in conn.execute(query)]


def _within(inner: Key, outer: Key) -> bool:
    """Whether `outer` refuses each call that `inner` refuses."""
    return (
        outer.account in (inner.account, EVERYONE if inner.account else "")
        and inner.ingress_trunk == outer.ingress_trunk
        and outer.a_number in ("", inner.a_number)
        and inner.b_range.startswith(outer.b_range)
    )


def _waiting(conn: sa.Connection, order_id: str) -> StoredOrder:
    stored = find(conn, order_id)
    if stored is None or stored.status != "waiting":
        raise Refused(f"order {order_id} is not waiting" + (f": it is {stored.status}" if stored else ": the books do not have it"))
    return stored


def _decide(conn: sa.Connection, order_ids: Sequence[str], status: str, why: str, who: str, now_ms: int) -> None:
    values = {"status": status, "status_why": audit.clean(why), "status_at_ms": now_ms, "decided_by": audit.clean(who)}
    for start in range(0, len(order_ids), 500):  # a statement takes only so many variables
        some = tables.block_orders.c.order_id.in_(order_ids[start : start + 500])
        conn.execute(sa.update(tables.block_orders).where(some).values(**values))


# --- queries ---


# These run for every order that comes in and are built once: building a statement takes longer than running it.
_o = tables.block_orders.c
_FIND = sa.select(tables.block_orders).where(_o.order_id == sa.bindparam("order_id"))
_NEWEST = sa.select(tables.block_orders).where(deliveries.of_key(tables.block_orders))
_NEWEST = _NEWEST.order_by(_o.received_at_ms.desc(), _o.created_at_ms.desc(), _o.order_id).limit(1)
# Not their maximum: for that SQLite would read all orders of the tenant, the newest first, until one is of the key.
_OPENED = sa.select(_o.received_at_ms).where(deliveries.of_key(tables.block_orders), _o.opened_key)
_NEWEST_WITH = _NEWEST.where(_o.status == sa.bindparam("status"))
_DECIDED = sa.select(_o.decided_by).where(
    deliveries.of_key(tables.block_orders), _o.status.in_(LIVE), _o.automatic, _o.expires_at_ms > sa.bindparam("now_ms")
)


def find(conn: sa.Connection, order_id: str) -> StoredOrder | None:
    row = conn.execute(_FIND, {"order_id": order_id}).first()
    return _stored(row) if row else None


def select(conn: sa.Connection, statuses: Sequence[str] = (), tenant: str = "", count: int | None = None) -> list[StoredOrder]:
    """Orders, the newest first."""
    o = tables.block_orders.c
    query = sa.select(tables.block_orders).order_by(o.received_at_ms.desc(), o.order_id).limit(count)
    if statuses:
        query = query.where(o.status.in_(statuses))
    if tenant:
        query = query.where(o.tenant == tenant)
    return [_stored(row) for row in conn.execute(query)]


def newest(conn: sa.Connection, key: Key) -> StoredOrder | None:
    """The newest order of exactly this key, whatever its status."""
    row = conn.execute(_NEWEST, key_row(key)).first()
    return _stored(row) if row else None


def blocked_keys(conn: sa.Connection, now_ms: int, tenant: str = "", count: int = 100) -> list[Blocked]:
    """Keys that live orders block and keys that wait for a person, those of the newest orders first. An order is issued again each minute and
    expires by itself: a key is blocked since the order that found no other one live."""
    parts = [_o[name] for name in tables.KEY]
    newest_ms = sa.func.max(_o.received_at_ms)
    query = sa.select(
        *parts,
        _o.status,
        newest_ms,
        sa.func.min(_o.received_at_ms).label("since_ms"),
        sa.func.max(_o.expires_at_ms).label("until_ms"),
    )
    query = (
        query.where(*_blocked(now_ms, tenant))
        .group_by(*parts, _o.status)
        .order_by(newest_ms.desc(), *parts, _o.status)
        .limit(count)
    )
    found = []
    for row in conn.execute(query).all():
        of_key = key_row(row_key(row))
        stored = conn.execute(_NEWEST_WITH, {**of_key, "status": row.status}).one()
        opened_ms = max(conn.execute(_OPENED, of_key).scalars(), default=row.since_ms)
        found.append(Blocked(_stored(stored), min(row.since_ms, opened_ms), row.until_ms))
    return found


def of_findings(conn: sa.Connection, finding_ids: Sequence[str]) -> dict[str, StoredOrder]:
    """Finding -> its newest order that is live or waits for a person."""
    if not finding_ids:
        return {}
    query = sa.select(tables.block_orders).where(_o.status.in_((*LIVE, "waiting")), _o.finding_id.in_(finding_ids))
    return {row.finding_id: _stored(row) for row in conn.execute(query.order_by(_o.received_at_ms, _o.order_id))}


def keys_of(conn: sa.Connection, order_ids: Sequence[str]) -> dict[str, tuple[Key, str]]:
    """Order -> its key and its finding, of those that the books have."""
    found: dict[str, tuple[Key, str]] = {}
    for start in range(0, len(order_ids), 500):  # a statement takes only so many variables
        query = sa.select(_o.order_id, _o.finding_id, *(_o[name] for name in tables.KEY)).where(_o.order_id.in_(order_ids[start : start + 500]))
        found |= {row.order_id: (row_key(row), row.finding_id) for row in conn.execute(query)}
    return found


def blocked_counts(conn: sa.Connection, now_ms: int, tenant: str = "") -> dict[str, int]:
    """Status -> number of keys with live or waiting orders."""
    keys = (
        sa.select(*(_o[name] for name in tables.KEY), _o.status).where(*_blocked(now_ms, tenant)).distinct().subquery()
    )
    return {status: int(n) for status, n in conn.execute(sa.select(keys.c.status, sa.func.count()).group_by(keys.c.status))}


def _blocked(now_ms: int, tenant: str) -> list[sa.ColumnElement[bool]]:
    return [_o.status.in_((*LIVE, "waiting")), _o.expires_at_ms > now_ms, *([_o.tenant == tenant] if tenant else [])]


def standing_of(conn: sa.Connection, key: Key, now_ms: int) -> bool | None:
    """Whether a person has approved one of the automatic orders that block exactly this key now; None = there are no such orders."""
    decided = list(conn.execute(_DECIDED, {**key_row(key), "now_ms": now_ms}).scalars())
    return any(decided) if decided else None


def live_automatic_keys(conn: sa.Connection, tenant: str, now_ms: int) -> set[Key]:
    """Keys of a tenant that automatic orders block now."""
    return {row_key(row) for row in conn.execute(_live_automatic(tenant, now_ms, tables.KEY))}


def live_automatic_subjects(conn: sa.Connection, tenant: str, now_ms: int) -> set[tuple[str, str, str]]:
    """(account, trunk, a_number) that automatic orders block now, for whatever range."""
    query = _live_automatic(tenant, now_ms, ("account", "ingress_trunk", "a_number"))
    return {(row.account, row.ingress_trunk, row.a_number) for row in conn.execute(query)}


def _live_automatic(tenant: str, now_ms: int, columns: Sequence[str]) -> sa.Select[Any]:
    live = sa.and_(_o.tenant == tenant, _o.status.in_(LIVE), _o.automatic, _o.expires_at_ms > now_ms)
    return sa.select(*(_o[name] for name in columns)).where(live).distinct()


def opened_since(conn: sa.Connection, tenant: str, since_ms: int) -> int:
    """How many automatic orders of a tenant have taken effect since then on a key without another live order."""
    o = tables.block_orders.c
    where = sa.and_(o.tenant == tenant, o.received_at_ms > since_ms, o.automatic, o.opened_key)
    return int(conn.execute(sa.select(sa.func.count()).where(where)).scalar() or 0)


def counts(conn: sa.Connection) -> dict[str, int]:
    """Status -> orders."""
    o = tables.block_orders.c
    return {status: int(n) for status, n in conn.execute(sa.select(o.status, sa.func.count()).group_by(o.status))}


def _stored(row: sa.Row[Any]) -> StoredOrder:
    order = BlockOrder(
        order_id=row.order_id,
        key=row_key(row),
        action=row.action,
        created_at_ms=row.created_at_ms,
        learned_ms=row.learned_ms,
        expires_at_ms=row.expires_at_ms,
        finding_id=row.finding_id,
        reason=row.reason,
        by=row.by,
        calls_a_minute=row.calls_a_minute,
        cut=bool(row.cut),
    )
    return StoredOrder(
        order, bool(row.automatic), row.status, row.status_why, row.status_at_ms, row.decided_by, row.received_at_ms, row.facts_expire_at_ms
    )
