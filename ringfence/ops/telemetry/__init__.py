"""Metrics, health and readiness of each part, over HTTP.

A part reports what it has done, once per batch, with a value that it has anyway: it calls a function of one argument (`report`) and knows
nothing of metrics. The part's file in this folder counts what is reported (`Metrics`). What is stored elsewhere, in the journal or the
books, is read at a scrape (`Polled`, `Sample`). So the hot path pays per batch, not per record, and no other folder knows Prometheus.

A new part: a class like those in `judge.py` or `shipper.py` (`Part`), its metrics in `catalog.py`, its number in `ringfence/ops/ports.py`, and
`start_telemetry(settings, name, part)` in its function of `ringfence/parts.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import structlog

from ringfence.ops import ports
from ringfence.ops.heartbeat import HANGS_S, Beat, path_of
from ringfence.ops.telemetry import catalog
from ringfence.ops.telemetry.metrics import Metrics, Sample, ScrapeCollector, registry
from ringfence.ops.telemetry.polled import Polled
from ringfence.ops.telemetry.positions import Positions
from ringfence.ops.telemetry.server import Answers, Server

if TYPE_CHECKING:
    from core.reporting import Report
    from journal import Journal
    from ringfence.settings import Settings

log = structlog.get_logger("ringfence.ops.telemetry")


class Part:
    """Metrics and readiness of a part. This base has no metrics, and is ready while the part's main loop makes progress."""

    def __init__(self) -> None:
        self.metrics, self.positions = Metrics(), Positions()

    def report(self, value: object) -> None:
        """Count what the part has done."""
        raise TypeError(f"this part reports nothing, not a {type(value).__name__}")

    def samples(self) -> Iterable[Sample]:
        """The values that are read at a scrape."""
        return ()

    def not_ready_reason(self) -> str:
        """Why the part does not do its work; "" = it does."""
        return ""


class Telemetry(NamedTuple):
    """Of a running part: its heartbeat, the function that it reports to, its read positions, and its HTTP server."""

    beat: Beat
    report: Report
    positions: Positions
    server: Server

    def watched(self, journal: Journal) -> Journal:
        """The journal, wrapped: each read is a heartbeat, and read positions are recorded."""
        return self.positions.of(self.beat.at(journal))


def start_telemetry(settings: Settings, name: str, part: Part) -> Telemetry:
    """Serve the part's metrics in threads of their own."""
    beat = Beat(path_of(settings.run_dir, name))

    def not_alive_reason() -> str:
        silent_s = beat.silent_s()
        return f"its main loop has made no progress for {silent_s:.0f} s" if silent_s > HANGS_S else ""

    def not_ready_reason() -> str:
        return not_alive_reason() or part.not_ready_reason()

    def samples() -> Iterator[Sample]:
        yield Sample(catalog.BUILD, 1, (version("ringfence"),))
        yield Sample(catalog.READY, float(not not_ready_reason()))
        yield Sample(catalog.SILENT, beat.silent_s())
        yield from part.samples()

    answers = Answers(registry(part.metrics, ScrapeCollector(samples)), not_alive_reason, not_ready_reason)
    server = Server(settings.metrics_host, ports.port(settings.metrics_port, name), answers)
    return Telemetry(beat, _safe(part.report, name), part.positions, server)


def _safe(report: Report, name: str) -> Report:
    """A fault while counting must not stop the part."""

    def safe(value: object) -> None:
        try:
            report(value)
        except Exception:
            log.exception("a report of the part could not be counted", part=name, value=type(value).__name__)

    return safe


def age_s(since_s: float | None) -> float:
    """Seconds since a time of `time.monotonic`; -1 = never."""
    return -1.0 if since_s is None else time.monotonic() - since_s


def because(why: str) -> str:
    """A reason behind a statement.

    >>> "no tick was written" + because("the disk is full"), "no tick was written" + because("")
    ('no tick was written: the disk is full', 'no tick was written')
    """
    return f": {why}" if why else ""


__all__ = ["Metrics", "Part", "Polled", "Positions", "Sample", "Telemetry", "age_s", "because", "catalog", "start_telemetry"]
