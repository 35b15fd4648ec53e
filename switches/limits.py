"""How much may be blocked without a person. At a limit an order waits for one: it is never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from core.orders import Key

Answered = Callable[[str, Sequence[Key], int], "tuple[int, int] | None"]
"""(tenant, keys, now_ms) -> (answered calls of the hour before now that the keys together would have refused, all answered
calls); None = not known. It answers at once, from memory: it is asked while orders wait. It must not raise."""


@dataclass(frozen=True)
class Limits:
    """Of one tenant. A new issue of an order that stands already is not counted: it blocks nobody who is not blocked."""

    orders_a_minute: int = 30
    distinct_subjects: int = 100  # callers blocked at once: account or trunk, with a_number
    answered_share: float = 0.3  # of the last hour's answered calls
    answered_at_least: int = 500  # under so many answered calls in the hour a share says nothing


Subject = tuple[str, str, str]


def subject(key: Key) -> Subject:
    """Who is refused, whatever they dial."""
    return key.account, key.ingress_trunk, key.a_number


def reached(limits: Limits, key: Key, opened_in_minute: int, blocked: Set[Subject], answered: tuple[int, int] | None) -> str:
    """The limit that one more key would break, in words, or "". `blocked`: who is blocked already; `answered`: what those
    blocks and this one together would have refused.

    >>> few = Limits(orders_a_minute=2, distinct_subjects=1)
    >>> one, two = Key(tenant="t", account="x"), Key(tenant="t", account="y")
    >>> reached(few, one, 0, set(), None), reached(few, one, 2, set(), None)
    ('', '2 orders in the last minute, and the limit is 2')
    >>> reached(few, two, 0, {subject(one)}, None), reached(few, one, 0, set(), (400, 1000))
    ('2 callers would be blocked at once, and the limit is 1', 'it would refuse 40 % of the last hour, and the limit is 30 %')
    """
    if opened_in_minute >= limits.orders_a_minute:
        return f"{opened_in_minute} orders in the last minute, and the limit is {limits.orders_a_minute}"
    subjects = len(blocked) + (subject(key) not in blocked)
    if subjects > limits.distinct_subjects:
        return f"{subjects} callers would be blocked at once, and the limit is {limits.distinct_subjects}"
    if answered and answered[1] >= limits.answered_at_least and answered[0] > limits.answered_share * answered[1]:
        share = 100 * answered[0] // answered[1]
        return f"it would refuse {share} % of the last hour, and the limit is {100 * limits.answered_share:.0f} %"
    return ""
