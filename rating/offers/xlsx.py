"""A workbook (.xlsx, .xlsm) into rows of cells; never more of it than fits.

A workbook is a zip archive of XML: 100 kB can unpack to gigabytes, and two cells can span a table of 17 billion. So before it is read
whole, its sheet is unpacked piece by piece, and what it would take is counted.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from rating.offers.finding import refused

MOST_PARTS = 2_000
MOST_UNPACKED = 1 << 30
"""Bytes of XML: half a million rows of ten columns are 250 MB."""
MOST_CELLS = 26_000_000
"""Rows times columns that the sheet spans, filled or not: the reader has a place for each, 32 bytes."""
PIECE = 4 << 20
Workbook: TypeAlias = CalamineWorkbook


class Number(str):
    """The text of a cell that is a number in its file: a point before its decimals and nothing between its thousands, whatever the texts of
    the file do."""

    __slots__ = ()


def open_workbook(content: bytes) -> Workbook:
    """A workbook, opened once: its shared texts are read as it opens. Raises `OfferError` where it is none, or would unpack to more than can be
    read."""
    _check_size(content)
    return _workbook(content)


def sheet_names(workbook: Workbook) -> tuple[str, ...]:
    """The visible sheets."""
    return tuple(sheet.name for sheet in workbook.sheets_metadata if str(sheet.visible).endswith("Visible") and _is_table(sheet))


def read_sheet(workbook: Workbook, name: str) -> tuple[int, list[list[Any]]]:
    """The number of its first row (from 1), and the cells of its rows as values; `text_of` writes them."""
    try:
        sheet = workbook.get_sheet_by_name(name)
        return 1, sheet.to_python(skip_empty_area=False)
    except (CalamineError, ValueError, OSError) as wrong:
        raise refused("not a workbook", f"the sheet {name!r} cannot be read ({wrong})", "open it in a table program and save it again") from None


def _is_table(sheet: Any) -> bool:
    return str(sheet.typ).endswith("WorkSheet")


def _workbook(content: bytes) -> Workbook:
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(content))
    except PasswordError:
        raise refused("not a workbook", "the workbook has a password", "save it without one") from None
    except (CalamineError, ValueError, OSError) as wrong:
        raise refused("not a workbook", f"the workbook cannot be read ({wrong})", "open it in a table program and save it again") from None


def _check_size(content: bytes) -> None:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as wrong:
        raise refused("not a workbook", f"the file is neither a workbook nor a zip archive that can be read ({wrong})") from None
    parts = archive.infolist()
    if not any(part.filename == "xl/workbook.xml" for part in parts):
        raise refused("not a workbook", "the zip archive holds no workbook (.xlsx)", "unpack it, and import what is in it")
    if len(parts) > MOST_PARTS:
        raise refused("too large", f"the workbook has {len(parts):,} parts, and {MOST_PARTS:,} are read at most")
    left = MOST_UNPACKED
    for part in parts:
        span = _Span(exact=False)
        for piece in _pieces(content, part):
            left -= len(piece)
            if left < 0:
                raise refused(
                    "too large", f"the workbook unpacks to more than {MOST_UNPACKED >> 20:,} MB",
                    "save the sheet with the prices alone, as CSV if it is that long",
                )  # fmt: skip
            if part.filename.startswith("xl/worksheets/"):
                span.add(piece)
        if span.far:
            span = _Span(exact=True)
            for piece in _pieces(content, part):
                span.add(piece)
        if span.cells > MOST_CELLS:
            raise refused(
                "too large", f"{part.filename} spans {span.rows:,} rows and {span.columns:,} columns, and {MOST_CELLS:,} cells are read at most",
                "delete what stands far below or beside the table, and save it again",
            )  # fmt: skip


def _pieces(content: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """What a part unpacks to, counted by what comes out: what the archive says of its size may be a lie."""
    if part.flag_bits & 1:
        raise refused("not a workbook", "the workbook has a password", "save it without one")
    head = content[part.header_offset : part.header_offset + 30]
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise refused("not a workbook", f"the archive is damaged at {part.filename!r}", "open it in a table program and save it again")
    start = part.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    packed = memoryview(content)[start : start + part.compress_size]
    if part.compress_type == zipfile.ZIP_STORED:
        yield bytes(packed)
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise refused("not a workbook", f"{part.filename!r} is packed in a way that workbooks are not", "save it again in a table program")
    unpacking, rest = zlib.decompressobj(-15), packed[:0].tobytes()
    at = 0
    try:
        while not unpacking.eof:
            if not rest:
                if at >= len(packed):
                    break
                rest = bytes(packed[at : at + (1 << 16)])
                at += len(rest)
            yield unpacking.decompress(rest, PIECE)
            rest = unpacking.unconsumed_tail
    except zlib.error as wrong:
        raise refused("not a workbook", f"the archive is damaged at {part.filename!r} ({wrong})", "save it again in a table program") from None


_REFERENCE = re.compile(rb"""\sr\s*=\s*["']\$?([A-Za-z]{1,4})\$?(\d{1,9})["']""")
_FAR = re.compile(rb"""\sr\s*=\s*["']\$?(?:[A-Za-z]{2}|[A-Za-z]\$?\d{7})""")
"""An address beyond column Z or row 999,999: where there is none, 26 million cells are the most that there can be."""
_CELLS = (b"<c ", b"<c>", b":c ", b":c>")


class _Span:
    """How far a sheet reaches, by the addresses of its cells. A cell without an address stands beside the one before it: there the elements
    of its row are counted.

    Unless `exact`, a piece is only looked through for an address that is far away: where there is none the sheet is small enough.
    """

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.far = False  # the sheet has to be looked at exactly
        self.rows = self.columns = 1
        self._letters: set[bytes] = set()
        self._rows_met = 0
        self._tail = b""

    def add(self, piece: bytes) -> None:
        text = self._tail + piece
        cut = text.rfind(b"<")  # what begins in this piece may end in the next
        text, self._tail = text[:cut], text[cut:]
        cells = sum(map(text.count, _CELLS))
        if not self.exact:
            self.far = self.far or cells != text.count(b'<c r="') or _FAR.search(text) is not None
            return
        self._rows_met += piece.count(b"<row") + piece.count(b":row")
        found = _REFERENCE.findall(text)
        if found:
            self.rows = max(self.rows, max(int(row) for _, row in found))
            fresh = {letters for letters, _ in found} - self._letters
            self._letters |= fresh
            self.columns = max([self.columns, *map(_column, fresh)])
        if cells > len(found) + 8:
            self.rows = max(self.rows, self._rows_met)
            self.columns = max(self.columns, *(sum(map(row.count, _CELLS)) for row in text.split(b"row")))

    @property
    def cells(self) -> int:
        return self.rows * self.columns


def _column(letters: bytes) -> int:
    """
    >>> _column(b"A"), _column(b"XFD")
    (1, 16384)
    """
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def text_of(value: Any) -> str:
    """A cell's value as text. A number has 15 digits, as table programs show it: what is beyond is the noise of a float.

    >>> text_of(4477.0), text_of(0.1 + 0.2), text_of(4.47e11), text_of(datetime(2026, 12, 1)), text_of(datetime(2026, 12, 1, 6))
    ('4477', '0.3', '447000000000', '2026-12-01', '2026-12-01T06:00:00')
    """
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return _number_text(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(timespec="seconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    return "" if value is None else str(value) if not isinstance(value, timedelta) else f"{value.total_seconds():g} s"


def _number_text(value: float) -> Number:
    text = f"{value:.15g}"
    return Number(f"{Decimal(text):f}" if "e" in text else text)
