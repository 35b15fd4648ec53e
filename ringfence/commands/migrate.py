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
    import books
    import warehouse
    from ringfence import first_start, private

    settings = options.settings_of(home)
    try:
        first_start.lay(settings)
    except private.NotPrivate as refused:
        options.give_up(f"{refused}.")
    typer.echo("journal    every topic is there")
    books.migrate(settings.books_dsn)
    typer.echo("books      at the newest revision")
    try:
        client = warehouse.open_warehouse(settings.warehouse_dsn)
    except warehouse.WarehouseHeld as error:
        options.give_up(f"The warehouse is in use: {error}")
    try:
        applied = warehouse.migrate(client)
    finally:
        client.close()
    typer.echo(f"warehouse  {'applied ' + ', '.join(applied) if applied else 'at the newest migration'}")
