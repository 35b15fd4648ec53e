"""In which increments the other side charges: what charged seconds say of the seconds that were talked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

USUAL: tuple[tuple[int, int], ...] = (
    (1, 1), (6, 6), (30, 6), (60, 1), (60, 6), (60, 60), (30, 30), (10, 10), (30, 1), (60, 30), (6, 1), (5, 5), (20, 20), (180, 60), (1, 60),
)  # fmt: skip
"""First and following increments that are sold, in seconds."""


def charged(seconds: Ints, first_s: int, next_s: int) -> Ints:
    """Talk in increments.

    >>> charged(np.asarray([0, 1, 61, 66, 67]), 60, 6).tolist()
    [0, 60, 66, 66, 72]
    """
    found: Ints = np.where(seconds > 0, first_s + -(-np.maximum(seconds - first_s, 0) // next_s) * next_s, 0)
    return found


def is_usual(talk_ms: Ints, charged_s: Ints) -> npt.NDArray[np.bool_]:
    """Whether charged seconds are some usual increments of the talk, whichever way it was rounded to seconds.

    >>> is_usual(np.asarray([61_400, 61_400]), np.asarray([66, 65])).tolist()
    [True, True]
    >>> is_usual(np.asarray([61_400]), np.asarray([73])).tolist()
    [False]
    """
    found = np.zeros(len(talk_ms), np.bool_)
    for seconds in (talk_ms // 1000, -(-talk_ms // 1000)):
        for first_s, next_s in USUAL:
            found |= charged(np.maximum(seconds, 1), first_s, next_s) == charged_s
    return found


def dominant(talk_ms: Ints, charged_s: Ints, slack_s: int, least_share: float = 0.9) -> tuple[int, int] | None:
    """The increments that explain the charged seconds of a group of calls, if one pair explains nearly all; the finest of those that do.
    `slack_s`: how far the talk may be off.

    >>> dominant(np.asarray([1_000, 61_000, 75_000, 130_000, 12_000] * 5), np.asarray([60, 120, 120, 180, 60] * 5), 2)
    (60, 60)
    """
    if len(talk_ms) < 20:
        return None
    whole = (talk_ms + 500) // 1000
    for first_s, next_s in USUAL:
        low, high = (charged(np.maximum(whole + off, 1), first_s, next_s) for off in (-slack_s, slack_s))
        grid = (charged_s == first_s) | ((charged_s > first_s) & ((charged_s - first_s) % next_s == 0))
        if float((grid & (low <= charged_s) & (charged_s <= high)).mean()) >= least_share:
            return first_s, next_s
    return None
