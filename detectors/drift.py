"""Whether a detector's precision has changed: ADWIN (A. Bifet, R. Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007) over
the verdicts on its alerts, in the order in which they were given.

A window grows while the mean of its older part is like that of its newer part; where they differ by more than chance allows, the older part is
dropped, and that is a drift. Verdicts that were spread from another alert are no look of their own and do not count, and neither does "unsure".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

DELTA = 0.05
"""The accepted probability of reporting a change where there is none."""
EVERY = 8
"""It is looked for after so many verdicts: a detector has few."""


class Watched(NamedTuple):
    """The precision of a detector: over all of its verdicts, and over the window that is still alike. `drifts`: when it changed, with the precision
    before and after."""

    detector: str
    verdicts: int
    precision: float
    window: int
    now: float
    drifts: list[tuple[int, float, float]]


def watch(verdicts: Iterable[tuple[str, int, bool]]) -> list[Watched]:
    """The detectors of (detector, time, fraud) in the order in which the verdicts were given, by name.

    >>> good = [("burst", n, True) for n in range(60)]
    >>> bad = [("burst", 60 + n, n % 5 == 0) for n in range(60)]
    >>> [one] = watch(good + bad)
    >>> one.verdicts, round(one.now, 1), len(one.drifts), watch(good)[0].drifts
    (120, 0.2, 1, [])
    """
    from river.drift import ADWIN

    make: Any = ADWIN
    found: dict[str, tuple[Any, list[bool], list[tuple[int, float, float]]]] = {}
    for detector, at_ms, fraud in verdicts:
        adwin, said, drifts = found.setdefault(detector, (make(delta=DELTA, clock=EVERY, min_window_length=5, grace_period=10), [], []))
        before = float(adwin.estimation)
        adwin.update(int(fraud))
        said.append(fraud)
        if adwin.drift_detected:
            drifts.append((at_ms, before, float(adwin.estimation)))
    return [
        Watched(name, len(said), sum(said) / len(said), int(adwin.width), float(adwin.estimation), drifts)
        for name, (adwin, said, drifts) in sorted(found.items())
    ]
