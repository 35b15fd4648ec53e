"""The loop of the notifier: alerts, silences and detectors that are right less often become messages, every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from books import Engine, Unavailable, reading
from core.notify import Event
from core.reporting import Report
from journal import Journal
from services.notifying import alerts, precision, rounds, silence
from services.notifying.rounds import Deliver, Round
from services.part_health import Part
from switches.once import Once

log = structlog.get_logger(__name__)

EVERY_S = 2.0
LISTEN_S = 15.0
"""How often the parts, the journal and the switches are asked."""


@dataclass(frozen=True)
class Sources:
    """What the notifier looks at."""

    engine: Engine
    journal: Journal
    parts: Callable[[], Mapping[str, Part]]
    link: str  # where the pages are


def run(
    sources: Sources, deliver: Deliver, watch: silence.Watch, holder: str, clock: Callable[[], int], stop: threading.Event, report: Report,
    fault: Callable[[str], None] = lambda step: None, every_s: float = EVERY_S,
) -> None:  # fmt: skip
    """Rounds until `stop`. While the books are away nothing is sent, because the messages are made of them."""
    away, others, listened_ms = Once(log.warning), list[Event](), 0
    while True:
        now_ms = clock()
        try:
            if now_ms - listened_ms >= 1000 * LISTEN_S:
                others, listened_ms = listen(sources, watch, now_ms), now_ms
            with reading(sources.engine) as conn:
                events = alerts.events(conn, now_ms, sources.link)
            report(rounds.round_of(sources.engine, [*events, *others], deliver, holder, clock, fault))
            away.ends("the books answer again: notifications are sent")
        except Unavailable as error:
            away.begins(f"no notification is sent while the books are away: {error}")
            report(Round())
        if stop.wait(every_s):
            return


def listen(sources: Sources, watch: silence.Watch, now_ms: int) -> list[Event]:
    """What does not make itself heard, and detectors whose precision fell."""
    with reading(sources.engine) as conn:
        of_switches = list(silence.of_switches(conn, now_ms))
        fallen = precision.events(conn, now_ms)
    of_journal = list(watch.of_journal(lambda: silence.journal_end(sources.journal), now_ms))
    of_parts = list(watch.of_parts(sources.parts(), now_ms))
    return [*watch.events(iter([*of_journal, *of_parts, *of_switches]), now_ms), *fallen]
