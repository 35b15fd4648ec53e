"""Detectors whose precision has fallen, as events: what people say of a detector's alerts shows first that its fraud, or its traffic, has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from books import Connection, verdicts
from core.detector_names import detector_text
from core.notify import LATE_MS, Event
from detectors.drift import Watched
from services.verdicts import drifting


def events(conn: Connection, now_ms: int) -> list[Event]:
    """The falls of the last day, each once: its id names the detector and the verdict that showed it."""
    tenants = sorted({one.tenant for one in verdicts.every(conn, since_ms=now_ms - LATE_MS)})
    return [event for tenant in tenants for event in fallen(tenant, drifting(conn, tenant), now_ms - LATE_MS)]


def fallen(tenant: str, watched: Iterable[Watched], since_ms: int) -> Iterator[Event]:
    """
    >>> [one] = fallen("t1", [Watched("burst", 120, 0.6, 60, 0.2, [(1_000, 0.67, 0.4)])], 500)
    >>> print(one.text)
    Of the last 60 alerts of “burst of money” that people judged, 20 % were fraud; of the 60 before them, 100 %. See which they called wrong \
(`ringfence models verdicts`), and change the detector's threshold in the rule lab, or train its scorer again.
    >>> one.about, one.severity
    ('drift/t1/burst/1000', 'normal')
    """
    for one in watched:
        earlier = one.verdicts - one.window
        before = (one.precision * one.verdicts - one.now * one.window) / max(earlier, 1)
        name = f"“{detector_text(one.detector)}”"
        said = (
            f"Of the last {one.window} alerts of {name} that people judged, {round(100 * one.now)} % were fraud; of the {earlier} before "
            f"them, {round(100 * before)} %. See which they called wrong (`ringfence models verdicts`), and change the detector's threshold in the "
            "rule lab, or train its scorer again."
        )
        for at_ms, _, _ in one.drifts:
            if at_ms >= since_ms and one.now < before:
                yield Event(f"drift/{tenant}/{one.detector}/{at_ms}", tenant, "normal", at_ms, f"{name} is right less often", said)
