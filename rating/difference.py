"""What a rating run changes, against the charges that count now: by account, carrier and destination, and by cause.

`difference(before, after)` compares charges of the same calls. The effects of the causes on a charge add up to its change, to the nano:

    rate         the same prefix has another price per minute: the seconds that were charged before, at the new price
    prefix       the same, where another prefix of the deck matches
    exchange     another rate of the day converts the same price
    increment    other seconds are charged: their difference, at the new price
    connect fee, attempt fee, surcharge
    deck         an amount that the feed said gives way to a deck's, or the other way round
    currency     the old amount goes, in its currency, and the new one comes, in its own
    reseller     a level of resellers is there that was not, or is there no more
    was unrated  the call had no charges
    package      the agreement's package covers the call, or covers other seconds of it
    price change a part of the call has a charge of its own, as the price changes within it, or has none any more
    rounding     what is left of the usage: the rounding, and steps of the price within a call
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core.money import MAX_NANOS
from rating.prefixes import Ints

RATE, PREFIX, INCREMENT, CONNECT, ATTEMPT, SURCHARGE = "rate", "prefix", "increment", "connect fee", "attempt fee", "surcharge"
DECK, CURRENCY, RESELLER, UNRATED_BEFORE, ROUNDING = "deck", "currency", "reseller", "was unrated", "rounding"
EXCHANGE, PRICE_CHANGE, PACKAGE = "exchange", "price change", "package"
CAUSES = (
    RATE, PREFIX, EXCHANGE, INCREMENT, CONNECT, ATTEMPT, SURCHARGE, DECK, CURRENCY, RESELLER, UNRATED_BEFORE, PRICE_CHANGE, PACKAGE, ROUNDING,
)  # fmt: skip

DIMENSIONS = ("account", "carrier", "destination")
ALL = "all"

COMPARED = (
    "partition", "offset", "role", "level", "attempt_no", "segment", "account", "carrier", "destination", "deck", "prefix", "charged_s",
    "per_min_nanos", "usage_nanos", "connect_nanos", "attempt_nanos", "surcharge_nanos", "nanos", "currency", "fx",
    "package",
)  # fmt: skip
"""The columns of `core.schemas.CHARGES` that are read."""

_KEY = ["partition", "offset", "slot"]
_OF_BOTH = (
    "deck", "prefix", "charged_s", "per_min_nanos", "usage_nanos", "connect_nanos", "attempt_nanos", "surcharge_nanos", "nanos", "currency", "fx",
    "package",
)  # fmt: skip
_GROUP = ("role", "level", "currency")


class Sum(NamedTuple):
    """Of which charges. `by`: a dimension, or "all"; `name`: within it."""

    by: str
    name: str
    role: str
    level: int
    currency: str


@dataclass
class Difference:
    """Sums over any number of calls: exact, in Python's own integers. `sums`: charges after, nanos before, nanos after; `causes`: charges, nanos."""

    sums: dict[Sum, tuple[int, int, int]] = field(default_factory=dict)
    causes: dict[tuple[Sum, str], tuple[int, int]] = field(default_factory=dict)

    def add(self, other: Difference) -> None:
        """Takes in the sums over other calls."""
        for key, (charges, before, after) in other.sums.items():
            own = self.sums.get(key, (0, 0, 0))
            self.sums[key] = own[0] + charges, own[1] + before, own[2] + after
        for of, (charges, nanos) in other.causes.items():
            mine = self.causes.get(of, (0, 0))
            self.causes[of] = mine[0] + charges, mine[1] + nanos

    def of(self, by: str) -> Iterator[tuple[Sum, int, int, int, dict[str, tuple[int, int]]]]:
        """The sums of a dimension, the largest change first: sum, charges, nanos before and after, and cause -> (charges, nanos)."""
        found = [(key, *values) for key, values in self.sums.items() if key.by == by]
        for key, charges, before, after in sorted(found, key=lambda one: (-abs(one[3] - one[2]), one[0])):
            yield key, charges, before, after, {cause: self.causes[key, cause] for cause in CAUSES if (key, cause) in self.causes}


def of_same_calls(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The charges of `before` whose calls `after` has too, both of one partition: what stands of the others stays."""
    return before.filter(pl.col("offset").is_in(after["offset"].unique().implode()))


def difference(before: pl.DataFrame, after: pl.DataFrame) -> Difference:
    """The change from `before` to `after`: charges of the same calls (`of_same_calls`), both with the columns of `COMPARED`.

    >>> from core.schemas import CHARGES, empty
    >>> difference(empty(CHARGES), empty(CHARGES)).sums
    {}
    """
    if not after.height:
        return Difference()
    old, new = _slotted(before), _slotted(after)
    pairs = new.join(old.select(*_KEY, *_OF_BOTH), on=_KEY, how="left", suffix="_before")
    is_new = pairs["nanos_before"].is_null()
    pairs = pairs.with_columns(is_new=is_new, is_gone=pl.lit(False), known=pl.lit(True))
    if is_new.any():
        known = pl.struct("partition", "offset").is_in(old.select(pl.struct("partition", "offset")).to_series().unique().implode())
        pairs = pairs.with_columns(known=known, **_blank(pairs, "_before"))
    if pairs.height - int(is_new.sum()) < old.height:
        gone = old.join(new.select(_KEY), on=_KEY, how="anti")
        gone = gone.with_columns(
            *(pl.col(name).alias(f"{name}_before") for name in _OF_BOTH), is_new=pl.lit(False), is_gone=pl.lit(True), known=pl.lit(True)
        ).with_columns(pl.lit("" if gone.schema[name] == pl.String else 0, gone.schema[name]).alias(name) for name in _OF_BOTH)
        pairs = pl.concat([pairs, gone.select(pairs.columns)])
    # Nothing is the same in every currency.
    moved = pairs["currency"] != pairs["currency_before"]
    if not moved.any():
        return _summed(_effects(pairs))
    pairs = pairs.with_columns(
        currency=pl.when(pl.col("nanos") == 0, pl.col("currency_before") != "").then("currency_before").otherwise("currency"),
    ).with_columns(currency_before=pl.when(pl.col("nanos_before") == 0).then("currency").otherwise("currency_before"))
    moved = pairs["currency"] != pairs["currency_before"]
    found = _summed(_effects(pairs.filter(~moved)))
    if moved.any():
        pairs = pairs.filter(moved)
        gone = pairs.with_columns(currency="currency_before", nanos=pl.lit(0, pl.Int64))
        come = pairs.with_columns(nanos_before=pl.lit(0, pl.Int64))
        for one, charges in ((gone, 0), (come, 1)):
            change = (pl.col("nanos") - pl.col("nanos_before")).alias(_of(CURRENCY))
            found.add(_summed(one.with_columns(pl.lit(charges, pl.Int64).alias("charges"), change)))
    return found


def _blank(pairs: pl.DataFrame, suffix: str) -> dict[str, pl.Expr]:
    return {f"{name}{suffix}": pl.col(f"{name}{suffix}").fill_null("" if pairs.schema[name] == pl.String else 0) for name in _OF_BOTH}


def _slotted(charges: pl.DataFrame) -> pl.DataFrame:
    slot = (
        (pl.col("role") == "buy").cast(pl.Int64) * 2**48 + pl.col("level").cast(pl.Int64) * 2**40 + pl.col("attempt_no").cast(pl.Int64) * 2**16
        + pl.col("segment").cast(pl.Int64)
    )  # fmt: skip
    return charges.select(*COMPARED).with_columns(slot=slot)


def _effects(pairs: pl.DataFrame) -> pl.DataFrame:
    """A column per cause."""
    n = pairs.height

    def ints(name: str) -> Ints:
        found: Ints = pairs[name].to_numpy()
        return found

    def flags(name: str) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = pairs[name].to_numpy()
        return found

    effect = {cause: np.zeros(n, np.int64) for cause in CAUSES}
    change = ints("nanos") - ints("nanos_before")
    one_side = flags("is_new") | flags("is_gone")
    of_feed = ((pairs["deck"] == "") != (pairs["deck_before"] == "")).to_numpy() & ~one_side
    unrated = flags("is_new") & ~flags("known")
    part = one_side & ~unrated & (pairs["segment"] > 0).to_numpy()
    resold = one_side & ~unrated & ~part & (pairs["role"] == "sell").to_numpy()
    attempt_only = one_side & ~unrated & ~part & ~resold
    for cause, here in ((UNRATED_BEFORE, unrated), (PRICE_CHANGE, part), (RESELLER, resold), (ATTEMPT, attempt_only), (DECK, of_feed)):
        effect[cause][here] = change[here]
    both = np.flatnonzero(~(one_side | of_feed) & (change != 0))
    if len(both):
        price, old_price, seconds, old_seconds, usage, old_usage = (
            ints(name)[both] for what in ("per_min_nanos", "charged_s", "usage_nanos") for name in (what, f"{what}_before")
        )
        beyond = price.astype(np.float64) * old_seconds / 60 > MAX_NANOS * 0.999  # a price that no call of that length could have
        between = np.where(beyond, usage, _usage(np.where(beyond, 0, price), old_seconds))
        due, old_due = _usage(price, seconds), _usage(old_price, old_seconds)
        same_prefix = (pairs["prefix"] == pairs["prefix_before"]).to_numpy()[both]
        rate = between - np.where(beyond, old_usage, old_due)
        effect[RATE][both] = np.where(same_prefix, rate, 0)
        effect[PREFIX][both] = np.where(same_prefix, 0, rate)
        effect[INCREMENT][both] = np.where(beyond, 0, due - between)
        effect[ROUNDING][both] = np.where(beyond, 0, (usage - due) - (old_usage - old_due))
        converted = np.flatnonzero(((pairs["fx"] != "") | (pairs["fx_before"] != "")).to_numpy()[both])
        if len(converted):  # prices are in the deck's currency, amounts are not: by the share of the seconds
            now, was, seconds, old_seconds = usage[converted], old_usage[converted], seconds[converted], old_seconds[converted]
            divisor = np.maximum(seconds, 1)
            each, rest = np.divmod(now, divisor)
            unlike = (seconds == 0) | (np.abs(each.astype(np.float64)) * old_seconds > MAX_NANOS * 0.999)
            between = np.where(unlike, now, np.where(unlike, 0, each) * old_seconds + rest * old_seconds // divisor)
            same, at = same_prefix[converted], both[converted]
            as_before = price[converted] == old_price[converted]
            for cause, here in ((PREFIX, ~same), (RATE, same & ~as_before), (EXCHANGE, same & as_before)):
                effect[cause][at] = np.where(here, between - was, 0)
            effect[INCREMENT][at], effect[ROUNDING][at] = now - between, 0
        packaged = ((pairs["package"] != "") | (pairs["package_before"] != "")).to_numpy()[both]
        if packaged.any():
            at = both[packaged]
            effect[PACKAGE][at] = (usage - old_usage)[packaged]
            for cause in (RATE, PREFIX, EXCHANGE, INCREMENT, ROUNDING):
                effect[cause][at] = 0
        for cause, name in ((CONNECT, "connect_nanos"), (ATTEMPT, "attempt_nanos"), (SURCHARGE, "surcharge_nanos")):
            effect[cause][both] = (ints(name) - ints(f"{name}_before"))[both]
    moved = {cause: values for cause, values in effect.items() if values.any()}
    return pairs.with_columns(
        (~pl.col("is_gone")).cast(pl.Int64).alias("charges"), *(pl.Series(_of(cause), values) for cause, values in moved.items())
    )


def _of(cause: str) -> str:
    """The column of a cause: `currency`, `deck` and `prefix` are columns of charges as well."""
    return f"{cause} nanos"


def _usage(per_min: Ints, seconds: Ints) -> Ints:
    """As `rating.price` has it, of a price per minute: half up, once, in two products that fit."""
    minutes, rest = np.divmod(seconds, 60)
    found: Ints = per_min * minutes + (per_min * rest + 30) // 60
    return found


def _summed(rows: pl.DataFrame) -> Difference:
    """Grouped by each dimension. Sums in 128 bits: those of many calls do not fit into 64."""
    found = Difference()
    rows = rows.with_columns(pl.col("role", "currency", *DIMENSIONS).cast(pl.Categorical))  # grouped many times: by numbers, not by texts
    causes = [cause for cause in CAUSES if _of(cause) in rows.columns]
    wide = [pl.col(name).cast(pl.Int128).sum() for name in ("nanos_before", "nanos")]
    changed = rows.filter(pl.any_horizontal(pl.col(_of(cause)) != 0 for cause in causes)) if causes else rows.clear()
    effects = [pl.col(_of(cause)).cast(pl.Int128).sum() for cause in causes]
    counts = [(pl.col(_of(cause)) != 0).sum().alias(f"{cause} charges") for cause in causes]
    for by in (*DIMENSIONS, ALL):
        keys = (*_GROUP, by) if by != ALL else _GROUP
        for *group, charges, before, after in rows.group_by(keys).agg(pl.col("charges").sum(), *wide).iter_rows():
            key = _sum(by, group)
            found.sums[key] = charges, int(before), int(after)
        for row in changed.group_by(keys).agg(*effects, *counts).iter_rows() if causes else ():
            key = _sum(by, row[: len(keys)])
            for at, cause in enumerate(causes, len(keys)):
                if row[at + len(causes)]:
                    found.causes[key, cause] = row[at + len(causes)], int(row[at])
    return found


def _sum(by: str, group: Sequence[Any]) -> Sum:
    role, level, currency, *name = group
    return Sum(by, name[0] if name else "", role, level, currency)
