"""State as columns: numpy arrays behind a key index, one slot per subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]

COMMON: dict[str, Any] = {
    "partition": np.int32,
    "home": np.int64,  # core.partition.home_of: decides the partition, however many there are
    "until_ms": np.int64,  # from when on the subject may be forgotten
}
"""What is known of each subject, whoever watches it."""

FOR_EVER = np.iinfo(np.int64).max
"""`until_ms` of a subject that is never forgotten."""

KEY = "_key"
LEAST = 1024
MOST_SUBJECTS = 1_000_000
"""Of one partition in one group. Whoever is over it loses `SPARE` of them, by `Columns.bound`."""
SPARE = 0.25


def column_of(name: str, height: int, rows: Array, values: Array, other: int) -> pl.Series:
    """A column of a frame of so many rows that has `values` in some of them, and `other` in the others.

    >>> column_of("first", 3, np.asarray([1]), np.asarray([7]), 0).to_list()
    [0, 7, 0]
    """
    if len(rows) < height:
        part, values = values, np.full((height, *values.shape[1:]), other, values.dtype)
        values[rows] = part
    return pl.Series(name, values)


class Columns:
    """Named arrays that grow together. Keys are 64-bit (`core.ids.hash64`).

    >>> c = Columns({"money": np.float64})
    >>> c.slots([7, 9, 7]).tolist(), len(c)
    ([0, 1, 0], 2)
    """

    def __init__(self, dtypes: Mapping[str, Any]) -> None:
        self.dtypes = {**COMMON, **dtypes}
        self._slot: dict[int, int] = {}
        self._arrays: dict[str, Array] = {name: np.zeros(LEAST, dtype) for name, dtype in {**self.dtypes, KEY: np.uint64}.items()}
        self._spare: dict[str, Array] = {}  # the memory of the last copy

    def __len__(self) -> int:
        return len(self._slot)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def slots(self, keys: Sequence[int]) -> npt.NDArray[np.int64]:
        """The slot of each key; a new key gets the next slot, with zeros in it."""
        slot = self._slot
        before = len(slot)
        found = [slot.setdefault(key, len(slot)) for key in keys]
        if new := len(slot) - before:
            if len(slot) > len(self._arrays[KEY]):
                self._resize(2 * len(slot))
            self._arrays[KEY][before : len(slot)] = [*islice(reversed(slot), new)][::-1]
        return np.asarray(found, np.int64)

    def enter(self, frame: pl.DataFrame, key: str, rows: Array | slice = slice(None)) -> npt.NDArray[np.int64]:
        """The slots of the subjects in column `key` of a frame of features, or of some of its rows; notes where they live."""
        slots = self.slots(frame[key].to_numpy()[rows].tolist())
        self["partition"][slots], self["home"][slots] = frame["partition"].to_numpy()[rows], frame["home"].to_numpy()[rows]
        return slots

    def _resize(self, size: int) -> None:
        for name, array in self._arrays.items():
            larger = np.zeros(size, array.dtype)
            larger[: len(array)] = array
            self._arrays[name] = larger

    def known(self) -> list[int]:
        """The keys, in the order of their slots."""
        return list(self._slot)

    def find(self, key: int) -> int:
        """The slot of a known key, or -1."""
        return self._slot.get(key, -1)

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Drop the slots where `mask` (one value per slot) is false; the others move up."""
        stays = np.flatnonzero(mask)
        if len(stays) == len(self._slot):
            return
        for name, array in self._arrays.items():
            smaller = np.zeros(max(LEAST, len(stays)), array.dtype)
            smaller[: len(stays)] = array[stays]
            self._arrays[name] = smaller
        self._slot = {key: new for new, key in enumerate(self._arrays[KEY][: len(stays)].tolist())}

    def forget(self, partition: int, at_ms: int) -> None:
        """Drop the subjects of a partition whose time is over: callers choose a_numbers, and memory must not be theirs to fill."""
        n = len(self)
        self.keep((self["until_ms"][:n] > at_ms) | (self["partition"][:n] != partition))

    def bound(self, partition: int, most: int) -> int:
        """Where a partition has more subjects than `most`, drop until it has a quarter less, and return how many were dropped. Those homes lose that
        have most, down to one level for all: an account that floods the keys pays with its own. Of a home those go that would be forgotten first.

        >>> c = Columns({})
        >>> slots = c.slots(range(10))
        >>> c["home"][:10], c["until_ms"][:10] = [1, 1, 2, 2, 2, 2, 2, 2, 2, 2], range(10)
        >>> c.bound(0, 10), c.bound(0, 8), c.known()
        (0, 4, [0, 1, 6, 7, 8, 9])
        """
        n = len(self)
        mine = np.flatnonzero(self["partition"][:n] == partition) if n > most else np.zeros(0, np.int64)
        if len(mine) <= most:
            return 0
        homes = self["home"][mine]
        counts = np.sort(np.unique(homes, return_counts=True)[1])
        left = most - int(most * SPARE)
        below = np.concatenate([[0], np.cumsum(counts)[:-1]]) + counts * np.arange(len(counts), 0, -1)  # what stays if no home has more than this one
        at = int(np.searchsorted(below, left, "right"))
        level = (left - int(counts[:at].sum())) // max(len(counts) - at, 1)
        order = np.lexsort((self[KEY][mine], -self["until_ms"][mine], homes))
        first = np.concatenate([[True], np.diff(homes[order]) != 0])
        place = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        mask = np.ones(n, np.bool_)
        mask[mine[order[place >= level]]] = False
        self.keep(mask)
        return int(n - mask.sum())

    def copy(self) -> dict[str, Array]:
        """What a snapshot holds: keys and arrays, copied into the memory of the copy before, where that was handed back (`reuse`).

        Memory that was used before is copied to about twenty times as fast as fresh memory, which the kernel has to clear first.
        """
        n, spare, copied = len(self), self._spare, {}
        self._spare = {}
        for name, array in self._arrays.items():
            memory = spare.get(name)
            if memory is None or len(memory) < n:
                memory = np.empty(len(array), array.dtype)
            copied[name] = memory[:n]
            np.copyto(copied[name], array[:n])
        return copied

    def reuse(self, copied: Mapping[str, Array]) -> None:
        """Take back a copy that nobody reads any more. May be called by another thread."""
        self._spare = {name: view.base for name, view in copied.items() if view.base is not None}

    @classmethod
    def restore(cls, dtypes: Mapping[str, Any], copied: Mapping[str, Array]) -> Columns:
        """From what `copy` gave; a column that the copy lacks starts at zero, one that `dtypes` lacks is left out."""
        columns = cls(dtypes)
        columns.slots(copied[KEY].tolist())
        n = len(columns)
        for name in columns.dtypes:
            if name in copied:
                columns[name][:n] = copied[name]
        return columns
