"""Is every charge what the price lists say? All of them are computed again, by the scalar twin of the price."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`charged`: charges with the facts of their calls; `Facts.price` adds `should_nanos` (null = it cannot be computed again)."""
    if facts.price is None or facts.frames["charged"].is_empty():
        return 0, iter(())
    priced = facts.price(facts.frames["charged"])
    known = priced.filter(pl.col("should_nanos").is_not_null())
    wrong = known.filter(pl.col("should_nanos") != pl.col("nanos"))
    groups = wrong.group_by("role", "party", "deck", "currency").agg(
        pl.len().alias("calls"), (pl.col("nanos") - pl.col("should_nanos")).sum().alias("nanos"), pl.col("call_key").first()
    )

    def found() -> Iterator[Item]:
        for row in groups.iter_rows(named=True):
            whose = f"{row['role']}, {row['party']}, deck {row['deck']}"
            words = f"{whose}: {row['calls']:,} charges are not what the deck gives, the first of call {row['call_key']}"
            yield Item(words, row["calls"], row["nanos"], row["currency"])
        if priced.height > known.height:
            yield Item("charges that cannot be computed again: their config version or agreement has no price for them now",
                priced.height - known.height)

    return known.height, found()


CONTROL = Control(
    name="rating_verification",
    asks="every charge is what its config version, deck and agreement give",
    formula="each stored amount against the scalar twin of the price, once for each deck row and length",
    tolerance="none: the amounts are equal to the nano",
    schedule="daily",
    money="stored less computed",
    remedy="`ringfence quote --explain` for one of the calls; then re-rate the period",
    needs=("charged",),
    find=find,
)
