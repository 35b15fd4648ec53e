"""A rate deck: prefixes with prices, increments, fees and effective dates, read from CSV."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from core.money import MAX_NANOS, to_nanos
from rating.prefixes import Ints, PrefixIndex, build

COLUMNS = (
    "prefix", "destination", "price_per_min", "connect_fee", "attempt_fee", "first_s", "next_s", "effective_from", "effective_to",
)  # fmt: skip
FOREVER_MS = 2**62
MAX_PRICE = MAX_NANOS // 60  # a minute's price times 59 seconds stays inside int64


class DeckFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a deck is written, where it is not plain CSV in UTF-8 with points and ISO dates. `delimiter` "" = as its header shows."""

    delimiter: str = ""
    quote: Literal['"', "none"] = '"'
    encoding: str = ""
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    date_format: str = "iso"


class DeckError(ValueError):
    """A deck that cannot be read: names the line and what to do."""


@dataclass(frozen=True, eq=False)
class Deck:
    """One version of a deck. Arrays have a place a rate; prices are nanos of `currency`, times UTC epoch ms, `to_ms` exclusive."""

    name: str
    deck_id: str  # SHA-256 of the CSV: the same file is the same version
    currency: str
    prefixes: tuple[str, ...]
    destinations: tuple[str, ...]
    per_min_nanos: Ints
    connect_nanos: Ints
    attempt_nanos: Ints
    first_s: Ints
    next_s: Ints
    from_ms: Ints
    to_ms: Ints
    borders_ms: Ints  # where the set of effective rates changes
    _indexes: dict[int, PrefixIndex] = field(default_factory=dict, compare=False, repr=False)

    def index_at(self, epoch: int) -> PrefixIndex:
        """The prefixes in force between two borders (`epoch` from `epochs`); built at the first use."""
        index = self._indexes.get(epoch)
        if index is None:
            at = int(self.borders_ms[epoch - 1]) if epoch else -FOREVER_MS
            live = np.flatnonzero((self.from_ms <= at) & (at < self.to_ms))
            index = build([self.prefixes[i] for i in live], live.tolist())
            if len(self._indexes) >= 16:  # a bound: re-rating a year walks through many epochs, a live day through two
                self._indexes.clear()
            self._indexes[epoch] = index
        return index

    def epochs(self, at_ms: Ints) -> Ints:
        """Which epoch each time lies in."""
        return np.searchsorted(self.borders_ms, at_ms, side="right").astype(np.int64)


def read_deck(content: bytes, name: str, currency: str) -> Deck:
    """A deck from CSV with the columns of `COLUMNS`; all but `prefix` and `price_per_min` may be absent or empty.

    Dates are ISO (a date is its midnight UTC); `effective_to` is exclusive. The same prefix twice over the same time is an error.

    >>> deck = read_deck(b"prefix,price_per_min,first_s,next_s\\n43,0.02,1,1\\n436,0.05,60,1\\n", "basic", "EUR")
    >>> deck.prefixes, deck.per_min_nanos.tolist(), deck.first_s.tolist()
    (('43', '436'), [20000000, 50000000], [1, 60])
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise DeckError(f"deck {name}: byte {wrong.start} is not UTF-8; save the file as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text))
    columns = [column.strip() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    if missing := {"prefix", "price_per_min"} - set(columns):
        raise DeckError(f"deck {name}: no column {', '.join(sorted(missing))} in the first line; expected {','.join(COLUMNS)}")
    if unknown := set(columns) - set(COLUMNS):
        raise DeckError(f"deck {name}: unknown column {', '.join(sorted(unknown))}; expected {','.join(COLUMNS)}")
    prefixes: list[str] = []
    destinations: list[str] = []
    numbers: list[tuple[int, int, int, int, int, int, int]] = []
    for row in reader:
        where = f"deck {name}, line {reader.line_num}"
        prefix = (row["prefix"] or "").strip().removeprefix("+")
        if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 15):
            raise DeckError(f"{where}: prefix {row['prefix']!r} is not 1 to 15 digits")
        try:
            per_min = to_nanos((row["price_per_min"] or "").strip())
            connect, attempt = (to_nanos((row.get(c) or "0").strip()) for c in ("connect_fee", "attempt_fee"))
            first, following = (int((row.get(c) or "1").strip()) for c in ("first_s", "next_s"))
            start, end = _date(row.get("effective_from"), -FOREVER_MS), _date(row.get("effective_to"), FOREVER_MS)
        except ValueError as wrong:
            raise DeckError(f"{where}: {wrong}") from None
        if min(per_min, connect, attempt) < 0:
            raise DeckError(f"{where}: a price is negative")
        if per_min > MAX_PRICE:
            raise DeckError(f"{where}: price_per_min {row['price_per_min']} is beyond the range of a price")
        if not (1 <= first <= 3600 and 1 <= following <= 3600):
            raise DeckError(f"{where}: increments first_s and next_s must be 1 to 3600 seconds")
        if start >= end:
            raise DeckError(f"{where}: effective_to is not after effective_from")
        prefixes.append(prefix)
        destinations.append((row.get("destination") or "").strip())
        numbers.append((per_min, connect, attempt, first, following, start, end))
    if not prefixes:
        raise DeckError(f"deck {name}: no rate in it")
    table = np.asarray(numbers, np.int64).T.copy()
    _no_overlap(name, prefixes, table[5], table[6])
    borders = np.unique(np.concatenate([table[5], table[6]]))
    per_min_nanos, connect_nanos, attempt_nanos, first_s, next_s, from_ms, to_ms = table
    return Deck(
        name=name, deck_id=hashlib.sha256(content).hexdigest(), currency=currency,
        prefixes=tuple(prefixes), destinations=tuple(destinations),
        per_min_nanos=per_min_nanos, connect_nanos=connect_nanos, attempt_nanos=attempt_nanos,
        first_s=first_s, next_s=next_s, from_ms=from_ms, to_ms=to_ms,
        borders_ms=borders[(borders > -FOREVER_MS) & (borders < FOREVER_MS)],
    )  # fmt: skip


def _date(text: str | None, otherwise: int) -> int:
    if not text or not text.strip():
        return otherwise
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO date") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _no_overlap(name: str, prefixes: list[str], start: Ints, end: Ints) -> None:
    order = sorted(range(len(prefixes)), key=lambda i: (prefixes[i], int(start[i])))
    for one, other in pairwise(order):
        if prefixes[one] == prefixes[other] and start[other] < end[one]:
            raise DeckError(
                f"deck {name}: prefix {prefixes[one]} has two rates for the same time (rates {one + 1} and {other + 1}); "
                "end the first with effective_to or remove one"
            )
