"""What became of every record, as a sum that a person can check: received = the six, always."""

from __future__ import annotations

from core.text import span
from dashboards.polled import Latest
from dashboards.tags import Safe, tag
from dashboards.totals import SIX, Totals, check


def fates(seen: Latest[Totals], tenant: str, now_ms: int) -> Safe:
    """One line, with its age; in red where the sum does not hold."""
    if seen.value is None:
        return tag("div", seen.error or "What became of every record is being counted.", cls="rf-fates")
    counts = seen.value.of(tenant)
    adds_up = check(counts)
    terms: list[str] = ["Received ", tag("b", f"{adds_up.received:,}"), " = "]
    for name, words in SIX.items():
        words = words.removesuffix("s") if counts[name] == 1 else words
        terms += [tag("b", f"{counts[name]:,}"), f" {words} + "]
    terms[-1] = terms[-1].removesuffix("+ ")
    missing = adds_up.received - adds_up.explained
    are = "record is" if missing == 1 else "records are"
    said = "✓ the sum holds" if adds_up.holds else f"✗ THE SUM DOES NOT HOLD: {missing:,} {are} unaccounted for"
    so_far = f" ({seen.value.counted} of {seen.value.days} days so far)" if seen.value.counted < seen.value.days else ""
    return tag(
        "div",
        tag("span", *terms),
        tag("span", said, cls="good" if adds_up.holds else "bad"),
        tag("small", f"of all time{so_far}, counted {span(now_ms - seen.at_ms)} ago"),
        cls="rf-fates",
    )
