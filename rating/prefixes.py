"""Longest prefix as an interval look-up: nested prefixes flatten once into disjoint ranges of integers.

Digits are written as 1 to 10 in base 11 over 18 places, 0 being "no digit": zero padding would make 560328 match 5603280.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

BLOCK = 32_768
"""Numbers that are taken apart into digits at a time: all of a long deck would be 300 MB."""
PLACES = 18  # 11**18 < 2**63; E.164 needs 15
_WEIGHTS = 11 ** np.arange(PLACES - 1, -1, -1, dtype=np.int64)

Ints = npt.NDArray[np.int64]


_TO_BASE_11 = str.maketrans("0123456789", "123456789a")


def encode(digits: str) -> int:
    """The integer of one string of digits.

    >>> encode("560328") < encode("5603280") < encode("560329")
    True
    """
    return int(digits[:PLACES].translate(_TO_BASE_11).ljust(PLACES, "0"), 11)


def encode_all(numbers: Sequence[str]) -> Ints:
    """The integers of many strings of digits ("" is 0, which lies before every prefix).

    >>> encode_all(["560328", ""]).tolist() == [encode("560328"), 0]
    True
    """
    found = np.empty(len(numbers), np.int64)
    for at in range(0, len(numbers), BLOCK):
        block = numbers[at : at + BLOCK]
        raw = np.frombuffer("".join([number[:PLACES].ljust(PLACES, "\0") for number in block]).encode("ascii"), np.uint8)
        digits = raw.reshape(-1, PLACES).astype(np.int64) - 47  # "0" is 1
        digits[digits < 0] = 0
        np.matmul(digits, _WEIGHTS, out=found[at : at + BLOCK])
    return found


def ends_of(prefixes: Sequence[str], begins: Ints) -> Ints:
    """Where the numbers with each prefix end, exclusive. `begins`: the prefixes' own integers."""
    lengths = np.fromiter(map(len, prefixes), np.int64, len(prefixes))
    found: Ints = begins + np.int64(11) ** (PLACES - lengths)
    return found


@dataclass(frozen=True)
class PrefixIndex:
    """`starts[i]` to `starts[i + 1]` belongs to row `rows[i]` (-1 = to nobody). `following[row]` is the row that comes next for a number
    that the row does not fit: another of the same prefix, else the first of the next shorter one, else -1."""

    starts: Ints
    rows: Ints
    following: Ints

    def find(self, codes: Ints) -> Ints:
        """The first row of the longest prefix of each code, or -1."""
        found: Ints = self.rows[np.searchsorted(self.starts, codes, side="right") - 1]
        return found

    def find_one(self, digits: str) -> int:
        """The first row of the longest prefix of one number, or -1."""
        return self._rows[bisect_right(self._starts, encode(digits)) - 1]

    # Of one number, Python's own bisection over an array is three times as fast as numpy's.
    @cached_property
    def _starts(self) -> array[int]:
        return array("q", self.starts.tobytes())

    @cached_property
    def _rows(self) -> array[int]:
        return array("q", self.rows.tobytes())


def build(prefixes: Sequence[str], *ranks: Ints) -> PrefixIndex:
    """The index of the rows of a deck. `ranks`: the order of rows of one prefix, the smallest first, the first rank deciding before the
    second; rows that are equal in all of them stay in their order.

    >>> index = build(["43", "436", "1", "436"], np.asarray([0, 2, 0, 1]))
    >>> [index.find_one(n) for n in ("431", "4366", "44", "1", "4", "")], index.following.tolist()
    ([0, 3, -1, 2, -1, -1], [-1, 0, -1, 1])
    """
    begins = encode_all(prefixes)
    # A longer prefix sorts behind the one that it lies in: a missing digit is less than any.
    order = np.lexsort((*reversed(ranks), begins))
    ordered = begins[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1]) if len(order) else np.empty(0, np.bool_)
    following = np.full(len(order), -1, np.int64)
    following[order[:-1]] = np.where(is_first[1:], -1, order[1:])
    heads = order[is_first]  # the first row of each prefix
    tails = order[np.append(is_first[1:], True)] if len(order) else heads
    ends = ends_of(prefixes, begins)
    starts, owners, parents = array("q", [0]), array("q", [-1]), array("q")
    around: list[tuple[int, int]] = []  # (end, row) of the prefixes that we stand inside, outermost first
    for start, end, row in zip(*(array("q", column.tobytes()) for column in (begins[heads], ends[heads], heads)), strict=True):
        while around and around[-1][0] <= start:
            left, _ = around.pop()
            starts.append(left)
            owners.append(around[-1][1] if around else -1)
        parents.append(around[-1][1] if around else -1)
        starts.append(start)
        owners.append(row)
        around.append((end, row))
    while around:
        left, _ = around.pop()
        starts.append(left)
        owners.append(around[-1][1] if around else -1)
    following[tails] = np.frombuffer(parents, np.int64)
    # Where several ranges begin at one place, the last written is the innermost.
    at = np.frombuffer(starts, np.int64)
    last = np.append(at[1:] != at[:-1], True)
    return PrefixIndex(at[last], np.frombuffer(owners, np.int64)[last], following)
