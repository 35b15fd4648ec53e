"""The dead man's switch: what should make itself heard and does not.

Looked at are the parts (their /ready), the collector's ticks, how far each switch's shipper has delivered, whether any record comes at all, and
whether the switches acknowledge what the dispatcher sends. A silence is an event once it has lasted; its id holds when it began, so that one
silence is one message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from books import Connection, deliveries, switches
from core.message import Message
from core.notify import Event
from core.record import TICK_KEY, Tick
from core.text import moment, span
from core.topics import CALLS
from journal import Journal, JournalError
from services.part_health import Part

TICKS_MS = 60_000
"""Ticks come every 5 s."""
SHIPPED_MS = 300_000
PARTS_MS = 60_000
ACKNOWLEDGED_MS = 60_000
LOOK_BACK = (256, 4_096, 65_536)
"""Messages from the end in which the last tick is looked for: at 13,000 records per second there is one in the last."""


class Silence(NamedTuple):
    """`what`: a stable name; `since_ms`: when it was last heard of."""

    what: str
    since_ms: int
    title: str
    text: str


class JournalEnd(NamedTuple):
    """The end of the journal's `calls`: the last tick, and the time of the last record (0 = none in sight)."""

    tick: Tick | None
    record_ms: int


def journal_end(journal: Journal) -> JournalEnd:
    """Reads the end of every partition of `calls`."""
    tick: Tick | None = None
    record_ms = 0
    for partition in range(journal.partitions(CALLS)):
        for message in _tail(journal, partition):
            if message.key != TICK_KEY:
                record_ms = max(record_ms, message.learned_ms)
            elif tick is None or message.learned_ms >= tick.at_ms:
                tick = msgspec.json.decode(message.value, type=Tick)
    return JournalEnd(tick, record_ms)


def _tail(journal: Journal, partition: int) -> list[Message]:
    """The last messages of a partition, at least one tick among them where there is any near."""
    first, end = journal.first_offset(CALLS, partition), journal.end_offset(CALLS, partition)
    found: list[Message] = []
    for back in LOOK_BACK:
        found, begin = [], max(first, end - back)
        reader = journal.reader(CALLS, partition, begin)
        try:
            while more := reader.read():
                found += more
        finally:
            reader.close()
        if begin == first or any(message.key == TICK_KEY for message in found):
            break
    return found


@dataclass
class Watch:
    """What was heard before, so that a silence has one beginning."""

    records_silent_ms: int  # no record at all for so long is a silence; 0 = it is none
    began_ms: int  # silences before do not count: the installation was down
    last_record_ms: int = 0
    unready_since: dict[str, int] = field(default_factory=dict)
    noticed: dict[str, int] = field(default_factory=dict)

    def events(self, silences: Iterator[Silence], now_ms: int) -> list[Event]:
        """The silences as events of the installation; `at_ms` is when each was noticed."""
        found = []
        for one in silences:
            about = f"silent/{one.what}/{one.since_ms}"
            at_ms = self.noticed.setdefault(about, now_ms)
            found.append(Event(about, "", "urgent", at_ms, one.title, one.text))
        self.noticed = {event.about: self.noticed[event.about] for event in found}
        return found

    def of_parts(self, parts: Mapping[str, Part], now_ms: int) -> Iterator[Silence]:
        """Parts that have not been ready for a minute."""
        for name, part in parts.items():
            if part.ready:
                self.unready_since.pop(name, None)
            elif now_ms - (since_ms := self.unready_since.setdefault(name, now_ms)) >= PARTS_MS:
                text = f"The part {name} has not worked since {moment(since_ms, now_ms)} UTC: {part.why}. See its log in run/{name}.log."
                yield Silence(f"part {name}", since_ms, f"{name} does not work", text)

    def of_journal(self, ask: Callable[[], JournalEnd], now_ms: int) -> Iterator[Silence]:
        """Ticks, deliveries of the switches, and records."""
        try:
            last = ask()
        except JournalError as error:
            yield Silence("journal", self.began_ms, "The journal cannot be read", f"The journal cannot be read: {error}")
            return
        self.last_record_ms = max(self.last_record_ms, last.record_ms)
        since_ms = max(last.tick.at_ms if last.tick else 0, self.began_ms)
        if now_ms - since_ms >= TICKS_MS:
            yield Silence(
                "ticks", since_ms, "The collector writes nothing",
                f"The collector has written no tick since {moment(since_ms, now_ms)} UTC ({span(now_ms - since_ms)}): no record is taken in, and no "
                "fraud is seen. Switches keep their blocks and their records. See run/collector.log.",
            )  # fmt: skip
            return  # nothing can be said of what comes through it
        for name, complete_ms in sorted((last.tick.complete_to_ms if last.tick else {}).items()):
            since_ms = max(complete_ms, self.began_ms)
            if now_ms - since_ms >= SHIPPED_MS:
                yield Silence(
                    f"records of {name}", since_ms, f"No records from switch {name}",
                    f"Switch {name} has delivered nothing since {moment(since_ms, now_ms)} UTC ({span(now_ms - since_ms)}): its calls are not priced "
                    "and not watched. See its shipper, and the connection to the collector.",
                )  # fmt: skip
        since_ms = max(self.last_record_ms, self.began_ms)
        if self.records_silent_ms and self.last_record_ms and now_ms - since_ms >= self.records_silent_ms:
            yield Silence(
                "records", since_ms, "No calls",
                f"No record of any call has come since {moment(since_ms, now_ms)} UTC ({span(now_ms - since_ms)}), from no switch. If that is usual "
                "at this hour, raise RINGFENCE_SILENT_MINUTES.",
            )  # fmt: skip


def of_switches(conn: Connection, now_ms: int) -> Iterator[Silence]:
    """Switches that do not acknowledge what waits for them. A held switch gets nothing, by a person's will."""
    holds = switches.holds(conn)
    for one in switches.every(conn):
        oldest_ms = deliveries.oldest_due_ms(conn, one.name)
        if one.name in holds or oldest_ms is None or now_ms - oldest_ms < ACKNOWLEDGED_MS:
            continue
        waiting, state = deliveries.due_count(conn, one.name), switches.state(conn, one.name)
        since_ms = max(oldest_ms, state.seen_ms)
        if now_ms - since_ms < ACKNOWLEDGED_MS:
            continue  # it answers: a large table is on its way
        yield Silence(
            f"switch {one.name}", since_ms, f"Switch {one.name} acknowledges nothing",
            f"Switch {one.name} has not acknowledged {waiting:,} changes of its tables, new blocks among them, since {moment(since_ms, now_ms)} UTC"
            f"{f': {state.error}' if state.error else ''}. What it has already goes on refusing. See its control port and run/dispatcher.log.",
        )  # fmt: skip
