"""Deliveries as the collector would have written them: the journal messages of `calls`, with ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from core.message import Message
from core.record import TICK_KEY, Tick, journal_key
from journal import partition_for
from simulator.day import Delivery

TICK_MS = 5_000


def messages(
    deliveries: Iterable[Delivery], tenant: str, config_version: int = 1, partitions: int = 1, tail_ms: int = 600_000, tick_ms: int = TICK_MS
) -> Iterator[Message]:
    """The log of a day. A tick precedes every record at or after its time; ticks, each `tick_ms`, go on for `tail_ms` after the last record.

    >>> from simulator.day import day
    >>> [m.key for m in messages(day(2, hours=0.01)[0], "demo", tail_ms=0)][:2]
    [b'\\x1ftick', b'demo\\x1ftrunk:']
    """
    offsets = [0] * partitions
    complete: dict[str, int] = {}
    next_ms, last_ms = 0, 0

    def ticks(at_ms: int) -> Iterator[Message]:
        tick = msgspec.json.encode(Tick(at_ms=at_ms, config_version=config_version, complete_to_ms=dict(complete)))
        for partition in range(partitions):
            yield Message(partition, offsets[partition], at_ms, TICK_KEY, tick)
            offsets[partition] += 1

    for delivery in deliveries:
        record, last_ms = delivery.record, delivery.learned_ms
        next_ms = next_ms or last_ms
        while next_ms <= last_ms:
            yield from ticks(next_ms)
            next_ms += tick_ms
        key = journal_key(tenant, record.account, record.ingress_trunk)
        partition = partition_for(key, partitions)
        yield Message(partition, offsets[partition], last_ms, key, msgspec.json.encode(record))
        offsets[partition] += 1
        complete[record.switch] = delivery.complete_to_ms
    while next_ms < last_ms + tail_ms:
        complete = {switch: max(until, next_ms - tick_ms) for switch, until in complete.items()}
        yield from ticks(next_ms)
        next_ms += tick_ms
