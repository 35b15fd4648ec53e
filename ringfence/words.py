"""Sentences that several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.safety import SHORT

if TYPE_CHECKING:
    from services.blocks import Undelivered


def undelivered(found: Undelivered, what: str) -> str:
    """Why no switch acts on a change now, or "". `what` begins the line: the block, its end.

    >>> from services.blocks import Undelivered
    >>> undelivered(Undelivered(1, (), ("k1",)), "the block")
    'k1 is held: no block acts there until `ringfence unblock --clear-hold`.'
    """
    if not found.switches:
        return f"The books name no switch for it: {what} will be at one once it is named (`ringfence switch add`)."
    lines = []
    if found.unattended:
        lines.append(
            f"No dispatcher is running for {', '.join(found.unattended)}: {what} will be at the switch once one does (`ringfence up`, or "
            "`ringfence flow dispatcher`)."
        )
    if found.held:
        lines.append(f"{', '.join(found.held)} is held: no block acts there until `ringfence unblock --clear-hold`.")
    return "\n".join(lines)


def as_read(typed: str, digits: str) -> str:
    """What a number that a person typed was understood as, or "" where that is what was typed.

    >>> as_read("0043 1 50500-99", "4315050099"), as_read("4315050099", "4315050099")
    (' (read as +4315050099)', '')
    """
    return "" if typed.strip().lstrip("+") == digits else f" (read as {'+' if len(digits) > SHORT else ''}{digits})"
