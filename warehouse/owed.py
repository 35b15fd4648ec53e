"""What is owed: the charges that count among those that are posted, and how that changes from one posted set, or period, to the next.

One rule serves the ledger, the invoices and the proofs. A charge *counts* in a state (a posted set, `core.posted`, and the end of a period) when it
is posted there, happened before the end, and is of the highest (revision, run) of its call among the posted ones. A step from one state to another
is every charge whose counting changes, with `sign` +1 where it counts from now on and -1 where it no longer does. Steps add up: no charge can be in
two of them without having been taken back between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.posted import NOTHING, Posted
from warehouse.queries import KEY_OF_CHARGE as _KEY
from warehouse.queries import Query

FOREVER_MS = 2**62

INSTANTS = {
    "setup": "coalesce(setup_ms, answer_ms, start_ms, end_ms, learned_ms)",
    "answer": "coalesce(answer_ms, start_ms, end_ms, learned_ms)",
    "end": "coalesce(end_ms, start_ms, learned_ms)",
}
"""The `period_instant` of an agreement, as an expression over `charges`: of the call, so that its segments are in one period. A call that was not
answered has no answer, but an end."""

PARTY = "tenant, role, level, party, agreement, currency"
"""Whose money a charge is."""


@dataclass(frozen=True)
class State:
    """Posted charges, of those that happened before `end_ms`."""

    posted: Posted = NOTHING
    end_ms: int = FOREVER_MS


EMPTY = State(NOTHING, 0)

_CALL = "tenant, partition, offset"
_COLUMNS = (
    f"{_KEY}, learned_ms, call_key, party, account, carrier, agreement, deck, prefix, destination, start_ms, end_ms, setup_ms, answer_ms, charged_s, "
    "per_min_nanos, usage_nanos, connect_nanos, attempt_nanos, surcharge_nanos, nanos, currency, tax"
)


def step(
    before: State, after: State, columns: str, group_by: str = "", condition: str = "1", params: Mapping[str, Any] = {}, instant: str = "answer",
    order_by: str = "", since_ms: int = 0,
) -> Query:  # fmt: skip
    """The charges of a step. `columns`: expressions over the columns of `charges`, `sign` and `instant_ms`; `condition`: over columns that are the
    same in each version of a call (tenant) or that only choose among the charges of the step (party, agreement). `since_ms`: no live charge of the
    step was learned of before; older days are read only where a call of the step has charges. Raises `ValueError` where runs or ends differ."""
    in0, in1 = _posted("p0"), _posted("p1")
    several = f"SELECT {_CALL} FROM charges WHERE (revision > 1 OR run > 0) AND ({in0} OR {in1})"
    recent = ""
    if since_ms:
        if (before.posted.runs, before.end_ms) != (after.posted.runs, after.end_ms):
            raise ValueError("with other runs, or another end, charges of any time may count anew")
        recent = "learned_ms >= {since_ms:Int64} AND "
        # Of the calls with a charge in the step all versions, whenever they were learned: by the key.
        several += f" AND ({_CALL}) IN (SELECT {_CALL} FROM charges WHERE {recent}{in0} != {in1})"
    # Almost every call has one version, which needs no look at its others.
    single = (
        f"SELECT {_COLUMNS}, {in0} AS counts0, {in1} AS counts1 FROM charges WHERE {recent}revision = 1 AND run = 0 AND ({in0} OR {in1}) "
        f"AND {_one_of(before, after, instant)} AND ({_CALL}) NOT IN ({several}) AND ({condition}) ORDER BY {_KEY} LIMIT 1 BY {_KEY}"
    )
    revised = (
        "SELECT * EXCEPT (is0, is1, top0, top1), is0 AND (revision, run) = top0 AS counts0, is1 AND (revision, run) = top1 AS counts1 FROM ("
        f"SELECT *, maxIf((revision, run), is0) OVER (PARTITION BY {_CALL}) AS top0, maxIf((revision, run), is1) OVER (PARTITION BY {_CALL}) AS top1 "
        f"FROM (SELECT {_COLUMNS}, {in0} AS is0, {in1} AS is1 FROM charges WHERE ({in0} OR {in1}) AND ({_CALL}) IN ({several}) "
        f"ORDER BY {_KEY} LIMIT 1 BY {_KEY})) WHERE {condition}"
    )
    sql = (
        f"SELECT {columns} FROM (SELECT *, toInt8(counts1 AND instant_ms < {{end1:Int64}}) - toInt8(counts0 AND instant_ms < {{end0:Int64}}) AS sign "
        f"FROM (SELECT *, {INSTANTS[instant]} AS instant_ms FROM ({single} UNION ALL {revised}))) WHERE sign != 0"
        + (f" GROUP BY {group_by}" if group_by else "")
        + (f" ORDER BY {order_by or group_by}" if order_by or group_by else "")
    )
    bound = {"since_ms": since_ms, "end0": before.end_ms, "end1": after.end_ms, **_bound("p0", before.posted), **_bound("p1", after.posted)}
    return sql, {**bound, **params}


def _posted(name: str) -> str:
    """Whether a charge is in a posted set."""
    return (
        f"((run = 0 AND record_offset < transform(record_partition, {{{name}_of:Array(Int32)}}, {{{name}_ends:Array(Int64)}}, toInt64(0))) "
        f"OR (run > 0 AND has({{{name}_runs:Array(Int64)}}, run)))"
    )


def _bound(name: str, posted: Posted) -> dict[str, Any]:
    return {f"{name}_of": list(posted.ends), f"{name}_ends": list(posted.ends.values()), f"{name}_runs": list(posted.runs)}


def _one_of(before: State, after: State, instant: str) -> str:
    """What single charges of the step have in common, so that the others are not read: where both states end alike, they are in one set alone."""
    if before.end_ms == after.end_ms:
        return f"{_posted('p0')} != {_posted('p1')}"
    return f"{INSTANTS[instant]} < {max(before.end_ms, after.end_ms)}"


LOOK_BACK = 100_000
"""Offsets before the first one that is not posted, in which the last record before it is looked for."""


def unposted(posted: Posted) -> Query:
    """Of each partition with stored records that are not in a posted set: the first of them, the first offset whose charges may not be stored yet
    (the store inserts the rows of `records` after their charges), when the last record before them was learned of (null: there is none nearby),
    and the earliest of their times.

    >>> unposted(Posted({0: 200_000}))[1]
    {'known': [0], 'ends': [200000], 'p0': 0, 'o0': 100000}
    """
    # A range of the key per partition: what was posted before is not read.
    params: dict[str, Any] = {"known": list(posted.ends), "ends": list(posted.ends.values())}
    ranges = ["partition NOT IN {known:Array(Int32)}"]
    for at, (partition, end) in enumerate(posted.ends.items()):
        ranges.append(f"(partition = {{p{at}:Int32}} AND offset >= {{o{at}:Int64}})")
        params |= {f"p{at}": partition, f"o{at}": max(0, end - LOOK_BACK)}
    posted_to = "transform(partition, {known:Array(Int32)}, {ends:Array(Int64)}, toInt64(0))"
    return (
        f"SELECT partition, minIf(offset, offset >= {posted_to}) AS first_offset, max(offset) + 1 AS next_offset, "
        f"argMaxIf(toNullable(learned_ms), offset, offset < {posted_to}) AS posted_ms, "
        f"minIf(learned_ms, offset >= {posted_to}) AS first_ms FROM records WHERE {' OR '.join(ranges)} "
        f"GROUP BY partition HAVING next_offset > {posted_to} ORDER BY partition",
        params,
    )


def by_party(before: State, after: State, tenant: str = "", since_ms: int = 0) -> Query:
    """What a step comes to per tenant, role, level, party, agreement and currency: charges and nanos, exact. `since_ms`: as in `step`."""
    condition, params = ("tenant = {tenant:String}", {"tenant": tenant}) if tenant else ("1", {})
    return step(before, after, f"{PARTY}, sum(toInt64(sign)) AS charges, count() AS changes, sum(toInt128(nanos) * sign) AS nanos", PARTY,
                condition, params, since_ms=since_ms)  # fmt: skip


LINE = "party, agreement, level, currency, destination, per_min_nanos, tax, late"


def lines(
    before: State, after: State, tenant: str, role: str, agreements: Iterable[str], instant: str, from_ms: int
) -> Query:
    """The lines of the invoices of some agreements ("" among them = parties without one): per party, destination and unit price, and whether they
    are of an earlier period (`late`: late calls, and corrections of what was invoiced)."""
    columns = (
        "party, agreement, level, currency, destination, per_min_nanos, tax, instant_ms < {from_ms:Int64} OR sign < 0 AS late, "
        "toInt64(sumIf(sign, segment = 0)) AS calls, "
        "toInt64(sum(sign * charged_s)) AS charged_s, sum(toInt128(nanos) * sign) AS nanos, "
        "sum(toInt128(connect_nanos + attempt_nanos + surcharge_nanos) * sign) AS fees_nanos, count() AS charges"
    )
    params = {"tenant": tenant, "role": role, "agreements": list(agreements), "from_ms": from_ms}
    condition = "tenant = {tenant:String} AND role = {role:String} AND has({agreements:Array(String)}, agreement)"
    return step(before, after, columns, LINE, condition, params, instant)


def annex(
    before: State, after: State, tenant: str, role: str, party: str, agreement: str, currency: str, instant: str, limit: int = 10_000_000
) -> Query:
    """The calls behind one invoice: a row per charge of its step, in the order in which they happened, with the numbers of the call."""
    columns = (
        "partition, offset, revision, instant_ms, call_key, segment, account, prefix, destination, charged_s, per_min_nanos, nanos, currency, sign"
    )
    params = {"tenant": tenant, "role": role, "party": party, "agreement": agreement, "currency": currency}
    condition = (
        "tenant = {tenant:String} AND role = {role:String} AND party = {party:String} AND agreement = {agreement:String} "
        "AND currency = {currency:String}"
    )
    sql, bound = step(before, after, columns, "", condition, params, instant)
    numbers = (
        "SELECT partition, offset, revision, any(a_number) AS a_number, any(b_number) AS b_number FROM calls WHERE tenant = {tenant:String} "
        f"AND (partition, offset) IN (SELECT partition, offset FROM ({sql})) GROUP BY partition, offset, revision"
    )
    return (
        f"SELECT charge.*, calls.a_number AS a_number, calls.b_number AS b_number FROM ({sql}) AS charge LEFT JOIN ({numbers}) AS calls "
        f"USING (partition, offset, revision) ORDER BY instant_ms, partition, offset, segment, sign LIMIT {int(limit)}",
        bound,
    )
