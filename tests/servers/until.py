"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    look: Callable[[], Found], within_s: float = 10.0, what: str | Callable[[], str] = "it", *, meanwhile: Callable[[], object] | None = None
) -> Found:
    """Call `look` until its result is true, and return it. `meanwhile` raises if that can no longer happen.

    >>> answers = iter([None, None, "here"])
    >>> until(lambda: next(answers))
    'here'
    """
    end_s, pause_s = time.monotonic() + within_s, 0.005
    while not (found := look()):
        if meanwhile is not None:
            meanwhile()
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, 0.25)
    return found
