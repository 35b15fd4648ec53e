"""What an installation stores, where, since when, for how long, and which readers still need it.

Each part removes its own old data while it runs: writers of the journal, old segments; `store`, old days of the warehouse;
`dispatcher`, old rows of the books; collector and shipper, delivered records. `ringfence retention apply` does the same at once.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from journal import JournalError, Limits, NoTopic, retention
from journal import copying as journal_copy
from journal.files import FileJournal, _bases
from services.errors import ServiceError
from services.installation import Installation, Retention

if TYPE_CHECKING:
    from books import Connection, Engine

log = structlog.get_logger("services.retention")

HOUR_S = 3600.0
ANSWER_S = 30.0
"""How long a running store may take to apply the retention."""
GB = 1_000_000_000
DAY_MS = 86_400_000


class StoredData(NamedTuple):
    """One kind of data that grows. `since_ms`: time of the oldest; None = none, or unknown. `rule`: how long it is kept.
    `readers`: reader -> number of entries that it still has to read."""

    where: str
    what: str
    size_bytes: int | None
    since_ms: int | None
    rule: str
    readers: dict[str, int] = {}  # noqa: RUF012 - never changed
    note: str = ""


class NotApplied(ServiceError):
    """The retention could not be applied; the message has the place and the reason."""


# --- the installation, as each part takes them ---


def journal_limits(keep: Retention) -> Limits:
    """The limits of the embedded journal, and of new topics on Kafka.

    >>> found = journal_limits(Retention(journal_days=2, journal_partition_gb=1.5, drop_unread=True))
    >>> found.retention_ms, found.retention_bytes, found.drop_unread
    (172800000, 1500000000, True)
    >>> journal_limits(Retention(journal_days=0)).retention_ms is None
    True
    """
    return Limits(
        retention_ms=round(keep.journal_days * DAY_MS) or None,
        retention_bytes=round(keep.journal_partition_gb * GB) or None,
        drop_unread=keep.drop_unread,
    )


def warehouse_days(keep: Retention) -> dict[str, int]:
    """Table -> days."""
    return {"records": keep.records_days, "attempts": keep.records_days, "calls": keep.calls_days, "charges": keep.calls_days}


def days(count: float) -> str:
    """A number of days as text.

    >>> days(0), days(1), days(7.5)
    ('for ever', '1 day', '7.5 days')
    """
    return "for ever" if not count else f"{count:g} day{'s' * (count != 1)}"


# --- looking ---


def look(installation: Installation) -> list[StoredData]:
    """All data that grows in an installation. If a store does not answer, the note has the reason."""
    return [*_journal(installation), *_warehouse(installation), *_books(installation), *_files(installation)]


def _journal(installation: Installation) -> list[StoredData]:
    from core.topics import TOPICS

    home = journal_copy.directory_of(installation.journal_dsn)
    if home is None:
        note = "RINGFENCE_JOURNAL is Kafka: see retention.ms of each topic"
        return [StoredData("journal", "topics", None, None, "as the brokers are set", note=note)]
    rule = days(installation.retention.journal_days)
    if installation.retention.journal_partition_gb:
        rest = "what is unread stays" if not installation.retention.drop_unread else "also what is unread"
        rule += f", {installation.retention.journal_partition_gb:g} GB per partition ({rest})"
    found = []
    for topic in TOPICS:
        try:
            found.append(_topic(home, topic, rule))
        except NoTopic:
            continue
        except JournalError as error:
            found.append(StoredData("journal", topic, None, None, rule, note=str(error)))
    return found


def _topic(home: Path, topic: str, rule: str) -> StoredData:
    journal = FileJournal(home)
    size, since_ms, readers = 0, None, dict[str, int]()
    for partition in range(journal.partitions(topic)):
        end = journal.end_offset(topic, partition)
        part = home / topic / str(partition)
        segments = retention.segments_of(part, _bases(part), end)
        size += sum(segment.size_bytes for segment in segments)
        if segments and segments[0].size_bytes:
            since_ms = min(segments[0].written_ms, since_ms or segments[0].written_ms)
        for reader, offset in journal.readers(topic, partition).items():
            readers[reader] = readers.get(reader, 0) + max(0, end - offset)
    return StoredData("journal", topic, size, since_ms, rule, readers)


def _warehouse(installation: Installation) -> list[StoredData]:
    from services import reading as read
    from warehouse import WarehouseError, embedded_directory, held

    wanted = warehouse_days(installation.retention)
    directory = embedded_directory(installation.warehouse_dsn)
    if directory is not None and not directory.exists():
        return []
    try:
        with read.warehouse(installation) as client:
            tables = held(client)
    except WarehouseError as error:
        return [StoredData("warehouse", table, None, None, days(wanted[table]), note=str(error)) for table in wanted]
    found = []
    for table in tables:
        since = datetime.strptime(f"{table.oldest}+0000", "%Y%m%d%z").timestamp() * 1000 if table.oldest else None
        wanted_days = wanted.get(table.table, table.days)
        note = "" if table.days == wanted_days else f"the store has {days(table.days)} in force, and takes the setting within an hour"
        found.append(
            StoredData("warehouse", table.table, table.size_bytes, None if since is None else round(since), days(wanted_days), note=note)
        )
    return found


def _books(installation: Installation) -> list[StoredData]:
    from books import BooksError, copying, open_books, reading
    from books import retention as books_retention

    file = copying.sqlite_file(installation.books_dsn)
    if file is not None and not file.exists():
        return []
    engine = open_books(installation.books_dsn)
    try:
        with reading(engine) as conn:
            held = books_retention.held(conn)
    except BooksError as error:
        return [StoredData("books", "tables", None, None, "", note=str(error))]
    finally:
        engine.dispose()
    rules = {
        "alerts": days(installation.retention.alerts_days),
        "block_orders": f"{days(installation.retention.orders_days)} after they are over",
        "suppressions": f"{days(installation.retention.orders_days)} after they are over",
        "audit": "for ever, unless a person removes it",
    }
    found = [StoredData("books", name, None, one.oldest_ms, rules[name], note=f"{one.rows:,} rows") for name, one in held.items()]
    if file is not None:
        found.insert(0, StoredData("books", file.name, _size(file), None, "the space of removed rows is used again"))
    return found


def _files(installation: Installation) -> list[StoredData]:
    spool = installation.spool_dir
    rule = f"{installation.retention.switch_spool_hours:g} h after it is delivered"
    if installation.retention.switch_spool_gb:
        rule += f", at most {installation.retention.switch_spool_gb:g} GB of that"
    collector_rule = f"until the journal has it; at most {installation.retention.collector_spool_gb:g} GB"
    return [
        StoredData("spool", "collector", _size(installation.state_dir / "collector"), None, collector_rule),
        StoredData("spool", "switch", _size(spool), _oldest_ms(spool), rule),
        StoredData("state", "snapshots", _size(installation.state_dir, "collector"), None, "the last two of each flow"),
        StoredData("logs", "run", _size(installation.run_dir), None, "bounded"),
    ]


def _size(path: Path, without: str = "") -> int:
    """Bytes of a file, or of all files below a directory; a file that is removed meanwhile does not count."""
    total = 0
    for one in path.rglob("*") if path.is_dir() else [path]:
        if without and one.relative_to(path).parts[0] == without:
            continue
        try:
            about = one.lstat()
        except FileNotFoundError:
            continue
        total += about.st_size if not one.is_dir() else 0
    return total


def _oldest_ms(directory: Path) -> int | None:
    found = []
    for path in directory.glob("rec-*.jl"):
        try:
            found.append(round(path.lstat().st_mtime * 1000))
        except FileNotFoundError:
            continue
    return min(found, default=None)


def free_bytes(installation: Installation) -> int:
    """Free bytes on the disk of the home."""
    return shutil.disk_usage(installation.root).free


# --- applying it at once ---


def apply_journal(installation: Installation, now_ms: int, forget: str = "") -> list[str]:
    """Removes old segments of the embedded journal, also while it is written to: writers and readers tolerate it. Returns one line per
    partition. `forget`: a reader that retention need no longer wait for."""
    from journal import marks

    home = journal_copy.directory_of(installation.journal_dsn)
    if home is None:
        return ["journal: the brokers apply the retention of their topics"]
    limits = journal_limits(installation.retention)
    lines, forgotten = [], False
    for topic in journal_copy.topics_in(home):
        journal = FileJournal(home)
        for partition in range(journal.partitions(topic)):
            part = home / topic / str(partition)
            if forget:
                forgotten |= marks.remove_mark(part, forget)
            found = retention.segments_of(part, _bases(part), journal.end_offset(topic, partition))
            plausible_ms = retention.opened_ms([segment.written_ms for segment in found], now_ms, limits.roll_ms)
            old = retention.removable(found, limits, min(now_ms, plausible_ms), retention.read_to(part))
            retention.remove(part, old)
            if old:
                size = sum(segment.size_bytes for segment in old)
                lines.append(
                    f"journal: {topic}/{partition}: offsets {old[0].base} to {old[-1].end - 1} ({size / 1e6:,.1f} MB)"
                )
    if forget and not forgotten:
        raise NotApplied(f"no topic has a reader {forget!r}: nothing was forgotten")
    return lines


def apply_warehouse(installation: Installation, now_ms: int) -> list[str]:
    """Drops old days of the warehouse: by this process if no other holds it, or if it is a server; else asks the running store."""
    from flows.store import APPLIED, WANTED
    from warehouse import WarehouseHeld, apply_retention, embedded_directory, open_warehouse, set_days

    directory = embedded_directory(installation.warehouse_dsn)
    if directory is not None and not directory.exists():
        return []
    try:
        client = open_warehouse(installation.warehouse_dsn)
    except WarehouseHeld:
        return _ask_store(installation.state_dir / WANTED, installation.state_dir / APPLIED)
    try:
        set_days(client, warehouse_days(installation.retention), "settings", "as the settings say")
        return [f"warehouse: {table}: {day}" for table, day in apply_retention(client, now_ms)]
    finally:
        client.close()


def _ask_store(wanted: Path, applied: Path) -> list[str]:
    applied.unlink(missing_ok=True)
    wanted.touch()
    until_s = time.monotonic() + ANSWER_S
    while time.monotonic() < until_s:
        if applied.exists():
            lines = applied.read_text().splitlines()
            applied.unlink()
            return [f"warehouse: {line.replace(' ', ': ')}" for line in lines]
        time.sleep(0.2)
    wanted.unlink(missing_ok=True)
    raise NotApplied(f"the store that holds the warehouse has not answered in {ANSWER_S:g} s: check its log")


def apply_books(installation: Installation, now_ms: int, audit_days: float = 0.0, who: str = "") -> list[str]:
    """Removes old rows of the books; of the audit only if a person states the age."""
    from books import copying, open_books, writing
    from books import retention as books_retention

    file = copying.sqlite_file(installation.books_dsn)
    if file is not None and not file.exists():
        return []
    engine = open_books(installation.books_dsn)
    try:
        gone = clean_books(engine, installation.retention, now_ms)
        if audit_days:
            with writing(engine) as conn:
                gone["audit"] = books_retention.remove_audit(conn, _aged_to(conn, now_ms), audit_days, who)
    finally:
        engine.dispose()
    return [f"books: {name}: {rows:,} rows" for name, rows in gone.items() if rows]


def clean_books(engine: Engine, keep: Retention, now_ms: int) -> dict[str, int]:
    """Removes old rows of the books, in small transactions; table -> rows."""
    from books import retention as books_retention
    from books import writing

    total: dict[str, int] = {}
    while True:
        with writing(engine) as conn:
            gone = books_retention.remove_old(conn, _aged_to(conn, now_ms), keep.alerts_days, keep.orders_days)
        for name, rows in gone.items():
            total[name] = total.get(name, 0) + rows
        if not gone:
            return total


def _aged_to(conn: Connection, now_ms: int) -> int:
    """The time from which age is measured: at most a day after the last write to the books."""
    from books import retention as books_retention

    return min(now_ms, books_retention.newest_ms(conn) + DAY_MS)


def keep_books(engine: Engine, keep: Retention, clock: Callable[[], int], stop: threading.Event) -> threading.Thread:
    """Starts a thread that removes old rows of the books every hour. A row must also have been old an hour ago: a clock that leaps for less
    removes nothing."""

    def run() -> None:
        last_ms, last_s = clock(), time.monotonic()
        while not stop.wait(HOUR_S):
            now_ms, now_s = clock(), time.monotonic()
            try:
                gone = clean_books(engine, keep, min(now_ms, last_ms + round((now_s - last_s) * 1000)))
            except Exception as error:  # noqa: BLE001 - the books may be away in any way; the next hour tries again
                log.warning("the retention of the books was not applied, and will be in an hour", error=str(error)[:200])
            else:
                if gone:
                    log.info("removed expired rows from the books", **gone)
            last_ms, last_s = now_ms, now_s

    thread = threading.Thread(target=run, name="keep-books", daemon=True)
    thread.start()
    return thread


# --- gaps, for `status` ---


def gaps(installation: Installation) -> list[str]:
    """What was lost or never read, one line each: as recorded by the flows, and by repairs of the journal."""
    from flows import missed
    from journal import repair
    from services import journal_care

    found = [one.line() for one in missed.every(installation.state_dir)]
    for home in journal_care.homes(installation).values():
        found += [f"a repair gave up {loss.line()}" for loss in repair.losses(home)]
    return found
