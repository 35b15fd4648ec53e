"""Packages: what the charges of a billing cycle come to with included minutes, buckets and prices by volume. Independent of the order of the calls.

Live and in a quote a call costs what its deck says. A rating run applies the package of its agreement to all charges of a party in a cycle, in this
order, whatever order they came in: by the answer of the call, then by its key. So a call that comes late moves the calls behind it when the cycle is
run again, and never by luck.

    1. allowances, in the order of the agreement: each covers the next seconds of the calls that it fits, until it is used up, and charges them
       its own price per minute (0 = included). The second on the border is the first of the next allowance: a call may be covered in part.
    2. volume: the seconds that are left over, of all calls that it fits, are summed up; one price per minute, that of the highest tier
       whose `above` the sum exceeds, charges all of them.
    3. what neither covers costs its share, by the second, of what the deck made of the call.

The fees of a call stay. The sum of a charge is rounded once, as the agreement says. A charge that costs nothing by its deck, pays the party, or was
reported by the feed takes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from core.config import Package
from core.schemas import CHARGES
from rating.contracts import Terms
from rating.prefixes import Ints
from rating.rules import Mode, rounded

KEY = ("tenant", "partition", "offset", "role", "level", "attempt_no", "segment")
"""A charge of a rating run."""

_OWN = {
    "cycle_ms": pl.Int64(),  # when the cycle began that the call was answered in
    "at_ms": pl.Int64(),  # of the answer
    "b_number": pl.String(),
    "charged_s": pl.Int64(),
    "usage_nanos": pl.Int64(),
    "fees_nanos": pl.Int64(),
}
USAGE = pl.Schema([*((name, CHARGES[name]) for name in (*KEY, "call_key", "party", "agreement")), *_OWN.items()])
"""What takes part in a package."""

COVERED = pl.Schema([(name, CHARGES[name]) for name in (*KEY, "usage_nanos", "package")])
"""What a package makes of charges."""

_OF_ONE = ["tenant", "role", "party", "agreement", "cycle_ms"]
_ORDER = ["at_ms", "call_key", "level", "attempt_no", "segment", "partition", "offset"]


class Deal(NamedTuple):
    """A package, and how its agreement rounds."""

    package: Package
    mode: Mode = "half_up"
    decimals: int = 9


def deals_of(terms: Terms) -> dict[tuple[str, str], Deal]:
    """(tenant, name) of each agreement that has a package."""
    rows = terms.rows["agreements"]
    return {key: Deal(row.package, row.rounding, row.decimals) for key in rows if (row := rows[key]).package is not None}


def usage_of(
    charges: pl.DataFrame, calls: pl.DataFrame, agreements: Iterable[tuple[str, str]], cycle_ms: Callable[[str, str, int], int]
) -> pl.DataFrame:
    """The `USAGE` of charges (core.schemas.CHARGES, whole calls) under agreements with a package. `calls`: with the b_number of each.
    `cycle_ms`: of (tenant, agreement, time), when the cycle that the time is in began."""
    agreed = pl.DataFrame(list(agreements), schema={"tenant": pl.String, "agreement": pl.String}, orient="row")
    found = charges.join(agreed, on=["tenant", "agreement"], how="semi")
    found = found.with_columns(at_ms=pl.col("start_ms").min().over(KEY[:-1]))
    found = found.filter(pl.col("usage_nanos") > 0, pl.col("charged_s") > 0, pl.col("deck") != "", pl.col("at_ms").is_not_null())
    found = found.join(calls.select("tenant", "partition", "offset", "b_number"), on=["tenant", "partition", "offset"], how="left")
    began = [cycle_ms(*one) for one in found.select("tenant", "agreement", "at_ms").iter_rows()]
    return found.with_columns(
        cycle_ms=pl.Series(began, dtype=pl.Int64), fees_nanos=pl.col("nanos") - pl.col("usage_nanos"), b_number=pl.col("b_number").fill_null("")
    ).select(USAGE.names())


def covered(usage: pl.DataFrame, deals: Callable[[str, str], Deal]) -> pl.DataFrame:
    """What packages make of all `usage` (`USAGE`) of whole cycles: a row of `COVERED` for each charge that changes. `deals`: of (tenant, agreement).

    Two minutes are included, and the calls to 43 take 90 seconds each: the second one pays for the half of it.

    >>> from core.config import Allowance
    >>> rows = [("t1", 0, n, "sell", 0, 0, 0, key, "acme", "bundle", 0, at_ms, "431", 90, 900, 5) for n, key, at_ms in ((7, "b", 2), (8, "a", 1))]
    >>> deal = Deal(Package(allowances=(Allowance(name="local", prefixes=("43",), included_s=120),)))
    >>> covered(pl.DataFrame(rows, schema=USAGE, orient="row"), lambda *_: deal).sort("offset").select("offset", "usage_nanos", "package").rows()
    [(7, 600, 'local 30 s'), (8, 0, 'local 90 s')]
    """
    frames = [_covered(group.sort(_ORDER), deals(*group.select("tenant", "agreement").row(0))) for group in usage.partition_by(_OF_ONE)]
    return pl.concat(frames) if frames else pl.DataFrame(schema=COVERED)


def applied(charges: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Charges (core.schemas.CHARGES), those of `changes` (`COVERED`) with their own usage."""
    joined = charges.join(changes, on=list(KEY), how="left", suffix="_covered", maintain_order="left")
    usage = pl.coalesce("usage_nanos_covered", "usage_nanos")
    return joined.with_columns(
        usage_nanos=usage, nanos=pl.col("nanos") - pl.col("usage_nanos") + usage, package=pl.coalesce("package_covered", "package")
    ).select(CHARGES.names())


def _covered(rows: pl.DataFrame, deal: Deal) -> pl.DataFrame:
    """Of one party's charges in one cycle, in their order."""
    charged: Ints = rows["charged_s"].to_numpy()
    left, numbers = charged.copy(), rows["b_number"]
    covers: dict[int, list[tuple[str, int, int]]] = {}  # row -> name, seconds, price per minute

    def note(name: str, per_minute_nanos: int, seconds: Ints) -> None:
        for row in np.flatnonzero(seconds).tolist():
            covers.setdefault(row, []).append((name, int(seconds[row]), per_minute_nanos))
        left[:] -= seconds

    for one in deal.package.allowances:
        wanted = np.where(_fits(numbers, one.prefixes), left, 0)
        before = np.cumsum(wanted) - wanted
        note(one.name, one.per_minute_nanos, wanted if one.included_s is None else np.clip(one.included_s - before, 0, wanted))
    for volume in deal.package.volumes:
        wanted = np.where(_fits(numbers, volume.prefixes), left, 0)
        reached = [tier for tier in volume.tiers if int(wanted.sum()) > tier.above_s]
        if reached:
            note(volume.name, max(reached, key=lambda tier: tier.above_s).per_minute_nanos, wanted)
    places = sorted(covers)
    usages, fees = rows["usage_nanos"].to_list(), rows["fees_nanos"].to_list()
    amounts, words = [], []
    for row in places:
        parts, whole_s = covers[row], int(charged[row])
        # All over one denominator, a minute times the seconds of the charge, in Python's own integers.
        exact = sum(seconds * price for _, seconds, price in parts) * whole_s + 60 * usages[row] * int(left[row])
        below = 60 * whole_s
        amounts.append(rounded(exact + fees[row] * below, below, 10 ** (9 - deal.decimals), deal.mode) - fees[row])
        words.append("; ".join(f"{name} {seconds} s" for name, seconds, _ in parts))
    own = {"usage_nanos": pl.Series(amounts, dtype=pl.Int64), "package": pl.Series(words, dtype=pl.String)}
    return rows[places].select(KEY).with_columns(**own)


def _fits(numbers: pl.Series, prefixes: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which numbers begin with one of the prefixes; all where there are none."""
    if not prefixes:
        return np.ones(len(numbers), np.bool_)
    return numbers.to_frame("b").select(pl.any_horizontal(pl.col("b").str.starts_with(one) for one in prefixes)).to_series().to_numpy()
