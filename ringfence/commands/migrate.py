"""`ringfence migrate`: the stored forms, brought to this release."""

from __future__ import annotations

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
`ringfence up` does this by itself. Without it, run this before a new release starts, with all parts stopped:

`ringfence migrate --home /srv/ringfence`

Running it again changes nothing.
"""


def migrate(home: Home = None) -> None:
    """Make the journal's topics, and migrate books and warehouse to this release."""
    from services.migrate import migrate as bring_up

    applied = bring_up(options.settings_of(home).installation)
    typer.echo("journal    every topic is there")
    typer.echo("books      at the newest revision")
    typer.echo(f"warehouse  {'applied ' + ', '.join(applied) if applied else 'at the newest migration'}")
