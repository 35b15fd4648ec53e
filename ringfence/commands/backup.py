"""`ringfence backup`: copies an installation to a new directory while it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home

EPILOG = """
The directory contains prices, telephone numbers and secrets. Only its owner can read it; keep it that way. It gets its name when it is complete,
with the hash of every file in `manifest.json`; a backup that fails leaves nothing behind. Running parts are not stopped.

It does not contain what is stored on your own servers: use the tools of Kafka, ClickHouse and PostgreSQL for that. The operator's guide describes
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
    from services.backup import NotBackedUp
    from services.backup import backup as back_up
    from warehouse import WarehouseError

    settings, began_s = options.settings_of(home), time.monotonic()
    try:
        made = back_up(settings.installation, out, wall_clock_ms(), lambda what: typer.echo(f"  {what}", err=True))
    except (NotBackedUp, BooksError, CopyFailed, JournalError, WarehouseError) as error:
        options.give_up(f"No backup was made: {error}")
    except OSError as error:
        options.give_up(f"No backup was made, and nothing is left of it: {error.strerror or error} ({error.filename or out})")
    size = sum(file.bytes for file in made.files.values())
    took_s = time.monotonic() - began_s
    typer.echo(f"{out}: {len(made.files):,} files, {size / 1e6:,.1f} MB, in {took_s:.1f} s; every hash is in manifest.json.")
    for part, address in made.elsewhere.items():
        typer.echo(f"Not in it: the {part} at {address}. Back it up with its own tools, after this: see the operator's guide.")
