"""`ringfence migrate`: the stored forms, brought to this release."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
`ringfence up` does this by itself. Without it, run this before a new release starts, with all parts stopped:

`ringfence migrate --home /srv/ringfence`

Where something stored changes its form, a backup is made first, beside the home; remove it when the new release has proved itself. Stores on your
own servers are not in it: back them up before. A run that was cut off is completed by the next one. Running it again changes nothing.
"""


def migrate(
    backup: Annotated[bool, typer.Option("--backup/--no-backup", help="Make a backup where something changes its form.")] = True,
    home: Home = None,
) -> None:
    """Make the journal's topics, and migrate books and warehouse to this release."""
    from core.clock import wall_clock_ms
    from services.migrate import migrate as bring_up

    installation = options.settings_of(home).installation
    done = bring_up(
        installation, wall_clock_ms(), lambda what: typer.echo(f"  backup: {what}", err=True), backup_first=backup
    )
    if done.backup:
        typer.echo(f"backup     {done.backup}")
    typer.echo("journal    every topic is there")
    typer.echo(f"books      {'applied ' + ', '.join(done.books) if done.books else 'at the newest revision'}")
    typer.echo(f"warehouse  {'applied ' + ', '.join(done.warehouse) if done.warehouse else 'at the newest migration'}")
