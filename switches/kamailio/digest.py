"""Two tables of entries compared exactly, at any size, by one sum a bucket. `switches/kamailio/many.lua` does the same.

An entry's MD5 (of entry=order id) gives its bucket and its mark; a bucket's sum is that of its marks. Equal sums, equal entries:
one missing beside one stranger shows like anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import md5

BUCKETS = 4096
MODULUS = 1 << 48
_WIDTH = 3 + 12  # hex digits of a bucket and of its sum

MOST_UNSURE = 6
"""Entries of one bucket that may be there or not: beyond so many, the bucket is listed instead of trying all their sums."""


def mark(entry: str, order_id: str) -> tuple[int, int]:
    """(bucket, mark) of an entry.

    >>> mark("t1|A|acme||88213", "order-1")
    (721, 130688650810695)
    """
    high = int.from_bytes(md5(f"{entry}={order_id}".encode(), usedforsecurity=False).digest()[:8], "big")
    return high >> 52, high >> 4 & (MODULUS - 1)


def digest(entries: Iterable[tuple[str, str]]) -> dict[int, int]:
    """Bucket -> sum of its marks; an empty bucket is not in it."""
    sums: dict[int, int] = {}
    for entry, order_id in entries:
        bucket, one = mark(entry, order_id)
        sums[bucket] = (sums.get(bucket, 0) + one) % MODULUS
    return sums


def spell(sums: dict[int, int]) -> str:
    """As it travels.

    >>> spell({10: 255}), unspell(spell({10: 255}))
    ('00a0000000000ff', {10: 255})
    """
    return "".join(f"{bucket:03x}{total:012x}" for bucket, total in sums.items())


def unspell(text: str) -> dict[int, int]:
    """The digest that was spelled; a `ValueError` if it is none."""
    if len(text) % _WIDTH:
        raise ValueError(f"a digest of {len(text)} digits")
    return {int(text[at : at + 3], 16): int(text[at + 3 : at + _WIDTH], 16) for at in range(0, len(text), _WIDTH)}


def explains(seen: int, sure: int, unsure: Sequence[int]) -> bool:
    """Whether a bucket's sum is that of the entries that must be there, with any of those that may be (about to end, or ended and
    not swept yet).

    >>> explains(12, 5, [7, 9]), explains(21, 5, [7, 9]), explains(10, 5, [7, 9])
    (True, True, False)
    """
    if len(unsure) > MOST_UNSURE:
        return False
    left = {(seen - sure) % MODULUS}
    for one in unsure:
        left |= {(total - one) % MODULUS for total in left}
    return 0 in left
