"""The risk of a destination, from the `phonenumbers` metadata: a weight on money, never a finding by itself.

The metadata are regular expressions, up to three per country, and nearly every call has a new number. So they run as one automaton over
digits, whose states are made when a number first needs them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

from detectors.destination import REGIONS

ORDINARY, SHARED_COST, UNALLOCATED, SATELLITE, PREMIUM = "ordinary", "shared cost", "unallocated", "satellite", "premium"

WEIGHTS = {ORDINARY: 1.0, SHARED_COST: 2.0, UNALLOCATED: 3.0, SATELLITE: 4.0, PREMIUM: 6.0}

SATELLITE_CODES = frozenset({"870", "881", "882", "883"})
"""Inmarsat, the global mobile satellite system, and the two international network codes (ITU-T E.164, list of assigned codes)."""

SHORT_DIGITS = 7
"""A number of fewer digits is ordinary: short codes and emergency numbers are not in the metadata."""

LEADING = {"1": 4, "39": 5, "44": 5}
"""How many digits after a shared country code decide which country it is (2 for other codes): +1 264 is Anguilla."""

CAPACITY = 1 << 15
"""Maximum number of states. All are dropped when one more is needed; 200,000 numbers of all countries need 7,000."""


class Risk(NamedTuple):
    """Kind and country of a destination (ISO code, "001" for global services), and the weight of money spent there."""

    kind: str
    country: str
    weight: float


@lru_cache(maxsize=65_536)  # a call has several rows: a repeated number costs a tenth
def risk_of(b_number: str) -> Risk:
    """The risk of E.164 digits. Short and empty numbers are ordinary; what is not a number is unallocated.

    >>> risk_of("431234567").kind, risk_of("881612345678").kind, risk_of("37190012345").kind, risk_of("").kind
    ('ordinary', 'satellite', 'premium', 'ordinary')
    >>> risk_of("18765551234").country, risk_of("12125551234").country, risk_of("77012345678").country, risk_of("447911123456").country
    ('JM', 'US', 'KZ', 'GB')
    """
    return _AUTOMATON.risk_of(b_number)


class _State(NamedTuple):
    """What the digits read so far still allow. A position is one digit of a pattern; a negative position is the end of a pattern."""

    code: str  # the country code, or its digits so far
    region: int = -1  # index of the first country of the code whose leading digits match; -1 = none so far
    depth: int = 0  # national digits read, while leading digits can still decide
    leading: frozenset[int] = frozenset()  # positions in patterns of leading digits
    national: frozenset[int] = frozenset()  # positions in patterns of national numbers


_START, _NO_CODE = _State(""), _State("000")
_NOT_MADE = -1
_GENERAL, _PREMIUM, _SHARED = 0, 1, 2


class Automaton:
    """The patterns of all countries as one table: state x digit -> state. Equal to matching the regular expressions one by one."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._masks: list[int] = []  # of each position, the digits that it accepts, as bits
        self._follows: list[frozenset[int]] = []  # and the positions that may follow
        self._entries: dict[str, _State] = {}  # country code -> the state after it
        self._capacity = capacity
        self._lock = threading.Lock()
        self._clear()

    def risk_of(self, b_number: str) -> Risk:
        """As the function of that name."""
        if len(b_number) < SHORT_DIGITS:
            return _risk(ORDINARY)
        with self._lock:
            state = 0
            for character in b_number.encode():
                digit = character - 48
                if not 0 <= digit <= 9:
                    return _risk(UNALLOCATED)
                following = self._next[10 * state + digit]
                state = following if following != _NOT_MADE else self._make(state, digit)
            return self._risks[state]

    def _clear(self) -> None:
        self._states, self._numbers = list[_State](), dict[_State, int]()
        self._next, self._risks = list[int](), list[Risk]()  # 10 * state + digit -> state; state -> risk
        self._number_of(_START)

    def _make(self, before: int, digit: int) -> int:
        """The number of the state that a digit leads to. If the table is full, all states are dropped and `before` is made again."""
        state = self._states[before]
        if len(self._states) >= self._capacity:
            self._clear()
            before = self._number_of(state)
        number = self._number_of(self._successor(state, digit))
        self._next[10 * before + digit] = number
        return number

    def _number_of(self, state: _State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            self._next += [_NOT_MADE] * 10
            self._risks.append(_risk_at(state))
        return number

    def _successor(self, state: _State, digit: int) -> _State:
        if state.code not in REGIONS:
            code = state.code + str(digit)
            return self._entry(code) if code in REGIONS else _NO_CODE if len(code) >= 3 else _State(code)
        leading, national = self._advance(state.leading, digit), self._advance(state.national, digit)
        decided = [-1 - end for end in leading if end < 0] + ([state.region] if state.region >= 0 else [])
        depth = state.depth + 1
        if not leading or depth == LEADING.get(state.code, 2):
            leading, depth = frozenset(), 0
        return _State(state.code, min(decided, default=-1), depth, leading, national)

    def _advance(self, positions: Iterable[int], digit: int) -> frozenset[int]:
        return frozenset().union(*(self._follows[at] for at in positions if at >= 0 and self._masks[at] >> digit & 1))

    def _entry(self, code: str) -> _State:
        """The state after a country code: the first positions of all patterns of its countries."""
        if code not in self._entries:
            leading, national = set[int](), set[int]()
            for index, region in enumerate(REGIONS[code]):
                metadata = _metadata(region, int(code))
                if metadata is None:
                    continue
                if metadata.leading_digits and len(REGIONS[code]) > 1:
                    leading |= self._first(metadata.leading_digits, frozenset({-1 - index}))
                for kind, part in enumerate((metadata.general_desc, metadata.premium_rate, metadata.shared_cost)):
                    pattern = getattr(part, "national_number_pattern", None)
                    if pattern and pattern != "NA":
                        national |= self._first(pattern, frozenset({_end(index, kind)}))
            self._entries[code] = _State(code, leading=frozenset(leading), national=frozenset(national))
        return self._entries[code]

    def _first(self, pattern: str, after: frozenset[int]) -> frozenset[int]:
        """The positions where a match of a pattern may begin, if the positions `after` follow it. See `_items` for what a pattern may contain."""
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


def _end(index: int, kind: int) -> int:
    """The negative position at the end of a pattern: `index` of the country in its code, `kind` of number (general, premium, shared cost)."""
    return -1 - (3 * index + kind)


def _risk_at(state: _State) -> Risk:
    """The risk of a number that ends in this state."""
    regions = REGIONS.get(state.code)
    if regions is None:
        return _risk(UNALLOCATED)
    kind, country = UNALLOCATED, regions[0]
    for index in [state.region] if state.region >= 0 else range(len(regions)):
        if _end(index, _GENERAL) in state.national:
            country = regions[index]
            premium, shared = _end(index, _PREMIUM) in state.national, _end(index, _SHARED) in state.national
            kind = PREMIUM if premium else SHARED_COST if shared else ORDINARY
            break
    return _risk(SATELLITE if state.code in SATELLITE_CODES else kind, country)


def _risk(kind: str, country: str = "") -> Risk:
    return Risk(kind, country, WEIGHTS[kind])


def _metadata(region: str, code: int) -> Any:
    if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        return PhoneMetadata.metadata_for_nongeo_region(code, None)
    return PhoneMetadata.metadata_for_region(region, None)


_ITEM = re.compile(r"\d|\\d|\[[\d-]+\]")
_COUNT = re.compile(r"\{(\d+)(?:,(\d+))?\}|\?")


def _alternatives(pattern: str) -> list[str]:
    """The parts of a pattern that `|` separates on its top level.

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
    """The items of a pattern without alternatives, in order, each with its minimum and maximum count.

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
        item_text, least, most = pattern[start:at], 1, 1
        if count := _COUNT.match(pattern, at):
            least = int(count[1] or 0)
            most = int(count[2] or count[1] or 1)
            at = count.end()
        found.append((item_text, least, most))
    return found


_AUTOMATON = Automaton()
