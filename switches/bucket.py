"""A token bucket: so many records per second, with a burst. Pure."""

from __future__ import annotations


class Bucket:
    """A post is admitted while a token is left, and may take more than there are: the next posts then wait until the debt is paid.

    So a post larger than the burst is admitted too, and the rate holds all the same.

    >>> bucket = Bucket(rate=100, burst=50, now_s=0.0)
    >>> bucket.wait_s(0.0), bucket.take(150)
    (0.0, None)
    >>> bucket.wait_s(0.5), bucket.wait_s(2.0)
    (0.51, 0.0)
    """

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long until a post is admitted; 0 = now."""
        self._left = min(self._burst, self._left + max(0.0, now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return 0.0 if self._left >= 1 else round((1 - self._left) / self._rate, 3)

    def take(self, count: int) -> None:
        self._left -= count
