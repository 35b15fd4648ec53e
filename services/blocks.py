"""A person's actions on blocks: block, unblock, approve, deny, hold. Commands and pages call these, with the same audit."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from books import Connection, Engine, leases, orders, suppressions, switches
from core.numbers import DialPlan
from core.orders import EVERYONE, Action, Key
from services import known_ranges
from services.in_force import View
from switches import hold as at_switches

LEASE_MS = 6_000
"""A dispatcher whose switch does not answer renews its lease after at most so long."""


class Blocked(NamedTuple):
    """A person's own order. `known`: whether the config in force has such an account or trunk; a block of an unknown name refuses nobody."""

    order_id: str
    status: str
    known: bool


class Undelivered(NamedTuple):
    """Why a change does not take effect now. `switches`: the number in the books, `unattended`: those without a dispatcher,
    `held`: those on hold, with all blocks off."""

    switches: int
    unattended: tuple[str, ...]
    held: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.switches or bool(self.unattended or self.held)


def block(
    conn: Connection, key: Key, ttl_ms: int, who: str, why: str, now_ms: int, action: Action = "refuse", calls_a_minute: int = 0, cut: bool = False
) -> Blocked:
    """Orders a block, or what `core.orders.Action` has beside it; `cut`: calls in progress are ended as well. Raises
    `ValueError` if the key is protected or malformed; the message has the reason."""
    order_id = orders.block(conn, key, ttl_ms, who, why, now_ms, action, calls_a_minute, cut)
    stored = orders.find(conn, order_id)
    assert stored is not None
    return Blocked(order_id, stored.status, known(conn, key))


def unblock(conn: Connection, key: Key, who: str, why: str, now_ms: int, for_ms: int = suppressions.DEFAULT_MS) -> orders.Lifted:
    """Lifts every automatic order that overlaps a key, and suppresses new ones for `for_ms`. Raises `ValueError` as `block`."""
    lifted = orders.lift(conn, key, who, why, now_ms, for_ms)
    _cool(conn, key, who, why, now_ms)
    return lifted


def approve(conn: Connection, order_id: str, who: str, why: str, now_ms: int, cut: bool = False) -> list[str]:
    """Approves a waiting order, and with it every order of its key; `cut`: calls in progress are ended as well. Returns their
    ids. Raises `orders.Refused`."""
    approved = orders.approve(conn, order_id, who, why, now_ms, cut)
    key = _key_of(conn, order_id)
    known_ranges.confirm(conn, key.tenant, key.b_range, who, why, now_ms)  # what a person has confirmed is hot for a time
    return approved


def deny(conn: Connection, order_id: str, who: str, why: str, now_ms: int) -> list[str]:
    """Denies a waiting order; its key stays lifted for a day. Returns the ids. Raises `orders.Refused`."""
    denied = orders.deny(conn, order_id, who, why, now_ms).order_ids
    _cool(conn, _key_of(conn, order_id), who, why, now_ms)
    return denied


def _key_of(conn: Connection, order_id: str) -> Key:
    stored = orders.find(conn, order_id)
    assert stored is not None
    return stored.order.key


def _cool(conn: Connection, key: Key, who: str, why: str, now_ms: int) -> None:
    """A block that a person lifts or denies was no fraud: its range is not hot any more."""
    if key.b_range:
        known_ranges.forget(conn, key.tenant, key.b_range, who, why, now_ms, only_confirmed=True)


def undelivered(conn: Connection, now_ms: int, tenant: str = "") -> Undelivered:
    """The switches of a tenant ("" = all) at which a change does not take effect now.

    A working dispatcher holds the lease of its switch; a stopped one has released it, a killed one loses it.
    """
    names = [one.name for one in switches.every(conn) if not tenant or tenant in switches.tenants_of(conn, one.name)]
    holds = switches.holds(conn)
    return Undelivered(
        len(names),
        tuple(name for name in names if not leases.held_since(conn, f"switch {name}", now_ms - LEASE_MS)),
        tuple(name for name in names if name in holds),
    )


def plan(conn: Connection, account: str = "", trunk: str = "") -> DialPlan:
    """The dial plan for numbers that a person types: that of the trunk or of the account's trunks, else of all trunks, if it is
    the same for all; else the plan that takes a number with its country code only."""
    view = View(conn)
    ingress = [one for one in view.every(("trunks",)) if one.account]
    mine = [one for one in ingress if (trunk and one.name == trunk) or (account and one.account == account)]
    keys = {(one.tenant, one.dial_plan) for one in mine or ingress}
    found = {msgspec.structs.replace(view.find("dial_plans", *key) or DialPlan(), tenant="", name="") for key in keys}
    return found.pop() if len(found) == 1 else DialPlan()


def known(conn: Connection, key: Key) -> bool:
    """Whether the version in force has the account or the trunk of a key; True if none was published."""
    view = View(conn)
    if key.account == EVERYONE:
        return True
    kind, name = ("accounts", key.account) if key.account else ("trunks", key.ingress_trunk)
    return not view.version or view.find(kind, key.tenant, name) is not None


def hold(engine: Engine, on: bool, who: str, why: str, now_ms: int) -> at_switches.HoldResult:
    """Turns all blocks off at every switch, or on again. Needs only the books, which have the addresses of the switches."""
    return (at_switches.hold_all if on else at_switches.clear)(engine, who, why, now_ms)
