"""A rate deck: rows of prefixes with their tariffs, the conditions under which each row applies, and which of them prices a call.

A row applies to a call if its prefix begins the number and its dates, number length, origin, jurisdiction and window fit. Of the rows that
apply, the longest prefix wins; then the longest origin; then a jurisdiction before none; then bounds of the length before none; then the
highest weight; then the window that begins latest in the day; then the row that stands first. A row that does not apply is as if it were not there.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rating.jurisdiction import ANY, NAMES, jurisdiction
from rating.prefixes import Ints, PrefixIndex, build, encode, encode_all, ends_of
from rating.rules import Rules
from rating.tariff import Tariff, TariffColumns
from rating.window import ALWAYS, DAY_S, Window

FOREVER_MS = 2**62
LONGEST = 18


class Condition(NamedTuple):
    """What a row asks of a call besides prefix and dates."""

    min_digits: int = 0
    max_digits: int = LONGEST
    origin: str = ""  # what the caller's number begins with
    jurisdiction: int = ANY  # a set of `rating.jurisdiction`'s, as bits
    window: Window = ALWAYS
    weight: int = 0

    @property
    def text(self) -> str:
        """For a person; "" = it asks nothing.

        >>> NO_CONDITION.text, NO_CONDITION._replace(origin="49", min_digits=8).text
        ('', 'min_digits 8 origin 49')
        """
        kind = next((name for name, bits in NAMES.items() if bits == self.jurisdiction != ANY), "")
        parts = (
            ("min_digits", self.min_digits), ("max_digits", self.max_digits if self.max_digits != LONGEST else 0), ("origin", self.origin),
            ("jurisdiction", kind), ("window", self.window.text), ("weight", self.weight),
        )  # fmt: skip
        return " ".join(f"{name} {value}" for name, value in parts if value)


NO_CONDITION = Condition()


class Call(NamedTuple):
    """The numbers of a call, in digits. `lrn`: where the number called was ported to, "" = it was not."""

    b_number: str
    a_number: str = ""
    lrn: str = ""


class Calls:
    """The numbers of many calls; what few decks ask for is computed when a deck asks."""

    def __init__(self, b_numbers: Sequence[str], a_numbers: Sequence[str] = (), lrns: Sequence[str] = ()) -> None:
        n = len(b_numbers)
        self.b_numbers, self.a_numbers, self.lrns = b_numbers, a_numbers or ("",) * n, lrns or ("",) * n

    @cached_property
    def codes(self) -> Ints:
        """Of the b_numbers (`rating.prefixes.encode_all`)."""
        return encode_all(self.b_numbers)

    @cached_property
    def a_codes(self) -> Ints:
        """Of the a_numbers."""
        return encode_all(self.a_numbers)

    @cached_property
    def digits(self) -> Ints:
        """How many a b_number has."""
        return np.fromiter(map(len, self.b_numbers), np.int64, len(self.b_numbers))

    @cached_property
    def by_lrn(self) -> Calls:
        """The same calls to where their numbers were ported to."""
        if not any(self.lrns):
            return self
        return Calls([lrn or b_number for b_number, lrn in zip(self.b_numbers, self.lrns, strict=True)], self.a_numbers, self.lrns)

    @cached_property
    def jurisdictions(self) -> Ints:
        """A bit each."""
        numbers = zip(self.a_numbers, self.b_numbers, self.lrns, strict=True)
        return np.fromiter((jurisdiction(a, lrn or b) for a, b, lrn in numbers), np.int64, len(self.b_numbers))


class Moments:
    """Times of many calls by an agreement's rules."""

    def __init__(self, at_ms: Ints, rules: Rules) -> None:
        self.at_ms, self.rules = at_ms, rules

    @cached_property
    def days_and_seconds(self) -> tuple[Ints, Ints]:
        """Local days since 1970-01-01, and seconds of them."""
        days, seconds = np.divmod(self.rules.zone.local_s_all(self.at_ms), DAY_S)
        return days, seconds


@dataclass(frozen=True, eq=False)
class Deck:
    """One version of a deck. Prices are nanos of `currency`, times UTC epoch ms, `to_ms` exclusive. `tariff`: the place of each row's in
    `tariffs`; `condition`: likewise, of `conditions`."""

    name: str
    deck_id: str  # SHA-256 of the CSV and how it is read: the same file is the same version
    currency: str
    prefixes: tuple[str, ...]
    destinations: tuple[str, ...]
    tariffs: tuple[Tariff, ...]
    tariff: Ints
    from_ms: Ints
    to_ms: Ints
    conditions: tuple[Condition, ...] = (NO_CONDITION,)
    condition: Ints | None = None  # None = all rows have the first

    @cached_property
    def index(self) -> PrefixIndex:
        """The rows by prefix, those that win first."""
        latest_first = -self.from_ms
        if self.condition is None:
            return build(self.prefixes, latest_first)
        any_length = NO_CONDITION[:2]
        ranks = ((-len(c.origin), c.jurisdiction == ANY, c[:2] == any_length, -c.weight, -c.window.from_s) for c in self.conditions)
        table = np.asarray([*ranks], np.int64)[self.condition]
        return build(self.prefixes, *table.T, latest_first)

    @cached_property
    def is_dated(self) -> bool:
        """Whether any row begins or ends."""
        return bool(len(self.borders_ms))

    @cached_property
    def borders_ms(self) -> Ints:
        """When the set of effective rows changes."""
        borders = np.unique(np.concatenate([self.from_ms, self.to_ms]))
        found: Ints = borders[(borders > -FOREVER_MS) & (borders < FOREVER_MS)]
        return found

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """Those of its conditions, each once."""
        return tuple(dict.fromkeys(condition.window for condition in self.conditions))

    @cached_property
    def clock_s(self) -> Ints | None:
        """The seconds of a local day at which a window may begin or end; None = no row has a window."""
        if self.windows == (ALWAYS,):
            return None
        return np.unique([0, DAY_S, *(second for window in self.windows for second in (window.from_s, window.until_s))])

    @cached_property
    def _tariff_of(self) -> array[int]:
        return array("q", self.tariff.tobytes())

    def tariff_of(self, row: int) -> Tariff:
        """What a row charges."""
        return self.tariffs[self._tariff_of[row]]

    @cached_property
    def tariff_columns(self) -> TariffColumns:
        """Its tariffs as arrays."""
        return TariffColumns(self.tariffs)

    @cached_property
    def columns(self) -> Columns:
        """Its conditions as arrays."""
        return Columns(self.conditions, self.windows)

    def renamed(self, name: str) -> Deck:
        """The same version under another name: arrays and index are shared, not copied."""
        _ = self.index, self.tariff_columns
        twin = copy(self)
        object.__setattr__(twin, "name", name)
        return twin

    def with_tariffs(self, tariffs: tuple[Tariff, ...]) -> Deck:
        """The same rows with other tariffs, each in the place of the one that it stands for: all else is shared."""
        _ = self.index
        twin = copy(self)
        twin.__dict__.pop("tariff_columns", None)
        object.__setattr__(twin, "tariffs", tariffs)
        return twin

    # --- one call ----------------------------------------------------------------------------------------------------------------

    def find(self, call: Call, at_ms: int, rules: Rules) -> int:
        """The row that prices a call at a moment, or -1."""
        if rules.by_lrn and call.lrn:
            call = call._replace(b_number=call.lrn)
        row = self.index.find_one(call.b_number)
        if not self.is_dated and self.condition is None:
            return row
        while row >= 0 and not self._applies(row, call, at_ms, rules):
            row = int(self.index.following[row])
        return row

    def _applies(self, row: int, call: Call, at_ms: int, rules: Rules) -> bool:
        if self.is_dated and not int(self.from_ms[row]) <= at_ms < int(self.to_ms[row]):
            return False
        if self.condition is None:
            return True
        asked = self.conditions[self.condition[row]]
        if not (asked.min_digits <= len(call.b_number) <= asked.max_digits and call.a_number.startswith(asked.origin)):
            return False
        if asked.jurisdiction != ANY and not asked.jurisdiction & jurisdiction(call.a_number, call.lrn or call.b_number):
            return False
        holds: bool = asked.window.always or asked.window.holds(*divmod(rules.zone.local_s(at_ms), DAY_S), rules.holiday_sets)
        return holds

    def next_border_ms(self, at_ms: int, rules: Rules) -> int:
        """Until when the same rows apply as at a moment, at least."""
        border = FOREVER_MS
        if self.is_dated:
            later = int(np.searchsorted(self.borders_ms, at_ms, side="right"))
            border = int(self.borders_ms[later]) if later < len(self.borders_ms) else FOREVER_MS
        if self.clock_s is None:
            return border
        second = rules.zone.local_s(at_ms) % DAY_S
        ahead = int(self.clock_s[int(np.searchsorted(self.clock_s, second, side="right"))]) - second
        change_ms = int(rules.zone.next_change_ms(np.asarray([at_ms]))[0])
        return min(border, at_ms - at_ms % 1000 + 1000 * ahead, change_ms)

    # --- many calls --------------------------------------------------------------------------------------------------------------

    def find_all(self, calls: Calls, at: npt.NDArray[np.int64], moments: Moments) -> Ints:
        """As `find`, of those `calls` whose places are `at`. `moments`: of these, in their order."""
        calls = calls.by_lrn if moments.rules.by_lrn else calls
        rows = self.index.find(calls.codes[at])
        if self.condition is None and not self.is_dated:
            return rows
        following, columns = self.index.following, self.columns
        found = np.full(len(at), -1, np.int64)
        in_force = columns.in_force(self.windows, moments) if self.clock_s is not None else None
        left = np.flatnonzero(rows >= 0)
        while len(left):
            row, at_ms = rows[left], moments.at_ms[left]
            fits = (self.from_ms[row] <= at_ms) & (at_ms < self.to_ms[row])
            if self.condition is not None:
                asked = self.condition[row]
                if columns.asks_digits:
                    digits = calls.digits[at[left]]
                    fits &= (columns.min_digits[asked] <= digits) & (digits <= columns.max_digits[asked])
                if columns.asks_origin:
                    codes = calls.a_codes[at[left]]
                    fits &= (columns.origin_from[asked] <= codes) & (codes < columns.origin_until[asked])
                if columns.asks_jurisdiction:
                    fits &= (columns.jurisdiction[asked] & calls.jurisdictions[at[left]]) > 0
                if in_force is not None:
                    fits &= in_force[columns.window[asked], left]
            found[left[fits]] = row[fits]
            rows[left] = following[row]
            left = left[~fits & (rows[left] >= 0)]
        return found

    def next_borders_ms(self, moments: Moments) -> Ints:
        """As `next_border_ms`, of many."""
        at_ms = moments.at_ms
        found: Ints = np.append(self.borders_ms, FOREVER_MS)[np.searchsorted(self.borders_ms, at_ms, side="right")]
        if self.clock_s is None:
            return found
        _, seconds = moments.days_and_seconds
        ahead = self.clock_s[np.searchsorted(self.clock_s, seconds, side="right")] - seconds
        by_clock = np.minimum(at_ms - at_ms % 1000 + 1000 * ahead, moments.rules.zone.next_change_ms(at_ms))
        first: Ints = np.minimum(found, by_clock)
        return first

    # --- its prices, for people and reports --------------------------------------------------------------------------------------

    @property
    def labels(self) -> Sequence[str]:
        """What each row asks of a call, for a person; "" = nothing."""
        texts = [condition.text for condition in self.conditions]
        return ("",) * len(self.prefixes) if self.condition is None else [texts[place] for place in self.condition.tolist()]

    @property
    def per_min_nanos(self) -> Ints:
        """The price per minute of each row, by its first step."""
        return self.tariff_columns.per_min[self.tariff]

    @property
    def connect_nanos(self) -> Ints:
        """The connect fee of each row."""
        return self.tariff_columns.connect[self.tariff]

    @property
    def attempt_nanos(self) -> Ints:
        """The attempt fee of each row."""
        return self.tariff_columns.attempt[self.tariff]

    @property
    def first_s(self) -> Ints:
        """The increment of the first step of each row."""
        return self.tariff_columns.first_s[self.tariff]

    @property
    def next_s(self) -> Ints:
        """The increment of the last step of each row."""
        return self.tariff_columns.next_s[self.tariff]


class Columns:
    """Conditions as arrays."""

    def __init__(self, conditions: Sequence[Condition], windows: Sequence[Window]) -> None:
        def ints(values: Sequence[int]) -> Ints:
            return np.asarray(values, np.int64)

        places = {window: at for at, window in enumerate(windows)}
        self.min_digits, self.max_digits = ints([c.min_digits for c in conditions]), ints([c.max_digits for c in conditions])
        origins = [c.origin for c in conditions]
        self.origin_from = ints([encode(origin) for origin in origins])
        self.origin_until = ends_of(origins, self.origin_from)
        self.jurisdiction = ints([c.jurisdiction for c in conditions])
        self.window = ints([places[c.window] for c in conditions])
        self.asks_digits = any(c.min_digits > 0 or c.max_digits < LONGEST for c in conditions)
        self.asks_origin = any(origins)
        self.asks_jurisdiction = any(c.jurisdiction != ANY for c in conditions)

    def in_force(self, windows: Sequence[Window], moments: Moments) -> npt.NDArray[np.bool_]:
        """A row per window, a column per moment."""
        days, seconds = moments.days_and_seconds
        holidays = moments.rules.holiday_sets
        return np.stack([window.holds_all(days, seconds, holidays) for window in windows])
