"""The dispositions of all records, as a sum that a person can check: received = the six."""

from __future__ import annotations

from core.text import span
from dashboards.polled import Latest
from dashboards.tags import Safe, tag
from dashboards.totals import SIX, Totals, check


def dispositions_line(totals: Latest[Totals], tenant: str, now_ms: int) -> Safe:
    """One line, with its age; in red if the sum is wrong."""
    if totals.value is None:
        return tag("div", totals.error or "Records are being counted.", cls="rf-dispositions")
    counts = totals.value.of(tenant)
    sum_check = check(counts)
    terms: list[str] = ["Received ", tag("b", f"{sum_check.received:,}"), " = "]
    for name, label in SIX.items():
        label = label.removesuffix("s") if counts[name] == 1 else label
        terms += [tag("b", f"{counts[name]:,}"), f" {label} + "]
    terms[-1] = terms[-1].removesuffix("+ ")
    missing = sum_check.received - sum_check.explained
    records = "RECORD HAS" if missing == 1 else "RECORDS HAVE"
    result = "✓ every record is accounted for" if sum_check.holds else f"✗ {missing:,} {records} NO DISPOSITION"
    so_far = f" ({totals.value.counted} of {totals.value.days} days so far)" if totals.value.counted < totals.value.days else ""
    return tag(
        "div",
        tag("span", *terms),
        tag("span", result, cls="good" if sum_check.holds else "bad"),
        tag("small", f"of all time{so_far}, counted {span(now_ms - totals.at_ms)} ago"),
        cls="rf-dispositions",
    )
