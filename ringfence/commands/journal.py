"""`ringfence journal`: checks the embedded journal for damage, and repairs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Who

if TYPE_CHECKING:
    from services.installation import Installation
    from services.journal_care import JournalDamages

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
    """Read the whole journal, and list the damage: topic, partition, file, byte, offsets. Changes nothing; all parts may run meanwhile."""
    found, broken = _check(options.settings_of(home).installation)
    for line in broken:
        typer.echo(line)
    if found or broken:
        repairable = any(damage.repairable for _, damage in found)
        others = bool(broken) or any(damage.notes for _, damage in found)
        sentences = ["The journal is damaged."]
        sentences += ["`ringfence journal repair` lets readers continue without the lost records."] if repairable else []
        sentences += [f"{'The rest' if repairable else 'It'} must be restored by a person, as described above."] if others else []
        options.give_up(" ".join(sentences))
    typer.echo("The journal is not damaged.")


@app.command(epilog=EPILOG)
def repair(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    who: Who = "",
    home: Home = None,
) -> None:
    """Give up records that cannot be read: copy their bytes to a file, record the loss, and let readers continue."""
    from journal import JournalError
    from services import journal_care

    installation = options.settings_of(home).installation
    found, broken = _check(installation)
    repairable = [(path, damage) for path, damage in found if damage.repairable]
    if repairable and not yes:
        typer.confirm("Give up the records above? Their bytes are copied to a file, and the loss is written to the audit log.", abort=True)
    failed = list(broken)
    for path, damage in repairable:
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
    if not repairable:
        typer.echo("The journal is not damaged: nothing was changed.")


def _check(installation: Installation) -> JournalDamages:
    from journal import copying as journal_copy
    from services import journal_care

    found = journal_care.check(installation)
    if journal_copy.directory_of(installation.journal_dsn) is None:
        typer.echo("RINGFENCE_JOURNAL is Kafka, whose brokers check their own data: only the collector's spool is checked here.")
    for _, damage in found.damages:
        for line in damage.lines():
            typer.echo(line)
    return found
