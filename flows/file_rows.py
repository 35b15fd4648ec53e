"""A file of calls as raw rows: where each stands, its text, and the cells that the mapping names."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from core.delimited import BAD, KEEP, Line, bad_byte, encoding_of, is_data, name_of, other_delimiter, read_lines, twice
from flows.file_mapping import Column, Mapping, MappingError, parts

SAMPLE = 200
"""Rows of a file without a header that say how many cells a row has."""


class Raw(NamedTuple):
    """A row before it is read: its line, its text, its cells by column, and why it cannot be read ("" = it can)."""

    line: int
    text: str
    cells: dict[Any, Any]
    fault: str


class JsonNumber(str):
    """A number as the JSON wrote it: no float is made of it on the way."""

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
    with path.open(encoding=encoding, errors=KEEP, newline="") as file:
        for _ in range(mapping.skip_lines):
            next(file, "")
        first = mapping.skip_lines + 1
        if mapping.format == "csv":
            yield from _csv(file, mapping, path.name, first, encoding)
        elif mapping.format == "jsonl" and not _is_one_json(file, mapping.skip_lines):
            yield from _json_lines(file, first)
        else:
            yield from _json_values(file.read(), mapping, path.name, first)


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
    if not width:
        sample = list(islice(lines, SAMPLE))
        lines = chain(sample, lines)
        width = Counter(len(line.cells) for line in sample if not line.fault).most_common(1)[0][0] if sample else 0
        if width and (beyond := max(places.values()) + 1) > width:
            raise MappingError(f"{name}: no column {beyond}: its rows have {width} cells; does the mapping's delimiter divide them?")
    blank = f" \t{style.delimiter}{style.quote}"
    for line, text, cells, fault in lines:
        if fault.startswith("a quote is opened") and not style.line_breaks:
            fault += ", or line_breaks_in_fields: yes where a field may go over several lines"
        if not fault and len(cells) != width:
            fault = f"{len(cells)} cells where {'the first line has' if header else 'the others have'} {width}"
            fault += "; a cell that holds the delimiter must be quoted" if len(cells) > width else ""
        elif not fault and not text.strip(blank) and not any(map(str.strip, cells)):
            fault = "a blank row: no cell of it is filled"
        yield Raw(line, text, {} if fault else {column: cells[place] for column, place in places.items()}, fault)


def _header(line: Line | None, mapping: Mapping, name: str, encoding: str) -> list[str]:
    """The names in the first line. A line of values is not shown: they may be telephone numbers."""
    if line is None:
        raise MappingError(f"{name}: the file is empty")
    if line.fault:
        raise MappingError(f"{name}: line {line.line}, the header: {line.fault}")
    header = [cell.strip() for cell in line.cells]
    wanted = {part for column in mapping.columns.values() for part in parts(column) if isinstance(part, str)}
    if not (missing := sorted(wanted - set(header))):
        return header
    if line.text.lower().startswith("sep="):
        raise MappingError(f"{name}: the first line is a table program's ({line.text[:8]}): the mapping says skip_lines: {line.line}")
    if line.text.lstrip().startswith(("{", "[")):
        raise MappingError(f"{name}: this looks like JSON: the mapping says format: jsonl (an object per line) or format: json (one array)")
    if other := other_delimiter(line.text, sorted(wanted)):
        raise MappingError(f"{name}: no column {', '.join(missing)} in the first line; with delimiter: {name_of(other)} it has all of them")
    if is_data(header):
        raise MappingError(
            f"{name}: no column {', '.join(missing)} in the first line, which looks like a row of values ({len(header)} cells), not like names. "
            "For a file without a header the mapping says header: none and numbers (columns: {account: 1, b_number: 3 ...}), "
            "or the names: header: [account, src, dst ...]"
        )
    damaged = next((f"; {bad_byte(cell, encoding)}, so say the file's encoding" for cell in header if BAD.search(cell)), "")
    shown = ", ".join(BAD.sub("?", cell) for cell in header) or "nothing"
    raise MappingError(f"{name}: no column {', '.join(missing)} in the first line; it has {shown}{damaged}")


CURRENCY = re.compile(r"curr|ccy|price_?unit|w(?:ä|ae)hrung|devise|moneda|valuta", re.IGNORECASE)
"""How columns of currencies are called."""


def _places(header: list[str], mapping: Mapping, name: str) -> dict[Column, int]:
    """Where the columns are that the mapping names, and those that seem to name a currency."""
    wanted: dict[Column, None] = dict.fromkeys(part for column in mapping.columns.values() for part in parts(column))
    if ambiguous := [column for column in twice(header) if column in wanted]:
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
        if CURRENCY.search(cell):
            places.setdefault(cell, place)
    return places


# --- JSON ---


class Twice(NamedTuple):
    """Two values of one name in an object: nobody can say which is meant."""

    name: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        value |= {name: Twice(name) for name in twice(name for name, _ in pairs)}
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_constant)


def _why(wrong: Exception) -> str:
    if isinstance(wrong, json.JSONDecodeError):
        return f"not JSON: {wrong.msg} (character {wrong.colno})"
    return f"not JSON: {'nested too deeply' if isinstance(wrong, RecursionError) else wrong}"


def _is_one_json(file: TextIOWrapper, skip_lines: int) -> bool:
    """Whether a file of JSON lines is in truth one array, or objects over several lines. The file is left where it was."""
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


def _json_lines(file: Iterable[str], first: int) -> Iterator[Raw]:
    for line, text in enumerate(file, first):
        stripped = text.strip()
        if not stripped:
            continue
        try:
            value = _decoder.decode(stripped)
        except (ValueError, RecursionError) as wrong:
            yield Raw(line, text.rstrip("\r\n"), {}, f"{_why(wrong)}; format: jsonl has one object per line, format: json one array")
            continue
        for one in value if isinstance(value, list) and value else [value]:
            yield Raw(line, text.rstrip("\r\n"), *_cells(one))


KINDS = {list: "an array", str: "a text", JsonNumber: "a number", bool: "true or false", type(None): "null"}


def _cells(value: Any) -> tuple[dict[Any, Any], str]:
    if isinstance(value, dict):
        return value, ""
    return {}, f"not a JSON object but {KINDS[type(value)]}"


NEXT = re.compile(r"[}\]]\s*,\s*(?=\{)|\n(?=\{)")


def _next_object(text: str, at: int, beyond: int) -> int:
    """Where the object after a damaged one begins, which began at `at`: the next that stands as far in from the left as it did."""
    indent = text[text.rfind("\n", 0, at) + 1 : at]
    pattern = re.compile(rf"\n{re.escape(indent)}(?=\{{)") if not indent.strip(" \t") and "\n" in text[:at] else NEXT
    found = pattern.search(text, beyond)
    return found.end() if found else len(text)


def _json_values(text: str, mapping: Mapping, name: str, first: int) -> Iterator[Raw]:
    """The objects of one array, or of objects one behind the other. A damaged one costs itself: the next is looked for behind it."""
    at, depth, line, counted = _start(text, mapping.rows, name), 1 if mapping.rows else 0, first, 0
    while at < len(text):
        letter = text[at]
        if letter in " \t\r\n,\ufeff":
            at += 1
            continue
        if letter in "[]":
            at += 1
            depth += 1 if letter == "[" else -1
            if mapping.rows and not depth:
                return
            continue
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as wrong:
            broken = wrong.pos if isinstance(wrong, json.JSONDecodeError) else at
            end = _next_object(text, at, max(at + 1, min(broken, len(text) - 1)))
            yield Raw(line, text[at:end].rstrip(), {}, _why(wrong))
        else:
            cells, fault = _cells(value)
            yield Raw(line, text[at:end], cells, fault or _envelope(cells, mapping))
        at = end


def _start(text: str, rows: str, name: str) -> int:
    """Where the rows begin."""
    at = 0
    for part in rows.split(".") if rows else ():
        found = re.compile(rf'"{re.escape(part)}"\s*:\s*').search(text, at)
        if found is None:
            raise MappingError(f"{name}: rows: there is no {rows} in the file")
        at = found.end()
    if rows and text[at : at + 1] != "[":
        raise MappingError(f"{name}: rows: {rows} is not an array")
    return at + 1 if rows else 0


def _envelope(cells: dict[str, Any], mapping: Mapping) -> str:
    """What is wrong with an object that has none of the mapping's columns, but an array with the rows."""
    names = [part for column in mapping.columns.values() for part in parts(column)]
    if any(str(name) in cells or str(name).partition(".")[0] in cells for name in names):
        return ""
    inside = [key for key, value in cells.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return f"this object holds the rows in an array: the mapping says rows: {inside[0]}" if inside else ""

