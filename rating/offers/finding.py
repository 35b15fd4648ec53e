"""What is wrong or worth knowing in a carrier's file: which row, which column, what, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

KEPT_PER_KIND = 50
"""Findings of one kind that are kept with their rows; of all others only how many there are: a column of a million wrong cells is one fault."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact about a file. An `error` stops the import; a `warning` is for a person to judge; a `note` says how something was read."""

    kind: str  # which rule found it, in one word or two
    level: Level
    what: str
    do: str = ""
    sheet: str = ""  # of a workbook with several
    row: int = 0  # of the file, counted from 1; 0 = the file as a whole
    column: str = ""  # as the file calls it

    def text(self) -> str:
        """One line for a person.

        >>> Finding(kind="zero increment", level="error", row=7, column="Incr", what="'0/1' has an increment of 0", do="write 1/1").text()
        "row 7, column Incr: '0/1' has an increment of 0: write 1/1"
        """
        named = ("sheet", self.sheet), ("row", self.row), ("column", self.column)
        place = ", ".join(f"{name} {value}" for name, value in named if value)
        return f"{place}: " * bool(place) + self.what + f": {self.do}" * bool(self.do)


class OfferError(ValueError):
    """A file that cannot be taken at all; `findings` say why."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(finding.text() for finding in findings))
        self.findings = findings


def refused(kind: str, what: str, do: str = "", row: int = 0) -> OfferError:
    """An error about the file as a whole, to be raised."""
    return OfferError(Finding(kind=kind, level="error", what=what, do=do, row=row))


@dataclass
class Findings:
    """Findings as they are made: the first of each kind whole, the others counted.

    >>> found = Findings()
    >>> for row in range(1, 101): found.add("letters", "error", "a letter", row=row)
    >>> len(list(found)), found.counts, found.has_errors
    (50, {'letters': 100}, True)
    """

    counts: dict[str, int] = field(default_factory=dict)
    sheet: str = ""  # of whose rows findings tell
    _kept: list[Finding] = field(default_factory=list)
    _errors: int = 0

    def add(self, kind: str, level: Level, what: str, do: str = "", row: int = 0, column: str = "") -> None:
        """Notes one finding."""
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        self._errors += level == "error"
        if count <= KEPT_PER_KIND:
            sheet = self.sheet if row or column else ""
            self._kept.append(Finding(kind=kind, level=level, what=what, do=do, sheet=sheet, row=row, column=column))

    def count(self, kind: str, level: Level, more: int) -> None:
        """Counts findings of a kind that has enough of them already."""
        self.counts[kind] = self.counts.get(kind, 0) + more
        self._errors += more * (level == "error")

    def take(self, others: Findings) -> None:
        """Adds what another part of the import found."""
        for kind, count in others.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count
        self._errors += others._errors
        self._kept += others._kept

    @property
    def has_errors(self) -> bool:
        """Whether nothing may be imported."""
        return self._errors > 0

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self._kept, key=lambda one: LEVELS.index(one.level)))
