"""What several pages ask about a subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.orders import Finding
from dashboards.polled import Latest
from dashboards.sources import Sources
from services import alert_desk, call_desk
from services.subjects import DAY_MS, Ask, Step, week_before
from warehouse import subjects

SHOWN = 8
PAST_FRESH_MS = 600_000


class ExampleCall(NamedTuple):
    """`place`: PARTITION-OFFSET, by which the page of calls finds it."""

    place: str
    a_number: str
    b_number: str
    carrier: str
    talk_ms: int


def past_of(sources: Sources, of: Mapping[str, str], tenant: str, before_ms: int) -> Latest[dict[int, Step]]:
    """The week before, apart from what is shown beside it: it has many times as many calls, changes once an hour, and nobody should wait for it."""
    key = ("past", tenant, *of.items(), before_ms)
    return sources.asked(key, lambda ask: week_before(ask, of, tenant, before_ms), wait_s=0.0, fresh_ms=PAST_FRESH_MS)


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
