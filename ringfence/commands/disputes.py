"""`ringfence disputes`: what is asked back, of whom, and where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from core.text import visible
from ringfence import messages, options
from ringfence.options import Home, Json, Tenant, Who, Why

if TYPE_CHECKING:
    from books.disputes import Dispute

EPILOG = """
**Examples**

`ringfence disputes assess alpha-2026-10-01-3f2a10` and `ringfence disputes propose alpha-2026-10-01-3f2a10`

`ringfence disputes approve alpha-2026-10-01-3f2a10-rate --why "price list of 1 September"`

`ringfence disputes pack alpha-2026-10-01-3f2a10-rate --out rate.zip`, send it, then
`ringfence disputes mark alpha-2026-10-01-3f2a10-rate send --why "by mail to billing@alpha.example"`

`ringfence disputes mark alpha-2026-10-01-3f2a10-rate agree --amount 1200` and
`ringfence disputes mark alpha-2026-10-01-3f2a10-rate credit --credit-note CN-77`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)

Id = Annotated[str, typer.Argument(help="A dispute (`ringfence disputes list`).", show_default=False)]
Reconciliation = Annotated[str, typer.Argument(help="A reconciliation, as `ringfence reconcile` names it.", show_default=False)]
EVENTS = ("send", "acknowledge", "counter", "agree", "reject", "escalate", "credit", "withdraw", "expire")


@app.callback()
def disputes() -> None:
    """Differences that a carrier is asked to pay back: propose, approve, send with evidence, follow to the credit note.

    A dispute is one cause of one reconciliation: RECONCILIATION-CAUSE. Each step needs the one before it, and is kept with who took it.
    """


@app.command("assess", epilog=EPILOG)
def assess(reconciliation: Reconciliation, as_json: Json = False, tenant: Tenant = "", home: Home = None) -> None:
    """Which causes of a reconciliation are worth a dispute, and why. Prices always, volumes from 1 % of the bill or 1,000 on."""
    import msgspec

    from core.money import to_text
    from services import disputing
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found, verdicts = disputing.assess(conn, tenant_of(conn, tenant), reconciliation)
    if as_json:
        typer.echo(msgspec.json.encode([one._asdict() for one in verdicts]).decode())
        return
    for one in verdicts:
        typer.echo(f"{'dispute' if one.is_worth else 'leave  '}  {one.cause:36s} {to_text(one.nanos):>20s} {found.currency}  {one.why}")


@app.command("propose", epilog=EPILOG)
def propose(
    reconciliation: Reconciliation,
    cause: Annotated[list[str] | None, typer.Option(help="Only this cause; may be used several times.", show_default=False)] = None,
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Make a dispute of each cause that is worth one."""
    from services import disputing
    from services.installation import books, tenant_of

    with books(options.settings_of(home).installation) as conn:
        made = disputing.propose(conn, tenant_of(conn, tenant), reconciliation, options.login(who), wall_clock_ms(), tuple(cause or ()))
    if not made:
        typer.echo("Nothing of it is worth a dispute: `ringfence disputes assess` says why.")
    for one in made:
        _line(one)


@app.command("list", epilog=EPILOG)
def list_(
    party: Annotated[str, typer.Option(help="Only this carrier or account.", show_default=False)] = "",
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose next step was due.")] = False,
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """All disputes, the newest first."""
    import msgspec

    from books import disputes as stored
    from services import disputing
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        name = tenant_of(conn, tenant)
        found = disputing.overdue(conn, name, wall_clock_ms()) if overdue else stored.every(conn, name, party)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for one in found:
        _line(one)
    if not found:
        typer.echo("There are no disputes." if not overdue else "No dispute is overdue.")


@app.command("show", epilog=EPILOG)
def show(dispute: Id, tenant: Tenant = "", home: Home = None) -> None:
    """What happened to a dispute."""
    from assurance.disputes.evidence import explained
    from books import disputes as stored
    from services import disputing
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        one = disputing.of(conn, tenant_of(conn, tenant), dispute)
        events = stored.history(conn, one.id)
    _line(one)
    typer.echo(explained(one.cause))
    for event in events:
        why = f": {visible(event.why)}" if event.why else ""
        typer.echo(f"  {messages.date_time(event.at_ms)}  {event.event} -> {event.state}, {event.amount} {one.currency}, by "
            f"{visible(event.who)}{why}")


@app.command("approve", epilog=EPILOG)
def approve(dispute: Id, why: Why = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Approve a dispute, so that it may be sent."""
    _happen(dispute, "approve", why, who, tenant, home)


@app.command("mark", epilog=EPILOG)
def mark(
    dispute: Id,
    event: Annotated[str, typer.Argument(help=f"What happened: {', '.join(EVENTS)}.", show_default=False)],
    amount: Annotated[str, typer.Option(help="What they offer (counter) or what was agreed on (agree; default: all of it).",
        show_default=False)] = "",
    credit_note: Annotated[str, typer.Option(help="Number of the credit note (credit): it is posted.", show_default=False)] = "",
    why: Why = "",
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Note what happened to a dispute: sent, acknowledged, countered, agreed, rejected, escalated, credited, withdrawn, expired."""
    if event not in EVENTS:
        raise typer.BadParameter(f"the event is one of {', '.join(EVENTS)}")
    _happen(dispute, event, why, who, tenant, home, amount, credit_note)


@app.command("pack", epilog=EPILOG)
def pack(
    dispute: Id,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The archive.", show_default=False)],
    masked: Annotated[int, typer.Option("--mask", min=0, max=15, help="Digits at the end of each number that are replaced by x.")] = 3,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Write the evidence: the calls as CSV, a page as PDF, the facts as JSON, and the hashes by which the other side checks them."""
    from services import disputing
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        content = disputing.pack(conn, tenant_of(conn, tenant), dispute, masked_digits=masked)
    out.write_bytes(content)
    typer.echo(f"Wrote {out} ({len(content) / 1024:,.0f} kB).")


def _happen(dispute: str, event: str, why: str, who: str, tenant: str, home: Path | None, amount: str = "", credit_note: str = "") -> None:
    from services import disputing
    from services.installation import books, tenant_of

    with books(options.settings_of(home).installation) as conn:
        name = tenant_of(conn, tenant)
        one = disputing.happen(conn, name, dispute, event, options.login(who), why, wall_clock_ms(), amount, credit_note)
    _line(one)


def _line(one: Dispute) -> None:
    due = f", next step by {messages.day(one.due_ms)}" if one.due_ms else ""
    agreed = f", {'they offer' if one.state == 'countered' else 'agreed'} {one.agreed}" if one.agreed else ""
    note = f", credit note {one.credit_note}" if one.credit_note else ""
    typer.echo(f"{one.id}: {one.state}, {one.amount} {one.currency} in {one.calls:,} parts{agreed}{note}{due}")
