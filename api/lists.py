"""The allow and deny lists for programs."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from books import Engine, reading, writing
from core import durations
from core.clock import wall_clock_ms
from services import lists


class AskedEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a list; `ttl` as 7d, "" = without an end."""

    list: Literal["allow", "deny"]
    kind: lists.Kind
    value: str
    why: str
    remove: bool = False
    account: str = ""
    ttl: str = ""
    tenant: str = ""


class Changed(msgspec.Struct, frozen=True):
    """`value`: as it is stored."""

    value: str


def listed(engine: Engine, tenant: str) -> list[dict[str, Any]]:
    """Every entry, with its id and its state at each switch."""
    with reading(engine) as conn:
        states = lists.at_switches(conn)
        return [{**one._asdict(), "id": lists.listed_id(one), "switches": states.get(lists.listed_id(one), {})} for one in lists.every(conn, tenant)]


def change(engine: Engine, tenant: str, asked: AskedEntry, who: str) -> Changed:
    """Adds an entry, or removes one. Raises `ServiceError` and `ValueError`."""
    now_ms = wall_clock_ms()
    until_ms = now_ms + int(durations.to_ms(asked.ttl)) if asked.ttl else 0
    with writing(engine) as conn:
        return Changed(lists.change(conn, asked.list, asked.kind, asked.value, asked.remove, who, asked.why, now_ms, tenant, asked.account, until_ms))
