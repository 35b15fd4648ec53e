"""`ringfence migrate`: brings stored data to the formats of this release."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
`ringfence up` does this by itself. Without it, run this before a new release starts, with all parts stopped:

`ringfence migrate --home /srv/ringfence`

If stored data changes its format, a backup is made first, beside the home; remove it when the new release has proved itself. Data on your own
servers is not in it: back it up before. If a run is interrupted, the next one completes it. Running it again changes nothing.
"""


def migrate(
    backup: Annotated[bool, typer.Option("--backup/--no-backup", help="Make a backup if a format changes.")] = True,
    home: Home = None,
) -> None:
    """Create the journal's topics, and migrate books and warehouse to this release."""
    from core.clock import wall_clock_ms
    from services.migrate import migrate as bring_up

    installation = options.settings_of(home).installation
    done = bring_up(
        installation, wall_clock_ms(), lambda what: typer.echo(f"  backup: {what}", err=True), backup_first=backup
    )
    if done.backup:
        typer.echo(f"backup     {done.backup}")
    typer.echo("journal    all topics exist")
    typer.echo(f"books      {'applied ' + ', '.join(done.books) if done.books else 'at the newest revision'}")
    typer.echo(f"warehouse  {'applied ' + ', '.join(done.warehouse) if done.warehouse else 'at the newest migration'}")
