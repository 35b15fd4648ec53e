"""From the switch to the bank: how much of a period's traffic reached each step, and what was lost between two."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from assurance.rounding import decimals_of, to_nanos
from books import Connection, invoices, payments
from services.control_facts import gaps
from warehouse import Warehouse, ask, control_queries


@dataclass(frozen=True)
class Step:
    """`count`: records that end a call. `money`: currency -> nanos. `lost`: why it has less than the step above: word -> records."""

    name: str
    count: int
    money: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)


def recorded(client: Warehouse, tenant: str, from_ms: int, to_ms: int, now_ms: int) -> tuple[Step, Step, Step]:
    """At the switch, received, rated: the records that end a call, of a period."""
    ends = Counter({row["disposition"]: row["records"] for row in ask(client, control_queries.ends(tenant, from_ms, to_ms))})
    missing = int(gaps(client, tenant, (from_ms, to_ms), now_ms)["missing"].sum())
    received = ends.total()
    money = {row["currency"]: row["nanos"] for row in ask(client, control_queries.sold(tenant, from_ms, to_ms))}
    return (
        Step("At the switch", received + missing),
        Step("Received", received, lost={"never received": missing} if missing else {}),
        Step("Rated", ends["rated"], money, {name: count for name, count in sorted(ends.items()) if name != "rated"}),
    )


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
