"""The latest things of each subject: calls into a range that fills up, numbers as they were dialled. What an alert shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

MOST_ITEMS = 5
MOST_SUBJECTS = 50_000
"""Subjects remembered at most; the one that came first goes first."""

Item = TypeVar("Item")


class Latest(msgspec.Struct, Generic[Item]):
    """The latest different items of a subject, the latest last."""

    home: int  # core.partition.home_of
    items: list[Item]


class New(NamedTuple, Generic[Item]):
    """An item that a row of a frame brings."""

    row: int
    key: int
    home: int
    item: Item


class Walk(Generic[Item]):
    """Adds items to the state in step with whoever reads the frame, so that a row sees itself and earlier rows only.

    >>> walk = Walk({}, [New(0, 7, 1, "12#34"), New(2, 7, 1, "0x1"), New(3, 7, 1, "12#34")])
    >>> walk.until(1, 7), walk.until(3, 7), walk.until(3, 8)
    (['12#34'], ['0x1', '12#34'], [])
    """

    def __init__(self, state: dict[int, Latest[Item]], rows: Sequence[New[Item]]) -> None:
        self.state, self._rows, self._next = state, rows, 0

    def until(self, row: int, key: int) -> list[Item]:
        """The items of a subject as `row` sees them."""
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
        """Add what is left of the frame."""
        if self._rows:
            self.until(self._rows[-1].row, 0)
