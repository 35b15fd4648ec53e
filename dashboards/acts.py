"""What a person does on the page: the same functions of the books as the commands, with the same audit."""

from __future__ import annotations

from books import Engine, orders, suppressions, writing
from core.orders import Key
from core.words import span

Refused = orders.Refused


def unblock(engine: Engine, key: Key, who: str, why: str, now_ms: int, for_ms: int = suppressions.DEFAULT_MS) -> str:
    """Lifts a key; says what was done."""
    with writing(engine) as conn:
        lifted = orders.lift(conn, key, who, why, now_ms, for_ms)
    done = f"{counted(len(lifted.order_ids))} lifted; no automatic order that overlaps it stands for {span(for_ms)}."
    still = " ".join(f"Still blocked by {kept.order.by}: {kept.order.key.text()}." for kept in lifted.still)
    return f"{done} {still}".strip()


def approve(engine: Engine, order_id: str, who: str, why: str, now_ms: int) -> str:
    """Lets an order that waits stand, and with it every one of its key."""
    with writing(engine) as conn:
        return f"{counted(len(orders.approve(conn, order_id, who, why, now_ms)))} let through: the block stands."


def refuse(engine: Engine, order_id: str, who: str, why: str, now_ms: int) -> str:
    """Says no to an order that waits; its key stays lifted for a day."""
    with writing(engine) as conn:
        return (
            f"Refused: {counted(len(orders.deny(conn, order_id, who, why, now_ms).order_ids))} lifted, and none comes for a day."
        )


def counted(n: int) -> str:
    """
    >>> counted(1), counted(3)
    ('1 order', '3 orders')
    """
    return f"{n:,} order{'s' * (n != 1)}"
