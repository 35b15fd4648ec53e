"""What is known of carriers and gateways at this moment: quality, suspicion, calls in progress, gateways that do not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.numbering import country_code


class Standing(NamedTuple):
    """How a carrier does at a destination. `score` is 0 to 1; `asr` None = not known; `suspected` = fraud, and why."""

    score: float = 0.5
    asr: float | None = None
    attempts: float = 0.0
    suspected: str = ""


NOTHING_KNOWN = Standing()


class Live(NamedTuple):
    """`standings`: by carrier and calling code; ("blue", "") is the carrier's own mean. `busy`: calls in progress by gateway. `down`: gateways
    that are passed over, and why; `denied`: carriers that get no call, and why."""

    standings: Mapping[tuple[str, str], Standing] = {}
    busy: Mapping[str, int] = {}
    down: Mapping[str, str] = {}
    denied: Mapping[str, str] = {}

    def standing(self, carrier: str, digits: str) -> Standing:
        """How a carrier does at the destination of a number.

        >>> Live({("blue", "43"): Standing(0.9)}).standing("blue", "436641").score, Live().standing("red", "1").score
        (0.9, 0.5)
        """
        return self.standings.get((carrier, country_code(digits))) or self.standings.get((carrier, "")) or NOTHING_KNOWN

    def load(self, gateway: str, capacity: int | None) -> float:
        """The share of a gateway's capacity that is in use; without a capacity, of 1,000 calls."""
        return self.busy.get(gateway, 0) / (capacity or 1_000)
