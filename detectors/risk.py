"""The risk of a destination, from the `phonenumbers` metadata: a weight on money, never a finding by itself.

The metadata are regular expressions, up to three per country, and nearly every call has a number that was not met before. So they run as
one automaton over digits: its states are made when a number first needs them, and a million numbers are one compiled loop.
"""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import phonenumbers
import polars as pl
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

ORDINARY, SHARED_COST, UNALLOCATED, SATELLITE, PREMIUM = "ordinary", "shared cost", "unallocated", "satellite", "premium"

WEIGHTS = {ORDINARY: 1.0, SHARED_COST: 2.0, UNALLOCATED: 3.0, SATELLITE: 4.0, PREMIUM: 6.0}

SATELLITE_CODES = frozenset({870, 881, 882, 883})
"""Inmarsat, the global mobile satellite system, and the two international network codes (ITU-T E.164, list of assigned codes)."""

SHORT_DIGITS = 7
"""A number of fewer digits is ordinary: short codes and emergency numbers have no place in the plan."""

LEADING = {"1": 4, "39": 5, "44": 5}
"""So many digits behind a shared country code decide which country it is, 2 of other codes: 264 of +1 is Anguilla."""

CAPACITY = 1 << 15
"""States that are held at once. All of them go when there is no room for one more; 200,000 numbers of all countries need 7,000."""


class Risk(NamedTuple):
    """What a destination is, where (ISO country, "001" for global services), and the weight of money spent there."""

    kind: str
    country: str
    weight: float


@lru_cache(maxsize=65_536)  # a call is looked at several times: a number that was met costs a tenth
def risk_of(b_number: str) -> Risk:
    """The risk of E.164 digits; short and empty numbers are ordinary, and what is no number is unallocated.

    >>> risk_of("431234567").kind, risk_of("881612345678").kind, risk_of("37190012345").kind, risk_of("").kind
    ('ordinary', 'satellite', 'premium', 'ordinary')
    >>> risk_of("18765551234").country, risk_of("12125551234").country, risk_of("77012345678").country, risk_of("447911123456").country
    ('JM', 'US', 'KZ', 'GB')
    """
    return _AUTOMATON.risk_of(b_number)


def risks_of(numbers: pl.Series) -> pl.DataFrame:
    """`risk_of` for a column of E.164 digits (null = ""): a frame of `kind`, `country` (String) and `weight` (Float64), a row per number.

    >>> risks_of(pl.Series(["881612345678", "18765551234", None])).rows()
    [('satellite', '001', 4.0), ('ordinary', 'JM', 1.0), ('ordinary', '', 1.0)]
    """
    return _AUTOMATON.risks_of(numbers)


class _State(NamedTuple):
    """What the digits that were read still allow. A position is one digit of a pattern; a negative one is the end of a pattern."""

    code: str  # the country code, or its digits so far
    region: int = -1  # of the countries that share the code, the first whose leading digits these are; -1 = none so far
    depth: int = 0  # national digits read, as long as leading digits may still decide
    leading: frozenset[int] = frozenset()  # positions in patterns of leading digits
    national: frozenset[int] = frozenset()  # positions in patterns of national numbers


_REGIONS = {str(code): regions for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
_START, _NO_CODE = _State(""), _State("000")
_NOT_MADE = -1
_GENERAL, _PREMIUM, _SHARED = 0, 1, 2


class Automaton:
    """The patterns of all countries as one table: state x digit -> state. Equal to matching the regular expressions one by one."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._masks: list[int] = []  # of each position, the digits that it takes, as bits
        self._follows: list[frozenset[int]] = []  # and what may come after it
        self._entries: dict[str, _State] = {}  # country code -> the state behind it
        self._risks = [Risk(ORDINARY, "", WEIGHTS[ORDINARY])]
        self._number_of_risk = {self._risks[0]: 0}
        # Arrays of one size for life: the compiled loop works in the same memory.
        self._next, self._risk_at = array("i", [_NOT_MADE]) * (10 * capacity), array("i", [0]) * capacity
        self._capacity = capacity
        self._lock = threading.Lock()
        self._forget()

    def risk_of(self, b_number: str) -> Risk:
        """As the function of that name."""
        if len(b_number) < SHORT_DIGITS:
            return self._risks[0]
        with self._lock:
            state = 0
            for character in b_number.encode():
                digit = character - 48
                if not 0 <= digit <= 9:
                    return Risk(UNALLOCATED, "", WEIGHTS[UNALLOCATED])
                following = self._next[10 * state + digit]
                state = following if following != _NOT_MADE else self._make(state, digit)
            return self._risks[self._risk_at[state]]

    def risks_of(self, numbers: pl.Series) -> pl.DataFrame:
        """As the function of that name."""
        texts = numbers.cast(pl.String).fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int64, len(texts) + 1, 8 * texts.offset) if len(texts) else np.zeros(1, np.int64)
        characters = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
        following, risk_at = np.frombuffer(self._next, np.int32), np.frombuffer(self._risk_at, np.int32)
        found = np.empty(len(texts), np.int32)
        with self._lock:
            unallocated = self._number(Risk(UNALLOCATED, "", WEIGHTS[UNALLOCATED]))
            row, state, digit = walk(characters, ends, 0, following, risk_at, unallocated, found)
            while row < len(texts):
                self._make(state, digit)
                row, state, digit = walk(characters, ends, row, following, risk_at, unallocated, found)
            known = pl.DataFrame(self._risks, schema={"kind": pl.String, "country": pl.String, "weight": pl.Float64}, orient="row")
        return known[found]

    def _forget(self) -> None:
        self._states, self._number_of_state = list[_State](), dict[_State, int]()
        np.frombuffer(self._next, np.int32)[:] = _NOT_MADE
        self._place(_START)

    def _make(self, before: int, digit: int) -> int:
        """The number of the state that a digit leads to. When there is no room, all states go first, and `before` is made again."""
        state = self._states[before]
        if len(self._states) >= self._capacity - 1:
            self._forget()
            before = self._place(state)
        number = self._place(self._after(state, digit))
        self._next[10 * before + digit] = number
        return number

    def _place(self, state: _State) -> int:
        number = self._number_of_state.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            self._risk_at[number] = self._number(_risk_at(state))
        return number

    def _number(self, risk: Risk) -> int:
        number = self._number_of_risk.setdefault(risk, len(self._risks))
        if number == len(self._risks):
            self._risks.append(risk)
        return number

    def _after(self, state: _State, digit: int) -> _State:
        if state.code not in _REGIONS:
            code = state.code + str(digit)
            return self._entry(code) if code in _REGIONS else _NO_CODE if len(code) >= 3 else _State(code)
        leading, national = self._step(state.leading, digit), self._step(state.national, digit)
        decided = [-1 - end for end in leading if end < 0] + ([state.region] if state.region >= 0 else [])
        depth = state.depth + 1
        if not leading or depth == LEADING.get(state.code, 2):
            leading, depth = frozenset(), 0
        return _State(state.code, min(decided, default=-1), depth, leading, national)

    def _step(self, positions: Iterable[int], digit: int) -> frozenset[int]:
        took = [self._follows[at] for at in positions if at >= 0 and self._masks[at] >> digit & 1]
        return frozenset().union(*took)

    def _entry(self, code: str) -> _State:
        """The state behind a country code: the first positions of all patterns of its countries."""
        if code not in self._entries:
            leading, national = set[int](), set[int]()
            for place, region in enumerate(_REGIONS[code]):
                metadata = _metadata(region, int(code))
                if metadata is None:
                    continue
                if metadata.leading_digits and len(_REGIONS[code]) > 1:
                    leading |= self._first(metadata.leading_digits, frozenset({-1 - place}))
                for kind, part in enumerate((metadata.general_desc, metadata.premium_rate, metadata.shared_cost)):
                    pattern = getattr(part, "national_number_pattern", None)
                    if pattern and pattern != "NA":
                        national |= self._first(pattern, frozenset({_end(place, kind)}))
            self._entries[code] = _State(code, leading=frozenset(leading), national=frozenset(national))
        return self._entries[code]

    def _first(self, pattern: str, after: frozenset[int]) -> frozenset[int]:
        """Where a match of a pattern may begin, if `after` comes behind it. Patterns know digits, classes, groups, | and counts."""
        alternatives = _alternatives(pattern)
        if len(alternatives) > 1:
            return frozenset().union(*(self._first(alternative, after) for alternative in alternatives))
        for item, least, most in reversed(_items(pattern)):
            once = after
            for repeat in range(most, 0, -1):
                entered = self._first(item[3:-1], once) if item.startswith("(?:") else self._position(item, once)
                once = entered if repeat <= least else entered | after
            after = once
        return after

    def _position(self, item: str, after: frozenset[int]) -> frozenset[int]:
        self._masks.append(sum(1 << digit for digit in range(10) if re.fullmatch(item, str(digit))))
        self._follows.append(after)
        return frozenset({len(self._masks) - 1})


def _end(place: int, kind: int) -> int:
    """The negative number of the end of a pattern: of which country of its code, and of general, premium or shared-cost numbers."""
    return -1 - (3 * place + kind)


def _risk_at(state: _State) -> Risk:
    """What a number is that ends in this state."""
    regions = _REGIONS.get(state.code)
    if regions is None:
        return Risk(UNALLOCATED, "", WEIGHTS[UNALLOCATED])
    kind, country = UNALLOCATED, regions[0]
    for place in [state.region] if state.region >= 0 else range(len(regions)):
        if _end(place, _GENERAL) in state.national:
            country = regions[place]
            premium, shared = _end(place, _PREMIUM) in state.national, _end(place, _SHARED) in state.national
            kind = PREMIUM if premium else SHARED_COST if shared else ORDINARY
            break
    if int(state.code) in SATELLITE_CODES:
        kind = SATELLITE
    return Risk(kind, country, WEIGHTS[kind])


def _metadata(region: str, code: int) -> Any:
    if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        return PhoneMetadata.metadata_for_nongeo_region(code, None)
    return PhoneMetadata.metadata_for_region(region, None)


_ITEM = re.compile(r"\d|\\d|\[[\d-]+\]")
_COUNT = re.compile(r"\{(\d+)(?:,(\d+))?\}|\?")


def _alternatives(pattern: str) -> list[str]:
    """
    >>> _alternatives("1|(?:2|3)4|5")
    ['1', '(?:2|3)4', '5']
    """
    found, start, depth = [], 0, 0
    for at, character in enumerate(pattern):
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            found.append(pattern[start:at])
            start = at + 1
    return [*found, pattern[start:]]


def _items(pattern: str) -> list[tuple[str, int, int]]:
    """What stands one after the other in a pattern without alternatives, with the least and the most of it.

    >>> _items(r"1[2-4]{3}(?:5|6(?:7|8))?\\d{2,4}")
    [('1', 1, 1), ('[2-4]', 3, 3), ('(?:5|6(?:7|8))', 0, 1), ('\\\\d', 2, 4)]
    >>> _items("1*")
    Traceback (most recent call last):
    ...
    ValueError: '1*' of the phonenumbers metadata, at 1: only digits, classes of digits, (?: ), |, ? and {n,m} can be read
    """
    found, at = [], 0
    while at < len(pattern):
        start = at
        if pattern.startswith("(?:", at):
            depth = 1
            while depth:
                at += 1
                depth += (pattern[at] == "(") - (pattern[at] == ")")
            at += 1
        elif item := _ITEM.match(pattern, at):
            at = item.end()
        else:
            raise ValueError(
                f"{pattern!r} of the phonenumbers metadata, at {at}: only digits, classes of digits, (?: ), |, ? and {{n,m}} can be read"
            )
        name, least, most = pattern[start:at], 1, 1
        if count := _COUNT.match(pattern, at):
            least = int(count[1] or 0)
            most = int(count[2] or count[1] or 1)
            at = count.end()
        found.append((name, least, most))
    return found


def walk_rows(
    characters: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    row: int,
    following: npt.NDArray[np.int32],
    risk_at: npt.NDArray[np.int32],
    unallocated: int,
    found: npt.NDArray[np.int32],
) -> tuple[int, int, int]:
    """Fills `found`, from a row on, with the number of each text's risk; stops at a row that needs a state that is not made yet, and
    returns the row, the state it came to and the digit that leads on; else the number of rows, and zeros."""
    while row < len(found):
        state, answer = 0, -1
        if ends[row + 1] - ends[row] < SHORT_DIGITS:
            answer = 0
        else:
            for at in range(ends[row], ends[row + 1]):
                digit = int(characters[at]) - 48
                if digit < 0 or digit > 9:
                    answer = unallocated
                    break
                to = following[10 * state + digit]
                if to < 0:
                    return row, state, digit
                state = to
        found[row] = answer if answer >= 0 else risk_at[state]
        row += 1
    return row, 0, 0


walk: Any = numba.njit(cache=True)(walk_rows)

_AUTOMATON = Automaton()
