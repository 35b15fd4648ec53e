"""Results of single seeds as files, so that a long evaluation can be made in pieces, and its report from what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from evaluation.score import EpisodeScore, Score


class Episode(msgspec.Struct, frozen=True):
    """One episode of one seed, by one opponent. Money in nanos of EUR; times in seconds, None = not found."""

    id: str
    family: str
    stealth: int
    slow: bool
    delay_s: float | None
    exposed_delay_s: float | None
    exposed_calls: int
    loss_nanos: int
    kept_nanos: int
    after_alert_nanos: int


class Result(msgspec.Struct, frozen=True):
    """One opponent on one seed."""

    name: str
    simulator: str
    seed: int
    calls: int
    days: float
    date: str
    honest_calls: int
    honest_refused: int
    episodes: list[Episode]
    false_alerts: int
    false_subjects: dict[str, int]
    detectors: dict[str, tuple[int, int]]  # right and wrong alerts
    calls_back: list[int]
    sims: tuple[int, int, int]
    look_alikes: int
    seconds: float = 0.0
    note: str = ""  # what a reader must know of this run


def of_score(one: Score, simulator: str, seed: int, calls: int, date: str, look_alikes: int, seconds: float) -> Result:
    """A score as a result."""
    detectors = {name for name, _ in one.by_detector}
    return Result(
        one.name, simulator, seed, calls, one.days, date, one.honest_calls, one.honest_refused, [_episode(found) for found in one.found],
        one.false_alerts, dict(one.false_subjects), {name: (one.by_detector[name, True], one.by_detector[name, False]) for name in detectors},
        one.calls_back, one.sims, look_alikes, round(seconds, 1),
    )  # fmt: skip


def _episode(found: EpisodeScore) -> Episode:
    one = found.episode
    times = [None if np.isnan(value) else value for value in (found.delay_s, found.exposed_delay_s)]
    return Episode(
        one.id, one.family, one.stealth, one.slow, times[0], times[1], found.exposed_calls, found.loss_nanos, found.kept_nanos,
        found.after_alert_nanos,
    )


def save(folder: Path, results: list[Result]) -> Path:
    """Write the results of a seed; those of an earlier run of the same opponent and seed are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    first = results[0]
    path = folder / f"{first.simulator}-{first.calls}-{first.seed}.json"
    known = msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.is_file() else []
    every = {one.name: one for one in (*known, *results)}
    path.write_bytes(msgspec.json.encode(sorted(every.values(), key=lambda one: not one.name.startswith("Ringfence"))) + b"\n")
    return path


def load(folder: Path) -> Iterator[Result]:
    """All results in a folder."""
    for path in sorted(folder.glob("*-*-*.json")):
        yield from msgspec.json.decode(path.read_bytes(), type=list[Result])
