"""Each difference between a call of theirs and a call of ours, split into causes that add up to it, to the nano.

A pair is walked from our amount to theirs: their length at our price, then their increments, then their price, then their currency; what is
left is how they round, or an amount that is not what its own row says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from assurance.reconcile import increments, prices
from assurance.reconcile.causes import joined
from assurance.reconcile.match import Matched, keyed
from assurance.reconcile.offsets import HOUR_MS
from assurance.reconcile.plan import Plan
from core.money import NANOS

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PARTS = pl.Schema({"ours": pl.UInt32, "theirs": pl.UInt32, "cause": pl.String, "nanos": pl.Int64})
"""Places in both sides (null = it has no such call), one cause or several that cannot be told apart, and what it costs: positive where they
charge more than we have. A cause of 0 is a fact without a price, such as a time in another zone."""

HUNG_MS = 1_800_000
TIMER_MS = 900_000
TIMER_SLACK_MS = 2_500
NOISE_NANOS = 2
"""What two roundings of a price may leave."""
ALIKE = 2e-5
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Terms:
    """By what two sides are compared. `period`: from (included) until (excluded), UTC epoch ms. `amount_decimals`, `rate_decimals`: how many
    their file writes; `unreadable`: the last digits of numbers in rows of it that cannot be read, and `lost_rows` how many have none."""

    plan: Plan
    period: tuple[int, int]
    tolerance_ms: int = 2_000
    amount_decimals: int = 9
    rate_decimals: int = 9
    names: Mapping[str, str] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()
    lost_rows: int = 0


@dataclass
class _Parts:
    """Parts as they are found, of pairs by their place."""

    ours: npt.NDArray[np.uint32]
    theirs: npt.NDArray[np.uint32]
    found: list[pl.DataFrame] = field(default_factory=list)

    def add(self, here: Mask, cause: str | npt.NDArray[Any], nanos: Ints | int, also_zero: bool = False) -> None:
        amounts = np.broadcast_to(np.asarray(nanos, np.int64), here.shape)
        where = here if also_zero else here & (amounts != 0)
        if not where.any():
            return
        causes = pl.Series([cause]).new_from_index(0, int(where.sum())) if isinstance(cause, str) else pl.Series(cause[where].tolist(),
            dtype=pl.String)
        columns = {"ours": self.ours[where], "theirs": self.theirs[where], "cause": causes, "nanos": amounts[where]}
        self.found.append(pl.DataFrame(columns, schema=PARTS))


def attribute(ours: pl.DataFrame, theirs: pl.DataFrame, matched: Matched, terms: Terms) -> pl.DataFrame:
    """The parts (`PARTS`) of two sides (`assurance.reconcile.sides`; no amount of theirs is null). Their sum is what they charge for these
    calls less what we have for those of the period."""
    from_ms, until_ms = terms.period
    is_ours = ((ours["at_ms"] >= from_ms) & (ours["at_ms"] < until_ms)).to_numpy()
    pairs = matched.pairs
    at, of = pairs["ours"].to_numpy(), pairs["theirs"].to_numpy()
    parts = _Parts(at, of)
    inside = is_ours[at]
    theirs_nanos = theirs["nanos"].to_numpy()[of]
    zone_ms = pairs["zone_ms"].to_numpy()
    changed = (np.abs(zone_ms - matched.clock.base_ms) == HOUR_MS) & (matched.clock.changed_at_ms > 0)
    moved = np.where(changed, "clock_change", "time_zone").astype(object)
    # A call of theirs that is ours of another period: their whole amount is the difference.
    written = theirs["at_ms"].to_numpy()[of]
    by_zone = (zone_ms != 0) & (from_ms <= written) & (written < until_ms)
    parts.add(~inside & by_zone, moved, theirs_nanos)
    parts.add(~inside & ~by_zone, "period_boundary", theirs_nanos)
    parts.add(inside & (zone_ms != matched.clock.base_ms), moved, 0, also_zero=True)
    _walk(parts, ours, theirs, inside, zone_ms, matched.clock.base_ms, changed, terms)
    alone = _theirs_alone(theirs, pairs, terms), _ours_alone(ours, is_ours, matched, terms)
    return pl.concat([*parts.found, *alone]) if parts.found else pl.concat(alone)


def _walk(
    parts: _Parts, ours: pl.DataFrame, theirs: pl.DataFrame, inside: Mask, zone_ms: Ints, base_ms: int, changed: Mask, terms: Terms
) -> None:
    """From our amount to theirs, of the pairs inside the period."""
    mine, other = ours[parts.ours], theirs[parts.theirs]
    nanos, theirs_nanos = mine["nanos"].to_numpy(), other["nanos"].to_numpy()
    rate, talk_ms, charged_s = (mine[name].to_numpy() for name in ("per_min_nanos", "duration_ms", "charged_s"))
    theirs_charged = other["charged_s"].fill_null(-1).to_numpy()
    knows_talk = other["duration_ms"].is_not_null().to_numpy()
    theirs_ms = np.where(knows_talk, other["duration_ms"].fill_null(0).to_numpy(), talk_ms)
    fx = _fx_of(terms.plan, mine["at_ms"].to_numpy())

    # 1. Their length of the call, at our price.
    differs = inside & (theirs_ms != talk_ms)
    expected_s, more = charged_s.copy(), np.zeros(len(nanos), np.int64)
    if differs.any():
        expected_s[differs], more[differs] = _at_length(mine.filter(pl.Series(differs)), theirs_ms[differs], terms.plan)
    parts.add(differs, _length_causes(talk_ms, theirs_ms, mine["suspected_hung"].to_numpy(), terms.tolerance_ms), more)

    # 2. Their increments.
    steps = inside & (theirs_charged >= 0) & (theirs_charged != expected_s)
    seconds = np.where(theirs_charged >= 0, theirs_charged, expected_s)
    stepped = np.where(steps, _per_minute(rate, seconds, fx) - _per_minute(rate, expected_s, fx), 0)
    if steps.any():
        causes = _step_causes(mine, other, steps, knows_talk, theirs_ms, theirs_charged, terms)
        parts.add(steps, causes, stepped)

    # 3. Their price per minute: as they write it, or as it follows from amount and seconds.
    walked = nanos + more + stepped
    unit, rate_unit = 10 ** (9 - terms.amount_decimals), 10 ** (9 - terms.rate_decimals)
    knows_rate = other["per_min_nanos"].is_not_null().to_numpy()
    theirs_rate = other["per_min_nanos"].fill_null(0).to_numpy()
    other_rate = inside & knows_rate & (np.abs(theirs_rate - rate) > (rate_unit // 2 if terms.rate_decimals < 9 else 0))
    priced = np.where(other_rate, _per_minute(theirs_rate, seconds, fx) - _per_minute(rate, seconds, fx), 0)
    own_unit = np.maximum(_own_unit(theirs_nanos, unit), NOISE_NANOS)
    off = np.abs(theirs_nanos - walked)
    guessed = inside & ~knows_rate & (off > unit) & (seconds > 0)
    priced = np.where(guessed, theirs_nanos - walked, priced)
    implied = np.where(guessed, np.rint(theirs_nanos * 60 / np.maximum(seconds, 1) / fx).astype(np.int64), theirs_rate)

    # 4. Their rate of exchange: one ratio for nearly all calls of a day whose prices are ours.
    walked = walked + np.where(guessed, 0, priced)
    by_fx = _exchanged(walked, theirs_nanos, mine["at_ms"].to_numpy(), inside, unit)
    fx_part = np.where(by_fx != 0, np.rint(walked * by_fx).astype(np.int64), 0)
    near = (by_fx != 0) & (np.abs(theirs_nanos - walked - fx_part) <= np.abs(walked) // 10_000_000)  # what the ratio itself may be off
    fx_part = np.where(near, theirs_nanos - walked, fx_part)
    parts.add(inside & knows_rate, "fx", fx_part)
    parts.add(inside & ~knows_rate, "rate|fx", fx_part)
    guessed &= by_fx == 0
    priced = np.where(guessed | other_rate, priced, 0)
    here = (other_rate | guessed) & (priced != 0)
    if here.any():
        calls = mine.filter(pl.Series(here)).select("a_number", "b_number", "at_ms", "prefix", "destination", "per_min_nanos").with_columns(
            pl.Series("theirs_nanos", implied[here]), other["destination"].filter(pl.Series(here)).alias("theirs_destination"),
            pl.Series("ahead_ms", zone_ms[here]), pl.Series("changed", changed[here]),
            pl.Series("slack_nanos", np.where(knows_rate[here], rate_unit, 60 * unit // np.maximum(seconds[here], 1) + 1)),
            pl.Series("stray", (zone_ms != base_ms)[here] & ~changed[here]),
        )  # fmt: skip
        causes = np.full(len(here), "", object)
        causes[here] = prices.causes_of(calls, terms.plan, terms.names, bool(knows_rate[here].all())).to_numpy()
        unsure = here & guessed & (off <= own_unit)
        causes[unsure] = [joined([*one.split("|"), "rounding"]) for one in causes[unsure]]
        parts.add(here, causes, priced)
    walked = walked + np.where(guessed, priced, 0) + fx_part

    # 5. What is left.
    rest = np.where(inside, theirs_nanos - walked, 0)
    small = np.abs(rest) <= own_unit
    parts.add(inside & small, "rounding", rest)
    parts.add(inside & ~small, "line_arithmetic", rest)


def _own_unit(nanos: Ints, unit: int) -> Ints:
    """By how much rounding may have changed an amount: a unit of its own last digit, between the file's unit and a cent.

    >>> _own_unit(np.asarray([12_340_000, 12_345_678, 500_000_000]), 1).tolist()
    [10000, 1, 10000000]
    """
    found = np.full(len(nanos), unit, np.int64)
    step = unit
    while step < NANOS // 100:
        step *= 10
        found[nanos % step == 0] = step
    return found


def _per_minute(rate: Ints, seconds: Ints, fx: npt.NDArray[np.float64]) -> Ints:
    """Nanos of seconds at a price per minute, rounded half up; exact where nothing is converted."""
    minutes, rest = np.divmod(seconds, 60)
    amount = rate * minutes + (2 * rate * rest + 60) // 120
    plain = fx == 1.0
    found: Ints = amount if plain.all() else np.where(plain, amount, np.rint(amount * fx).astype(np.int64))
    return found


def _fx_of(plan: Plan, at_ms: Ints) -> npt.NDArray[np.float64]:
    """What amounts in a deck's currency are multiplied by."""
    found = np.ones(len(at_ms))
    for from_ms, until_ms, offer in plan.spans:
        if offer.rules.fx != (1, 1):
            found[(from_ms <= at_ms) & (at_ms < until_ms)] = offer.rules.fx[0] / offer.rules.fx[1]
    return found


def _at_length(calls: pl.DataFrame, theirs_ms: Ints, plan: Plan) -> tuple[Ints, Ints]:
    """Charged seconds of their lengths by our price list, and what they cost more than ours. Without a price list, in proportion."""
    talk_ms, at_ms = calls["duration_ms"].to_numpy(), calls["at_ms"].to_numpy()
    numbers = calls["a_number"].to_list(), calls["b_number"].to_list()
    ours, theirs = plan.prices(*numbers, at_ms, talk_ms), plan.prices(*numbers, at_ms, np.maximum(theirs_ms, 1))
    known = (ours.row >= 0) & (theirs.row >= 0)
    seconds = np.where(known, theirs.charged_s, (theirs_ms + 500) // 1000)
    rate = calls["per_min_nanos"].to_numpy()
    flat = _per_minute(rate, seconds, np.ones(len(rate))) - _per_minute(rate, calls["charged_s"].to_numpy(), np.ones(len(rate)))
    return seconds, np.where(known, theirs.nanos - ours.nanos, flat)


def _length_causes(talk_ms: Ints, theirs_ms: Ints, hung: Mask, tolerance_ms: int) -> npt.NDArray[Any]:
    """Why their length of a call is another.

    >>> long = np.asarray([60_000, 7_200_000, 7_000_000])
    >>> _length_causes(np.full(3, 58_500), long, np.zeros(3, bool), 2_000).tolist()
    ['within_tolerance', 'suspected_hung', 'minutes|suspected_hung']
    """
    longer = theirs_ms - talk_ms
    found = np.full(len(talk_ms), "minutes", object)
    found[np.abs(longer) <= tolerance_ms] = "within_tolerance"
    far = (longer >= HUNG_MS) & (theirs_ms >= HUNG_MS)
    off = theirs_ms % TIMER_MS
    found[far] = "minutes|suspected_hung"
    found[far & (np.minimum(off, TIMER_MS - off) <= TIMER_SLACK_MS)] = "suspected_hung"
    found[hung & (np.abs(longer) > tolerance_ms)] = "suspected_hung"
    return found


def _step_causes(
    mine: pl.DataFrame, other: pl.DataFrame, steps: Mask, knows_talk: Mask, theirs_ms: Ints, theirs_charged: Ints, terms: Terms
) -> npt.NDArray[Any]:
    """Why their charged seconds are not what our increments make of the talk."""
    found = np.full(len(steps), "minutes", object)
    found[knows_talk & increments.is_usual(theirs_ms, theirs_charged)] = "increment"
    alone = steps & ~knows_talk
    if not alone.any():
        return found
    # Charged seconds alone: a group of calls in one currency of increments shows them, a single call does not.
    talk_ms, slack_s = mine["duration_ms"].to_numpy(), -(-terms.tolerance_ms // 1000)
    charged_s = mine["charged_s"].to_numpy()
    names = mine.select(pl.concat_str("prefix", pl.lit("|"), other["destination"])).to_series()
    groups = pl.DataFrame({"name": names, "place": pl.int_range(len(names), eager=True)}).filter(pl.Series(~knows_talk))
    length = _length_causes(talk_ms, 1000 * theirs_charged, mine["suspected_hung"].to_numpy(), terms.tolerance_ms)
    for (_,), group in groups.group_by("name"):
        places = group["place"].to_numpy()
        theirs_step = increments.dominant(talk_ms[places], theirs_charged[places], slack_s)
        ours_step = increments.dominant(talk_ms[places], charged_s[places], 0)
        off = places[alone[places]]
        if theirs_step is not None and theirs_step != ours_step:
            low, high = (increments.charged(np.maximum((talk_ms[off] + 500) // 1000 + by, 1), *theirs_step) for by in (-slack_s, slack_s))
            fits = (low <= theirs_charged[off]) & (theirs_charged[off] <= high)
            found[off] = np.where(fits, "increment", length[off])
        else:  # one call in other increments, or of another length: its seconds alone do not tell
            both = increments.is_usual(talk_ms[off], theirs_charged[off]) & (length[off] == "minutes")
            found[off] = np.where(both, "increment|minutes", length[off])
    return found


def _exchanged(walked: Ints, theirs_nanos: Ints, at_ms: Ints, inside: Mask, unit: int) -> npt.NDArray[np.float64]:
    """Of each call, by how much more their rate of exchange makes of its amount, 0 = nothing; found day by day."""
    found = np.zeros(len(walked))
    big = inside & (np.abs(walked) > 2000 * unit)
    if not big.any():
        return found
    days = at_ms // DAY_MS
    ratios = pl.DataFrame({"day": days[big], "ratio": theirs_nanos[big] / walked[big]})
    for day, median, alike in ratios.group_by("day").agg(
        pl.col("ratio").median().alias("median"), ((pl.col("ratio") / pl.col("ratio").median() - 1).abs() < 1e-3).mean().alias("alike")
    ).iter_rows():  # fmt: skip
        if abs(median - 1) < ALIKE or alike < 0.8:
            continue
        here = big & (days == day)
        here &= np.abs(theirs_nanos - walked * median) <= np.abs(walked) * 1e-5 + 2 * unit
        exact = float(theirs_nanos[here].sum() / walked[here].sum())
        found[inside & (days == day) & (walked != 0)] = exact - 1
    return found


def _theirs_alone(theirs: pl.DataFrame, pairs: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Calls of theirs that are none of ours: a second row of one that is, or a call that we do not have."""
    sides = keyed(theirs)
    matched = sides["place"].is_in(pairs["theirs"].implode())
    alone, known = sides.filter(~matched), sides.filter(matched)
    near = known.with_columns((pl.col("length_ms") // 1000).alias("length_s"))
    near = pl.concat([near.with_columns((pl.col("length_s") + step).alias("length_s")) for step in (-1, 0, 1)])
    twice = (
        alone.with_columns((pl.col("length_ms") // 1000).alias("length_s"))
        .join(near, on=["key", "length_s"], suffix="_known")
        .filter(
            ((pl.col("at_ms") - pl.col("at_ms_known")).abs() <= terms.tolerance_ms)
            & ((pl.col("caller") == pl.col("caller_known")) | (pl.col("caller") < 0) | (pl.col("caller_known") < 0))
            & (pl.col("key") >= 0)
        )["place"]
    )
    is_twice = alone["place"].is_in(twice.implode())
    cause = pl.select(pl.when(is_twice).then(pl.lit("duplicate")).otherwise(pl.lit("missing_ours"))).to_series()
    nanos = theirs["nanos"].gather(alone["place"])
    return pl.DataFrame({"ours": None, "theirs": alone["place"], "cause": cause, "nanos": nanos}, schema=PARTS)


def _ours_alone(ours: pl.DataFrame, is_ours: Mask, matched: Matched, terms: Terms) -> pl.DataFrame:
    """Calls of ours that are none of theirs."""
    from_ms, until_ms = terms.period
    absent = is_ours.copy()
    absent[matched.pairs["ours"].to_numpy()] = False
    places = np.flatnonzero(absent)
    at_ms = ours["at_ms"].to_numpy()
    zone_ms = matched.clock.base_ms
    strip = is_ours & ((at_ms + zone_ms < from_ms) | (at_ms + zone_ms >= until_ms))
    all_absent = bool(zone_ms) and strip.any() and absent[strip].mean() >= 0.9
    keys = keyed(ours)["key"].to_numpy()
    ends_ms = at_ms + ours["duration_ms"].to_numpy()
    found = []
    for place in places.tolist():
        if strip[place]:
            found.append("time_zone" if all_absent else "missing_theirs|time_zone")
        elif keys[place] in terms.unreadable:
            found.append("unreadable")
        else:
            crosses = ends_ms[place] >= until_ms
            found.append("missing_theirs" + "|unreadable" * bool(terms.lost_rows) + "|period_boundary" * bool(crosses))
    columns = {"ours": places.astype(np.uint32), "theirs": None, "cause": found, "nanos": -ours["nanos"].to_numpy()[places]}
    return pl.DataFrame(columns, schema=PARTS)


def largest_decimals(amounts: pl.Series) -> int:
    """How many decimals the amounts of a column have at most, 2 at least.

    >>> largest_decimals(pl.Series([1_500_000_000, 1_234_500_000])), largest_decimals(pl.Series([1]))
    (4, 9)
    """
    for decimals in range(2, 9):
        if not (amounts.drop_nulls() % (NANOS // 10**decimals) != 0).any():
            return decimals
    return 9
