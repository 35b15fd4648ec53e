"""`ringfence backup`: everything that is ours, to a new directory, while it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
The directory holds prices, numbers and our secrets: it is readable by its owner alone, and should stay so. It appears under its name
when it is whole, with the hash of every file in `manifest.json`; a backup that fails leaves nothing. What runs goes on running.

It does not hold what is kept on servers of your own: Kafka, ClickHouse and PostgreSQL have tools for that. The operator's guide says
which, and in which order.

**Examples**

`ringfence backup --out /mnt/backups/$(date +%F)`

Every night at two, with cron: `0 2 * * * ringfence backup --home /srv/ringfence --out /mnt/backups/$(date +\\%F)`
"""


def backup(
    out: Annotated[Path, typer.Option(help="A new directory, best on another disk.", show_default=False)],
    home: Home = None,
) -> None:
    """Copy journal, warehouse, books, state, spools and secrets to a directory that `ringfence restore` takes."""
    from books import BooksError
    from books.copying import CopyFailed
    from journal import JournalError
    from ringfence import backup as backing_up
    from warehouse import WarehouseError

    settings, began_s = options.settings_of(home), time.monotonic()
    try:
        made = backing_up.backup(settings, out, time.time_ns() // 1_000_000, lambda what: typer.echo(f"  {what}", err=True))
    except (backing_up.NotBackedUp, BooksError, CopyFailed, JournalError, WarehouseError) as error:
        options.give_up(f"No backup was made: {error}")
    except OSError as error:
        options.give_up(f"No backup was made, and nothing is left of it: {error.strerror or error} ({error.filename or out})")
    size = sum(file.bytes for file in made.files.values())
    took_s = time.monotonic() - began_s
    typer.echo(f"{out}: {len(made.files):,} files, {size / 1e6:,.1f} MB, in {took_s:.1f} s; every hash is in manifest.json.")
    for part, address in made.elsewhere.items():
        typer.echo(f"Not in it: the {part} at {address}. Back it up with its own tools, after this: see the operator's guide.")
