"""How a part reports what it has done: it calls its `report` with a value and does not depend on the receiver.

Once per batch, post or round, never once per record: the receiver counts, and the hot path would pay for it.
"""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[object], None]
"""Never raises, and returns at once."""


def ignore(value: object) -> None:
    """The report without a receiver."""
