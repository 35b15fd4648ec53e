"""Two decks code by code: what is new, dearer, cheaper, closed, and whether the carrier has told of it in time.

A code that is new was priced before by a shorter one, and a code that is closed goes on by a shorter one: the price that it had, or
will have, is that one's, as a call meets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from rating.deck import FOREVER_MS, LONGEST, Deck
from rating.offers.mapping import Notice
from rating.prefixes import Ints, PrefixIndex, build, encode_all

Kind: TypeAlias = Literal["new", "increase", "decrease", "closed", "unchanged"]
KINDS: tuple[Kind, ...] = ("new", "increase", "decrease", "closed", "unchanged")
DAY_MS = 86_400_000


class Change(NamedTuple):
    """What becomes of one code. Prices are those that a call to it meets, None = none; `old_by`, `new_by`: the code that gives it."""

    kind: Kind
    prefix: str
    destination: str
    old_nanos: int | None
    new_nanos: int | None
    old_by: str
    new_by: str
    old_steps: tuple[int, int]
    new_steps: tuple[int, int]
    from_ms: int
    notice_days: int  # that there are until then; negative = it is valid already
    needed_days: int

    @property
    def late(self) -> bool:
        """Whether it comes without the notice that was agreed on."""
        return self.notice_days < self.needed_days

    @property
    def dearer(self) -> bool:
        """Whether a call to it costs more than before."""
        return self.new_nanos is not None and (self.old_nanos is None or self.new_nanos > self.old_nanos)


@dataclass(frozen=True)
class Changes:
    """What changes between two decks. `rows` has codes that stay as they are only where that was asked; `counts` and `late`: by kind."""

    rows: list[Change]
    counts: dict[str, int]
    late: dict[str, int]


class Rates(Protocol):
    """What is compared of a deck: a place per rate (`rating.decks.Deck` has it, and `rating.offers.merge.columns_of`)."""

    @property
    def prefixes(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def destinations(self) -> Sequence[str]: ...
    @property
    def from_ms(self) -> Ints: ...
    @property
    def to_ms(self) -> Ints: ...
    @property
    def per_min_nanos(self) -> Ints: ...
    @property
    def connect_nanos(self) -> Ints: ...
    @property
    def attempt_nanos(self) -> Ints: ...
    @property
    def first_s(self) -> Ints: ...
    @property
    def next_s(self) -> Ints: ...


def settled_ms(deck: Deck, now_ms: int) -> int:
    """When everything that a deck announces is in force: the last beginning of a row, or now.

    >>> from rating.decks import read_deck
    >>> settled_ms(read_deck(b"prefix,price_per_min,effective_from\\n44,1,1970-01-02\\n", "d", "EUR"), 5)
    86400000
    """
    begins = deck.from_ms[(deck.from_ms > now_ms) & (deck.from_ms < FOREVER_MS)]
    return int(begins.max()) if len(begins) else now_ms


class InForce:
    """The rows of a deck that are in force at a time."""

    def __init__(self, deck: Rates | None, at_ms: int) -> None:
        self.deck = deck
        self.rows: Ints = np.flatnonzero((deck.from_ms <= at_ms) & (at_ms < deck.to_ms)) if deck is not None else np.zeros(0, np.int64)
        rows = self.rows.tolist()
        self.prefixes: list[str] = [deck.prefixes[row] for row in rows] if deck is not None else []
        self.row_of = dict(zip(self.prefixes, rows, strict=True))  # by code; a row with a condition has it behind its code
        labels = deck.labels if deck is not None else ()
        if any(labels):
            pairs = [(prefix, labels[row], row) for prefix, row in zip(self.prefixes, rows, strict=True)]
            self.row_of = {f"{prefix} {label}".rstrip(): row for prefix, label, row in pairs}

    @cached_property
    def index(self) -> PrefixIndex:
        """Of the longest prefix, over rows without a condition. Its rows are places in `plain`."""
        return build(list(self.plain))

    @cached_property
    def plain(self) -> dict[str, int]:
        """Codes to rows without a condition."""
        return {code: row for code, row in self.row_of.items() if " " not in code}

    def found(self, codes: Ints) -> Ints:
        """The row that prices calls to each code, or -1."""
        rows = np.asarray([*self.plain.values(), -1], np.int64)  # no place is -1, which is the last
        return rows[self.index.find(codes)] if len(codes) else codes

    def met(self, codes: list[str]) -> Ints:
        """The row that prices calls to each code: its own, else that of the longest shorter one; -1 = none."""
        rows = self.own(codes)
        absent = np.flatnonzero(rows < 0)
        if len(absent) and self.plain:
            bare = [codes[at].partition(" ")[0] for at in absent.tolist()]
            few = len(bare) * LONGEST < len(self.plain)  # an index is not worth it
            rows[absent] = [self._longest(code) for code in bare] if few else self.found(encode_all(bare))
        return rows

    def own(self, codes: list[str]) -> Ints:
        """The row of each code itself; -1 = it has none."""
        return np.asarray([self.row_of.get(code, -1) for code in codes], np.int64)

    def _longest(self, code: str) -> int:
        return next((self.plain[code[:length]] for length in range(len(code), 0, -1) if code[:length] in self.plain), -1)

    def column(self, name: str, rows: Ints) -> Ints:
        """A column of the deck at rows; 0 where there is none."""
        if self.deck is None or not len(self.deck.prefixes):
            return np.zeros(len(rows), np.int64)
        values: Ints = np.where(rows >= 0, getattr(self.deck, name)[np.maximum(rows, 0)], 0)
        return values


COMPARED = ("per_min_nanos", "connect_nanos", "attempt_nanos", "first_s", "next_s")


def compare(old: Rates | None, new: Deck, now_ms: int, start_ms: int, notice: Notice, unchanged: bool = False) -> Changes:
    """What changes from one deck, as it is now, to another, as it is when all that it announces is in force.

    `start_ms`: when the new one comes into force; a row with an earlier date changes then. `unchanged`: rows of codes that stay as well.

    >>> from rating.decks import read_deck
    >>> one = read_deck(b"prefix,price_per_min\\n44,0.02\\n447,0.05\\n49,0.01\\n", "one", "EUR")
    >>> two = read_deck(b"prefix,price_per_min\\n44,0.02\\n4477,0.06\\n49,0.008\\n", "two", "EUR")
    >>> for row in compare(one, two, 0, 0, Notice()).rows: print(row.kind, row.prefix, row.old_nanos, row.new_nanos)
    closed 447 50000000 20000000
    new 4477 50000000 60000000
    decrease 49 10000000 8000000
    """
    before = InForce(old, now_ms)
    after = InForce(new, max(settled_ms(new, now_ms), start_ms))
    codes = sorted(before.row_of.keys() | after.row_of.keys())
    was, will = before.met(codes), after.met(codes)
    dearer, cheaper = np.zeros(len(codes), bool), np.zeros(len(codes), bool)
    for name in COMPARED:
        one, two = before.column(name, was), after.column(name, will)
        dearer |= two > one
        cheaper |= two < one
    prices = before.column("per_min_nanos", was), after.column("per_min_nanos", will)
    begins = after.column("from_ms", will)
    ends = _ends(new, max(start_ms, now_ms))
    rows: list[Change] = []
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    late: dict[str, int] = dict.fromkeys(KINDS, 0)
    # Most codes stay as they are: only the others are looked at one by one.
    stays = (before.own(codes) >= 0) & (after.own(codes) >= 0) & ~dearer & ~cheaper
    if not unchanged:
        counts["unchanged"] = int(stays.sum())
        left = np.flatnonzero(~stays)
        codes = [codes[at] for at in left.tolist()]
        was, will, dearer, cheaper, begins = was[left], will[left], dearer[left], cheaper[left], begins[left]
        prices = prices[0][left], prices[1][left]
    old_steps = [before.column(name, was).tolist() for name in ("first_s", "next_s")]
    new_steps = [after.column(name, will).tolist() for name in ("first_s", "next_s")]
    columns = zip(
        codes, was.tolist(), will.tolist(), dearer.tolist(), cheaper.tolist(), prices[0].tolist(), prices[1].tolist(), begins.tolist(),
        zip(*old_steps, strict=True), zip(*new_steps, strict=True), strict=True,
    )  # fmt: skip
    for code, old_row, new_row, up, down, old_price, new_price, begin, old_step, new_step in columns:
        kind: Kind
        from_ms = max(begin, start_ms)
        if code not in after.row_of:
            kind, from_ms = "closed", max(ends.get(code.partition(" ")[0], start_ms), start_ms)
        elif code not in before.row_of:
            kind = "new"
        elif up:  # also where the price falls and an increment grows: whoever has to give notice of one has to of both
            kind = "increase"
        elif down:
            kind = "decrease"
        else:
            kind, from_ms = "unchanged", start_ms
        needed = 0 if kind == "unchanged" else getattr(notice, kind)
        if kind == "new" and old_row >= 0 and up:
            needed = max(needed, notice.increase)  # it was sold by a shorter code, for less
        there = (from_ms - now_ms) // DAY_MS
        counts[kind] += 1
        late[kind] += there < needed and kind != "unchanged"
        deck: Rates | None = new if new_row >= 0 and code in after.row_of else old
        row = new_row if deck is new else old_row
        rows.append(
            Change(
                kind, code, deck.destinations[row] if deck is not None and row >= 0 else "",
                old_price if old_row >= 0 else None, new_price if new_row >= 0 else None,
                old.prefixes[old_row] if old is not None and old_row >= 0 else "", new.prefixes[new_row] if new_row >= 0 else "",
                old_step, new_step, from_ms, there, needed,
            )
        )
    return Changes(rows, counts, late)


def _ends(deck: Deck, after_ms: int) -> dict[str, int]:
    """When a code that ends, ends."""
    found: dict[str, int] = {}
    for row in np.flatnonzero((deck.to_ms < FOREVER_MS) & (deck.to_ms > after_ms)).tolist():
        found[deck.prefixes[row]] = max(found.get(deck.prefixes[row], 0), int(deck.to_ms[row]))
    return found
