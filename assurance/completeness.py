"""The completeness control: every offset of `calls` is a stored row or a tick, or it is reported. Pure: `services.completeness` reads the
journal and the warehouse for it.

Offsets are stretches: (first, last), both included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

Stretch = tuple[int, int]


class Stored(NamedTuple):
    """The rows of a partition in the warehouse. `absent`: the stretches without a row between the first and the last offset."""

    first_offset: int = 0
    last_offset: int = -1
    received: int = 0
    unexplained: int = 0
    absent: tuple[Stretch, ...] = ()


class Coverage(NamedTuple):
    """A partition of `calls`, from the first offset in the journal (or the first stored one) up to `upto`: offsets = received + ticks + lost +
    those in gaps. `lost` is empty unless something is wrong. `gaps`: stretches that could no longer be read; their content is unknown."""

    partition: int
    first_offset: int
    upto: int  # exclusive
    received: int
    ticks: int
    lost: list[int]  # offsets with a record in the journal and no row
    unexplained: int  # rows whose disposition is none of the six; must be 0
    gaps: list[Stretch] = []  # noqa: RUF012 - never modified


def missing_rows(stored: Stored, first_held: int, end: int) -> Iterator[Stretch]:
    """The stretches without a row below `end`. Where no row is stored these are all offsets from 0, also those that the journal no longer has.

    >>> list(missing_rows(Stored(2, 9, 6, 0, ((4, 5),)), 0, 12)), list(missing_rows(Stored(), 3, 5))
    ([(0, 1), (4, 5), (10, 11)], [(0, 4)])
    """
    for low, high in ((first_held, stored.first_offset - 1), *stored.absent, (stored.last_offset + 1, end - 1)):
        if low <= high:
            yield low, high


def overlaps(known: Iterable[Stretch], first: int, last: int) -> list[Stretch]:
    """The parts of the known stretches within one stretch, each once.

    >>> overlaps([(5, 9)], 0, 6), overlaps([(5, 9), (5, 9)], 7, 20), overlaps([(5, 9)], 10, 12)
    ([(5, 6)], [(7, 9)], [])
    """
    found = [(max(low, first), min(high, last)) for low, high in known]
    return sorted({(low, high) for low, high in found if low <= high})


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same offsets as the fewest stretches.

    >>> merged([(5, 9), (1, 2), (3, 3), (7, 12)])
    [(1, 3), (5, 12)]
    """
    found: list[Stretch] = []
    for first, last in sorted(stretches):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
