"""From the switch to the bank: how much of a period's traffic reached each step, and what was lost between two."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from assurance.rounding import decimals_of, to_nanos
from books import Connection, invoices, payments
from services.by_day import ByDay
from services.control_facts import gaps
from services.subjects import DAY_MS, Ask
from warehouse import Warehouse, control_queries


@dataclass(frozen=True)
class Step:
    """`count`: records that end a call. `money`: currency -> nanos. `lost`: why it has less than the step above: word -> records."""

    name: str
    count: int
    money: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)


class Recorded:
    """What became of the records of each day, remembered: the first question about a month is as long as the month, the next as long as today."""

    def __init__(self) -> None:
        self._ends = ByDay("records", control_queries.ends_of_day)
        self._sold = ByDay("charges", control_queries.first_sold_of_day)

    def prepare(self, ask: Ask, from_ms: int, budget_s: float) -> bool:
        """Ask about further days since a moment, the newest first, for so long. Whether all are known: then nobody waits for them."""
        known = [days.of(ask, _name(from_ms), budget_s / 2) for days in (self._ends, self._sold)]
        return all(len(rows) == days for rows, days in known)

    def steps(self, ask: Ask, tenant: str, from_ms: int, to_ms: int) -> tuple[Step, Step]:
        """Received, rated: the records that end a call, of whole days in UTC; and what customers owe for the calls of these days."""
        ends, money = Counter[str](), Counter[str]()
        for day, rows in self._ends.of(ask, _name(from_ms))[0].items():
            for row in rows:
                if day < _name(to_ms) and row["tenant"] in (tenant, ""):
                    ends[row["disposition"]] += row["records"]
        # A day of grace: of a call we cannot learn before it was, but for a clock that is ahead.
        for rows in self._sold.of(ask, _name(from_ms - DAY_MS))[0].values():
            for row in rows:
                if row["tenant"] == tenant and row["day"] is not None and from_ms <= row["day"] * DAY_MS < to_ms:
                    money[row["currency"]] += row["nanos"]
        for row in ask(control_queries.sold_again(tenant, from_ms, to_ms)):
            money[row["currency"]] += row["nanos"]
        lost = {name: count for name, count in sorted(ends.items()) if name != "rated"}
        return Step("Received", ends.total()), Step("Rated", ends["rated"], dict(money), lost)


def _name(at_ms: int) -> str:
    """A day as its partition is named.

    >>> _name(1_790_812_800_000)
    '20261001'
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%d}"


def missing(client: Warehouse, tenant: str, from_ms: int, to_ms: int, now_ms: int) -> int:
    """How many records the sequences of the tenant's switches lack, of a period."""
    return int(gaps(client, tenant, (from_ms, to_ms), now_ms)["missing"].sum())


def at_the_switch(received: Step, lacks: int) -> tuple[Step, Step]:
    """The step above "received", and "received" with what was lost before it."""
    return Step("At the switch", received.count + lacks), replace(received, lost={"never received": lacks} if lacks else {})


@dataclass(frozen=True)
class Billed:
    """Invoices less credit notes of a period, by currency, in nanos. `settled`: paid, credited or written off; `open`: none of these yet."""

    documents: int
    net: dict[str, int]
    total: dict[str, int]
    open: dict[str, int]

    @property
    def settled(self) -> dict[str, int]:
        return {currency: nanos - self.open.get(currency, 0) for currency, nanos in self.total.items()}


def billed(conn: Connection, tenant: str, from_ms: int, to_ms: int) -> Billed:
    """What was invoiced for periods that end in this one, and what is open. Days end by the agreement's zone: up to half a day later."""
    late_ms = 43_200_000
    found = [one for one in invoices.every(conn, tenant, status=("issued",)) if from_ms + late_ms < one.until_ms <= to_ms + late_ms]
    allocated = payments.open_amounts(conn, [one.id for one in found])
    net: dict[str, int] = {}
    total: dict[str, int] = {}
    still: dict[str, int] = {}
    for one in found:
        left = one.total + allocated.get(one.id, 0) if one.kind == "invoice" else 0
        for into, minor in ((net, one.net), (total, one.total), (still, left)):
            into[one.currency] = into.get(one.currency, 0) + to_nanos(minor, decimals_of(one.currency))
    return Billed(len(found), net, total, still)
