"""A trouble is said when it begins and when it is over, not in each round between."""

from __future__ import annotations

from collections.abc import Callable


class Once:
    """For one thread, or for several that share a trouble: said twice at worst.

    >>> once = Once(print)
    >>> once.begins("the books are away"); once.begins("the books are away"); once.ends("the books answer again"); once.ends("again")
    the books are away
    the books answer again
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._told = False

    def begins(self, words: str) -> None:
        if not self._told:
            self._told = True
            self._say(words)

    def ends(self, words: str) -> None:
        if self._told:
            self._told = False
            self._say(words)
