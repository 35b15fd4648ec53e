"""How long to wait before the next try."""

from __future__ import annotations


def backoff(failures: int, first: float, longest: float) -> float:
    """The pause after so many failures in a row: `first`, doubled with each further failure, at most `longest`; in their unit.

    >>> [backoff(failures, 0.2, 2.0) for failures in (1, 2, 3, 5, 1000)]
    [0.2, 0.4, 0.8, 2.0, 2.0]
    """
    return min(first * 2.0 ** min(failures - 1, 20), longest)
