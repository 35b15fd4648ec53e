"""Restores a backup into an empty home: every hash is checked first, and the restore is whole or not at all.

    1. read the backup, compare every file with its hash, and the addresses with what it holds   nothing is written yet
    2. `HOME/.restoring`      from here on every command refuses the home; the next restore clears it and starts again
    3. the files, the warehouse by the engine's own RESTORE, books and warehouse brought to this release (one that is newer is
       refused), a hold on every switch that the books name
    4. everything synced, and `.restoring` removed                                            the home can be used

The hold is necessary because the books are old: a person may since have lifted a block that they still have. A switch on hold
gets nothing from us and refuses nothing; `ringfence unblock --clear-hold` ends the hold when a person has looked through the orders.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from books import BooksError, audit, open_books, switches, writing
from books import copying as books_copy
from books import migrate as migrate_books
from flows.snapshot import LAYOUT
from journal import JournalError, open_journal
from journal import copying as journal_copy
from journal.durable import replace_file, sync_directory, sync_tree
from services import homes, manifest
from services.backup import Report
from services.errors import ServiceError
from services.homes import LOCK, MARKER, RESTORING, alone
from services.installation import Installation
from services.manifest import Manifest, WrongBackup
from switches.tail import POSITION, Position, load_positions, store_positions
from warehouse import WarehouseError, embedded_directory, migrate, open_warehouse
from warehouse import copying as warehouse_copy

WHO = "restore"
OURS = frozenset({MARKER, LOCK, RESTORING, "lost+found"})
"""Entries that an empty home may have; the last is that of an empty disk."""


class NotRestored(ServiceError):
    """The home is as empty as before; the message has the reason."""


@dataclass(frozen=True)
class Restored:
    """What was restored. `held`: switches on hold; `elsewhere`: part -> address, of the parts that were not in the backup."""

    made_at: datetime
    files: int
    bytes: int
    held: list[str]
    elsewhere: dict[str, str]


@dataclass(frozen=True)
class Targets:
    """The target of each part of a backup. None = the part is not in it."""

    journal: Path | None
    warehouse: Path | None
    books: Path | None
    state: Path
    spool: Path
    run: Path

    def every(self) -> list[Path]:
        found = (self.journal, self.warehouse, self.books, self.state, self.spool, self.run)
        return [path for path in found if path is not None]


def restore(installation: Installation, source: Path, *, hold: bool, now_ms: int, report: Report) -> Restored:
    """Restores a backup. Raises `WrongBackup` or `NotRestored`; then nothing has changed."""
    made = manifest.read(source)
    if made.layout > LAYOUT:
        raise WrongBackup(
            f"{source} was made by Ringfence {made.ringfence}, which is newer than this one: restore it with that release"
        )
    targets = targets_of(installation, made)
    report("hashes")
    manifest.compare(source, made)
    homes.restrict_umask()
    try:
        homes.make_private(installation.root)
    except homes.NotAHome as refused:
        raise NotRestored(str(refused)) from None
    with alone(installation.root):
        _clear_interrupted(installation.root)
        _check_empty(installation.root, targets)
        marker = installation.root / RESTORING
        replace_file(marker, json.dumps([str(path) for path in targets.every()]).encode())
        try:
            held = _put(installation, source, made, targets, hold, now_ms, report)
            _sync(targets)
        except (OSError, BooksError, JournalError, WarehouseError, books_copy.CopyFailed) as error:
            _remove(targets.every(), marker)
            raise NotRestored(f"{source} was not restored, and {installation.root} is empty again: {error}") from error
        except BaseException:
            _remove(targets.every(), marker)
            raise
        marker.unlink()
        sync_directory(installation.root)
    size = sum(file.bytes for file in made.files.values())
    return Restored(datetime.fromtimestamp(made.made_ms / 1000, UTC), len(made.files), size, held, made.elsewhere)


def targets_of(installation: Installation, made: Manifest) -> Targets:
    """The targets by the addresses in force. Refused if the backup holds a part whose address is on a server, or the other way round."""
    tops = {name.split("/", 1)[0] for name in made.files}

    def target(part: str, setting: str, dsn: str, path: Path | None) -> Path | None:
        if part in tops and path is None:
            raise WrongBackup(
                f"the backup holds {part}, and {setting} names another kind of store ({dsn.split('://', 1)[0]}://...): "
                f"restore with {setting} unset, or with an address of its kind"
            )
        if part not in tops and part.split(".")[0] in made.elsewhere and path is not None:
            raise WrongBackup(
                f"the backup was made with {setting} at {made.elsewhere[part.split('.')[0]]}, and does not hold what is there: "
                f"set {setting} to it (or to what you restored it to)"
            )
        return path if part in tops else None

    return Targets(
        journal=target(
            "journal", "RINGFENCE_JOURNAL", installation.journal_dsn, journal_copy.directory_of(installation.journal_dsn)
        ),
        warehouse=target(
            "warehouse", "RINGFENCE_WAREHOUSE", installation.warehouse_dsn, embedded_directory(installation.warehouse_dsn)
        ),
        books=target("books.db", "RINGFENCE_BOOKS", installation.books_dsn, books_copy.sqlite_file(installation.books_dsn)),
        state=installation.state_dir,
        spool=installation.spool_dir,
        run=installation.run_dir,
    )


def _check_empty(root: Path, targets: Targets) -> None:
    for path in [root, *targets.every()]:
        names = {p.name for p in path.iterdir()} - OURS if path.is_dir() else {path.name} if path.exists() else set()
        if names:
            raise NotRestored(
                f"{path} is not empty (it has {sorted(names)[0]}): nothing is written over. Move it away, or name another --home"
            )


def _clear_interrupted(root: Path) -> None:
    """Clears what a killed restore has left: every path in its marker was empty before it began."""
    marker = root / RESTORING
    if marker.exists():
        _remove([Path(path) for path in json.loads(marker.read_bytes())], marker)


def _remove(paths: list[Path], marker: Path) -> None:
    for path in paths:
        if path.is_dir():
            for inside in path.iterdir():  # the directory itself may be a mount point
                if inside.name not in OURS:
                    shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
            if path.is_relative_to(marker.parent):
                _remove_empty(path, marker.parent)
        else:
            path.unlink(missing_ok=True)
    marker.unlink()


def _remove_empty(path: Path, root: Path) -> None:
    while path != root and not any(path.iterdir()):
        if path.is_mount():
            return
        path.rmdir()
        path = path.parent


def _put(
    installation: Installation, source: Path, made: Manifest, targets: Targets, hold: bool, now_ms: int, report: Report
) -> list[str]:
    for directory in (targets.state, targets.spool, targets.run):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    tops = {"journal": targets.journal, "state": targets.state, "spool": targets.spool, "switch": targets.run / "kamailio"}
    report("files")
    for name in made.files:
        top, _, inside = name.partition("/")
        if inside and (below := tops.get(top)):
            _copy(source / name, below / inside)
        elif name == "books.db" and targets.books:
            _copy(source / name, targets.books)
    _renew_positions(targets.spool)
    if targets.journal:
        journal = open_journal(installation.journal_dsn)
        for topic in made.ends:
            journal.create(topic, journal.partitions(topic))  # checks every tail
    if targets.warehouse:
        report("warehouse")
        warehouse_copy.put_back(targets.warehouse, source / "warehouse")
        client = open_warehouse(installation.warehouse_dsn)
        try:
            migrate(client)
        finally:
            client.close()
    held: list[str] = []
    if targets.books:
        engine = open_books(installation.books_dsn)
        try:
            migrate_books(engine)
            with writing(engine) as conn:
                at = f"{datetime.fromtimestamp(made.made_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
                audit.note(conn, WHO, "restored", str(source), f"a backup of {at}", now_ms)
                for switch in switches.every(conn) if hold else []:
                    switches.hold(conn, switch.name, WHO, f"restored from a backup of {at}: look through the orders", now_ms)
                    held.append(switch.name)
        finally:
            engine.dispose()
    return held


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _renew_positions(spool: Path) -> None:
    """Points each position to the new file, so that delivered records are not delivered again."""
    path = spool / POSITION
    positions = {
        name: Position((spool / name).stat().st_ino, position.offset)
        for name, position in load_positions(path).items()
        if (spool / name).exists()
    }
    if path.exists():
        store_positions(path, positions)


def _sync(targets: Targets) -> None:
    for target in targets.every():
        if target.exists():
            sync_tree(target)
    for parent in {target.parent for target in targets.every() if target.parent.is_dir()}:
        sync_directory(parent)
