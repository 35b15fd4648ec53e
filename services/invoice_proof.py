"""The proof of invoices: each opens down to its calls, no call is on two, and numbers have no gap."""

from __future__ import annotations

from dataclasses import dataclass

from books import invoices, postings, reading
from books.invoices import Invoice
from services import reading as warehouse_reading
from services.installation import Installation, opened_books, tenant_of
from services.invoice_drafts import Chain
from warehouse import ask, owed
from warehouse.owed import State


@dataclass(frozen=True)
class Proof:
    """`faults` none = every call is on at most one invoice, every line opens down to its calls, numbers have no gap."""

    invoices: int
    charges: int
    faults: list[str]


def prove(installation: Installation, tenant: str = "") -> Proof:
    """Opens every invoice down to its calls and counts them."""
    faults: list[str] = []
    count = charges = 0
    with warehouse_reading.warehouse(installation) as client, opened_books(installation) as engine, reading(engine) as conn:
        tenant = tenant_of(conn, tenant)
        faults += [fault for fault in invoices.gaps(conn) if fault.startswith(f"{tenant},")]
        steps: dict[tuple[int, int, int, int, str], list[Invoice]] = {}
        chains: dict[Chain, list[Invoice]] = {}
        for one in invoices.every(conn, tenant):
            document = one.read()
            count += 1
            net, tax = sum(line.amount for line in document.lines), sum(line.amount for line in document.taxes)
            if (one.net, one.tax, one.total) != (net, tax, net + tax):
                faults.append(f"invoice {one.number or one.id}: its total is not the sum of its lines and taxes")
            if one.kind == "invoice":
                steps.setdefault((one.before_batch, one.before_until_ms, one.batch, one.until_ms, one.instant), []).append(one)
                chains.setdefault(Chain(one.party, one.agreement, one.currency), []).append(one)
        for chain, own in chains.items():
            state, place = (0, 0), 0
            for one in sorted(own, key=lambda one: one.place):
                if (one.before_batch, one.before_until_ms) != state or one.place != place + 1:
                    faults.append(f"invoice {one.number or one.id} of {chain.party} does not follow the one before: a call may be on two, or on none")
                state, place = (one.batch, one.until_ms), one.place
        for (before_batch, before_ms, batch, until_ms, instant), some in steps.items():
            before, after = postings.find(conn, before_batch), postings.find(conn, batch)
            if before is None or after is None:
                faults.append(f"invoice {some[0].number or some[0].id}: posting batch {batch} or {before_batch} is not in the books")
                continue
            columns = (
                "party, agreement, currency, sum(toInt128(nanos) * sign) AS nanos, count() AS charges, "
                "uniqExact(partition, offset, revision, run, level, attempt_no, segment, sign) AS once"
            )
            query = owed.step(
                State(before.posted, before_ms), State(after.posted, until_ms), columns, "party, agreement, currency",
                "tenant = {tenant:String} AND role = 'sell' AND has({agreements:Array(String)}, agreement)",
                {"tenant": tenant, "agreements": sorted({one.agreement for one in some})}, instant,
            )  # fmt: skip
            opened = {Chain(row["party"], row["agreement"], row["currency"]): row for row in ask(client, query)}
            for one in some:
                row = opened.get(Chain(one.party, one.agreement, one.currency))
                nanos = int(row["nanos"]) if row else 0
                charges += int(row["charges"]) if row else 0
                if row and row["charges"] != row["once"]:
                    faults.append(f"invoice {one.number or one.id}: one of its charges is on it twice")
                if nanos != one.read().usage_nanos:
                    faults.append(f"invoice {one.number or one.id}: its calls come to {nanos} nanos, and its lines to {one.read().usage_nanos}")
    return Proof(count, charges, faults)
