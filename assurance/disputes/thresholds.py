"""Which differences are worth a dispute: those of price always, those of volume from a share of the bill or an amount on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from assurance.reconcile.causes import CAUSES
from core.money import NANOS

NEVER = frozenset({"missing_theirs", "period_boundary", "within_tolerance", "unreadable"})
"""Causes by which nobody has taken too much, or not yet."""


class Thresholds(NamedTuple):
    """Of causes that are no price: disputed from this share of the bill on, or from this amount on, whichever is less."""

    volume_share: float = 0.01
    volume_nanos: int = 1_000 * NANOS


class Worth(NamedTuple):
    """A cause, what it costs, and whether a dispute is worth while, with the reason."""

    cause: str
    nanos: int
    parts: int
    is_worth: bool
    why: str


def worth(causes: Iterable[tuple[str, int, int]], theirs_nanos: int, ours_first: bool = True, limits: Thresholds = Thresholds()) -> list[Worth]:
    """What is worth a dispute of the causes (`cause`, `nanos`, `parts`) of a bill. Only what is against us counts: positive where we pay
    (`ours_first`), negative where we are paid.

    >>> [(one.cause, one.is_worth, one.why) for one in worth([("rate", 5, 1), ("minutes", 50 * NANOS, 9)], 10_000 * NANOS)]
    [('rate', True, 'a price: always'), ('minutes', False, 'a volume of less than 100.00')]
    """
    least = min(limits.volume_nanos, round(limits.volume_share * abs(theirs_nanos)))
    found = []
    for cause, nanos, parts in causes:
        names = cause.split("|")
        against = nanos if ours_first else -nanos
        if against <= 0:
            verdict = False, "it is not against us"
        elif all(name in NEVER for name in names):
            verdict = False, CAUSES[names[0]].remedy
        elif all(CAUSES[name].is_rate for name in names):
            verdict = True, "a price: always"
        elif against >= least:
            verdict = True, f"a volume of {least / NANOS:,.2f} or more"
        else:
            verdict = False, f"a volume of less than {least / NANOS:,.2f}"
        found.append(Worth(cause, nanos, parts, *verdict))
    return found
