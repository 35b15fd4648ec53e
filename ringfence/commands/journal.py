"""`ringfence journal`: whether the embedded journal is whole, and how it goes on where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Who

if TYPE_CHECKING:
    from services.installation import Installation
    from services.journal_care import Found

EPILOG = """
A damaged place stops the reader that reaches it, and every backup: nothing is skipped silently. If a backup has the file, stop all parts and put
it back. If not:

`ringfence journal check`

`ringfence journal repair`

A repair copies the damaged bytes to a file and records which offsets are lost (in the audit and beside the journal; `ringfence status` shows
them); readers continue after them. Intact records stay. Stop the writer of the damaged partition first. A partition whose directory is gone, or
holds neither segments nor `synced`, cannot be repaired: restore it from a backup.
"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Check the embedded journal for damage, and repair it.",
)


@app.command(epilog=EPILOG)
def check(home: Home = None) -> None:
    """Read the whole journal, and list what is damaged: topic, partition, file, byte, offsets. Changes nothing; all parts may run meanwhile."""
    found, broken = _check(options.settings_of(home).installation)
    for line in broken:
        typer.echo(line)
    if found or broken:
        mendable = any(damage.repairable for _, damage in found)
        rest = bool(broken) or any(damage.notes for _, damage in found)
        words = ["The journal is damaged."]
        words += ["`ringfence journal repair` goes on without what is lost."] if mendable else []
        words += [f"{'The rest of it' if mendable else 'It'} is for a person to mend, as said above; a repair cannot."] if rest else []
        options.give_up(" ".join(words))
    typer.echo("The journal is whole.")


@app.command(epilog=EPILOG)
def repair(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    who: Who = "",
    home: Home = None,
) -> None:
    """Give up what cannot be read: keep its bytes in a file, record the loss, and let readers continue."""
    from journal import JournalError
    from services import journal_care

    installation = options.settings_of(home).installation
    found, broken = _check(installation)
    mendable = [(path, damage) for path, damage in found if damage.repairable]
    if mendable and not yes:
        typer.confirm("Give up what is named above? Its bytes are kept in a file, and the loss is written down.", abort=True)
    failed = list(broken)
    for path, damage in mendable:
        try:
            for loss in journal_care.give_up(path, damage, wall_clock_ms()):
                typer.echo(f"lost: {loss.line()}")
            typer.echo(f"{damage.topic}/{damage.partition} is repaired.")
        except JournalError as error:
            failed.append(str(error))
    failed += [line for _, damage in found for line in damage.notes]
    failed += journal_care.audit_losses(installation, options.login(who), wall_clock_ms())
    if failed:
        options.give_up("\n".join(failed))
    if not mendable:
        typer.echo("The journal is whole: nothing was changed.")


def _check(installation: Installation) -> Found:
    from journal import copying as journal_copy
    from services import journal_care

    found = journal_care.check(installation)
    if journal_copy.directory_of(installation.journal_dsn) is None:
        typer.echo("RINGFENCE_JOURNAL is Kafka: its brokers check what they keep. Here only the collector's spool is looked at.")
    for _, damage in found.damages:
        for line in damage.lines():
            typer.echo(line)
    return found
