"""What machines read of a part: its figures, whether it lives, whether it does its work.

There is one way for a figure to get here. A part reports what it has done, a batch at a time, as a value that it has anyway: it calls a
function of one argument (`report`) and knows nothing of metrics. The part's file in this folder knows what the value means, and counts
(`Figures`). What stands elsewhere, in the journal or the books, is polled at the moment of a scrape (`Polled`, `Sample`). So the
hot path pays per batch, not per record, and no folder but this one knows Prometheus.

A new part: a class like those in `judge.py` or `shipper.py` (`Part`), its metrics in `catalog.py`, its number in `ringfence/ops/ports.py`, and
`start_telemetry(settings, name, part)` in its function of `ringfence/parts.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from ringfence.ops import ports
from ringfence.ops.heartbeat import HANGS_S, Beat, path_of
from ringfence.ops.telemetry import catalog
from ringfence.ops.telemetry.figures import Figures, Looked, Sample, registry
from ringfence.ops.telemetry.polled import Polled
from ringfence.ops.telemetry.positions import Positions
from ringfence.ops.telemetry.server import Answers, Server

if TYPE_CHECKING:
    from core.reporting import Report
    from journal import Journal
    from ringfence.settings import Settings

log = structlog.get_logger("ringfence.ops.telemetry")


class Part(Protocol):
    """What a file of this folder provides for its part."""

    figures: Figures
    positions: Positions

    def report(self, value: object) -> None:
        """What the part has done."""
        ...

    def look(self) -> Iterable[Sample]:
        """What is looked up at a scrape."""
        ...

    def why_not(self) -> str:
        """Why the part does not do its work, or ""."""
        ...


class Telemetry(NamedTuple):
    """Of a running part: its heartbeat, the function that takes its reports, where its readers stand, and its server."""

    beat: Beat
    report: Report
    positions: Positions
    server: Server

    def watched(self, journal: Journal) -> Journal:
        """The journal; each read is a heartbeat, and the positions of its readers are known."""
        return self.positions.of(self.beat.at(journal))


def start_telemetry(settings: Settings, name: str, part: Part) -> Telemetry:
    """Serves the part's figures from now on, in threads of its own."""
    beat = Beat(path_of(settings.run_dir, name))

    def why_not_alive() -> str:
        silent_s = beat.silent_s()
        return f"its loop has not gone round for {silent_s:.0f} s" if silent_s > HANGS_S else ""

    def why_not_ready() -> str:
        return why_not_alive() or part.why_not()

    def look() -> Iterator[Sample]:
        yield Sample(catalog.BUILD, 1, (version("ringfence"),))
        yield Sample(catalog.READY, float(not why_not_ready()))
        yield Sample(catalog.SILENT, beat.silent_s())
        yield from part.look()

    answers = Answers(registry(part.figures, Looked(look)), why_not_alive, why_not_ready)
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


class Plain:
    """A part without figures of its own: it does its work as long as its loop goes round."""

    def __init__(self) -> None:
        self.figures, self.positions = Figures(), Positions()

    def report(self, value: object) -> None:
        raise TypeError(f"nobody counts a {type(value).__name__}")

    def look(self) -> Iterable[Sample]:
        return ()

    def why_not(self) -> str:
        return ""


def age_s(since_s: float | None) -> float:
    """Since a moment of `time.monotonic`; -1 = it never was."""
    return -1.0 if since_s is None else time.monotonic() - since_s


__all__ = ["Figures", "Part", "Plain", "Polled", "Positions", "Sample", "Telemetry", "age_s", "catalog", "start_telemetry"]
