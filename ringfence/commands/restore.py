"""`ringfence restore`: restores a backup into an empty home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home

EPILOG = """
Every hash is checked before anything is written. The home must be empty or new; a restore that fails leaves it so, and after one that was
killed the next restore starts over. Stop all parts before, and start them afterwards.

Afterwards all blocks are on hold: the books are as old as the backup, so blocks that were lifted since are still in them.
`ringfence orders` shows what they would block, and `ringfence unblock --clear-hold` puts them in force.

**Examples**

`ringfence restore --from /mnt/backups/2026-11-24 --home /srv/ringfence`

Check whether a backup is complete: `ringfence restore --from /mnt/backups/2026-11-24 --check`
"""


def restore(
    source: Annotated[Path, typer.Option("--from", help="A directory made by `ringfence backup`.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Compare every file with its hash, and restore nothing.")] = False,
    hold: Annotated[
        bool, typer.Option("--hold/--no-hold", help="Hold all blocks until a person clears it, or let them act at once.")
    ] = True,
    home: Home = None,
) -> None:
    """Restore a backup into an empty home."""
    from services import manifest
    from services.restore import NotRestored
    from services.restore import restore as put_back

    settings = options.any_settings(home)

    def report(what: str) -> None:
        typer.echo(f"  {what}", err=True)

    try:
        if check:
            made = manifest.read(source)
            manifest.compare(source, made)
            typer.echo(f"{source} is complete: {len(made.files):,} files, made by Ringfence {made.ringfence}.")
            return
        done = put_back(settings.installation, source, hold=hold, now_ms=wall_clock_ms(), report=report)
    except (manifest.WrongBackup, NotRestored) as error:
        options.give_up(f"Not restored: {error}")
    except OSError as error:
        options.give_up(f"Not restored: {error.strerror or error} ({error.filename or source})")
    typer.echo(
        f"{settings.root} is as at {done.made_at:%Y-%m-%d %H:%M:%S} UTC: {done.files:,} files, {done.bytes / 1e6:,.1f} MB."
    )
    for part, address in done.elsewhere.items():
        typer.echo(f"Not in the backup: the {part} at {address}. It must be running, and its data not older than this backup.")
    if "books" in done.elsewhere:
        typer.echo(
            "If those books came from a backup too, hold the switches before anything starts, since blocks that people lifted after the backup "
            'are in force in it: ringfence unblock --all --why "restored"'
        )
    if done.held:
        typer.echo(
            f"All blocks are on hold at {', '.join(done.held)}, since people may have lifted some after the backup. "
            'Check `ringfence orders`, then: ringfence unblock --clear-hold --why "checked"'
        )
    typer.echo("To send the records in a switch's spool again, remove position.json beside them.")
