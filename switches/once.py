"""A fault that lasts is logged when it begins and when it is over, not in each round between."""

from __future__ import annotations

from collections.abc import Callable


class Once:
    """For one thread, or for several that meet the same fault: then logged twice at worst.

    >>> once = Once(print)
    >>> once.begins("the books are away"); once.begins("the books are away"); once.ends("the books answer again"); once.ends("again")
    the books are away
    the books answer again
    """

    def __init__(self, log: Callable[[str], object]) -> None:
        self._log = log
        self._lasts = False

    def begins(self, message: str) -> None:
        if not self._lasts:
            self._lasts = True
            self._log(message)

    def ends(self, message: str) -> None:
        if self._lasts:
            self._lasts = False
            self._log(message)
