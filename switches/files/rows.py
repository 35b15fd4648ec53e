"""A file of calls as raw rows: the line of each, its text, and the cells that the mapping names."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from io import TextIOWrapper
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from core.delimited import (
    BAD,
    KEEP,
    Line,
    bad_byte,
    delimiter_name,
    encoding_of,
    is_data,
    other_delimiter,
    read_lines,
    repeated_names,
    surplus_cells,
)
from switches.files.mapping import Column, Mapping, MappingError, parts

SAMPLE = 200
"""So many first rows of a file without a header decide how many cells a row has."""


class Raw(NamedTuple):
    """A row before it is interpreted: its line, its text, its cells by column, and why it cannot be read ("" = it can)."""

    line: int
    text: str
    cells: dict[Any, Any]
    fault: str


class JsonNumber(str):
    """A number as text, as the JSON has it: it never becomes a float."""

    __slots__ = ()


def read_raw(path: Path, mapping: Mapping) -> tuple[str, Iterator[Raw]]:
    """The encoding of a file, and its rows in their order."""
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        encoding = encoding_of(head, mapping.encoding)
    except ValueError as wrong:
        raise MappingError(f"{path.name}: {wrong}") from None
    return encoding, _rows(path, encoding, mapping)


def _rows(path: Path, encoding: str, mapping: Mapping) -> Iterator[Raw]:
    try:
        yield from _decoded(path, encoding, mapping)
    except UnicodeError as wrong:
        raise MappingError(f"{path.name}: it cannot be read as {encoding}: {wrong}; set encoding in the mapping") from None


def _decoded(path: Path, encoding: str, mapping: Mapping) -> Iterator[Raw]:
    with path.open(encoding=encoding, errors=KEEP, newline="") as file:
        for _ in range(mapping.skip_lines):
            next(file, "")
        first = mapping.skip_lines + 1
        if mapping.format == "csv":
            yield from _csv(file, mapping, path.name, first, encoding)
        elif mapping.rows:
            yield from _rows_inside(file.read(), mapping, path.name, first)
        elif mapping.format == "jsonl" and not _is_one_json(file, mapping.skip_lines):
            yield from _json_lines(file, mapping, first)
        else:
            yield from _json_values(file.read(), mapping, first)


# --- CSV ---


def _csv(file: Iterable[str], mapping: Mapping, name: str, first: int, encoding: str) -> Iterator[Raw]:
    style = mapping.style()
    if isinstance(mapping.header, list):
        header = [cell.strip() for cell in mapping.header]
        lines = read_lines(file, style, first, len(header))
    else:
        lines = read_lines(file, style, first)
        header = _header(next(lines, None), mapping, name, encoding) if mapping.has_header() else []
    places = _places(header, mapping, name)
    width = len(header)
    sample = list(islice(lines, SAMPLE))
    lines = chain(sample, lines)
    surplus = surplus_cells(sample, width) if width else 0
    ends_empty = surplus > 0
    if ends_empty or (surplus < 0 and not header[-1]):
        width += surplus
        places = {column: place for column, place in places.items() if place < width}
    if not width:
        width = Counter(len(line.cells) for line in sample if not line.fault).most_common(1)[0][0] if sample else 0
        if width and (beyond := max(places.values()) + 1) > width:
            raise MappingError(f"{name}: no column {beyond}: its rows have {width} cells; does the mapping's delimiter divide them?")
    blank = f" \t{style.delimiter}{style.quote}"
    for line, text, cells, fault in lines:
        if fault.startswith("a quote is opened") and not style.line_breaks:
            fault += ", or line_breaks_in_fields: yes where a field may go over several lines"
        if not fault and ends_empty and len(cells) == width and cells[-1].strip():
            fault = "a cell is filled in a column that the first line does not have"
        if not fault and len(cells) != width:
            fault = f"{len(cells)} cells where {'the first line has' if header else 'the others have'} {width}"
            fault += "; a cell that holds the delimiter must be quoted" if len(cells) > width else ""
        elif not fault and not text.strip(blank) and not any(map(str.strip, cells)):
            fault = "a blank row: no cell of it is filled"
        yield Raw(line, text, {} if fault else {column: cells[place] for column, place in places.items()}, fault)


def _header(line: Line | None, mapping: Mapping, name: str, encoding: str) -> list[str]:
    """The names in the first line. An error does not show a line of values: they may be telephone numbers."""
    if line is None:
        raise MappingError(f"{name}: the file is empty")
    if line.fault:
        raise MappingError(f"{name}: line {line.line}, the header: {line.fault}")
    header = [cell.strip() for cell in line.cells]
    wanted = {part for column in mapping.columns.values() for part in parts(column) if isinstance(part, str)}
    if not (missing := sorted(wanted - set(header))):
        return header
    if line.text.lower().startswith("sep="):
        raise MappingError(f"{name}: the first line is of a table program ({line.text[:8]}): set skip_lines: {line.line} in the mapping")
    if line.text.lstrip().startswith(("{", "[")):
        raise MappingError(f"{name}: this looks like JSON: set format: jsonl (an object per line) or format: json (one array) in the mapping")
    if other := other_delimiter(line.text, sorted(wanted)):
        raise MappingError(f"{name}: no column {', '.join(missing)} in the first line; with delimiter: {delimiter_name(other)} it has all of them")
    if is_data(header):
        raise MappingError(
            f"{name}: no column {', '.join(missing)} in the first line, which looks like a row of values ({len(header)} cells), not like names. "
            "For a file without a header set header: none and numbers in the mapping (columns: {account: 1, b_number: 3 ...}), "
            "or the names: header: [account, src, dst ...]"
        )
    damaged = next((f"; {bad_byte(cell, encoding)}, so set encoding in the mapping" for cell in header if BAD.search(cell)), "")
    shown = ", ".join(BAD.sub("?", cell) for cell in header) or "nothing"
    raise MappingError(f"{name}: no column {', '.join(missing)} in the first line; it has {shown}{damaged}")


CURRENCY = frozenset({"currency", "curr", "ccy", "cur", "priceunit", "währung", "waehrung", "devise", "moneda", "valuta"})
"""Words in the names of columns of currencies."""
WORDS = re.compile(r"[A-ZÄÖÜ]?[a-zäöüß]+|[A-ZÄÖÜ]+(?![a-zäöüß])")


def names_currency(column: str) -> bool:
    """Whether a column seems to name a currency.

    >>> [names_currency(name) for name in ("sell_curr", "CCY", "priceUnit", "currencyCode", "current_state", "recurring", "unit")]
    [True, True, True, True, False, False, False]
    """
    words = [word.lower() for word in WORDS.findall(column)]
    return any(word in CURRENCY for word in (*words, *map("".join, pairwise(words))))


def _places(header: list[str], mapping: Mapping, name: str) -> dict[Column, int]:
    """The positions of the columns that the mapping names, and of those that seem to name a currency."""
    wanted: dict[Column, None] = dict.fromkeys(part for column in mapping.columns.values() for part in parts(column))
    if ambiguous := [column for column in repeated_names(header) if column in wanted]:
        numbers = {column: [str(n) for n, cell in enumerate(header, 1) if cell == column] for column in ambiguous}
        words = "; ".join(f"column {column} stands in {' and '.join(places)}" for column, places in numbers.items())
        raise MappingError(f"{name}: {words}: which of them is meant? Map it by its number, such as {numbers[ambiguous[0]][0]}")
    places: dict[Column, int] = {}
    for column in wanted:
        if isinstance(column, int):
            if header and column > len(header):
                raise MappingError(f"{name}: no column {column}: there are {len(header)}")
            places[column] = column - 1
        elif column in header:
            places[column] = header.index(column)
        else:
            raise MappingError(f"{name}: the mapping's header has no column {column}; it has {', '.join(header)}")
    for place, cell in enumerate(header):
        if names_currency(cell):
            places.setdefault(cell, place)
    return places


# --- JSON ---


class Twice(NamedTuple):
    """Two values of one name in an object: it is not known which is meant."""

    name: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        value |= {name: Twice(name) for name in repeated_names(name for name, _ in pairs)}
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_constant)


def _why(wrong: Exception) -> str:
    if isinstance(wrong, json.JSONDecodeError):
        return f"not JSON: {wrong.msg} (character {wrong.colno})"
    return f"not JSON: {'nested too deeply' if isinstance(wrong, RecursionError) else wrong}"


def _is_one_json(file: TextIOWrapper, skip_lines: int) -> bool:
    """Whether a file of JSON lines is really one array, or objects over several lines. The position in the file does not change."""
    line = next((line for line in file if line.strip()), "").strip()
    one = False
    if line.startswith(("[", "{")):
        try:
            _decoder.decode(line)
        except (ValueError, RecursionError):
            one = line == "[" or line.startswith("[{") or line.startswith("[ {")
            if line.startswith("{"):
                text = line + "\n" + file.read(1 << 16)
                try:
                    one = "\n" in text[: _decoder.raw_decode(text)[1]]
                except (ValueError, RecursionError):
                    one = False
    file.seek(0)
    for _ in range(skip_lines):
        file.readline()
    return one


def _json_lines(file: Iterable[str], mapping: Mapping, first: int) -> Iterator[Raw]:
    """An object per line. Several objects on a line are read like those of a file of JSON: a damaged one costs itself."""
    for line, text in enumerate(file, first):
        stripped = text.strip().lstrip(RECORD_SEPARATOR)
        if not stripped:
            continue
        try:
            value = _decoder.decode(stripped)
        except (ValueError, RecursionError):
            for row in _json_values(stripped, mapping, line):
                hint = "; format: jsonl has one object per line, format: json one array" if row.fault.startswith("not JSON") else ""
                yield row._replace(fault=row.fault + hint)
            continue
        for one in value if isinstance(value, list) and value else [value]:
            cells, fault = _cells(one)
            yield Raw(line, text.rstrip("\r\n"), cells, fault or _envelope(cells, mapping))


RECORD_SEPARATOR = "\x1e\ufeff"
"""The separator of a JSON text sequence (RFC 7464), and a byte order mark where files were concatenated."""


KINDS = {list: "an array", str: "a text", JsonNumber: "a number", bool: "true or false", type(None): "null"}


def _cells(value: Any) -> tuple[dict[Any, Any], str]:
    if isinstance(value, dict):
        return value, ""
    return {}, f"not a JSON object but {KINDS[type(value)]}"


NEXT = re.compile(r"[}\]]\s*,?\s*(?=\{)|\n[ \t]*(?=\{)")
OPENING = re.compile(r"(?<!:)(?<!: )\{")
"""The beginning of an object that is no member's value."""
BRACE = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}]')
LONGEST = 1 << 13
"""Characters of a damaged object within which its end is looked for by its braces."""


def _closing(text: str, at: int) -> int:
    """Where the object that begins at `at` ends by its braces; 0 = it does not."""
    depth = 0
    for found in BRACE.finditer(text, at, min(at + LONGEST, len(text))):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth and found[0] == "}":
            return found.end()
    return 0


def _next_object(text: str, at: int, beyond: int, mapping: Mapping) -> int:
    """Where the object after a damaged one begins, which began at `at`: after its own last brace, unless a row begins before that; else
    the next that stands as far in from the left as it did."""
    if not text.startswith("{", at):
        found_at = text.find("{", beyond)
        return found_at if found_at > 0 else len(text)
    close = _closing(text, at)
    close = close if close >= beyond else 0
    indent = text[text.rfind("\n", 0, at) + 1 : at]
    pattern = NEXT
    if not close and not indent.strip(" \t") and "\n" in text[:at]:
        pattern = re.compile(rf"\n{re.escape(indent)}(?=\{{)|\}}[ \t]*(?=\{{)")
    found = None if close else pattern.search(text, beyond)
    limit = close or (found.end() if found else len(text))
    return next((brace.start() for brace in OPENING.finditer(text, beyond, limit) if _is_row(text, brace.start(), mapping)), limit)


def _is_row(text: str, at: int, mapping: Mapping) -> bool:
    """Whether an object begins here that has any of the mapping's columns."""
    try:
        value, _ = _decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _has_columns(value, mapping)


def _json_values(text: str, mapping: Mapping, first: int) -> Iterator[Raw]:
    """The objects of arrays, or of objects one behind the other. A damaged one costs itself: the next is looked for behind it."""
    at, line, counted, opened = 0, first, 0, 0
    row: Raw | None = None
    while at < len(text):
        if text[at] in " \t\r\n,[]\ufeff\x1e":
            opened += {"[": 1, "]": -1}.get(text[at], 0)
            at += 1
            continue
        line, counted = line + text.count("\n", counted, at), at
        row, at = _one(text, at, line, mapping)
        yield row
    if opened > 0 and row and not row.fault:
        yield Raw(line + text.count("\n", counted), "", {}, "not JSON: the array does not close: the file is cut off")


def _one(text: str, at: int, line: int, mapping: Mapping) -> tuple[Raw, int]:
    """The row that begins here, and where it ends."""
    try:
        value, end = _decoder.raw_decode(text, at)
    except (ValueError, RecursionError) as wrong:
        broken = wrong.pos if isinstance(wrong, json.JSONDecodeError) else at
        end = _next_object(text, at, max(at + 1, min(broken, len(text) - 1)), mapping)
        return Raw(line, text[at:end].rstrip(), {}, _why(wrong)), end
    cells, fault = _cells(value)
    return Raw(line, text[at:end], cells, fault or _envelope(cells, mapping)), end


def _has_columns(cells: dict[str, Any], mapping: Mapping) -> bool:
    names = [part for column in mapping.columns.values() for part in parts(column)]
    return any(str(name) in cells or str(name).partition(".")[0] in cells for name in names)


def _envelope(cells: dict[str, Any], mapping: Mapping) -> str:
    """What is wrong with an object that has none of the mapping's columns, but an array with the rows."""
    if mapping.rows or _has_columns(cells, mapping):
        return ""
    inside = [key for key, value in cells.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return f"this object has the rows in an array: set rows: {inside[0]} in the mapping" if inside else ""


# --- JSON whose rows lie inside ---


SPACE = re.compile("[ \\t\\r\\n\ufeff\x1e]*")
BETWEEN = re.compile("[ \\t\\r\\n\ufeff\x1e,]*")


class Inside:
    """Parses the documents of a file along the path of `rows`, such as data.calls. The pages of an export come one after the other, or are the
    elements of an array: each of their arrays is read, and a part that cannot be read is a row with a fault."""

    def __init__(self, text: str, mapping: Mapping, first: int) -> None:
        self.text, self.mapping = text, mapping
        self.line, self.counted = first, 0
        self.path = tuple(mapping.rows.split("."))
        self.array = re.compile(rf'"{re.escape(self.path[-1])}"\s*:\s*\[')
        self.arrays = 0
        self.first_fault = ""

    def space(self, at: int, *, commas: bool = False) -> int:
        return (BETWEEN if commas else SPACE).match(self.text, at).end()  # type: ignore[union-attr]

    def fault(self, at: int, end: int, why: str) -> Raw:
        self.first_fault = self.first_fault or why
        self.line, self.counted = self.line + self.text.count("\n", self.counted, at), at
        return Raw(self.line, self.text[at:end].rstrip(), {}, why)

    def documents(self) -> Iterator[Raw]:
        at = self.space(0, commas=True)
        while at < len(self.text):
            before = self.arrays
            try:
                end = yield from self.value(at, self.path)
            except Lost as lost:
                end = yield from self.resume(lost.at, str(lost))
            else:
                if self.arrays == before:
                    yield self.fault(at, end, f"rows: there is no {self.mapping.rows} in this part of the file")
            at = self.space(end, commas=True)

    def value(self, at: int, path: tuple[str, ...]) -> Generator[Raw, None, int]:
        """Reads the value that begins here, and returns where it ends."""
        letter = self.text[at : at + 1]
        if letter == "[" and not path:
            return (yield from self.rows(at + 1))
        if letter == "[":
            return (yield from self.elements(at + 1, path))
        if letter == "{" and path:
            return (yield from self.members(at + 1, path))
        end = self.skipped(at)
        if not path:
            self.arrays += 1
            if self.text[at:end] != "null":  # an empty page
                yield self.fault(at, end, f"rows: {self.mapping.rows} is not an array")
        return end

    def skipped(self, at: int) -> int:
        try:
            return _decoder.raw_decode(self.text, at)[1]
        except (ValueError, RecursionError) as wrong:
            raise Lost(at, _why(wrong)) from None

    def elements(self, at: int, path: tuple[str, ...]) -> Generator[Raw, None, int]:
        while (at := self.space(at, commas=True)) < len(self.text):
            if self.text[at] == "]":
                return at + 1
            at = yield from self.value(at, path)
        raise Lost(at, "not JSON: an array does not close: the file is cut off")

    def members(self, at: int, path: tuple[str, ...]) -> Generator[Raw, None, int]:
        while (at := self.space(at, commas=True)) < len(self.text):
            if self.text[at] == "}":
                return at + 1
            end = self.skipped(at)
            name = self.text[at + 1 : end - 1]
            colon = self.space(end)
            if self.text[at] != '"' or self.text[colon : colon + 1] != ":":
                raise Lost(at, "not JSON: a name and a colon were expected in an object")
            value = self.space(colon + 1)
            at = (yield from self.value(value, path[1:])) if name == path[0] else self.skipped(value)
        raise Lost(at, "not JSON: an object does not close: the file is cut off")

    def rows(self, at: int) -> Generator[Raw, None, int]:
        """The rows of an array. After a damaged row the next one is looked for, which may be in the array of the next page."""
        self.arrays += 1
        depth = 1
        while (at := self.space(at, commas=True)) < len(self.text):
            if self.text[at] in "[]":
                depth += 1 if self.text[at] == "[" else -1
                at += 1
                if not depth:
                    return at
                continue
            if self.text[at] in "}:":  # the array was not closed where its object ends
                raise Lost(at, f"not JSON: the array {self.mapping.rows} does not close")
            self.line, self.counted = self.line + self.text.count("\n", self.counted, at), at
            row, end = _one(self.text, at, self.line, self.mapping)
            odd = self.text[at] == "{" and (row.fault or not _has_columns(row.cells, self.mapping))
            if odd and (page := self.array.search(self.text, at, end)):
                if not row.fault:
                    raise Lost(at, f"not JSON: the array {self.mapping.rows} does not close")
                row, end = row._replace(text=self.text[at : page.start()].rstrip()), page.end()
            yield row
            at = end
        raise Lost(at, f"not JSON: the array {self.mapping.rows} does not close: the file is cut off")

    def resume(self, at: int, why: str) -> Generator[Raw, None, int]:
        """Goes on after a damaged part: in the next array with the last name of the path. The text before it is one row with a fault."""
        while True:
            found = self.array.search(self.text, at)
            yield self.fault(at, found.start() if found else len(self.text), why)
            if found is None:
                return len(self.text)
            try:
                return self.closed((yield from self.rows(found.end())))
            except Lost as lost:
                at, why = lost.at, str(lost)

    def closed(self, at: int) -> int:
        """Where the next document begins, after an array whose own document was damaged."""
        while (at := self.space(at, commas=True)) < len(self.text) and self.text[at] in "}]":
            at += 1
        return at


class Lost(ValueError):
    """The parser cannot go on here."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at


def _rows_inside(text: str, mapping: Mapping, name: str, first: int) -> Iterator[Raw]:
    parser = Inside(text, mapping, first)
    yield from parser.documents()
    if not parser.arrays:
        why = f" ({parser.first_fault})" if "not JSON" in parser.first_fault else ""
        raise MappingError(f"{name}: rows: there is no {mapping.rows} in the file{why}")
