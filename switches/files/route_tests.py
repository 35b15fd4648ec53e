"""A file of test calls: a row each, with the columns that a mapping names, or that are called as our fields."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from core.delimited import Style, read_lines
from core.ids import derived_id
from core.numbers import DialPlan, number_of
from core.route_tests import RouteTest
from switches.files import values
from switches.files.mapping import Mapping, MappingError, label, parts, read_mapping
from switches.files.records import Field, texts_of
from switches.files.rows import read_raw

TIMES = ("placed", "hung_up", "ended")
FIELDS = (*TIMES, "carrier", "trunk", "a_number", "b_number", "cli", "answered", "line_rang", "line_answered", "ringback")
ANSWERS = {
    "yes": True, "y": True, "true": True, "1": True, "ok": True, "answered": True, "no": False, "n": False, "false": False, "0": False,
    "failed": False, "not answered": False,
}  # fmt: skip
NOT_SHOWN = frozenset({"anonymous", "withheld", "restricted", "private", "unavailable", "unknown", "blocked", "none"})
LATEST_MS = 86_400_000
"""A test call may be later than our clock by so much."""


class Row(NamedTuple):
    """A row: its line and text, and the test call, or why it is none."""

    line: int
    text: str
    test: RouteTest | None
    fault: str


def mapping_of(text: str, name: str) -> Mapping:
    """The mapping of a file of test calls. Raises `MappingError`."""
    found = read_mapping(text, name, FIELDS, TIMES)
    _need(found, f"{name}: columns")
    return found


def own_names(path: Path) -> Mapping:
    """The mapping of a CSV whose columns are called as our fields. Raises `MappingError`."""
    with path.open("rb") as file:
        text = file.readline(65_536).decode("utf-8-sig", "replace")
    delimiter = max(",;\t|", key=text.count)
    header = next(read_lines(io.StringIO(text), Style(delimiter)), None)
    names = {cell.strip() for cell in header.cells} if header else set()
    found = Mapping(columns={field: field for field in FIELDS if field in names}, delimiter=delimiter)
    _need(found, f"{path.name}: its header")
    return found


def _need(mapping: Mapping, place: str) -> None:
    missing = [field for field in ("placed", "b_number") if field not in mapping.columns]
    missing += [] if mapping.columns.keys() & {"carrier", "trunk"} else ["carrier (or trunk)"]
    if missing:
        fields = ", ".join(FIELDS)
        raise MappingError(f"{place} has no {', '.join(missing)}: name the columns in a mapping (docs/test-calls.md); our fields are {fields}")


def read_tests(path: Path, mapping: Mapping, tenant: str, plan: DialPlan, carrier_of: Callable[[str, str], str], now_ms: int) -> Iterator[Row]:
    """Every row of a file, in its order. `carrier_of` (carrier, trunk): its name, or `ValueError`."""
    encoding, rows = read_raw(path, mapping)
    kinds = {"a_number": "telephone", "b_number": "telephone", "cli": "telephone", **dict.fromkeys(TIMES, "time")}
    fields = [Field(name, parts(column), kinds.get(name, "text"), 128, False, False) for name, column in mapping.columns.items()]
    for line, text, cells, fault in rows:
        if fault:
            yield Row(line, text, None, fault)
            continue
        try:
            texts, _ = texts_of(cells, mapping, encoding, fields)
            yield Row(line, text, _test(texts, mapping, tenant, plan, carrier_of, now_ms), "")
        except ValueError as wrong:
            yield Row(line, text, None, str(wrong))


def _test(texts: dict[str, str], mapping: Mapping, tenant: str, plan: DialPlan, carrier_of: Callable[[str, str], str], now_ms: int) -> RouteTest:
    def placed(field: str, read: Callable[[str], object]) -> object:
        text = texts.get(field, "")
        if not text:
            return None
        try:
            return read(text)
        except ValueError as wrong:
            raise ValueError(f"{label(mapping.columns[field])}: {wrong}") from None

    def time_ms(text: str) -> int:
        return values.time_ms(text, mapping.time_format, mapping.timezone, mapping.repeated_hour, mapping.zones)

    at_ms, hung_up_ms, ended_ms = (placed(field, time_ms) for field in TIMES)
    rang, line_answered, answered, ringback = (placed(field, _yes) for field in ("line_rang", "line_answered", "answered", "ringback"))
    b_number = placed("b_number", lambda text: number_of(text, plan))
    a_number = placed("a_number", lambda text: "" if text.lower() in NOT_SHOWN else number_of(text, plan)) or ""
    if not isinstance(at_ms, int) or not at_ms:
        raise ValueError(f"{label(mapping.columns['placed'])}: it is empty: a test call without a time cannot be placed")
    if at_ms > now_ms + LATEST_MS:
        raise ValueError(f"{label(mapping.columns['placed'])}: {texts['placed']} is in the future")
    if not b_number:
        raise ValueError(f"{label(mapping.columns['b_number'])}: it is empty: the number of our line is needed")
    carrier = carrier_of(texts.get("carrier", ""), texts.get("trunk", ""))
    arrived = bool(rang or line_answered)
    shown = texts.get("cli", "")
    cli: str | None = "" if shown.lower() in NOT_SHOWN else shown or None
    if cli is None and arrived and "cli" in mapping.columns:
        cli = ""  # it arrived, and the line was shown nothing
    test_id = derived_id("test", tenant, carrier, at_ms, a_number, b_number)
    return RouteTest(
        tenant, test_id, at_ms, carrier, a_number, b_number, cli, answered, rang, line_answered, ringback, hung_up_ms or None, ended_ms or None,  # type: ignore[arg-type]
    )


def _yes(text: str) -> bool:
    found = ANSWERS.get(text.lower())
    if found is None:
        raise ValueError(f"{text[:40]!r} is neither yes nor no")
    return found
