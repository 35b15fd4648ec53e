"""The latest items of each subject that an alert shows: calls into a range that fills up, numbers as they were dialled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

MOST_ITEMS = 5
MOST_SUBJECTS = 50_000
"""Maximum number of subjects; the one that was added first is dropped first."""

Item = TypeVar("Item")


class Latest(msgspec.Struct, Generic[Item]):
    """The latest distinct items of a subject, oldest first."""

    home: int  # core.partition.home_of
    items: list[Item]


class New(NamedTuple, Generic[Item]):
    """An item in a row of a frame."""

    row: int
    key: int
    home: int
    item: Item


class Cursor(Generic[Item]):
    """Adds the items of a frame to the state row by row, so that a finding shows items of its own and earlier rows only.

    >>> cursor = Cursor({}, [New(0, 7, 1, "12#34"), New(2, 7, 1, "0x1"), New(3, 7, 1, "12#34")])
    >>> cursor.until(1, 7), cursor.until(3, 7), cursor.until(3, 8)
    (['12#34'], ['0x1', '12#34'], [])
    """

    def __init__(self, state: dict[int, Latest[Item]], rows: Sequence[New[Item]]) -> None:
        self.state, self._rows, self._next = state, rows, 0

    def until(self, row: int, key: int) -> list[Item]:
        """The items of a subject up to and including `row`."""
        while self._next < len(self._rows) and self._rows[self._next].row <= row:
            self._add(self._rows[self._next])
            self._next += 1
        known = self.state.get(key)
        return list(known.items) if known else []

    def _add(self, new: New[Item]) -> None:
        known = self.state.get(new.key)
        if known is None:
            known = self.state[new.key] = Latest(new.home, [])
            if len(self.state) > MOST_SUBJECTS:
                del self.state[next(iter(self.state))]
        if new.item in known.items:
            known.items.remove(new.item)
        known.items.append(new.item)
        del known.items[:-MOST_ITEMS]

    def finish(self) -> None:
        """Add the remaining items of the frame."""
        for new in self._rows[self._next :]:
            self._add(new)
