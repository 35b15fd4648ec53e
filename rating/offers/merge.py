"""The deck that an offer makes of the one before: what it changes is changed, what it leaves alone stays, each row with its dates.

A row that is valid from a later date keeps the old price until then, so the deck can be put in force before that date.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from core.delimited import encoding_of, other_delimiter
from core.money import to_nanos, to_text
from rating.deck import FOREVER_MS
from rating.decks import ALL_COLUMNS, COLUMNS, CONDITION_COLUMNS, conditions_of
from rating.offers.rows import Rate
from rating.offers.styles import NO_DATE
from rating.prefixes import Ints
from rating.tariff import parse_steps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Merged(NamedTuple):
    """A deck as CSV in our spelling. `carried`: rows of the deck before that are in it; `missing`: its codes that the offer does not name."""

    csv: bytes
    carried: int
    missing: list[str]


class Base(NamedTuple):
    """A deck as it is stored: the columns of its CSV and its rows of cells."""

    columns: tuple[str, ...]
    rows: list[list[str]]


def base_of(content: bytes) -> Base:
    """The cells of a deck that is in the books.

    >>> base_of(b"prefix,price_per_min\\n44,0.02\\n")
    Base(columns=('prefix', 'price_per_min'), rows=[['44', '0.02']])
    """
    text = content.decode(encoding_of(content[:4096]))
    head = next((line for line in io.StringIO(text) if line.strip(" \t,;|\r\n")), "")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=other_delimiter(head.strip("\r\n"), ("prefix", "price_per_min")) or ",")
    spaces = " " in text or "\t" in text
    rows = [row for row in ([cell.strip() for cell in line] if spaces else line for line in lines) if any(row)]
    while rows and "prefix" not in rows[0]:
        rows.pop(0)  # a table program's own first line
    width = len(rows[0]) if rows else 0
    whole = [row if len(row) == width else [*row[:width], *[""] * (width - len(row))] for row in rows[1:]]
    return Base(tuple(rows[0]) if rows else (), whole)


@dataclass(frozen=True, eq=False)
class Columns:
    """The rates of a deck that is in the books, as they are compared; a place per rate."""

    prefixes: tuple[str, ...]
    destinations: tuple[str, ...]
    per_min_nanos: Ints
    connect_nanos: Ints
    attempt_nanos: Ints
    first_s: Ints
    next_s: Ints
    from_ms: Ints
    to_ms: Ints
    labels: Sequence[str]  # what a row asks of a call; "" = nothing


def columns_of(base: Base) -> Columns:
    """The cells of a deck as columns of integers. It was checked when it came into the books: nothing is checked again.

    >>> columns = columns_of(base_of(b"prefix,price_per_min,effective_to\\n44,0.02,1970-01-02\\n"))
    >>> columns.prefixes, columns.per_min_nanos.tolist(), columns.first_s.tolist(), columns.to_ms.tolist()
    (('44',), [20000000], [1], [86400000])
    """
    cells = dict(zip(base.columns, zip(*base.rows, strict=True), strict=True)) if base.rows else {}
    count = len(base.rows)

    def column(name: str, read: Callable[[str], int], otherwise: int) -> Ints:
        if name not in cells:
            return np.full(count, otherwise, np.int64)
        known = {text: read(text) if text else otherwise for text in set(cells[name])}
        return np.asarray([known[text] for text in cells[name]], np.int64)

    def time(text: str, otherwise: int) -> int:
        return otherwise if NO_DATE.fullmatch(text) else _ms(text)

    asked = [cells.get(name, ("",) * count) for name in CONDITION_COLUMNS] if any(name in cells for name in CONDITION_COLUMNS) else None
    prices = column("price_per_min", to_nanos, 0)
    if "steps" in cells or "price_per_increment" in cells:
        prices = np.where(prices == 0, _first_prices(cells, count), prices)
    return Columns(
        prefixes=tuple(text.lstrip("+") for text in cells.get("prefix", ())),
        labels=[conditions_of(one) for one in zip(*asked, strict=True)] if asked else ("",) * count,
        destinations=cells.get("destination", ("",) * count),
        per_min_nanos=prices,
        connect_nanos=column("connect_fee", to_nanos, 0),
        attempt_nanos=column("attempt_fee", to_nanos, 0),
        first_s=column("first_s", int, 1),
        next_s=column("next_s", int, 1),
        from_ms=column("effective_from", lambda text: time(text, -FOREVER_MS), -FOREVER_MS),
        to_ms=column("effective_to", lambda text: time(text, FOREVER_MS), FOREVER_MS),
    )


def _first_prices(cells: dict[str, tuple[str, ...]], count: int) -> Ints:
    """The price per minute of the first step of rows that have no price per minute, 0 = the row has one."""
    blank = ("",) * count
    found = np.zeros(count, np.int64)
    for at, (steps, price, first_s) in enumerate(
        zip(cells.get("steps", blank), cells.get("price_per_increment", blank), cells.get("first_s", blank), strict=True)
    ):
        if steps:
            first = parse_steps(steps)[0]
            found[at] = first.price_nanos * 60 // first.per_s
        elif price:
            found[at] = to_nanos(price) * 60 // int(first_s or 1)
    return found


def missing_codes(base: Base | None, rates: Iterable[Rate], now_ms: int) -> list[str]:
    """Codes of the deck before that are in force or to come, and that an offer does not name."""
    if base is None:
        return []
    named = {rate.prefix for rate in rates}
    prefix, end = base.columns.index("prefix"), _place(base, "effective_to")
    return sorted({row[prefix] for row in base.rows if row[prefix].lstrip("+") not in named and _time(row, end, FOREVER_MS) > now_ms})


def merge(
    base: Base | None, rates: list[Rate], missing: Literal["closed", "unchanged"], valid_from_ms: int | None, now_ms: int
) -> Merged:
    """The deck that is to be in force. `missing`: what becomes of codes that the offer does not name; closed ones end at
    `valid_from_ms` (None = when the deck comes into force). Rows that have ended by `now_ms` are left behind.

    >>> base = base_of(b"prefix,price_per_min\\n44,0.02\\n49,0.01\\n")
    >>> offer = [Rate(2, "44", "UK", 30_000_000, 0, 0, 1, 1, 86_400_000, FOREVER_MS, False)]
    >>> print(merge(base, offer, "unchanged", None, 0).csv.decode())
    prefix,destination,price_per_min,connect_fee,attempt_fee,first_s,next_s,effective_from,effective_to
    44,,0.02,,,,,,1970-01-02T00:00:00+00:00
    44,UK,0.03,0,0,1,1,1970-01-02T00:00:00+00:00,
    49,,0.01,,,,,,
    <BLANKLINE>
    """
    named = {name for rate in rates for name, _ in rate.more} if any(rate.more for rate in rates) else set()
    extras = tuple(name for name in (base.columns if base else ()) if name and name not in COLUMNS)
    extras += tuple(name for name in ALL_COLUMNS if name in named and name not in extras)
    columns = (*COLUMNS, *extras)
    starts: dict[str, int] = {}
    for rate in rates:
        starts[rate.prefix] = min(starts.get(rate.prefix, FOREVER_MS), rate.from_ms)
    absent = sorted(missing_codes(base, rates, now_ms))
    cut = -FOREVER_MS if valid_from_ms is None else valid_from_ms
    if missing == "closed":
        starts |= dict.fromkeys(absent, cut)
    kept = _rows_that_stay(base, columns, starts, now_ms) if base is not None else {}
    rows: list[tuple[str, int, list[str]]] = []
    blank = [""] * len(extras)
    for rate in rates:
        if rate.closed or rate.to_ms <= now_ms:
            continue
        start = rate.from_ms
        fees, steps = (_text(rate.connect_nanos), _text(rate.attempt_nanos)), (str(rate.first_s), str(rate.next_s))
        terms, others = [_text(rate.per_min_nanos), *fees, *steps], blank
        before = kept.get(rate.prefix)
        if rate.more:
            columns_of_rate = dict(rate.more)
            others, before = [columns_of_rate.get(name, "") for name in extras], None
            if "steps" in columns_of_rate:
                terms = ["", *fees, "", ""]
            elif "price_per_increment" in columns_of_rate:
                terms = ["", *fees, *steps]
        if before and len(before) == 1 and _goes_on(before[0], rate, terms):
            start = kept.pop(rate.prefix)[0].from_ms
        rows.append((rate.prefix, start, [rate.prefix, rate.destination, *terms, _iso(start), _iso(rate.to_ms), *others]))
    carried = [(one.cells[0], one.from_ms, one.cells) for own in kept.values() for one in own]
    if carried:
        rows += carried
        rows.sort(key=lambda row: row[:2])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(row for _, _, row in rows)
    return Merged(text.getvalue().encode(), len(carried), absent)


class _StayingRow(NamedTuple):
    from_ms: int
    until_ms: int
    cells: list[str]


def _goes_on(before: _StayingRow, rate: Rate, terms: list[str]) -> bool:
    """Whether a row of the deck before ends where the offer's begins, and costs the same: then they are one."""
    own = before.cells[2:7]
    if before.until_ms != rate.from_ms or any(before.cells[len(COLUMNS) :]):
        return False
    defaults = ("0", "0", "0", "1", "1")
    return all(_same(one or default, two) for one, two, default in zip(own, terms, defaults, strict=True))


def _same(one: str, two: str) -> bool:
    return one == two or to_nanos(one) == to_nanos(two)


def _rows_that_stay(base: Base, columns: tuple[str, ...], starts: dict[str, int], now_ms: int) -> dict[str, list[_StayingRow]]:
    """The rows of the deck before that stay, by code, each ended where the offer begins."""
    places = [base.columns.index(name) if name in base.columns else -1 for name in columns]
    prefix, begin, end = base.columns.index("prefix"), _place(base, "effective_from"), _place(base, "effective_to")
    at_end = columns.index("effective_to")
    found: dict[str, list[_StayingRow]] = {}
    for row in base.rows:
        code = row[prefix].lstrip("+")
        start, last = _time(row, begin, -FOREVER_MS), _time(row, end, FOREVER_MS)
        until = starts.get(code, FOREVER_MS)
        if min(last, until) <= max(start, now_ms):
            continue
        cells = [row[place] if place >= 0 else "" for place in places]
        cells[0] = code
        if until < last:
            cells[at_end] = _iso(until)
        found.setdefault(code, []).append(_StayingRow(start, min(last, until), cells))
    return found


def _place(base: Base, name: str) -> int:
    return base.columns.index(name) if name in base.columns else -1


def _time(row: list[str], place: int, otherwise: int) -> int:
    return otherwise if place < 0 or not row[place] or NO_DATE.fullmatch(row[place]) else _ms(row[place])


@lru_cache(maxsize=65_536)
def _ms(text: str) -> int:
    when = datetime.fromisoformat(text)
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=65_536)
def _iso(at_ms: int) -> str:
    return "" if abs(at_ms) >= FOREVER_MS else (EPOCH + timedelta(milliseconds=at_ms)).isoformat()


_text = lru_cache(maxsize=65_536)(to_text)
