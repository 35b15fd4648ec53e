"""What the controls of the money ask of the warehouse: questions as values, by the names that controls need (`assurance.controls`).

A period is a stretch of time in which calls ended, `from_ms` to before `to_ms`. Every revision is read from a day before it on, so that the highest
one counts whenever it came. Money is Int64 nanos per row of an answer: a group of calls of one currency.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import polars as pl
from clickhouse_connect.driver.client import Client

from warehouse.faults import explained
from warehouse.queries import COUNTING, Query

Question: TypeAlias = Callable[[str, int, int], Query]
DAY_MS = 86_400_000
WEEKS_BEFORE = 4
AT_MOST = 2_000
"""Rows of an answer: what is beyond it is found again when these are mended."""

_KEY = "tenant, partition, offset, revision, run, role, level, attempt_no, segment"
_MINE = "tenant = {tenant:String} AND learned_ms >= {since_ms:Int64}"
_INSIDE = "coalesce(end_ms, learned_ms) >= {from_ms:Int64} AND coalesce(end_ms, learned_ms) < {to_ms:Int64}"
_SOLD, _BOUGHT = "role = 'sell' AND level = 0", "role = 'buy'"


def frame(client: Client, query: Query) -> pl.DataFrame:
    """The answer to a question."""
    sql, params = query
    with explained(client.uri):
        # Aggregates have the names of their columns: they must not see their own aliases.
        table = client.query_arrow(sql, parameters=params, settings={"prefer_column_name_to_alias": 1}, use_strings=True)
    return pl.DataFrame(pl.from_arrow(table))


def _params(tenant: str, from_ms: int, to_ms: int) -> dict[str, object]:
    return {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS}


def _calls(columns: str) -> str:
    """The calls of the period in their highest revision."""
    inner = f"SELECT {columns}, tenant, partition, offset, learned_ms, end_ms FROM calls WHERE {_MINE} "
    highest = "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset"
    return f"(SELECT * FROM ({inner}{highest}) WHERE {_INSIDE})"


def _money() -> str:
    """One row per call of the period: what counts of its charges."""
    each = f"SELECT * FROM charges WHERE {_MINE} AND {COUNTING} ORDER BY {_KEY} LIMIT 1 BY {_KEY}"
    return (
        "(SELECT tenant, partition, offset, any(call_key) AS call_key, any(account) AS account, revision, run, any(record_offset) AS record_offset, "
        "anyIf(carrier, carrier != '') AS carrier, any(end_ms) AS end_ms, any(learned_ms) AS learned_ms, min(start_ms) AS start_ms, "
        f"sumIf(nanos, {_SOLD}) AS sell, anyIf(currency, {_SOLD}) AS sell_currency, anyIf(destination, {_SOLD}) AS destination, "
        f"sumIf(charged_s, {_SOLD}) AS sell_s, anyIf(per_min_nanos, {_SOLD}) AS sell_rate, countIf({_SOLD}) AS sales, anyIf(deck, {_SOLD}) AS "
        f"sell_deck, "
        f"sumIf(nanos, {_BOUGHT}) AS buy, anyIf(currency, {_BOUGHT}) AS buy_currency, sumIf(charged_s, {_BOUGHT}) AS buy_s, "
        f"anyIf(per_min_nanos, {_BOUGHT} AND start_ms IS NOT NULL) AS buy_rate, countIf({_BOUGHT} AND start_ms IS NOT NULL) AS purchases, "
        f"countIf({_BOUGHT} AND start_ms IS NOT NULL AND (deck != '' OR nanos != 0)) AS priced_purchases FROM (SELECT * FROM ({each}) WHERE "
        f"{_INSIDE}) "
        "GROUP BY tenant, partition, offset, revision, run ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC, run DESC "
        "LIMIT 1 BY tenant, partition, offset)"
    )


def _nanos(expression: str) -> str:
    return f"accurateCast(sum(toInt128({expression})), 'Int64')"


def _asked(sql: str) -> Question:
    return lambda tenant, from_ms, to_ms: (sql, _params(tenant, from_ms, to_ms))


_TIME = "formatDateTime(fromUnixTimestamp64Milli(assumeNotNull({}), 'UTC'), '%Y-%m-%d %H:%i:%S')"
_RECORDS = (
    "(SELECT switch, event, disposition, reason, account, at_ms, learned_ms, duration_ms, answer_ms FROM records "
    "WHERE tenant IN ({tenant:String}, '') AND learned_ms >= {from_ms:Int64} AND learned_ms < {to_ms:Int64} "
    "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset)"
)
_ANSWERED = _calls("call_key, account, switch, ingress_trunk, carrier, a_number, b_number, answer_ms, duration_ms, suspected_hung")
_GROUPED = "toInt64(count()) AS calls"


def _same(condition: str, columns: str, where: str) -> str:
    """Calls of one account and one pair of numbers that follow each other."""
    ordered = (
        "SELECT account, b_number, answer_ms, duration_ms, call_key, partition, offset, "
        "lagInFrame(answer_ms) OVER pair AS answer_before, lagInFrame(duration_ms) OVER pair AS duration_before, row_number() OVER pair AS place "
        f"FROM {_ANSWERED} WHERE answer_ms IS NOT NULL AND b_number != '' "
        "WINDOW pair AS (PARTITION BY account, a_number, b_number ORDER BY answer_ms, duration_ms, partition, offset)"
    )
    return (
        f"SELECT {columns} FROM (SELECT * FROM ({ordered}) WHERE place > 1 AND {condition}) AS c "
        f"LEFT JOIN {_money()} AS m ON c.partition = m.partition AND c.offset = m.offset {where} LIMIT {AT_MOST}"
    )


def _hours(tenant: str, from_ms: int, to_ms: int) -> Query:
    sql = (
        "SELECT c.switch AS switch, c.ingress_trunk AS ingress_trunk, intDiv(assumeNotNull(c.end_ms), 3600000) AS hour, toInt64(count()) AS calls, "
        f"{_nanos('m.sell')} AS nanos, any(m.sell_currency) AS currency FROM {_ANSWERED} AS c LEFT JOIN {_money()} AS m "
        "ON c.partition = m.partition AND c.offset = m.offset WHERE c.end_ms IS NOT NULL GROUP BY switch, ingress_trunk, hour"
    )
    return sql, _params(tenant, from_ms - WEEKS_BEFORE * 7 * DAY_MS, to_ms)


_CAUSE = "multiIf(m.sell_rate < m.buy_rate, 'price per minute', m.sell_s < m.buy_s, 'charged seconds', 'fees')"
_LATE_MS = 3_600_000

QUESTIONS: dict[str, Question] = {
    "looked": _asked(f"SELECT toInt64(count()) AS calls FROM {_calls('answer_ms')} WHERE answer_ms IS NOT NULL"),
    "records": _asked(f"SELECT toInt64(count()) AS records FROM {_RECORDS}"),
    "charges": _asked(f"SELECT toInt64(count()) AS charges FROM (SELECT * FROM charges WHERE {_MINE} AND {COUNTING}) WHERE {_INSIDE}"),
    "ends": _asked(f"SELECT disposition, toInt64(count()) AS records FROM {_RECORDS} WHERE event = 'stop' GROUP BY disposition"),
    "sold": _asked(
        f"SELECT m.sell_currency AS currency, {_GROUPED}, {_nanos('m.sell')} AS nanos FROM {_money()} AS m WHERE m.sales > 0 GROUP BY currency "
        "ORDER BY currency"
    ),
    "switches": _asked(
        f"SELECT r.switch AS switch, toInt64(any(r.records)) AS records, any(m.nanos) AS nanos, any(m.currency) AS currency FROM "
        f"(SELECT switch, count() AS records FROM {_RECORDS} GROUP BY switch) AS r LEFT JOIN (SELECT c.switch AS switch, {_nanos('p.sell')} AS "
        f"nanos, "
        f"any(p.sell_currency) AS currency FROM {_ANSWERED} AS c JOIN {_money()} AS p ON c.partition = p.partition AND c.offset = p.offset "
        f"GROUP BY switch) AS m "
        "ON r.switch = m.switch GROUP BY switch"
    ),
    "gaps": _asked(
        "SELECT switch, boot_id, toInt64(first_missing) AS first_missing, toInt64(last_missing) AS last_missing, toInt64(missing) AS missing FROM "
        "sequence_gaps WHERE tenant IN ({tenant:String}, '') AND learned_after >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') "
        f"AND learned_after < fromUnixTimestamp64Milli({{to_ms:Int64}}, 'UTC') LIMIT {AT_MOST}"
    ),
    "hours": _hours,
    "duplicates": _asked(_same(
        "answer_ms = answer_before AND duration_ms = duration_before",
        f"c.account AS account, c.b_number AS b_number, {_TIME.format('c.answer_ms')} AS at, toInt64(count()) AS calls, {_nanos('m.sell')} AS nanos, "
        "any(m.sell_currency) AS currency",
        "WHERE m.sales > 0 GROUP BY account, b_number, c.answer_ms ORDER BY nanos DESC",
    )),
    "suspects": _asked(_same(
        "answer_ms - answer_before <= 2000 AND abs(duration_ms - duration_before) <= 1000 AND NOT (answer_ms = answer_before AND "
        "duration_ms = duration_before)",
        f"c.account AS account, c.b_number AS b_number, {_TIME.format('c.answer_ms')} AS at, toInt64(assumeNotNull(c.answer_ms - c.answer_before)) "
        "AS apart_ms, toInt64(1) AS calls, m.sell AS nanos, m.sell_currency AS currency", "WHERE m.sales > 0 ORDER BY nanos DESC",
    )),
    "late": _asked(
        f"SELECT c.switch AS switch, toString(toDate(fromUnixTimestamp64Milli(assumeNotNull(c.end_ms), 'UTC'))) AS day, {_GROUPED}, "
        f"toInt64(max(intDiv(c.learned_ms - c.end_ms, 3600000))) AS hours, {_nanos('m.sell')} AS nanos, any(m.sell_currency) AS currency FROM "
        f"{_ANSWERED} AS c "
        "LEFT JOIN " + _money() + f" AS m ON c.partition = m.partition AND c.offset = m.offset WHERE c.learned_ms - c.end_ms > {_LATE_MS} "
        "GROUP BY switch, day ORDER BY day, switch"
    ),
    "hung": _asked(
        f"SELECT c.ingress_trunk AS ingress_trunk, c.carrier AS carrier, {_GROUPED}, {_nanos('m.sell')} AS nanos, any(m.sell_currency) AS currency "
        f"FROM {_ANSWERED} AS c LEFT JOIN {_money()} AS m ON c.partition = m.partition AND c.offset = m.offset WHERE c.suspected_hung "
        "GROUP BY ingress_trunk, carrier ORDER BY nanos DESC"
    ),
    "rejects": _asked(
        f"SELECT switch, disposition, reason, toInt64(count()) AS records, {_TIME.format('min(learned_ms)')} AS oldest, toInt64(0) AS nanos, '' "
        f"AS currency "
        f"FROM {_RECORDS} WHERE disposition IN ('reject', 'conflict') GROUP BY switch, disposition, reason ORDER BY records DESC LIMIT {AT_MOST}"
    ),
    "unrated": _asked(
        f"SELECT r.account AS account, r.reason AS reason, toInt64(count()) AS records, {_TIME.format('min(r.learned_ms)')} AS oldest, "
        "toInt64(sum(ifNull(r.duration_ms, 0)) / 1000 * any(a.per_s)) AS nanos, any(a.currency) AS currency "
        f"FROM {_RECORDS} AS r LEFT JOIN (SELECT account, sum(sell) / greatest(sum(sell_s), 1) AS per_s, any(sell_currency) AS currency FROM "
        f"{_money()} "
        "GROUP BY account) AS a ON r.account = a.account WHERE r.disposition = 'unrated' AND r.event IN ('stop', 'partial') "
        f"GROUP BY account, reason ORDER BY records DESC LIMIT {AT_MOST}"
    ),
    "orphan_stops": _asked(
        f"SELECT switch, toInt64(count()) AS records, {_TIME.format('min(learned_ms)')} AS oldest, toInt64(0) AS nanos, '' AS currency FROM "
        f"{_RECORDS} "
        "WHERE event = 'stop' AND disposition = 'unrated' AND account = '' GROUP BY switch"
    ),
    "unsold": _asked(
        f"SELECT c.account AS account, c.ingress_trunk AS ingress_trunk, {_GROUPED}, {_nanos('m.buy')} AS nanos, any(m.buy_currency) AS currency "
        f"FROM {_ANSWERED} AS c LEFT JOIN {_money()} AS m ON c.partition = m.partition AND c.offset = m.offset "
        "WHERE c.answer_ms IS NOT NULL AND m.sales = 0 GROUP BY account, ingress_trunk ORDER BY calls DESC"
    ),
    "zero_rated": _asked(
        f"SELECT m.account AS account, m.destination AS destination, {_GROUPED}, {_nanos('m.buy')} AS nanos, any(m.buy_currency) AS currency "
        f"FROM {_money()} AS m "
        "WHERE m.sales > 0 AND m.sell = 0 AND m.start_ms IS NOT NULL GROUP BY account, destination ORDER BY nanos DESC, calls DESC"
    ),
    "one_sided": _asked(
        f"SELECT m.carrier AS carrier, m.destination AS destination, {_GROUPED}, {_nanos('m.sell')} AS nanos, any(m.sell_currency) AS currency "
        f"FROM {_money()} AS m WHERE m.start_ms IS NOT NULL AND m.carrier != '' AND m.sell != 0 AND m.priced_purchases = 0 "
        "GROUP BY carrier, destination ORDER BY nanos DESC"
    ),
    "losses": _asked(
        f"SELECT m.account AS account, m.carrier AS carrier, m.destination AS destination, {_CAUSE} AS cause, {_GROUPED}, "
        f"{_nanos('m.buy - m.sell')} AS nanos, "
        f"any(m.sell_currency) AS currency FROM {_money()} AS m WHERE m.sell_currency = m.buy_currency AND m.buy > m.sell AND m.sales > 0 "
        "AND m.sell != 0 GROUP BY account, carrier, destination, cause ORDER BY nanos DESC"
    ),
    "carriers": _asked(
        f"SELECT m.carrier AS carrier, {_nanos('m.buy')} AS nanos, any(m.buy_currency) AS currency FROM {_money()} AS m WHERE m.purchases > 0 "
        "GROUP BY carrier ORDER BY nanos DESC"
    ),
    "corrected": _asked(
        "SELECT last_run AS run, toInt64(count()) AS calls, toInt64(0) AS nanos, '' AS currency FROM ("
        "SELECT max((revision, run)) AS counted, maxIf((revision, run), run > 0) AS priced_again, tupleElement(priced_again, 2) AS last_run "
        f"FROM (SELECT * FROM charges WHERE {_MINE} AND {COUNTING} ORDER BY {_KEY} LIMIT 1 BY {_KEY}) WHERE {_INSIDE} GROUP BY tenant, "
        f"partition, offset) "
        "WHERE last_run > 0 AND counted > priced_again GROUP BY run"
    ),
    "views": _asked(
        "SELECT b.role AS role, b.currency AS currency, accurateCast(v.nanos - b.nanos, 'Int64') AS nanos, toString(v.nanos / 1000000000) AS "
        "view_text, "
        "toString(b.nanos / 1000000000) AS base_text FROM (SELECT role, currency, sum(toInt128(nanos)) AS nanos FROM charges_counted "
        f"WHERE {_MINE} AND {_INSIDE} GROUP BY role, currency) AS v FULL JOIN (SELECT role, currency, sum(toInt128(nanos)) AS nanos FROM ("
        "SELECT tenant, partition, offset, revision, run, role, level, attempt_no, segment, any(nanos) AS nanos, any(currency) AS currency, "
        f"any(end_ms) AS end_ms, any(learned_ms) AS learned_ms FROM charges WHERE {_MINE} AND {COUNTING} GROUP BY {_KEY}) AS c WHERE {_INSIDE} "
        f"AND (partition, "
        f"offset, "
        f"(revision, run)) IN (SELECT partition, offset, max((revision, run)) FROM charges WHERE {_MINE} AND {COUNTING} GROUP BY partition, offset) "
        "GROUP BY role, currency) AS b ON v.role = b.role AND v.currency = b.currency WHERE v.nanos != b.nanos"
    ),
    "charged": _asked(
        "SELECT h.role AS role, h.level AS level, h.account AS account, h.carrier AS carrier, h.attempt_no AS attempt_no, h.run AS run, "
        "h.config_version AS config_version, h.call_key AS call_key, h.start_ms AS start_ms, h.end_ms AS end_ms, h.nanos AS nanos, h.currency "
        "AS currency, "
        "h.deck AS deck, c.a_number AS a_number, c.b_number AS b_number, c.lrn AS lrn, c.setup_ms AS setup_ms, c.duration_ms AS duration_ms, "
        "c.legs AS legs FROM (SELECT tenant, partition, offset, role, level, attempt_no, any(account) AS account, any(carrier) AS carrier, "
        "any(run) AS run, "
        "any(config_version) AS config_version, any(call_key) AS call_key, min(start_ms) AS start_ms, any(end_ms) AS end_ms, sum(nanos) AS nanos, "
        "any(currency) AS currency, any(deck) AS deck FROM (SELECT *, max((revision, run)) OVER (PARTITION BY tenant, partition, offset) AS top "
        "FROM ("
        f"SELECT * FROM charges WHERE {_MINE} AND {COUNTING} ORDER BY {_KEY} LIMIT 1 BY {_KEY})) WHERE (revision, run) = top AND {_INSIDE} AND "
        f"level = 0 "
        "GROUP BY tenant, partition, offset, role, level, attempt_no) AS h JOIN "
        + _calls("call_key, a_number, b_number, lrn, setup_ms, answer_ms, duration_ms, attempts AS legs")
        + " AS c ON h.partition = c.partition AND h.offset = c.offset WHERE h.start_ms IS NOT NULL AND h.deck != ''"
    ),
}
"""Name of a frame -> what it asks. Every answer names `nanos` and `currency` where it is about money."""
