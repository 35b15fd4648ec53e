"""`ringfence repartition`: more partitions, or another number of judge processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from core.topics import CALLS
from ringfence import options
from ringfence.options import Home

if TYPE_CHECKING:
    from journal import Journal

EPILOG = """
One judge process uses one core. Several share the partitions of `calls`; there must be at least as many partitions as processes.
The number of partitions can grow, never shrink. Stop all parts first; then

`ringfence repartition --judges 3`

`ringfence repartition --partitions 12 --judges 3`

Set RINGFENCE_PARTITIONS and RINGFENCE_JUDGES as it says, and start again. The journal is judged to its end before any
state moves. If a run is interrupted, the next one completes it; no part starts in between.
"""


STILL_S = 11.0
"""Two ticks of a collector, and a little."""


def stands_still(journal: Journal, for_s: float = STILL_S) -> bool:
    """Whether nobody writes to `calls`. Kafka has no lock that would tell; a collector that runs writes a tick each 5 s."""

    def ends() -> list[int]:
        return [journal.end_offset(CALLS, partition) for partition in range(journal.partitions(CALLS))]

    was, until_s = ends(), time.monotonic() + for_s
    while time.monotonic() < until_s:
        time.sleep(0.5)
        if ends() != was:
            return False
    return True


def repartition(
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1023, help="How many partitions `calls` shall have.", show_default=False)
    ] = None,
    judges: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many judge processes shall share them.", show_default=False)
    ] = None,
    home: Home = None,
) -> None:
    """Move what judge remembers to more partitions, or to another number of processes. Everything must be stopped."""
    from contextlib import ExitStack

    from books import open_books
    from flows import judge
    from flows.repartition import partitions_of_judge
    from flows.repartition import repartition as move
    from flows.snapshot import SnapshotError
    from journal import JournalError, Locked, open_journal
    from ringfence import endpoints
    from ringfence.contracts import from_books
    from ringfence.secrets import secrets_of

    settings = options.settings_of(home)
    if endpoints.running(settings.run_dir):
        options.give_up(f"Ringfence is running in {settings.root}: stop it first.")
    wanted = settings.model_copy(update={"partitions": partitions or settings.partitions, "judges": judges or settings.judges})
    if wanted.judges > wanted.partitions:
        options.give_up(f"{wanted.judges} judge processes cannot share {wanted.partitions} partitions: name more --partitions.")
    secret = secrets_of(settings).hash_secret.encode()
    contracts_of = from_books(open_books(settings.books_dsn))
    try:
        journal = open_journal(settings.journal_dsn)
        old, new = ([each.judge_state(number) for number in range(1, each.judges + 1)] for each in (settings, wanted))

        def drain(number: int, calls_partitions: int) -> None:
            mine = partitions_of_judge(number, settings.judges, calls_partitions)
            judge.run(
                journal,
                contracts_of,
                judge.Settings(mine, old[number - 1], secret, calls_partitions=calls_partitions, until_idle=True),
            )

        with ExitStack() as stopped:
            for partition in range(journal.partitions(CALLS)):
                stopped.callback(journal.writer(CALLS, partition).close)
            if settings.journal_dsn.startswith("kafka") and not stands_still(journal):
                options.give_up("Somebody writes to `calls`, as a collector does: stop everything first.")
            moved = move(journal, settings.state_dir, secret, wanted.partitions, old, new, drain)
    except Locked as error:
        options.give_up(f"A collector is running ({error}): stop everything first.")
    except (SnapshotError, JournalError) as error:
        options.give_up(str(error))
    typer.echo(f"calls has {moved.partitions} partitions, shared by {moved.judges} judge{'s' * (moved.judges != 1)}.")
    typer.echo(f"{moved.flights} calls in flight and {moved.subjects} subjects have moved with their accounts.")
    typer.echo(f"Set RINGFENCE_PARTITIONS={moved.partitions} and RINGFENCE_JUDGES={moved.judges} before anything is started.")
