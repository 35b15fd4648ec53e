"""All that is known of one subject: its traffic against its own past, its money, its partners, its alerts and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from books import Connection, alerts, orders
from books.orders import Blocked
from core.numbers import number_of, range_of
from core.orders import Finding, Key
from services import blocks
from services.errors import BadArgument
from warehouse import Query, subjects

Ask = Callable[[Query], list[dict[str, Any]]]
"""Runs a query of the warehouse."""

KINDS = ("number", "range", "account", "carrier", "trunk")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
PAST_DAYS = 7
MOST_ALERTS = 500
"""Of a tenant's newest, that are looked through for those of a subject."""


class Step(NamedTuple):
    """A step of time. `money`: (currency, sold, bought), one per currency."""

    at_ms: int
    calls: int = 0
    answered: int = 0
    talk_ms: int = 0
    money: tuple[tuple[str, Decimal, Decimal], ...] = ()

    def sold(self, currency: str) -> Decimal:
        return next((sold for name, sold, _ in self.money if name == currency), Decimal(0))


class Partner(NamedTuple):
    name: str
    calls: int
    answered: int
    talk_ms: int


class Destination(NamedTuple):
    """`buy` is 0 where nothing was bought; it is in `buy_currency`."""

    name: str
    calls: int
    billable_s: int
    sell_currency: str
    sell: Decimal
    buy_currency: str
    buy: Decimal


@dataclass(frozen=True)
class Traffic:
    """Steps of a length, the oldest first: those of now, and the mean of the same steps of the days before ("its normal").

    `past_days`: how many days of the past have calls; 0 = nothing is known of its normal.
    """

    step_ms: int
    now: tuple[Step, ...]
    normal: tuple[Step, ...]
    past_days: float
    currencies: tuple[str, ...]


@dataclass(frozen=True)
class Sums:
    """Answered calls of a period."""

    calls: int
    callers: int
    called: int
    talk_ms: int
    money: tuple[tuple[str, Decimal, Decimal], ...]


def parse(conn: Connection, kind: str, typed: str) -> str:
    """The value of a subject as it is stored: of a number and a range the digits, read by the dial plan. Raises `BadArgument`."""
    typed = typed.strip()
    if kind not in KINDS:
        raise BadArgument(f"There is no kind of subject {kind!r}: {', '.join(KINDS)}.")
    if not typed or len(typed) > 128:
        raise BadArgument(f"Enter the {kind}.")
    if kind not in ("number", "range"):
        return typed
    try:
        return (number_of if kind == "number" else range_of)(typed, blocks.plan(conn))
    except ValueError as wrong:
        raise BadArgument(str(wrong)) from None


def fields_of(key: Key) -> dict[str, str]:
    """The calls of a key as a subject.

    >>> fields_of(Key(tenant="t1", account="acme", b_range="88213"))
    {'account': 'acme', 'b_range': '88213'}
    """
    found = {"account": key.account, "ingress_trunk": key.ingress_trunk, "a_number": key.a_number, "b_range": key.b_range}
    return {name: value for name, value in found.items() if value}


def day(ask: Ask, subject: Mapping[str, str], tenant: str, now_ms: int) -> Traffic:
    """The last 24 hours by hour, without their normal: see `beside_hours`."""
    start_ms = day_of(now_ms)
    return _traffic(ask, subject, tenant, range(start_ms, start_ms + DAY_MS, HOUR_MS))


def day_of(now_ms: int) -> int:
    """When the 24 hours of `day` begin: with a full hour.

    >>> day_of(DAY_MS + 1)
    3600000
    """
    return now_ms - now_ms % HOUR_MS + HOUR_MS - DAY_MS


def hour(ask: Ask, subject: Mapping[str, str], tenant: str, now_ms: int) -> Traffic:
    """The last hour by minute, without its normal: see `beside_mean`."""
    end_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS
    return _traffic(ask, subject, tenant, range(end_ms - HOUR_MS, end_ms, MINUTE_MS))


def hour_of(now_ms: int) -> int:
    """Before when the past of `hour` ends: with a full hour, so that it is asked for once an hour.

    >>> hour_of(3 * HOUR_MS + MINUTE_MS)
    7200000
    """
    start_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS - HOUR_MS
    return start_ms - start_ms % HOUR_MS


def week_before(ask: Ask, subject: Mapping[str, str], tenant: str, before_ms: int) -> dict[int, Step]:
    """The hours of the seven days before a full hour. It has many times the calls of what is shown beside it: asked for apart, nobody waits."""
    return _steps(ask, subject, tenant, before_ms - PAST_DAYS * DAY_MS, before_ms, HOUR_MS)


def beside_hours(today: Traffic, past: Mapping[int, Step]) -> Traffic:
    """The hours of a day beside the mean of the same hours of `week_before`."""
    start_ms = today.now[0].at_ms
    days = min(PAST_DAYS, -(-max(0, start_ms - min(past, default=start_ms)) // DAY_MS))
    backs = range(1, days + 1)
    normal = [mean([past[at] for back in backs if (at := one.at_ms - back * DAY_MS) in past], days, one.at_ms) for one in today.now] if days else []
    return replace(today, normal=tuple(normal), past_days=days, currencies=_currencies([*past.values(), *today.now]))


def beside_mean(traffic: Traffic, past: Mapping[int, Step], before_ms: int) -> Traffic:
    """The steps of an hour beside the mean step of `week_before`, which ended at `before_ms`: from its first call on."""
    known_ms = before_ms - min(past, default=before_ms)
    of_all = [mean(list(past.values()), known_ms // traffic.step_ms, one.at_ms) for one in traffic.now] if known_ms else []
    return replace(traffic, normal=tuple(of_all), past_days=known_ms / DAY_MS, currencies=_currencies([*past.values(), *traffic.now]))


def mean(steps: Sequence[Step], count: int, at_ms: int) -> Step:
    """The mean over `count` steps, of which those without a call are left out in `steps`.

    >>> mean([Step(0, 4, 2, 1000, (("EUR", Decimal(6), Decimal(2)),))], 2, 7)
    Step(at_ms=7, calls=2, answered=1, talk_ms=500, money=(('EUR', Decimal('3'), Decimal('1')),))
    """
    money = tuple((name, sold / count, bought / count) for name, sold, bought in _added([one for step in steps for one in step.money]))
    calls, answered, talk_ms = (sum(getattr(step, name) for step in steps) for name in ("calls", "answered", "talk_ms"))
    return Step(at_ms, round(calls / count), round(answered / count), round(talk_ms / count), money)


def partners(ask: Ask, subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int, by: str) -> list[Partner]:
    """With whom it talks most, by one of `warehouse.subjects.GROUPS`."""
    rows = ask(subjects.partners(subject, tenant, from_ms, to_ms, by))
    return [Partner(row["name"], row["calls"], row["answered"], row["talk_ms"]) for row in rows]


def destinations(ask: Ask, subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int) -> list[Destination]:
    """Where its money goes."""
    return [
        Destination(
            row["destination"], row["calls"], row["billable_s"], row["sell_currency"], row["sell"] or Decimal(0), row["buy_currency"],
            row["buy"] or Decimal(0),
        )
        for row in ask(subjects.destinations(subject, tenant, from_ms, to_ms))
    ]  # fmt: skip


def summed(ask: Ask, subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int) -> Sums:
    """Its answered calls in a period: what a block of a key would have refused."""
    row = ask(subjects.summed(subject, tenant, from_ms, to_ms))[0]
    money = _money(ask(subjects.money_by_step(subject, tenant, from_ms, to_ms, 1 << 50)))
    return Sums(row["calls"], row["callers"], row["called"], row["talk_ms"], tuple(one for found in money.values() for one in found))


def alerts_of(conn: Connection, kind: str, value: str, tenant: str) -> list[Finding]:
    """The alerts about it, among the tenant's newest, the newest first."""
    return [one for one in alerts.last(conn, MOST_ALERTS, tenant) if concerns(one, kind, value)]


def concerns(finding: Finding, kind: str, value: str) -> bool:
    """Whether a finding is about a subject."""
    facts, key = finding.facts, finding.key
    if facts is None:
        return finding.subject == value
    ranges = [one for one in (facts.b_range, key.b_range if key else "") if one]
    if kind == "account":
        return value in (facts.account, key.account if key else "") or any(one.account == value for one in facts.shares)
    if kind == "number":
        return value in (facts.a_number, key.a_number if key else "") or any(value.startswith(one) for one in ranges)
    if kind == "range":
        return any(one.startswith(value) or value.startswith(one) for one in ranges)
    return facts.name == value or (kind == "trunk" and facts.trunk == value)


def blocks_of(conn: Connection, kind: str, value: str, tenant: str, now_ms: int) -> list[Blocked]:
    """The keys with live or waiting orders that touch its calls; `kind` "" = all."""
    return [one for one in orders.blocked_keys(conn, now_ms, tenant, 2_000) if _touches(one.newest.order.key, kind, value)]


def _touches(key: Key, kind: str, value: str) -> bool:
    if not kind:
        return True
    if kind == "account":
        return key.account == value
    if kind == "trunk":
        return key.ingress_trunk == value
    if kind == "number":
        return key.a_number == value or (bool(key.b_range) and value.startswith(key.b_range))
    return kind == "range" and bool(key.b_range) and (key.b_range.startswith(value) or value.startswith(key.b_range))


def _traffic(ask: Ask, subject: Mapping[str, str], tenant: str, times: range) -> Traffic:
    steps = _steps(ask, subject, tenant, times.start, times.stop, times.step)
    return Traffic(times.step, tuple(steps.get(at, Step(at)) for at in times), (), 0, _currencies(list(steps.values())))


def _steps(ask: Ask, subject: Mapping[str, str], tenant: str, from_ms: int, to_ms: int, step_ms: int) -> dict[int, Step]:
    money = _money(ask(subjects.money_by_step(subject, tenant, from_ms, to_ms, step_ms)))
    rows = ask(subjects.calls_by_step(subject, tenant, from_ms, to_ms, step_ms))
    found = {row["at_ms"]: Step(row["at_ms"], row["calls"], row["answered"], row["talk_ms"], money.get(row["at_ms"], ())) for row in rows}
    return found | {at: Step(at, money=one) for at, one in money.items() if at not in found}


def _money(rows: list[dict[str, Any]]) -> dict[int, tuple[tuple[str, Decimal, Decimal], ...]]:
    """Sold and bought per step and currency."""
    found: dict[int, list[tuple[str, Decimal, Decimal]]] = {}
    for row in rows:
        found.setdefault(row["at_ms"], []).append((row["currency"], row["sell"] or Decimal(0), row["buy"] or Decimal(0)))
    return {at: _added(money) for at, money in found.items()}


def _added(money: Sequence[tuple[str, Decimal, Decimal]]) -> tuple[tuple[str, Decimal, Decimal], ...]:
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for name, sold, bought in money:
        before = sums.get(name, (Decimal(0), Decimal(0)))
        sums[name] = before[0] + sold, before[1] + bought
    return tuple((name, *both) for name, both in sorted(sums.items()) if any(both))


def _currencies(steps: Sequence[Step]) -> tuple[str, ...]:
    """The currency of most steps first."""
    counts: dict[str, int] = {}
    for step in steps:
        for name, _, _ in step.money:
            counts[name] = counts.get(name, 0) + 1
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))
