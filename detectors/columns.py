"""State as columns: numpy arrays behind a key index, a place a subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Columns:
    """Named arrays that grow together. Keys are 64-bit (`core.ids.hash64`).

    >>> c = Columns({"money": np.float64})
    >>> c.places([7, 9, 7]).tolist(), len(c)
    ([0, 1, 0], 2)
    """

    def __init__(self, dtypes: dict[str, Any]) -> None:
        self.dtypes = dtypes
        self._place: dict[int, int] = {}
        self._arrays: dict[str, Array] = {name: np.zeros(1024, dtype) for name, dtype in dtypes.items()}

    def __len__(self) -> int:
        return len(self._place)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def places(self, keys: Sequence[int]) -> npt.NDArray[np.int64]:
        """The place of each key; a new key gets the next place, with zeros in it."""
        place = self._place
        found = [place.setdefault(key, len(place)) for key in keys]
        if len(place) > len(next(iter(self._arrays.values()))):
            room = 2 * len(place)
            for name, array in self._arrays.items():
                larger = np.zeros(room, array.dtype)
                larger[: len(array)] = array
                self._arrays[name] = larger
        return np.asarray(found, np.int64)

    def find(self, key: int) -> int:
        """The place of a known key, or -1."""
        return self._place.get(key, -1)

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Drop the places where `mask` (a place each) is false; the others move up."""
        kept = np.flatnonzero(mask)
        if len(kept) == len(self._place):
            return
        keys = list(self._place)
        self._place = {keys[old]: new for new, old in enumerate(kept.tolist())}
        for name, array in self._arrays.items():
            smaller = np.zeros(max(1024, len(kept)), array.dtype)
            smaller[: len(kept)] = array[kept]
            self._arrays[name] = smaller

    def copy(self) -> dict[str, Array]:
        """What a snapshot keeps: keys and arrays, copied."""
        n = len(self._place)
        kept = {name: array[:n].copy() for name, array in self._arrays.items()}
        kept["_key"] = np.fromiter(self._place, np.uint64, n)
        return kept

    @classmethod
    def restore(cls, dtypes: dict[str, Any], kept: dict[str, Array]) -> Columns:
        """From what `copy` gave; a column that the copy lacks starts at zero."""
        columns = cls(dtypes)
        columns.places([int(key) for key in kept["_key"]])
        n = len(columns)
        for name in dtypes:
            if name in kept:
                columns._arrays[name][:n] = kept[name]
        return columns
