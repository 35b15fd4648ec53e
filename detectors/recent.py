"""The latest calls into a range that fills up: what an alert shows, and since when.

Kept only where a range of an account sees more than one call in a short time, so honest traffic costs next to nothing.
"""

from __future__ import annotations

import polars as pl

EXAMPLES = 5
RANGES = 50_000
"""Ranges remembered at most; the one that was first seen goes first."""

Recent = dict[int, list[tuple[str, int]]]


class Memory:
    """Walks a frame of features in step with its reader: `until(row)` has remembered that row and all before it.

    >>> frame = pl.DataFrame({"k_range": [7, 7, 9], "calls": [1, 1, 1], "range_calls": [1.0, 1.9, 1.0], "call_id": ["a", "b", "c"],
    ...                       "started_ms": [1, 2, 3]})
    >>> memory = Memory({}, frame)
    >>> memory.until(0, 7), memory.until(2, 7)
    ([], [('b', 2)])
    """

    def __init__(self, recent: Recent, frame: pl.DataFrame) -> None:
        self.recent = recent
        crowded = frame.with_row_index("row").filter((pl.col("calls") > 0) & (pl.col("range_calls") > 1.0))
        self._rows = list(crowded.select("row", "k_range", "call_id", "started_ms").iter_rows())
        self._next = 0

    def until(self, row: int, key: int) -> list[tuple[str, int]]:
        """The latest calls of a range as `row` sees them: (call id, start)."""
        while self._next < len(self._rows) and self._rows[self._next][0] <= row:
            _, k_range, call_id, started_ms = self._rows[self._next]
            calls = self.recent.setdefault(k_range, [])
            calls.append((call_id, started_ms))
            del calls[:-EXAMPLES]
            if len(self.recent) > RANGES:
                del self.recent[next(iter(self.recent))]
            self._next += 1
        return list(self.recent.get(key, ()))

    def rest(self) -> None:
        """Remember what is left of the frame."""
        if self._rows:
            self.until(self._rows[-1][0], 0)
