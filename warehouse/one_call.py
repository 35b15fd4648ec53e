"""Queries about calls one by one: a search, and all that is stored of one call."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.queries import Query, last_calls
from warehouse.subjects import condition

SPREAD_MS = 3_600_000
"""Records of a call are looked for from so long before its first known moment to so long after its last."""


def search(subject: Mapping[str, str], tenant: str, from_ms: int, limit: int = 50, to_ms: int = 0) -> Query:
    """The newest calls of a subject ({} = all) whose end was received since `from_ms`, and up to `to_ms` (0 = now), priced or not: rows as of
    `last_calls`."""
    where, params = condition(subject) if subject else ("", {})
    if to_ms:
        where, params = " AND ".join(filter(None, (where, "learned_ms <= {to_ms:Int64}"))), {**params, "to_ms": to_ms}
    return last_calls(limit, tenant=tenant, since_ms=from_ms, also=(where, params))


def call(tenant: str, partition: int, offset: int) -> Query:
    """The facts of a call and its money, every revision, the newest first; `tenant` "" = any."""
    return _of("calls", tenant, partition, offset, "revision DESC")


def charges(tenant: str, partition: int, offset: int) -> Query:
    """All charges of a call, of every revision and run, the counted ones first."""
    sql, params = _of("charges", tenant, partition, offset, "revision DESC, run DESC, role DESC, level, attempt_no, segment")
    return sql.replace("SELECT *", "SELECT *, amount", 1), params


def unpriced(tenant: str, partition: int, offset: int) -> Query:
    """The record at an offset: of a call that has no row of its own, because it was not priced."""
    return _of("records", tenant, partition, offset, "revision DESC")


def records(tenant: str, partition: int, call_key: str, from_ms: int, to_ms: int) -> Query:
    """The records of a call in the order in which they arrived."""
    return _by_key("records", tenant, call_key, from_ms, to_ms, "offset, revision", "partition = {partition:Int32} AND ", {"partition": partition})


def attempts(tenant: str, call_key: str, from_ms: int, to_ms: int) -> Query:
    """The route attempts of a call, the newest revision of each."""
    return _by_key("attempts", tenant, call_key, from_ms, to_ms, "attempt_no, revision DESC", "", {}, "LIMIT 1 BY attempt_no")


def _of(table: str, tenant: str, partition: int, offset: int, order: str) -> Query:
    of_tenant = "tenant = {tenant:String} AND " if tenant else ""
    return (
        f"SELECT * FROM {table} WHERE {of_tenant}partition = {{partition:Int32}} AND offset = {{offset:Int64}} ORDER BY {order} LIMIT 200",
        {"partition": partition, "offset": offset, **({"tenant": tenant} if tenant else {})},
    )


def _by_key(
    table: str, tenant: str, call_key: str, from_ms: int, to_ms: int, order: str, where: str, params: Mapping[str, int], also: str = ""
) -> Query:  # fmt: skip
    return (
        f"SELECT * FROM {table} WHERE {where}tenant = {{tenant:String}} AND learned_ms >= {{from_ms:Int64}} AND learned_ms <= {{to_ms:Int64}} "
        f"AND call_key = {{call_key:String}} ORDER BY {order} {also} LIMIT 500",
        {**params, "tenant": tenant, "call_key": call_key, "from_ms": from_ms - SPREAD_MS, "to_ms": to_ms + SPREAD_MS},
    )
