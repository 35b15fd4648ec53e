"""Which call of theirs is which of ours: by number with lost prefixes, by time, by duration. One of ours for one of theirs.

All in columns: candidates are joined by the last digits of the number and a bucket of time, then the cheapest pair that is the best of both
sides is taken, again and again.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from assurance.reconcile.offsets import QUARTER_MS, Clock, estimate

DIGITS = 7
"""Of the end of a number: what is left of it under technical prefixes, trunk prefixes and lost country codes."""
BUCKET_MS = 60_000
OTHER_NUMBER_MS = 20_000
"""What numbers that merely end alike cost, as if they lay so far apart."""
OTHER_CALLER_MS = 10_000
ROUNDS = 12


class Matched(NamedTuple):
    """`pairs`: rows of ours and theirs by place, `zone_ms` the offset under which they met, `ahead_ms` what their start is ahead of it."""

    pairs: pl.DataFrame
    clock: Clock


def keyed(side: pl.DataFrame) -> pl.DataFrame:
    """`place`, `key` (the last digits of the number, -1 = it has none), `digits`, `caller`, `at_ms`, `length_ms` of a side.

    >>> side = pl.DataFrame({"a_number": ["", ""], "b_number": ["436641234567", "06641234567"], "at_ms": [0, 0], "duration_ms": [0, 0]})
    >>> keyed(side)["key"].to_list()
    [1234567, 1234567]
    """
    length = pl.col("duration_ms") if "charged_s" not in side.columns else pl.coalesce("duration_ms", 1000 * pl.col("charged_s"))
    return side.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("place"),
        pl.col("b_number").str.slice(-DIGITS).cast(pl.Int64, strict=False).fill_null(-1).alias("key"),
        pl.col("b_number").str.strip_chars_start("0").alias("digits"),
        pl.col("a_number").str.slice(-DIGITS).cast(pl.Int64, strict=False).fill_null(-1).alias("caller"),
        pl.col("at_ms"),
        length.fill_null(0).alias("length_ms"),
    )


def match(ours: pl.DataFrame, theirs: pl.DataFrame, tolerance_ms: int) -> Matched:
    """The pairs of two sides (`assurance.reconcile.sides`). `tolerance_ms`: how far the starts of one call may lie apart, besides the skew."""
    mine, other = keyed(ours), keyed(theirs)
    clock = estimate(mine, other)
    apart_ms = max(tolerance_ms, 3 * clock.spread_ms)
    found: list[pl.DataFrame] = []
    zones = [clock.base_ms, *(one.zone_ms for one in clock.offsets if one.zone_ms != clock.base_ms)]
    for zone_ms in zones:
        pairs = _meet(mine, other, zone_ms + clock.skew_ms, apart_ms).with_columns(pl.lit(zone_ms, pl.Int64).alias("zone_ms"))
        found.append(pairs)
        mine = mine.join(pairs, left_on="place", right_on="ours", how="anti")
        other = other.join(pairs, left_on="place", right_on="theirs", how="anti")
    # Single calls in another zone: a number, a caller and a duration that are the same, whole quarters of an hour apart. Where their file has charged
    # seconds alone, it is ours that they are the same as.
    if other.height and theirs["duration_ms"].null_count() * 2 > theirs.height:
        mine = mine.with_columns((1000 * ours["charged_s"].gather(mine["place"])).alias("length_ms"))
    strays = _strays(mine, other, clock, apart_ms)
    return Matched(pl.concat([*found, strays]).sort("ours"), clock)


def _meet(mine: pl.DataFrame, other: pl.DataFrame, ahead_ms: int, apart_ms: int) -> pl.DataFrame:
    """Pairs whose starts lie within `apart_ms` when their clock is `ahead_ms` ahead."""
    bucket_ms = max(BUCKET_MS, apart_ms)
    left = mine.with_columns((pl.col("at_ms") // bucket_ms).alias("bucket"))
    right = other.with_columns((pl.col("at_ms") - ahead_ms).alias("at_ms")).with_columns((pl.col("at_ms") // bucket_ms).alias("bucket"))
    # A call near the edge of its bucket also stands in the next one.
    near = [right]
    for step in (-1, 1):
        edge = (pl.col("at_ms") + step * apart_ms) // bucket_ms
        near.append(right.filter(edge != pl.col("bucket")).with_columns((pl.col("bucket") + step).alias("bucket")))
    joined = left.lazy().join(pl.concat(near).lazy(), on=["key", "bucket"], suffix="_theirs")
    return _best(_costed(joined, apart_ms).collect())


def _costed(joined: pl.LazyFrame, apart_ms: int) -> pl.LazyFrame:
    """Candidates with their cost in ms: how far apart they start, a little for their lengths, and for numbers or callers that only end alike."""
    ahead = pl.col("at_ms_theirs") - pl.col("at_ms")
    same = pl.col("digits").str.ends_with(pl.col("digits_theirs")) | pl.col("digits_theirs").str.ends_with(pl.col("digits"))
    callers = (pl.col("caller") >= 0) & (pl.col("caller_theirs") >= 0) & (pl.col("caller") != pl.col("caller_theirs"))
    length = (pl.col("length_ms_theirs") - pl.col("length_ms")).abs().clip(0, 60_000)
    cost = ahead.abs() + length // 10 + (~same).cast(pl.Int64) * OTHER_NUMBER_MS + callers.cast(pl.Int64) * OTHER_CALLER_MS
    return joined.select(
        pl.col("place").alias("ours"), pl.col("place_theirs").alias("theirs"), ahead.alias("ahead_ms"), cost.alias("cost"), pl.col("key")
    ).filter((pl.col("ahead_ms").abs() <= apart_ms) & (pl.col("key") >= 0))


def _best(candidates: pl.DataFrame) -> pl.DataFrame:
    """One of ours for one of theirs: pairs of which each is the other's cheapest, taken until there are none."""
    found: list[pl.DataFrame] = []
    left = candidates.sort(["cost", "ours", "theirs"]).select("ours", "theirs", "ahead_ms", "cost")
    for _ in range(ROUNDS):
        if left.is_empty():
            break
        best = left.filter(pl.struct("ours").is_first_distinct() & pl.struct("theirs").is_first_distinct())
        if best.is_empty():
            break
        found.append(best)
        left = left.join(best, on="ours", how="anti").join(best, on="theirs", how="anti")
    schema = {"ours": pl.UInt32, "theirs": pl.UInt32, "ahead_ms": pl.Int64, "cost": pl.Int64}
    return pl.concat(found) if found else pl.DataFrame(schema=schema)


def _strays(mine: pl.DataFrame, other: pl.DataFrame, clock: Clock, apart_ms: int) -> pl.DataFrame:
    # By the whole second of the length as well: a number that everybody calls would meet itself too often.
    mine, other = (side.with_columns((pl.col("length_ms") // 1000).alias("length_s")) for side in (mine, other))
    near = pl.concat([other.with_columns((pl.col("length_s") + step).alias("length_s")) for step in (-1, 0, 1)])
    both = mine.lazy().join(near.lazy(), on=["key", "length_s"], suffix="_theirs").filter(pl.col("key") >= 0)
    ahead = pl.col("at_ms_theirs") - pl.col("at_ms") - clock.skew_ms
    zone = (ahead + QUARTER_MS // 2).floordiv(QUARTER_MS) * QUARTER_MS
    callers = (pl.col("caller") < 0) | (pl.col("caller_theirs") < 0) | (pl.col("caller") == pl.col("caller_theirs"))
    found = (
        both.with_columns(zone.alias("zone_ms"), (ahead - zone).alias("ahead_ms"))
        .filter(
            (pl.col("zone_ms").abs() <= 14 * 4 * QUARTER_MS) & (pl.col("ahead_ms").abs() <= apart_ms) & callers
            & ((pl.col("length_ms_theirs") - pl.col("length_ms")).abs() <= 1000)
        )
        .select(pl.col("place").alias("ours"), pl.col("place_theirs").alias("theirs"), "ahead_ms", "zone_ms")
        .with_columns((pl.col("zone_ms").abs() + pl.col("ahead_ms").abs()).alias("cost"))
        .collect()
    )  # fmt: skip
    best = _best(found.drop("zone_ms"))
    return best.join(found.select("ours", "theirs", "zone_ms"), on=["ours", "theirs"])
