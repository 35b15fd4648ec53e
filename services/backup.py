"""A backup of what is ours, while everything runs.

Nothing stops, so the parts are copied in an order in which each copy is older than what it leans on; a restored installation then
finds itself as after a kill, and heals by replay. In this order, with what the distance to the next copy means:

1. spools       the switch's place before its records, then the collector's own spool. What came into `calls` meanwhile is there
                twice: judge knows it by boot and number, and counts it as a duplicate.
2. state        of judge, watch and store, each with its offsets inside. Whatever they did since is done again: the same rows, ids
                and sums, which collapse.
3. warehouse    has every row below the store's offset, and some above, which are stored again.
4. judged, sums end behind the offsets of 2.
5. calls        ends behind everything that was judged of it: no row of 3 or 4 stands under an offset that a new record will get.
6. books        know each config version that a tick in 5 names, and each order that they took from 7.
7. findings,    end behind the books' progress. An order in here that is older than a few minutes when it is read is dropped:
   block_orders a restore blocks nobody.
8. manifest     the hash of each file; then the directory gets its name. A backup without a name was not finished.

What is lost with a restore is what came after 5, and every word of a person after 6. What a switch still has in its spool is
delivered again when its place there is removed.
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
from journal.durable import replace_file, sync_directory
from services import manifest
from services.errors import ServiceError
from services.installation import Installation
from services.manifest import Manifest
from switches.tail import POSITION
from warehouse import copying as warehouse_copy
from warehouse import embedded_directory

LAST = (topics.FINDINGS, topics.BLOCK_ORDERS)
"""Topics that are copied behind the books; the others but `calls` before them."""

SWITCH_FILES = ("hold", "fence", "after-emergency")
"""What a Kamailio of ours keeps over its restart, in its run folder."""

COLLECTOR = "collector"

Say = Callable[[str], None]


class NotBackedUp(ServiceError):
    """Nothing was made; the words say why."""


def backup(installation: Installation, out: Path, now_ms: int, say: Say) -> Manifest:
    """Makes `out`, whole or not at all."""
    try:
        out = out.resolve()  # where it really is: not in the home by another name for it
    except (OSError, RuntimeError) as error:  # links in a circle are the second
        raise NotBackedUp(f"{out} leads nowhere: {error}") from None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NotBackedUp(f"{out} is there already, and not empty: name a new directory")
    if not installation.state_dir.is_dir():
        raise NotBackedUp(f"{installation.root} is not a home of Ringfence: there is nothing to back up")
    if mine := _inside_of(installation, out):
        raise NotBackedUp(f"{out} is inside of the home {mine}: name a directory on another disk")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(mode=0o700)
    try:
        made = _fill(installation, draft, now_ms, say)
        _sync(draft)
        if out.exists():
            out.rmdir()
        draft.rename(out)
        sync_directory(out.absolute().parent)
    except BaseException:
        shutil.rmtree(draft)
        raise
    return made


def _inside_of(installation: Installation, out: Path) -> Path | None:
    """The directory of ours in which `out` would lie, by name or by what a link or a mount shows under another name."""
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
    """Of a directory and of those directly in it: either may be mounted somewhere else as well."""
    yield root.stat()
    for path in root.iterdir():
        if path.is_dir():
            yield path.stat()


def _fill(installation: Installation, draft: Path, now_ms: int, say: Say) -> Manifest:
    ends: dict[str, dict[int, int]] = {}
    elsewhere: dict[str, str] = {}

    say("spools")
    _spool(installation, draft)
    _collector_spool(installation.state_dir / COLLECTOR, draft / "state" / COLLECTOR)

    say("state")
    _state(installation.state_dir, draft / "state")

    directory = embedded_directory(installation.warehouse_dsn)
    if directory is None:
        elsewhere["warehouse"] = without_password(installation.warehouse_dsn)
    elif directory.is_dir():
        say("warehouse")
        _take(warehouse_copy.copy(directory, f"backup-{uuid.uuid4().hex[:8]}"), draft / "warehouse")

    journal = journal_copy.directory_of(installation.journal_dsn)
    early = [topic for topic in topics.TOPICS if topic not in (topics.CALLS, *LAST)]

    def copy_topics(*names: str) -> None:
        for topic in names:
            if journal is not None:
                say(f"journal: {topic}")
                ends[topic] = journal_copy.copy_topic(journal, topic, draft / "journal")

    copy_topics(*early, topics.CALLS)
    file = books_copy.sqlite_file(installation.books_dsn)
    if file is None:
        elsewhere["books"] = without_password(installation.books_dsn)
    elif file.exists():
        say("books")
        books_copy.copy(file, draft / "books.db")
    copy_topics(*LAST)
    if journal is None:
        elsewhere["journal"] = without_password(installation.journal_dsn)

    say("hashes")
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
    """Places first: what is delivered between the two copies is delivered twice, and not never."""
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
    """Places first, as above; the log behind them is a journal of its own."""
    if not source.is_dir():
        return
    target.mkdir(parents=True)
    for path in sorted(source.glob("position-*")):
        _copy_if_there(path, target / path.name)
    for topic in journal_copy.topics_in(source):
        journal_copy.copy_topic(source, topic, target)


def _state(source: Path, target: Path) -> None:
    """Files that are replaced whole are read whole; databases by their own backup; drafts are nobody's."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if not path.is_file() or inside.parts[0] == COLLECTOR or any(part.startswith(".") for part in inside.parts):
            continue
        if path.name.endswith(("-wal", "-shm", ".lock")):
            continue  # of a database, whose backup has what is in them; of a process
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
    """The warehouse's copy to ours, also on another disk."""
    try:
        try:
            source.rename(target)
        except OSError:
            shutil.copytree(source, target)
    finally:
        shutil.rmtree(source, ignore_errors=True)


def _sync(root: Path) -> None:
    for path in [*root.rglob("*"), root]:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
