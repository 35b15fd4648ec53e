"""What each second added to the subjects that span partitions, of the kinds that the detectors over them declare (`Spanning.sums`).

A tick ends an epoch of its partition. Judge gathers what each second added, and writes it when the tick comes: one epoch, once, under the
offset of its tick. So what is written does not depend on how the log was cut into batches, a reader knows a repeat by its tick, and since
the collector writes one tick into every partition, epochs of the same time are one consistent cut through all partitions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl

from core.money import in_range
from core.record import Tick
from detectors.profile import GIVEN_UP, RING_MS, SHORT_MS
from detectors.protocol import Limits
from detectors.registry import spanning, summed

EPOCH = b"epoch"
"""The key of a value of `sums`."""

TICK = "tick"
"""The kind of the row that ends an epoch; it comes last, and once also where nothing was added. Its `calls` are how many
other rows the epoch has: a reader knows when it has them all."""

_KEY = {
    "tenant": pl.String,
    "kind": pl.String,  # carrier | trunk_group | trunk | range | rung | abroad | route | TICK
    "subject": pl.String,
    "account": pl.String,  # of the kinds that a detector declares so (`Spanning.by_account`): whose calls
    "second_ms": pl.Int64,  # event time
    "currency": pl.String,
}
_SUM = {
    "nanos": pl.Int64,
    "calls": pl.Int64,
    "active": pl.Int64,  # answered less ended
    "learned_ms": pl.Int64,  # the latest
    "call_id": pl.String,  # of the last row
    # Of calls that ended: how many, how many of them were answered, and of those: very short ones, talk, time until the answer.
    "ends": pl.Int64,
    "rings": pl.Int64,  # given up at once, not answered
    "answers": pl.Int64,
    "shorts": pl.Int64,
    "talk_ms": pl.Int64,
    "delay_ms": pl.Int64,
}
_EPOCH = {"partition": pl.Int32, "tick_offset": pl.Int64, "tick_ms": pl.Int64, "config_version": pl.Int64}
SUMS = pl.Schema(_EPOCH | _KEY | _SUM)
"""The rows of the topic `sums`: partition and offset of the tick tell which epoch a row belongs to."""

NO_SUMS = pl.DataFrame(schema=SUMS)

BY = ("partition", *_KEY)

Key = tuple[str, str, str, str, int, str]
"""Tenant, kind, subject, account, second and currency."""


class Sum(msgspec.Struct):
    """What a second added to a subject, since the last tick."""

    nanos: int = 0
    calls: int = 0
    active: int = 0
    learned_ms: int = 0
    call_id: str = ""
    ends: int = 0
    rings: int = 0
    answers: int = 0
    shorts: int = 0
    talk_ms: int = 0
    delay_ms: int = 0


Gathered = dict[int, dict[Key, Sum]]
"""By partition."""


def gather(gathered: Gathered, usage: pl.DataFrame, placed: Sequence[tuple[int, int, Tick]], limits: Limits) -> pl.DataFrame:
    """The epochs that the ticks of a batch end (a frame of SUMS); `gathered` is updated in place, from a batch of USAGE.

    `placed`: partition, offset and tick. What a tick itself did is of the epoch that it ends.
    """
    series = {kind: names_of(usage, limits) for kind, names_of in summed().items()}
    by_account = {kind for detector in spanning() for kind in detector.by_account}
    watched = [(kind, names.to_list(), kind in by_account) for kind, names in series.items() if names is not None]
    ticks: dict[int, deque[tuple[int, Tick]]] = {}
    for partition, offset, tick in placed:
        ticks.setdefault(partition, deque()).append((offset, tick))
    ended: dict[int, list[tuple[Any, ...]]] = {partition: [] for partition in ticks}
    if usage.height and watched:
        columns = [usage.get_column(name).to_list() for name in COLUMNS]
        ended_calls = _ended(usage)
        for at, (partition, offset, tenant, account, t_ms, currency, nanos, calls, active, learned_ms, call_id) in enumerate(
            zip(*columns, strict=True)
        ):
            waiting = ticks.get(partition)
            while waiting and waiting[0][0] < offset:
                ended[partition] += _epoch(gathered.pop(partition, {}), partition, *waiting.popleft())
            second_ms, end, mine = t_ms // 1000 * 1000, ended_calls[at], gathered.get(partition)
            for kind, names, of_account in watched:
                if not (subject := names[at]):
                    continue
                key = (tenant, kind, subject, account if of_account else "", second_ms, currency)
                if mine is None:
                    mine = gathered[partition] = {}
                if (known := mine.get(key)) is None:
                    known = mine[key] = Sum()
                if nanos:
                    known.nanos = in_range(known.nanos + nanos)
                known.calls += calls
                known.active += active
                if learned_ms > known.learned_ms:
                    known.learned_ms = learned_ms
                known.call_id = call_id
                if end:
                    answered, short, talk_ms, delay_ms, ring = end
                    known.ends, known.answers, known.shorts = known.ends + 1, known.answers + answered, known.shorts + short
                    known.rings += ring
                    known.talk_ms, known.delay_ms = known.talk_ms + talk_ms, known.delay_ms + delay_ms
    for partition, waiting in ticks.items():
        while waiting:
            ended[partition] += _epoch(gathered.pop(partition, {}), partition, *waiting.popleft())
    rows = [row for partition in sorted(ended) for row in ended[partition]]
    return pl.DataFrame(rows, schema=SUMS, orient="row") if rows else NO_SUMS


COLUMNS = ("partition", "offset", "tenant", "account", "t_ms", "currency", "nanos", "calls", "active", "learned_ms", "call_id")


def _ended(usage: pl.DataFrame) -> list[tuple[int, int, int, int, int] | None]:
    """Of each row that ends a call: answered, and then whether it was short, its talk, the time until the answer, and
    whether it was given up at once; None = it ends none."""
    found: list[tuple[int, int, int, int, int] | None] = []
    by = ("final", "answered", "duration_ms", "answer_ms", "started_ms", "ringing_ms", "sip_code", "t_ms")
    for final, answered, duration_ms, answer_ms, started_ms, ringing_ms, code, t_ms in zip(*(usage[name].to_list() for name in by), strict=True):
        if not final:
            found.append(None)
        elif not answered:
            found.append((0, 0, 0, 0, int((code or 0) in GIVEN_UP and t_ms - (ringing_ms or started_ms) <= RING_MS)))
        else:
            talk_ms = duration_ms or 0
            found.append((1, int(talk_ms <= SHORT_MS), talk_ms, max(0, (answer_ms or started_ms) - started_ms), 0))
    return found


def _epoch(sums: dict[Key, Sum], partition: int, offset: int, tick: Tick) -> Iterator[tuple[Any, ...]]:
    """Rows of SUMS in an order that does not depend on how the log was cut, and the row that ends the epoch."""
    of = (partition, offset, tick.at_ms, tick.config_version)
    for key in sorted(sums):
        one = sums[key]
        yield (*of, *key, in_range(one.nanos), one.calls, one.active, one.learned_ms, one.call_id,
               one.ends, one.rings, one.answers, one.shorts, one.talk_ms, one.delay_ms)  # fmt: skip
    yield (*of, "", TICK, "", "", 0, "", 0, len(sums), 0, 0, "", 0, 0, 0, 0, 0, 0)
