"""Tenants and what belongs to them: counterparties, accounts, carriers, trunks, dial plans. One row is what it is now;
what it was when a call was judged is in the config version (`books.configs`)."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from books import tables
from books.upsert import put, put_once
from core.config import Account, Caps, Carrier, Config, Trunk
from core.numbers import DialPlan


def add(conn: sa.Connection, name: str, now_ms: int) -> None:
    """A tenant. Its name is part of every block's entry at a switch, so it is letters, digits, `.`, `_` and `-` only.

    A repeat is harmless.
    """
    if not name or len(name) > 64 or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
        raise ValueError(f"{name!r} is no tenant's name: letters, digits, . _ -, at most 64")
    put_once(conn, tables.tenants, {"name": name, "at_ms": now_ms})


def every(conn: sa.Connection) -> list[str]:
    return list(conn.execute(sa.select(tables.tenants.c.name).order_by(tables.tenants.c.name)).scalars())


def put_account(conn: sa.Connection, account: Account, now_ms: int) -> None:
    """Adds or replaces an account. Its counterparty may be a carrier too."""
    _counterparty(conn, account.tenant, account.counterparty, now_ms)
    put(
        conn,
        tables.accounts,
        {
            "tenant": account.tenant,
            "name": account.name,
            "counterparty": account.counterparty,
            "sell_deck": account.sell_deck,
            "caps": _json(account.caps),
            "destination_caps": _json(account.destination_caps),
            "first_seen_destination": account.first_seen_destination,
            "at_ms": now_ms,
        },
    )


def put_carrier(conn: sa.Connection, carrier: Carrier, now_ms: int) -> None:
    _counterparty(conn, carrier.tenant, carrier.counterparty, now_ms)
    put(conn, tables.carriers, {**_whole(carrier), "caps": _json(carrier.caps), "at_ms": now_ms})


def put_trunk(conn: sa.Connection, trunk: Trunk, now_ms: int) -> None:
    lists = {"sources": _json(trunk.sources), "caller_ranges": _json(trunk.caller_ranges), "caps": _json(trunk.caps)}
    put(conn, tables.trunks, {**_whole(trunk), **lists, "at_ms": now_ms})


def put_dial_plan(conn: sa.Connection, plan: DialPlan, now_ms: int) -> None:
    put(conn, tables.dial_plans, {"name": plan.name, "content": _json(plan), "at_ms": now_ms})


def replace(conn: sa.Connection, config: Config, now_ms: int) -> None:
    """The parties and dial plans of a config, and no others. Tenants and counterparties stay: credentials and history name them."""
    for table in (tables.accounts, tables.carriers, tables.trunks, tables.dial_plans):
        conn.execute(sa.delete(table))
    for account in config.accounts:
        put_account(conn, account, now_ms)
    for carrier in config.carriers:
        put_carrier(conn, carrier, now_ms)
    for trunk in config.trunks:
        put_trunk(conn, trunk, now_ms)
    for plan in config.dial_plans:
        put_dial_plan(conn, plan, now_ms)


def accounts(conn: sa.Connection) -> list[Account]:
    return [
        Account(
            tenant=row.tenant,
            name=row.name,
            counterparty=row.counterparty,
            sell_deck=row.sell_deck,
            caps=msgspec.json.decode(row.caps, type=Caps),
            destination_caps=msgspec.json.decode(row.destination_caps, type=Caps),
            first_seen_destination=row.first_seen_destination,
        )
        for row in conn.execute(sa.select(tables.accounts).order_by(tables.accounts.c.tenant, tables.accounts.c.name))
    ]


def carriers(conn: sa.Connection) -> list[Carrier]:
    rows = conn.execute(sa.select(tables.carriers).order_by(tables.carriers.c.tenant, tables.carriers.c.name))
    return [
        Carrier(
            tenant=r.tenant,
            name=r.name,
            counterparty=r.counterparty,
            buy_deck=r.buy_deck,
            caps=msgspec.json.decode(r.caps, type=Caps),
        )
        for r in rows
    ]


def trunks(conn: sa.Connection) -> list[Trunk]:
    return [
        Trunk(
            tenant=row.tenant,
            name=row.name,
            account=row.account,
            carrier=row.carrier,
            address=row.address,
            prefix=row.prefix,
            trunk_group=row.trunk_group,
            keepalive=row.keepalive,
            dial_plan=row.dial_plan,
            sources=msgspec.json.decode(row.sources, type=tuple[str, ...]),
            caps=msgspec.json.decode(row.caps, type=Caps),
            max_call_s=row.max_call_s,
            hung_ends=row.hung_ends,
            caller_ranges=msgspec.json.decode(row.caller_ranges, type=tuple[str, ...]),
            accept_unreadable=row.accept_unreadable,
        )
        for row in conn.execute(sa.select(tables.trunks).order_by(tables.trunks.c.tenant, tables.trunks.c.name))
    ]


def dial_plans(conn: sa.Connection) -> list[DialPlan]:
    rows = conn.execute(sa.select(tables.dial_plans.c.content).order_by(tables.dial_plans.c.name)).scalars()
    return [msgspec.json.decode(content, type=DialPlan) for content in rows]


def _counterparty(conn: sa.Connection, tenant: str, name: str, now_ms: int) -> None:
    if name:
        put_once(conn, tables.counterparties, {"tenant": tenant, "name": name, "at_ms": now_ms})


def _whole(struct: msgspec.Struct) -> dict[str, Any]:
    """Every field, those at their default too."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
