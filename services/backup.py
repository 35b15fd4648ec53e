"""Backs up an installation while it runs.

Nothing stops, so each part is copied before the parts that it depends on; a restored installation is then in the state of one that was
killed, and recovers by replay. The order, and the effect of what happens between two copies:

1. spools       the switch's position before its records, then the collector's own spool. A record that reached `calls` meanwhile is
                there twice: judge recognises it by boot and number, and counts it as a duplicate.
2. state        of judge, watch and store, each with its offsets inside. They repeat what they did since: the same rows, ids and
                sums, which collapse.
3. warehouse    has every row below the store's offset, and some above, which are stored again.
4. judged, sums end behind the offsets of 2.
5. calls        ends behind every record that was judged: no row of 3 or 4 has an offset that a new record will get.
6. books        have each config version that a tick in 5 refers to, and each order that they took from 7.
7. findings,    end behind the books' progress. An order in here that is older than a few minutes when it is read is dropped:
   block_orders a restore blocks nobody.
8. manifest     the hash of each file; then the directory gets its name. A backup without a name is unfinished.

A restore loses what arrived after 5, and every decision of a person after 6. What a switch still has in its spool is delivered again
when its position there is removed.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec

from books import copying as books_copy
from core import topics
from core.address import without_password
from flows.snapshot import LAYOUT
from journal import copying as journal_copy
from journal.durable import replace_file, sync_directory, sync_tree
from services import manifest
from services.errors import ServiceError
from services.installation import Installation
from services.manifest import Manifest
from switches.tail import POSITION
from warehouse import copying as warehouse_copy
from warehouse import embedded_directory

LAST = (topics.FINDINGS, topics.BLOCK_ORDERS)
"""Topics that are copied after the books; all others before them."""

SWITCH_FILES = ("hold", "fence", "after-emergency")
"""Files in the run folder of our own Kamailio that survive its restart."""

COLLECTOR = "collector"
LAST_BACKUP = "last-backup.json"

Report = Callable[[str], None]
"""Called with the name of each step as it begins."""


class NotBackedUp(ServiceError):
    """No backup was made; the message has the reason."""


def backup(installation: Installation, out: Path, now_ms: int, report: Report) -> Manifest:
    """Makes `out`, whole or not at all."""
    try:
        out = out.resolve()  # the real place: `out` may lead into the home by another name
    except (OSError, RuntimeError) as error:  # RuntimeError: a cycle of links
        raise NotBackedUp(f"{out} leads nowhere: {error}") from None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NotBackedUp(f"{out} exists already, and is not empty: name a new directory")
    if not installation.state_dir.is_dir():
        raise NotBackedUp(f"{installation.root} is not a home of Ringfence: there is nothing to back up")
    if mine := _inside_of(installation, out):
        raise NotBackedUp(f"{out} is inside of the home {mine}: name a directory on another disk")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(mode=0o700)
    try:
        made = _fill(installation, draft, now_ms, report)
        sync_tree(draft)
        if out.exists():
            out.rmdir()
        draft.rename(out)
        sync_directory(out.absolute().parent)
    except BaseException:
        shutil.rmtree(draft)
        raise
    _note(installation, out, now_ms, report)
    return made


class LastBackup(msgspec.Struct, frozen=True):
    """The newest backup of a home, in its run folder, where the page of health finds it. The backup is good without."""

    at_ms: int
    out: str


def _note(installation: Installation, out: Path, now_ms: int, report: Report) -> None:
    try:
        installation.run_dir.mkdir(exist_ok=True, mode=0o700)
        replace_file(installation.run_dir / LAST_BACKUP, msgspec.json.encode(LastBackup(now_ms, str(out))))
    except OSError as error:
        report(f"the page of health does not know of it: {error.strerror or error}")


def last_backup(run_dir: Path) -> LastBackup | None:
    """The newest backup that was made of a home; None = none, or it is not known here."""
    try:
        return msgspec.json.decode((run_dir / LAST_BACKUP).read_bytes(), type=LastBackup)
    except (OSError, msgspec.DecodeError):
        return None


def _inside_of(installation: Installation, out: Path) -> Path | None:
    """The directory of ours in which `out` would lie, by its name or by way of a link or a mount."""
    embedded = (embedded_directory(installation.warehouse_dsn), journal_copy.directory_of(installation.journal_dsn))
    roots = [installation.root, *(directory for directory in embedded if directory is not None)]
    mine = {(at.st_dev, at.st_ino): root for root in roots if root.is_dir() for at in _identities(root)}
    for above in (out, *out.parents):
        if (root := next((root for root in roots if above == root.resolve()), None)) is not None:
            return root
        if above.exists():
            at = above.stat()
            if (root := mine.get((at.st_dev, at.st_ino))) is not None:
                return root
    return None


def _identities(root: Path) -> Iterator[os.stat_result]:
    """Those of a directory and of its direct subdirectories: each may also be mounted elsewhere."""
    yield root.stat()
    for path in root.iterdir():
        if path.is_dir():
            yield path.stat()


def _fill(installation: Installation, draft: Path, now_ms: int, report: Report) -> Manifest:
    ends: dict[str, dict[int, int]] = {}
    elsewhere: dict[str, str] = {}

    report("spools")
    _spool(installation, draft)
    _collector_spool(installation.state_dir / COLLECTOR, draft / "state" / COLLECTOR)

    report("state")
    _state(installation.state_dir, draft / "state")

    directory = embedded_directory(installation.warehouse_dsn)
    if directory is None:
        elsewhere["warehouse"] = without_password(installation.warehouse_dsn)
    elif directory.is_dir():
        report("warehouse")
        _take(warehouse_copy.copy(directory, f"backup-{uuid.uuid4().hex[:8]}"), draft / "warehouse")

    journal = journal_copy.directory_of(installation.journal_dsn)
    early = [topic for topic in topics.TOPICS if topic not in (topics.CALLS, *LAST)]

    def copy_topics(*names: str) -> None:
        for topic in names:
            if journal is not None:
                report(f"journal: {topic}")
                ends[topic] = journal_copy.copy_topic(journal, topic, draft / "journal")

    copy_topics(*early, topics.CALLS)
    file = books_copy.sqlite_file(installation.books_dsn)
    if file is None:
        elsewhere["books"] = without_password(installation.books_dsn)
    elif file.exists():
        report("books")
        books_copy.copy(file, draft / "books.db")
    copy_topics(*LAST)
    if journal is None:
        elsewhere["journal"] = without_password(installation.journal_dsn)

    report("hashes")
    made = Manifest(
        ringfence=version("ringfence"),
        layout=LAYOUT,
        made_ms=now_ms,
        home=str(installation.root),
        elsewhere=elsewhere,
        ends=ends,
        files=manifest.about(draft),
    )
    replace_file(draft / manifest.NAME, msgspec.json.format(msgspec.json.encode(made), indent=1))
    return made


def _spool(installation: Installation, draft: Path) -> None:
    """The position first: a record that is delivered between the two copies is delivered twice rather than never."""
    target = draft / "spool"
    target.mkdir()
    for path in [installation.spool_dir / POSITION, *sorted(installation.spool_dir.glob("rec-*.jl"))]:
        _copy_if_there(path, target / path.name)
    for name in SWITCH_FILES:
        source = installation.run_dir / "kamailio" / name
        if source.exists():
            (draft / "switch").mkdir(exist_ok=True)
            _copy_if_there(source, draft / "switch" / name)


def _collector_spool(source: Path, target: Path) -> None:
    """The positions first, as above; the log behind them is a journal of its own."""
    if not source.is_dir():
        return
    target.mkdir(parents=True)
    for path in sorted(source.glob("position-*")):
        _copy_if_there(path, target / path.name)
    for topic in journal_copy.topics_in(source):
        journal_copy.copy_topic(source, topic, target)


def _state(source: Path, target: Path) -> None:
    """Copies files that are replaced whole, and databases by their own backup; skips temporary files."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if not path.is_file() or inside.parts[0] == COLLECTOR or any(part.startswith(".") for part in inside.parts):
            continue
        if path.name.endswith(("-wal", "-shm", ".lock")):
            continue  # a database's backup contains the first two; a lock belongs to a process
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".sqlite3":
            books_copy.copy(path, target / inside)
        else:
            _copy_if_there(path, target / inside)


def _copy_if_there(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        return  # delivered and removed meanwhile
    target.chmod(0o600)


def _take(source: Path, target: Path) -> None:
    """Moves the warehouse's copy into the backup, also across disks."""
    try:
        try:
            source.rename(target)
        except OSError:
            shutil.copytree(source, target)
    finally:
        shutil.rmtree(source, ignore_errors=True)
