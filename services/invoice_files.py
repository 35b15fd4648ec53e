"""An invoice as files: PDF with the e-invoice inside, UBL beside it, and the calls behind it as CSV and Parquet.

Each file gets its name when it is whole; the same export again writes the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from books import Connection, invoices, postings
from books.invoices import Invoice
from core.posted import Posted
from core.spreadsheet import csv_of
from journal.durable import replace_file
from services import e_invoice, invoice_pdf
from services import reading as warehouse_reading
from services.errors import ServiceError
from services.installation import Installation, books_as_they_are, tenant_of
from services.invoicing import find
from warehouse import Warehouse, owed, rows
from warehouse.owed import State

BRANDS = "brands"


def brands_of(installation: Installation) -> Path:
    """Where brands are: a folder each."""
    return installation.root / BRANDS


def export(
    installation: Installation, tenant: str, names: Sequence[str], out: Path, pdf_only: bool = False,
    report: Callable[[str], None] = lambda why: None,
) -> Iterator[Path]:  # fmt: skip
    """Writes the files of some invoices (no names = all that are issued) and yields their names. `report(why)`: an invoice has no e-invoice."""
    with books_as_they_are(installation) as conn:
        tenant = tenant_of(conn, tenant)
        wanted = [find(conn, tenant, name) for name in names] or invoices.every(conn, tenant, status=("issued",))
        states = {one.id: states_of(conn, one) for one in wanted}
    if not wanted:
        raise ServiceError("There is no issued invoice.")
    out.mkdir(parents=True, exist_ok=True)
    for one in wanted:
        for suffix, content in files(installation, one, report):
            if pdf_only and suffix != ".pdf":
                continue
            yield _write(out / f"{one.number or one.id}{suffix}", content)
    if not pdf_only:
        with warehouse_reading.warehouse(installation) as client:
            for one in wanted:
                if one.kind == "invoice":
                    frame = calls(client, one, *states[one.id])
                    yield _write(out / f"{one.number or one.id}-calls.csv", csv_of(frame))
                    yield _write(out / f"{one.number or one.id}-calls.parquet", frame)


def files(installation: Installation, one: Invoice, report: Callable[[str], None] = lambda why: None) -> Iterator[tuple[str, bytes]]:
    """The PDF of an invoice, with its e-invoice inside, and the UBL; without them where the invoice cannot have one."""
    style = invoice_pdf.style_of(brands_of(installation), one.read().issuer.brand)
    pdf = invoice_pdf.pdf(one, style)
    try:
        xml, ubl = e_invoice.cii(one), e_invoice.ubl(one)
    except e_invoice.NoEInvoice as why:
        report(str(why))
        yield ".pdf", pdf
        return
    yield ".pdf", e_invoice.inside(pdf, xml)
    yield ".ubl.xml", ubl


def calls(client: Warehouse, one: Invoice, before: State, after: State) -> pl.DataFrame:
    """The calls behind an invoice: a row per charge, with its sign: -1 takes back what an earlier invoice had."""
    found = rows.frame(client, owed.annex(before, after, one.tenant, "sell", one.party, one.agreement, one.currency, one.instant))
    time = (pl.from_epoch("instant_ms", "ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).alias("at")
    # A quotient has the decimals of what is divided: nine, set before.
    amount = (pl.col("nanos") * pl.col("sign").cast(pl.Int64)).cast(pl.Decimal(38, 9)) / 10**9
    return found.select(
        time, "account", "a_number", "b_number", "destination", "prefix", "charged_s", "per_min_nanos",
        amount.alias("amount"), "currency", "sign", "segment", "call_key",
    )  # fmt: skip


def states_of(conn: Connection, one: Invoice) -> tuple[State, State]:
    """The two states between which the calls of an invoice are."""
    before, after = postings.find(conn, one.before_batch), postings.find(conn, one.batch)
    return State(before.posted if before else Posted(), one.before_until_ms), State(after.posted if after else Posted(), one.until_ms)


def _write(path: Path, content: bytes | pl.DataFrame) -> Path:
    if isinstance(content, bytes):
        replace_file(path, content)
    else:
        part = path.with_suffix(".part")
        content.write_parquet(part)
        part.replace(path)
    return path
