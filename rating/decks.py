"""A rate deck: prefixes with prices, increments, fees and effective dates, read from CSV."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import chain, pairwise
from operator import itemgetter
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
from rating.deck import FOREVER_MS, LONGEST, NO_CONDITION, Condition, Deck
from rating.jurisdiction import ANY, NAMES
from rating.prefixes import Ints, encode_all
from rating.tariff import Step, Tariff, check_steps, parse_steps, per_minute, steps_text
from rating.window import DAY_S
from rating.window import parse as parse_window

COLUMNS = (
    "prefix", "destination", "price_per_min", "connect_fee", "attempt_fee", "first_s", "next_s", "effective_from", "effective_to",
)  # fmt: skip
"""Of every deck; the others are for what a deck needs besides."""
TARIFF_COLUMNS = (
    "price_per_min", "connect_fee", "attempt_fee", "first_s", "next_s", "price_per_increment", "steps", "first_is_minimum", "free_s", "grace_s",
    "min_s", "min_amount", "max_amount", "surcharge", "surcharge_after_s", "reverse", "reject",
)  # fmt: skip
CONDITION_COLUMNS = ("min_digits", "max_digits", "origin", "jurisdiction", "window", "weight")
ALL_COLUMNS = tuple(dict.fromkeys((*COLUMNS, *TARIFF_COLUMNS, *CONDITION_COLUMNS)))
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
    """A deck from CSV with columns of `ALL_COLUMNS`; all but `prefix` and a price (or `steps`) may be absent or empty.

    Dates are ISO (a date is its midnight UTC); `effective_to` is exclusive. The same prefix twice over the same time is an error, and so
    is a row that can be read in two ways: a deck is taken whole or not at all. Rows without a filled cell are skipped.

    >>> deck = read_deck(b"prefix,price_per_min,first_s,next_s\\n43,0.02,1,1\\n436,0.05,60,1\\n", "basic", "EUR")
    >>> deck.prefixes, deck.per_min_nanos.tolist(), [tariff.steps[0].increment_s for tariff in deck.tariffs]
    (('43', '436'), [20000000, 50000000], [1, 60])
    """
    try:
        check_format(form)
    except DeckError as wrong:
        raise DeckError(f"deck {name}: {wrong}") from None
    lines = _filled(_opened(content, name, form))
    columns = _columns(next(lines, None), name)
    first = next(lines, None)
    if first is not None and len(first.cells) != len(columns):  # rows that all end with a delimiter, or a header that does: looked for in all
        every = _filled(_opened(content, name, form))
        next(every)
        surplus = surplus_cells(every, len(columns))
        columns = [*columns, ""] if surplus > 0 else columns[:-1] if surplus < 0 and not columns[-1] else columns
    rows = _Rows(columns, form)
    for line, _, cells, fault in chain((first,), lines) if first is not None else ():
        try:
            if fault:
                raise ValueError(fault)
            rows.add(line, cells)
        except ValueError as wrong:
            raise DeckError(f"deck {name}, line {line}: {wrong}") from None
    if not rows.prefixes:
        raise DeckError(f"deck {name}: no rate in it")
    deck_id = hashlib.sha256(content)
    deck_id.update(msgspec.json.encode(form) if form != DeckFormat() else b"")
    tariff_of, condition_of, from_ms, to_ms = (np.frombuffer(column, np.int64) for column in rows.numbers)
    _no_overlap(name, rows.prefixes, rows.lines, condition_of, from_ms, to_ms)
    return Deck(
        name=name, deck_id=deck_id.hexdigest(), currency=currency,
        prefixes=tuple(rows.prefixes), destinations=tuple(rows.destinations), tariffs=tuple(rows.tariffs), tariff=tariff_of,
        from_ms=from_ms, to_ms=to_ms, conditions=tuple(rows.conditions), condition=condition_of if len(rows.conditions) > 1 else None,
    )  # fmt: skip


def _filled(lines: Iterable[Line]) -> Iterator[Line]:
    """Without what table programs leave below and between their rows."""
    for line in lines:
        cells = line.cells
        if line.fault or cells[0].strip() or any(map(str.strip, cells)):
            yield line


class _Rows:
    """The rows of a deck, as they are read: text once, numbers in arrays, so that a million of them stay small."""

    def __init__(self, columns: list[str], form: DeckFormat) -> None:
        self.form, self.columns = form, columns
        at = {column: place for place, column in enumerate(columns) if column}
        self._prefix, self._destination = at["prefix"], at.get("destination")
        self._dates = [at.get(column) for column in ("effective_from", "effective_to")]
        self._nameless = columns.index("") if "" in columns else None
        # A deck says few tariffs and conditions many times: a row's cells of their columns are looked up as they stand.
        self._of_tariff = [(column, at[column]) for column in TARIFF_COLUMNS if column in at]
        self._of_condition = [(column, at[column]) for column in CONDITION_COLUMNS if column in at]
        self._tariff_cells, self._condition_cells = (_cells_of([place for _, place in of]) for of in (self._of_tariff, self._of_condition))
        self._known_tariffs: dict[Sequence[str], int] = {}
        self._known_conditions: dict[Sequence[str], tuple[int, ...]] = {}
        self.prefixes: list[str] = []
        self.destinations: list[str] = []
        self.tariffs: dict[Tariff, int] = {}
        self.conditions: dict[Condition, int] = {NO_CONDITION: 0}
        self.lines = array("q")
        self.numbers = array("q"), array("q"), array("q"), array("q")  # tariff, condition, from, to

    def add(self, line: int, cells: list[str]) -> None:
        """A row; `ValueError` with what is wrong in it."""
        if len(cells) != len(self.columns):
            raise ValueError(_cells_fault(cells, self.columns))
        if self._nameless is not None and cells[self._nameless].strip():
            raise ValueError("a cell is filled in a column without a name")
        prefix = sys.intern(_prefix(cells[self._prefix].strip()))  # the next price list has mostly the same
        written = self._tariff_cells(cells)
        tariff = self._known_tariffs.get(written)
        if tariff is None:
            named = {column: cells[place].strip() for column, place in self._of_tariff}
            found = _tariff(tuple([named.get(column, "") for column in TARIFF_COLUMNS]), self.form)
            tariff = self._known_tariffs[written] = self.tariffs.setdefault(found, len(self.tariffs))
        asked = self._condition_cells(cells)
        conditions = self._known_conditions.get(asked)
        if conditions is None:
            named = {column: cells[place].strip() for column, place in self._of_condition}
            every = _conditions(tuple([named.get(column, "") for column in CONDITION_COLUMNS])) if any(named.values()) else (NO_CONDITION,)
            conditions = self._known_conditions[asked] = tuple([self.conditions.setdefault(one, len(self.conditions)) for one in every])
        begin, end = self._dates
        from_ms, to_ms = _dates("" if begin is None else cells[begin].strip(), "" if end is None else cells[end].strip(), self.form)
        destination = "" if self._destination is None else sys.intern(cells[self._destination].strip())
        tariffs, places, begins, ends = self.numbers
        for condition in conditions:
            self.prefixes.append(prefix)
            self.destinations.append(destination)
            self.lines.append(line)
            tariffs.append(tariff)
            places.append(condition)
            begins.append(from_ms)
            ends.append(to_ms)


def _cells_of(places: list[int]) -> Callable[[list[str]], Sequence[str]]:
    """The cells of some columns, as the key of what was made of them: one cell is a text, which is one as well."""
    return itemgetter(*places) if places else lambda _: ""


PIECE = 1 << 20


def _opened(content: bytes, name: str, form: DeckFormat) -> Iterator[Line]:
    """The rows of a deck's text, the header first. The delimiter is the one by which the header has the columns that every deck has.

    The text is decoded as it is read: whole, a million rows of it would take 200 MB beside their bytes.
    """
    try:
        encoding = encoding_of(content[:4096], check_encoding(form.encoding) if form.encoding else "")
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for start in range(0, len(content), PIECE):
                decoder.decode(content[start : start + PIECE])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            content.decode(encoding)  # says where in the file
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
    text = io.TextIOWrapper(io.BytesIO(content), encoding, newline=None)
    ahead = [text.readline()]
    said = re.match(r"\ufeff?sep=(.)\n", ahead[0], re.IGNORECASE)  # a table program's own line
    first = 1
    if said:
        ahead, first, delimiter = [], 2, delimiter or said[1]
    if not delimiter:
        while not (ahead and ahead[-1].strip(" \t,;|\r\n")) and (another := text.readline()):
            ahead.append(another)
        delimiter = other_delimiter(ahead[-1].strip("\r\n") if ahead else "", ("prefix", "price_per_min"), quote) or ","
    return read_lines(chain(ahead, text), Style(delimiter, quote), first)


def _columns(header: Line | None, name: str) -> list[str]:
    expected = f"expected {','.join(COLUMNS)}"
    columns = [cell.strip() for cell in header.cells] if header else []
    if header and header.fault:
        raise DeckError(f"deck {name}, line {header.line}: {header.fault}")
    missing = {"prefix"} - set(columns)
    if not {"price_per_min", "price_per_increment", "steps"} & set(columns):
        missing.add("price_per_min")
    if missing:
        raise DeckError(f"deck {name}: no column {', '.join(sorted(missing))} in the first line; {expected}")
    if unknown := set(columns) - {*ALL_COLUMNS, ""}:
        others = ",".join(column for column in ALL_COLUMNS if column not in COLUMNS)
        raise DeckError(f"deck {name}: unknown column {', '.join(sorted(unknown))}; {expected}, and for what needs them {others}")
    if double := repeated_names(column for column in columns if column):
        raise DeckError(f"deck {name}: column {', '.join(double)} stands twice in the first line: which of them is meant?")
    return columns


def _cells_fault(cells: list[str], columns: list[str]) -> str:
    """What is wrong with a row that has another number of cells than the first line."""
    hint = ""
    if len(cells) > len(columns):
        hint = "; a cell that holds the delimiter must be quoted"
        pairs = (f"{one.strip()}.{other.strip()}" for one, other in pairwise(cells[1:]) if (one + other).replace(" ", "").isdigit())
        if (price := next(pairs, "")) and len(price) < 12:
            hint += f"; a decimal comma that is not quoted cuts a price in two: write {price}"
    return f"{len(cells)} cells where the first line has {len(columns)}{hint}"


def _prefix(text: str) -> str:
    """The digits of a prefix. E.164 has no number that begins with 0, so a prefix that does would never price a call."""
    if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) <= 15:
        return text  # nearly all of them
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


@lru_cache(maxsize=65_536)  # a deck says few tariffs many times
def _tariff(cells: tuple[str, ...], form: DeckFormat) -> Tariff:
    """The tariff of a row, from the cells of `TARIFF_COLUMNS`."""
    row = dict(zip(TARIFF_COLUMNS, cells, strict=True))

    def money(column: str) -> int:
        nanos = _price(row[column] or "0", column, form)
        if nanos < 0:
            raise ValueError("a price is negative" if column in PRICES else f"{column} is negative")
        return nanos

    def seconds(column: str, otherwise: str, least: int, most: int) -> int:
        text = row[column]
        if not text:
            return int(otherwise)
        if not (text.isdecimal() and text.isascii() and len(text) <= 6 and least <= int(text) <= most):
            if column in ("first_s", "next_s"):
                raise ValueError(f"increments first_s and next_s must be 1 to 3600 seconds, and {column} is {text!r}")
            raise ValueError(f"{column} must be {least} to {most} seconds, and is {text!r}")
        return int(text)

    reject = _yes(row["reject"], "reject")
    priced = [column for column in ("price_per_min", "price_per_increment", "steps") if row[column]]
    if not priced and not reject:
        raise ValueError("price_per_min is empty")
    if len(priced) > 1:
        raise ValueError(f"{' and '.join(priced)} are filled: a row has one of them")
    first_s, next_s = seconds("first_s", "1", 1, 3600), seconds("next_s", "1", 1, 3600)
    if row["steps"]:
        if row["first_s"] or row["next_s"]:
            raise ValueError("first_s and next_s belong to price_per_min: steps have their own increments")
        steps = parse_steps(row["steps"], partial(_price, column="steps", form=form))
    elif row["price_per_increment"]:
        price = money("price_per_increment")
        steps = (Step(0, price, first_s, first_s),)
        steps += (Step(first_s, price, next_s, next_s),) if first_s != next_s else ()
    else:
        per_min = money("price_per_min")
        if per_min > MAX_PRICE:
            raise ValueError(f"price_per_min {row['price_per_min']} is beyond the range of a price")
        steps = per_minute(per_min, first_s, next_s).steps
    most = money("max_amount") if row["max_amount"] else None
    if most is not None and most < money("min_amount"):
        raise ValueError("max_amount is less than min_amount")
    return Tariff(
        check_steps(steps), money("connect_fee"), money("attempt_fee"), _yes(row["first_is_minimum"], "first_is_minimum"),
        seconds("free_s", "0", 0, DAY_S), seconds("grace_s", "0", 0, DAY_S), seconds("min_s", "0", 0, DAY_S), money("min_amount"), most,
        money("surcharge"), seconds("surcharge_after_s", "0", 0, DAY_S), _yes(row["reverse"], "reverse"), reject,
    )  # fmt: skip


@lru_cache(maxsize=65_536)
def check_cells(named: tuple[tuple[str, str], ...]) -> None:
    """`ValueError` with what is wrong in the cells of a row, by their columns: of prices, fees and bounds, or of what a call is asked for.

    >>> check_cells((("price_per_min", "0.1"), ("free_s", "x")))
    Traceback (most recent call last):
    ...
    ValueError: free_s must be 0 to 86400 seconds, and is 'x'
    """
    cells = dict(named)
    _conditions(tuple([cells.get(column, "") for column in CONDITION_COLUMNS]))
    _tariff(tuple([cells.get(column, "") for column in TARIFF_COLUMNS]), DeckFormat())


def conditions_of(cells: tuple[str, ...]) -> str:
    """What a row asks of a call, for a person, from its cells of `CONDITION_COLUMNS`. Of several origins the first is named."""
    return _conditions(cells)[0].text if any(cells) else ""


PRICES = ("price_per_min", "connect_fee", "attempt_fee")


def _yes(text: str, column: str) -> bool:
    if text.lower() not in ("", "yes", "no"):
        raise ValueError(f"{column} is {text!r}: write yes or no")
    return text.lower() == "yes"


@lru_cache(maxsize=4096)
def _conditions(cells: tuple[str, ...]) -> tuple[Condition, ...]:
    """What a row asks of a call, from the cells of `CONDITION_COLUMNS`: once for each prefix of its origin."""
    row = dict(zip(CONDITION_COLUMNS, cells, strict=True))

    def whole(column: str, otherwise: int, most: int) -> int:
        text = row[column]
        if text and not (re.fullmatch(r"\d{1,4}", text, re.ASCII) and int(text) <= most):
            raise ValueError(f"{column} must be 0 to {most}, and is {text!r}")
        return int(text or otherwise)

    fewest, most = whole("min_digits", 0, LONGEST), whole("max_digits", LONGEST, LONGEST)
    if fewest > most:
        raise ValueError(f"min_digits {fewest} is more than max_digits {most}: no number fits")
    origins = [_prefix(origin) for origin in row["origin"].split()] or [""]
    kind = row["jurisdiction"].lower()
    if kind and kind not in NAMES:
        raise ValueError(f"jurisdiction is {kind!r}: write {', '.join(NAMES)} or nothing")
    window, weight = parse_window(row["window"]), whole("weight", 0, 9999)
    return tuple(Condition(fewest, most, origin, NAMES.get(kind, ANY), window, weight) for origin in origins)


@lru_cache(maxsize=4096)
def _dates(start: str, end: str, form: DeckFormat) -> tuple[int, int]:
    from_ms, to_ms = _date(start, -FOREVER_MS, form), _date(end, FOREVER_MS, form)
    if from_ms >= to_ms:
        raise ValueError("effective_to is not after effective_from")
    return from_ms, to_ms


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
    tariffs, conditions = [_tariff_cells(tariff) for tariff in deck.tariffs], [_condition_cells(asked) for asked in deck.conditions]
    others = [column for column in ALL_COLUMNS if column not in COLUMNS and any(column in cells for cells in (*tariffs, *conditions))]
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, *others), "", lineterminator="\n")
    writer.writeheader()
    places = deck.condition.tolist() if deck.condition is not None else [0] * len(deck.prefixes)
    for i, (prefix, destination, tariff, condition) in enumerate(
        zip(deck.prefixes, deck.destinations, deck.tariff.tolist(), places, strict=True)
    ):
        dates = {"effective_from": _iso(int(deck.from_ms[i])), "effective_to": _iso(int(deck.to_ms[i]))}
        writer.writerow({"prefix": prefix, "destination": destination, **tariffs[tariff], **dates, **conditions[condition]})
    return text.getvalue().encode()


def _tariff_cells(tariff: Tariff) -> dict[str, object]:
    cells: dict[str, object] = {"connect_fee": to_text(tariff.connect_nanos), "attempt_fee": to_text(tariff.attempt_nanos)}
    first, last = tariff.steps[0], tariff.steps[-1]
    if Tariff(tariff.steps).is_plain and (len(tariff.steps) == 1 or first.increment_s != last.increment_s):
        cells |= {"price_per_min": to_text(first.price_nanos), "first_s": first.increment_s, "next_s": last.increment_s}
    else:
        cells |= {"steps": steps_text(tariff.steps)}
    for column, value in (
        ("first_is_minimum", tariff.first_is_minimum), ("free_s", tariff.free_s), ("grace_s", tariff.grace_s), ("min_s", tariff.min_s),
        ("surcharge_after_s", tariff.surcharge_after_s), ("reverse", tariff.reverse), ("reject", tariff.reject),
    ):  # fmt: skip
        cells |= {column: "yes" if value is True else value} if value else {}
    for column, nanos in (("min_amount", tariff.min_nanos), ("surcharge", tariff.surcharge_nanos)):
        cells |= {column: to_text(nanos)} if nanos else {}
    return cells | ({"max_amount": to_text(tariff.max_nanos)} if tariff.max_nanos is not None else {})


def _condition_cells(asked: Condition) -> dict[str, object]:
    found: dict[str, object] = {
        "min_digits": asked.min_digits, "max_digits": asked.max_digits if asked.max_digits != LONGEST else 0, "origin": asked.origin,
        "jurisdiction": next((name for name, kind in NAMES.items() if kind == asked.jurisdiction), ""), "window": asked.window.text,
        "weight": asked.weight,
    }  # fmt: skip
    return {column: value for column, value in found.items() if value}


def _iso(at_ms: int) -> str:
    return "" if abs(at_ms) >= FOREVER_MS else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).isoformat()


def _no_overlap(name: str, prefixes: list[str], lines: Sequence[int], condition: Ints, start: Ints, end: Ints) -> None:
    """Refuse two rows of one prefix and condition for the same time."""
    codes = encode_all(prefixes)
    order = np.lexsort((start, condition, codes))
    one, other = order[:-1], order[1:]
    clash = np.flatnonzero((codes[one] == codes[other]) & (condition[one] == condition[other]) & (start[other] < end[one]))
    if len(clash):
        first, second = sorted((int(one[clash[0]]), int(other[clash[0]])))
        raise DeckError(
            f"deck {name}: prefix {prefixes[first]} has two rates for the same time (lines {lines[first]} and {lines[second]}); "
            "end the first with effective_to or remove one"
        )
