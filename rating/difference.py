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
from typing import NamedTuple

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
_OF_SUM = {"by": pl.String, "name": pl.String, "role": pl.String, "level": pl.Int32, "currency": pl.String}
TOTALS = pl.Schema({**_OF_SUM, "charges": pl.Int64, "before": pl.Int128, "after": pl.Int128})
EFFECTS = pl.Schema({**_OF_SUM, "cause": pl.String, "charges": pl.Int64, "nanos": pl.Int128})


class Sum(NamedTuple):
    """Of which charges. `by`: a dimension, or "all"; `name`: within it."""

    by: str
    name: str
    role: str
    level: int
    currency: str


MOST_PARTS = 200_000
"""Rows of sums that wait to be added up: of so many slices with so many accounts each."""


@dataclass
class Difference:
    """Sums over any number of calls, exact: in 128 bits. As frames: a Python object per sum and slice would take longer than the sums."""

    totals: list[pl.DataFrame] = field(default_factory=list)  # of TOTALS
    effects: list[pl.DataFrame] = field(default_factory=list)  # of EFFECTS

    def add(self, other: Difference) -> None:
        """Takes in the sums over other calls."""
        self.totals, self.effects = self.totals + other.totals, self.effects + other.effects
        if sum(part.height for part in self.totals) > MOST_PARTS:
            self.totals, self.effects = [_added(self.totals, TOTALS)], [_added(self.effects, EFFECTS)]

    @property
    def sums(self) -> dict[Sum, tuple[int, int, int]]:
        """Charges after, nanos before, nanos after."""
        return {Sum(*row[:5]): (row[5], row[6], row[7]) for row in _added(self.totals, TOTALS).iter_rows()}

    @property
    def causes(self) -> dict[tuple[Sum, str], tuple[int, int]]:
        """Charges, nanos."""
        return {(Sum(*row[:5]), row[5]): (row[6], row[7]) for row in _added(self.effects, EFFECTS).iter_rows()}

    def of(self, by: str) -> Iterator[tuple[Sum, int, int, int, dict[str, tuple[int, int]]]]:
        """The sums of a dimension, the largest change first: sum, charges, nanos before and after, and cause -> (charges, nanos)."""
        mine = Difference(*([part.filter(by=by) for part in parts] for parts in (self.totals, self.effects)))
        sums, causes = mine.sums, mine.causes
        for key in sorted(sums, key=lambda key: (-abs(sums[key][2] - sums[key][1]), key)):
            yield key, *sums[key], {cause: causes[key, cause] for cause in CAUSES if (key, cause) in causes}


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
    key = ["place"] if _fit(old) and _fit(new) and _same_partition(old, new) else _KEY
    pairs = new.join(old.select(*key, *_OF_BOTH), on=key, how="left", suffix="_before")
    is_new = pairs["nanos_before"].is_null()
    pairs = pairs.with_columns(is_new=is_new, is_gone=pl.lit(False), known=pl.lit(True))
    if is_new.any():
        known = pl.struct("partition", "offset").is_in(old.select(pl.struct("partition", "offset")).to_series().unique().implode())
        pairs = pairs.with_columns(known=known, **_blank(pairs, "_before"))
    if pairs.height - int(is_new.sum()) < old.height:
        gone = old.join(new.select(key), on=key, how="anti")
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
    place = (
        pl.col("offset") * 2**20 + (pl.col("role") == "buy").cast(pl.Int64) * 2**19 + pl.col("level").cast(pl.Int64) * 2**14
        + pl.col("attempt_no").cast(pl.Int64) * 2**7 + pl.col("segment").cast(pl.Int64)
    )  # fmt: skip
    return charges.select(*COMPARED).with_columns(slot=slot, place=place)


def _fit(charges: pl.DataFrame) -> bool:
    """Whether `place` names each charge of one partition: joined by one number is three times as fast as by three."""
    limits = {"offset": 2**43, "level": 2**5, "attempt_no": 2**7, "segment": 2**7}
    return bool(charges.select(pl.all_horizontal(pl.col(name).is_between(0, most, closed="left").all() for name, most in limits.items())).item())


def _same_partition(old: pl.DataFrame, new: pl.DataFrame) -> bool:
    found = pl.concat([old["partition"], new["partition"]])
    return bool(found.min() == found.max())


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
    minutes = seconds // 60  # by a constant, `//` is ten times as fast as `divmod`
    found: Ints = per_min * minutes + (per_min * (seconds - 60 * minutes) + 30) // 60
    return found


def _summed(rows: pl.DataFrame) -> Difference:
    """Grouped by each dimension. Sums in 128 bits: those of many calls do not fit into 64."""
    causes = [cause for cause in CAUSES if _of(cause) in rows.columns]
    group = (_code("currency") * 2**16 + pl.col("level").cast(pl.Int64)) * 2 + (pl.col("role") == "buy").cast(pl.Int64)
    rows = rows.with_columns(group.alias("group"))
    groups = int(rows["group"].max() or 0) + 1  # type: ignore[arg-type]
    of_group = [pl.col("role").first(), pl.col("level").first().cast(pl.Int32), pl.col("currency").first()]
    totals = [pl.col("charges").sum(), _wide("nanos_before").alias("before"), _wide("nanos").alias("after")]
    effects = [expr for cause in causes for expr in (_wide(_of(cause)), (pl.col(_of(cause)) != 0).sum().cast(pl.Int64).alias(f"{cause} charges"))]
    found = Difference()
    for by in (*DIMENSIONS, ALL):
        name = pl.lit("") if by == ALL else pl.col(by).first()
        key = pl.col("group") if by == ALL else _code(by) * groups + pl.col("group")
        sums = rows.group_by(key.alias("key")).agg(pl.lit(by).first().alias("by"), name.first().alias("name"), *of_group, *totals, *effects)
        found.totals.append(sums.select(TOTALS.names()).cast(TOTALS))
        for cause in causes:
            one = sums.filter(pl.col(f"{cause} charges") > 0)
            one = one.select(*_OF_SUM, pl.lit(cause).alias("cause"), pl.col(f"{cause} charges").alias("charges"), pl.col(_of(cause)).alias("nanos"))
            found.effects.append(one.cast(EFFECTS))
    return found


def _code(text: str) -> pl.Expr:
    """A number per text: what is grouped many times is grouped by numbers."""
    return pl.col(text).cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64)


def _wide(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Int128).sum()


def _added(parts: Sequence[pl.DataFrame], schema: pl.Schema) -> pl.DataFrame:
    """One row per sum. The last columns are numbers."""
    whole = pl.concat([pl.DataFrame(schema=schema), *parts])
    keys = [name for name, kind in schema.items() if kind == pl.String or name == "level"]
    return whole.group_by(keys).sum().select(schema.names())
