"""What each second added to the subjects that span partitions, of the kinds that the detectors over them declare (`Spanning.sums`).

A tick ends an epoch of its partition. Judge gathers what each second added, and writes it when the tick comes: one epoch, once, under the
offset of its tick. So what is written does not depend on how the log was cut into batches, a reader knows a repeat by its tick, and since
the collector writes one tick into every partition, epochs of the same time are one consistent cut through all partitions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

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
    "kind": pl.String,  # carrier | trunk_group | trunk | range | rung | abroad | route | novel | TICK
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
    # Of calls that ended: how many, how many of them were answered, and of those: very short ones, talk, time until the answer; answered before a
    # telephone can have rung; of which it is known which side hung up, and by the called one; by the caller within `BRIEF_MS`, with the seconds of
    # talk of those, and their squares.
    "ends": pl.Int64,
    "rings": pl.Int64,  # given up at once, not answered
    "answers": pl.Int64,
    "shorts": pl.Int64,
    "talk_ms": pl.Int64,
    "delay_ms": pl.Int64,
    "early": pl.Int64,
    "sided": pl.Int64,
    "by_callee": pl.Int64,
    "briefs": pl.Int64,
    "brief_s": pl.Int64,
    "brief_s2": pl.Int64,
}
_EPOCH = {"partition": pl.Int32, "tick_offset": pl.Int64, "tick_ms": pl.Int64, "config_version": pl.Int64}
SUMS = pl.Schema(_EPOCH | _KEY | _SUM)
"""The rows of the topic `sums`: partition and offset of the tick tell which epoch a row belongs to."""

NO_SUMS = pl.DataFrame(schema=SUMS)

BY = ("partition", *_KEY)

_REST = tuple(_SUM)[1:]
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
    early: int = 0
    sided: int = 0
    by_callee: int = 0
    briefs: int = 0
    brief_s: int = 0
    brief_s2: int = 0


EARLY_MS = 500
"""Nobody takes a telephone so soon after it began to ring."""
BRIEF_MS = 60_000
"""Whoever hears a recording hangs up within this."""

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
                if end is not None:
                    known.ends += 1
                    if isinstance(end, int):
                        known.rings += end
                        continue
                    known.answers += 1
                    known.shorts, known.talk_ms, known.delay_ms = known.shorts + end.short, known.talk_ms + end.talk_ms, known.delay_ms + end.delay_ms
                    known.early, known.sided, known.by_callee = known.early + end.early, known.sided + end.sided, known.by_callee + end.by_callee
                    if end.brief_s:
                        known.briefs, known.brief_s = known.briefs + 1, known.brief_s + end.brief_s
                        known.brief_s2 += end.brief_s * end.brief_s
    for partition, waiting in ticks.items():
        while waiting:
            ended[partition] += _epoch(gathered.pop(partition, {}), partition, *waiting.popleft())
    rows = [row for partition in sorted(ended) for row in ended[partition]]
    return pl.DataFrame(rows, schema=SUMS, orient="row") if rows else NO_SUMS


COLUMNS = ("partition", "offset", "tenant", "account", "t_ms", "currency", "nanos", "calls", "active", "learned_ms", "call_id")


class Answered(NamedTuple):
    """What an answered call adds to the sums, as in `Sum`."""

    short: bool
    talk_ms: int
    delay_ms: int
    early: bool
    sided: bool
    by_callee: bool
    brief_s: int  # 0 = it was not brief


def _ended(usage: pl.DataFrame) -> list[Answered | int | None]:
    """Of each row that ends a call: what an answered one adds; of another whether it was given up at once; None = it ends none."""
    found: list[Answered | int | None] = []
    by = ("final", "answered", "duration_ms", "answer_ms", "started_ms", "ringing_ms", "sip_code", "t_ms", "release_side")
    for final, answered, talk_ms, answer_ms, started_ms, ringing_ms, code, t_ms, side in zip(*(usage[name].to_list() for name in by), strict=True):
        if not final:
            found.append(None)
        elif not answered:
            found.append(int((code or 0) in GIVEN_UP and t_ms - (ringing_ms or started_ms) <= RING_MS))
        else:
            talk_ms, at_ms = talk_ms or 0, answer_ms or started_ms
            early = answer_ms is not None and at_ms - (ringing_ms or started_ms) <= EARLY_MS
            brief_s = max(1, talk_ms // 1000) if side == "caller" and talk_ms <= BRIEF_MS else 0
            sided = side in ("caller", "callee")
            found.append(Answered(talk_ms <= SHORT_MS, talk_ms, max(0, at_ms - started_ms), early, sided, side == "callee", brief_s))
    return found


def _epoch(sums: dict[Key, Sum], partition: int, offset: int, tick: Tick) -> Iterator[tuple[Any, ...]]:
    """Rows of SUMS in an order that does not depend on how the log was cut, and the row that ends the epoch."""
    of = (partition, offset, tick.at_ms, tick.config_version)
    for key in sorted(sums):
        one = sums[key]
        yield (*of, *key, in_range(one.nanos), *(getattr(one, name) for name in _REST))
    yield (*of, "", TICK, "", "", 0, "", 0, len(sums), 0, 0, "", *(0 for _ in _REST[4:]))
