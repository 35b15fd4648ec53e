"""Numbers of an account that cannot be read, or that no rate deck prices: money that nobody can tell, and one subject for all of them.

The burst rule (`detectors.burst`) at one more level. All such numbers of an account crowd together, since nobody knows where they lead;
a minute counts at the policy's `unpriced_per_min`, and what cannot be read has the policy's `unpriced_risk`: a lenient carrier may
connect it anywhere. What is counted are answered calls.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from core.config import Policy
from core.facts import UNPRICED
from detectors.burst import by_subject, concentrate
from detectors.columns import Columns
from detectors.features import READABLE, UNREADABLE

EXAMPLES = 5
ACCOUNTS = 50_000
"""Accounts whose dialled numbers are remembered at most; the one that was first seen goes first."""

Dialled = dict[int, list[str]]


def by_account(state: dict[str, Columns], frame: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Add `unpriced_score` and the other columns of `burst.by_subject`; zeros on rows whose number can be read and priced.

    Where a frame has no such row, it has no such columns.
    """
    rows = np.flatnonzero((frame["odd"] != READABLE).to_numpy())
    if not len(rows):
        return frame
    weight = pl.when(pl.col("odd") == UNREADABLE).then(policy.unpriced_risk).otherwise("weight")
    mine = frame[rows].with_columns(weight.alias("weight"), pl.col("odd_answers").alias("calls"), pl.col("k_unpriced").alias("k_range"))
    before = set(mine.columns)
    mine = by_subject(state[UNPRICED], concentrate(state["unpriced_crowd"], mine, policy), UNPRICED, policy)
    added = []
    for name in mine.columns:
        if name.startswith(f"{UNPRICED}_") and name not in before:
            values = np.zeros(frame.height, mine[name].to_numpy().dtype)
            values[rows] = mine[name].to_numpy()
            added.append(pl.Series(name, values))
    return frame.with_columns(added)


class DialledSoFar:
    """Walks a frame in step with its reader: `until(row)` has remembered what was dialled up to that row. `dialled`: by row of the frame.

    >>> so_far = DialledSoFar({}, [(0, 7, "12#34"), (2, 7, "0x1"), (3, 7, "12#34")])
    >>> so_far.until(1, 7), so_far.until(3, 7)
    (['12#34'], ['0x1', '12#34'])
    """

    def __init__(self, state: Dialled, rows: list[tuple[int, int, str]]) -> None:
        self.state, self._rows, self._next = state, rows, 0

    def until(self, row: int, key: int) -> list[str]:
        """The latest different numbers of an account as `row` sees them, the latest last."""
        while self._next < len(self._rows) and self._rows[self._next][0] <= row:
            _, of, dialled = self._rows[self._next]
            known = self.state.setdefault(of, [])
            if dialled in known:
                known.remove(dialled)
            known.append(dialled)
            del known[:-EXAMPLES]
            if len(self.state) > ACCOUNTS:
                del self.state[next(iter(self.state))]
            self._next += 1
        return list(self.state.get(key, ()))

    def rest(self) -> None:
        """Remember what is left of the frame."""
        if self._rows:
            self.until(self._rows[-1][0], 0)
