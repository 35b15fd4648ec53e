"""`ringfence invoices`: run, preview, approve, issue, credit, show and export invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Tenant, Who, Why

if TYPE_CHECKING:
    from books.invoices import Invoice

EPILOG = """
A run makes a draft of every period that has ended; a person approves and issues it. An issued invoice is never changed: it is credited.

**Examples**

`ringfence invoices preview --until 2026-12-01`

`ringfence invoices run --until 2026-12-01`

`ringfence invoices approve --why "checked against the totals of November"`

`ringfence invoices issue`

`ringfence invoices export RF-2026-000001 --out invoices/`

`ringfence invoices credit RF-2026-000001 --amount 12.50 --why "ticket 4711"`

`ringfence invoices prove`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG, rich_markup_mode="markdown", help="Make, approve, issue, credit and export invoices.")

Until = Annotated[str, typer.Option(help="Periods that ended by this day, as 2026-12-01 (the first day after them).")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[INVOICE]...", help="Numbers or ids; none = all.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="INVOICE", help="Its number or id.", show_default=False)]


def _today() -> str:
    return datetime.fromtimestamp(wall_clock_ms() / 1000, UTC).date().isoformat()


@app.command(epilog=EPILOG)
def run(until: Until = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Make the drafts of all periods that have ended. The same run again, or twice at once, makes each draft once."""
    from services import invoicing

    day = until or _today()
    done = invoicing.run(options.settings_of(home).installation, tenant, day, options.login(who), wall_clock_ms(), _progress)
    _packages(done.packages)
    _findings(done.findings)
    _table(done.drafts)
    _totals(done.drafts, f"Run of {day}")


@app.command(epilog=EPILOG)
def preview(until: Until = "", tenant: Tenant = "", home: Home = None) -> None:
    """Show what a run would make, and store nothing."""
    from services import invoicing

    day = until or _today()
    found = invoicing.preview(options.settings_of(home).installation, tenant, day, wall_clock_ms())
    _packages(found.packages)
    _findings(found.findings)
    _table(found.drafts)
    _totals(found.drafts, f"Preview of {day}")


@app.command(epilog=EPILOG)
def runs(tenant: Tenant = "", home: Home = None) -> None:
    """Show the runs, how far each is, and what it could not invoice."""
    import msgspec

    from books import invoices
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        for one in invoices.runs(conn, tenant_of(conn, tenant)):
            typer.echo(f"{one.until_day}  {one.state:8} {one.made:,} of {one.due:,} drafts, posting batch {one.batch}, begun by {one.who}")
            _findings(msgspec.json.decode(one.findings))


@app.command("list", epilog=EPILOG)
def list_(
    party: Annotated[str, typer.Option(help="Only this party.", show_default=False)] = "",
    status: Annotated[str, typer.Option(help="draft, approved or issued.", show_default=False)] = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """List invoices and credit notes."""
    from books import invoices
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = invoices.every(conn, tenant_of(conn, tenant), party, [status] if status else [])
    _table(found)
    _totals(found, "In all")


@app.command(epilog=EPILOG)
def approve(names: Names = None, why: Why = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Approve drafts, all of them or those that are named."""
    from services import invoicing
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        done = invoicing.approve(conn, tenant, names or [], options.login(who), why, wall_clock_ms())
    typer.echo(f"{done:,} drafts are approved.")


@app.command(epilog=EPILOG)
def issue(names: Names = None, who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Issue approved invoices: each gets its number, and is never changed again."""
    from services import invoicing
    from services.installation import books

    installation, done = options.settings_of(home).installation, []
    while True:
        with books(installation) as conn:
            some = invoicing.issue(conn, tenant, names or [], options.login(who), wall_clock_ms())
        done += some
        if not some or names:
            break
    _table(done)
    typer.echo(f"{len(done):,} invoices are issued.")


@app.command(epilog=EPILOG)
def credit(
    name: Name,
    amount: Annotated[str, typer.Option(help="The net amount; all that is left of the invoice, if left out.", show_default=False)] = "",
    why: Why = "",
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Make a credit note of an issued invoice. Issue it like an invoice."""
    from services import invoicing
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        note = invoicing.credit(conn, tenant, name, amount, options.login(who), why, wall_clock_ms())
    typer.echo(f"Credit note {note.id} of {name}: {money(note, note.total)} {note.currency} with tax. `ringfence invoices issue` issues it.")


@app.command(epilog=EPILOG)
def discard(name: Name, why: Why = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Remove a draft; the next run makes it again, of what is posted then."""
    from services import invoicing
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        invoicing.discard(conn, tenant, name, options.login(who), why, wall_clock_ms())
    typer.echo(f"{name} is discarded.")


@app.command(epilog=EPILOG)
def show(name: Name, as_json: Json = False, tenant: Tenant = "", home: Home = None) -> None:
    """Show an invoice: lines, taxes with their row and rounding, total."""
    from core.money import to_text
    from services import invoicing
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = invoicing.find(conn, tenant, name)
    if as_json:
        typer.echo(found.document)
        return
    document = found.read()
    what = "Credit note" if found.kind == "credit_note" else "Invoice"
    typer.echo(f"{what} {found.number or found.id} ({found.status}) of {document.from_day} until {document.until_day}, for {found.party}")
    for line in document.lines:
        calls = f"{line.calls:,} calls, {line.charged_s / 60:,.1f} min" if line.kind in ("calls", "late") else ""
        price = f"at {to_text(line.per_min_nanos)}" if line.per_min_nanos else ""
        text = f"{line.text} (late)" if line.kind == "late" else line.text
        typer.echo(f"  {text[:40]:40} {calls:>28} {price:>14} {money(found, line.amount):>16}")
    typer.echo(f"  {'net':40} {'':28} {'':14} {money(found, found.net):>16}")
    for tax in document.taxes:
        row = f"{tax.percent} % of {money(found, tax.base)}, row {tax.row}, rounded per {tax.rounding}" if tax.row else tax.reason
        typer.echo(f"  {(tax.label or 'tax')[:40]:40} {row} {money(found, tax.amount):>16}")
    typer.echo(f"  {'total':40} {'':28} {'':14} {money(found, found.total):>16} {found.currency}")
    if found.paid:
        typer.echo(f"  {'paid before it was issued':40} {'':28} {'':14} {money(found, -found.paid):>16} {found.currency}")
    if document.swap is not None:
        for whose, side in (("they sent", document.swap.sold), ("we sent", document.swap.bought)):
            minutes = f"{side.charged_s / 60:,.1f} of {side.committed_s / 60:,.1f} min"
            typer.echo(f"  swap, {whose}: {minutes}: {to_text(side.deal_nanos)} by the deal, {to_text(int(side.by_decks))} by the decks")
        typer.echo(f"  swap, net: {to_text(document.swap.net_nanos)} {found.currency} (> 0: they owe us)")


@app.command(epilog=EPILOG)
def prove(tenant: Tenant = "", home: Home = None) -> None:
    """Open every invoice down to its calls: no call is on two, each line is the sum of its calls, numbers have no gap."""
    from services import invoice_proof

    proof = invoice_proof.prove(options.settings_of(home).installation, tenant)
    _findings(proof.faults)
    verdict = f"{len(proof.faults)} faults" if proof.faults else "proven: each call is on one invoice, each line is the sum of its calls"
    typer.echo(f"{proof.invoices:,} invoices and credit notes, {proof.charges:,} charges: {verdict}.")
    raise typer.Exit(1 if proof.faults else 0)


@app.command(epilog=EPILOG)
def export(
    names: Names = None,
    out: Annotated[Path, typer.Option(help="The folder for the files.")] = Path("invoices"),
    pdf_only: Annotated[bool, typer.Option("--pdf-only", help="Without the calls and the UBL file.")] = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Write issued invoices as files: PDF with the e-invoice inside (Factur-X), UBL, and the calls as CSV and Parquet."""
    from services import invoice_files

    def report(why: str) -> None:
        typer.secho(why, fg=typer.colors.YELLOW, err=True)

    for file in invoice_files.export(options.settings_of(home).installation, tenant, names or [], out, pdf_only, report):
        typer.echo(str(file))


@app.command(epilog=EPILOG)
def mail(
    names: Names = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was sent before, or whose sending was cut off.")] = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Mail issued invoices to their parties, each once."""
    from services import mailing

    settings = options.settings_of(home)
    if not (settings.smtp_url and settings.mail_from):
        options.give_up("Set RINGFENCE_SMTP_URL and RINGFENCE_MAIL_FROM: the server that sends mail, and the address that it is from.")
    done = mailing.mail(settings.installation, tenant, names or [], mailing.smtp(settings.smtp_url), settings.mail_from, wall_clock_ms(), again)
    for one in done:
        if one.outcome != "known":
            text = f"{one.invoice.number} to {one.address or '-'}: {one.outcome}{', ' + one.why if one.why else ''}"
            typer.secho(text, fg=typer.colors.YELLOW if one.outcome == "left" else None)
    sent, left = (sum(one.outcome == what for one in done) for what in ("sent", "left"))
    typer.echo(f"{sent:,} invoices are sent, {left:,} are left, {len(done) - sent - left:,} were sent before.")
    raise typer.Exit(1 if left else 0)


# --- words ---


def money(invoice: Invoice, minor: int) -> str:
    """An amount in the smallest unit, for people."""
    from decimal import Decimal

    from assurance.rounding import decimals_of
    from core.text import amount

    decimals = decimals_of(invoice.currency)
    return amount(Decimal(minor).scaleb(-decimals), decimals)


def _progress(made: int, due: int) -> None:
    if due > 1_000:
        typer.echo(f"{made:,} of {due:,} drafts", err=True)


def _packages(applied: list[str]) -> None:
    for words in applied:
        typer.echo(words)


def _findings(findings: list[str]) -> None:
    for finding in findings:
        typer.secho(finding, fg=typer.colors.YELLOW)


def _table(found: list[Invoice], most: int = 50) -> None:
    for one in found[:most]:
        what = f"{one.number or one.id}{' (credit)' if one.kind == 'credit_note' else ''}"
        typer.echo(f"{what:30} {one.status:9} {one.party:20} {one.from_day} {one.until_day} {money(one, one.total):>16} {one.currency}")
    if len(found) > most:
        typer.echo(f"... and {len(found) - most:,} more")


def _totals(found: list[Invoice], what: str) -> None:
    totals: dict[str, int] = {}
    for one in found:
        totals[one.currency] = totals.get(one.currency, 0) + one.total
    sums = ", ".join(f"{money(next(one for one in found if one.currency == name), total)} {name}" for name, total in sorted(totals.items()))
    typer.echo(f"{what}: {len(found):,} invoices{', ' + sums if sums else ''}.")
