"""Files of call records from elsewhere: a mapping says which of their columns is which of our fields.

```yaml
format: csv                # or jsonl; a dot reaches into nested objects
delimiter: ";"
timezone: Europe/Vienna    # of times that name none
repeated_hour: earlier     # when clocks go back: earlier, later, or reject
time_format: "%d.%m.%Y %H:%M:%S"   # strptime's, or iso, epoch_s, epoch_ms
time_precision: s          # ms, s or min
currency: EUR
decimal: ","               # what stands before the decimals of amounts and durations; a point where it is not said
columns: {account: Customer, b_number: Dialled, answer: Connect, duration_s: Secs, sell_amount: Price}
```
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml

from core.record import Record

FIELDS = (
    "tenant", "call_id", "attempt_no", "account", "ingress_trunk", "carrier", "egress_trunk", "a_number", "b_number", "setup", "ringing",
    "answer", "end", "duration_s", "sell_amount", "buy_amount", "sip_code", "q850", "release_cause_text", "release_side", "src_ip",
    "user_agent", "lrn", "attestation", "imei", "imsi", "cell",
)  # fmt: skip
TIMES = ("setup", "ringing", "answer", "end")
NUMBERS = ("attempt_no", "sip_code", "q850")
DECIMALS = ("duration_s", "sell_amount", "buy_amount")
SIDES = {"caller": "caller", "a": "caller", "orig": "caller", "callee": "callee", "b": "callee", "term": "callee", "switch": "switch"}
DEFAULT_TENANT = "default"
SWITCH = "file"
LATEST_MS = 2**53  # of a record
NANO = Decimal("1e-9")


class MappingError(ValueError):
    """A mapping or a file that cannot be read at all: names the place and what to do."""


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As in the YAML file. `columns`: our field -> their column."""

    columns: dict[str, str]
    format: Literal["csv", "jsonl"] = "csv"
    delimiter: str = ","
    timezone: str = "UTC"
    repeated_hour: Literal["earlier", "later", "reject"] = "earlier"
    time_format: str = "iso"
    time_precision: Literal["ms", "s", "min"] = "ms"
    currency: str = ""
    decimal: Literal[".", ","] = "."


class Row(NamedTuple):
    """A row of the file: its line, its text, and what it is: a record of a tenant, or why it is none."""

    line: int
    text: str
    tenant: str
    record: Record | None
    fault: str


def read_mapping(text: str, name: str) -> Mapping:
    """The mapping in a YAML text.

    >>> read_mapping("columns: {b_number: dialled, answer: connect}", "map.yaml").columns["b_number"]
    'dialled'
    """
    try:
        loose = yaml.safe_load(text)
    except yaml.YAMLError as wrong:
        raise MappingError(f"{name}: not YAML: {wrong}") from None
    try:
        mapping = msgspec.convert(loose, Mapping)
    except msgspec.ValidationError as wrong:
        raise MappingError(f"{name}: {wrong}") from None
    if unknown := set(mapping.columns) - set(FIELDS):
        raise MappingError(f"{name}: columns: {', '.join(sorted(unknown))} is no field of ours; the fields are {', '.join(FIELDS)}")
    if not set(mapping.columns) & {*TIMES}:
        raise MappingError(f"{name}: columns: map at least one of {', '.join(TIMES)}: a call without a time cannot be placed")
    if len(mapping.delimiter) != 1:
        raise MappingError(f"{name}: delimiter: {mapping.delimiter!r} is not one character")
    if {"sell_amount", "buy_amount"} & set(mapping.columns) and not mapping.currency:
        raise MappingError(f"{name}: currency: say the currency of sell_amount and buy_amount")
    try:
        ZoneInfo(mapping.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise MappingError(f"{name}: timezone: {mapping.timezone!r} is not an IANA time zone such as Europe/Vienna") from None
    return mapping


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    """Every row of a file, in its order."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = _csv_rows(file, mapping, path.name) if mapping.format == "csv" else _json_rows(file)
        for line, text, cells, fault in rows:
            if fault:
                yield Row(line, text, "", None, fault)
                continue
            try:
                tenant, record = to_record(cells, mapping)
            except ValueError as wrong:
                yield Row(line, text, "", None, str(wrong))
            else:
                yield Row(line, text, tenant, record, "")


_Raw = tuple[int, str, dict[str, Any], str]


def _csv_rows(file: Any, mapping: Mapping, name: str) -> Iterator[_Raw]:
    csv.field_size_limit(1 << 26)
    reader = csv.reader(file, delimiter=mapping.delimiter)
    header = [cell.strip() for cell in next(reader, [])]
    if missing := sorted(set(mapping.columns.values()) - set(header)):
        raise MappingError(f"{name}: no column {', '.join(missing)} in the first line; it has {', '.join(header) or 'nothing'}")
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as wrong:
            yield reader.line_num, "", {}, f"not CSV: {wrong}"
            continue
        if not cells:
            continue  # an empty line is no record
        text = mapping.delimiter.join(cells)
        fault = "" if len(cells) == len(header) else f"{len(cells)} cells where the first line has {len(header)}"
        yield reader.line_num, text, dict(zip(header, cells, strict=False)), fault


def _json_rows(file: Any) -> Iterator[_Raw]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            loose = msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            yield line, text.rstrip("\n"), {}, f"not JSON: {wrong}"
            continue
        if isinstance(loose, dict):
            yield line, text.rstrip("\n"), loose, ""
        else:
            yield line, text.rstrip("\n"), {}, f"not a JSON object but {type(loose).__name__}"


def to_record(cells: dict[str, Any], mapping: Mapping) -> tuple[str, Record]:
    """The tenant and the record of one row: a stop, at the moment when its call ended. `ValueError` names the column.

    >>> how = read_mapping("{currency: EUR, time_format: epoch_s, columns: {answer: t, duration_s: s, b_number: b, sell_amount: p}}", "m")
    >>> tenant, stop = to_record({"t": "1700000000", "s": "61", "b": "+431234567", "p": "0.02"}, how)
    >>> tenant, stop.at_ms, stop.duration_ms, stop.sell_amount
    ('default', 1700000061000, 61000, '0.02')
    """
    given: dict[str, str] = {}
    for field, column in mapping.columns.items():
        value = _reach(cells, column)
        text = "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
        try:
            text.encode()
        except UnicodeEncodeError as wrong:
            raise ValueError(f"column {column}: character {wrong.start + 1} is not UTF-8") from None
        text = text.strip()
        if mapping.decimal == "," and field in DECIMALS and isinstance(value, str):
            if "." in text:
                raise ValueError(f"column {column}: {text[:40]!r} has a point, where the mapping says that decimals follow a comma")
            text = text.replace(",", ".")
        given[field] = text
    times = _times(given, mapping)
    duration_ms = _duration(given.get("duration_s", ""), mapping.columns.get("duration_s", ""))
    answer_ms, end_ms = times["answer"], times["end"]
    if mapping.time_precision != "ms" and duration_ms is not None and end_ms is not None and answer_ms is not None and end_ms < answer_ms:
        times["end"] = None  # coarse times only order, the duration is the money: an end that was cut to before its answer is none
    start = times["answer"] if times["answer"] is not None else times["setup"] if times["setup"] is not None else times["ringing"]
    at_ms = times["end"] if times["end"] is not None else start
    if at_ms is None:
        raise ValueError(f"no time: one of {', '.join(mapping.columns[f] for f in TIMES if f in mapping.columns)} must be filled")
    if times["end"] is None and duration_ms is not None:
        at_ms += max(duration_ms, 0)
    numbers = {field: _number(given.get(field, ""), mapping.columns.get(field, "")) for field in NUMBERS}
    for field in ("sell_amount", "buy_amount"):
        if given.get(field):
            given[field] = _amount(given[field], mapping.columns[field])
    money = any(given.get(field) for field in ("sell_amount", "buy_amount"))
    record = Record(
        v=1, event="stop", switch=SWITCH, at_ms=at_ms,
        call_id=given.get("call_id", ""), attempt_no=numbers["attempt_no"] or 0, account=given.get("account", ""),
        ingress_trunk=given.get("ingress_trunk", ""), carrier=given.get("carrier", ""), egress_trunk=given.get("egress_trunk", ""),
        a_raw=given.get("a_number", ""), b_raw=given.get("b_number", ""),
        setup_ms=times["setup"], ringing_ms=times["ringing"], answer_ms=times["answer"], end_ms=times["end"], duration_ms=duration_ms,
        sell_amount=given.get("sell_amount", ""), buy_amount=given.get("buy_amount", ""), currency=mapping.currency if money else "",
        sip_code=numbers["sip_code"], q850=numbers["q850"], release_cause_text=given.get("release_cause_text", ""),
        release_side=SIDES.get(given.get("release_side", "").lower(), ""),  # type: ignore[arg-type]
        src_ip=given.get("src_ip", ""), user_agent=given.get("user_agent", ""), lrn=given.get("lrn", ""),
        attestation=given.get("attestation", ""), imei=given.get("imei", ""), imsi=given.get("imsi", ""), cell=given.get("cell", ""),
    )  # fmt: skip
    return given.get("tenant") or DEFAULT_TENANT, record


def _reach(cells: dict[str, Any], column: str) -> Any:
    if column in cells:
        return cells[column]
    value: Any = cells
    for part in column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _times(given: dict[str, str], mapping: Mapping) -> dict[str, int | None]:
    """The times of a row. No call ends before it begins: in the repeated hour the other reading of a time is taken where the rule's says so."""
    times: dict[str, int | None] = {}
    latest_ms: int | None = None
    for field in TIMES:
        text = given.get(field, "")
        at_ms = _time(text, mapping, field)
        if at_ms is not None and latest_ms is not None and at_ms < latest_ms and mapping.repeated_hour != "reject":
            other_ms = _time(text, msgspec.structs.replace(mapping, repeated_hour="later"), field)
            at_ms = other_ms if other_ms is not None and other_ms >= latest_ms else at_ms
        times[field] = at_ms
        if at_ms is not None:
            if latest_ms is not None and at_ms < latest_ms and mapping.repeated_hour == "later":
                return _times(given, msgspec.structs.replace(mapping, repeated_hour="earlier"))
            latest_ms = at_ms if latest_ms is None else max(latest_ms, at_ms)
    return times


def _time(text: str, mapping: Mapping, field: str) -> int | None:
    if not text:
        return None
    column, how = mapping.columns[field], mapping.time_format
    try:
        if how in ("epoch_ms", "epoch_s"):
            ms = Decimal(text) * (1000 if how == "epoch_s" else 1)
            if abs(ms) > LATEST_MS:
                raise OverflowError
            return int(ms)
        when = datetime.fromisoformat(text) if how == "iso" else datetime.strptime(text, how)
    except (ValueError, InvalidOperation, OverflowError):
        raise ValueError(f"column {column}: {text[:40]!r} is not a time in the format {how}") from None
    if when.tzinfo is None:
        zone = ZoneInfo(mapping.timezone)
        earlier, later = when.replace(tzinfo=zone, fold=0), when.replace(tzinfo=zone, fold=1)
        if earlier.utcoffset() != later.utcoffset() and mapping.repeated_hour == "reject":
            raise ValueError(f"column {column}: {text!r} happened twice or never in {mapping.timezone} (the clocks were changed)")
        when = later if mapping.repeated_hour == "later" else earlier
    try:
        return round(when.astimezone(UTC).timestamp() * 1000)
    except OverflowError:  # 0001-01-01 or 9999-12-31: what some systems write for "never"
        raise ValueError(f"column {column}: {text[:40]!r} is no time that a call can have") from None


def _amount(text: str, column: str) -> str:
    """A file's amount to the nano, half up: a binary fraction's noise (0.30000000000000004) is no reason to lose it."""
    value = _decimal(text, column)
    exponent = value.as_tuple().exponent
    return format(value.quantize(NANO, ROUND_HALF_UP), "f") if isinstance(exponent, int) and exponent < -9 else text


def _duration(text: str, column: str) -> int | None:
    return round(_decimal(text, column) * 1000) if text else None


def _decimal(text: str, column: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        hint = '; where decimals follow a comma, the mapping says decimal: ","' if text.count(",") == 1 else ""
        raise ValueError(f"column {column}: {text[:40]!r} is not a number{hint}") from None
    if not value.is_finite() or abs(value) > 10**15:
        raise ValueError(f"column {column}: {text[:40]!r} is out of range")
    return value


def _number(text: str, column: str) -> int | None:
    if not text:
        return None
    value = _decimal(text, column)
    if value != int(value) or not 0 <= value <= 999:
        raise ValueError(f"column {column}: {text[:40]!r} is not a whole number from 0 to 999")
    return int(value)
