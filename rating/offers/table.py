"""A carrier's file as it comes: rows of cells, whether it is CSV, TSV or a workbook, and in whatever encoding."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from core.delimited import BAD, KEEP, Style, bad_byte, check_encoding, delimiter_of, encoding_of, label, read_lines, readable
from rating.offers.finding import refused
from rating.offers.headings import meanings
from rating.offers.mapping import PRICES, Mapping
from rating.offers.xlsx import Workbook, open_workbook, read_sheet, sheet_names, text_of

MOST_ROWS = 2_000_000
MOST_LINES = 2 * MOST_ROWS
"""Of a text, with its empty lines: more are refused before any is read."""
MOST_COLUMNS = 500
MOST_CELL = 100_000
DELIMITERS = (";", "\t", ",", "|")


class Row(NamedTuple):
    """A row with its number in the file, counted from 1. `fault`: why it cannot be cut into cells."""

    number: int
    cells: list[str]
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of a file; `rows()` begins anew. `reasons`: how it was seen what the file is."""

    rows: Callable[[], Iterator[Row]]
    reasons: tuple[str, ...]
    sheet: str = ""
    encoding: str = ""
    delimiter: str = ""
    plain_text: str = ""  # the text of a file in which a line is its cells and delimiters: no quotes, no bytes that are invalid; "" = read `rows`
    first_line: int = 1  # the number of its first line


def open_table(content: bytes, mapping: Mapping | None = None) -> Table:
    """The table in a file. Raises `OfferError` where there is none, or more than one could be meant.

    >>> table = open_table("Code;Rate\\n44;0,02\\n".encode("utf-16"))
    >>> table.encoding, table.delimiter, [row.cells for row in table.rows()]
    ('utf-16', ';', [['Code', 'Rate'], ['44', '0,02']])
    """
    if not content.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise refused("empty file", "the file is empty", "ask the carrier to send it again")
    how = mapping or Mapping(columns={})
    if content.startswith(b"PK\x03\x04"):
        return _from_workbook(content, how)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise refused(
            "old workbook", "the file is a workbook in the form of before 2007 (.xls), or has a password", "save it as .xlsx without a password"
        )
    return _from_text(content, how)


# --- workbooks ---


def _from_workbook(content: bytes, how: Mapping) -> Table:
    workbook = open_workbook(content)
    names = sheet_names(workbook)
    if how.sheet and how.sheet not in names:
        raise refused("which sheet", f"the workbook has no sheet {how.sheet!r}; it has {', '.join(names) or 'none'}", "name one with --sheet")
    if not names:
        raise refused("which sheet", "the workbook has no visible sheet")
    name, reason = how.sheet, "as it is named"
    if not name:
        name, reason = (names[0], "the only one") if len(names) == 1 else _likely_sheet(workbook, names)
    _, values = read_sheet(workbook, name)
    if len(values) > MOST_ROWS:
        raise _too_many(f"{len(values):,} rows")

    def rows() -> Iterator[Row]:
        for number, cells in enumerate(values, 1):
            texts = [text.strip() if type(text) is str else text_of(text) for text in cells]
            if any(texts):
                yield Row(number, texts)

    return Table(rows, (f"sheet {name!r}: {reason}",), sheet=name if len(names) > 1 else "")


def _likely_sheet(workbook: Workbook, names: tuple[str, ...]) -> tuple[str, str]:
    """The one sheet that has rows with a code and a price; of several, the one whose headings are those of codes and prices. Several such sheets:
    a person says which."""
    filled, headed = [], []
    for name in names:
        _, values = read_sheet(workbook, name)
        if any(sum(map(_is_number, row)) >= 2 for row in islice(values, 5000)):
            filled.append(name)
            headed += [name] if any(_heads(row) for row in islice(values, 200)) else []
    if len(filled) == 1:
        return filled[0], f"the only one of {len(names)} with codes and prices in its rows"
    if len(headed) == 1:
        return headed[0], f"the only one of {len(names)} with headings of codes and prices"
    among = ", ".join(headed or filled or names)
    raise refused("which sheet", f"the workbook has several sheets that could be meant: {among}", "name one with --sheet")


def _heads(row: list[object]) -> bool:
    """Whether cells name a column of codes and one of prices."""
    fields = {found[0].field for cell in row if isinstance(cell, str) and (found := meanings(cell))}
    return bool({*PRICES} & fields) and bool({"prefix", "country_code"} & fields)


def _is_number(cell: object) -> bool:
    return (isinstance(cell, (int, float)) and not isinstance(cell, bool)) or looks_numeric(str(cell))


def looks_numeric(text: str) -> bool:
    """Whether a cell is digits and what stands between digits.

    >>> [looks_numeric(text) for text in ("4477-4479", "0,035", "USD 0.02", "Rate", "")]
    [True, True, True, False, False]
    """
    return bool(re.fullmatch(r"\W*(?:[A-Z]{3}\s*)?[\d\s.,;:/+'-]*\d[\d\s.,;:/+'-]*(?:\s*[A-Z]{3})?\W*", text))


# --- text ---


def _from_text(content: bytes, how: Mapping) -> Table:
    if (lines := max(content.count(b"\n"), content.count(b"\r"))) > MOST_LINES:
        raise _too_many(f"{lines:,} lines")
    encoding, why = _encoding(content, how.encoding)
    text = content.decode(encoding, KEEP)
    first = 1
    declared = re.match(r"\ufeff?sep=(.)(?:\r\n|\r|\n)", text, re.IGNORECASE)  # a table program's own line
    if declared:
        text, first = text[declared.end() :], 2
    quote = "" if how.quote == "none" else how.quote
    if how.delimiter:
        try:
            delimiter, reason = delimiter_of(how.delimiter), "as the mapping says"
        except ValueError as wrong:
            raise refused("delimiter", str(wrong)) from None
    elif declared:
        delimiter, reason = declared[1], "the file's first line says so"
    else:
        delimiter, reason = _delimiter(text, quote)
    style = Style(delimiter, quote, line_breaks=False)

    def rows() -> Iterator[Row]:
        for count, line in enumerate(read_lines(io.StringIO(text, newline=None), style, first), 1):
            if count > MOST_ROWS:
                raise _too_many("more rows", line.line)
            fault = line.fault or ("" if line.text.isascii() else bad_byte(line.text, encoding))
            if len(line.cells) > MOST_COLUMNS or len(line.text) > MOST_CELL:
                fault = f"the row has {len(line.cells):,} cells and {len(line.text):,} characters: it is no row of a rate sheet"
            yield Row(line.line, [] if fault else [cell.strip() for cell in line.cells], readable(fault))

    words = {"\t": "tabs"}.get(delimiter, delimiter)
    reasons = (f"encoding {label(encoding)}: {why}", f"cells are separated by {words}: {reason}")
    is_plain = (not quote or quote not in text) and (text.isascii() or not BAD.search(text))
    return Table(rows, reasons, encoding=encoding, delimiter=delimiter, plain_text=text if is_plain else "", first_line=first)


def _too_many(what: str, row: int = 0) -> Exception:
    words = f"the file has {what}, and {MOST_ROWS:,} rows are imported at most"
    return refused("too many rows", words, "split it, or leave out what is no rate", row)


def _encoding(content: bytes, declared: str) -> tuple[str, str]:
    head = content[:4096]
    try:
        wanted = check_encoding(declared) if declared else ""
        encoding = encoding_of(head, wanted)
    except ValueError as wrong:
        unmarked = re.search(r"encoding: (utf-16-[lb]e)", str(wrong))
        if unmarked is None:
            raise refused("not a table", str(wrong)) from None
        return unmarked[1], "every second byte is 0"
    if declared:
        return encoding, "as the mapping says"
    if encoding != "utf-8":
        return encoding, "its byte order mark says so"
    if b"\0" in head:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise refused("not a table", "the file has bytes of value 0: it is neither text nor a workbook", "ask the carrier for CSV or .xlsx", row=line)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        return "cp1252", f"byte 0x{content[wrong.start]:02X} in line {line} is not UTF-8"
    return "utf-8", "every byte fits"


def _delimiter(text: str, quote: str) -> tuple[str, str]:
    """The character that cuts most rows into the same number of cells, and more than one."""
    lines = list(islice(io.StringIO(text, newline=None), 400))
    best, most = ("", ""), 0.0
    for delimiter in DELIMITERS:
        rows = [line.cells for line in read_lines(lines, Style(delimiter, quote)) if not line.fault and any(line.cells)]
        if not rows:
            continue
        (width, count), = Counter(len(row) for row in rows).most_common(1)
        numeric = sum(sum(looks_numeric(cell.strip()) for cell in row) >= 2 for row in rows)
        share = count / len(rows)
        score = share * (min(numeric, count) + 0.5) * (width > 1)
        if score > most * 1.05:
            most, best = score, (delimiter, f"{count:,} of the first {len(rows):,} rows have {width} cells so")
    if not best[0]:
        raise refused(
            "delimiter", "no row of the file has a code and a price in two cells, by comma, semicolon, tab or |",
            "say delimiter in the mapping, or ask the carrier for a table",
        )  # fmt: skip
    return best
