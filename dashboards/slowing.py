"""Wrong tokens get slower, by source address; a right one never waits. Pure.

>>> slow = Slowing()
>>> [slow.wrong("192.0.2.1", now_s=float(n)) for n in range(8)]
[0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0]
>>> slow.wrong("192.0.2.2", now_s=8.0), slow.wrong("192.0.2.1", now_s=8.0 + FORGOTTEN_S)
(0.0, 0.0)
"""

from __future__ import annotations

from core.newcomers import source_of

FREE = 3
"""Wrong ones that cost nothing: people mistype."""
FIRST_S, LONGEST_S = 0.25, 4.0
FORGOTTEN_S = 900.0
"""After so long without a wrong one a source begins anew."""
MOST = 1_024
"""Sources that are remembered; one more, and the one that was quiet for longest is forgotten."""


class Slowing:
    def __init__(self) -> None:
        self._wrong: dict[str, tuple[int, float]] = {}  # source -> (how many, when the last was); the quietest first

    def wrong(self, address: str, now_s: float) -> float:
        """A wrong token came from there: how long its answer waits."""
        source = source_of(address)
        count, last_s = self._wrong.pop(source, (0, now_s))
        count = 1 if now_s - last_s >= FORGOTTEN_S else count + 1
        self._wrong[source] = (count, now_s)
        if len(self._wrong) > MOST:
            del self._wrong[next(iter(self._wrong))]
        return 0.0 if count <= FREE else min(FIRST_S * 2 ** min(count - FREE - 1, 16), LONGEST_S)

    def right(self, address: str) -> None:
        """A right one came from there: its wrong ones were a person's."""
        self._wrong.pop(source_of(address), None)

    def __len__(self) -> int:
        return len(self._wrong)
