"""Queries about one subject: an account, a carrier, a trunk, a number, a range, or the calls of a block's key. Sums, never rows of calls.

A subject is {field: value}; several fields must hold together. Money of a carrier, and of an account, is that of its charges; of numbers and
trunks that of the calls they were in. After a correction that moved a call to another carrier, the old carrier's sum keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warehouse.queries import Query, counted, latest, priced

CONDITIONS = {
    "account": "account = {account:String}",
    "carrier": "carrier = {carrier:String}",
    "trunk": "(ingress_trunk = {trunk:String} OR egress_trunk = {trunk:String})",
    "ingress_trunk": "ingress_trunk = {ingress_trunk:String}",
    "number": "(a_number = {number:String} OR b_number = {number:String})",
    "range": "startsWith(b_number, {range:String})",
    "a_number": "a_number = {a_number:String}",
    "b_range": "startsWith(b_number, {b_range:String})",
}
OF_CHARGES = ("account", "carrier")
"""Fields that charges have too: their money needs no look at the calls."""

FACTS = "account, carrier, ingress_trunk, egress_trunk, a_number, b_number, answer_ms, duration_ms, learned_ms"

GROUPS = {
    "account": "account", "carrier": "carrier", "caller": "a_number", "called": "b_number", "range": "substring(b_number, 1, 7)",
    "trunk": "ingress_trunk",
}  # fmt: skip
"""What calls may be grouped by."""


def condition(subject: Mapping[str, str]) -> Query:
    """
    >>> condition({"account": "acme", "b_range": "88213"})
    ('account = {account:String} AND startsWith(b_number, {b_range:String})', {'account': 'acme', 'b_range': '88213'})
    """
    if not subject:
        raise ValueError("a subject has at least one field")
    return " AND ".join(CONDITIONS[name] for name in subject), dict(subject)


def calls_by_step(subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int, step_ms: int) -> Query:
    """Per step of time in which ends of calls were received: calls, answered, talk."""
    source, params = _calls(subject, tenant, from_ms, to_ms)
    return (
        "SELECT intDiv(learned_ms, {step_ms:Int64}) * {step_ms:Int64} AS at_ms, count() AS calls, countIf(answer_ms IS NOT NULL) AS answered, "
        f"toInt64(sum(ifNull(duration_ms, 0))) AS talk_ms FROM {source} GROUP BY at_ms ORDER BY at_ms",
        {**params, "step_ms": step_ms},
    )


def money_by_step(subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int, step_ms: int) -> Query:
    """Per step and currency: sell and buy. What was bought in several currencies is in each."""
    where, values = condition(subject)
    params: dict[str, Any] = {"since_ms": from_ms, "to_ms": to_ms, "step_ms": step_ms, **values, **({"tenant": tenant} if tenant else {})}
    of_tenant = "learned_ms >= {since_ms:Int64}" + (" AND tenant = {tenant:String}" if tenant else "")
    if not all(name in OF_CHARGES for name in subject):  # in each of its revisions a call is of the same numbers and trunks
        where = f"(partition, offset) IN (SELECT partition, offset FROM calls WHERE {of_tenant} AND {where})"
    amount = "toDecimal128(nanos, 9) / 1000000000 * sign"
    return (
        "SELECT intDiv(learned_ms, {step_ms:Int64}) * {step_ms:Int64} AS at_ms, currency, "
        f"sumIf({amount}, role = 'sell' AND level = 0) AS sell, sumIf({amount}, role = 'buy') AS buy "
        f"FROM {counted('tenant, partition, offset, learned_ms, role, level, currency, nanos', of_tenant, where)} WHERE learned_ms < {{to_ms:Int64}} "
        "GROUP BY at_ms, currency ORDER BY at_ms, currency",
        params,
    )


def partners(subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int, by: str, limit: int = 8) -> Query:
    """The calls of a subject, grouped by one of `GROUPS`, the longest talk first: name, calls, answered, talk."""
    source, params = _calls(subject, tenant, from_ms, to_ms)
    return (
        f"SELECT {GROUPS[by]} AS name, count() AS calls, countIf(answer_ms IS NOT NULL) AS answered, "
        f"toInt64(sum(ifNull(duration_ms, 0))) AS talk_ms FROM {source} WHERE name != '' GROUP BY name "
        "ORDER BY talk_ms DESC, calls DESC, name LIMIT {limit:UInt32}",
        {**params, "limit": limit},
    )


def destinations(subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int, limit: int = 8) -> Query:
    """The money of a subject by destination and the two currencies, the most sold first."""
    source, params = _money("destination, learned_ms, sell_currency, buy_currency, sell, buy, billable_s", subject, tenant, from_ms, to_ms)
    return (
        "SELECT destination, sell_currency, buy_currency, count() AS calls, sum(billable_s) AS billable_s, sum(money.sell) AS sell, "
        f"sum(money.buy) AS buy FROM {source} AS money WHERE learned_ms < {{to_ms:Int64}} "
        "GROUP BY destination, sell_currency, buy_currency ORDER BY sell DESC, destination LIMIT {limit:UInt32}",
        {**params, "limit": limit},
    )


def summed(subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int) -> Query:
    """All of a subject's answered calls in one row: calls, callers, called numbers, talk."""
    source, params = _calls(subject, tenant, from_ms, to_ms)
    return (
        "SELECT count() AS calls, uniqExact(a_number) AS callers, uniqExact(b_number) AS called, "
        f"toInt64(sum(ifNull(duration_ms, 0))) AS talk_ms FROM {source} WHERE answer_ms IS NOT NULL",
        params,
    )


def examples(call_ids: list[str], tenant: str, from_ms: int) -> Query:
    """The newest calls of some Call-IDs, which callers choose: partition and offset, facts."""
    source, params = latest("calls", f"partition, offset, call_id, {FACTS}", from_ms, tenant, "call_id IN {call_ids:Array(String)}")
    return f"SELECT * FROM {source} ORDER BY learned_ms DESC LIMIT 8", {**params, "call_ids": call_ids}


def refusals(tenant: str, from_ms: int) -> Query:
    """Order, calls that it refused (or "shadow:ID": would have refused), and the newest: what the switches reported."""
    source, params = latest("records", "order_id, event, learned_ms", from_ms, tenant, "order_id != ''")
    return (
        f"SELECT order_id, count() AS calls, max(learned_ms) AS last_ms FROM {source} WHERE event IN ('refused', 'setup') "
        "AND (event = 'refused' OR startsWith(order_id, 'shadow:')) GROUP BY order_id ORDER BY calls DESC LIMIT 20000",
        params,
    )


def _calls(subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int) -> Query:
    where, values = condition(subject)
    source, params = latest("calls", FACTS, from_ms, tenant, where)
    return f"(SELECT * FROM {source} WHERE learned_ms < {{to_ms:Int64}})", {**params, **values, "to_ms": to_ms}


def _money(columns: str, subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int) -> Query:
    where, values = condition(subject)
    if not all(name in OF_CHARGES for name in subject):
        calls, _ = latest("calls", "partition, offset", from_ms, tenant, where)
        where = f"(tenant, partition, offset) IN (SELECT tenant, partition, offset FROM {calls})"
    source, params = priced(columns, from_ms, tenant, where)
    found: dict[str, Any] = {**params, **values, "to_ms": to_ms}
    return source, found


def margins(tenant: str, from_ms: int, to_ms: int, limit: int = 40) -> Query:
    """By destination, carrier and the two currencies: calls, seconds that were sold, sell, buy; what loses most first."""
    source, params = priced("destination, carrier, learned_ms, sell_currency, buy_currency, sell, buy, billable_s", from_ms, tenant)
    return (
        "SELECT destination, carrier, sell_currency, buy_currency, count() AS calls, sum(billable_s) AS billable_s, sum(money.sell) AS sell, "
        f"sum(money.buy) AS buy FROM {source} AS money WHERE learned_ms < {{to_ms:Int64}} "
        "GROUP BY destination, carrier, sell_currency, buy_currency HAVING sell != 0 OR buy != 0 "
        "ORDER BY if(sell_currency = buy_currency, sell - buy, 0), calls DESC, destination, carrier LIMIT {limit:UInt32}",
        {**params, "to_ms": to_ms, "limit": limit},
    )


def quality(tenant: str, from_ms: int, to_ms: int, limit: int = 40) -> Query:
    """By carrier: attempts, answered, talk, and the median post-dial delay."""
    source, params = attempts_latest(tenant, from_ms)
    return (
        "SELECT carrier, count() AS attempts, countIf(answered) AS answers, toInt64(sumIf(ifNull(duration_ms, 0), answered)) AS talk_ms, "
        f"quantile(0.5)(pdd_ms) AS median_pdd_ms FROM {source} WHERE learned_ms < {{to_ms:Int64}} AND carrier != '' "
        "GROUP BY carrier ORDER BY attempts DESC, carrier LIMIT {limit:UInt32}",
        {**params, "to_ms": to_ms, "limit": limit},
    )


def attempts_latest(tenant: str, from_ms: int) -> Query:
    """Each attempt once, as it was corrected last."""
    of_tenant = " AND tenant = {tenant:String}" if tenant else ""
    return (
        f"(SELECT * FROM attempts WHERE learned_ms >= {{since_ms:Int64}}{of_tenant} "
        "ORDER BY tenant, call_key, attempt_no, revision DESC, partition DESC, offset DESC LIMIT 1 BY tenant, call_key, attempt_no)",
        {"since_ms": from_ms, **({"tenant": tenant} if tenant else {})},
    )
