"""Small tables about a subject."""

from __future__ import annotations

from typing import NamedTuple

from core.orders import Finding
from services import alert_desk, call_desk
from services.subjects import DAY_MS, Ask
from warehouse import subjects

SHOWN = 8


class ExampleCall(NamedTuple):
    """`place`: PARTITION-OFFSET, by which the page of calls finds it."""

    place: str
    a_number: str
    b_number: str
    carrier: str
    talk_ms: int


def example_calls(ask: Ask, call_ids: list[str], finding: Finding) -> list[ExampleCall]:
    """The example calls of a finding that have ended, the newest first; where they have not, its newest calls that have."""
    rows = ask(subjects.examples(call_ids, finding.tenant, finding.first_ms - DAY_MS)) if call_ids else []
    if not rows and (subject := alert_desk.subject_of(finding)):
        rows = call_desk.search(ask, subject, finding.tenant, finding.first_ms, SHOWN)
    return [
        ExampleCall(
            f"{row['partition']}-{row['offset']}", row["a_number"], row["b_number"], row["carrier"], row["duration_ms"] or 0
        )
        for row in rows
    ]
