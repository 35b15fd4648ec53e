"""Leaks of a month's money, each in the tables of `billed_home`, and the control that finds it."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from core import schemas

Tables = dict[str, pl.DataFrame]
HOUR_MS = 3_600_000


def _some(tables: Tables, share: float, seed: int) -> pl.Series:
    """Offsets of calls that are worth a share of the month's sales together."""
    sales = tables["charges"].filter(pl.col("role") == "sell").sample(fraction=1.0, seed=seed, shuffle=True)
    sums = sales["nanos"].cum_sum()
    return sales["offset"].head(max(1, int((sums <= share * sales["nanos"].sum()).sum())))


def _without(name: str, role: str = "") -> Callable[[Tables, pl.Series], Tables]:
    def leak(tables: Tables, some: pl.Series) -> Tables:
        here = pl.col("offset").is_in(some.implode())
        return tables | {name: tables[name].filter(~(here & (pl.col("role") == role)))}

    return leak


def _changed(name: str, role: str = "", **values: pl.Expr) -> Callable[[Tables, pl.Series], Tables]:
    def leak(tables: Tables, some: pl.Series) -> Tables:
        here = pl.col("offset").is_in(some.implode())
        here = here & (pl.col("role") == role) if role else here
        changed = {column: pl.when(here).then(value).otherwise(pl.col(column)).alias(column) for column, value in values.items()}
        return tables | {name: tables[name].with_columns(**changed)}

    return leak


def _twice(move_ms: int) -> Callable[[Tables, pl.Series], Tables]:
    """The same calls once more under other identities, `move_ms` later."""

    def leak(tables: Tables, some: pl.Series) -> Tables:
        found = {}
        for name, frame in tables.items():
            here = frame.filter(pl.col("offset").is_in(some.implode()))
            again = here.with_columns(
                (pl.col("offset") + 50_000_000).alias("offset"), ("f" + pl.col("call_key").str.slice(1)).alias("call_key"),
                *(pl.col(column) + move_ms for column in ("answer_ms", "start_ms") if column in frame.columns),
            )  # fmt: skip
            found[name] = pl.concat([frame, again])
        return found

    return leak


def _late(tables: Tables, some: pl.Series) -> Tables:
    here = pl.col("offset").is_in(some.implode())
    late = pl.when(here).then(pl.col("learned_ms") + 30 * HOUR_MS).otherwise("learned_ms").alias("learned_ms")
    return {name: frame.with_columns(late) for name, frame in tables.items()}


LEAKS: dict[str, tuple[str, Callable[[Tables, pl.Series], Tables]]] = {
    "sales that are missing": ("unbilled_calls", _without("charges", "sell")),
    "sales at nothing": ("zero_rated_calls", _changed("charges", "sell", nanos=pl.lit(0, pl.Int64), usage_nanos=pl.lit(0, pl.Int64))),
    "sales at another price": ("rating_verification", _changed("charges", "sell", nanos=pl.col("nanos") * 9 // 10)),
    "sales below their cost": ("negative_margin", _changed("charges", "sell", nanos=pl.col("nanos") // 2)),
    "purchases that are missing": ("price_on_one_side", _without("charges", "buy")),
    "calls that are charged twice": ("duplicate_calls", _twice(0)),
    "calls that look charged twice": ("suspected_duplicates", _twice(900)),
    "calls without an end": ("hung_calls", _changed("calls", suspected_hung=pl.lit(True))),
    "calls that came late": ("late_records", _late),
}


def leaking(tables: Tables, leak: str, share: float, seed: int = 7) -> Tables:
    """The tables with a leak of a share of the month's sales, of calls that the seed chooses."""
    changed = LEAKS[leak][1](tables, _some(tables, share, seed))
    return {name: frame.select(*schemas.TABLES[name]).cast(schemas.TABLES[name]) for name, frame in changed.items()}  # type: ignore[arg-type]
