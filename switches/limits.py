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
    ('', '2 new blocks were ordered in the last minute; more than 2 in a minute need a person')
    >>> reached(few, two, 0, {subject(one)}, None), reached(few, one, 0, set(), (400, 1000))
    ('2 callers would be blocked at once; more than 1 need a person', \
'all blocks together would have refused 400 of the 1,000 answered calls of the last hour (40 %); more than 30 % need a person')
    """
    if opened_in_minute >= limits.orders_a_minute:
        return f"{opened_in_minute:,} new blocks were ordered in the last minute; more than {limits.orders_a_minute:,} in a minute need a person"
    subjects = len(blocked) + (subject(key) not in blocked)
    if subjects > limits.distinct_subjects:
        return f"{subjects:,} callers would be blocked at once; more than {limits.distinct_subjects:,} need a person"
    if answered and answered[1] >= limits.answered_at_least and answered[0] > limits.answered_share * answered[1]:
        share = 100 * answered[0] // answered[1]
        return (
            f"all blocks together would have refused {answered[0]:,} of the {answered[1]:,} answered calls of the last hour ({share} %); "
            f"more than {100 * limits.answered_share:.0f} % need a person"
        )
    return ""
