"""Derived ids: the same facts have the same id, so a repeat is harmless."""

from __future__ import annotations

import hashlib
from functools import lru_cache


def derived_id(kind: str, *facts: object) -> str:
    """A stored id: 20 hex digits of SHA-256 over the facts, each with its length, so that ("ab","c") is not ("a","bc").

    >>> derived_id("finding", "burst", "acme", 1700000000000)
    'finding-aa3defea84e449ad695a'
    """
    digest = hashlib.sha256()
    for fact in facts:
        text = str(fact).encode()
        digest.update(len(text).to_bytes(4, "big") + text)
    return f"{kind}-{digest.hexdigest()[:20]}"


def hash64(secret: bytes, *facts: str) -> int:
    """A 64-bit key for in-memory state, keyed per installation so that a caller cannot aim at a collision.

    Never in an id, a log or a block.

    >>> hash64(b"k", "t1", "account", "acme") == hash64(b"k", "t1", "account", "acme")
    True
    """
    digest = _keyed(secret).copy()
    digest.update("\x1f".join(facts).encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "little")


@lru_cache(maxsize=64)
def _keyed(secret: bytes) -> hashlib.blake2b:
    """The hash that the key begins: a copy of it costs two thirds of one that takes the key again."""
    return hashlib.blake2b(digest_size=8, key=secret[:64])
