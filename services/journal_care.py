"""Checks and repairs of the embedded journal, with the losses written into the audit."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from books import BooksError, audit
from journal import JournalError, Locked, repair
from journal import copying as journal_copy
from journal.repair import Damage, Loss
from services.errors import NoInstallation
from services.installation import Installation, books


class JournalDamages(NamedTuple):
    """`damages`: each with the directory of its journal. `broken`: topics that cannot even be checked, one line each."""

    damages: list[tuple[Path, Damage]]
    broken: list[str]


def homes(installation: Installation) -> dict[str, Path]:
    """The file journals of this installation: name -> directory."""
    found = {
        "journal": journal_copy.directory_of(installation.journal_dsn),
        "collector's spool": installation.state_dir / "collector",
    }
    return {name: path for name, path in found.items() if path is not None and path.is_dir()}


def check(installation: Installation) -> JournalDamages:
    """Reads every embedded journal to its end. Changes nothing; parts may run meanwhile. Raises `NoInstallation`."""
    if not homes(installation):
        raise NoInstallation(f"There is no journal under {installation.root}: start `ringfence up` once, or name the --home.")
    found = JournalDamages([], [])
    for home in homes(installation).values():
        found.broken.extend(repair.without_about(home))
        for topic in journal_copy.topics_in(home):
            try:
                found.damages.extend((home, damage) for damage in repair.check(home, topic))
            except JournalError as error:
                found.broken.append(str(error))
    return found


def give_up(home: Path, damage: Damage, now_ms: int) -> list[Loss]:
    """Copies the damaged bytes aside and records the lost offsets; readers skip them. Raises `JournalError`."""
    try:
        return repair.repair(home, damage, now_ms)
    except Locked as error:
        raise Locked(f"{error}: stop it first; nothing of {damage.topic}/{damage.partition} was changed") from error


def audit_losses(installation: Installation, who: str, now_ms: int) -> list[str]:
    """Writes losses into the audit that are not in it yet, of this repair or of an interrupted one. Returns lines on what prevented it."""
    for home in homes(installation).values():
        try:
            fresh = [loss for loss in repair.losses(home) if not loss.noted]
            if not fresh:
                continue
            if not installation.has_books:
                return ["There are no books to write the loss into: it is recorded beside the journal only."]
            with books(installation) as conn:
                for loss in fresh:
                    audit.note(conn, who, "journal repair", f"{loss.topic}/{loss.partition}", loss.line(), now_ms)
            # A crash here: the next repair writes the same lines once more.
            repair.set_noted(home, fresh)
        except (BooksError, JournalError) as error:
            return [
                f"The loss is recorded beside the journal, and not in the audit yet; `ringfence journal repair` tries again: {error}"
            ]
    return []
