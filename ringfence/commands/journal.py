"""`ringfence journal`: whether the embedded journal is whole, and how it goes on where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringfence import options
from ringfence.options import Home, Who

if TYPE_CHECKING:
    from pathlib import Path

    from journal.repair import Damage, Loss
    from ringfence.settings import Settings

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
    settings = options.settings_of(home)
    found, broken = _look(settings)
    for _, damage in found:
        for line in damage.lines():
            typer.echo(line)
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
    import time

    from journal import JournalError, Locked
    from journal import repair as repairing

    settings = options.settings_of(home)
    found, broken = _look(settings)
    for _, damage in found:
        for line in damage.lines():
            typer.echo(line)
    mendable = [(path, damage) for path, damage in found if damage.repairable]
    if mendable and not yes:
        typer.confirm("Give up what is named above? Its bytes are kept in a file, and the loss is written down.", abort=True)
    failed = list(broken)
    for path, damage in mendable:
        try:
            for loss in repairing.repair(path, damage, time.time_ns() // 1_000_000):
                typer.echo(f"lost: {loss.line()}")
            typer.echo(f"{damage.topic}/{damage.partition} is repaired.")
        except Locked as error:
            failed.append(f"{error}: stop it first; nothing of {damage.topic}/{damage.partition} was changed")
        except JournalError as error:
            failed.append(str(error))
    failed += [line for _, damage in found for line in damage.notes]
    failed += _into_the_audit(settings, options.login(who))
    if failed:
        options.give_up("\n".join(failed))
    if not mendable:
        typer.echo("The journal is whole: nothing was changed.")


def _look(settings: Settings) -> tuple[list[tuple[Path, Damage]], list[str]]:
    """Every damage with the directory of its journal, and topics of which not even that can be told."""
    from journal import JournalError
    from journal import copying as journal_copy
    from journal import repair as repairing
    from ringfence import keeping

    if not keeping.journal_homes(settings):
        options.give_up(f"There is no journal under {settings.root}: start `ringfence up` once, or name the --home.")
    if journal_copy.directory_of(settings.journal_dsn) is None:
        typer.echo("RINGFENCE_JOURNAL is Kafka: its brokers check what they keep. Here only the collector's spool is looked at.")
    found, broken = [], []
    for home in keeping.journal_homes(settings).values():
        broken += repairing.without_about(home)
        for topic in journal_copy.topics_in(home):
            try:
                found += [(home, damage) for damage in repairing.check(home, topic)]
            except JournalError as error:
                broken.append(str(error))
    return found, broken


def _into_the_audit(settings: Settings, who: str) -> list[str]:
    """Losses that are not in the audit yet, of this repair or of one that was cut off; what keeps them out of it."""
    import time

    from books import BooksError, audit
    from journal import JournalError
    from journal import repair as repairing
    from ringfence import by_hand, keeping

    for home in keeping.journal_homes(settings).values():
        try:
            fresh: list[Loss] = [loss for loss in repairing.losses(home) if not loss.noted]
            if not fresh:
                continue
            if not by_hand.has_books(settings):
                return ["There are no books to write the loss into: it is written down beside the journal alone."]
            with by_hand.books(settings) as conn:
                for loss in fresh:
                    audit.note(
                        conn, who, "journal repair", f"{loss.topic}/{loss.partition}", loss.line(), time.time_ns() // 1_000_000
                    )
            repairing.set_noted(home, fresh)
        except (BooksError, JournalError) as error:
            return [
                f"The loss is written down beside the journal, and not in the audit yet; `ringfence journal repair` does it again: {error}"
            ]
    return []
