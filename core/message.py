"""A message of the journal: one record, tick or batch with its position."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """`learned_ms`: when the journal received it, in ms of UTC."""

    partition: int
    offset: int
    learned_ms: int
    key: bytes
    value: bytes
