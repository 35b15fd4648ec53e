"""`ringfence testcalls`: what our own test calls say of the carriers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Tenant, Who, Why

EPILOG = """
A file of test calls is a CSV (or JSON) with a row per call; its columns are called as our fields, or a mapping names them (docs/test-calls.md):
placed, carrier or trunk, a_number (sent), b_number (our line), cli (as the line was shown it), answered, line_rang, line_answered, ringback,
hung_up, ended.

What goes wrong with more of a carrier's calls to a destination than chance and the other carriers explain is an alert, and the carrier stands
behind the others in the routes for three days.

**Examples**

`ringfence testcalls import monday.csv --why "weekly campaign"`

`ringfence testcalls import export.csv --mapping platform.yaml`

`ringfence testcalls`
"""

app = typer.Typer(invoke_without_command=True, epilog=EPILOG)


@app.callback()
def overview(context: typer.Context, tenant: Tenant = "", as_json: Json = False, home: Home = None) -> None:
    """Test calls: import them, and what those of the newest week say of the carriers."""
    if context.invoked_subcommand:
        return
    import msgspec

    from core.alert_text import observed_text
    from detectors.route_tests import facts_of
    from services import route_tests
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = route_tests.standing(conn, tenant_of(conn, tenant))
    if as_json:
        typer.echo(msgspec.json.encode([one._asdict() for one in found]).decode())
        return
    for one in found:
        typer.echo(observed_text(facts_of(one)))
    if not found:
        typer.echo("The test calls of the newest week show nothing wrong that chance, or the other carriers, do not explain.")


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(help="The test calls.", show_default=False)],
    mapping: Annotated[Path | None, typer.Option(help="What its columns mean (YAML).", show_default="its columns are called as our fields")] = None,
    tenant: Tenant = "",
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Take in a file of test calls."""
    from services import blocks, route_tests
    from services.installation import books, tenant_of

    with books(options.settings_of(home).installation) as conn:
        whose, plan = tenant_of(conn, tenant), blocks.plan(conn)
        done = route_tests.import_file(conn, file, whose, options.login(who), why or f"file {file.name}", wall_clock_ms(), mapping, plan)
    for one in done.left_out:
        typer.echo(f"  line {one.line}: {one.why}: {one.text}", err=True)
    left_out = f", {done.bad:,} of them left out" if done.bad else ""
    typer.echo(f"{file.name}: {done.lines:,} lines{left_out}; {done.new:,} test calls are new. Alerts about carriers: {len(done.alerts):,}.")
    for alert in done.alerts:
        typer.echo(alert.reason)
