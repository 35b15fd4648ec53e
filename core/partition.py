"""The partition of a key, by Kafka's own rule, so that a journal that moves to Kafka keeps every key in its partition."""

from __future__ import annotations

from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, unsigned.

    >>> murmur2(b"foobar") - 2**32, murmur2(b"21") - 2**32, murmur2(b"abc")
    (-790332482, -973932308, 479470107)
    """
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        k = (int.from_bytes(data[at : at + 4], "little") * _M) & _MASK
        k ^= k >> 24
        h = ((h * _M) & _MASK) ^ ((k * _M) & _MASK)
    if rest := data[whole:]:
        h = ((h ^ int.from_bytes(rest, "little")) * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=262_144)
def home_of(key: bytes) -> int:
    """The 31-bit hash that decides the partition of a key, whatever their number. State stores it, so that it can move to a new partition.

    >>> home_of(b"t1\x1facme") % 4
    1
    """
    return murmur2(key) & 0x7FFFFFFF


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key.

    >>> partition_for(b"t1\\x1facme", 4)
    1
    """
    return home_of(key) % partitions
