"""What the controls of the money ask of the warehouse: questions as values (`assurance.controls`).

Calls and their charges are read slice by slice (`warehouse.slices`), records and hours day by day of learning: each answer fits what the store
gives to one query, however long the month is. A period is a stretch of time, `from_ms` to before `to_ms`.
"""

from __future__ import annotations

from collections.abc import Iterable

from warehouse.queries import COUNTING, KEY_OF_CHARGE, Query, changed
from warehouse.retention import DAY_MS
from warehouse.slices import SLICE, Slice

WEEKS_BEFORE = 4
BAND = 65_536
"""Numbers of a switch's sequence that are counted together."""

_DAY = "learned_ms >= {from_ms:Int64} AND learned_ms < {to_ms:Int64}"
_TENANTS = "tenant IN ({tenant:String}, '')"


def days(table: str, tenant: str, since_ms: int) -> Query:
    """The days of learning since a moment that have rows of a table, as `from_ms` and `to_ms`."""
    day = f"intDiv(learned_ms, {DAY_MS})"
    return (
        f"SELECT {day} * {DAY_MS} AS from_ms, from_ms + {DAY_MS} AS to_ms FROM {table} WHERE {_TENANTS} AND learned_ms >= {{since_ms:Int64}} "
        "GROUP BY from_ms ORDER BY from_ms",
        {"tenant": tenant, "since_ms": since_ms},
    )


def records(tenant: str, from_ms: int, to_ms: int) -> Query:
    """Records that we learned of in a stretch of a day: how many by switch, event, disposition and reason, and of unrated ones by account; the
    oldest, and the talk of them all."""
    return (
        "SELECT switch, event, disposition, reason, if(disposition = 'unrated', account, '') AS whose, toInt64(count()) AS records, "
        "min(learned_ms) AS oldest_ms, toInt64(sum(ifNull(duration_ms, 0))) AS talk_ms FROM ("
        f"SELECT switch, event, disposition, reason, account, learned_ms, duration_ms FROM records WHERE {_TENANTS} AND {_DAY} "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset) "
        "GROUP BY switch, event, disposition, reason, whose",
        {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms},
    )


def ends_of_day(day: str) -> Query:
    """How many records that end a call we learned of on a day (as `queries.days` names it), by tenant and disposition. Of the others only later
    revisions are read: a mending may make an end of what could not be read."""
    return (
        "SELECT tenant, disposition, toInt64(count()) AS records FROM ("
        "SELECT tenant, event, disposition FROM records WHERE toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC')) = {day:UInt32} "
        "AND (event = 'stop' OR revision > 1) "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset) "
        "WHERE event = 'stop' GROUP BY tenant, disposition",
        {"day": int(day)},
    )


def hours(tenant: str, from_ms: int, to_ms: int) -> Query:
    """Calls of a day of learning by switch, trunk and hour of their end (since 1970). First revisions: a correction is no new call."""
    return (
        "SELECT switch, ingress_trunk, intDiv(assumeNotNull(end_ms), 3600000) AS hour, toInt64(count()) AS calls FROM ("
        f"SELECT switch, ingress_trunk, end_ms FROM calls WHERE tenant = {{tenant:String}} AND {_DAY} AND revision = 1 "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset) "
        "WHERE end_ms IS NOT NULL GROUP BY switch, ingress_trunk, hour",
        {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms},
    )


def sequence(tenant: str, from_ms: int, to_ms: int) -> Query:
    """The numbers that came of each boot of the tenant's switches, since a day before the period: by bands of `BAND` numbers the first, the last and
    how many. A sequence is its switch's, whosever the records are."""
    mine = f"SELECT switch FROM records WHERE {_TENANTS} AND {_DAY}"
    return (
        f"SELECT switch, boot_id, intDiv(assumeNotNull(seq), {BAND}) AS band, toInt64(assumeNotNull(min(seq))) AS first, "
        "toInt64(assumeNotNull(max(seq))) AS last, "
        "toInt64(groupBitmap(toUInt64(assumeNotNull(seq)))) AS have, min(learned_ms) AS from_ms, max(learned_ms) AS to_ms FROM records "
        f"WHERE learned_ms >= {{since_ms:Int64}} AND seq IS NOT NULL AND seq >= 0 AND boot_id != '' AND switch IN ({mine}) "
        "GROUP BY switch, boot_id, band ORDER BY switch, boot_id, band",
        {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS},
    )


def earlier_numbers(tenant: str, from_ms: int, to_ms: int) -> Query:
    """The highest number of each boot of before a day before the period, and when we learned of it."""
    mine = f"SELECT switch, boot_id FROM records WHERE {_TENANTS} AND {_DAY}"
    return (
        "SELECT switch, boot_id, toInt64(assumeNotNull(max(seq))) AS last, max(learned_ms) AS to_ms FROM records "
        f"WHERE learned_ms < {{since_ms:Int64}} AND seq IS NOT NULL AND (switch, boot_id) IN ({mine}) GROUP BY switch, boot_id",
        {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS},
    )


def numbers(switch: str, boot_id: str, band: int, since_ms: int) -> Query:
    """The numbers of a band that came, and when we learned of each."""
    return (
        "SELECT toInt64(assumeNotNull(seq)) AS number, min(records.learned_ms) AS learned_ms FROM records WHERE switch = {switch:String} "
        "AND boot_id = {boot_id:String} AND records.learned_ms >= {since_ms:Int64} AND seq >= {first:Int64} AND seq < {end:Int64} "
        "GROUP BY seq ORDER BY number",
        {"switch": switch, "boot_id": boot_id, "since_ms": since_ms, "first": band * BAND, "end": (band + 1) * BAND},
    )


def oldest_kept_days() -> Query:
    """For how many days records are kept, 0 = for good."""
    return "SELECT toInt64(argMax(days, set_ms)) AS days FROM retention WHERE `table` = 'records'", {}


def corrected(tenant: str, from_ms: int, to_ms: int) -> Query:
    """How many calls were corrected after a rating run priced them, by that run."""
    mine = "tenant = {tenant:String} AND learned_ms >= {since_ms:Int64}"
    moment = "coalesce(start_ms, end_ms)"
    return (
        "SELECT last_run AS run, toInt64(count()) AS calls, toInt64(0) AS nanos, '' AS currency FROM ("
        "SELECT max((revision, run)) AS counted, maxIf((revision, run), run > 0) AS priced_again, tupleElement(priced_again, 2) AS last_run, "
        f"min({moment}) AS at_ms FROM charges WHERE {mine} AND {COUNTING} AND (partition, offset) IN "
        f"(SELECT partition, offset FROM charges WHERE {mine} AND run > 0) GROUP BY tenant, partition, offset) "
        "WHERE at_ms >= {from_ms:Int64} AND at_ms < {to_ms:Int64} AND counted > priced_again AND last_run > 0 GROUP BY run",
        {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS},
    )


def by_the_view(of: Slice, since_ms: int) -> Query:
    """What the view of the charges that count says of a slice, by role and currency."""
    return (
        f"SELECT role, currency, accurateCast(sum(toInt128(nanos)), 'Int64') AS nanos FROM charges_counted WHERE {SLICE} GROUP BY role, currency",
        of._asdict() | {"since_ms": since_ms},
    )


def names_of_calls(tenant: str, keys: Iterable[tuple[int, int]], since_ms: int) -> Query:
    """Account and number called of some calls, by partition and offset."""
    listed = ", ".join(f"({int(partition)}, {int(offset)})" for partition, offset in keys) or "(-1, -1)"
    return (
        "SELECT partition, offset, account, b_number FROM calls WHERE tenant = {tenant:String} AND learned_ms >= {since_ms:Int64} "
        f"AND (partition, offset) IN ({listed}) "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset",
        {"tenant": tenant, "since_ms": since_ms},
    )


_MOMENT = "coalesce(start_ms, end_ms)"
_NANOS = "accurateCast(sum(toInt128(nanos) * sign), 'Int64')"


def first_sold_of_day(day: str) -> Query:
    """What customers were to pay by the first charges that we learned of on a day, by tenant, the day of the call (since 1970) and currency. With
    `sold_again` it is what they owe."""
    return (
        f"SELECT tenant, intDiv({_MOMENT}, {DAY_MS}) AS day, currency, accurateCast(sum(toInt128(nanos)), 'Int64') AS nanos FROM ("
        "SELECT tenant, currency, nanos, start_ms, end_ms FROM charges "
        "WHERE toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC')) = {day:UInt32} "
        f"AND revision = 1 AND run = 0 AND role = 'sell' AND level = 0 ORDER BY {KEY_OF_CHARGE} LIMIT 1 BY {KEY_OF_CHARGE}) "
        "GROUP BY tenant, day, currency",
        {"day": int(day)},
    )


def sold_again(tenant: str, from_ms: int, to_ms: int) -> Query:
    """By currency, how much more customers owe for the calls of the period than by their first charges: what corrections and rating runs changed."""
    return (
        f"SELECT currency, {_NANOS} AS nanos FROM {changed('tenant, role, level, nanos, currency, start_ms, end_ms', _SINCE)} "
        f"WHERE role = 'sell' AND level = 0 AND {_MOMENT} >= {{from_ms:Int64}} AND {_MOMENT} < {{to_ms:Int64}} GROUP BY currency ORDER BY currency",
        {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS},
    )


_SINCE = "tenant = {tenant:String} AND learned_ms >= {since_ms:Int64}"
