"""A month of demo traffic for an installation that has none: simulated records of the past in `calls`, as the collector would have written them.

The flows price and store them when `ringfence up` runs; they never block a phone, because an order whose cause is old is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from journal import Entry, Writer, open_journal
from services.errors import ServiceError
from services.installation import Installation
from simulator.day import Delivery, day
from simulator.live import live_world
from simulator.log import messages

A_BATCH = 2_000
DAY_MS = 86_400_000
TICK_MS = 600_000
"""Between two ticks: nobody waits for an order of the past."""


def write(installation: Installation, tenant: str, seed: int, days: int, calls_per_s: float, until_ms: int, config_version: int) -> int:
    """Appends the records of the days before `until_ms`, from the first day of the month that is so many days ago, and returns their number. Raises
    `ServiceError` where `calls` has records already."""
    journal = open_journal(installation.journal_dsn)
    if any(journal.end_offset("calls", partition) for partition in range(installation.partitions)):
        raise ServiceError(f"There are calls in {installation.root} already: take a new --home.")
    world = live_world(seed, (tenant,))
    first = datetime.fromtimestamp(until_ms / 1000 - days * 86_400, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first_ms = round(first.timestamp() * 1000)

    def deliveries() -> Iterator[Delivery]:
        for ago in range((until_ms - first_ms) // DAY_MS, 0, -1):
            start_ms = until_ms - ago * DAY_MS
            one, _ = day(seed + 2 * ago, 23.5, calls_per_s, start_ms, attack=False, world=world, outages=())
            yield from one

    writers: dict[int, Writer] = {}
    waiting: dict[int, list[Entry]] = {}
    count = 0
    for message in messages(deliveries(), tenant, config_version, installation.partitions, tick_ms=TICK_MS):
        mine = waiting.setdefault(message.partition, [])
        mine.append(Entry(message.key, message.value, message.learned_ms))
        count += 1
        if len(mine) >= A_BATCH:
            _append(installation, writers, message.partition, mine)
    for partition, rest in waiting.items():
        _append(installation, writers, partition, rest)
    for writer in writers.values():
        writer.close()
    return count


def _append(installation: Installation, writers: dict[int, Writer], partition: int, entries: list[Entry]) -> None:
    if partition not in writers:
        writers[partition] = open_journal(installation.journal_dsn).writer("calls", partition)
    writers[partition].append(entries)
    entries.clear()
