"""The mapping of a file of calls: the column of each of our fields, and how values are written.

```yaml
format: csv                # csv, jsonl (an object per line), json (one array, or objects, over any number of lines) or parquet
delimiter: ";"             # or tab, comma, semicolon, pipe
quote: '"'                 # none where quotes are ordinary characters
line_breaks_in_fields: no  # yes: a quoted field may go over several lines
encoding: utf-8            # utf-16, latin-1, cp1252 ...; a byte order mark is believed first
header: first              # none: columns are numbers from 1; or the names, for a file without a header: [account, src, dst]
skip_lines: 0              # before the header
rows: data.calls           # json: where the array is, inside the object
timezone: Europe/Vienna    # of times without a zone
zones: {IST: Asia/Kolkata} # the zone of an abbreviation in a time, where it is ambiguous
repeated_hour: earlier     # when clocks go back: earlier, later, or reject
time_format: "%d.%m.%Y %H:%M:%S"   # strptime's, or iso, epoch_s, epoch_ms, epoch_us
time_precision: s          # ms, s or min
duration_format: s         # s (and h:mm:ss, which is unambiguous), ms, min, mm:ss or hh:mm
nothing: ["-1", "never"]   # texts for "no value", besides the usual (empty, 0000-00-00, 1970-01-01, \\N, NULL ...)
currency: EUR              # of the deck, and of amounts without a currency column
decimal: ","               # the decimal mark of amounts and durations; by default a point
thousands: "."             # the thousands separator
amounts: negated           # a minus is money that left the account; signed: a minus is a credit
percent_encoded: no        # yes: %2B43... is +43...
call_ids: repeat           # rows of one call_id are calls of their own, suspected; unique: one id is one call, the rest conflicts
columns: {account: Customer, b_number: Dialled, answer: [Date, Time], duration_s: Secs, sell_amount: Price, currency: Curr}
deck: {delimiter: ";", decimal: ",", date_format: "%d.%m.%Y"}   # how the deck beside it is written
```
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml

from core.currencies import is_code
from core.delimited import Style, check_encoding, delimiter_of
from core.time_format import check_time_format
from rating.decks import DeckError, DeckFormat, check_format

FIELDS = (
    "tenant", "call_id", "attempt_no", "account", "ingress_trunk", "carrier", "egress_trunk", "a_number", "b_number", "setup", "ringing",
    "answer", "end", "duration_s", "sell_amount", "buy_amount", "currency", "sell_currency", "buy_currency", "sip_code", "q850", "release_cause_text",
    "release_side", "src_ip", "user_agent", "lrn", "attestation", "imei", "imsi", "cell",
)  # fmt: skip
TIMES = ("setup", "ringing", "answer", "end")
AMOUNTS = ("sell_amount", "buy_amount")
CURRENCIES = {"sell_amount": "sell_currency", "buy_amount": "buy_currency"}
"""The field with the currency of one amount; `currency` is for both."""
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1000, "epoch_us": 1}
"""Time formats that count from 1970, and how many microseconds their unit has."""


class MappingError(ValueError):
    """A mapping or a file that cannot be read at all. The message names the place in it and what to do."""


Column = str | int
"""A column's name, or its number from 1."""


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As in the YAML file. `columns`: our field -> their column."""

    columns: dict[str, Column | list[Column]]
    format: Literal["csv", "jsonl", "json", "parquet"] = "csv"
    delimiter: str = ","
    quote: str = '"'
    line_breaks_in_fields: bool = False
    encoding: str = ""
    header: str | list[str] = "first"
    skip_lines: int = 0
    rows: str = ""
    timezone: str = "UTC"
    zones: dict[str, str] = {}
    repeated_hour: Literal["earlier", "later", "reject"] = "earlier"
    time_format: str = "iso"
    time_precision: Literal["ms", "s", "min"] = "ms"
    duration_format: Literal["s", "ms", "min", "hh:mm:ss", "mm:ss", "hh:mm"] = "s"
    nothing: list[str | int | float | None] = []
    currency: str = ""
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    amounts: Literal["", "negated", "signed"] = ""
    percent_encoded: bool | None = None
    call_ids: Literal["repeat", "unique"] = "repeat"
    deck: DeckFormat | None = None

    def style(self) -> Style:
        """How the file separates and quotes its cells."""
        return Style(delimiter_of(self.delimiter), "" if self.quote == "none" else self.quote, self.line_breaks_in_fields)

    def has_header(self) -> bool:
        return self.header == "first"


def parts(column: Column | list[Column]) -> list[Column]:
    """The columns that make one field.

    >>> parts("start"), parts(["date", "time"])
    (['start'], ['date', 'time'])
    """
    return column if isinstance(column, list) else [column]


def label(column: Column | list[Column]) -> str:
    """How a field's column is named in an error.

    >>> label("Secs"), label(3), label(["date", "time"])
    ('column Secs', 'column 3', 'columns date and time')
    """
    names = [str(part) for part in parts(column)]
    return f"column{'s' if len(names) > 1 else ''} {' and '.join(names)}"


def zone_of(text: str) -> tzinfo:
    """A zone that a mapping names: an IANA name or an offset. `ValueError` where it is neither.

    >>> zone_of("+05:30"), zone_of("Europe/Vienna").key
    (datetime.timezone(datetime.timedelta(seconds=19800)), 'Europe/Vienna')
    """
    if found := re.fullmatch(r"([+-])(\d\d):?(\d\d)", text):
        minutes = int(found[2]) * 60 + int(found[3])
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is not an IANA time zone such as Europe/Vienna") from None


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key which comes twice: the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for place, key in enumerate(keys):
            if key.value in {earlier.value for earlier in keys[:place]}:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} comes twice", key.start_mark)
        return super().construct_mapping(node, deep)


def read_mapping(text: str, name: str, fields: tuple[str, ...] = FIELDS, times: tuple[str, ...] = TIMES) -> Mapping:
    """The mapping in a YAML text; `fields` and `times`: of a file of something else than calls.

    >>> read_mapping("columns: {b_number: dialled, answer: connect}", "map.yaml").columns["b_number"]
    'dialled'
    >>> read_mapping("columns: {answer: connect}\\ndelimiter: ab", "map.yaml")
    Traceback (most recent call last):
    ...
    switches.files.mapping.MappingError: map.yaml: delimiter: 'ab' is not a delimiter: one character such as , ; | or one of \
\\t, comma, pipe, semicolon, space, tab
    """
    try:
        loose = yaml.load(text, _Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        raise MappingError(f"{name}: not YAML: {wrong}") from None
    if isinstance(loose, dict) and loose.get("header", "") is None:
        loose["header"] = "none"  # `header:` and `header: null`
    try:
        mapping = msgspec.convert(loose, Mapping)
    except (msgspec.ValidationError, RecursionError) as wrong:
        raise MappingError(f"{name}: {wrong}") from None
    if not mapping.has_header() and mapping.header == "none":
        digits = {field: _numbered(column) for field, column in mapping.columns.items()}
        mapping = msgspec.structs.replace(mapping, columns=digits)
    _check(mapping, name, fields, times)
    if fields is FIELDS:
        _check_calls(mapping, name)
    return mapping


def _numbered(column: Any) -> Any:
    if isinstance(column, list):
        return [_numbered(part) for part in column]
    return int(column) if isinstance(column, str) and column.isascii() and column.isdigit() else column


def _check_calls(mapping: Mapping, name: str) -> None:
    for amount in AMOUNTS:
        if amount in mapping.columns and not mapping.currency and not {"currency", CURRENCIES[amount]} & mapping.columns.keys():
            raise MappingError(f"{name}: currency: set the currency of sell_amount and buy_amount, or map the column that has it")
    if not {"answer", "duration_s", *AMOUNTS} & mapping.columns.keys():
        raise MappingError(
            f"{name}: columns: map answer, duration_s or an amount: without them it is not known which calls were answered, and all would be free"
        )


def _check(mapping: Mapping, name: str, fields: tuple[str, ...], times: tuple[str, ...]) -> None:
    if unknown := set(mapping.columns) - set(fields):
        raise MappingError(f"{name}: columns: {', '.join(sorted(unknown))} is no field of ours; the fields are {', '.join(fields)}")
    if not set(mapping.columns) & {*times}:
        raise MappingError(f"{name}: columns: map at least one of {', '.join(times)}: a call without a time cannot be placed")
    for field, column in mapping.columns.items():
        if isinstance(column, list) and (field not in times or not column):
            raise MappingError(f"{name}: columns.{field}: only a time may be joined from a list of columns, such as answer: [date, time]")
        for part in parts(column):
            if isinstance(part, int) and (part < 1 or mapping.format != "csv"):
                raise MappingError(f"{name}: columns.{field}: {part} is not a column's number, which counts from 1, in a CSV file")
            if isinstance(part, str) and mapping.header == "none":
                raise MappingError(f"{name}: columns.{field}: the file has no header (header: none), so name the column by its number, not {part!r}")
    if isinstance(mapping.header, str) and mapping.header not in ("first", "none"):
        raise MappingError(f"{name}: header: expected first, none, or the list of the columns' names")
    if mapping.skip_lines < 0:
        raise MappingError(f"{name}: skip_lines: {mapping.skip_lines} is negative")
    try:
        delimiter = delimiter_of(mapping.delimiter)
    except ValueError as wrong:
        raise MappingError(f"{name}: delimiter: {wrong}") from None
    if mapping.deck is not None:
        try:
            check_format(mapping.deck)
        except DeckError as wrong:
            raise MappingError(f"{name}: deck: {wrong}") from None
    if mapping.quote not in ('"', "'", "none"):
        raise MappingError(f"{name}: quote: {mapping.quote!r} is neither '\"' nor \"'\" nor none")
    if mapping.encoding:
        try:
            check_encoding(mapping.encoding)
        except ValueError as wrong:
            raise MappingError(f"{name}: encoding: {wrong}") from None
    if mapping.thousands and mapping.thousands == mapping.decimal:
        raise MappingError(f"{name}: thousands: {mapping.thousands!r} is the decimal mark already; set decimal, too")
    if mapping.format == "csv" and mapping.quote == "none" and delimiter in (mapping.decimal, mapping.thousands):
        raise MappingError(f"{name}: delimiter: {delimiter!r} is in amounts too, and no cell is quoted")
    if mapping.currency and not is_code(mapping.currency):
        raise MappingError(f"{name}: currency: {mapping.currency!r} is not a code of three letters such as EUR")
    if mapping.time_format != "iso" and mapping.time_format not in EPOCHS:
        try:
            check_time_format(mapping.time_format)
        except ValueError as wrong:
            raise MappingError(f"{name}: time_format: {wrong}; or iso, {', '.join(EPOCHS)}") from None
    for place, zone in (("timezone", mapping.timezone), *((f"zones.{key}", zone) for key, zone in mapping.zones.items())):
        try:
            zone_of(zone)
        except ValueError as wrong:
            raise MappingError(f"{name}: {place}: {wrong}") from None
