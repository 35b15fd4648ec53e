"""`ringfence portability`: the ported numbers of a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home, Tenant

EPILOG = """
A dump has a line `number,lrn` for each ported number and replaces the table; a delta has lines `+,number,lrn` and `-,number` and changes it. Lines
that cannot be read are listed and left out; a file with more than 5 % of them is refused whole. Importing the same file again changes nothing.

A route plan uses the table through a `portability` row of the config with `kind: local` (docs/routing.md).

**Examples**

`ringfence portability import mnp-full.csv`

`ringfence portability import mnp-2026-11-27.csv --delta`

`ringfence portability lookup +43664123456`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)


@app.callback()
def portability() -> None:
    """Where numbers were ported to: import, look up."""


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(help="The dump or delta.", show_default=False)],
    delta: Annotated[bool, typer.Option("--delta", help="The file has changes, not the whole table.")] = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Take in a full dump, or a delta."""
    from services.installation import books_as_they_are, tenant_of
    from services.portability.local import import_file

    installation = options.settings_of(home).installation
    with books_as_they_are(installation) as conn:
        whose = tenant_of(conn, tenant)
    done = import_file(file, installation.state_dir, whose, delta)
    for one in done.findings:
        typer.echo(f"  line {one.line}: {one.why}: {one.text}", err=True)
    left_out = f", {done.bad:,} of them left out" if done.bad else ""
    typer.echo(f"{file.name}: {done.lines:,} lines{left_out}. The table of tenant {whose} has {done.numbers:,} ported numbers.")


@app.command(epilog=EPILOG)
def lookup(
    number: Annotated[str, typer.Argument(help="A number with its country code.", show_default=False)],
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Where a number was ported to, by the tenant's table."""
    from services.errors import BadArgument
    from services.installation import books_as_they_are, tenant_of
    from services.portability.local import load, path_of
    from services.routes import digits_of

    installation = options.settings_of(home).installation
    with books_as_they_are(installation) as conn:
        whose = tenant_of(conn, tenant)
    if not (digits := digits_of(number)):
        raise BadArgument(f"{number!r} is no number with a country code: write it as +43 1 234567")
    lrn = load(path_of(installation.state_dir, whose)).find(digits)
    typer.echo(f"{number} was ported to {lrn}." if lrn else f"{number} was not ported.")
