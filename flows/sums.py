"""What a second added to the subjects that span partitions: carriers, trunk groups, ingress trunks, and ranges over all accounts.

A tick ends an epoch of its partition. Judge gathers what each second added, and says it when the tick comes: one epoch, once, under the
offset of its tick. So what is said does not depend on how the log was cut into batches, a reader knows a repeat by its tick, and since the
collector writes one tick into every partition, epochs of the same time are one consistent cut through all partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from core.config import Caps
from core.decode import Decoded
from core.money import MAX_NANOS
from core.record import Tick
from core.work import Work

EPOCH = b"epoch"
"""The key of a value of `sums`. (Releases before wrote other rows there, under another key.)"""

TICK = "tick"
"""The kind of the row that ends an epoch; it comes last, and once also where nothing was added. Its `calls` are how many
other rows the epoch has: a reader knows when it has them all."""

ADDED = pl.Schema(
    {
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
)
"""What judge gathers between two ticks."""

SUMS = pl.Schema(
    {
        "partition": pl.Int32,
        "tick_offset": pl.Int64,  # with the partition: which epoch
        "tick_ms": pl.Int64,
        "config_version": pl.Int64,
        **{name: dtype for name, dtype in ADDED.items() if name != "partition"},
    }
)
"""The rows of the topic `sums`."""

BY = ("partition", "tenant", "kind", "subject", "account", "second_ms", "currency")


def gather(
    gathered: list[pl.DataFrame],
    work: Work,
    frame: pl.DataFrame,
    decoded: Decoded,
    caps: Mapping[str, Mapping[tuple[str, str], Caps]],
) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """(what is gathered now, the epochs that the ticks of this batch end: a frame of SUMS), from the features of a batch.

    Of subjects with a cap alone: nobody reads the others. What a tick itself did is of the epoch that it ends.
    """
    rows = added(work, frame, caps)
    if not decoded.ticks:
        return ([*gathered, together([rows.drop("offset")])] if rows.height else gathered), pl.DataFrame(schema=SUMS)
    before = together(gathered)
    kept: list[pl.DataFrame] = []
    ended: list[pl.DataFrame] = []
    ticks: dict[int, list[tuple[int, Tick]]] = {}
    for partition, offset, tick in decoded.ticks:
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
        kept.append(together(waiting))
    return [part for part in kept if part.height], pl.concat(ended)


def _epoch(rows: pl.DataFrame, partition: int, offset: int, tick: Tick) -> pl.DataFrame:
    nothing = {**dict.fromkeys(ADDED, 0), **dict.fromkeys(_TEXTS, "")}
    end = pl.DataFrame([{**nothing, "partition": partition, "kind": TICK, "calls": rows.height}], schema=ADDED)
    return pl.concat([rows, end]).with_columns(
        pl.lit(offset, dtype=pl.Int64).alias("tick_offset"),
        pl.lit(tick.at_ms, dtype=pl.Int64).alias("tick_ms"),
        pl.lit(tick.config_version, dtype=pl.Int64).alias("config_version"),
    ).select(list(SUMS))  # fmt: skip


_TEXTS = [name for name, dtype in ADDED.items() if dtype == pl.String]


def added(work: Work, frame: pl.DataFrame, caps: Mapping[str, Mapping[tuple[str, str], Caps]]) -> pl.DataFrame:
    """What each row adds: ADDED and its `offset`, in the order of the log."""
    if frame.is_empty() or not any(caps.get(kind) for kind in ("carrier", "trunk_group", "trunk", "range")):
        return pl.DataFrame(schema={**ADDED, "offset": pl.Int64})
    rows = frame["i"].to_list()
    tenants = frame["tenant"].to_list()
    base = frame.select(
        "partition", "tenant", "account", "nanos", "currency", "calls", "flying", "learned_ms", "call_id",
        pl.col("t_ms") // 1000 * 1000,
        pl.Series("offset", [work.offset[i] for i in rows], dtype=pl.Int64),
    ).rename({"t_ms": "second_ms"})  # fmt: skip
    subjects: dict[str, Callable[[], list[str]]] = {
        "carrier": lambda: [work.carrier[i] for i in rows],
        "trunk_group": lambda: [work.trunk_group[i] for i in rows],
        "trunk": lambda: frame["ingress_trunk"].to_list(),
        "range": lambda: ranges(tenants, [work.b_number[i] for i in rows], caps.get("range", {})),
    }
    kinds = []
    for kind, names_of in subjects.items():
        if not (capped := caps.get(kind)):
            continue
        names = names_of()
        known = [(tenant, name) in capped for tenant, name in zip(tenants, names, strict=True)]
        if any(known):
            whose = pl.col("account") if kind == "range" else pl.lit("").alias("account")
            subject = pl.Series("subject", names, dtype=pl.String)
            kinds.append(base.with_columns(pl.lit(kind).alias("kind"), subject, whose).filter(pl.Series(known)))
    if not kinds:
        return pl.DataFrame(schema={**ADDED, "offset": pl.Int64})
    return pl.concat(kinds).select(*ADDED, "offset")


def ranges(tenants: Sequence[str], b_numbers: Sequence[str], capped: Mapping[tuple[str, str], Caps]) -> list[str]:
    """The longest capped range that each number begins with, or "".

    >>> ranges(["t1", "t1", "t2"], ["882131", "8829", "882131"], {("t1", "882"): Caps(), ("t1", "88213"): Caps()})
    ['88213', '882', '']
    """
    lengths = sorted({len(prefix) for _, prefix in capped}, reverse=True)
    return [next((b[:n] for n in lengths if (tenant, b[:n]) in capped), "") for tenant, b in zip(tenants, b_numbers, strict=True)]


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames of ADDED as one, a row a subject and second, in an order that does not depend on how they were cut."""
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
