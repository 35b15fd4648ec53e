"""A detector that is right less often is an event, once."""

from __future__ import annotations

import re

import pytest

from books import Connection, verdicts
from core.orders import Finding
from services.notifying.precision import events

NOW = 1_795_910_400_000
MIN, DAY = 60_000, 86_400_000


def judged(conn: Connection, words: list[str], until_ms: int = NOW, spread_from: str = "") -> None:
    """A person's verdicts on alerts of `burst`, one per minute until then."""
    for n, word in enumerate(words):
        at_ms = until_ms - (len(words) - n) * MIN
        finding = Finding(
            finding_id=f"finding-{at_ms}", tenant="t1", detector="burst", subject_kind="account", subject=f"a{n}", detected_at_ms=at_ms,
            first_ms=at_ms, last_ms=at_ms, calls=1, exposure_nanos=0, currency="", score=1.0, reason="r", example_call_ids=[],
        )  # fmt: skip
        verdicts.put_verdict(conn, finding, word, "anna", "", at_ms, spread_from)


GOOD, BAD = ["fraud"] * 32, ["fraud", *["not fraud"] * 4] * 5


def test_a_fall_is_one_event_whoever_asks_again(conn):
    judged(conn, GOOD + BAD)
    [one] = events(conn, NOW)
    assert (one.tenant, one.severity, one.title) == ("t1", "normal", "“burst of money” is right less often")
    assert one.about.startswith("drift/t1/burst/")
    assert re.match(r"Of the last \d+ alerts of “burst of money” that people judged, \d+ % were fraud; of the \d+ before them, \d\d+ %", one.text)
    assert events(conn, NOW + 15_000) == [one]


@pytest.mark.parametrize(
    ("words", "until_ms", "spread_from"),
    [(GOOD * 2, NOW, ""), (BAD + GOOD, NOW, ""), (GOOD + ["unsure"] * 25, NOW, ""), (GOOD + BAD, NOW - DAY, ""), (GOOD + BAD, NOW, "another")],
    ids=["as right as before", "more often right", "nobody is sure", "two days ago", "verdicts that spread"],
)
def test_nobody_is_told_of_anything_else(conn, words, until_ms, spread_from):
    judged(conn, words, until_ms, spread_from)
    assert events(conn, NOW) == []
