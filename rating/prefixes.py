"""Longest prefix as an interval look-up: nested prefixes flatten once into disjoint ranges of integers.

Digits are written as 1 to 10 in base 11 over 18 places, 0 being "no digit": zero padding would make 560328 match 5603280.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PLACES = 18  # 11**18 < 2**63; E.164 needs 15
_WEIGHTS = 11 ** np.arange(PLACES - 1, -1, -1, dtype=np.int64)

Ints = npt.NDArray[np.int64]


def encode(digits: str) -> int:
    """The integer of one string of digits.

    >>> encode("560328") < encode("5603280") < encode("560329")
    True
    """
    return sum((int(d) + 1) * int(w) for d, w in zip(digits[:PLACES], _WEIGHTS, strict=False))


def encode_all(numbers: Iterable[str]) -> Ints:
    """The integers of many strings of digits ("" is 0, which lies before every prefix).

    >>> encode_all(["560328", ""]).tolist() == [encode("560328"), 0]
    True
    """
    raw = np.frombuffer("".join([number[:PLACES].ljust(PLACES, "\0") for number in numbers]).encode("ascii"), np.uint8)
    digits = raw.reshape(-1, PLACES).astype(np.int64) - 47  # "0" is 1
    digits[digits < 0] = 0
    return digits @ _WEIGHTS


@dataclass(frozen=True)
class PrefixIndex:
    """`starts[i]` to `starts[i + 1]` belongs to `rows[i]` (-1 = to nobody)."""

    starts: Ints
    rows: Ints

    def find(self, codes: Ints) -> Ints:
        """The row of the longest prefix of each code, or -1."""
        found: Ints = self.rows[np.searchsorted(self.starts, codes, side="right") - 1]
        return found

    def find_one(self, digits: str) -> int:
        """The row of the longest prefix of one number, or -1."""
        return int(self.rows[int(np.searchsorted(self.starts, encode(digits), side="right")) - 1])


def build(prefixes: Sequence[str], rows: Sequence[int]) -> PrefixIndex:
    """The index of prefixes (each once), where `rows[i]` is what `prefixes[i]` leads to.

    >>> index = build(["43", "436", "1"], [0, 1, 2])
    >>> [index.find_one(n) for n in ("431", "4366", "44", "1", "4", "")]
    [0, 1, -1, 2, -1, -1]
    """
    begins = encode_all(prefixes)
    ends = begins + 11 ** (PLACES - np.asarray([len(prefix) for prefix in prefixes], np.int64))
    order = np.argsort(begins)  # a longer prefix sorts behind the one that it lies in
    spans = zip(begins[order].tolist(), ends[order].tolist(), np.asarray(rows, np.int64)[order].tolist(), strict=True)
    starts, owners = [0], [-1]
    around: list[tuple[int, int]] = []  # (end, row) of the prefixes that we stand inside, outermost first

    def leave(until: int) -> None:
        while around and around[-1][0] <= until:
            end, _ = around.pop()
            starts.append(end)
            owners.append(around[-1][1] if around else -1)

    for start, end, row in spans:
        leave(start)
        starts.append(start)
        owners.append(row)
        around.append((end, row))
    leave(2**63 - 1)
    # Where several ranges begin at one place, the last written is the innermost.
    at = np.asarray(starts, np.int64)
    last = np.append(at[1:] != at[:-1], True)
    return PrefixIndex(at[last], np.asarray(owners, np.int64)[last])
