"""`ringfence repartition`: more partitions, or another number of judge processes."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
One judge process uses one core. Several share the partitions of `calls`; there must be at least as many partitions as processes.
The number of partitions can grow, never shrink. Stop all parts first; then

`ringfence repartition --judges 3`

`ringfence repartition --partitions 12 --judges 3`

Then set RINGFENCE_PARTITIONS and RINGFENCE_JUDGES as printed, and start the parts again. The journal is judged to its end before any state
moves. If a run is interrupted, the next one completes it; no part starts in between.
"""


def repartition(
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1023, help="The new number of partitions of `calls`.", show_default=False)
    ] = None,
    judges: Annotated[
        int | None, typer.Option(min=1, max=64, help="The new number of judge processes.", show_default=False)
    ] = None,
    home: Home = None,
) -> None:
    """Move the state of judge to more partitions, or to another number of processes. All parts must be stopped."""
    from books import open_books
    from flows.snapshot import SnapshotError
    from journal import JournalError
    from ringfence.ops.secrets import secrets_of
    from services.in_force import from_books
    from services.repartition import repartition as move

    settings = options.settings_of(home)
    try:
        moved = move(
            settings.installation,
            partitions or settings.partitions,
            judges or settings.judges,
            from_books(open_books(settings.books_dsn)),
            secrets_of(settings).hash_secret.encode(),
        )
    except (SnapshotError, JournalError) as error:
        options.give_up(str(error))
    typer.echo(f"calls has {moved.partitions} partitions, shared by {moved.judges} judge{'s' * (moved.judges != 1)}.")
    typer.echo(f"{moved.active} active calls and {moved.subjects} subjects were moved with their accounts.")
    typer.echo(f"Set RINGFENCE_PARTITIONS={moved.partitions} and RINGFENCE_JUDGES={moved.judges} before anything is started.")
