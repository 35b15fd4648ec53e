"""store: judged -> ClickHouse.

    judged (journal) -> warehouse (records, calls, attempts, charges)

Stored at least once and counted exactly once. The offsets in the recovery store move only after the rows up to them are
durable in the warehouse (`snapshot` of the sink waits for that), so a crash at any moment reads some batches again; the tables'
keys collapse them. What a crash leaves behind: before the insert, nothing; between the insert and the snapshot, rows that are
stored again under the same key; after the snapshot, nothing.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import bytewax.operators as op
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from core.address import without_password
from core.causes import causes
from core.clock import wall_clock_ms
from core.message import Message
from core.reporting import Report, ignore
from core.schemas import TABLES
from core.topics import JUDGED
from flows.flusher import Flusher, Stalled
from flows.journal_source import Chunk, JournalSource
from flows.missed import file_of
from flows.warehouse_server import serve
from journal import Journal, JournalError, open_journal
from journal.durable import replace_file
from warehouse import (
    Warehouse,
    WarehouseDown,
    WarehouseError,
    apply_retention,
    copying,
    embedded_directory,
    handing,
    insert,
    migrate,
    open_warehouse,
    set_days,
)
from warehouse.server import Limits

log = logging.getLogger("ringfence.store")

Result = TypeVar("Result")

# Stored names: the recovery store keeps its state under them.
FLOW = "store"
SOURCE_STEP = "judged"
SINK_STEP = "warehouse"
SINK_PART = "warehouse"
READER = "store"
"""Its name among the readers of `judged`."""

RECOVERY_PARTITIONS = 1
"""For life. One process owns the warehouse, and it has one worker."""

ONE_THREAD = pa.ipc.IpcReadOptions(use_threads=False)
"""A batch of 60 short columns is read twice as fast without handing each column to another thread."""

HOUSEKEEPING_S = 3600.0
LOOK_S = 1.0
"""Between two looks whether a person wants the retention applied now."""
WANTED, APPLIED = "retention.wanted", "retention.applied"
"""Files beside the recovery store: a person asks (`ringfence retention apply`), and what was dropped, one `table day` a line."""


class StoreError(Exception):
    """The flow cannot go on; its text says why and what a person can do. Nothing is lost: a restart reads on."""


@dataclass(frozen=True)
class Reading:
    """Where SELECT is served while the store holds an embedded warehouse."""

    host: str
    port: int
    token: str
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Pace:
    """When things are written, and how long is waited."""

    full_bytes: int = 48 << 20  # of Arrow batches as they travel: about 150,000 rows, where a row is cheapest to insert
    linger_s: float = 1.0  # a lone record waits no longer
    epoch_s: float = 2.0  # between snapshots
    poll_ms: int = 20
    retry_s: float = 60.0  # a warehouse that is down is tried for so long
    stall_s: float = 120.0  # a write that does not come back is waited for so long
    answer_s: float = 30.0  # an insert over HTTP may take so long


class Stored(NamedTuple):
    """What is reported of an insertion, when it is durable. `learned_ms`: of each record; `next_offset`: of `judged`, by partition."""

    rows: dict[str, int]
    learned_ms: npt.NDArray[np.int64]
    next_offset: dict[int, int]
    seconds: float
    at_ms: int


def run(
    *,
    journal_dsn: str,
    warehouse_dsn: str,
    state_dir: Path,
    reading: Reading | None = None,
    pace: Pace = Pace(),
    until_end: bool = False,
    on_ready: Callable[[str], None] | None = None,
    watched: Callable[[Journal], Journal] = lambda journal: journal,
    report: Report = ignore,
    days: Mapping[str, int] | None = None,
) -> None:
    """Runs until it is stopped (or to the present end of `judged`, with `until_end`). Raises `StoreError` when it cannot go on.

    `reading`: serve SELECT there; only for an embedded warehouse. `on_ready(url)` is called when the warehouse is open,
    migrated and served; the url is "" where nothing is served. `watched`: the journal as somebody sees it who counts our looks.
    `report` is called with each `Stored`. `days`: for how many days each table is stored, by name; None: as the warehouse has it.
    """
    with _explained(warehouse_dsn, state_dir), ExitStack() as stack:
        journal = watched(open_journal(journal_dsn))
        partitions = range(journal.partitions(JUDGED))
        client = _patiently(lambda: _ready_warehouse(warehouse_dsn, pace), warehouse_dsn, pace)
        stack.callback(client.close)
        url = ""
        if reading is not None:
            directory = embedded_directory(warehouse_dsn)
            if directory is None:
                raise StoreError("SELECT is served for an embedded warehouse only: one behind HTTP serves itself")
            server = serve(directory, reading.host, reading.port, reading.token, reading.limits)
            stack.callback(server.close)
            url = server.url
        stop = threading.Event()
        keeping = (warehouse_dsn, pace, stop, state_dir.parent, days or {})
        keeper = threading.Thread(target=_keep_house, args=keeping, name="housekeeping", daemon=True)
        keeper.start()
        stack.callback(keeper.join, timeout=5.0)
        if directory := embedded_directory(warehouse_dsn):
            copier = threading.Thread(target=copying.answer, args=(directory, stop), name="copies", daemon=True)
            copier.start()
            stack.callback(copier.join, timeout=5.0)
            taker = threading.Thread(target=handing.take, args=(directory, stop), name="handed", daemon=True)
            taker.start()
            stack.callback(taker.join, timeout=5.0)
        stack.callback(stop.set)
        sink = WarehouseSink(warehouse_dsn, pace, report)
        stack.callback(sink.abandon)
        ends = {p: journal.end_offset(JUDGED, p) for p in partitions} if until_end else None
        if on_ready is not None:
            on_ready(url)
        source = JournalSource(
            journal, JUDGED, partitions, poll_ms=pace.poll_ms, ends=ends, reader=READER, missed=file_of(state_dir)
        )
        _run_flow(store_flow(source, sink), state_dir, pace)


def store_flow(source: JournalSource, sink: WarehouseSink) -> Dataflow:
    """The table of contents."""
    flow = Dataflow(FLOW)
    chunks = op.input(SOURCE_STEP, flow, source)
    keyed = op.key_on("one_writer", chunks, lambda _: SINK_PART)
    op.output(SINK_STEP, keyed, sink)
    return flow


class WarehouseSink(FixedPartitionedSink[Chunk, None]):
    """The warehouse as one sink partition: one writer, one order."""

    def __init__(self, dsn: str, pace: Pace, report: Report = ignore) -> None:
        self._dsn, self._pace, self._report = dsn, pace, report
        self._parts: list[WarehousePart] = []

    def list_parts(self) -> list[str]:
        return [SINK_PART]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> WarehousePart:
        part = WarehousePart(self._dsn, self._pace, self._report)
        self._parts.append(part)
        return part

    def abandon(self) -> None:
        """Ends the threads, also after a failure, when the engine closes nothing. What is not written stays in the journal."""
        for part in self._parts:
            part.abandon()


class WarehousePart(StatefulSinkPartition[Chunk, None]):
    """Hands chunks to the flusher; a snapshot waits until they are durable."""

    def __init__(self, dsn: str, pace: Pace, report: Report = ignore) -> None:
        storing = Storing(dsn, pace, report)
        self._flusher = Flusher(
            storing, full_bytes=pace.full_bytes, linger_s=pace.linger_s, stall_s=pace.stall_s, finish=storing.close
        )

    def write_batch(self, values: list[Chunk]) -> None:
        for chunk in values:
            self._flusher.put([chunk], sum(len(m.value) for m in chunk.messages))

    def snapshot(self) -> None:
        self._flusher.flush()

    def close(self) -> None:
        """Nothing. The engine also calls this while it unwinds from an error, and an error in here then aborts the process.

        At the end of the input the last snapshot has been taken before.
        """

    def abandon(self) -> None:
        self._flusher.close()


class Storing:
    """Writes chunks into the warehouse, in the flusher's thread, with a client of that thread; tries again while it is down."""

    def __init__(self, dsn: str, pace: Pace, report: Report = ignore) -> None:
        self._dsn, self._pace, self._report = dsn, pace, report
        self._client: Warehouse | None = None

    def __call__(self, chunks: list[Chunk]) -> None:
        rows = tables_of(chunks)
        began_s = time.monotonic()
        _patiently(lambda: self._insert(rows), self._dsn, self._pace)
        self._report(stored(chunks, rows, time.monotonic() - began_s, wall_clock_ms()))

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _insert(self, rows: dict[str, pa.Table]) -> None:
        if self._client is None:
            self._client = open_warehouse(self._dsn, timeout_s=self._pace.answer_s)
        try:
            for table in reversed(TABLES):  # `records` last, as judge wrote them: see warehouse.owed.unposted
                if table in rows:
                    insert(self._client, table, rows[table])
        except WarehouseDown:
            self.close()  # a line that broke is not used again
            raise


def _ready_warehouse(dsn: str, pace: Pace) -> Warehouse:
    client = open_warehouse(dsn, timeout_s=pace.answer_s)
    try:
        for name in migrate(client):
            log.info("applied migration %s", name)
    except BaseException:
        client.close()
        raise
    return client


def _patiently(work: Callable[[], Result], dsn: str, pace: Pace) -> Result:
    """Does the work, again and again while the warehouse is down, for `pace.retry_s`. What was done twice collapses."""
    give_up = time.monotonic() + pace.retry_s
    pause_s, failed = 0.1, False
    while True:
        try:
            result = work()
        except WarehouseDown as error:
            if time.monotonic() + pause_s > give_up:
                raise StoreError(f"{error}. Tried for {pace.retry_s:g} s; the rows stay in the journal") from error
            if not failed:
                log.warning("%s. Trying again for %g s; the rows wait in the journal", error, pace.retry_s)
            failed = True
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)
        else:
            if failed:
                log.warning("the warehouse at %s answers again", without_password(dsn))
            return result


def stored(chunks: list[Chunk], rows: dict[str, pa.Table], seconds: float, at_ms: int) -> Stored:
    """The report of an insertion."""
    records = rows.get("records")
    learned_ms = np.empty(0, np.int64) if records is None else records["learned_ms"].to_numpy()
    ends = {chunk.partition: chunk.messages[-1].offset + 1 for chunk in chunks}
    return Stored({table: arrow.num_rows for table, arrow in rows.items()}, learned_ms, ends, seconds, at_ms)


def tables_of(chunks: list[Chunk]) -> dict[str, pa.Table]:
    """What the messages of `judged` carry, a table of rows for each table of the warehouse.

    A message that is not such a batch is a fault of ours, not of a record: it stops the flow and is named.
    """
    parts: dict[str, list[pa.Table]] = {}
    for chunk in sorted(chunks, key=lambda chunk: chunk.partition):  # nearly the order of the tables' keys: the engine's sort is short
        for message in chunk.messages:
            table = message.key.decode("utf-8", "replace")
            if table not in TABLES:
                names = ", ".join(TABLES)
                raise StoreError(f"{_place(chunk, message)} has the key {table[:100]!r}; a table's name was expected: {names}")
            try:
                parts.setdefault(table, []).append(pa.ipc.open_stream(message.value, options=ONE_THREAD).read_all())
            except (pa.ArrowInvalid, OSError) as error:
                raise StoreError(f"{_place(chunk, message)} is not an Arrow batch: {error}") from error
    return {table: pa.concat_tables(batches, promote_options="default") for table, batches in parts.items()}


def _place(chunk: Chunk, message: Message) -> str:
    return f"the message at offset {message.offset} of {JUDGED}/{chunk.partition}"


def _run_flow(flow: Dataflow, state_dir: Path, pace: Pace) -> None:
    make_recovery_store(state_dir)
    recovery = RecoveryConfig(str(state_dir))  # type: ignore[no-untyped-call]
    cli_main(flow, epoch_interval=timedelta(seconds=pace.epoch_s), recovery_config=recovery)  # type: ignore[no-untyped-call]


def make_recovery_store(state_dir: Path) -> None:
    """Makes the recovery store, whole or not at all: half of one would be taken for one that is broken."""
    if state_dir.is_dir() and any(state_dir.iterdir()):
        return
    fresh = state_dir.with_name(state_dir.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    init_db_dir(fresh, RECOVERY_PARTITIONS)  # type: ignore[no-untyped-call]
    fresh.rename(state_dir)


def _keep_house(dsn: str, pace: Pace, stop: threading.Event, place: Path, days: Mapping[str, int]) -> None:
    """Applies the retention every hour, with a client of its own thread, and when a person wants it.

    By itself it drops only what was over an hour ago as well: a clock that leaps for less drops nothing.
    """
    seen_ms, seen_s = wall_clock_ms(), time.monotonic()
    due_s = seen_s + HOUSEKEEPING_S
    while not stop.wait(LOOK_S):
        wanted = (place / WANTED).exists()
        now_ms, now_s = wall_clock_ms(), time.monotonic()
        if not wanted and now_s < due_s:
            continue
        lived_ms = seen_ms + round((now_s - seen_s) * 1000)
        try:
            client = open_warehouse(dsn, timeout_s=pace.answer_s)
            try:
                for table in set_days(client, days, "settings", "as the settings say"):
                    log.info("table %s is stored for %s from now on", table, f"{days[table]} days" if days[table] else "ever")
                dropped = apply_retention(client, now_ms if wanted else min(now_ms, lived_ms))
            finally:
                client.close()
            for table, day in dropped:
                log.info("dropped %s of %s: its retention is over", day, table)
            if wanted:
                (place / WANTED).unlink(missing_ok=True)
                replace_file(place / APPLIED, "".join(f"{table} {day}\n" for table, day in dropped).encode())
        except (WarehouseError, OSError) as error:
            log.warning("the retention was not applied, and will be in an hour: %s", error)
            (place / WANTED).unlink(missing_ok=True)
        if now_s >= due_s:
            seen_ms, seen_s, due_s = now_ms, now_s, now_s + HOUSEKEEPING_S


@contextmanager
def _explained(warehouse_dsn: str, state_dir: Path) -> Iterator[None]:
    """Whatever stops the flow, as one clear `StoreError`."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the engine's panics are no Exception
        for link in causes(error):
            if isinstance(link, StoreError):
                raise StoreError(str(link)) from error
            if isinstance(link, WarehouseError | JournalError):
                notes = "".join(f" ({note})" for note in getattr(link, "__notes__", ()))
                raise StoreError(f"{link}{notes}") from error
            if isinstance(link, Stalled):
                raise StoreError(
                    f"the warehouse at {without_password(warehouse_dsn)} does not answer: {link}. The rows stay in the journal"
                ) from error
        words = " ".join(str(error).split())
        if "sqlite" in words.lower() or "database or disk is full" in words or "disk I/O" in words:
            raise StoreError(
                f"the recovery store in {state_dir} cannot be written ({words[:300]}): is the disk full? "
                "Nothing is lost: make room and start again"
            ) from error
        raise
