"""A bill as the files that a carrier sends: calls as CSV in his own spelling, with rows that cannot be read, and the invoice."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.billing.faults import CarrierBill

HEAD = "Call Start;Calling No;Called No;Destination;Talk (s);Billed (s);Rate/min;Amount EUR"
def cdr_rows(bill: CarrierBill, seed: int, spelling: str = "technical", talk: bool = True, rates: bool = True) -> pl.Series:
    """The text of each row. `talk`, `rates`: whether the file has talk time beside charged seconds, and prices beside amounts."""
    rows, chance = bill.cdrs, np.random.default_rng(seed)
    number = {
        "e164": pl.col("b_number"), "plus": "+" + pl.col("b_number"), "national": "0" + pl.col("b_number").str.slice(2),
        "technical": "7788#" + pl.col("b_number"),
    }[spelling]  # fmt: skip
    odd = pl.Series(chance.random(rows.height) < 0.02)
    withheld = pl.Series(chance.random(rows.height) < 0.05)
    when = pl.from_epoch("at_ms", time_unit="ms").dt.strftime("%d.%m.%Y %H:%M:%S")
    cells = [
        when, pl.when(withheld).then(pl.lit("anonymous")).otherwise(pl.col("a_number")),
        pl.when(odd).then("00" + pl.col("b_number")).otherwise(number), pl.col("destination").str.to_uppercase(),
        *([((pl.col("talk_ms") + 500) // 1000).cast(pl.String)] if talk else []), pl.col("charged_s").cast(pl.String),
        *([_decimal("per_min_nanos", 4)] if rates else []), _decimal("nanos", 6),
    ]  # fmt: skip
    text = rows.select(pl.concat_str(cells, separator=";").alias("text"), "fault", "b_number")
    broken = pl.col("text").str.slice(0, pl.col("text").str.len_chars() - 5) + "#REF!"
    cut = pl.col("text").str.slice(0, 14)
    return text.select(
        pl.when(pl.col("fault") == "unreadable").then(broken).when(pl.col("fault") == "missing_theirs|unreadable").then(cut).otherwise(
            "text").alias("text")
    ).to_series()


def cdr_file(bill: CarrierBill, seed: int, spelling: str = "technical", talk: bool = True, rates: bool = True) -> bytes:
    """The whole file."""
    head = HEAD if talk else HEAD.replace("Talk (s);", "")
    head = head if rates else head.replace("Rate/min;", "")
    return "\n".join([head, *cdr_rows(bill, seed, spelling, talk, rates).to_list(), ""]).encode()


def invoice_file(bill: CarrierBill, total_off_nanos: int = 0) -> bytes:
    """The invoice as CSV, a line per destination, with its total."""
    lines = bill.lines.select(
        pl.col("destination").str.to_uppercase(), pl.col("calls").cast(pl.String),
        (pl.col("charged_s") / 60).round(2).cast(pl.String).alias("minutes"), _decimal("nanos", 6).alias("amount"),
    )  # fmt: skip
    total = int(lines.height and bill.lines["nanos"].sum()) + total_off_nanos
    head = ["Alpha Telecom;;;", "Invoice;A-2026-10;;", "Period;01.10.2026;31.10.2026;", "Currency;EUR;;", "Destination;Calls;Minutes;Amount"]
    body = [";".join(row) for row in lines.iter_rows()]
    return "\n".join([*head, *body, f"Total;;;{total / 10**9:.6f}", ""]).encode()


def _decimal(name: str, decimals: int) -> pl.Expr:
    unit = 10 ** (9 - decimals)
    units = pl.col(name) // unit
    scale = 10**decimals
    return pl.concat_str(
        pl.when(pl.col(name) < 0).then(pl.lit("-")).otherwise(pl.lit("")), (units.abs() // scale).cast(pl.String), pl.lit("."),
        (units.abs() % scale).cast(pl.String).str.zfill(decimals),
    )  # fmt: skip
