"""The state of the detectors as plain values: columns per detector, and small values that each carry the home of their subject.

Snapshots and repartitioning copy, store, split and merge it without knowing any single detector.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from detectors.alerts import Alert
from detectors.blocked import Blocked
from detectors.columns import Columns
from detectors.features import OddCall
from detectors.latest import Latest
from detectors.protocol import Detector, Feature
from detectors.registry import detectors, features
from detectors.sums import Gathered


@dataclass
class DetectorState:
    """`secret` keys the 64-bit hashes of subjects in this installation."""

    secret: bytes
    subjects: dict[str, dict[str, Columns]] = field(default_factory=dict)  # feature or detector -> group -> columns
    alerts: dict[str, Alert] = field(default_factory=dict)
    examples: dict[int, Latest[tuple[str, int]]] = field(default_factory=dict)  # range under an account -> call id and start
    dialled: dict[int, Latest[str]] = field(default_factory=dict)  # account's numbers that cannot be read or priced -> as dialled
    odd_calls: dict[str, OddCall] = field(default_factory=dict)  # call_key -> what was counted
    gathered: Gathered = field(default_factory=list)  # since the last tick
    clocks: dict[int, int] = field(default_factory=dict)  # partition -> time of its last tick
    began: dict[int, int] = field(default_factory=dict)  # partition -> time of its first tick
    blocked: dict[int, Blocked] = field(default_factory=dict)  # account -> the orders against it

    def __post_init__(self) -> None:
        """Groups and columns that a stored state lacks begin empty; those of detectors that no longer exist are dropped."""
        stored, self.subjects = self.subjects, {}
        everyone: list[Feature | Detector] = [*features(), *detectors()]
        for detector in everyone:
            groups = stored.get(detector.name, {})
            self.subjects[detector.name] = {
                group: _with_dtypes(groups[group], empty) if group in groups else empty for group, empty in detector.new_state().items()
            }

    def columns(self) -> Iterable[Columns]:
        """The columns of all detectors."""
        return (columns for groups in self.subjects.values() for columns in groups.values())


def _with_dtypes(stored: Columns, empty: Columns) -> Columns:
    return stored if stored.dtypes == empty.dtypes else Columns.restore(empty.dtypes, stored.copy())


BY_HOME = ("alerts", "examples", "dialled", "odd_calls", "blocked")


def merge(states: Iterable[DetectorState], secret: bytes) -> DetectorState:
    """The states of processes over disjoint partitions as one. Their subjects are disjoint as well: an account is in one partition."""
    merged = DetectorState(secret)
    for state in states:
        merged.secret = state.secret
        for name in (*BY_HOME, "clocks", "began"):
            getattr(merged, name).update(getattr(state, name))
        merged.gathered += state.gathered
        for name, groups in state.subjects.items():
            for group, columns in groups.items():
                _add(merged.subjects[name][group], columns)
    return merged


def _add(to: Columns, columns: Columns) -> None:
    n = len(columns)
    slots = to.slots(columns.known())
    for name in columns.dtypes:
        to[name][slots] = columns[name][:n]


def subset(whole: DetectorState, partitions: int, selected: Collection[int]) -> DetectorState:
    """The state of the subjects whose home is in the selected ones of so many partitions.

    >>> alert = Alert("finding-1", 1, 1, 1, 1.0, home=6)
    >>> [len(subset(DetectorState(b"", alerts={"a": alert}), 4, [p]).alerts) for p in range(4)]
    [0, 0, 1, 0]
    """
    state = DetectorState(whole.secret)
    for name in BY_HOME:
        values: dict[Any, Any] = getattr(whole, name)
        setattr(state, name, {key: value for key, value in values.items() if value.home % partitions in selected})
    state.gathered = [rows.filter(pl.col("partition").is_in(list(selected))) for rows in whole.gathered]
    latest_ms = max(whole.clocks.values(), default=0)
    state.clocks = {p: whole.clocks.get(p, latest_ms) for p in selected} if latest_ms else {}
    earliest_ms = min(whole.began.values(), default=0)
    state.began = {p: whole.began.get(p, earliest_ms) for p in selected} if earliest_ms else {}
    for name, groups in whole.subjects.items():
        for group, columns in groups.items():
            copied = columns.copy()
            belongs = np.isin(copied["home"] % partitions, list(selected))
            part = Columns.restore(columns.dtypes, {column: values[belongs] for column, values in copied.items()})
            part["partition"][: len(part)] = part["home"][: len(part)] % partitions
            state.subjects[name][group] = part
    return state
