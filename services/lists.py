"""The allow, deny and protected lists, as people change them. They act at once, where orders are delivered, at the switches, and in the routes."""

from __future__ import annotations

from collections.abc import Mapping

from books import Connection, deliveries, lists, switches
from books.lists import Kind, List
from core.decide import Listed
from core.numbers import number_of, range_of
from services import blocks, protected
from services.alert_desk import Caught
from services.errors import ServiceError, UnknownName
from services.subjects import Ask
from switches.desired import listed_id
from warehouse import subjects


def change(
    conn: Connection, list_: List, kind: Kind, typed: str, remove: bool, who: str, why: str, now_ms: int, tenant: str = "", account: str = "",
    until_ms: int = 0,
) -> str:  # fmt: skip
    """Puts an entry on a list or takes it off; returns the value as stored. `tenant` "" = of every tenant; `account`: only of its calls; `until_ms`
    0 = without an end. Raises `ServiceError`."""
    if not why.strip():
        raise ServiceError("Enter a reason: it is recorded in the audit log.")
    if list_ == "protected":
        if account or until_ms or kind not in ("number", "account", "trunk"):
            raise ServiceError("Numbers, accounts and trunks are protected, for all calls and without an end.")
        return protected.change(conn, kind, typed, remove, who, why, now_ms, "" if kind == "number" else tenant)
    try:
        value = _value(conn, kind, typed.strip(), account)
        if not remove:
            lists.add(conn, list_, kind, value, why, who, now_ms, tenant, account, until_ms)
        elif not lists.remove(conn, list_, kind, value, why, who, now_ms, tenant, account):
            raise UnknownName(f"{kind} {value} is not on the list.")
    except ValueError as wrong:
        raise ServiceError(str(wrong)) from None
    return value


def _value(conn: Connection, kind: Kind, typed: str, account: str) -> str:
    """What is stored: of a number its digits, a short number as it is dialled or the beginning of numbers with their country code."""
    if kind == "destination":
        return typed.upper()
    if kind not in ("number", "caller"):
        return typed
    plan = blocks.plan(conn, account)
    try:
        return number_of(typed, plan)
    except ValueError:
        return range_of(typed, plan)


def every(conn: Connection, tenant: str) -> list[Listed]:
    """The entries that hold for a tenant ("" = all entries)."""
    return [one for one in lists.every(conn) if not tenant or one.tenant in ("", tenant)]


def at_switches(conn: Connection) -> dict[str, dict[str, bool]]:
    """Entry (`switches.desired.listed_id`) -> switch -> whether it has acknowledged all rows of it."""
    found: dict[str, dict[str, bool]] = {}
    for switch in switches.every(conn):
        for row in deliveries.every(conn, switch.name, deliveries.LISTS):
            if row.value:
                one = found.setdefault(row.value.rpartition("|")[2], {})
                one[switch.name] = one.get(switch.name, True) and not row.due
    return found


def caught(ask: Ask, tenant: str, since_ms: int) -> Mapping[str, Caught]:
    """Entry (`switches.desired.listed_id`) -> the calls that it refused since then, or would have refused."""
    found: dict[str, Caught] = {}
    for row in ask(subjects.refusals(tenant, since_ms)):
        listed = row["order_id"].removeprefix("shadow:")
        if listed.startswith("list-"):
            old, shadow, n = found.get(listed, Caught()), row["order_id"] != listed, row["calls"]
            found[listed] = Caught(old.refused + n * (not shadow), old.marked + n * shadow, max(old.last_ms, row["last_ms"]))
    return found


def denied_carriers(conn: Connection, tenant: str, now_ms: int) -> dict[str, str]:
    """Carriers that get no calls of a tenant, and why."""
    return {
        one.value: f"on the deny list: {one.why}"
        for one in lists.every(conn, "deny")
        if one.kind == "carrier" and one.tenant in ("", tenant) and not 0 < one.until_ms <= now_ms
    }


__all__ = ["Caught", "Kind", "List", "at_switches", "caught", "change", "denied_carriers", "every", "listed_id"]
