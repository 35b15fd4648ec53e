"""What a reconciliation found: the two totals, every part of their difference with its cause, and the ladder down to the calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from assurance.reconcile import agreed, by_lines
from assurance.reconcile.agreed import Agreed
from assurance.reconcile.attribute import Terms, attribute, largest_decimals
from assurance.reconcile.destinations import Guess, names_of
from assurance.reconcile.invoice import Invoice
from assurance.reconcile.match import match
from assurance.reconcile.offsets import Clock
from assurance.reconcile.plan import Plan
from assurance.reconcile.read import TheirCalls, digits_of
from assurance.reconcile.sides import LINES, THEIRS
from rating.offers.finding import Findings
from rating.prefixes import build, encode_all

ENTRIES = pl.Schema(
    {
        "level": pl.String,  # call, line, total
        "ours": pl.UInt32,  # place in our calls
        "theirs": pl.UInt32,  # place in theirs
        "line": pl.Int64,  # of their file (calls) or of their invoice (lines); 0 = none
        "at_ms": pl.Int64,
        "destination": pl.String,  # by our name
        "cause": pl.String,
        "nanos": pl.Int64,
    }
)
"""One row per part of the difference; positive where they charge more."""


@dataclass(frozen=True)
class Reconciled:
    """`theirs_nanos` less `ours_nanos` is the sum of `entries.nanos`, to the nano."""

    period: tuple[int, int]
    currency: str
    theirs_nanos: int
    ours_nanos: int
    entries: pl.DataFrame
    ours: pl.DataFrame
    theirs: pl.DataFrame
    lines: pl.DataFrame
    names: Mapping[str, Guess]
    clock: Clock
    findings: Findings
    has_calls: bool
    unreadable: int = 0

    @property
    def difference_nanos(self) -> int:
        return self.theirs_nanos - self.ours_nanos

    def causes(self) -> pl.DataFrame:
        """`cause`, `parts`, `more_nanos`, `less_nanos`, `nanos`, the dearest first."""
        return (
            self.entries.group_by("cause")
            .agg(
                pl.len().alias("parts"), pl.col("nanos").filter(pl.col("nanos") > 0).sum().alias("more_nanos"),
                pl.col("nanos").filter(pl.col("nanos") < 0).sum().alias("less_nanos"), pl.col("nanos").sum(),
            )
            .sort([pl.col("nanos").abs(), pl.col("cause")], descending=[True, False])
        )  # fmt: skip

    def by_destination(self) -> pl.DataFrame:
        """`destination`, calls and money of both sides, and the difference by causes; the largest difference first."""
        return self._ladder(pl.col("destination"), self._their_names())

    def by_day(self) -> pl.DataFrame:
        """The same by day (UTC), of what has calls on both sides."""
        day = pl.from_epoch("at_ms", time_unit="ms").dt.strftime("%Y-%m-%d")
        return self._ladder(day.alias("destination"), day.alias("destination")).rename({"destination": "day"}).sort("day")

    def _their_names(self) -> pl.Expr:
        ours = {name: guess.ours or f"{name} (theirs)" for name, guess in self.names.items()}
        return pl.col("destination").replace(ours)

    def _ladder(self, ours_key: pl.Expr, theirs_key: pl.Expr) -> pl.DataFrame:
        own = self.ours.filter(pl.col("at_ms").is_between(*self.period, closed="left"))
        counts = pl.len().cast(pl.Int64)
        mine = own.group_by(ours_key).agg(counts.alias("our_calls"), pl.col("charged_s").sum().alias("our_s"),
            pl.col("nanos").sum().alias("our_nanos"))
        if self.has_calls:
            other = self.theirs.group_by(theirs_key).agg(
                counts.alias("their_calls"), pl.col("charged_s").sum().alias("their_s"), pl.col("nanos").sum().alias("their_nanos")
            )
        else:
            other = self.lines.with_columns(pl.lit(None, pl.Int64).alias("at_ms")).group_by(theirs_key).agg(
                pl.col("calls").sum().alias("their_calls"), pl.col("charged_s").sum().alias("their_s"), pl.col("nanos").sum().alias("their_nanos")
            )  # fmt: skip
        both = mine.join(other, on="destination", how="full", coalesce=True).with_columns(pl.col(pl.Int64).fill_null(0))
        return both.with_columns((pl.col("their_nanos") - pl.col("our_nanos")).alias("nanos")).sort(
            [pl.col("nanos").abs(), pl.col("destination")], descending=[True, False]
        )

    def calls(self) -> pl.DataFrame:
        """One row per part of a call that differs: both sides' facts beside each other."""
        entries = self.entries.filter(pl.col("level") == "call")
        mine = self.ours.select("call_key", "attempt_no", "a_number", "b_number", "at_ms", "duration_ms", "charged_s", "per_min_nanos",
            "nanos", "destination")
        other = self.theirs.select("b_number", "at_ms", "duration_ms", "charged_s", "per_min_nanos", "nanos", "destination")
        left = _gathered(mine, entries["ours"], "our_")
        right = _gathered(other, entries["theirs"], "their_")
        return pl.concat([entries.select("cause", pl.col("nanos").alias("difference_nanos"), "line"), left, right], how="horizontal")


def _gathered(side: pl.DataFrame, places: pl.Series, prefix: str) -> pl.DataFrame:
    found = places.to_frame("place").join(side.with_row_index("place"), on="place", how="left", maintain_order="left").drop("place")
    return found.rename({name: f"{prefix}{name}" for name in side.columns})


def reconcile(
    ours: pl.DataFrame, theirs: TheirCalls | None, invoice: Invoice | None, plan: Plan, period: tuple[int, int], *, tolerance_ms: int = 2_000,
    corrected: Mapping[str, str] | None = None, currency: str = "", tolerance_nanos: int = 0, beside: Sequence[Agreed] = (),
) -> Reconciled:  # fmt: skip
    """Our calls (`OURS`, with a margin around the period) against their calls, their invoice, or both. `tolerance_nanos`: a call that differs by no
    more is within the tolerance, whatever the causes; `beside`: what the agreement makes of the period besides calls, where there is an invoice."""
    findings = Findings()
    inside = ours.filter(pl.col("at_ms").is_between(*period, closed="left"))
    destinations = [*dict.fromkeys(name for *_, offer in plan.spans for name in offer.deck.destinations),
        *ours["destination"].unique().sort().to_list()]
    lines = invoice.lines if invoice else pl.DataFrame(schema=LINES)
    usage, others = lines.filter(agreed.is_usage()), lines.filter(~agreed.is_usage())
    beside = beside if invoice else ()
    their_calls = theirs.calls if theirs else None
    clock = Clock(0, 0, 0, ())
    parts: list[pl.DataFrame] = []
    by_prefix = _names_by_prefix(lines, plan)
    if theirs is not None:
        assert their_calls is not None
        findings.take(theirs.findings)
        their_calls = _with_amounts(their_calls, plan)
        matched = match(ours, their_calls, tolerance_ms)
        clock = matched.clock
        pairs = pl.DataFrame(
            {"theirs": their_calls["destination"].gather(matched.pairs["theirs"]), "ours": ours["destination"].gather(matched.pairs["ours"])}
        ).filter(pl.col("theirs") != "")
        names = names_of(pairs, lines["destination"].to_list(), destinations, corrected or {}, by_prefix)
        terms = Terms(
            plan, period, tolerance_ms, largest_decimals(their_calls["nanos"]), largest_decimals(their_calls["per_min_nanos"]),
            {name: guess.ours for name, guess in names.items()}, digits_of(theirs.unreadable["digits"].to_list()),
            theirs.unreadable.filter(pl.col("digits") < 0).height,
        )  # fmt: skip
        of_calls = attribute(ours, their_calls, matched, terms)
        parts.append(_call_entries(of_calls, ours, their_calls, names))
        total = int(their_calls["nanos"].sum())
        if invoice is not None:
            more = by_lines.against_calls(usage, their_calls, terms.names, bool(theirs.unreadable.height))
            parts.append(_line_entries(more))
    else:
        assert invoice is not None
        names = names_of(pl.DataFrame(schema={"theirs": pl.String, "ours": pl.String}), lines["destination"].to_list(), destinations,
            corrected or {}, by_prefix)
        unit = 10 ** (9 - largest_decimals(lines["nanos"]))
        parts.append(_line_entries(by_lines.against_ours(usage, inside, {name: guess.ours for name, guess in names.items()}, unit)))
        total = int(lines["nanos"].sum())
    if invoice is not None:
        findings.take(invoice.findings)
        parts.append(_line_entries(agreed.against(others, beside)))
        summed = int(lines["nanos"].sum())
        total = summed if invoice.total_nanos is None else invoice.total_nanos
        if total != summed:
            row = {"level": "total", "line": 0, "destination": "", "cause": "line_arithmetic", "nanos": total - summed}
            parts.append(pl.DataFrame([row], schema=ENTRIES))
    entries = _tolerated(pl.concat(parts) if parts else pl.DataFrame(schema=ENTRIES), tolerance_nanos)
    ours_nanos = int(inside["nanos"].sum()) + sum(one.nanos for one in beside)
    found = Reconciled(
        period, currency or plan.currency, total, ours_nanos, entries, ours,
        their_calls if their_calls is not None else pl.DataFrame(schema=THEIRS), lines, names, clock, findings, theirs is not None,
        theirs.unreadable.height if theirs else 0,
    )  # fmt: skip
    assert int(entries["nanos"].sum()) == found.difference_nanos, "the causes do not add up to the difference"
    return found


def _tolerated(entries: pl.DataFrame, tolerance_nanos: int) -> pl.DataFrame:
    """The parts of a call of both sides that differs by no more, as one cause."""
    if tolerance_nanos <= 0:
        return entries
    both = pl.col("ours").is_not_null() & pl.col("theirs").is_not_null()
    small = both & (pl.col("nanos").sum().over("ours", "theirs").abs() <= tolerance_nanos)
    return entries.with_columns(pl.when(small).then(pl.lit("within_tolerance")).otherwise("cause").alias("cause"))


def _with_amounts(calls: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Their calls, each with an amount: where the file has none, what its own price and seconds give, else what our price list gives."""
    absent = calls["nanos"].is_null()
    if not absent.any():
        return calls
    seconds = pl.coalesce("charged_s", (pl.col("duration_ms") + 500) // 1000).fill_null(0)
    own = (pl.col("per_min_nanos") * seconds + 30) // 60
    calls = calls.with_columns(pl.coalesce("nanos", own).alias("nanos"))
    here = calls["nanos"].is_null()
    if here.any():
        rows = calls.filter(here)
        length = rows.select(pl.coalesce("duration_ms", 1000 * pl.col("charged_s")).fill_null(0)).to_series()
        priced = plan.prices(rows["a_number"].to_list(), rows["b_number"].to_list(), rows["at_ms"].to_numpy(), length.to_numpy())
        values = calls["nanos"].to_numpy(allow_copy=True, writable=True).copy()
        values[here.to_numpy()] = priced.nanos
        calls = calls.with_columns(pl.Series("nanos", values.astype("int64")))
    return calls


def _names_by_prefix(lines: pl.DataFrame, plan: Plan) -> dict[str, str]:
    """Name of a line -> our destination, by the prefix that stands with it."""
    rows = lines.filter(pl.col("prefix") != "").unique("destination", keep="first") if lines.height else lines
    if rows.is_empty() or not plan.spans:
        return {}
    deck = plan.spans[-1][2].deck
    found = build(deck.prefixes).find(encode_all(rows["prefix"].to_list()))
    return {name: deck.destinations[row] for name, row in zip(rows["destination"].to_list(), found.tolist(), strict=True) if row >= 0}


def _call_entries(parts: pl.DataFrame, ours: pl.DataFrame, theirs: pl.DataFrame, names: Mapping[str, Guess]) -> pl.DataFrame:
    mine = _gathered(ours.select("at_ms", "destination"), parts["ours"], "our_")
    other = _gathered(theirs.select("line", "at_ms", "destination"), parts["theirs"], "their_")
    known = {name: guess.ours for name, guess in names.items()}
    return pl.concat([parts, mine, other], how="horizontal").select(
        pl.lit("call").alias("level"), "ours", "theirs", pl.col("their_line").fill_null(0).alias("line"), pl.coalesce("our_at_ms",
            "their_at_ms").alias("at_ms"),
        pl.coalesce("our_destination", pl.col("their_destination").replace(known)).alias("destination"), "cause", "nanos",
    ).cast(ENTRIES)  # fmt: skip


def _line_entries(parts: pl.DataFrame) -> pl.DataFrame:
    return parts.select(
        pl.lit("line").alias("level"), pl.lit(None, pl.UInt32).alias("ours"), pl.lit(None, pl.UInt32).alias("theirs"), "line",
        pl.lit(None, pl.Int64).alias("at_ms"), "destination", "cause", "nanos",
    ).cast(ENTRIES)  # fmt: skip
