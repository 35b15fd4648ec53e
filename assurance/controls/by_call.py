"""What controls ask of each call and its money, as a table of groups: added up slice by slice, so that a month of any size fits in memory.

A slice is `calls` (the facts of the calls of the period, each once) and `charges` (what counts of their charges). Money is Int64 nanos of one
currency per row of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

LATE_MS = 3_600_000
FACTS = (
    "partition", "offset", "learned_ms", "end_ms", "call_key", "account", "switch", "ingress_trunk", "carrier", "a_number", "b_number", "b_kind",
    "lrn", "setup_ms", "answer_ms", "duration_ms", "suspected_hung", "attempts",
)  # fmt: skip
CHARGES = (
    "partition", "offset", "run", "role", "level", "attempt_no", "call_key", "account", "carrier", "deck", "destination", "start_ms", "end_ms",
    "charged_s", "per_min_nanos", "nanos", "currency", "package", "config_version",
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Calls (`with_money`) that a control asks about, by what, and how much money of which currency. `more`: columns that are kept as their
    maximum."""

    by: tuple[str, ...]
    nanos: str
    currency: str
    where: pl.Expr = field(default_factory=lambda: pl.lit(True))
    more: Mapping[str, pl.Expr] = field(default_factory=dict)


_ANSWERED, _SALES = pl.col("answer_ms").is_not_null(), pl.col("sales")
_IS_PAID = pl.col("b_kind") != "emergency"  # nobody pays for an emergency call
_DELAY_MS = pl.col("learned_ms") - pl.col("end_ms")
_IS_LOSS = (pl.col("sell_currency") == pl.col("buy_currency")) & (pl.col("loss") > 0) & (_SALES > 0) & (pl.col("sell") != 0)

GROUPS: dict[str, Group] = {
    "trunks": Group(("switch", "ingress_trunk"), "sell", "sell_currency"),
    "late": Group(("switch", "day"), "sell", "sell_currency", _DELAY_MS > LATE_MS, {"hours": _DELAY_MS // 3_600_000}),
    "hung": Group(("ingress_trunk", "carrier"), "sell", "sell_currency", pl.col("suspected_hung")),
    "unsold": Group(("account", "ingress_trunk"), "buy", "buy_currency", _ANSWERED & (_SALES == 0)),
    "zero_rated": Group(
        ("account", "destination"), "buy", "buy_currency", _ANSWERED & (_SALES > 0) & (pl.col("sell") == 0) & ~pl.col("covered") & _IS_PAID,
    ),
    "one_sided": Group(
        ("carrier", "destination"), "sell", "sell_currency",
        _ANSWERED & (pl.col("carrier") != "") & (pl.col("sell") != 0) & (pl.col("priced_purchases") == 0),
    ),
    "losses": Group(("account", "carrier", "destination", "cause"), "loss", "sell_currency", _IS_LOSS),
    "carriers": Group(("bought_from",), "buy", "buy_currency", pl.col("purchases") > 0),
    "rates": Group(("account",), "sell", "sell_currency", _SALES > 0, {}),
}  # fmt: skip
"""Name of a frame that controls need -> its group. Each has `calls`, `seconds` (charged, of the sales), `nanos` and `currency` beside its keys."""

PAIRS = pl.Schema({"pair": pl.UInt64, "partition": pl.Int32, "offset": pl.Int64, "answer_ms": pl.Int64, "duration_ms": pl.Int64, "sell": pl.Int64,
    "currency": pl.String})
"""Calls that were answered and sold: `pair` is a hash of account and both numbers."""

def with_money(calls: pl.DataFrame, charges: pl.DataFrame) -> pl.DataFrame:
    """One row per call with what counts of its charges: `sell`, `sell_s`, `sell_rate` and `sales` (how many) of the customer, `buy`, `buy_s`,
    `buy_rate`, `purchases` (answered ones) and `priced_purchases` of carriers, `loss` and its `cause`; `covered`: a package pays for a part of it.

    Currencies are those of the first charge, "several" where the purchases of a call are in several.
    """
    sold = (pl.col("role") == "sell") & (pl.col("level") == 0)
    bought = pl.col("role") == "buy"
    talked = bought & pl.col("start_ms").is_not_null()
    nanos, seconds = pl.col("nanos"), pl.col("charged_s")
    buy_currencies = pl.col("currency").filter(bought)
    money = charges.group_by("offset").agg(
        nanos.filter(sold).sum().alias("sell"), pl.col("currency").filter(sold).first().alias("sell_currency"),
        seconds.filter(sold).sum().alias("sell_s"), pl.col("per_min_nanos").filter(sold).first().alias("sell_rate"),
        pl.col("destination").filter(sold).first().alias("destination"), sold.sum().cast(pl.Int64).alias("sales"),
        (sold & (pl.col("package") != "")).any().alias("covered"),
        nanos.filter(bought).sum().alias("buy"), buy_currencies.first().alias("buy_currency"),
        (buy_currencies.n_unique() > 1).alias("mixed"), pl.col("carrier").filter(bought & (pl.col("carrier") != "")).last().alias("bought_from"),
        seconds.filter(bought).sum().alias("buy_s"), pl.col("per_min_nanos").filter(talked).first().alias("buy_rate"),
        talked.sum().cast(pl.Int64).alias("purchases"),
        (talked & ((pl.col("deck") != "") | (nanos != 0))).sum().cast(pl.Int64).alias("priced_purchases"),
    )  # fmt: skip
    numbers = ["sell", "sell_s", "sales", "buy", "buy_s", "purchases", "priced_purchases"]
    texts = ["sell_currency", "buy_currency", "destination", "bought_from"]
    found = calls.join(money, on="offset", how="left").with_columns(
        pl.col(*numbers).fill_null(0), pl.col(*texts).fill_null(""), pl.col("covered").fill_null(False)
    )
    return found.with_columns(
        pl.when("mixed").then(pl.lit("several")).otherwise("buy_currency").alias("buy_currency"), (pl.col("buy") - pl.col("sell")).alias("loss"),
        pl.from_epoch("end_ms", time_unit="ms").dt.strftime("%Y-%m-%d").alias("day"),
        pl.when("covered").then(pl.lit("package"))
        .when(pl.col("sell_rate") < pl.col("buy_rate")).then(pl.lit("price per minute"))
        .when(pl.col("sell_s") < pl.col("buy_s")).then(pl.lit("charged seconds")).otherwise(pl.lit("fees")).alias("cause"),
    )  # fmt: skip


def grouped(name: str, calls: pl.DataFrame) -> pl.DataFrame:
    """A slice's part of a group.

    >>> calls = pl.DataFrame({"account": ["a", "a", "b"], "sales": [1, 1, 0], "sell": [5, 2, 0], "sell_s": 3 * [60], "sell_currency": 3 * ["EUR"]})
    >>> grouped("rates", calls).rows()
    [('a', 'EUR', 2, 120, 7)]
    """
    group = GROUPS[name]
    keys = [pl.col(one) for one in group.by] + [pl.col(group.currency).alias("currency")]
    found = calls.filter(group.where).group_by(*keys).agg(
        pl.len().cast(pl.Int64).alias("calls"), pl.col("sell_s").sum().alias("seconds"), pl.col(group.nanos).cast(pl.Int128).sum().alias("nanos"),
        *(value.max().alias(column) for column, value in group.more.items()),
    )  # fmt: skip
    return found


def merged(name: str, parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The parts of all slices as one, the most money first. Raises where a sum is beyond what an Int64 of nanos holds."""
    group = GROUPS[name]
    most = [pl.col(column).max() for column in group.more]
    found = pl.concat(list(parts)).group_by(*group.by, "currency").agg(pl.col("calls", "seconds", "nanos").sum(), *most)
    return found.with_columns(pl.col("nanos").cast(pl.Int64)).sort("nanos", "calls", *group.by, descending=[True, True, *[False] * len(group.by)])


def pairs(calls: pl.DataFrame) -> pl.DataFrame:
    """The calls of a slice (`with_money`) that could be there twice (`PAIRS`)."""
    found = calls.filter(_ANSWERED & (_SALES > 0) & (pl.col("b_number") != ""))
    pair = found.select("account", "a_number", "b_number").hash_rows(17)
    return found.select(pair.alias("pair"), "partition", "offset", "answer_ms", pl.col("duration_ms").fill_null(0), "sell",
        pl.col("sell_currency").alias("currency")).cast(PAIRS)


def twins(found: pl.DataFrame, within_ms: int = 2_000, longer_ms: int = 1_000) -> pl.DataFrame:
    """Of `PAIRS`, those that follow another one of their pair so closely (`TWINS`).

    >>> rows = [(7, 0, 1, 5_000, 60_000, 9, "EUR"), (7, 0, 2, 5_000, 60_000, 9, "EUR"), (7, 0, 3, 9_000, 60_000, 9, "EUR")]
    >>> twins(pl.DataFrame(rows, PAIRS, orient="row")).select("offset", "apart_ms", "longer_ms").rows()
    [(2, 0, 0)]
    """
    ordered = found.sort("pair", "answer_ms", "duration_ms", "partition", "offset")
    apart, longer = pl.col("answer_ms").diff().alias("apart_ms"), pl.col("duration_ms").diff().alias("longer_ms")
    near = (pl.col("pair") == pl.col("pair").shift(1)) & (apart <= within_ms) & (longer.abs() <= longer_ms)
    return ordered.lazy().with_columns(apart, longer, near.alias("near")).filter("near").drop("near").collect()
