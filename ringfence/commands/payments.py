"""`ringfence payments`: payments by hand or from a bank's file, refunds, write-offs, and what parties owe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Tenant, Who, Why

EPILOG = """
**Examples**

`ringfence payments record --party acme --amount 120.50 --currency EUR --reference "transfer of 2 December"`

`ringfence payments import statement.xml`: CAMT.053 or MT940; the same file again changes nothing

`ringfence payments waiting`, then `ringfence payments assign bank-0123... --party acme`, or `ringfence payments dismiss bank-0123... --why interest`

`ringfence payments statement --party acme --currency EUR`

`ringfence payments ageing`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG, rich_markup_mode="markdown", help="Record payments, and show what parties owe.")

Entry = Annotated[str, typer.Argument(help="The entry, as `waiting` shows it.", show_default=False)]
Party = Annotated[str, typer.Option(help="Who paid.", show_default=False)]
Amount = Annotated[str, typer.Option(help="As 120.50.", show_default=False)]
Currency = Annotated[str, typer.Option(help="As EUR.", show_default=False)]
Reference = Annotated[str, typer.Option(help="What identifies it: the bank's reference.", show_default=False)]


@app.command(epilog=EPILOG)
def record(
    party: Party,
    amount: Amount,
    currency: Currency,
    reference: Reference,
    invoice: Annotated[list[str] | None, typer.Option(help="The invoice that it pays, else the oldest; may be repeated.", show_default=False)] = None,
    day: Annotated[str, typer.Option(help="The bank's value date, as 2026-12-02.", show_default=False)] = "",
    prepaid: Annotated[bool, typer.Option("--prepaid", help="It is paid before anything was sold in this currency.")] = False,
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Record what a party paid. The same payment again changes nothing."""
    from assurance.rounding import decimals_of
    from services import payments
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        done = payments.record(
            conn, tenant, party, amount, currency, reference, day, options.login(who), wall_clock_ms(), invoice or [], prepaid=prepaid
        )  # fmt: skip
    if not done.new:
        typer.echo("It was recorded before: nothing was changed.")
    for number, minor in done.allocated:
        typer.echo(f"{_money(minor, decimals_of(currency))} {currency} pays {number}.")
    if done.left:
        typer.echo(f"{_money(done.left, decimals_of(currency))} {currency} of it is open, for the next invoice.")


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A statement: CAMT.053 or MT940.", show_default=False)],
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Read a bank's statement: every entry becomes a payment, or waits with the reason."""
    from services import bank_files
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        done = bank_files.import_file(conn, tenant, file.read_bytes(), file.name, options.login(who), wall_clock_ms())
    for entry in done.matched:
        typer.echo(f"{_nanos(entry.nanos)} {entry.currency} of {entry.value_day}: {entry.why}")
    for entry in done.unmatched:
        typer.secho(f"{_nanos(entry.nanos)} {entry.currency} of {entry.value_day} waits ({entry.id}): {entry.why}", fg=typer.colors.YELLOW)
    typer.echo(f"{len(done.matched)} payments, {len(done.unmatched)} wait, {done.known} were known.")


@app.command(epilog=EPILOG)
def waiting(tenant: Tenant = "", home: Home = None) -> None:
    """List entries of statements that no payment was made of."""
    from books import bank_entries
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = bank_entries.waiting(conn, tenant_of(conn, tenant))
    for entry in found:
        typer.echo(f"{entry.id}  {entry.value_day}  {_nanos(entry.nanos):>16} {entry.currency}  {entry.name}  {entry.text[:60]}  ({entry.why})")
    if not found:
        typer.echo("No entry waits.")


@app.command(epilog=EPILOG)
def assign(entry: Entry, party: Party, who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Say whose an entry is that waits."""
    from services import bank_files
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        done = bank_files.assign(conn, tenant, entry, party, options.login(who), wall_clock_ms())
    typer.echo(f"It is payment {done.payment.id} of {party}.")


@app.command(epilog=EPILOG)
def dismiss(entry: Entry, why: Why = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Say that an entry that waits is nobody's payment: interest, a refund of the bank. `assign` takes it back."""
    from services import bank_files
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        done = bank_files.dismiss(conn, tenant, entry, options.login(who), why, wall_clock_ms())
    typer.echo(f"{_nanos(done.nanos)} {done.currency} of {done.value_day} waits no more.")


@app.command(epilog=EPILOG)
def refund(
    party: Party, amount: Amount, currency: Currency, reference: Reference, who: Who = "", tenant: Tenant = "", home: Home = None
) -> None:
    """Record money that was paid back: at most what a party paid too much."""
    from services import payments
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        payments.refund(conn, tenant, party, amount, currency, reference, options.login(who), wall_clock_ms())
    typer.echo(f"{amount} {currency} was paid back to {party}.")


@app.command("write-off", epilog=EPILOG)
def write_off(
    number: Annotated[str, typer.Argument(metavar="INVOICE", help="The invoice that nobody will pay.", show_default=False)],
    why: Why = "",
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Give up what is open of an invoice."""
    from services import payments
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        given_up = payments.write_off(conn, tenant, number, options.login(who), why, wall_clock_ms())
    typer.echo(f"{number} is written off." if given_up else f"Nothing of {number} is open.")


@app.command(epilog=EPILOG)
def statement(party: Party, currency: Currency, tenant: Tenant = "", home: Home = None) -> None:
    """Show a party's account: invoices, credit notes, payments, and the balance after each."""
    from services import statements
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        rows = statements.statement(conn, tenant, party, currency)
    for row in rows:
        typer.echo(f"{row.day}  {row.what:12} {row.reference[:34]:34} {_nanos(row.nanos):>16} {_nanos(row.balance):>16} {currency}")
    if not rows:
        typer.echo(f"Nothing was invoiced to {party} in {currency}.")


@app.command(epilog=EPILOG)
def ageing(tenant: Tenant = "", home: Home = None) -> None:
    """Show what is open, by how many days it is overdue."""
    from assurance.rounding import decimals_of
    from services import statements
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = statements.ageing(conn, tenant, wall_clock_ms())
    typer.echo(f"{'party':20} {'not due':>12} {'1 to 30':>12} {'31 to 60':>12} {'61 to 90':>12} {'more':>12}")
    for one in found:
        amounts = " ".join(f"{_money(minor, decimals_of(one.currency)):>12}" for minor in one.amounts)
        typer.echo(f"{one.party:20} {amounts} {one.currency}")


@app.command(epilog=EPILOG)
def netting(
    party: Annotated[str, typer.Option(help="Only this party.", show_default=False)] = "", tenant: Tenant = "", home: Home = None
) -> None:
    """Show both sides of parties that are sold to and bought from, and what they net to."""
    from services import statements
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        for one in statements.netting(conn, tenant, party):
            ours, theirs, net = _nanos(one.owes_us), _nanos(one.we_owe), _nanos(one.net)
            typer.echo(f"{one.party:20} owes us {ours:>16}, we owe {theirs:>16}: {net:>16} {one.currency}")


@app.command(epilog=EPILOG)
def exposure(party: Party, currency: Currency, tenant: Tenant = "", home: Home = None) -> None:
    """Show what a party owes, invoiced or not and with its calls in progress, and what is left of its credit."""
    from functools import partial

    from services import credit, quotes, reading
    from services.installation import books_as_they_are
    from warehouse import ask

    installation = options.settings_of(home).installation
    terms, tenant = quotes.in_force(installation, tenant)
    with reading.warehouse(installation) as client, books_as_they_are(installation) as conn:
        every = [one for one in credit.credits(conn, partial(ask, client), terms, wall_clock_ms(), tenant, party) if one.currency == currency]
    for one in every:
        found = one.exposure
        typer.echo(
            f"{party}: {_nanos(found.total)} {currency}: {_nanos(found.receivable)} invoiced and open less what was paid beforehand, "
            f"{_nanos(found.unbilled)} not invoiced yet, {_nanos(found.unposted)} not posted yet, {_nanos(found.in_flight)} in progress."
        )
        how = ", ".join(sorted({agreement.invoicing.paid for agreement in one.agreements}))
        typer.echo(f"No limit is agreed ({how})." if found.left is None else f"{_nanos(found.left)} {currency} left ({how}).")
    if not every:
        typer.echo(f"Nothing is sold to {party} in {currency}.")


@app.command(epilog=EPILOG)
def commissions(who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Post what resellers earned by what was issued, or paid, since the last time."""
    from services import statements

    done = statements.commissions(options.settings_of(home).installation, tenant, options.login(who), wall_clock_ms())
    for one in done:
        typer.echo(f"{one.reseller} earns {_nanos(one.nanos)} {one.currency} by {one.number} of {one.party}.")
    typer.echo(f"{len(done)} commissions are new.")


def _money(minor: int, decimals: int) -> str:
    from decimal import Decimal

    from core.text import amount

    return amount(Decimal(minor).scaleb(-decimals), decimals)


def _nanos(nanos: int) -> str:
    from decimal import Decimal

    from core.text import amount

    return amount(Decimal(nanos).scaleb(-9))
