"""Decodes orders and findings from the journal: bytes that anybody may have written become values that can be stored.

An order from the journal is automatic, even where it names a person: orders of people go into the books directly.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from books import audit
from core.orders import BlockOrder, Finding, Key

MAX_MESSAGE_BYTES = 64 * 1024
MAX_MS = 2**53

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,79}")

T = TypeVar("T", bound=msgspec.Struct)


class Malformed(ValueError):
    """The message is not an order (or not a finding): it is counted and audited, and the next one is read."""


def decode_order(value: bytes) -> BlockOrder:
    """The order in a message. It can be stored: its texts are clean, its numbers in range.

    >>> decode_order(b'{"order_id":"x"')
    Traceback (most recent call last):
    ...
    switches.messages.Malformed: Input data was truncated
    """
    order = _decode(value, BlockOrder)
    if not _ID.fullmatch(order.order_id):
        raise Malformed(f"{order.order_id[:100]!r} is not an order's id")
    for name in ("created_at_ms", "learned_ms", "expires_at_ms"):
        if not 0 <= getattr(order, name) <= MAX_MS:
            raise Malformed(f"{name} is out of range")
    key = order.key
    parts = {name: audit.clean(getattr(key, name), 128) for name in ("tenant", "account", "ingress_trunk", "a_number", "b_range")}
    texts = {name: audit.clean(getattr(order, name)) for name in ("finding_id", "reason", "by")}
    return msgspec.structs.replace(order, key=Key(**parts), **texts)


def decode_finding(value: bytes) -> Finding:
    """The finding in a message."""
    finding = _decode(value, Finding)
    if not _ID.fullmatch(finding.finding_id):
        raise Malformed(f"{finding.finding_id[:100]!r} is not a finding's id")
    return finding


def _decode(value: bytes, of: type[T]) -> T:
    if len(value) > MAX_MESSAGE_BYTES:
        raise Malformed(f"{len(value)} bytes are too long")
    try:
        return msgspec.json.decode(value, type=of)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(str(error)[:300]) from None
