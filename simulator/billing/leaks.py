"""Leaks of a month's money, each in the tables of calls, with the key: which calls it concerns, and what their sales are worth.

The key names the control that should find it, by the name that a person reads in `ringfence controls`: nothing here knows how controls look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from core import schemas
from simulator.billing.own import MARK_UP, offer, priced

Tables = dict[str, pl.DataFrame]
HOUR_MS = 3_600_000


class Leaked(NamedTuple):
    """The tables with a leak, and its key: `call_key` and `nanos`, the sale of each call that it concerns."""

    tables: Tables
    key: pl.DataFrame


class Leak(NamedTuple):
    """`make`: the tables and the offsets of the calls that leak -> the tables with the leak. `of`: which sales can leak so."""

    control: str
    make: Callable[[Tables, pl.Series], Tables]
    of: Callable[[Tables], pl.Series] = lambda tables: tables["calls"]["offset"]


def _there(some: pl.Series) -> pl.Expr:
    return pl.col("offset").is_in(some.implode())


def _without(*names: str, role: str = "") -> Callable[[Tables, pl.Series], Tables]:
    """Calls of which rows are missing in some tables; of `role` alone in `charges`."""

    def make(tables: Tables, some: pl.Series) -> Tables:
        gone = _there(some) & (pl.col("role") == role) if role else _there(some)
        return tables | {name: tables[name].filter(~gone) for name in names}

    return make


def _changed(name: str, role: str = "", **values: pl.Expr) -> Callable[[Tables, pl.Series], Tables]:
    def make(tables: Tables, some: pl.Series) -> Tables:
        here = _there(some) & (pl.col("role") == role) if role else _there(some)
        changed = {column: pl.when(here).then(value).otherwise(pl.col(column)).alias(column) for column, value in values.items()}
        return tables | {name: tables[name].with_columns(**changed)}

    return make


def _unpriced(disposition: str, reason: str, **more: pl.Expr) -> Callable[[Tables, pl.Series], Tables]:
    """Records that ended otherwise than rated: no call, no charge."""
    change = _changed("records", "", disposition=pl.lit(disposition), reason=pl.lit(reason), **more)
    gone = _without("calls", "attempts", "charges")
    return lambda tables, some: change(gone(tables, some), some)


def _twice(move_ms: int) -> Callable[[Tables, pl.Series], Tables]:
    """The same calls once more under other identities, `move_ms` later."""

    def make(tables: Tables, some: pl.Series) -> Tables:
        found = {}
        for name, frame in tables.items():
            again = frame.filter(_there(some)).with_columns(
                (pl.col("offset") + 50_000_000).alias("offset"), ("f" + pl.col("call_key").str.slice(1)).alias("call_key"),
                *(pl.col(column) + move_ms for column in ("answer_ms", "start_ms") if column in frame.columns),
            )  # fmt: skip
            if name == "records":  # the switch wrote them as records of their own
                again = again.with_columns(pl.int_range(frame.height, frame.height + pl.len(), dtype=pl.Int64).alias("seq"))
            found[name] = pl.concat([frame, again])
        return found

    return make


def _late(tables: Tables, some: pl.Series) -> Tables:
    late = pl.when(_there(some)).then(pl.col("learned_ms") + 30 * HOUR_MS).otherwise("learned_ms").alias("learned_ms")
    return {name: frame.with_columns(late) for name, frame in tables.items()}


def _resold(sold: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Tables, pl.Series], Tables]:
    """Sales with the amounts of other calls: `sold` changes what is priced (`a_number`, `b_number`, `at_ms`, `duration_ms`)."""

    def make(tables: Tables, some: pl.Series) -> Tables:
        amounts = _other_amounts(tables["calls"].filter(_there(some)), sold)
        charges = tables["charges"].join(amounts, on="offset", how="left")
        here = pl.col("other_nanos").is_not_null() & (pl.col("role") == "sell")
        columns = {name: pl.when(here).then("other_nanos").otherwise(name) for name in ("nanos", "usage_nanos")}
        return tables | {"charges": charges.with_columns(**columns).drop("other_nanos")}

    return make


def _other_amounts(calls: pl.DataFrame, sold: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    facts = calls.select("a_number", "b_number", pl.col("answer_ms").alias("at_ms"), "duration_ms")
    return pl.DataFrame({"offset": calls["offset"], "other_nanos": priced(sold(facts), offer(False, MARK_UP))["nanos"]})


def _that_differ(sold: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Tables], pl.Series]:
    """Calls whose amount becomes another one."""

    def of(tables: Tables) -> pl.Series:
        both = tables["charges"].filter(pl.col("role") == "sell").join(_other_amounts(tables["calls"], sold), on="offset")
        return both.filter(pl.col("nanos") != pl.col("other_nanos"))["offset"]

    return of


def _an_hour_off(facts: pl.DataFrame) -> pl.DataFrame:
    return facts.with_columns(pl.col("at_ms") + HOUR_MS)


def _whole_minutes(facts: pl.DataFrame) -> pl.DataFrame:
    return facts.with_columns(pl.col("duration_ms") // 60_000 * 60_000 + 1)


_NOTHING = {"nanos": pl.lit(0, pl.Int64), "usage_nanos": pl.lit(0, pl.Int64)}

LEAKS: dict[str, Leak] = {
    "records that the switch never sent": Leak("sequence_gaps", _without("records", "calls", "attempts", "charges")),
    "records that arrived corrupt": Leak("rejected_records", _unpriced("reject", "stop: duration_ms is no number")),
    "calls without a price": Leak("unrated_calls", _unpriced("unrated", "no deck row for the number")),
    "ends without an account": Leak("orphans", _unpriced("unrated", "no ingress account", account=pl.lit(""))),
    "records that came late": Leak("late_records", _late),
    "calls without an end": Leak("hung_calls", _changed("calls", suspected_hung=pl.lit(True))),
    "calls that are charged twice": Leak("duplicate_calls", _twice(0)),
    "calls that look charged twice": Leak("suspected_duplicates", _twice(900)),
    "sales that are missing": Leak("unbilled_calls", _without("charges", role="sell")),
    "sales at nothing": Leak("zero_rated_calls", _changed("charges", "sell", **_NOTHING)),
    "sales at another price": Leak("rating_verification", _changed("charges", "sell", nanos=pl.col("nanos") * 9 // 10)),
    "sales in another zone": Leak("rating_verification", _resold(_an_hour_off), _that_differ(_an_hour_off)),
    "sales in other increments": Leak("rating_verification", _resold(_whole_minutes), _that_differ(_whole_minutes)),
    "sales below their cost": Leak("negative_margin", _changed("charges", "sell", nanos=pl.col("nanos") // 2)),
    "purchases that are missing": Leak("price_on_one_side", _without("charges", role="buy")),
}
"""Name -> the leak. What a warehouse or a ledger would have to forget by itself (views, entries, invoices) is no leak of calls."""


def leaking(tables: Tables, name: str, share: float, seed: int = 7) -> Leaked:
    """The tables with a leak of about a share of the month's sales, of calls that the seed chooses: at least one."""
    leak = LEAKS[name]
    sales = tables["charges"].filter(pl.col("role") == "sell")
    worth = share * float(sales["nanos"].sum())
    some = sales.filter(pl.col("offset").is_in(leak.of(tables).implode()) & (pl.col("nanos") > 0)).sample(fraction=1.0, seed=seed, shuffle=True)
    some = some.head(max(1, int((some["nanos"].cum_sum() <= worth).sum())))
    changed = leak.make(tables, some["offset"])
    cast = {table: frame.select(*schemas.TABLES[table]).cast(schemas.TABLES[table]) for table, frame in changed.items()}
    return Leaked(cast, some.select("call_key", "nanos"))
