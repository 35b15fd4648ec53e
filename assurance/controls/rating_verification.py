"""Is every charge what the price lists say? All of them are computed again, by the scalar twin of the price."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`verified`: `charges` by `state`: right, wrong (with `role`, `party`, `deck`, `currency`, `nanos` too much and the first `call_key`), or
    unknown, where it cannot be computed again."""
    verified = facts.frames["verified"]

    def found() -> Iterator[Item]:
        for row in verified.filter(pl.col("state") == "wrong").iter_rows(named=True):
            whose = f"{row['role']}, {row['party']}, deck {row['deck']}"
            words = f"{whose}: {row['charges']:,} charges are not what the deck gives, the first of call {row['call_key']}"
            yield Item(words, row["charges"], row["nanos"], row["currency"])
        unknown = int(verified.filter(pl.col("state") == "unknown")["charges"].sum())
        if unknown:
            yield Item("charges that cannot be computed again: their config version or agreement has no price for them now", unknown)

    return int(verified.filter(pl.col("state") != "unknown")["charges"].sum()), found()


CONTROL = Control(
    name="rating_verification",
    asks="every charge is what its config version, deck and agreement give",
    formula="each stored amount against the scalar twin of the price, once for each deck row and length",
    tolerance="none: the amounts are equal to the nano",
    schedule="daily",
    money="stored less computed",
    remedy="`ringfence quote --explain` for one of the calls; then re-rate the period",
    needs=("verified",),
    find=find,
)
