"""A call with its money beside its facts: one row per call revision, for people, notebooks and tests. The warehouse has it as `priced_calls`."""

from __future__ import annotations

import polars as pl

KEY = ("tenant", "partition", "offset", "revision")


def priced(calls: pl.DataFrame, charges: pl.DataFrame) -> pl.DataFrame:
    """The `calls` (core.schemas.CALLS) that were priced, with what their `charges` (core.schemas.CHARGES) of the highest run come to.

    `sell_nanos` is what the customer owes, `buy_nanos` what the carriers get, null where they are paid in several currencies; `billable_s` are the
    seconds charged.

    >>> from core.schemas import CALLS, CHARGES, empty
    >>> priced(empty(CALLS), empty(CHARGES)).columns[-4:]
    ['buy_destination', 'buy_nanos', 'buy_attempt_fees_nanos', 'buy_currency']
    """
    counted = charges.filter(pl.col("run") == pl.col("run").max().over(KEY))
    sold = counted.filter(pl.col("role") == "sell", pl.col("level") == 0).group_by(KEY, maintain_order=True)
    sales = sold.agg(
        pl.col("charged_s").sum().alias("billable_s"),
        pl.col("agreement", "deck", "prefix", "destination").first().name.prefix("sell_"),
        pl.col("nanos").sum().alias("sell_nanos"),
        pl.col("currency").first().alias("sell_currency"),
    )
    several = pl.col("currency").n_unique() > 1
    bought = counted.filter(pl.col("role") == "buy").sort("charged_s", "attempt_no").group_by(KEY, maintain_order=True)
    purchases = bought.agg(
        pl.col("deck", "prefix", "destination").last().name.prefix("buy_"),
        pl.when(several).then(None).otherwise(pl.col("nanos").sum()).alias("buy_nanos"),
        pl.col("attempt_nanos").sum().alias("buy_attempt_fees_nanos"),
        pl.when(several).then(pl.lit("several")).otherwise(pl.col("currency").first()).alias("buy_currency"),
    )
    # What was not answered and cost nothing cost nothing in the currency in which it would have been sold.
    currency = pl.coalesce("buy_currency", pl.when(pl.col("answer_ms").is_null()).then("sell_currency").otherwise(pl.lit("")))
    none = {"buy_nanos": 0, "buy_attempt_fees_nanos": 0, "buy_deck": "", "buy_prefix": "", "buy_destination": ""}
    joined = calls.join(sales, on=KEY, how="inner", maintain_order="left").join(purchases, on=KEY, how="left")
    return joined.with_columns(
        *(pl.when(pl.col("buy_currency").is_null()).then(pl.lit(value)).otherwise(name).alias(name) for name, value in none.items()),
        currency.alias("buy_currency"),
    )
