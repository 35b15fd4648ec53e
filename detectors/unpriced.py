"""Numbers of an account that cannot be read, or that no rate deck prices: money that nobody can tell, and one subject for all of them.

The burst rule (`detectors.burst`) at one more level. All such numbers of an account crowd together, since nobody knows where they lead;
a minute counts at the policy's `unpriced_per_min`, and what cannot be read has the policy's `unpriced_risk`: a lenient carrier may
connect it anywhere. What is counted are answered calls.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from core.facts import UNPRICED
from core.policy import Policy
from detectors.burst import Sight, by_subject, concentrate
from detectors.columns import Columns
from detectors.features import READABLE, UNREADABLE

EXAMPLES = 5
ACCOUNTS = 50_000
"""Accounts whose dialled numbers are remembered at most; the one that was first seen goes first."""

Dialled = dict[int, list[str]]


def by_account(state: dict[str, Columns], frame: pl.DataFrame, policy: Policy) -> tuple[pl.DataFrame, Sight | None]:
    """Add `unpriced_score`, 0 on rows whose number can be read and priced, and tell what the others see of their subject.

    A frame without such rows stays as it is, and there is nothing to tell.
    """
    rows = np.flatnonzero((frame["odd"] != READABLE).to_numpy())
    if not len(rows):
        return frame, None
    weight = pl.when(pl.col("odd") == UNREADABLE).then(policy.unpriced_risk).otherwise("weight")
    mine = frame[rows].with_columns(weight.alias("weight"), pl.col("odd_answers").alias("calls"), pl.col("k_unpriced").alias("k_range"))
    mine, sight = by_subject(state[UNPRICED], concentrate(state["unpriced_crowd"], mine, policy), UNPRICED, policy)
    score = np.zeros(frame.height)
    score[rows] = mine[f"{UNPRICED}_score"].to_numpy()
    floats, ints = np.zeros((len(sight.floats), frame.height)), np.zeros((len(sight.ints), frame.height), np.int64)
    floats[:, rows], ints[:, rows] = sight.floats, sight.ints
    return frame.with_columns(pl.Series(f"{UNPRICED}_score", score)), Sight(floats, ints)


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
