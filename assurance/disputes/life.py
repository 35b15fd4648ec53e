"""The life of a dispute as a table, and the clock of the agreement.

    detected -> quantified -> approved -> sent -> acknowledged -> countered -> agreed -> credited
                                              (rejected, escalated on the way; expired and withdrawn end it)
"""

from __future__ import annotations

from collections.abc import Mapping

DAY_MS = 86_400_000

NEXT: Mapping[tuple[str, str], str] = {
    ("", "detect"): "detected",
    ("detected", "quantify"): "quantified",
    ("quantified", "approve"): "approved",
    ("approved", "send"): "sent",
    ("sent", "acknowledge"): "acknowledged",
    ("sent", "counter"): "countered", ("acknowledged", "counter"): "countered", ("escalated", "counter"): "countered",
    ("sent", "agree"): "agreed", ("acknowledged", "agree"): "agreed", ("countered", "agree"): "agreed", ("escalated", "agree"): "agreed",
    ("agreed", "credit"): "credited",
    ("sent", "reject"): "rejected", ("acknowledged", "reject"): "rejected", ("countered", "reject"): "rejected", ("escalated", "reject"): "rejected",
    ("sent", "escalate"): "escalated", ("acknowledged", "escalate"): "escalated", ("countered", "escalate"): "escalated",
    ("rejected", "escalate"): "escalated",
    ("detected", "withdraw"): "withdrawn", ("quantified", "withdraw"): "withdrawn", ("approved", "withdraw"): "withdrawn",
    ("sent", "withdraw"): "withdrawn", ("acknowledged", "withdraw"): "withdrawn", ("countered", "withdraw"): "withdrawn",
    ("rejected", "withdraw"): "withdrawn", ("escalated", "withdraw"): "withdrawn",
    ("detected", "expire"): "expired", ("quantified", "expire"): "expired", ("approved", "expire"): "expired",
}  # fmt: skip
"""(state, event) -> the next state. What is not here is refused."""

CLOSED = frozenset({"credited", "withdrawn", "expired"})
UNSENT = frozenset({"detected", "quantified", "approved"})
WAITS = frozenset({"sent", "acknowledged", "countered", "rejected", "escalated"})
"""States in which the other side, or an answer to it, is waited for."""


class NotPossible(ValueError):
    """An event that does not fit the state; the text says which ones do."""


def after(state: str, event: str) -> str:
    """The state after an event.

    >>> after("sent", "counter"), after("countered", "agree")
    ('countered', 'agreed')
    >>> after("detected", "send")
    Traceback (most recent call last):
    ...
    assurance.disputes.life.NotPossible: a dispute that is detected cannot be sent: next can be expire, quantify, withdraw
    """
    found = NEXT.get((state, event))
    if found is None:
        possible = ", ".join(sorted(one for before, one in NEXT if before == state)) or "nothing: it is closed"
        words = {"send": "sent", "approve": "approved", "agree": "agreed", "credit": "credited", "counter": "countered"}.get(event, f"{event}ed")
        raise NotPossible(f"a dispute that is {state or 'new'} cannot be {words}: next can be {possible}")
    return found


def due_ms(state: str, received_ms: int, now_ms: int, dispute_days: int) -> int:
    """By when the next step has to be taken: a dispute is sent within the agreement's days after the bill came; after that each answer has as many
    days. 0 = nothing is due.

    >>> [due_ms(state, 0, 5 * DAY_MS, 30) // DAY_MS for state in ("detected", "sent", "credited")]
    [30, 35, 0]
    """
    if state in UNSENT:
        return received_ms + dispute_days * DAY_MS
    return now_ms + dispute_days * DAY_MS if state in WAITS or state == "agreed" else 0
