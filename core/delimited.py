"""Rows of delimited text such as CSV. Each physical line is parsed separately, so that an unpaired quote costs one row, not the rest of the file.

Rate decks and files of calls are read by the same rules; the meaning of columns is not known here:

- a quote that is opened and not closed in a line is a fault of that line; the following lines are read as if it did not exist
- where fields may contain line breaks (`line_breaks`), lines are joined only if the joined row has as many cells as the header
- bytes that are invalid in the encoding stay in the text as U+DC00 plus the byte, and are reported where such a value is used
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

MAX_FIELD_LINES = 1000
"""A field with more line breaks is treated as an unpaired quote."""

DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
"""Names of delimiters that are hard to type."""

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
"""Byte order marks and their encodings; the longest first."""

PACKED = (
    (b"PK\x03\x04", "a spreadsheet or a zip archive"), (b"\xd0\xcf\x11\xe0", "a spreadsheet (.xls)"), (b"\x1f\x8b", "packed by gzip"),
    (b"BZh", "packed by bzip2"), (b"\xfd7zXZ", "packed by xz"), (b"\x28\xb5\x2f\xfd", "packed by zstd"), (b"%PDF", "a PDF"),
    (b"PAR1", "a Parquet file (of calls: set format: parquet)"), (b"\x89PNG", "a picture (PNG)"), (b"\xff\xd8\xff", "a picture (JPEG)"),
)  # fmt: skip

WEB_PAGE = "a web page, perhaps of a sign-in"

NOT_TEXT = frozenset({"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "oem"})


class Style(NamedTuple):
    """Delimiter and quote of a file. `quote` "" = quotes are ordinary characters."""

    delimiter: str = ","
    quote: str = '"'
    line_breaks: bool = False


class Line(NamedTuple):
    """One row: the number of its (first) line, its unchanged text, its cells, and its fault ("" = none)."""

    line: int
    text: str
    cells: list[str]
    fault: str


def read_lines(lines: Iterable[str], style: Style = Style(), first: int = 1, width: int = 0) -> Iterator[Line]:
    """Every line that is not empty. `width`: the number of cells of joined lines; 0 = as many as the first row.

    >>> for row in read_lines(['id,note,s', '1,"a, b",60', '2,"5 inch,60', '3,c,60']): print(row.line, row.cells or row.fault[:32])
    1 ['id', 'note', 's']
    2 ['1', 'a, b', '60']
    3 a quote is opened and not closed
    4 ['3', 'c', '60']
    >>> style = Style(line_breaks=True)
    >>> [row.cells for row in read_lines(['id,note', '1,"a\\n', 'b"', '2,c'], style)]
    [['id', 'note'], ['1', 'a\\nb'], ['2', 'c']]
    """
    csv.field_size_limit(1 << 26)
    source, ahead = iter(lines), deque[str]()
    number, opened = first - 1, 0
    quote, delimiter = style.quote, style.delimiter
    while (raw := _next(ahead, source)) is not None:
        number += 1
        text = raw.rstrip("\r\n")
        if not text.strip(" \t") and (not width or delimiter not in text):
            continue
        if not quote or quote not in text:  # nearly all lines
            cells = text.split(delimiter)
            width = width or len(cells)
            yield Line(number, text, cells, "")
            continue
        cells, fault = _cells(text, style)
        odd = bool(style.quote) and text.count(style.quote) % 2 == 1
        if fault and odd and style.line_breaks:
            joined = _joined(raw, ahead, source, style, width)
            if joined is not None:
                more, text, cells = joined
                yield Line(number, text, cells, "")
                number += more
                continue
            fault = "a quote is opened, and no later line closes it into a row with as many cells as the first line has"
        if fault:
            opened = number if odd and not opened else 0
        elif opened and odd:
            cells, fault = [], (
                f"a quote that may close the one in line {opened}: this line may be the rest of that row; set quote: none where quotes are "
                "ordinary characters"
            )
            opened = 0
        width = width or len(cells)
        yield Line(number, text, cells, fault)


def _next(ahead: deque[str], source: Iterator[str]) -> str | None:
    return ahead.popleft() if ahead else next(source, None)


def _cells(text: str, style: Style) -> tuple[list[str], str]:
    """The cells of one line, and its fault."""
    if not style.quote or style.quote not in text:
        return text.split(style.delimiter), ""
    try:
        (cells,) = csv.reader(
            (text,), delimiter=style.delimiter, quotechar=style.quote, strict=True, skipinitialspace=style.delimiter != " "
        )
    except (csv.Error, ValueError) as wrong:
        if "unexpected end of data" in str(wrong):
            return [], (
                "a quote is opened and not closed in this line: close it, double a literal quote, or set quote: none where quotes are "
                "ordinary characters"
            )
        return [], f"text after a closing quote: double a literal quote, or set quote: none ({wrong})"
    return cells, ""


def _joined(raw: str, ahead: deque[str], source: Iterator[str], style: Style, width: int) -> tuple[int, str, list[str]] | None:
    """The row that begins with `raw` and contains line breaks: its number of further lines, its text and its cells. None: there is no such
    row, and all lines but the first are back in `ahead`."""
    taken: list[str] = []
    odd = True
    while odd and len(taken) < MAX_FIELD_LINES and (line := _next(ahead, source)) is not None:
        taken.append(line)
        odd ^= line.count(style.quote) % 2 == 1
    text = "".join((raw, *taken)).rstrip("\r\n")
    cells, fault = ([], "open") if odd else _cells(text, style)
    if fault or (width and len(cells) != width):
        ahead.extendleft(reversed(taken))
        return None
    return len(taken), text, cells


def surplus_cells(lines: Iterable[Line], width: int) -> int:
    """1 if every row has one more cell than the header, an empty one: some programs end rows with a delimiter. -1 if every row has one cell
    less (they end the header with one), else 0.

    >>> surplus_cells([Line(2, "", ["43", "1", ""], ""), Line(3, "", ["44", "2", ""], "")], 2)
    1
    """
    widths: set[int] = set()
    for line in lines:
        if line.fault or not any(map(str.strip, line.cells)):
            continue
        widths.add(len(line.cells))
        if len(line.cells) == width + 1 and line.cells[-1].strip():
            return 0
    return 1 if widths == {width + 1} else -1 if widths == {width - 1} else 0


def delimiter_of(text: str) -> str:
    """The delimiter in a setting: a character or its name. Raises `ValueError` for any other text.

    >>> delimiter_of("tab"), delimiter_of(";"), delimiter_of("\\\\t")
    ('\\t', ';', '\\t')
    """
    found = DELIMITERS.get(text.lower(), text)
    if len(found) != 1 or found in "\r\n\"'" or found.isalnum():
        raise ValueError(f"{text!r} is not a delimiter: one character such as , ; | or one of {', '.join(sorted(DELIMITERS))}")
    return found


def other_delimiter(text: str, wanted: Sequence[str], quote: str = '"') -> str:
    """The delimiter with which a header has all the wanted names; "" = none.

    >>> other_delimiter("prefix;price_per_min", ["prefix", "price_per_min"])
    ';'
    """
    for delimiter in (",", ";", "\t", "|"):
        cells = {cell.strip() for cell in _cells(text, Style(delimiter, quote))[0]}
        if cells.issuperset(wanted) and len(cells) > 1:
            return delimiter
    return ""


def delimiter_name(delimiter: str) -> str:
    """A delimiter as it is written in a mapping.

    >>> delimiter_name("\\t"), delimiter_name(";")
    ('tab', '";"')
    """
    return "tab" if delimiter == "\t" else f'"{delimiter}"'


def repeated_names(names: Iterable[str]) -> list[str]:
    """Names that occur more than once.

    >>> repeated_names(["id", "Duration", "Rate", "Duration"])
    ['Duration']
    """
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]


DATA = re.compile(r"(?:\D*\d){5}|@")


def is_data(cells: Iterable[str]) -> bool:
    """Whether cells look like values rather than column names: then they may be telephone numbers and are never shown.

    >>> is_data(["acme", "436641110001"]), is_data(["src", "Q.850 cause"])
    (True, False)
    """
    return any(DATA.search(cell) for cell in cells)


# --- bytes ---


def kind_of(head: bytes) -> str:
    """What a file is that begins with `head`, where that is another kind than text; "" = it may be text.

    >>> kind_of(b"%PDF-1.7"), kind_of(b" <!DOCTYPE html>"), kind_of(b"prefix;rate")
    ('a PDF', 'a web page, perhaps of a sign-in', '')
    """
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return WEB_PAGE
    return next((what for magic, what in PACKED if head.startswith(magic)), "")


def encoding_of(head: bytes, declared: str = "") -> str:
    """The encoding of a file that begins with `head`: by its byte order mark, else the `declared` one, else UTF-8.

    >>> encoding_of(b"\\xff\\xfea\\x00"), encoding_of(b"prefix"), encoding_of(b"prefix", "cp1252")
    ('utf-16', 'utf-8', 'cp1252')
    >>> encoding_of(b"a\\x00c\\x00c\\x00t\\x00")
    Traceback (most recent call last):
    ...
    ValueError: every second byte is 0: this is UTF-16 without a byte order mark; set encoding: utf-16-le
    """
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    if declared:
        return _with_order(head, codecs.lookup(declared).name)
    if kind := kind_of(head):
        if kind == WEB_PAGE:
            raise ValueError(f"this is {kind}, not a table; open the link in a browser, and save the file itself")
        raise ValueError(f"this is {kind}, not text; unpack it, or save it as CSV (UTF-8)")
    even, odd = head[0:64:2], head[1:64:2]
    for zeros, letters, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if len(zeros) > 1 and zeros.count(0) > 0.7 * len(zeros) and letters.count(0) == 0:
            raise ValueError(f"every second byte is 0: this is UTF-16 without a byte order mark; set encoding: {encoding}")
    return "utf-8"


def _with_order(head: bytes, encoding: str) -> str:
    """The byte order of UTF-16 and UTF-32 without a byte order mark, by the position of their zeros."""
    size = {"utf-16": 2, "utf-32": 4}.get(encoding, 0)
    if not size or not head:
        return encoding
    first, last = (sum(byte == 0 for byte in head[at : 64 * size : size]) for at in (0, size - 1))
    if first != last:
        return f"{encoding}-{'le' if last > first else 'be'}"
    raise ValueError(f"encoding {encoding}: the byte order is unknown without a byte order mark; set {encoding}-le or {encoding}-be")


def check_encoding(name: str) -> str:
    """The encoding in a setting. Raises `ValueError` where there is no such encoding.

    >>> check_encoding("Latin-1")
    'iso8859-1'
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        found = None
    if found is None or found.name.replace("-", "_") in NOT_TEXT or not found._is_text_encoding:  # no other way says it
        raise ValueError(f"{name!r} is not an encoding: utf-8, utf-16, latin-1, cp1252 and Python's other text encodings are")
    return found.name


def _keep(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


KEEP = "ringfence.keep"
"""Error handler of codecs: invalid bytes stay in the text, one character each, for `bad_byte` to find."""
codecs.register_error(KEEP, _keep)


BAD = re.compile("[\udc00-\udcff]")


def bad_byte(text: str, encoding: str = "utf-8") -> str:
    """The first byte of a text that is invalid in its encoding; "" = none.

    >>> bad_byte(b"M\\xfcnchen".decode("utf-8", KEEP))
    'character 2 is not UTF-8: byte 0xFC'
    """
    if text.isascii() or not (found := BAD.search(text)):
        return ""
    return f"character {found.start() + 1} is not {label(encoding)}: byte 0x{ord(found[0]) - 0xDC00:02X}"


def label(encoding: str) -> str:
    """The usual name of an encoding.

    >>> label("utf-8-sig"), label("cp1252")
    ('UTF-8', 'cp1252')
    """
    return encoding.removesuffix("-sig").upper() if encoding.startswith("utf") else encoding


def readable(text: str) -> str:
    """The text with its invalid bytes as escapes, so that it can be written and searched for.

    >>> readable(b"M\\xfcnchen".decode("utf-8", KEEP))
    'M\\\\xfcnchen'
    """
    escaped = BAD.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")
