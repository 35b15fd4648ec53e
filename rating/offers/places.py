"""Where in a table the columns of a mapping stand, and what the lines above them say of the whole file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from core.currencies import CURRENCIES
from rating.offers.finding import refused
from rating.offers.mapping import Mapping, clean_name
from rating.offers.styles import CURRENCY_SIGNS, ISO, bare_amount, date_ms, date_style
from rating.offers.table import Table

HEAD = 200
"""Rows among which the headings are looked for."""


class Places(NamedTuple):
    """`after`: the number of the last row of headings; `places`: field -> place of its cell; `names`: field -> its column's name."""

    after: int
    places: dict[str, int]
    names: dict[str, str]


def joined(rows: list[list[str]]) -> list[str]:
    """The names of columns whose headings stand in one or two rows, one above the other.

    >>> joined([["Country", "", "Rate"], ["Name", "Code", ""]])
    ['Country Name', 'Code', 'Rate']
    """
    width = max(map(len, rows))
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    return [" ".join(dict.fromkeys(" ".join(part.split()) for part in parts if part)) for parts in zip(*padded, strict=True)]


def places_of(table: Table, mapping: Mapping) -> Places:
    """Where the columns of a mapping are. Raises `OfferError` where they are not, or could be in two places."""
    numbered = {name: int(label[1:]) - 1 for name, label in mapping.columns.items() if re.fullmatch(r"#\d{1,3}", label)}
    wanted = {name: clean_name(label) for name, label in mapping.columns.items() if name not in numbered}
    names = dict(mapping.columns)
    head = list(islice((row for row in table.rows() if row.cells), HEAD))
    if not mapping.header_rows and not wanted:
        return Places(0, numbered, names)
    best: set[str] = set()
    shown = ""
    for at, row in enumerate(head):
        rows = head[at : at + mapping.header_rows]
        headings = [clean_name(name) for name in joined([one.cells for one in rows])] if rows else []
        have = {name for name, label in wanted.items() if label in headings}
        if len(have) > len(best):
            best, shown = have, ", ".join(repr(name) for name in headings if name)
        if len(have) == len(wanted) and len(rows) == mapping.header_rows and (wanted or at + 1 >= mapping.header_rows):
            last = rows[-1].number if rows else row.number
            if twice := [mapping.columns[name] for name, label in wanted.items() if headings.count(label) > 1]:
                words = f"column {', '.join(map(repr, twice))} stands twice in row {last}"
                raise refused("no such column", words, "name it by its number, such as #3")
            return Places(last, {**numbered, **{name: headings.index(label) for name, label in wanted.items()}}, names)
    absent = [mapping.columns[name] for name in wanted if name not in best]
    one_cell = all(len(row.cells) == 1 for row in head)
    words = f"no row of the file has the column {', '.join(map(repr, absent))} of the mapping" + (f"; the nearest has {shown}" if shown else "")
    if one_cell:
        words += f"; every row is one cell, so the delimiter {table.delimiter!r} is not this file's"
    raise refused("no such column", words, "correct the mapping (--mapping), or have it guessed again (--guess)")


class FileFacts(NamedTuple):
    """What a file says of all its rows outside of them; "" = nothing. `valid_from` is an ISO date."""

    currency: str
    valid_from: str


def facts_outside_table(table: Table, mapping: Mapping) -> FileFacts:
    """The currency and the date of validity that the headings, or the lines above them, name.

    >>> from rating.offers.table import open_table
    >>> table = open_table(b"ACME rates;\\nEffective date:;1 December 2026\\nCode;Rate (USD)\\n44;0.02\\n")
    >>> facts_outside_table(table, Mapping(columns={"prefix": "Code", "price_per_min": "Rate (USD)"}))
    FileFacts(currency='USD', valid_from='2026-12-01')
    """
    after, places, names = places_of(table, mapping)
    head = list(islice((row for row in table.rows() if row.cells), HEAD))
    above = [row for row in head if row.number <= after - mapping.header_rows] if after else []
    place = places["price_per_min"]
    heading = names["price_per_min"]
    currency = _currency_in(heading) if not heading.startswith("#") else ""
    valid_from = ""
    for row in above:
        for at, cell in enumerate(row.cells):
            if not cell:
                continue
            if not currency and re.search(r"curren|rate|price|tariff|w.hrung|preis", cell, re.IGNORECASE):
                currency = _currency_in(" ".join(row.cells[at : at + 3]))
            if not valid_from and re.search(r"effective|valid|g.ltig|start|\bfrom\b|\bab\b|date", cell, re.IGNORECASE):
                valid_from = next((found for one in row.cells[at : at + 4] if (found := date_in(one))), "")
    below = [row.cells for row in head if row.number > after]
    if not currency:
        currency = _only(bare_amount(cells[place])[1] for cells in below if len(cells) > place)
    if not currency and "currency" in places:
        unit = places["currency"]
        currency = _only(cells[unit].upper() for cells in below if len(cells) > unit)
    return FileFacts(currency, valid_from)


def _only(texts: Iterable[str]) -> str:
    found = {text for text in texts if text}
    return found.pop() if len(found) == 1 else ""


def _currency_in(text: str) -> str:
    words: list[str] = re.findall(r"\b[A-Z]{3}\b", text.upper() if len(text) < 40 else text)
    for word in words:
        if word in CURRENCIES and word not in ("ALL", "TOP"):  # also words of English
            return word
    return next((code for sign, code in CURRENCY_SIGNS.items() if sign in text), "")


DATE_IN_TEXT = re.compile(
    r"\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{1,2}[ -][A-Za-z]{3,9}[ ,-]+\d{4}|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)


def date_in(text: str) -> str:
    """The date in a text, as ISO; "" = none, or one that could be two."""
    parts: list[str] = [text, *DATE_IN_TEXT.findall(text)]
    for part in parts:
        value = part.strip()
        if ISO.fullmatch(value):
            return value[:10]
        style = date_style([value])
        if not style.doubt and style.date_format != "iso":
            at_ms = date_ms(value, style.date_format, "UTC")
            if at_ms is not None:
                return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
    return ""
