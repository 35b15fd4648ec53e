"""What each second added to the subjects that span partitions, of the kinds that the detectors over them declare (`Spanning.sums`).

A tick ends an epoch of its partition. Judge gathers what each second added, and writes it when the tick comes: one epoch, once, under the
offset of its tick. So what is written does not depend on how the log was cut into batches, a reader knows a repeat by its tick, and since
the collector writes one tick into every partition, epochs of the same time are one consistent cut through all partitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from core.frames import of_columns, of_rows
from core.money import in_range
from core.record import Tick
from core.schemas import USAGE
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

COLUMNS = (
    "partition", "offset", "tenant", "account", "t_ms", "currency", "nanos", "calls", "active", "learned_ms", "call_id", "final", "answered",
    "duration_ms", "answer_ms", "started_ms", "ringing_ms", "sip_code", "release_side",
)  # fmt: skip
"""What is kept of a row of USAGE until its tick comes, beside a column per kind with the row's subject."""

EARLY_MS = 500
"""Nobody takes a telephone so soon after it began to ring."""
BRIEF_MS = 60_000
"""Whoever hears a recording hangs up within this."""
MOST_PIECES = 64
"""Frames of single batches that are kept before they are made one."""

PARTIAL = {"partition": pl.Int32, **_KEY, **{name: dtype for name, dtype in _SUM.items() if name != "nanos"}, "high": pl.Int64, "low": pl.Int64}
"""Sums of which the tick has not come. The money stands in two columns, as `high * 2**32 + low`: sums of absurd amounts of a feed are exact, in
whatever order they were added, until the epoch ends."""

Gathered = list[pl.DataFrame]
"""What no tick has ended: rows of single batches (`COLUMNS` and the kinds that are watched), in the order of the log, and sums of earlier ones
(`PARTIAL`)."""

Placed = tuple[int, int, Tick]
"""Partition, offset and tick."""


def gather(gathered: Gathered, usage: pl.DataFrame, placed: Sequence[Placed], limits: Limits) -> pl.DataFrame:
    """The epochs that the ticks of a batch end (a frame of SUMS); `gathered` is updated in place, from a batch of USAGE.

    What a tick itself did is of the epoch that it ends.
    """
    if usage.height:
        names = {kind: names_of(usage, limits) for kind, names_of in summed().items()}
        if watched := [series.alias(kind) for kind, series in names.items() if series is not None]:
            gathered.append(usage.select(COLUMNS).hstack(watched))
    if not placed:
        if len(gathered) > MOST_PIECES:
            partial, rows = _pieces(gathered)
            gathered[:] = [_added(partial.with_columns(epoch="partition"), rows.with_columns(epoch="partition")).rename({"epoch": "partition"})]
        return NO_SUMS
    ticks = sorted(placed, key=lambda one: one[:2])
    partial, rows = _pieces(gathered)
    partial = partial.with_columns(_epochs(partial["partition"].to_numpy(), np.zeros(partial.height), ticks))  # no tick has come since: the first
    rows = rows.with_columns(_epochs(rows["partition"].to_numpy(), rows["offset"].to_numpy(), ticks))
    left, ended = pl.col("epoch") == len(ticks), pl.col("epoch") < len(ticks)
    gathered[:] = [piece for piece in (partial.filter(left).drop("epoch"), rows.filter(left).drop("epoch")) if piece.height]
    return _with_ticks(_added(partial.filter(ended), rows.filter(ended)), ticks)


def _pieces(gathered: Gathered) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The sums and the rows; a kind that was not watched in all of them is null there."""
    partial = [piece for piece in gathered if "kind" in piece.columns]
    rows = [piece for piece in gathered if "kind" not in piece.columns]
    empty = pl.DataFrame(schema={name: USAGE[name] for name in COLUMNS})
    return pl.concat([pl.DataFrame(schema=PARTIAL), *partial]), pl.concat([empty, *rows], how="diagonal")


def _epochs(partitions: npt.NDArray[Any], offsets: npt.NDArray[Any], ticks: Sequence[Placed]) -> pl.Series:
    """Which tick ends the epoch of each row; as many as there are ticks: none of them."""
    found = np.full(len(partitions), len(ticks), np.int32)
    for partition in {one[0] for one in ticks}:
        own = [at for at, one in enumerate(ticks) if one[0] == partition]
        mine = np.flatnonzero(partitions == partition)
        at = np.searchsorted([ticks[tick][1] for tick in own], offsets[mine])
        found[mine] = np.asarray([*own, len(ticks)])[at]
    return pl.Series("epoch", found)


def _added(partial: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """What each second added to each subject of each `epoch`, in an order that does not depend on how the log was cut: `PARTIAL`, by epoch."""
    by_account = {kind for detector in spanning() for kind in detector.by_account}
    kinds = sorted((name for name in rows.columns if name not in COLUMNS and name != "epoch"), key=lambda kind: kind not in by_account)
    places = {kind: np.flatnonzero((rows[kind] != "").to_numpy()) for kind in kinds}  # null: was not watched
    every = np.concatenate([np.zeros(0, np.int64), *places.values()])
    with_account = sum(len(places[kind]) for kind in kinds if kind in by_account)
    values = rows.with_columns(second_ms=pl.col("t_ms") // 1000 * 1000, high=pl.col("nanos") // 2**32, **ENDED)[every]
    own = {
        "kind": pl.Series("kind", [kind for kind in kinds for _ in range(len(places[kind]))], pl.String),
        "subject": pl.concat([pl.Series("subject", [], pl.String), *(rows[kind].alias("subject").gather(places[kind]) for kind in kinds)]),
        "account": pl.concat([values["account"][:with_account], pl.Series("account", [""], pl.String).new_from_index(0, len(every) - with_account)]),
        "low": (values["nanos"] - values["high"] * 2**32).alias("low"),
    }
    added = {name: pl.col(name).sum() for name in PARTIAL if name not in ("partition", *_KEY)}
    added |= {"learned_ms": pl.col("learned_ms").max().clip(0), "call_id": pl.col("call_id").last()}
    names = ("epoch", *list(PARTIAL)[1:])
    parts = pl.concat([partial.select(names), of_columns(names, values, own)])
    return parts.lazy().group_by("epoch", *_KEY).agg(**added).sort("epoch", *_KEY).collect()


def _ended() -> Mapping[str, pl.Expr]:
    """What a row that ends a call adds, by its name in SUMS; a row that ends none adds 0."""
    talks, side = pl.col("final") & pl.col("answered"), pl.col("release_side")
    rang_ms = pl.when(pl.col("ringing_ms") != 0).then("ringing_ms").otherwise("started_ms")
    at_ms = pl.when(pl.col("answer_ms") != 0).then("answer_ms").otherwise("started_ms")
    talk_ms, code = pl.col("duration_ms").fill_null(0), pl.col("sip_code").fill_null(0)
    brief = talks & (side == "caller") & (talk_ms <= BRIEF_MS)
    brief_s = pl.when(brief).then((talk_ms // 1000).clip(1)).otherwise(0)
    return {
        "ends": pl.col("final").cast(pl.Int64),
        "rings": (pl.col("final") & ~pl.col("answered") & code.is_in(GIVEN_UP) & (pl.col("t_ms") - rang_ms <= RING_MS)).cast(pl.Int64),
        "answers": talks.cast(pl.Int64),
        "shorts": (talks & (talk_ms <= SHORT_MS)).cast(pl.Int64),
        "talk_ms": pl.when(talks).then(talk_ms).otherwise(0),
        "delay_ms": pl.when(talks).then((at_ms - pl.col("started_ms")).clip(0)).otherwise(0),
        "early": (talks & pl.col("answer_ms").is_not_null() & (at_ms - rang_ms <= EARLY_MS)).cast(pl.Int64),
        "sided": (talks & side.is_in(["caller", "callee"])).cast(pl.Int64),
        "by_callee": (talks & (side == "callee")).cast(pl.Int64),
        "briefs": brief.cast(pl.Int64),
        "brief_s": brief_s,
        "brief_s2": brief_s * brief_s,
    }


ENDED = _ended()


def _with_ticks(sums: pl.DataFrame, ticks: Sequence[Placed]) -> pl.DataFrame:
    """A frame of SUMS: the epochs in the order of their ticks, each with the row that ends it."""
    rows = np.bincount(sums["epoch"].to_numpy(), minlength=len(ticks)).tolist()
    nanos = [in_range((high << 32) + low) for high, low in zip(sums["high"].to_list(), sums["low"].to_list(), strict=True)]
    names = ("epoch", *_KEY, *_SUM)
    sums = of_columns(names, sums, {"nanos": pl.Series("nanos", nanos, pl.Int64)})
    ends = of_rows([_end(epoch, rows[epoch]) for epoch in range(len(ticks))], sums.schema)
    both = pl.concat([sums, ends])
    order = np.argsort(both["epoch"].to_numpy(), kind="stable")  # the rows of an epoch keep their order, and its end comes behind them
    of = both["epoch"].to_numpy()[order]
    heads = zip(*((partition, offset, tick.at_ms, tick.config_version) for partition, offset, tick in ticks), strict=True)
    own = {name: pl.Series(name, np.asarray(values)[of], dtype) for (name, dtype), values in zip(_EPOCH.items(), heads, strict=True)}
    return of_columns(SUMS, both[order], own)


def _end(epoch: int, rows: int) -> tuple[Any, ...]:
    return (epoch, "", TICK, "", "", 0, "", *(rows if name == "calls" else "" if name == "call_id" else 0 for name in _SUM))


def from_layout_1(gathered: Mapping[int, Mapping[tuple[Any, ...], Mapping[str, Any]]]) -> Gathered:
    """The sums of a snapshot that has them as values: partition -> tenant, kind, subject, account, second and currency -> the sums by name."""
    rows = [
        {"partition": partition, **dict(zip(_KEY, key, strict=True)), **one, "high": one["nanos"] >> 32, "low": one["nanos"] & 0xFFFFFFFF}
        for partition, of in gathered.items()
        for key, one in of.items()
    ]
    return [pl.DataFrame(rows, schema=PARTIAL)] if rows else []
