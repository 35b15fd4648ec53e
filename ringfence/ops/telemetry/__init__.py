"""How a part is seen by machines: its figures, whether it lives, whether it does its work.

There is one way for a figure to get here. A part *tells* what it has done, a batch at a time, as a value that it has anyway: it is handed
`tell`, a function of one argument, and knows nothing of metrics. The part's file in this folder knows what the value means, and counts
(`Figures`). What stands elsewhere, in the journal or the books, is *looked up* at the moment when somebody asks (`Look`, `Sample`). So the
hot path pays for a batch, not for a record, and no folder but this one knows Prometheus.

A new part: a class like those in `judge.py` or `shipper.py` (`Part`), its metrics in `catalog.py`, its number in `ringfence/ops/ports.py`, and
`shown(settings, name, part)` in its function of `ringfence/parts.py`.
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
from ringfence.ops.telemetry.look import Look
from ringfence.ops.telemetry.places import Places
from ringfence.ops.telemetry.server import Answers, Server

if TYPE_CHECKING:
    from core.telling import Tell
    from journal import Journal
    from ringfence.settings import Settings

log = structlog.get_logger("ringfence.ops.telemetry")


class Part(Protocol):
    """What a part's file here says."""

    figures: Figures
    places: Places

    def tell(self, value: object) -> None:
        """What the part has done."""
        ...

    def look(self) -> Iterable[Sample]:
        """What is looked up when somebody asks."""
        ...

    def why_not(self) -> str:
        """Why the part does not do its work, or ""."""
        ...


class Shown(NamedTuple):
    """A part as it is seen: its sign of life, and what it tells."""

    beat: Beat
    tell: Tell
    places: Places
    server: Server

    def at(self, journal: Journal) -> Journal:
        """The journal; each look into it is a sign of life, and where its readers stand is known."""
        return self.places.at(self.beat.at(journal))


def shown(settings: Settings, name: str, part: Part) -> Shown:
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
    return Shown(beat, _safe(part.tell, name), part.places, server)


def _safe(tell: Tell, name: str) -> Tell:
    """Whoever counts must not be able to stop the part."""

    def told(value: object) -> None:
        try:
            tell(value)
        except Exception:
            log.exception("what the part told could not be counted", part=name, value=type(value).__name__)

    return told


class Plain:
    """A part that has nothing of its own to show: it lives, and does its work as long as its loop goes round."""

    def __init__(self) -> None:
        self.figures, self.places = Figures(), Places()

    def tell(self, value: object) -> None:
        raise TypeError(f"nobody counts a {type(value).__name__}")

    def look(self) -> Iterable[Sample]:
        return ()

    def why_not(self) -> str:
        return ""


def age_s(since_s: float | None) -> float:
    """Since a moment of `time.monotonic`; -1 = it never was."""
    return -1.0 if since_s is None else time.monotonic() - since_s


__all__ = ["Figures", "Look", "Part", "Places", "Plain", "Sample", "Shown", "age_s", "catalog", "shown"]
