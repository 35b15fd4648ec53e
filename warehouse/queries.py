"""Queries of the warehouse, as values: `(sql, params)`. Run one with `warehouse.ask`.

`tenant=""` and `account=""` mean all. `since_ms` is a lower bound on when a row was received: it lets the engine skip whole
days, and it is safe inside "the highest revision", because a later revision is never received earlier. An upper bound would not be.
Money is exact, as Decimal(38, 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Query = tuple[str, dict[str, Any]]


def totals(since_ms: int = 0, tenant: str = "") -> Query:
    """Records received, and their dispositions: one row, with the names that `status` shows.

    >>> sql, params = totals(tenant="t1")
    >>> params
    {'since_ms': 0, 'tenant': 't1'}
    """
    source, params = _records("disposition", since_ms, tenant)
    return (
        "SELECT count() AS received, countIf(disposition = 'rated') AS rated, countIf(disposition = 'unrated') AS unrated, "
        "countIf(disposition = 'event') AS events, countIf(disposition = 'reject') AS rejected, "
        f"countIf(disposition = 'duplicate') AS duplicates, countIf(disposition = 'conflict') AS conflicts FROM {source}",
        params,
    )


def dispositions_below(ends: Mapping[int, int]) -> Query:
    """Disposition and number of records, of the offsets of each partition below its end.

    >>> dispositions_below({0: 7, 1: 9})[1]
    {'since_ms': 0, 'partitions': [0, 1], 'ends': [7, 9]}
    """
    source, params = _records("disposition, partition, offset", 0)
    return (
        f"SELECT disposition, count() AS records FROM {source} "
        "WHERE offset < transform(partition, {partitions:Array(Int32)}, {ends:Array(Int64)}, toInt64(0)) GROUP BY disposition",
        {**params, "partitions": list(ends), "ends": list(ends.values())},
    )


def reasons(limit: int = 20, since_ms: int = 0, tenant: str = "") -> Query:
    """Why records were not rated, the most frequent first."""
    unrated = _mended("disposition IN ('unrated', 'reject', 'conflict')")
    source, params = latest("records", "disposition, reason, learned_ms", since_ms, tenant, unrated)
    return (
        "SELECT disposition, reason, count() AS records, fromUnixTimestamp64Milli(max(learned_ms), 'UTC') AS last_learned "
        f"FROM {source} WHERE disposition IN ('unrated', 'reject', 'conflict') "
        "GROUP BY disposition, reason ORDER BY records DESC, disposition, reason LIMIT {limit:UInt32}",
        {**params, "limit": limit},
    )


def rejects(limit: int = 50, since_ms: int = 0, tenant: str = "") -> Query:
    """The newest rejects with their bytes as they came: when, where, whose, why. One that was mended is none any more."""
    columns = "learned_ms, switch, partition, offset, reason, raw, disposition"
    source, params = latest("records", columns, since_ms, tenant, _mended("disposition = 'reject'"))
    return (
        f"SELECT * FROM {source} WHERE disposition = 'reject' ORDER BY learned_ms DESC, partition, offset LIMIT {{limit:UInt32}}",
        {**params, "limit": limit},
    )


def money(since_ms: int = 0, tenant: str = "") -> Query:
    """By tenant, account and the two currencies: calls, answered, seconds billed, sell, buy, margin (null across currencies)."""
    source, params = priced("account, sell_currency, buy_currency, answer_ms, billable_s, sell, buy", since_ms, tenant)
    return (
        f"SELECT tenant, account, sell_currency, buy_currency, {_CALLS}, {_MONEY} FROM {source} AS money "
        "GROUP BY tenant, account, sell_currency, buy_currency ORDER BY tenant, account, sell_currency, buy_currency",
        params,
    )


def margins(since_ms: int = 0, tenant: str = "") -> Query:
    """What each reseller keeps: by tenant, level, party and the two currencies, the calls, what those below pay, what it pays itself, and the
    difference (null across currencies)."""
    source, params = _charges(since_ms, tenant, "role = 'sell'")
    paid = (
        "SELECT tenant, partition, offset, level, any(party) AS party, any(currency) AS currency, sum(amount) AS amount FROM ("
        f"SELECT tenant, partition, offset, level, party, currency, {_AMOUNT} AS amount, (revision, run) AS version, "
        f"max((revision, run)) OVER (PARTITION BY tenant, partition, offset) AS top FROM {source}) "
        "WHERE version = top GROUP BY tenant, partition, offset, level"
    )
    return (
        f"WITH paid AS ({paid}) SELECT above.tenant AS tenant, above.level AS level, above.party AS party, below.currency AS takes_currency, "
        "above.currency AS pays_currency, count() AS calls, sum(below.amount) AS takes, sum(above.amount) AS pays, "
        "if(takes_currency = pays_currency, takes - pays, NULL) AS keeps FROM paid AS above INNER JOIN paid AS below "
        "ON above.tenant = below.tenant AND above.partition = below.partition AND above.offset = below.offset AND above.level = below.level + 1 "
        "GROUP BY tenant, level, party, takes_currency, pays_currency ORDER BY tenant, level, party, takes_currency, pays_currency",
        params,
    )


def records_per_second(since_ms: int = 0, tenant: str = "") -> Query:
    """Second in which records were received, and their number. The bound is on that time: a query for the last minutes reads no more."""
    source, params = _records("learned_ms", since_ms, tenant)
    return f"SELECT {_SECOND} AS second_ms, count() AS records FROM {source} GROUP BY second_ms ORDER BY second_ms", params


def money_per_second(since_ms: int = 0, tenant: str = "") -> Query:
    """Second in which the ends of calls were received, the two currencies, calls, sell and buy. First revisions only: a correction is no new
    sale, so these live figures may differ from the bill."""
    source, params = priced("learned_ms, sell_currency, buy_currency, sell, buy", since_ms, tenant, "revision = 1 AND run = 0")
    return (
        f"SELECT {_SECOND} AS second_ms, sell_currency, buy_currency, count() AS calls, sum(money.sell) AS sell, sum(money.buy) AS buy "
        f"FROM {source} AS money GROUP BY second_ms, sell_currency, buy_currency ORDER BY second_ms, sell_currency, buy_currency",
        params,
    )


def stored_to(since_ms: int, partitions: Iterable[int]) -> Query:
    """Partition, its highest offset, and when its newest record was received: of these partitions, where they have a record since then. The key
    begins with tenant and partition, so that of others nothing is read."""
    return (
        "SELECT partition, max(offset) AS last_offset, max(learned_ms) AS newest_ms FROM records WHERE learned_ms >= {since_ms:Int64} "
        f"AND partition IN ({', '.join(str(int(one)) for one in partitions)}) GROUP BY partition ORDER BY partition",
        {"since_ms": since_ms},
    )


def days(table: str = "records") -> Query:
    """The days on which rows of a table were learned of, newest first, each with a number that grows with every insert into it, and with nothing
    else: a day whose number stands still needs no second count. Merges and mutations leave it as it is."""
    return (
        "SELECT partition AS day, max(max_block_number) AS mark FROM system.parts WHERE active AND database = currentDatabase() "
        "AND table = {table:String} GROUP BY day ORDER BY day DESC",
        {"table": table},
    )


def dispositions_of_day(day: str) -> Query:
    """Tenant, disposition, records of one day (as `days` names it). A revision has its first one's day, so days can be added up."""
    # toYYYYMMDD is the table's own partition key: other days are not opened.
    return (
        "SELECT tenant, disposition, count() AS records FROM (SELECT tenant, disposition FROM records "
        "WHERE toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC')) = {day:UInt32} "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset) "
        "GROUP BY tenant, disposition ORDER BY tenant, disposition",
        {"day": int(day)},
    )


def last_calls(limit: int = 20, account: str = "", tenant: str = "", since_ms: int = 0, also: Query = ("", {})) -> Query:
    """The calls whose end was received last, newest first, priced or not: caller, called number, duration, money, and why not priced.
    `also`: a further condition, on columns that `calls` and `records` both have."""
    # Cut each side to `limit` before the join. A later revision is received no earlier, so the newest row is the highest.
    where, params = _where("learned_ms >= {since_ms:Int64}" + (f" AND {also[0]}" if also[0] else ""), since_ms, tenant, account)
    params |= also[1]
    newest = "ORDER BY learned_ms DESC, revision DESC LIMIT 1 BY tenant, partition, offset LIMIT {limit:UInt32}"
    shown = (
        "tenant, account, ingress_trunk, carrier, a_number, b_number, learned_at, answer_at, end_at, duration_ms, billable_s, "
        "sell, sell_currency, buy, buy_currency, destination, disposition, reason, suspected_hung, revision, call_id, call_key, "
        "partition, offset"
    )
    facts = (
        "tenant, account, ingress_trunk, carrier, a_number, b_number, learned_ms, learned_at, answer_at, end_at, duration_ms, "
        "suspected_hung, revision, call_id, call_key, partition, offset"
    )
    # Chosen by their charges: the facts of a call are stored before its charges, and those of a call without a price have none. A further
    # condition asks for columns that charges do not have; a call whose charges are not stored yet then takes a place for a moment.
    sold = f"SELECT tenant, partition, offset FROM charges WHERE {where} AND role = 'sell' AND level = 0 AND {COUNTING} {newest}"
    priced_only = "" if also[0] else f"AND (tenant, partition, offset) IN ({sold}) "
    # Which calls, by a few columns; then their facts and charges, by the key.
    keys = f"(tenant, partition, offset) IN (SELECT tenant, partition, offset FROM calls WHERE {where} {priced_only}{newest})"
    ended = f"SELECT {facts} FROM calls WHERE {keys} AND learned_ms >= {{since_ms:Int64}} {newest}"
    money, _ = priced("billable_s, sell, sell_currency, buy, buy_currency, destination", since_ms, tenant, keys)
    with_price = (
        f"SELECT {', '.join(f'call.{name} AS {name}' for name in facts.split(', '))}, money.billable_s AS billable_s, money.sell AS sell, "
        "money.sell_currency AS sell_currency, money.buy AS buy, money.buy_currency AS buy_currency, money.destination AS destination, "
        f"'rated' AS disposition, '' AS reason FROM ({ended}) AS call INNER JOIN {money} AS money USING (tenant, partition, offset)"
    )
    unpriced = (
        "SELECT tenant, account, ingress_trunk, carrier, if(a_number = '', a_raw, a_number), if(b_number = '', b_raw, b_number), "
        "learned_ms, learned_at, answer_at, end_at, duration_ms, suspected_hung, revision, call_id, call_key, partition, offset, "
        "NULL, NULL, '', NULL, '', '', disposition, reason "
        f"FROM records WHERE {where} AND disposition = 'unrated' AND event IN ('stop', 'partial') {newest}"
    )
    return (
        f"SELECT {shown} FROM ({with_price} UNION ALL {unpriced}) "
        "ORDER BY learned_ms DESC, tenant, partition, offset DESC LIMIT {limit:UInt32}",
        {**params, "limit": limit},
    )


def corrected_after_run() -> Query:
    """Calls that were corrected after a rating run priced them again: the run's charges for them no longer count. Tenant, call,
    the revision and run that it priced, the revision that counts."""
    source, params = _charges(0)
    return (
        "SELECT tenant, call_key, tupleElement(counted, 1) AS revision, tupleElement(counted, 2) AS run, "
        "tupleElement(priced_again, 1) AS run_revision, tupleElement(priced_again, 2) AS last_run FROM ("
        "SELECT tenant, partition, offset, call_key, max((revision, run)) AS counted, maxIf((revision, run), run > 0) AS priced_again "
        f"FROM {source} GROUP BY tenant, partition, offset, call_key) "
        "WHERE last_run > 0 AND counted > priced_again ORDER BY tenant, partition, offset LIMIT 1000",
        params,
    )


def completeness() -> Query:
    """One row per partition: first and last offset, received, the dispositions, `unexplained` (must be 0), `absent` (ticks, lost)."""
    return "SELECT * FROM completeness", {}


def absent_offsets(partition: int) -> Query:
    """Runs of offsets of a partition that have no row: each must be a tick in the journal, or it is lost."""
    return (
        "SELECT first_absent, last_absent, absent FROM absent_offsets WHERE partition = {partition:Int32} ORDER BY first_absent",
        {"partition": partition},
    )


def gaps(learned_before_ms: int = 2**53, limit: int = 1000) -> Query:
    """Sequence numbers that never arrived: tenant, switch, boot, first and last missing, their number, and between which times.
    `learned_before_ms`: as in `lost`."""
    return (
        "SELECT * FROM sequence_gaps WHERE learned_after < fromUnixTimestamp64Milli({learned_before_ms:Int64}, 'UTC') "
        "ORDER BY learned_after DESC, tenant, switch, boot_id, first_missing LIMIT {limit:UInt32}",
        {"limit": limit, "learned_before_ms": learned_before_ms},
    )


def lost(learned_before_ms: int, limit: int = 20, runs: int = 5) -> Query:
    """Per boot: how many numbers never arrived, and the first of them as runs (first, last); the latest gap first. Also the total, and the
    number of boots. `learned_before_ms`: the record behind a gap was received before then; later gaps may still be filled."""
    return (
        "SELECT tenant, switch, boot_id, sum(missing) AS lost, arraySlice(arraySort(groupArray((first_missing, last_missing))), 1, "
        "{runs:UInt8}) AS numbers, max(learned_after) AS last_learned, sum(lost) OVER () AS lost_in_all, count() OVER () AS boots "
        "FROM sequence_gaps WHERE learned_after < fromUnixTimestamp64Milli({learned_before_ms:Int64}, 'UTC') "
        "GROUP BY tenant, switch, boot_id ORDER BY last_learned DESC, tenant, switch, boot_id LIMIT {limit:UInt32}",
        {"learned_before_ms": learned_before_ms, "limit": limit, "runs": runs},
    )


def twins(limit: int = 1000) -> Query:
    """Sequence numbers that arrived in two partitions."""
    return "SELECT * FROM sequence_twins LIMIT {limit:UInt32}", {"limit": limit}


def orphans() -> Query:
    """Stops without an account, with the calls of the same Call-ID that have one: who might owe for them. A person decides, because the caller
    chooses the Call-ID: `candidates` is the number of calls that it fits."""
    stops, params = _records("partition, offset, event, disposition, account, switch, call_id, at_ms, reason", 0)
    calls, _ = _records("event, account, switch, call_id, call_key, ingress_trunk, b_number, at_ms", 0)
    return (
        "SELECT s.tenant AS tenant, s.switch AS switch, s.partition AS partition, s.offset AS offset, s.call_id AS call_id, "
        "fromUnixTimestamp64Milli(s.at_ms, 'UTC') AS ended, s.reason AS reason, c.account AS account, c.ingress_trunk AS ingress_trunk, "
        "c.b_number AS b_number, if(c.answered_ms = 0, NULL, fromUnixTimestamp64Milli(c.answered_ms, 'UTC')) AS answered, "
        "count() OVER (PARTITION BY s.partition, s.offset) AS candidates "
        f"FROM (SELECT * FROM {stops} WHERE event = 'stop' AND disposition = 'unrated' AND account = '' AND call_id != '') AS s "
        "JOIN (SELECT tenant, call_id, call_key, max(account) AS account, max(ingress_trunk) AS ingress_trunk, max(b_number) AS b_number, "
        f"maxIf(at_ms, event = 'answer') AS answered_ms FROM {calls} WHERE call_id != '' "
        "GROUP BY tenant, call_id, call_key HAVING account != '') AS c ON s.tenant = c.tenant AND s.call_id = c.call_id "
        "ORDER BY tenant, partition, offset, account LIMIT 1000",
        params,
    )


def unfinished(answered_before_ms: int) -> Query:
    """Calls that were answered before a time and have neither a price nor an unrated end: still in progress, or their end never arrived."""
    answers, params = _records("event, disposition, account, switch, call_id, call_key, b_number, at_ms", 0)
    ends, _ = _records("event, disposition, call_key", 0)
    rated, _ = _charges(0)
    return (
        "SELECT tenant, switch, account, call_id, b_number, fromUnixTimestamp64Milli(at_ms, 'UTC') AS answered "
        f"FROM {answers} WHERE event = 'answer' AND disposition = 'event' AND at_ms < {{answered_before_ms:Int64}} "
        f"AND call_key NOT IN (SELECT call_key FROM {rated}) "
        f"AND call_key NOT IN (SELECT call_key FROM {ends} WHERE event IN ('stop', 'partial') AND disposition = 'unrated') "
        "ORDER BY at_ms, call_id LIMIT 1000",
        {**params, "answered_before_ms": answered_before_ms},
    )


def in_progress(answered_from_ms: int) -> Query:
    """Calls that were answered since a time and have no end yet."""
    columns = "event, disposition, account, a_number, b_number, lrn, setup_ms, answer_ms, at_ms, call_key"
    answers, params = latest("records", columns, answered_from_ms, condition="event = 'answer'")
    return (
        f"SELECT tenant, account, a_number, b_number, lrn, setup_ms, coalesce(answer_ms, at_ms) AS answer_ms FROM {answers} "
        "WHERE disposition = 'event' AND b_number != '' AND call_key NOT IN (SELECT call_key FROM calls WHERE learned_ms >= {since_ms:Int64}) "
        "ORDER BY at_ms, call_key LIMIT 1 BY call_key",
        params,
    )


def answered(since_ms: int = 0, digits: int = 10) -> Query:
    """Answered calls that ended since then, by tenant, account, ingress trunk, a_number and the first digits of the b_number."""
    source, params = latest("calls", "account, ingress_trunk, a_number, b_number, answer_ms, learned_ms", since_ms)
    return (
        "SELECT tenant, account, ingress_trunk, a_number, substring(b_number, 1, {digits:UInt8}) AS b_number, count() AS calls "
        f"FROM {source} WHERE answer_ms IS NOT NULL GROUP BY tenant, account, ingress_trunk, a_number, b_number",
        {**params, "digits": digits},
    )


def durations(since_ms: int = 0, tenant: str = "", digits: int = 5) -> Query:
    """Attempts by the first digits of the number called and by their talk time in ms, in steps that get longer with it (1 s up to two minutes,
    then 10 s); 0 = not answered."""
    where, params = _where("learned_ms >= {since_ms:Int64}", since_ms, tenant, "")
    return (
        "SELECT substring(b_number, 1, {digits:UInt8}) AS digits, "
        "if(answered AND duration_ms > 0, if(duration_ms <= 120000, intDiv(duration_ms + 999, 1000), intDiv(duration_ms + 9999, 10000) * 10), 0) "
        "* 1000 AS talk_ms, count() AS attempts FROM (SELECT b_number, answered, duration_ms FROM attempts "
        f"WHERE {where} AND revision = 1) WHERE b_number != '' GROUP BY digits, talk_ms",
        {**params, "digits": digits},
    )


def answers(from_ms: int, to_ms: int, tenant: str = "", digits: int = 5) -> Query:
    """The attempts of a period, and how many were answered, by carrier and the first digits of the number called."""
    # Of an attempt we cannot learn before it was, but for a clock that is ahead: a day of grace.
    where, params = _where("learned_ms >= {since_ms:Int64}", from_ms - 86_400_000, tenant, "")
    return (
        "SELECT carrier, substring(b_number, 1, {digits:UInt8}) AS digits, count() AS attempts, countIf(answered) AS answers FROM attempts "
        f"WHERE {where} AND revision = 1 AND ifNull(at_ms, learned_ms) >= {{from_ms:Int64}} AND ifNull(at_ms, learned_ms) < {{to_ms:Int64}} "
        "AND b_number != '' AND carrier != '' GROUP BY carrier, digits",
        {**params, "from_ms": from_ms, "to_ms": to_ms, "digits": digits},
    )


_SECOND = "intDiv(learned_ms, 1000) * 1000"

COUNTING = "(run = 0 OR run IN (SELECT run FROM rating_runs_counting))"
"""Of a charge: whether its rating run counts."""

_AMOUNT = "toDecimal128(nanos, 9) / 1000000000"

_CALLS = "count() AS calls, countIf(answer_ms IS NOT NULL) AS answered, sum(billable_s) AS billable_s"

_MONEY = "sum(money.sell) AS sell, sum(money.buy) AS buy, if(sell_currency = buy_currency, sell - buy, NULL) AS margin"

_OF_CHARGES = "revision, run, role, level, attempt_no, segment"
"""With tenant, partition and offset: the key of a charge."""
KEY_OF_CHARGE = f"tenant, partition, offset, {_OF_CHARGES}"

_SOLD, _BOUGHT = "role = 'sell' AND level = 0", "role = 'buy'"

_PRICED = {
    "account": "any(account)",
    "answer_ms": f"minIf(start_ms, {_SOLD})",
    "learned_ms": "any(learned_ms)",
    "billable_s": f"sumIf(charged_s, {_SOLD})",
    "destination": f"anyIf(destination, {_SOLD})",
    "carrier": f"argMaxIf(carrier, (charged_s, attempt_no), {_BOUGHT})",
    "sell": f"sumIf({_AMOUNT}, {_SOLD})",
    "sell_currency": f"anyIf(currency, {_SOLD})",
    "buy": f"if(uniqExactIf(currency, {_BOUGHT}) > 1, NULL, sumIf({_AMOUNT}, {_BOUGHT}))",
    "buy_currency": (
        f"multiIf(uniqExactIf(currency, {_BOUGHT}) > 1, 'several', countIf({_BOUGHT}) = 0 AND countIf({_SOLD} AND start_ms IS NOT NULL) = 0, "
        f"anyIf(currency, {_SOLD}), anyIf(currency, {_BOUGHT}))"
    ),
}
"""Columns of one row per call, from its charges. Attempts bought in several currencies have no single sum; a call that was not answered and
cost nothing cost nothing in the currency in which it would have been sold."""


def _records(columns: str, since_ms: int, tenant: str = "") -> Query:
    return latest("records", columns, since_ms, tenant)


def _charges(since_ms: int, tenant: str = "", condition: str = "") -> Query:
    """Every charge of the runs that count, once, merged or not."""
    where, params = _where(f"learned_ms >= {{since_ms:Int64}} AND {COUNTING}" + (f" AND {condition}" if condition else ""), since_ms, tenant, "")
    key = ", ".join(f"{name} DESC" for name in _OF_CHARGES.split(", "))
    return (
        f"(SELECT * FROM charges WHERE {where} ORDER BY tenant DESC, partition DESC, offset DESC, {key} "
        f"LIMIT 1 BY tenant, partition, offset, {_OF_CHARGES})",
        params,
    )


def priced(columns: str, since_ms: int, tenant: str = "", condition: str = "") -> Query:
    """One row per call: the money that counts, and `columns` of `_PRICED`."""
    source, params = _charges(since_ms, tenant, condition)
    wanted = ", ".join(f"{_PRICED[name]} AS `{name}`" for name in columns.split(", "))
    # The inner names are the outer ones, so the aggregates must not see their own aliases.
    return (
        f"(SELECT charge.tenant AS tenant, charge.partition AS partition, charge.offset AS offset, {wanted} FROM {source} AS charge "
        "GROUP BY tenant, partition, offset, revision, run "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC, run DESC LIMIT 1 BY tenant, partition, offset "
        "SETTINGS prefer_column_name_to_alias = 1)",
        params,
    )


def counted(columns: str, where: str, whose: str = "") -> str:
    """The charges that count as rows with a `sign`, to add up `sign * nanos`: the first ones of each call, and what is `changed` of them."""
    first = f"{where} AND revision = 1 AND run = 0" + (f" AND {whose}" if whose else "")
    rows = f"SELECT {columns}, 1 AS sign FROM charges WHERE {first} ORDER BY {KEY_OF_CHARGE} LIMIT 1 BY {KEY_OF_CHARGE}"
    return f"({rows} UNION ALL SELECT * FROM {changed(columns, where, whose)})"


def changed(columns: str, where: str, whose: str = "") -> str:
    """Of the calls that were corrected or priced again: the first charges with the `sign` -1, and those of the highest revision and run with 1. Such
    calls are few; of all others nobody needs to look for the highest charges, which takes most of the time. `where`: tenant and time."""
    again = f"SELECT tenant, partition, offset FROM charges WHERE {where} AND {COUNTING} AND (revision > 1 OR run > 0)"
    mine = f"{where} AND {COUNTING} AND (tenant, partition, offset) IN ({again})" + (f" AND {whose}" if whose else "")
    return (
        f"(SELECT {columns}, toInt8(version = top) - toInt8(version = (1, 0)) AS sign FROM ("
        f"SELECT {columns}, (revision, run) AS version, max((revision, run)) OVER (PARTITION BY tenant, partition, offset) AS top FROM ("
        f"SELECT * FROM charges WHERE {mine} ORDER BY {KEY_OF_CHARGE} LIMIT 1 BY {KEY_OF_CHARGE})) WHERE sign != 0)"
    )


def latest(table: str, columns: str, since_ms: int, tenant: str = "", condition: str = "") -> Query:
    """The highest revisions, as in the views, with the filter inside, where it saves reading. `condition`: on what no revision changes."""
    where, params = _where("learned_ms >= {since_ms:Int64}" + (f" AND {condition}" if condition else ""), since_ms, tenant, "")
    columns = columns if "tenant" in columns.split(", ") else f"tenant, {columns}"
    return (
        f"(SELECT {columns} FROM {table} WHERE {where} "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset)",
        params,
    )


def _mended(condition: str) -> str:
    """The records of a disposition, and every later revision: what reads these few rows sees what a mending made of each. Ask for the
    disposition of the result as well."""
    return f"({condition} OR revision > 1)"


def _where(condition: str, since_ms: int, tenant: str, account: str) -> Query:
    params: dict[str, Any] = {"since_ms": since_ms}
    if tenant:
        condition += " AND tenant = {tenant:String}"
        params["tenant"] = tenant
    if account:
        condition += " AND account = {account:String}"
        params["account"] = account
    return condition, params
