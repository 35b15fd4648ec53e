"""A rate deck: prefixes with prices, increments, fees and effective dates, read from CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from core.decimals import number
from core.delimited import (
    Line,
    Style,
    check_encoding,
    delimiter_of,
    encoding_of,
    label,
    other_delimiter,
    read_lines,
    repeated_names,
    surplus_cells,
)
from core.money import MAX_NANOS, to_nanos, to_text
from core.time_format import check_time_format
from rating.prefixes import Ints, PrefixIndex, build

COLUMNS = (
    "prefix", "destination", "price_per_min", "connect_fee", "attempt_fee", "first_s", "next_s", "effective_from", "effective_to",
)  # fmt: skip
PRICES = ("price_per_min", "connect_fee", "attempt_fee")
FOREVER_MS = 2**62
OPTIONS = "the deck's options (decks.NAME.written in the config file, deck in a replay's mapping) say"
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
    deck_id: str  # SHA-256 of the CSV and how it is read: the same file is the same version
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


def check_format(form: DeckFormat) -> None:
    """`DeckError` where dates cannot be written as a deck's options say.

    >>> check_format(DeckFormat(date_format="%m/%d"))
    Traceback (most recent call last):
    ...
    rating.decks.DeckError: date_format: '%m/%d' has not the whole date: a year (%Y), a month (%m) and a day (%d) are needed
    """
    if form.date_format == "iso":
        return
    try:
        check_time_format(form.date_format)
    except ValueError as wrong:
        raise DeckError(f"date_format: {wrong}") from None
    if "%Z" in form.date_format:
        raise DeckError(f"date_format: {form.date_format!r} has %Z: a deck's dates are UTC or have an offset (%z); leave the zone's name out")


def read_deck(content: bytes, name: str, currency: str, form: DeckFormat = DeckFormat()) -> Deck:
    """A deck from CSV with the columns of `COLUMNS`; all but `prefix` and `price_per_min` may be absent or empty.

    Dates are ISO (a date is its midnight UTC); `effective_to` is exclusive. The same prefix twice over the same time is an error, and so
    is a row that can be read in two ways: a deck is taken whole or not at all. Rows without a filled cell are skipped.

    >>> deck = read_deck(b"prefix,price_per_min,first_s,next_s\\n43,0.02,1,1\\n436,0.05,60,1\\n", "basic", "EUR")
    >>> deck.prefixes, deck.per_min_nanos.tolist(), deck.first_s.tolist()
    (('43', '436'), [20000000, 50000000], [1, 60])
    """
    try:
        check_format(form)
    except DeckError as wrong:
        raise DeckError(f"deck {name}: {wrong}") from None
    lines = _lines(content, name, form)
    columns = _columns(next((line for line in lines if line.fault or any(map(str.strip, line.cells))), None), name)
    rest = list(lines)
    surplus = surplus_cells(rest, len(columns))
    columns = [*columns, ""] if surplus > 0 else columns[:-1] if surplus < 0 and not columns[-1] else columns
    prefixes: list[str] = []
    destinations: list[str] = []
    places: list[int] = []
    numbers: list[tuple[int, int, int, int, int, int, int]] = []
    for line, _, cells, fault in rest:
        if not fault and not any(map(str.strip, cells)):
            continue  # what table programs leave below and between their rows
        try:
            if fault:
                raise ValueError(fault)
            row = _row(cells, columns)
            prefixes.append(sys.intern(_prefix(row["prefix"])))  # the next price list has mostly the same
            numbers.append(_rate(row, form))
        except ValueError as wrong:
            raise DeckError(f"deck {name}, line {line}: {wrong}") from None
        destinations.append(sys.intern(row.get("destination", "")))
        places.append(line)
    if not prefixes:
        raise DeckError(f"deck {name}: no rate in it")
    spelled = msgspec.json.encode(form) if form != DeckFormat() else b""
    table = np.asarray(numbers, np.int64).T.copy()
    _no_overlap(name, prefixes, places, table[5], table[6])
    borders = np.unique(np.concatenate([table[5], table[6]]))
    per_min_nanos, connect_nanos, attempt_nanos, first_s, next_s, from_ms, to_ms = table
    return Deck(
        name=name, deck_id=hashlib.sha256(content + spelled).hexdigest(), currency=currency,
        prefixes=tuple(prefixes), destinations=tuple(destinations),
        per_min_nanos=per_min_nanos, connect_nanos=connect_nanos, attempt_nanos=attempt_nanos,
        first_s=first_s, next_s=next_s, from_ms=from_ms, to_ms=to_ms,
        borders_ms=borders[(borders > -FOREVER_MS) & (borders < FOREVER_MS)],
    )  # fmt: skip


def _lines(content: bytes, name: str, form: DeckFormat) -> Iterator[Line]:
    """The rows of a deck's text, the header first. The delimiter is the one by which the header has the columns that every deck has."""
    try:
        encoding = encoding_of(content[:4096], check_encoding(form.encoding) if form.encoding else "")
        text = content.decode(encoding)
        delimiter = delimiter_of(form.delimiter) if form.delimiter else ""
    except UnicodeDecodeError as wrong:
        byte, line = content[wrong.start : wrong.start + 1].hex().upper(), content.count(b"\n", 0, wrong.start) + 1
        raise DeckError(
            f"deck {name}: byte {wrong.start} (0x{byte}, line {line}) is not {label(wrong.encoding)}; "
            "save the file as UTF-8, or say its encoding in the deck's options, such as encoding: cp1252"
        ) from None
    except (ValueError, UnicodeError) as wrong:
        raise DeckError(f"deck {name}: {wrong}") from None
    quote = "" if form.quote == "none" else form.quote
    said = re.match(r"\ufeff?sep=(.)(?:\r\n|\r|\n)", text, re.IGNORECASE)  # a table program's own line
    first = 1
    if said:
        text, first, delimiter = text[said.end() :], 2, delimiter or said[1]
    if not delimiter:
        head = next((line for line in io.StringIO(text, newline=None) if line.strip(" \t,;|\r\n")), "")
        delimiter = other_delimiter(head.strip("\r\n"), ("prefix", "price_per_min"), quote) or ","
    return read_lines(io.StringIO(text, newline=None), Style(delimiter, quote), first)


def _columns(header: Line | None, name: str) -> list[str]:
    expected = f"expected {','.join(COLUMNS)}"
    columns = [cell.strip() for cell in header.cells] if header else []
    if header and header.fault:
        raise DeckError(f"deck {name}, line {header.line}: {header.fault}")
    if missing := {"prefix", "price_per_min"} - set(columns):
        raise DeckError(f"deck {name}: no column {', '.join(sorted(missing))} in the first line; {expected}")
    if unknown := set(columns) - {*COLUMNS, ""}:
        raise DeckError(f"deck {name}: unknown column {', '.join(sorted(unknown))}; {expected}")
    if double := repeated_names(column for column in columns if column):
        raise DeckError(f"deck {name}: column {', '.join(double)} stands twice in the first line: which of them is meant?")
    return columns


def _row(cells: list[str], columns: list[str]) -> dict[str, str]:
    """The cells of a row by column, each filled or absent."""
    if len(cells) != len(columns):
        hint = ""
        if len(cells) > len(columns):
            hint = "; a cell that holds the delimiter must be quoted"
            pairs = (f"{one.strip()}.{other.strip()}" for one, other in pairwise(cells[1:]) if (one + other).replace(" ", "").isdigit())
            if (price := next(pairs, "")) and len(price) < 12:
                hint += f"; a decimal comma that is not quoted cuts a price in two: write {price}"
        raise ValueError(f"{len(cells)} cells where the first line has {len(columns)}{hint}")
    row = {column: cell.strip() for column, cell in zip(columns, cells, strict=True) if cell.strip()}
    if "" in row:
        raise ValueError("a cell is filled in a column without a name")
    return {"prefix": "", "price_per_min": ""} | row


def _prefix(text: str) -> str:
    """The digits of a prefix. E.164 has no number that begins with 0, so a prefix that does would never price a call."""
    prefix = text.removeprefix("+")
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 15):
        hint = ""
        if re.fullmatch(r"\+?\d+(?:[.,]\d+)?[eE][+-]?\d+|\+?\d+[.,]\d+", text, re.ASCII):
            hint = ": it went through a float; format the column as text"
        elif re.fullmatch(r"\+?[\d\s().-]+", text, re.ASCII) and re.search(r"\d", text):
            hint = f": write {re.sub('[^0-9]', '', text).lstrip('0') or 'its digits'} alone, without anything between the digits"
        raise ValueError(f"prefix {text!r} is not 1 to 15 digits{hint}")
    if prefix.startswith("0"):
        what = prefix.lstrip("0")
        mend = f"write {what}" if prefix.startswith("00") and what else "write the country code first, without the 0"
        raise ValueError(f"prefix {text!r} begins with 0, as no number in E.164 does: {mend}")
    return prefix


def _rate(row: dict[str, str], form: DeckFormat) -> tuple[int, int, int, int, int, int, int]:
    """Price, fees, increments and dates of a row."""
    if not row["price_per_min"]:
        raise ValueError("price_per_min is empty")
    per_min, connect, attempt = (_price(row.get(column, "0"), column, form) for column in PRICES)
    if min(per_min, connect, attempt) < 0:
        raise ValueError("a price is negative")
    if per_min > MAX_PRICE:
        raise ValueError(f"price_per_min {row['price_per_min']} is beyond the range of a price")
    steps: list[int] = []
    for column in ("first_s", "next_s"):
        text = row.get(column, "1")
        if not (re.fullmatch(r"\d{1,4}", text, re.ASCII) and 1 <= int(text) <= 3600):
            raise ValueError(f"increments first_s and next_s must be 1 to 3600 seconds, and {column} is {text!r}")
        steps.append(int(text))
    start, end = _date(row.get("effective_from"), -FOREVER_MS, form), _date(row.get("effective_to"), FOREVER_MS, form)
    if start >= end:
        raise ValueError("effective_to is not after effective_from")
    return per_min, connect, attempt, steps[0], steps[1], start, end


@lru_cache(maxsize=65_536)  # a deck says few prices many times
def _price(text: str, column: str, form: DeckFormat) -> int:
    try:
        value = number(text, form.decimal, form.thousands, OPTIONS)
    except ValueError as wrong:
        raise ValueError(f"{str(wrong).replace('is not a number', 'is not a decimal amount')} ({column})") from None
    return to_nanos(text if form.decimal == "." and not form.thousands else value)


NO_DATE = re.compile(r"\\N|\(?null\)?|<null>|none|n/a|-|0{1,4}[./-]0{1,4}[./-]0{1,4}(?:[T ][0:.]+)?|0{1,8}", re.IGNORECASE)


def _date(text: str | None, otherwise: int, form: DeckFormat) -> int:
    """The time of a date. What databases write for none is none: NULL, 0000-00-00."""
    if not text or NO_DATE.fullmatch(text):
        return otherwise
    try:
        when = datetime.fromisoformat(text) if form.date_format == "iso" else datetime.strptime(text, form.date_format)
    except ValueError:
        what = f"a date in the format {form.date_format}"
        if form.date_format == "iso":
            what = f'an ISO date such as 2026-01-31; where dates are 31.01.2026, {OPTIONS} date_format: "%d.%m.%Y"'
        raise ValueError(f"{text!r} is not {what}") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def to_csv(deck: Deck) -> bytes:
    """A deck as plain CSV, whatever its file looked like: the same rates in the same order.

    >>> form = DeckFormat(decimal=",", date_format="%d.%m.%Y")
    >>> to_csv(read_deck(b"prefix;price_per_min;effective_from\\n43;0,02;01.01.2026", "d", "EUR", form)).decode().splitlines()[1]
    '43,,0.02,0,0,1,1,2026-01-01T00:00:00+00:00,'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    money = (deck.per_min_nanos, deck.connect_nanos, deck.attempt_nanos)
    for i, (prefix, destination) in enumerate(zip(deck.prefixes, deck.destinations, strict=True)):
        dates = (_iso(int(deck.from_ms[i])), _iso(int(deck.to_ms[i])))
        writer.writerow([prefix, destination, *(to_text(int(column[i])) for column in money), deck.first_s[i], deck.next_s[i], *dates])
    return text.getvalue().encode()


def _iso(at_ms: int) -> str:
    return "" if abs(at_ms) >= FOREVER_MS else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).isoformat()


def _no_overlap(name: str, prefixes: list[str], places: list[int], start: Ints, end: Ints) -> None:
    order = sorted(range(len(prefixes)), key=lambda i: (prefixes[i], int(start[i])))
    for one, other in pairwise(order):
        if prefixes[one] == prefixes[other] and start[other] < end[one]:
            raise DeckError(
                f"deck {name}: prefix {prefixes[one]} has two rates for the same time (lines {places[one]} and {places[other]}); "
                "end the first with effective_to or remove one"
            )
