"""Texts that several commands print."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.safety import SHORT

if TYPE_CHECKING:
    from services.blocks import Undelivered


def undelivered(found: Undelivered, what: str) -> str:
    """Why no switch applies a change now, or "". `what` is the subject of the sentence: "the block", "its end".

    >>> from services.blocks import Undelivered
    >>> undelivered(Undelivered(1, (), ("k1",)), "the block")
    'k1 is held: no block acts there until `ringfence unblock --clear-hold`.'
    """
    if not found.switches:
        return f"No switch is in the books for it: {what} is delivered once one is added (`ringfence switch add`)."
    lines = []
    if found.unattended:
        lines.append(
            f"No dispatcher is running for {', '.join(found.unattended)}: {what} is delivered once one runs (`ringfence up`, or "
            "`ringfence flow dispatcher`)."
        )
    if found.held:
        lines.append(f"{', '.join(found.held)} is held: no block acts there until `ringfence unblock --clear-hold`.")
    return "\n".join(lines)


def date_time(at_ms: int) -> str:
    """
    >>> date_time(1_700_000_000_000), day(1_700_000_000_000)
    ('2023-11-14 22:13:20', '2023-11-14')
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def day(at_ms: int) -> str:
    return date_time(at_ms)[:10]


def as_read(typed: str, digits: str) -> str:
    """The digits as which a typed number was read, or "" where they are what was typed.

    >>> as_read("0043 1 50500-99", "4315050099"), as_read("4315050099", "4315050099")
    (' (read as +4315050099)', '')
    """
    return "" if typed.strip().lstrip("+") == digits else f" (read as {'+' if len(digits) > SHORT else ''}{digits})"
