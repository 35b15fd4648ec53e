"""What the books say: alerts, orders and where they stand, switch by switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from books import Connection, alerts, deliveries, orders, switches, tenants
from books.deliveries import Delivery
from books.orders import StoredOrder
from core.decide import LIVE
from core.orders import Finding, Key

MOST_ALERTS = 40
MOST_BLOCKS = 100
"""Of each kind are shown; how many there are is shown beside them."""


@dataclass(frozen=True)
class Alert:
    """A finding, and the newest order of its key (None = none was made)."""

    finding: Finding
    order: StoredOrder | None


@dataclass(frozen=True)
class AtSwitch:
    """A block at one switch. `acknowledged_ms`: since when the switch has it as it should be; None = it is on its way."""

    switch: str
    refuses: bool  # False = shadow: it only says what it would refuse
    acknowledged_ms: int | None
    goes: bool = False  # it is to be removed there


@dataclass(frozen=True)
class Block:
    """A key that orders block, would block in shadow, or that waits for a person."""

    order: StoredOrder  # its newest
    since_ms: int
    until_ms: int
    places: tuple[AtSwitch, ...] = ()

    @property
    def key(self) -> Key:
        return self.order.order.key

    @property
    def status(self) -> str:
        return self.order.status


@dataclass(frozen=True)
class Switch:
    name: str
    held_by: str  # "" = not held; else who holds it and why
    error: str
    seen_ms: int
    due: int  # entries that it has not acknowledged yet
    enforcing: Mapping[str, bool]  # tenant -> whether it refuses


@dataclass(frozen=True)
class BooksView:
    tenants: tuple[str, ...]
    alerts: tuple[Alert, ...]
    alert_count: int
    blocks: tuple[Block, ...]
    block_counts: Mapping[str, int]  # status -> keys
    switches: tuple[Switch, ...]


def read(conn: Connection, tenant: str, now_ms: int) -> BooksView:
    """Everything that the page shows of the books, for one tenant or ("") all, in one view of them."""
    every = tenants.every(conn)
    seen = [one for name in every if tenant in ("", name) for one in alerts.last(conn, MOST_ALERTS, name)]
    seen = sorted(seen, key=lambda finding: -finding.last_ms)[:MOST_ALERTS]
    ordered = orders.of_findings(conn, [finding.finding_id for finding in seen])
    found = [
        Block(one.newest, one.since_ms, one.until_ms, places_of(conn, one.newest))
        for one in orders.blocked_keys(conn, now_ms, tenant, MOST_BLOCKS)
    ]
    return BooksView(
        tuple(every),
        tuple(sorted((Alert(one, ordered.get(one.finding_id) or before(conn, one)) for one in seen), key=alert_turn)),
        alerts.count(conn, tenant),
        tuple(sorted(found, key=block_turn)),
        orders.blocked_counts(conn, now_ms, tenant),
        tuple(switch(conn, one.name) for one in switches.every(conn)),
    )


def before(conn: Connection, finding: Finding) -> StoredOrder | None:
    """Where no order of the finding stands or waits: the newest of its key, whatever became of it."""
    return orders.newest(conn, finding.key) if finding.key else None


def alert_turn(one: Alert) -> tuple[int, str]:
    """Newest first, and in its place for good: what is said again each minute must not jump while it is read."""
    return -one.finding.detected_at_ms, one.finding.finding_id


def block_turn(one: Block) -> tuple[bool, int, str]:
    """What waits for a person comes first, then the newest; in its place for good, so that nobody presses another block's button."""
    return one.status != "waiting", -one.since_ms, one.key.text()


def places_of(conn: Connection, order: StoredOrder) -> tuple[AtSwitch, ...]:
    """Where the block of a live order stands; one that waits stands nowhere."""
    return places(deliveries.of_one_key(conn, order.order.key)) if order.status in LIVE else ()


def places(rows: list[Delivery]) -> tuple[AtSwitch, ...]:
    """Where a key's block stands; on its way from one table to the other, the one where it will be comes first.

    >>> name = "t1|A|acme||"
    >>> places([Delivery("k1", "blocks", name, "order-1", 9, False, 5), Delivery("k2", "shadow", name, "order-1", 9, True, None)])
    (AtSwitch(switch='k1', refuses=True, acknowledged_ms=5, goes=False), AtSwitch(switch='k2', refuses=False, acknowledged_ms=None, goes=False))
    """
    made = [
        AtSwitch(row.switch, row.table == deliveries.BLOCKS, None if row.due else row.delivered_at_ms, not row.value)
        for row in sorted(rows, key=lambda row: (row.switch, not row.value))
    ]
    return tuple(made)


def switch(conn: Connection, name: str) -> Switch:
    state, held = switches.state(conn, name), switches.holds(conn).get(name)
    by = f"{held.who}: {held.why}" if held else ""
    return Switch(name, by, state.error, state.seen_ms, deliveries.due_count(conn, name), switches.tenants_of(conn, name))
