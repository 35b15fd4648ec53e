"""Orders from the journal into the books, and from the books to the switches.

Each order of the installation goes through the dispatcher. Its steps, in this order, each with what a crash after it leaves:

1. read       nothing: the progress is in the books
2. write      one transaction with the orders, the rows that the switches should hold (`deliveries.due`) and the progress: all or none
3. deliver    `switches.deliver`: a row that is due is sent until the switch has acknowledged it
4. expire     an expired order is still `standing` in the books; its entry ends at the switch by itself, also with the dispatcher dead
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

import structlog

from books import (
    Connection,
    Engine,
    Unavailable,
    alerts,
    audit,
    configs,
    deliveries,
    lists,
    orders,
    progress,
    reading,
    switches,
    writing,
)
from books.switches import Switch
from core.config import Config
from core.decide import Answered, Limits, Listed, decide_all
from core.message import Message
from core.orders import BlockOrder, Key
from core.reporting import Report, ignore
from core.topics import BLOCK_ORDERS, FINDINGS
from journal import Journal, JournalError, OffsetTrimmed, Reader
from switches import desired
from switches.deliver import Deliverer, Pace, Round, no_fault
from switches.kinds import Connect, connect
from switches.messages import Malformed, decode_finding, decode_order
from switches.once import Once

READER = "dispatcher"
"""Its name in `progress`. Stored: it never changes."""

BATCH = 128
"""Messages per transaction: a burst of orders must not keep people from writing to the books for long."""

MARK_S = 10.0
"""Between two reports of the progress to the journal's retention: each syncs a file."""

YIELD_MOST_S = 0.2
"""After a transaction the dispatcher yields the writer lock for as long as the transaction took, at most so long. The lock has no queue:
a loop that writes without a pause keeps people's decisions and acknowledgements out of the books for minutes."""

log = structlog.get_logger(__name__)


class Read(NamedTuple):
    """What one `read_once` took from the journal. `orders`: status -> how many, with `malformed`, `repeated` and `conflict`."""

    orders: Counter[str]
    findings: int

    @property
    def total(self) -> int:
        return sum(self.orders.values()) + self.findings


@dataclass(eq=False)
class Dispatcher:
    """`step()` does all steps once in the caller's thread; `run()` gives each switch a thread of its own."""

    engine: Engine
    journal: Journal
    _: KW_ONLY
    clock: Callable[[], int]
    holder: str
    limits: Limits = field(default_factory=Limits)
    answered: Answered | None = None
    pace: Pace = field(default_factory=Pace)
    connect: Connect = connect
    next_hops: Mapping[str, str] = field(default_factory=dict)  # switch -> where its calls go without an egress trunk (`switches.desired.carriers`)
    fault: Callable[[str], None] = no_fault
    report: Report = ignore

    def __post_init__(self) -> None:
        self._readers: dict[tuple[str, int], Reader] = {}
        self._counts: dict[str, int] = {}
        self._gaps: dict[tuple[str, int], int] = {}  # how many gaps of a reader are in the audit log
        self._marked: dict[tuple[str, int], tuple[float, int]] = {}  # when the progress was reported to retention, and its offset
        self._listed: list[Listed] | None = None
        self._wanted: object = None  # what the switches' tables were last computed from
        self._deliverers: dict[Switch, Deliverer] = {}

    # --- journal to books ---

    def read_once(self) -> Read:
        """Writes the new messages of both topics to the books, with the progress in the same transaction."""
        taken = sum((self._read(BLOCK_ORDERS, partition) for partition in self._partitions(BLOCK_ORDERS)), Counter[str]())
        findings = sum(self._read(FINDINGS, partition).total() for partition in self._partitions(FINDINGS))
        return Read(taken, findings)

    def _partitions(self, topic: str) -> range:
        """Their number does not change while this process runs."""
        if topic not in self._counts:
            self._counts[topic] = self.journal.partitions(topic)
        return range(self._counts[topic])

    def _read(self, topic: str, partition: int) -> Counter[str]:
        """One transaction per partition. The orders of an account are in the partition of its calls, in their order; those of `watch`
        are in a partition of their own, and the second order for a key finds the key blocked."""
        source = topic, partition
        try:
            if source not in self._readers:
                self._readers[source] = self._open(topic, partition)
            reader = self._readers[source]
            messages = reader.read(BATCH)
        except OffsetTrimmed:
            self._skip_to_first(topic, partition)
            return Counter()
        gaps = reader.gaps[self._gaps.get(source, 0) :]
        if not messages and not gaps:
            self._mark_when_due(topic, partition, reader.offset)
            return Counter()
        self.fault("read")
        try:
            with writing(self.engine) as conn:
                take_in = self._take_orders if topic == BLOCK_ORDERS else self._take_findings
                counts = take_in(conn, partition, messages)
                for gap in gaps:
                    why = f"offsets {gap.first} to {gap.last} are lost in the journal: {gap.why}"
                    audit.note(conn, "dispatcher", "skipped", f"{topic}/{partition}", why, self.clock())
                    audit.count_up(conn, f"{topic} skipped", gap.last - gap.first + 1)
                progress.store(conn, READER, topic, partition, reader.offset)
                self.fault("written")
        except BaseException:
            self._readers.pop(source).close()  # it is ahead of the books: the next reader starts from their progress
            raise
        self.fault("committed")
        self._gaps[source] = len(reader.gaps)
        self._mark_when_due(topic, partition, reader.offset)
        return counts

    def _open(self, topic: str, partition: int) -> Reader:
        with reading(self.engine) as conn:
            offset = progress.load(conn, READER, topic, partition)
        reader = self.journal.reader(topic, partition, self.journal.first_offset(topic, partition) if offset is None else offset)
        self._gaps[topic, partition] = 0
        self._mark(topic, partition, reader.offset)
        return reader

    def _mark_when_due(self, topic: str, partition: int, offset: int) -> None:
        marked_at_s, marked = self._marked.get((topic, partition), (0.0, -1))
        if offset != marked and time.monotonic() - marked_at_s >= MARK_S:
            self._mark(topic, partition, offset)

    def _mark(self, topic: str, partition: int, offset: int) -> None:
        """Reports the progress of the books to the journal's retention. Where that fails, the journal stores more than it must."""
        try:
            self.journal.mark_read(topic, partition, READER, offset)
        except JournalError as error:
            log.warning("the dispatcher's progress could not be reported to the journal's retention", error=str(error))
        self._marked[topic, partition] = time.monotonic(), offset

    def _skip_to_first(self, topic: str, partition: int) -> None:
        """Retention removed offsets before they were read: orders so old would be stale. The audit log names the offsets."""
        first = self.journal.first_offset(topic, partition)
        with writing(self.engine) as conn:
            was = progress.load(conn, READER, topic, partition) or 0
            why = f"offsets {was} to {first - 1} are not in the journal any more"
            audit.note(conn, "dispatcher", "skipped", f"{topic}/{partition}", why, self.clock())
            audit.count_up(conn, f"{topic} skipped", first - was)
            progress.store(conn, READER, topic, partition, first)
        if reader := self._readers.pop((topic, partition), None):
            reader.close()

    def _take_orders(self, conn: Connection, partition: int, messages: list[Message]) -> Counter[str]:
        counts: Counter[str] = Counter()
        batch: list[BlockOrder] = []
        for message in messages:
            try:
                batch.append(decode_order(message.value))
            except Malformed as error:
                counts["malformed"] += 1
                self._malformed(conn, f"{BLOCK_ORDERS}/{partition}", message, error)
        now_ms = self.clock()
        share = self._share if self.answered else None
        facts = orders.facts(conn, batch, now_ms, automatic=True, limits=self.limits, answered=share)
        for order, decision in zip(batch, decide_all(batch, facts), strict=True):
            orders.write(conn, order, decision, now_ms, automatic=True)
            counts[decision.status] += 1
        for odd in ("malformed", "repeated", "conflict"):
            if counts[odd]:
                audit.count_up(conn, f"{BLOCK_ORDERS} {odd}", counts[odd])
        return counts

    def _share(self, tenant: str, keys: Sequence[Key], now_ms: int) -> tuple[int, int] | None:
        """A fault in the counting of calls must not stop orders: the share is then not known, and the other limits hold."""
        try:
            return self.answered(tenant, keys, now_ms) if self.answered else None
        except Exception:
            log.exception("the share of answered calls that a block would refuse could not be computed: this limit is not applied")
            return None

    def _take_findings(self, conn: Connection, partition: int, messages: list[Message]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for message in messages:
            try:
                alerts.upsert(conn, decode_finding(message.value), self.clock())
                counts["kept"] += 1
            except Malformed as error:
                counts["malformed"] += 1
                self._malformed(conn, f"{FINDINGS}/{partition}", message, error)
        if counts["malformed"]:
            audit.count_up(conn, f"{FINDINGS} malformed", counts["malformed"])
        return counts

    def _malformed(self, conn: Connection, place: str, message: Message, error: Malformed) -> None:
        text = message.value[:500].decode("utf-8", "replace")
        audit.note(conn, "dispatcher", "malformed", f"{place}/{message.offset}", f"{error}: {text}", self.clock())

    # --- within the books ---

    def maintain(self) -> None:
        """Ends orders that have expired or that a change of the protected list has made unsafe; updates the rows that switches should hold."""
        now_ms = self.clock()
        with reading(self.engine) as conn:
            expired = orders.any_to_expire(conn, now_ms)
            known = lists.every(conn)
            listed = [row for row in known if not row.until_ms or row.until_ms > now_ms]
            unsafe = listed != self._listed and orders.any_unsafe(conn)
            carried = {switch.name: switches.tenants_of(conn, switch.name) for switch in switches.every(conn)}
            version = configs.latest(conn)
            wanted = version, listed, carried
            config = configs.load(conn, version) if version and wanted != self._wanted else Config(version=0)
        if unsafe:
            with writing(self.engine) as conn:
                orders.refuse_unsafe(conn, now_ms)
        self._listed = listed
        if len(listed) < len(known):
            with writing(self.engine) as conn:
                lists.expire(conn, now_ms)
        if wanted != self._wanted:
            self._want(config, listed, carried, now_ms)
            self._wanted = wanted
        if expired:
            with writing(self.engine) as conn:
                orders.expire(conn, now_ms)

    def _want(self, config: Config, listed: list[Listed], carried: Mapping[str, dict[str, bool]], now_ms: int) -> None:
        """Without a config version, the tables that are made from one are left alone."""
        try:
            tables = {
                switch: desired.tables(config, listed, tenants, self.next_hops.get(switch, ""))
                if config.version
                else {deliveries.PROTECTED: desired.protected(listed), deliveries.LISTS: desired.lists(listed, tenants)}
                for switch, tenants in carried.items()
            }
        except ValueError as error:  # an error that publishing did not find must not stop orders
            log.error("the config version cannot be written to the switches: the previous one stays there", version=config.version, error=str(error))
            return
        with writing(self.engine) as conn:
            changed = {name: sum(deliveries.want(conn, name, table, rows, now_ms) for table, rows in of.items()) for name, of in tables.items()}
        log.info("the rows that the switches should hold have changed", version=config.version, rows=changed)

    # --- books to switches ---

    def deliver_once(self) -> dict[str, Round]:
        """One round at each switch, one after the other: for tests."""
        with reading(self.engine) as conn:
            known = switches.every(conn)
        return {switch.name: self._deliverer(switch).round() for switch in known}

    def _deliverer(self, switch: Switch) -> Deliverer:
        if switch not in self._deliverers:
            self._deliverers[switch] = Deliverer(
                self.engine, switch.name, self.connect(switch), self.clock, self.holder, self.pace, self.fault, self.report
            )
        return self._deliverers[switch]

    def step(self) -> Read:
        """All steps once."""
        read = self.read_once()
        self.maintain()
        self.deliver_once()
        return read

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        for deliverer in self._deliverers.values():
            deliverer.close()
        self._readers.clear()
        self._deliverers.clear()

    # --- until stopped ---

    def run(self, stop: threading.Event, idle_s: float = 0.02, watch_s: float = 0.1) -> None:
        """Until `stop`. A switch that hangs delays only its own thread; a bug ends the run, with its error."""
        threads: dict[Switch, _Thread] = {}
        maintain_at_ms = 0
        away = Once(log.warning)
        try:
            while not stop.is_set():
                began_s = time.monotonic()
                try:
                    read = self.read_once()
                    if self.clock() >= maintain_at_ms:
                        maintain_at_ms = self.clock() + 1_000
                        self.maintain()
                        self._match_threads(threads, watch_s)
                        away.ends("the books answer again: orders are read")  # here, because not each turn reads the books
                except Unavailable as error:
                    away.begins(f"orders wait in the journal while the books are away: {error}")
                    stop.wait(0.5)
                    continue
                if read.total:
                    self.report(read)
                    for thread in threads.values():
                        thread.wake.set()
                    stop.wait(min(YIELD_MOST_S, time.monotonic() - began_s))
                else:
                    stop.wait(idle_s)
                for thread in threads.values():
                    if thread.error is not None:
                        raise thread.error
        finally:
            for thread in threads.values():
                thread.end()
            for thread in threads.values():
                thread.join()
            self.close()

    def _match_threads(self, threads: dict[Switch, _Thread], watch_s: float) -> None:
        """One thread for each switch in the books, with the address that they have now."""
        with reading(self.engine) as conn:
            known = set(switches.every(conn))
        for switch in threads.keys() - known:
            thread = threads.pop(switch)
            thread.end()
            thread.join()
            self._deliverers.pop(switch).close()
        for switch in known - threads.keys():
            threads[switch] = _Thread(self._deliverer(switch), watch_s)


class _Thread:
    """Rounds at one switch: at once when woken, else each `watch_s`, because what people write to the books wakes nobody."""

    def __init__(self, deliverer: Deliverer, watch_s: float) -> None:
        self._deliverer = deliverer
        self._watch_s = watch_s
        self._stopping = threading.Event()
        self.wake = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"deliver-{deliverer.switch}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._deliverer.round()
                self.wake.wait(self._watch_s)
                self.wake.clear()
        except BaseException as error:  # noqa: BLE001 - handed to `run`, which raises it
            self.error = error

    def end(self) -> None:
        self._stopping.set()
        self.wake.set()

    def join(self) -> None:
        self._thread.join(15)
