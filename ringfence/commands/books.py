"""`ringfence books`: posts charges to the ledger, proves it, shows balances, verifies the audit log."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Tenant

EPILOG = """
**Examples**

`ringfence books post`: every charge that is stored and not posted yet

`ringfence books prove`: sum of charges = sum of entries = change of balances; the exit code is 1 where something differs

`ringfence books balances --party acme`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG, rich_markup_mode="markdown", help="The ledger: post charges, prove it, show balances.")


@app.command(epilog=EPILOG)
def post(home: Home = None) -> None:
    """Post the charges that are stored and not posted yet. Doing it again, or twice at once, posts nothing twice."""
    from services import posting

    done = posting.post(options.settings_of(home).installation, wall_clock_ms())
    for one in done:
        typer.echo(f"Batch {one.number}: {one.charges:,} charges in {one.transfers:,} transfers.")
    if not done:
        typer.echo("Every stored charge is posted.")


@app.command(epilog=EPILOG)
def prove(as_json: Json = False, home: Home = None) -> None:
    """Compare charges, entries and balances of every party, and name what differs."""
    from services import posting

    proof = posting.prove(options.settings_of(home).installation)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(_as_text(proof)).decode())
    else:
        for fault in proof.faults:
            typer.secho(fault, fg=typer.colors.RED)
        verdict = f"{len(proof.faults)} faults" if proof.faults else "proven: charges, entries and balances agree"
        typer.echo(f"Batch {proof.batch}, {proof.charges:,} charges of {len(proof.compared):,} parties and agreements: {verdict}.")
        if proof.unposted:
            typer.echo(f"{proof.unposted:,} stored charges are not posted yet (`ringfence books post`).")
    raise typer.Exit(1 if proof.faults else 0)


def _as_text(proof: object) -> object:
    """A proof for JSON: amounts as texts, because they may be wider than JSON's numbers are read."""
    import msgspec

    found = msgspec.to_builtins(proof)
    for one in found["compared"]:
        one |= {"charges": str(one["charges"]), "entries": str(one["entries"])}
    return found


@app.command(epilog=EPILOG)
def balances(
    party: Annotated[str, typer.Option(help="Only this party.", show_default=False)] = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Show balances: positive is what others owe us."""
    from books import ledger
    from core.money import to_text
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = ledger.balances(conn, tenant_of(conn, tenant), party)
    for account, nanos in found:
        typer.echo(f"{account.kind:12} {account.party or '-':24} {account.agreement or '-':24} {to_text(nanos):>24} {account.currency}")
    if not found:
        typer.echo("Nothing was posted yet: `ringfence books post`.")


@app.command(epilog=EPILOG)
def audit(home: Home = None) -> None:
    """Verify the hash chain of the audit log: nobody changed, removed or slipped in a line."""
    from books import audit as log
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = list(log.broken(conn))
    for one in found:
        typer.secho(f"Line {one.line} {one.fault}.", fg=typer.colors.RED)
    typer.echo("The audit log is as it was written." if not found else f"{len(found)} faults in the audit log.")
    raise typer.Exit(1 if found else 0)
