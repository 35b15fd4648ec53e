"""The lines of an invoice against the calls under them, and where there are no calls, against ours: what the lines alone can tell."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from assurance.reconcile.causes import joined

LINE_PARTS = pl.Schema({"line": pl.Int64, "destination": pl.String, "cause": pl.String, "nanos": pl.Int64})
"""What a line (0 = the total) has more than what it stands for, by cause; `destination` is ours, "" = none."""

VOLUME = ("increment", "minutes", "suspected_hung")
NUMBER = ("missing_theirs", "missing_ours", "duplicate", "time_zone", "period_boundary")
PRICE = ("rate", "fx", "tariff_boundary", "peak", "wrong_destination")
FEW_NANOS = 5_000_000
"""Half a cent: what a sum that is printed in cents may be off."""


def against_calls(lines: pl.DataFrame, theirs: pl.DataFrame, names: Mapping[str, str], has_unreadable: bool) -> pl.DataFrame:
    """Lines against the sum of their own calls of the same name.

    >>> lines = pl.DataFrame({"line": [5], "destination": ["AT"], "nanos": [110], "charged_s": [60], "calls": [1]})
    >>> against_calls(lines, pl.DataFrame({"destination": ["AT"], "nanos": [100]}), {"AT": "Austria"}, False).rows()
    [(5, 'Austria', 'line_arithmetic', 10)]
    """
    cause = "line_arithmetic|unreadable" if has_unreadable else "line_arithmetic"
    sums: dict[str, int] = dict(theirs.group_by("destination").agg(pl.col("nanos").sum()).iter_rows())
    found: list[tuple[int, str, str, int]] = []
    if set(sums) == {""}:  # the calls have no names: all lines against all calls
        found.append((0, "", cause, int(lines["nanos"].sum()) - sums[""]))
        lines, sums = lines.clear(), {}
    for row in lines.iter_rows(named=True):
        name = row["destination"]
        if name in sums:
            found.append((row["line"], names.get(name, ""), cause, row["nanos"] - sums.pop(name)))
        else:
            found.append((row["line"], names.get(name, ""), cause, row["nanos"]))
    found += [(0, names.get(name, ""), "line_arithmetic", -nanos) for name, nanos in sums.items()]
    return pl.DataFrame([one for one in found if one[3]], schema=LINE_PARTS, orient="row")


def against_ours(lines: pl.DataFrame, ours: pl.DataFrame, names: Mapping[str, str], unit_nanos: int = 10_000_000) -> pl.DataFrame:
    """Lines against our calls of the period (`OURS`), destination by destination: what the number of calls, the seconds and the price per minute make
    of the difference. Only calls would tell more, so each part has every cause that fits.

    >>> ours = pl.DataFrame({"destination": ["Austria"] * 2, "charged_s": [60, 60], "nanos": [10**8] * 2, "per_min_nanos": [10**8] * 2})
    >>> line = {"line": 5, "destination": "AT", "calls": 2, "charged_s": 120, "per_min_nanos": 12 * 10**7, "nanos": 24 * 10**7}
    >>> against_ours(pl.DataFrame([line]), ours, {"AT": "Austria"}, 1).select("cause", "nanos").rows()
    [('rate|fx|tariff_boundary|peak|wrong_destination', 40000000)]
    """
    own = {row["destination"]: row for row in ours.group_by("destination").agg(
        pl.len().alias("calls"), pl.col("charged_s").sum(), pl.col("nanos").sum(), pl.col("per_min_nanos").unique().alias("rates")
    ).iter_rows(named=True)}  # fmt: skip
    found: list[tuple[int, str, str, int]] = []
    by_name: dict[str, list[dict[str, object]]] = {}
    for row in lines.iter_rows(named=True):
        by_name.setdefault(names.get(row["destination"], ""), []).append(row)
    for name, usage in by_name.items():
        if name not in own or not name:
            found += [(int(str(row["line"])), name, "wrong_destination|missing_ours", int(str(row["nanos"]))) for row in usage]
            continue
        found += _split(usage, name, own.pop(name), unit_nanos)
    found += [(0, name, "wrong_destination|missing_theirs", -row["nanos"]) for name, row in own.items()]
    return pl.DataFrame([one for one in found if one[3]], schema=LINE_PARTS, orient="row")


def _split(rows: list[dict[str, object]], name: str, own: dict[str, object], unit_nanos: int) -> list[tuple[int, str, str, int]]:
    def total(field: str) -> int | None:
        values = [row[field] for row in rows]
        return None if any(value is None for value in values) else sum(int(str(value)) for value in values)

    line = int(str(rows[0]["line"]))
    nanos, seconds, calls = total("nanos") or 0, total("charged_s"), total("calls")
    ours_nanos, ours_s, ours_calls = (int(str(own[field])) for field in ("nanos", "charged_s", "calls"))
    found = []
    left = nanos - ours_nanos
    if seconds is not None and ours_s and abs(seconds - ours_s) > 1:
        volume = ours_nanos * (seconds - ours_s) // ours_s
        causes = VOLUME if calls == ours_calls else NUMBER if calls is not None else (*NUMBER, *VOLUME)
        found.append((line, name, joined(causes), volume))
        left -= volume
    prices = {row["per_min_nanos"] for row in rows}
    if left and None not in prices and prices <= set(own["rates"]):  # type: ignore[call-overload]
        small = abs(left) <= unit_nanos * max(calls or ours_calls, 1)
        found.append((line, name, "rounding" if small and abs(left) <= FEW_NANOS * len(rows) else "line_arithmetic"
            if len(prices) == 1 else "line_arithmetic|peak", left))
    elif left:
        found.append((line, name, "rounding" if abs(left) <= FEW_NANOS else joined(PRICE), left))
    return found
