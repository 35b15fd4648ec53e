"""What the commands read: the warehouse through whoever holds it, and how far behind it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core.record import TICK_KEY
from core.topics import CALLS
from journal import Journal
from ringfence import endpoints, options
from ringfence.secrets import secrets_of
from ringfence.settings import Settings
from warehouse import Warehouse, WarehouseHeld, embedded_directory, open_warehouse

MOST = 100_000
"""Messages that are looked at to tell ticks from records; a longer backlog counts its ticks too."""


@contextmanager
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    """A client that reads: of the process that holds the embedded warehouse, or of its directory where nobody does."""
    directory = embedded_directory(settings.warehouse_dsn)
    if directory is not None and not directory.exists():
        options.give_up(f"There is no warehouse in {directory}: start `ringfence up` once, or name the --home.")
    client = _open(settings, directory is not None)
    try:
        yield client
    finally:
        client.close()


def _open(settings: Settings, embedded: bool) -> Warehouse:
    if embedded and endpoints.running(settings.run_dir) is None:
        try:
            return open_warehouse(settings.warehouse_dsn)
        except WarehouseHeld:
            pass  # a `flow store` without `up`: it answers at the port of the settings
    return open_warehouse(reader_dsn(settings))


def reader_dsn(settings: Settings) -> str:
    """The address at which the warehouse answers SELECT to other processes than the one that holds it."""
    if embedded_directory(settings.warehouse_dsn) is None:
        return settings.warehouse_dsn
    running = endpoints.running(settings.run_dir)
    url = running.warehouse_url if running else settings.warehouse_url
    return url.replace("://", f"://ringfence:{secrets_of(settings).warehouse_token}@")


def behind(journal: Journal, stored_to: Mapping[int, int]) -> int:
    """Records of `calls` that the warehouse has not. `stored_to`: partition -> its highest offset. Ticks are no records."""
    return sum(_behind(journal, partition, stored_to.get(partition, -1) + 1) for partition in range(journal.partitions(CALLS)))


def _behind(journal: Journal, partition: int, at: int) -> int:
    end = journal.end_offset(CALLS, partition)
    at = max(at, journal.first_offset(CALLS, partition))
    if end - at > MOST:
        return end - at
    count = 0
    reader = journal.reader(CALLS, partition, at)
    try:
        while messages := reader.read():
            count += sum(message.key != TICK_KEY for message in messages)
    finally:
        reader.close()
    return count
