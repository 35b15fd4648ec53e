"""Alerts, blocks and switches, as the books have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from books import Connection, alerts, deliveries, orders, switches, tenants
from books.deliveries import Delivery
from books.orders import StoredOrder
from core.decide import LIVE
from core.orders import Finding, Key

MAX_ALERTS = 40
MAX_BLOCKS = 100
"""Read for the page, which also shows how many there are."""


@dataclass(frozen=True)
class Alert:
    """A finding, and the newest order of its key (None = no order)."""

    finding: Finding
    order: StoredOrder | None


@dataclass(frozen=True)
class AtSwitch:
    """A block at one switch. `acknowledged_ms`: when the switch confirmed it; None = not confirmed yet."""

    switch: str
    refuses: bool  # False = shadow: it only marks records
    acknowledged_ms: int | None
    removing: bool = False  # it is being removed there


@dataclass(frozen=True)
class Block:
    """A key that orders block, would block in shadow, or that waits for approval."""

    order: StoredOrder  # its newest
    since_ms: int
    until_ms: int
    at_switches: tuple[AtSwitch, ...] = ()

    @property
    def key(self) -> Key:
        return self.order.order.key

    @property
    def status(self) -> str:
        return self.order.status


@dataclass(frozen=True)
class Switch:
    name: str
    held_by: str  # "" = not on hold; else who holds it and why
    error: str
    due: int  # entries that it has not acknowledged yet
    enforcing: Mapping[str, bool]  # tenant -> whether it refuses


@dataclass(frozen=True)
class BooksView:
    alerts: tuple[Alert, ...]
    alert_count: int
    blocks: tuple[Block, ...]
    block_counts: Mapping[str, int]  # status -> keys
    switches: tuple[Switch, ...]


def read(conn: Connection, tenant: str, now_ms: int) -> BooksView:
    """What the page shows of the books, for one tenant or ("") all, from one transaction."""
    every = tenants.every(conn)
    findings = [one for name in every if tenant in ("", name) for one in alerts.last(conn, MAX_ALERTS, name)]
    findings = sorted(findings, key=lambda finding: -finding.last_ms)[:MAX_ALERTS]
    ordered = orders.of_findings(conn, [finding.finding_id for finding in findings])
    found = [
        Block(one.newest, one.since_ms, one.until_ms, at_switches(conn, one.newest))
        for one in orders.blocked_keys(conn, now_ms, tenant, MAX_BLOCKS)
    ]
    return BooksView(
        tuple(sorted((Alert(one, ordered.get(one.finding_id) or before(conn, one)) for one in findings), key=alert_order)),
        alerts.count(conn, tenant),
        tuple(sorted(found, key=block_order)),
        orders.blocked_counts(conn, now_ms, tenant),
        tuple(found for found in (switch(conn, one.name, tenant) for one in switches.every(conn)) if not tenant or found.enforcing),
    )


def before(conn: Connection, finding: Finding) -> StoredOrder | None:
    """For a finding without a live or waiting order: the newest order of its key, with any status."""
    return orders.newest(conn, finding.key) if finding.key else None


def alert_order(one: Alert) -> tuple[int, str]:
    """Newest first, in a stable order: an alert that is repeated each minute must not move while it is read."""
    return -one.finding.detected_at_ms, one.finding.finding_id


def block_order(one: Block) -> tuple[bool, int, str]:
    """Waiting for approval first, then the newest; in a stable order, so that nobody presses another block's button."""
    return one.status != "waiting", -one.since_ms, one.key.text()


def at_switches(conn: Connection, order: StoredOrder) -> tuple[AtSwitch, ...]:
    """The switches that have the block of a live order."""
    return states(deliveries.of_one_key(conn, order.order.key)) if order.status in LIVE else ()


def states(rows: list[Delivery]) -> tuple[AtSwitch, ...]:
    """The state of a key's block at each switch; while it is moved between tables, the new table comes first.

    >>> name = "t1|A|acme||"
    >>> states([Delivery("k1", "blocks", name, "order-1", 9, False, 5)])
    (AtSwitch(switch='k1', refuses=True, acknowledged_ms=5, removing=False),)
    >>> states([Delivery("k2", "shadow", name, "order-1", 9, True, None)])
    (AtSwitch(switch='k2', refuses=False, acknowledged_ms=None, removing=False),)
    """
    return tuple(
        AtSwitch(row.switch, row.table == deliveries.BLOCKS, None if row.due else row.delivered_at_ms, not row.value)
        for row in sorted(rows, key=lambda row: (row.switch, not row.value))
    )


def switch(conn: Connection, name: str, tenant: str) -> Switch:
    """A switch, with the mode of one tenant or ("") of all."""
    state, held = switches.state(conn, name), switches.holds(conn).get(name)
    modes = {name: on for name, on in switches.tenants_of(conn, name).items() if tenant in ("", name)}
    by = f"{held.who}: {held.why}" if held else ""
    return Switch(name, by, state.error, deliveries.due_count(conn, name), modes)
