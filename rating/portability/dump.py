"""A ported-number table: read from a full dump, changed by deltas, asked for one number or many.

    number,lrn                a dump: each number once, with where it was ported to
    +,43664123456,4369911     a delta: ported, or ported again
    -,43664123456             a delta: back home

Lines are separated by line ends, fields by commas or semicolons; a heading, empty lines and lines that begin with # are passed over. A line
that cannot be read is a finding with its number; the others are taken. A file with more bad lines than `MOST_BAD_SHARE` is refused whole:
then it is another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rating.prefixes import Ints, encode

MOST_BAD_SHARE = 0.05
MOST_FINDINGS = 1_000
"""Of a file; more are counted."""

_E164 = re.compile(r"\+?([1-9][0-9]{3,14})")
_LRN = re.compile(r"\+?([0-9]{2,18})")


class Finding(NamedTuple):
    """A line that was not taken."""

    line: int
    text: str
    why: str


class Read(NamedTuple):
    """`lrn` "" = the number is back home. Of a number that comes twice the last line counts."""

    changes: dict[str, str]
    lines: int
    findings: tuple[Finding, ...]
    bad: int

    @property
    def is_refused(self) -> bool:
        """Whether too many lines are bad."""
        return self.bad > MOST_BAD_SHARE * max(self.lines, 1)


def read(lines: Iterable[bytes], delta: bool) -> Read:
    """The lines of a dump or of a delta.

    >>> found = read([b"number,lrn", b"43664123456,4369911", b"43664,x", b"+43664123457;4369922"], delta=False)
    >>> found.changes, [(one.line, one.why) for one in found.findings]
    ({'43664123456': '4369911', '43664123457': '4369922'}, [(3, "'x' is no LRN: 2 to 18 digits")])
    >>> read([b"+,43664123456,4369911", b"-,43664123457"], delta=True).changes
    {'43664123456': '4369911', '43664123457': ''}
    """
    changes: dict[str, str] = {}
    findings: list[Finding] = []
    count = bad = 0
    for at, raw in enumerate(lines, 1):
        text = raw.decode("utf-8-sig" if at == 1 else "utf-8", "replace").strip()
        if not text or text.startswith("#"):
            continue
        cells = [cell.strip().strip('"') for cell in re.split("[,;\t]", text)]
        if not count and not any(character.isdigit() for character in text):
            continue  # its heading
        count += 1
        number, lrn, why = _delta(cells) if delta else _dump(cells)
        if why:
            bad += 1
            if len(findings) < MOST_FINDINGS:
                findings.append(Finding(at, text[:80], why))
        else:
            changes[number] = lrn
    return Read(changes, count, tuple(findings), bad)


def _dump(cells: list[str]) -> tuple[str, str, str]:
    if len(cells) < 2:
        return "", "", "has one field: a dump has number,lrn"
    number, lrn = _E164.fullmatch(cells[0]), _LRN.fullmatch(cells[1])
    if not number:
        return "", "", f"{cells[0][:20]!r} is no number: 4 to 15 digits with the country code"
    if not lrn:
        return "", "", f"{cells[1][:20]!r} is no LRN: 2 to 18 digits"
    return number[1], lrn[1], ""


def _delta(cells: list[str]) -> tuple[str, str, str]:
    if cells[0] not in ("+", "-"):
        return "", "", f"begins with {cells[0][:20]!r}: a line of a delta begins with + (ported) or - (back home)"
    if cells[0] == "+":
        return _dump(cells[1:])
    number = _E164.fullmatch(cells[1]) if len(cells) > 1 else None
    return (number[1], "", "") if number else ("", "", "names no number: 4 to 15 digits with the country code")


class Table(NamedTuple):
    """Numbers in order (as `rating.prefixes` writes them), and the place in `lrns` of each. 16 bytes a number: ten million are 160 MB."""

    codes: Ints
    which: npt.NDArray[np.int32]
    lrns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def find(self, digits: str) -> str:
        """Where a number was ported to; "" = it was not.

        >>> changed(EMPTY, {"43664123456": "4369911"}).find("43664123456")
        '4369911'
        """
        code = encode(digits)
        at = int(np.searchsorted(self.codes, code))
        return self.lrns[self.which[at]] if at < len(self.codes) and self.codes[at] == code else ""


EMPTY = Table(np.empty(0, np.int64), np.empty(0, np.int32), ())


def changed(table: Table, changes: dict[str, str]) -> Table:
    """A table with changes applied; the one before is left as it was.

    >>> one = changed(EMPTY, {"431111": "4301", "432222": "4302"})
    >>> two = changed(one, {"431111": "", "433333": "4302"})
    >>> [two.find(number) for number in ("431111", "432222", "433333")], len(one), len(two)
    (['', '4302', '4302'], 2, 2)
    """
    if not changes:
        return table
    places = {lrn: at for at, lrn in enumerate(table.lrns)}
    codes = np.fromiter((encode(number) for number in changes), np.int64, len(changes))
    which = np.fromiter((places.setdefault(lrn, len(places)) if lrn else -1 for lrn in changes.values()), np.int64, len(changes))
    order = np.argsort(codes, kind="stable")
    codes, which = codes[order], which[order]
    kept = ~np.isin(table.codes, codes)
    new = which >= 0
    merged = np.concatenate([table.codes[kept], codes[new]])
    whose = np.concatenate([table.which[kept].astype(np.int64), which[new]])
    order = np.argsort(merged, kind="stable")
    return Table(merged[order], whose[order].astype(np.int32), tuple(places))
