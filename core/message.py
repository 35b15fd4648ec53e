"""What is read from a journal: one record, tick or batch with its place."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """`learned_ms`: when we learned of it, in ms of UTC."""

    partition: int
    offset: int
    learned_ms: int
    key: bytes
    value: bytes
