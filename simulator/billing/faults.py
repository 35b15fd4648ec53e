"""A carrier's bill of our calls with every fault that such bills have, and the key: which call has which fault, and what it costs.

One call has one fault. A fault of which the files show no more than one of several explanations is in the key as a set: `missing_theirs|unreadable`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from rating.price import Offer
from simulator.billing.own import FROM_MS, NEW_PRICES_MS, UNTIL_MS, priced

Ints = npt.NDArray[np.int64]
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
WINTER_MS = FROM_MS + 24 * DAY_MS + HOUR_MS
"""25 October 2026, 01:00 UTC: the clocks of Europe go back."""

SINGLE = (
    "missing_theirs", "missing_ours", "duplicate", "increment", "rounding", "line_arithmetic", "minutes", "suspected_hung", "wrong_destination",
    "tariff_boundary", "peak", "time_zone", "unreadable", "missing_theirs|unreadable",
)  # fmt: skip
"""Faults of single calls, a share of them each."""


@dataclass(frozen=True)
class CarrierBill:
    """`ours`: our calls, without those that we lost. `cdrs`: their rows in their order, `written` "" or the text of a row that cannot be
    read. `lines`: their invoice. `key`: `call_key`, `cause`, `nanos` of every fault, `nanos` what it adds to what they charge."""

    ours: pl.DataFrame
    cdrs: pl.DataFrame
    lines: pl.DataFrame
    key: pl.DataFrame
    wrong_prefix: str


def bill_of(
    ours: pl.DataFrame, by: Offer, seed: int, share: float = 0.002, faults: tuple[str, ...] = SINGLE, *, zone_ms: int = 0, skew_ms: int = 1700,
    clock_change: bool = False, boundary: int = 20, wrong_rate: bool = True, fx: float = 1.0, decimals: int = 6, line_fault_nanos: int = 0,
    talk: bool = True, rates: bool = True,
) -> CarrierBill:  # fmt: skip
    """The bill of October for calls of `own_calls`. `zone_ms`: their whole file is in a zone that is so far ahead; `clock_change`: from the
    25th on their times are an hour behind; `boundary`: calls of the last hours of September that they count in October; `wrong_rate`: one code
    has another price throughout; `fx`: on two days their rate of exchange is so many times the agreed one; `decimals`: of their amounts;
    `line_fault_nanos`: what one line of the invoice has too much. `talk`, `rates`: whether their file has talk time beside charged seconds, and
    prices beside amounts: without them more faults look alike."""
    chance = np.random.default_rng(seed)
    calls = ours.with_row_index("place").with_columns(pl.lit("").alias("fault"), pl.col("nanos").alias("own_nanos"),
        pl.col("duration_ms").alias("talk_ms"))
    inside = ((calls["at_ms"] >= FROM_MS) & (calls["at_ms"] < UNTIL_MS)).to_numpy()
    fault = np.full(calls.height, "", object)
    columns = {name: calls[name].to_numpy().copy() for name in ("charged_s", "per_min_nanos", "nanos", "duration_ms", "at_ms")}
    destination = calls["destination"].to_numpy().astype(object)
    prefix = calls["prefix"].to_numpy()
    own = {name: values.copy() for name, values in columns.items()}

    def some(which: npt.NDArray[np.bool_], name: str, many: int = 0) -> Ints:
        """Calls without a fault yet, of a kind: a share of all."""
        free = np.flatnonzero(which & (inside if whole else inside & ~edges) & (fault == ""))
        count = min(many or max(3, round(share * calls.height)), len(free))
        chosen: Ints = np.sort(chance.choice(free, count, replace=False)) if count else np.empty(0, np.int64)
        fault[chosen] = name
        return chosen

    edges = (own["at_ms"] < FROM_MS + 6 * HOUR_MS) | (own["at_ms"] >= UNTIL_MS - 6 * HOUR_MS)  # a stray time must not leave the period
    whole = not zone_ms and not clock_change
    wrong_prefix = ""
    if wrong_rate:
        wrong_prefix = "38111"
        here = np.flatnonzero(inside & (whole | ~edges) & (prefix == wrong_prefix))
        fault[here] = "rate"
        columns["per_min_nanos"][here] = 187_500_000
    every = np.ones(calls.height, np.bool_)
    free = every & (prefix != wrong_prefix)
    if "increment" in faults:
        seconds = (own["duration_ms"] + 500) // 1000
        minute = 60 * -(-np.maximum(seconds, 1) // 60)
        here = some(free & (minute - own["charged_s"] >= 5), "increment")  # less is within anybody's tolerance
        columns["charged_s"][here] = minute[here]
    if "minutes" in faults:
        longer = own["duration_ms"] + chance.integers(12_000, 300_000, calls.height)
        again = priced(ours.select("a_number", "b_number", "at_ms").with_columns(pl.Series("duration_ms", longer)), by)
        here = some(free & (again["charged_s"].to_numpy() != own["charged_s"]), "minutes")
        columns["duration_ms"][here], columns["charged_s"][here] = longer[here], again["charged_s"].to_numpy()[here]
    if "suspected_hung" in faults:
        timer = chance.choice(np.asarray([3_600_000, 7_200_000, 14_400_000]), calls.height)
        again = priced(ours.select("a_number", "b_number", "at_ms").with_columns(pl.Series("duration_ms", timer)), by)
        here = some(free & (own["duration_ms"] < 1_500_000), "suspected_hung")
        columns["duration_ms"][here], columns["charged_s"][here] = timer[here], again["charged_s"].to_numpy()[here]
    dear = {name: int(rate) for name, rate in zip(by.deck.destinations, by.deck.per_min_nanos.tolist(), strict=True)
        if name in ("Cuba", "Turkey Mobile")}
    if "wrong_destination" in faults:
        here = some(free & ~np.isin(destination, [*dear]), "wrong_destination")
        named = chance.choice(np.asarray([*dear], object), len(here))
        destination[here] = named
        columns["per_min_nanos"][here] = [dear[name] for name in named]
    if "tariff_boundary" in faults:
        days = (own["at_ms"] >= NEW_PRICES_MS) & (own["at_ms"] < NEW_PRICES_MS + 3 * DAY_MS)
        earlier = priced(ours.select("a_number", "b_number", "duration_ms").with_columns(pl.lit(NEW_PRICES_MS - DAY_MS, pl.Int64).alias("at_ms")), by)
        old = earlier["per_min_nanos"].to_numpy()
        dated = np.isin(calls["destination"].to_numpy(), ["Germany", "United Kingdom Mobile", "Serbia Mobile"])
        here = some(free & days & dated & (old != own["per_min_nanos"]), "tariff_boundary")
        columns["per_min_nanos"][here] = old[here]
    if "peak" in faults:
        for name, cheap, costly in (("Austria Mobile", 28_300_000, 34_700_000), ("Egypt Mobile", 149_000_000, 161_200_000)):
            here = some(free & (destination == name) & (own["per_min_nanos"] == cheap), "peak")
            columns["per_min_nanos"][here] = costly
    if "time_zone" in faults:
        stray = chance.choice(np.asarray([-5, -3, 3, 5]), calls.height) * HOUR_MS
        again = priced(ours.select("a_number", "b_number", "duration_ms").with_columns(pl.Series("at_ms", own["at_ms"] + stray)), by)
        there = again["per_min_nanos"].to_numpy()
        dated = np.isin(calls["destination"].to_numpy(), ["Germany", "United Kingdom Mobile", "Serbia Mobile"])
        here = some(free & ~edges & ~dated & (own["duration_ms"] > 5000), "time_zone")
        columns["at_ms"][here] += stray[here]
        columns["per_min_nanos"][here] = there[here]
    charged, rate = columns["charged_s"], columns["per_min_nanos"]
    ratio = by.rules.fx[0] / by.rules.fx[1]
    moved = (charged != own["charged_s"]) | (rate != own["per_min_nanos"])
    amount = rate * (charged // 60) + (rate * (charged % 60) + 30) // 60
    exact = np.where(moved, np.rint(amount * ratio).astype(np.int64) if ratio != 1 else amount, own["nanos"])
    exchanged = np.zeros(calls.height, np.bool_)
    if fx != 1.0:
        local_day = (own["at_ms"] - FROM_MS) // DAY_MS
        exchanged = inside & np.isin(local_day, [9, 10])
    before = exact.copy()
    exact = np.where(exchanged, np.rint(exact * fx).astype(np.int64), exact)
    by_fx = exact - before
    if "rounding" in faults:
        unit = 10**5
        here = some(free & (exact % unit != 0), "rounding")
        exact[here] = -(-exact[here] // unit) * unit
    if "line_arithmetic" in faults:
        here = some(free, "line_arithmetic")
        exact[here] += chance.integers(30_000_001, 2_000_000_000, len(here))
    unit = 10 ** (9 - decimals)
    written = (exact + unit // 2) // unit * unit if unit > 1 else exact
    shown_at = columns["at_ms"] + zone_ms + skew_ms + chance.integers(-300, 300, calls.height)
    after = own["at_ms"] >= WINTER_MS
    if clock_change:
        shown_at = shown_at - HOUR_MS * after
        calls_moved = after & (fault == "") & inside
        fault[calls_moved] = "clock_change"
    if "missing_theirs" in faults:
        some(free, "missing_theirs")
    if "unreadable" in faults:
        some(free, "unreadable")
    if "missing_theirs|unreadable" in faults:
        some(free, "missing_theirs|unreadable")
    if "missing_ours" in faults:
        some(free, "missing_ours")
    if "duplicate" in faults:
        some(free, "duplicate")
    in_file = inside if not zone_ms and not clock_change else (shown_at - skew_ms >= FROM_MS) & (shown_at - skew_ms < UNTIL_MS)
    label = "clock_change" if clock_change else "time_zone"
    fault[inside & ~in_file & (fault == "")] = label
    fault[~inside & in_file] = label
    late = np.flatnonzero(~inside & ~in_file & (own["at_ms"] < FROM_MS) & (own["at_ms"] >= FROM_MS - 20 * HOUR_MS))
    if boundary and len(late) and not zone_ms and not clock_change:
        here = chance.choice(late, min(boundary, len(late)), replace=False)
        fault[here] = "period_boundary"
        in_file = in_file.copy()
        in_file[here] = True
    listed = in_file & (fault != "missing_theirs")
    theirs = calls.select("call_key", "a_number", "b_number").with_columns(
        pl.Series("at_ms", shown_at), pl.Series("talk_ms", columns["duration_ms"]), pl.Series("charged_s", charged), pl.Series("per_min_nanos", rate),
        pl.Series("nanos", written), pl.Series("destination", destination.tolist(), dtype=pl.String), pl.Series("fault", fault.tolist(),
            dtype=pl.String),
    )  # fmt: skip
    rows = theirs.filter(pl.Series(listed))
    twice = theirs.filter(pl.Series(listed & (fault == "duplicate"))).with_columns((pl.col("at_ms") + 200).alias("at_ms"))
    rows = pl.concat([rows, twice]).sort("at_ms", "call_key")
    names = list(dict.fromkeys(by.deck.destinations))
    lines = rows.group_by("destination").agg(
        pl.len().cast(pl.Int64).alias("calls"), pl.col("charged_s").sum(), pl.col("nanos").sum(), pl.col("per_min_nanos").mode().first()
    ).sort(pl.col("destination").replace_strict(names, list(range(len(names))), return_dtype=pl.Int64))  # fmt: skip
    if line_fault_nanos:
        lines = lines.with_columns(pl.when(pl.int_range(pl.len()) == 0).then(pl.col("nanos") + line_fault_nanos).otherwise("nanos").alias("nanos"))
    key = _key(calls, fault, written, exact - by_fx, by_fx, own["nanos"], inside, in_file)
    shifted = own["at_ms"] >= WINTER_MS if clock_change else np.full(calls.height, bool(zone_ms))
    key = _alike(key, calls, shifted, label, talk, rates)
    if clock_change:  # a fact of calls that have another fault as well
        also = pl.Series(after & inside & listed & (fault != "clock_change") & ~np.isin(fault, ["missing_ours", "time_zone"])
            & ~np.char.endswith(fault.astype(str), "unreadable"))
        facts = calls.filter(also).select("call_key", pl.lit("clock_change").alias("cause"), pl.lit(0, pl.Int64).alias("nanos"))
        key = pl.concat([key, facts])
    kept = ours.filter(pl.Series(fault != "missing_ours"))
    return CarrierBill(kept, rows, lines, key, wrong_prefix)


def _alike(
    key: pl.DataFrame, calls: pl.DataFrame, shifted: npt.NDArray[np.bool_], label: str, talk: bool, rates: bool
) -> pl.DataFrame:  # fmt: skip
    """The key with the sets of faults that these files do not tell apart."""
    alike = {"missing_theirs": "missing_theirs"}
    if not talk:
        alike |= {"increment": "increment|minutes", "minutes": "increment|minutes"}
    if not rates:
        alike |= {"line_arithmetic": "rate|line_arithmetic"}
    key = key.with_columns(pl.col("cause").replace(alike))
    if not rates:  # less than a cent: another price, or another rounding
        small = pl.col("cause").is_in(["rate", "rounding", "peak", "tariff_boundary", "wrong_destination", "rate|line_arithmetic"]) & (
            pl.col("nanos").abs() <= 10**7)
        key = key.with_columns(pl.when(small).then(pl.col("cause").replace("rounding", "rate|line_arithmetic") + "|rounding").otherwise(
            "cause").alias("cause"))
    moved = calls.filter(pl.Series(shifted)).select("call_key")
    at_another_hour = key.filter(pl.col("cause") == "peak").join(moved, on="call_key", how="semi").with_columns(
        pl.lit(f"peak|{label}").alias("cause"))
    return pl.concat([key.join(at_another_hour, on=["call_key", "nanos"], how="anti"), at_another_hour])


def _key(
    calls: pl.DataFrame, fault: npt.NDArray[np.object_], written: Ints, plain: Ints, by_fx: Ints, own: Ints, inside: npt.NDArray[np.bool_],
    in_file: npt.NDArray[np.bool_],
) -> pl.DataFrame:  # fmt: skip
    """What each fault adds to what they charge. Rounding of the whole file is nobody's fault and is left out."""
    cost = plain - own
    gone = np.isin(fault, ["missing_theirs", "unreadable", "missing_theirs|unreadable"]) | (inside & ~in_file)
    cost = np.where(gone, -own, cost)
    cost = np.where((fault == "missing_ours") | (fault == "duplicate") | ~inside, written, cost)
    found = pl.DataFrame({"call_key": calls["call_key"], "cause": pl.Series(fault.tolist(), dtype=pl.String), "nanos": cost})
    found = found.filter(pl.col("cause") != "")
    if "missing_theirs|unreadable" in fault:  # rows without a number: any call that is not there may be one of them
        found = found.with_columns(pl.col("cause").replace("missing_theirs", "missing_theirs|unreadable"))
    here = (by_fx != 0) & inside & in_file & ~gone & (fault != "missing_ours")
    exchanged = pl.DataFrame({"call_key": calls["call_key"], "cause": pl.Series(["fx"]).new_from_index(0, calls.height), "nanos": by_fx})
    return pl.concat([found, exchanged.filter(pl.Series(here))])
