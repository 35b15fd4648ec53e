"""Delays answers to wrong tokens, per source address; a right token is never delayed. Pure.

>>> slow = Throttle()
>>> [slow.wrong("192.0.2.1", now_s=float(n)) for n in range(8)]
[0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0]
>>> slow.wrong("192.0.2.2", now_s=8.0), slow.wrong("192.0.2.1", now_s=8.0 + FORGOTTEN_S)
(0.0, 0.0)
"""

from __future__ import annotations

from core.newcomers import source_of

FREE = 3
"""Wrong tokens without a delay: people mistype."""
FIRST_S, LONGEST_S = 0.25, 4.0
FORGOTTEN_S = 900.0
"""After this long without a wrong token a source starts from zero."""
MAX_SOURCES = 1_024
"""At the limit the source that was quiet for longest is forgotten."""


class Throttle:
    def __init__(self) -> None:
        self._wrong: dict[str, tuple[int, float]] = {}  # source -> (count, time of the last one); the quietest first

    def wrong(self, address: str, now_s: float) -> float:
        """Count a wrong token; returns the delay of its answer."""
        source = source_of(address)
        count, last_s = self._wrong.pop(source, (0, now_s))
        count = 1 if now_s - last_s >= FORGOTTEN_S else count + 1
        self._wrong[source] = (count, now_s)
        if len(self._wrong) > MAX_SOURCES:
            del self._wrong[next(iter(self._wrong))]
        return 0.0 if count <= FREE else min(FIRST_S * 2 ** min(count - FREE - 1, 16), LONGEST_S)

    def right(self, address: str) -> None:
        """Forget the wrong tokens of a source that entered a right one."""
        self._wrong.pop(source_of(address), None)

    def __len__(self) -> int:
        return len(self._wrong)
