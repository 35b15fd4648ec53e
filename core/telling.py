"""How a part says what it has done: it is handed `tell`, calls it with a value, and does not know who listens.

Once a batch, a post or a round, never once a record: whoever listens counts, and the hot path pays for it.
"""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[object], None]
"""Never raises, and returns at once."""


def nobody(value: object) -> None:
    """Nobody listens."""
