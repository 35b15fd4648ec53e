"""Orders out: from the journal into the books, and from the books to the switches.

The dispatcher sees every order of the installation, and no order reaches a switch but through it. The effects, in this order,
each with what a crash after it leaves:

1. read       nothing: the progress is in the books
2. write      one transaction with the orders, what the switches should hold (`deliveries.due`) and the progress: all of it, or
none 3. deliver    `switches.deliver`: what is due is sent until it is acknowledged
4. expire     an order that is over is still `standing` in the books; its entry ends at the switch by itself, even with us dead
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
"""Messages a transaction: a burst of orders must not keep a person's own writing out of the books for long."""

MARK_S = 10.0
"""Between two words to the journal's retention: each is a file that is synced."""

BREATH_MOST_S = 0.2
"""After a transaction the books are left to others for as long as it took, and at most so long: who waits for them is not first
in a queue, and a loop that writes without a pause keeps people's words and acknowledgements out for minutes."""

STEPS = ("read", "written", "committed")
"""Where `fault` is called, beside those of `switches.deliver`."""

log = structlog.get_logger(__name__)


class Read(NamedTuple):
    """What one reading took in. `orders`: status -> how many, with `malformed`, `repeated` and `conflict`."""

    orders: Counter[str]
    findings: int

    @property
    def total(self) -> int:
        return sum(self.orders.values()) + self.findings


class Dispatcher:
    """`step()` is one turn of everything in the caller's thread; `run()` gives each switch a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        *,
        clock: Callable[[], int],
        holder: str,
        limits: Limits = Limits(),
        answered: Answered | None = None,
        pace: Pace = Pace(),
        connect: Connect = connect,
        next_hops: Mapping[str, str] = {},
        fault: Callable[[str], None] = no_fault,
        tell: Report = ignore,
    ) -> None:
        """`next_hops`: switch -> where its calls go that no egress trunk with an address takes (`switches.desired.carriers`)."""
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._holder = holder
        self._limits = limits
        self._answered = answered
        self._pace = pace
        self._connect = connect
        self._next_hops = next_hops
        self._fault = fault
        self._tell = tell
        self._readers: dict[tuple[str, int], Reader] = {}
        self._counts: dict[str, int] = {}
        self._gaps: dict[tuple[str, int], int] = {}  # how many of a reader's gaps are in the audit
        self._marked: dict[tuple[str, int], tuple[float, int]] = {}  # when retention was told, and what
        self._listed: list[Listed] | None = None
        self._wanted: object = None  # what the switches' tables were last computed from
        self._deliverers: dict[Switch, Deliverer] = {}

    # --- journal to books ---

    def read_once(self) -> Read:
        """Takes what is new in both topics into the books, one transaction with the progress."""
        taken = sum((self._read(BLOCK_ORDERS, partition) for partition in self._partitions(BLOCK_ORDERS)), Counter[str]())
        findings = sum(self._read(FINDINGS, partition).total() for partition in self._partitions(FINDINGS))
        return Read(taken, findings)

    def _partitions(self, topic: str) -> range:
        """Their number is for life, as long as this process lives."""
        if topic not in self._counts:
            self._counts[topic] = self._journal.partitions(topic)
        return range(self._counts[topic])

    def _read(self, topic: str, partition: int) -> Counter[str]:
        """One transaction a partition. The orders of an account are in the partition of its calls, in their order; those of `watch`
        are in one of their own, and whoever comes second to a key finds it ordered."""
        place = topic, partition
        try:
            if place not in self._readers:
                self._readers[place] = self._open(topic, partition)
            reader = self._readers[place]
            messages = reader.read(BATCH)
        except OffsetTrimmed:
            self._skip_to_first(topic, partition)
            return Counter()
        gaps = reader.gaps[self._gaps.get(place, 0) :]
        if not messages and not gaps:
            self._mark_when_due(topic, partition, reader.offset)
            return Counter()
        self._fault("read")
        try:
            with writing(self._engine) as conn:
                take_in = self._take_orders if topic == BLOCK_ORDERS else self._take_findings
                counts = take_in(conn, partition, messages)
                for gap in gaps:
                    why = f"offsets {gap.first} to {gap.last} are lost in the journal: {gap.why}"
                    audit.note(conn, "dispatcher", "skipped", f"{topic}/{partition}", why, self._clock())
                    audit.count_up(conn, f"{topic} skipped", gap.last - gap.first + 1)
                progress.store(conn, READER, topic, partition, reader.offset)
                self._fault("written")
        except BaseException:
            self._readers.pop(place).close()  # it is ahead of the books: the next one starts from their progress
            raise
        self._fault("committed")
        self._gaps[place] = len(reader.gaps)
        self._mark_when_due(topic, partition, reader.offset)
        return counts

    def _open(self, topic: str, partition: int) -> Reader:
        with reading(self._engine) as conn:
            offset = progress.load(conn, READER, topic, partition)
        reader = self._journal.reader(topic, partition, self._journal.first_offset(topic, partition) if offset is None else offset)
        self._gaps[topic, partition] = 0
        self._mark(topic, partition, reader.offset)
        return reader

    def _mark_when_due(self, topic: str, partition: int, offset: int) -> None:
        marked_at_s, marked = self._marked.get((topic, partition), (0.0, -1))
        if offset != marked and time.monotonic() - marked_at_s >= MARK_S:
            self._mark(topic, partition, offset)

    def _mark(self, topic: str, partition: int, offset: int) -> None:
        """Tells the journal's retention what the books have. Where that cannot be written, more is kept than must be."""
        try:
            self._journal.mark_read(topic, partition, READER, offset)
        except JournalError as error:
            log.warning("the journal's retention is not told how far the dispatcher has read", error=str(error))
        self._marked[topic, partition] = time.monotonic(), offset

    def _skip_to_first(self, topic: str, partition: int) -> None:
        """Retention was faster than we were: what is gone is days old and would be stale. It is written down, not passed over."""
        first = self._journal.first_offset(topic, partition)
        with writing(self._engine) as conn:
            was = progress.load(conn, READER, topic, partition) or 0
            audit.note(
                conn,
                "dispatcher",
                "skipped",
                f"{topic}/{partition}",
                f"offsets {was} to {first - 1} are not in the journal any more",
                self._clock(),
            )
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
        now_ms = self._clock()
        share = self._share if self._answered else None
        facts = orders.facts(conn, batch, now_ms, automatic=True, limits=self._limits, answered=share)
        for order, decision in zip(batch, decide_all(batch, facts), strict=True):
            orders.write(conn, order, decision, now_ms, automatic=True)
            counts[decision.status] += 1
        for odd in ("malformed", "repeated", "conflict"):
            if counts[odd]:
                audit.count_up(conn, f"{BLOCK_ORDERS} {odd}", counts[odd])
        return counts

    def _share(self, tenant: str, keys: Sequence[Key], now_ms: int) -> tuple[int, int] | None:
        """Whoever counts calls must not be able to stop orders: where it fails the share is not known, and the other limits hold."""
        try:
            return self._answered(tenant, keys, now_ms) if self._answered else None
        except Exception:
            log.exception("the share of answered calls is not known")
            return None

    def _take_findings(self, conn: Connection, partition: int, messages: list[Message]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for message in messages:
            try:
                alerts.upsert(conn, decode_finding(message.value), self._clock())
                counts["kept"] += 1
            except Malformed as error:
                counts["malformed"] += 1
                self._malformed(conn, f"{FINDINGS}/{partition}", message, error)
        if counts["malformed"]:
            audit.count_up(conn, f"{FINDINGS} malformed", counts["malformed"])
        return counts

    def _malformed(self, conn: Connection, place: str, message: Message, error: Malformed) -> None:
        text = message.value[:500].decode("utf-8", "replace")
        audit.note(conn, "dispatcher", "malformed", f"{place}/{message.offset}", f"{error}: {text}", self._clock())

    # --- the books by themselves ---

    def keep_house(self) -> None:
        """Ends what is over, and what a change of the protected list has made unsafe; works out what the switches' tables should hold."""
        now_ms = self._clock()
        with reading(self._engine) as conn:
            over = orders.any_to_expire(conn, now_ms)
            listed = lists.every(conn, "protected")
            unsafe = listed != self._listed and orders.any_unsafe(conn)
            carried = {switch.name: sorted(switches.tenants_of(conn, switch.name)) for switch in switches.every(conn)}
            version = configs.latest(conn)
            wanted = version, listed, carried
            config = configs.load(conn, version) if version and wanted != self._wanted else Config(version=0)
        if unsafe:
            with writing(self._engine) as conn:
                orders.refuse_unsafe(conn, now_ms)
        self._listed = listed
        if wanted != self._wanted:
            self._want(config, listed, carried, now_ms)
            self._wanted = wanted
        if over:
            with writing(self._engine) as conn:
                orders.expire(conn, now_ms)

    def _want(self, config: Config, listed: list[Listed], carried: Mapping[str, list[str]], now_ms: int) -> None:
        """Without a config version, what the switches hold of one is left alone."""
        try:
            tables = {
                switch: desired.tables(config, listed, tenants, self._next_hops.get(switch, ""))
                if config.version
                else {deliveries.PROTECTED: desired.protected(listed)}
                for switch, tenants in carried.items()
            }
        except ValueError as error:  # what publishing has let through must not stop orders
            log.error("a config version cannot be written into the switches: the one before stays", version=config.version, error=str(error))
            return
        with writing(self._engine) as conn:
            changed = {name: sum(deliveries.want(conn, name, table, rows, now_ms) for table, rows in of.items()) for name, of in tables.items()}
        log.info("what the switches' tables should hold has changed", version=config.version, rows=changed)

    # --- books to switches ---

    def deliver_once(self) -> dict[str, Round]:
        """One round at each switch, one after the other: for tests and for catching up by hand."""
        with reading(self._engine) as conn:
            known = switches.every(conn)
        return {switch.name: self._deliverer(switch).round() for switch in known}

    def _deliverer(self, switch: Switch) -> Deliverer:
        if switch not in self._deliverers:
            self._deliverers[switch] = Deliverer(
                self._engine, switch.name, self._connect(switch), self._clock, self._holder, self._pace, self._fault, self._tell
            )
        return self._deliverers[switch]

    def step(self) -> Read:
        """One turn of everything."""
        read = self.read_once()
        self.keep_house()
        self.deliver_once()
        return read

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        for deliverer in self._deliverers.values():
            deliverer.close()
        self._readers.clear()
        self._deliverers.clear()

    # --- for good ---

    def run(self, stop: threading.Event, idle_s: float = 0.02, watch_s: float = 0.1) -> None:
        """Until `stop`. A switch that hangs keeps only its own thread waiting; a fault of ours ends the run, with its error."""
        threads: dict[Switch, _Thread] = {}
        house_at_ms = 0
        away = Once(log.warning)
        try:
            while not stop.is_set():
                began_s = time.monotonic()
                try:
                    read = self.read_once()
                    if self._clock() >= house_at_ms:
                        house_at_ms = self._clock() + 1_000
                        self.keep_house()
                        self._attend(threads, watch_s)
                        away.ends("the books answer again: orders are read")  # not each turn asks them
                except Unavailable as error:
                    away.begins(f"orders wait in the journal while the books are away: {error}")
                    stop.wait(0.5)
                    continue
                if read.total:
                    self._tell(read)
                    for thread in threads.values():
                        thread.wake.set()
                    stop.wait(min(BREATH_MOST_S, time.monotonic() - began_s))
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

    def _attend(self, threads: dict[Switch, _Thread], watch_s: float) -> None:
        """A thread for each switch that the books name, with the address that they name."""
        with reading(self._engine) as conn:
            known = set(switches.every(conn))
        for switch in threads.keys() - known:
            gone = threads.pop(switch)
            gone.end()
            gone.join()
            self._deliverers.pop(switch).close()
        for switch in known - threads.keys():
            threads[switch] = _Thread(self._deliverer(switch), watch_s)


class _Thread:
    """Rounds at one switch, at once when woken, else each `watch_s`: people write to the books without waking anybody."""

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
