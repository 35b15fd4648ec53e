"""Digests by which two tables of entries are compared exactly, at any size: one sum per bucket. `switches/kamailio/many.lua` does the same.

The MD5 of entry=order id gives an entry's bucket and its mark; a bucket's sum is that of its marks. Equal sums mean equal entries: one
missing entry and one surplus entry do not cancel each other out.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5

BUCKETS = 4096
MODULUS = 1 << 48
_WIDTH = 3 + 12  # hex digits of a bucket and of its sum

MOST_UNSURE = 6
"""Uncertain entries of one bucket: with more, the bucket is listed instead of trying all sums."""


def mark(entry: str, order_id: str) -> tuple[int, int]:
    """(bucket, mark) of an entry.

    >>> mark("t1|A|acme||88213", "order-1")
    (721, 130688650810695)
    """
    high = int.from_bytes(md5(f"{entry}={order_id}".encode(), usedforsecurity=False).digest()[:8], "big")
    return high >> 52, high >> 4 & (MODULUS - 1)


def parse(text: str) -> dict[int, int]:
    """A digest as the switch writes it: bucket -> sum of its marks. A `ValueError` where it is not one.

    >>> parse("00a0000000000ff")
    {10: 255}
    """
    if len(text) % _WIDTH:
        raise ValueError(f"a digest of {len(text)} digits")
    return {int(text[at : at + 3], 16): int(text[at + 3 : at + _WIDTH], 16) for at in range(0, len(text), _WIDTH)}


def explains(found: int, sure: int, unsure: Sequence[int]) -> bool:
    """Whether a bucket's sum is that of the entries that must be there, with any of the uncertain ones (about to expire, or expired and
    not yet removed).

    >>> explains(12, 5, [7, 9]), explains(21, 5, [7, 9]), explains(10, 5, [7, 9])
    (True, True, False)
    """
    if len(unsure) > MOST_UNSURE:
        return False
    left = {(found - sure) % MODULUS}
    for one in unsure:
        left |= {(total - one) % MODULUS for total in left}
    return 0 in left
