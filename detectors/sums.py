"""What each second added to the subjects that span partitions, of the kinds that the detectors over them declare (`Spanning.sums`).

A tick ends an epoch of its partition. Judge gathers what each second added, and writes it when the tick comes: one epoch, once, under the
offset of its tick. So what is written does not depend on how the log was cut into batches, a reader knows a repeat by its tick, and since
the collector writes one tick into every partition, epochs of the same time are one consistent cut through all partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from core.money import MAX_NANOS
from core.record import Tick
from detectors.protocol import Limits
from detectors.registry import summed

EPOCH = b"epoch"
"""The key of a value of `sums`."""

TICK = "tick"
"""The kind of the row that ends an epoch; it comes last, and once also where nothing was added. Its `calls` are how many
other rows the epoch has: a reader knows when it has them all."""

_ADDED: dict[str, Any] = {
    "partition": pl.Int32,
    "tenant": pl.String,
    "kind": pl.String,  # carrier | trunk_group | trunk | range | TICK
    "subject": pl.String,
    "account": pl.String,  # of a range: whose calls
    "second_ms": pl.Int64,  # event time
    "currency": pl.String,
    "nanos": pl.Int64,
    "calls": pl.Int64,
    "flying": pl.Int64,  # answered less ended
    "learned_ms": pl.Int64,  # the latest
    "call_id": pl.String,  # of the last row
}
ADDED = pl.Schema(_ADDED)
"""What judge gathers between two ticks."""

_EPOCH = {"partition": pl.Int32, "tick_offset": pl.Int64, "tick_ms": pl.Int64, "config_version": pl.Int64}
SUMS = pl.Schema(_EPOCH | _ADDED)
"""The rows of the topic `sums`: partition and offset of the tick tell which epoch a row belongs to."""

NO_SUMS = pl.DataFrame(schema=SUMS)
_NOTHING = pl.DataFrame(schema=_ADDED | {"offset": pl.Int64})

BY = ("partition", "tenant", "kind", "subject", "account", "second_ms", "currency")


def gather(
    gathered: list[pl.DataFrame], usage: pl.DataFrame, placed: Sequence[tuple[int, int, Tick]], limits: Limits
) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """(what is gathered now, the epochs that the ticks of this batch end: a frame of SUMS), from a batch of USAGE.

    `placed`: partition, offset and tick. What a tick itself did is of the epoch that it ends.
    """
    rows = added(usage, limits)
    if not placed:
        return ([*gathered, together([rows.drop("offset")])] if rows.height else gathered), NO_SUMS
    before = together(gathered)
    stays: list[pl.DataFrame] = []
    ended: list[pl.DataFrame] = []
    ticks: dict[int, list[tuple[int, Tick]]] = {}
    for partition, offset, tick in placed:
        ticks.setdefault(partition, []).append((offset, tick))
    for partition in sorted({*before["partition"].to_list(), *rows["partition"].to_list(), *ticks}):
        waiting = [before.filter(pl.col("partition") == partition)]
        of_it = rows.filter(pl.col("partition") == partition)
        for offset, tick in ticks.get(partition, ()):
            waiting.append(of_it.filter(pl.col("offset") <= offset).drop("offset"))
            of_it = of_it.filter(pl.col("offset") > offset)
            ended.append(_epoch(together(waiting), partition, offset, tick))
            waiting = []
        waiting.append(of_it.drop("offset"))
        stays.append(together(waiting))
    return [part for part in stays if part.height], pl.concat(ended)


def _epoch(rows: pl.DataFrame, partition: int, offset: int, tick: Tick) -> pl.DataFrame:
    nothing = {**dict.fromkeys(ADDED, 0), **dict.fromkeys(_TEXTS, "")}
    end = pl.DataFrame([{**nothing, "partition": partition, "kind": TICK, "calls": rows.height}], schema=ADDED)
    return pl.concat([rows, end]).with_columns(
        pl.lit(offset, dtype=pl.Int64).alias("tick_offset"),
        pl.lit(tick.at_ms, dtype=pl.Int64).alias("tick_ms"),
        pl.lit(tick.config_version, dtype=pl.Int64).alias("config_version"),
    ).select(list(SUMS))  # fmt: skip


_TEXTS = [name for name, dtype in ADDED.items() if dtype == pl.String]


def added(usage: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """What each row adds to the subjects that are watched: ADDED and its `offset`, in the order of the log."""
    kinds = []
    for kind, subjects_of in summed().items() if usage.height else ():
        names = subjects_of(usage, limits)
        if names is None:
            continue
        whose = pl.col("account") if kind == "range" else pl.lit("").alias("account")
        kinds.append(
            usage.select(
                "partition", "tenant", pl.lit(kind).alias("kind"), names.alias("subject"), whose, (pl.col("t_ms") // 1000 * 1000).alias("second_ms"),
                "currency", "nanos", "calls", "flying", "learned_ms", "call_id", "offset",
            ).filter(pl.col("subject") != "")
        )  # fmt: skip
    return pl.concat(kinds) if kinds else _NOTHING


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames of ADDED as one, one row per subject and second, in an order that does not depend on how they were cut."""
    if not frames:
        return pl.DataFrame(schema=ADDED)
    return (
        pl.concat(frames)
        .group_by(BY, maintain_order=True)
        .agg(
            pl.col("nanos").cast(pl.Int128).sum().clip(-MAX_NANOS, MAX_NANOS).cast(pl.Int64),  # as `core.money.in_range`
            pl.col("calls", "flying").sum(),
            pl.col("learned_ms").max(),
            pl.col("call_id").last(),
        )
        .select(list(ADDED))
        .sort(BY)
    )
