"""Call records of other systems, from files, as our records, by a mapping (`switches.files.mapping`).

A field that decides money or names a party (numbers, times, durations, amounts, account, tenant, carrier, call_id) rejects its row where it
cannot be read. Any other field never rejects a row: it is cut or left out, and the row has a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from core import currencies
from core.delimited import bad_byte, readable
from core.record import Record
from switches.files import values
from switches.files.mapping import AMOUNTS, CURRENCIES, TIMES, Mapping, label, parts
from switches.files.parquet import read_parquet
from switches.files.rows import JsonNumber, Twice, names_currency, read_raw

CODES = {"attempt_no": 2**31 - 1, "sip_code": 999, "q850": 999}
"""Whole numbers that do not decide money, and the highest that a record holds."""
TEXTS = {"user_agent": 2048, "release_cause_text": 2048, "a_number": 2048}
"""Texts, and the length at which they are cut."""
NAMES = frozenset({"egress_trunk", "src_ip", "lrn", "attestation", "imei", "imsi", "cell"})
"""Names that do not decide money. A cut name would be another name, so one that is too long is left out."""
PARTIES = {"tenant": 128, "account": 128, "ingress_trunk": 128, "carrier": 128, "call_id": 2048, "b_number": 2048}
"""Fields that name the parties of a call: never cut."""
NAME_LENGTH = 128
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
FAILURE = 300
NOT_ANSWERED = frozenset({1, 2, 3, 17, 18, 19, 20, 21, 22, 27, 28})
"""Causes of Q.850 with which an answered call does not end."""
SIDES = {
    "caller": "caller", "a": "caller", "orig": "caller", "originator": "caller", "callee": "callee", "called": "callee", "b": "callee",
    "term": "callee", "terminator": "callee", "switch": "switch", "internal": "switch",
}  # fmt: skip
MILDER = frozenset({*CODES, *TEXTS, *NAMES, "release_side"})
DEFAULT_TENANT = "default"
SWITCH = "file"


class Row(NamedTuple):
    """A row of the file: its line, its text, and the record of a tenant, or the fault. `notes`: values that were left out."""

    line: int
    text: str
    tenant: str
    record: Record | None
    fault: str
    notes: tuple[str, ...] = ()


class Read(NamedTuple):
    """A row as a record."""

    tenant: str
    record: Record
    notes: tuple[str, ...]


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    """Every row of a file, in its order."""
    encoding, rows = ("utf-8", read_parquet(path, mapping)) if mapping.format == "parquet" else read_raw(path, mapping)
    fields = fields_of(mapping)
    for line, text, cells, fault in rows:
        if fault:
            yield Row(line, text, "", None, fault)
            continue
        try:
            tenant, record, notes = to_record(cells, mapping, encoding, fields)
        except ValueError as wrong:
            yield Row(line, text, "", None, str(wrong))
        else:
            yield Row(line, text, tenant, record, "", notes)


def to_record(cells: dict[Any, Any], mapping: Mapping, encoding: str = "utf-8", fields: list[Field] | None = None) -> Read:
    """The tenant and the record of one row: a stop, at the moment when its call ended. `ValueError` names the column.

    `fields`: `fields_of(mapping)`, where many rows are read.

    >>> from switches.files.mapping import read_mapping
    >>> how = read_mapping("{currency: EUR, time_format: epoch_s, columns: {answer: t, duration_s: s, b_number: b, sell_amount: p}}", "m")
    >>> tenant, stop, notes = to_record({"t": "1700000000", "s": "61", "b": "+431234567", "p": "0.02"}, how)
    >>> tenant, stop.at_ms, stop.duration_ms, stop.sell_amount, notes
    ('default', 1700000061000, 61000, '0.02', ())
    """
    texts, notes = texts_of(cells, mapping, encoding, fields or fields_of(mapping))
    duration_ms = _duration(texts.get("duration_s", ""), mapping)
    times = _known_times(texts, mapping, duration_ms)
    answer_ms, end_ms = times["answer"], times["end"]
    if mapping.time_precision != "ms" and duration_ms is not None and end_ms is not None and answer_ms is not None and end_ms < answer_ms:
        times["end"] = None  # the duration decides the money: an end that was rounded to before its answer is left out
    start = answer_ms if answer_ms is not None else times["setup"] if times["setup"] is not None else times["ringing"]
    at_ms = times["end"] if times["end"] is not None else start
    if at_ms is None:
        names = (str(part) for field in TIMES if field in mapping.columns for part in parts(mapping.columns[field]))
        raise ValueError(f"no time: one of {', '.join(names)} must be filled")
    talked = duration_ms > 0 if duration_ms is not None else answer_ms is not None and end_ms is not None and answer_ms != end_ms
    amounts = {field: _amount(texts[field], mapping, field, talked) for field in AMOUNTS if texts.get(field)}
    codes = {field: _code(texts.get(field, ""), mapping, field, texts, notes) for field in CODES}
    failed = (codes["sip_code"] or 0) >= FAILURE or codes["q850"] in NOT_ANSWERED
    no_clock = [field for field in TIMES if texts.get(field) and not values.has_clock(texts[field], mapping.time_format)]
    if duration_ms is None and {"answer", "end"}.issubset(no_clock):
        if not amounts:
            both = f"{label(mapping.columns['answer'])} and {label(mapping.columns['end'])}"
            raise ValueError(f"answered, but for how long? {both} are days without a time of day; map duration_s, or join [date, time]")
        times["end"], at_ms = None, start or at_ms  # the days between two dates are not a duration
    stated_ms = duration_ms
    duration_ms = _talk(times, duration_ms, bool(amounts), codes["sip_code"], mapping, notes)
    _doubts(times, stated_ms, failed and times["answer"] is None, codes, mapping, notes)
    if "buy_amount" not in amounts and "buy_amount" in mapping.columns and talked:
        notes.append(f"{label(mapping.columns['buy_amount'])} is empty: the call counts as bought for nothing")
    if times["end"] is None and duration_ms is not None:
        at_ms += max(duration_ms, 0)
    if no_clock:
        what = label(mapping.columns[no_clock[0]])
        notes.append(f"{what}: a date without a time of day, taken for midnight; a column with the time is joined by [date, time]")
    if failed and duration_ms == 0 and times["answer"] is not None:
        times["answer"] = None  # some switches write the time of the refusal: it is not charged
        notes.append(f"{label(mapping.columns['answer'])}: 0 s, and a code of a call that nobody answered: taken for none")
    side = texts.get("release_side", "").lower()
    if side and side not in SIDES:
        notes.append(f"{label(mapping.columns['release_side'])}: {side[:40]!r} is not a side of a call: left out")
    currency, bought_in = _currencies(texts, cells, amounts, mapping)
    record = Record(
        v=2, event="stop", switch=SWITCH, at_ms=at_ms,
        call_id=texts.get("call_id", ""), attempt_no=codes["attempt_no"] or 0, account=texts.get("account", ""),
        ingress_trunk=texts.get("ingress_trunk", ""), carrier=texts.get("carrier", ""), egress_trunk=texts.get("egress_trunk", ""),
        a_raw=texts.get("a_number", ""), b_raw=texts.get("b_number", ""),
        setup_ms=times["setup"], ringing_ms=times["ringing"], answer_ms=times["answer"], end_ms=times["end"], duration_ms=duration_ms,
        sell_amount=amounts.get("sell_amount", ""), buy_amount=amounts.get("buy_amount", ""),
        currency=currency, buy_currency=bought_in if bought_in != currency else "",
        sip_code=codes["sip_code"], q850=codes["q850"], release_cause_text=texts.get("release_cause_text", ""),
        release_side=SIDES.get(side, ""),  # type: ignore[arg-type]
        src_ip=texts.get("src_ip", ""), user_agent=texts.get("user_agent", ""), lrn=texts.get("lrn", ""),
        attestation=texts.get("attestation", ""), imei=texts.get("imei", ""), imsi=texts.get("imsi", ""), cell=texts.get("cell", ""),
    )  # fmt: skip
    return Read(texts.get("tenant") or DEFAULT_TENANT, record, tuple(notes))


# --- cells ---


class Field(NamedTuple):
    """How a field is read; computed once per file."""

    name: str
    columns: list[str | int]
    kind: str  # time, number, telephone or text
    longest: int  # most characters; 0 = no limit
    is_suspect: bool  # whether %20 is hardly part of the value
    is_party: bool


SUSPECT = frozenset({"tenant", "account", "ingress_trunk", "carrier", "duration_s", *TIMES, *AMOUNTS})
"""Fields in which a percent sign and two hexadecimal digits are hardly part of the value."""


def fields_of(mapping: Mapping) -> list[Field]:
    """The fields of a mapping.

    >>> [(field.name, field.kind) for field in fields_of(Mapping(columns={"b_number": "dst", "answer": ["day", "time"]}))]
    [('b_number', 'telephone'), ('answer', 'time')]
    """
    found = []
    for name, column in mapping.columns.items():
        kind = "time" if name in TIMES else "number" if name in CODES or name in AMOUNTS or name == "duration_s" else "text"
        kind = "telephone" if name in ("a_number", "b_number") else kind
        longest = PARTIES.get(name) or TEXTS.get(name) or (NAME_LENGTH if name in NAMES else 0)
        found.append(Field(name, parts(column), kind, longest, name in SUSPECT, name in PARTIES and name != "b_number"))
    return found


def texts_of(cells: dict[Any, Any], mapping: Mapping, encoding: str, fields: list[Field]) -> tuple[dict[str, str], list[str]]:
    """The text of each field, "" where the row has no value, and notes on values that were left out."""
    texts: dict[str, str] = {}
    notes: list[str] = []
    anywhere, in_times = _no_values(tuple(mapping.nothing))
    for field in fields:
        column = field.columns[0]
        try:
            value = cells[column] if column in cells else _reach(cells, column)
            text = _text(value, mapping, encoding)
            if len(field.columns) > 1:
                text = _join([text, *(_text(_reach(cells, part), mapping, encoding) for part in field.columns[1:])], in_times)
            if not text:
                texts[field.name] = ""
            elif field.kind == "time":
                texts[field.name] = "" if values.is_no_time(text, mapping.time_format, in_times) else _checked(text, field, mapping)
            elif values.is_nothing(text, number=field.kind == "number", more=anywhere):
                texts[field.name] = ""
            else:
                texts[field.name] = _checked(text, field, mapping)
        except ValueError as wrong:
            place = label(mapping.columns[field.name])
            if field.name not in MILDER:
                raise ValueError(f"{place}: {wrong}") from None
            texts[field.name] = _shortened(cells, column, field.name)
            notes.append(f"{place}: {wrong}{'' if texts[field.name] else ': left out'}")
    return texts, notes


@lru_cache(maxsize=16)
def _no_values(stated: tuple[Any, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Texts that mean "no value" by the mapping: in all columns, and in times, where a zero counts too."""
    found = frozenset(("null" if value is None else str(value)).lower() for value in stated)
    return frozenset(text for text in found if not values.ZEROS.fullmatch(text)), found


def _reach(cells: dict[Any, Any], column: str | int) -> Any:
    if column in cells:
        return cells[column]
    value: Any = cells
    for part in str(column).split("."):
        if isinstance(value, Twice):
            return value
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any, mapping: Mapping, encoding: str) -> str:
    """A cell as text. A `JsonNumber` stays one: its decimals follow a point, whatever the mapping has for texts."""
    if type(value) is str and value.isascii() and not (mapping.percent_encoded and "%" in value):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, Twice):
        raise ValueError(f"two values of one name: {value.name}")
    if isinstance(value, (dict, list)):
        raise ValueError(f"{'an object' if isinstance(value, dict) else 'an array'} where a text belongs")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, JsonNumber):
        return value
    if not isinstance(value, str):
        return JsonNumber(msgspec.json.encode(value).decode())
    if fault := bad_byte(value, encoding):
        hint = "; where the file is not UTF-8, set encoding: cp1252, latin-1 ... in the mapping" if encoding.startswith("utf-8") else ""
        raise ValueError(fault + hint)
    text = value.strip()
    try:
        if mapping.percent_encoded and "%" in text:
            text = unquote(text, errors="strict").strip()
        text.encode()
    except UnicodeDecodeError:
        raise ValueError(f"{text[:40]!r} is percent-encoded, but not UTF-8") from None
    except UnicodeEncodeError as wrong:
        raise ValueError(f"character {wrong.start + 1} is half of a character (a lone surrogate)") from None
    return text


def _join(texts: list[str], nothing: frozenset[str]) -> str:
    """A date and a time as one text."""
    filled = [text for text in texts if not values.is_nothing(text, number=True, more=nothing)]
    if filled and len(filled) < len(texts):
        raise ValueError(f"{' '.join(filled)[:40]!r} alone is no time: the other column is empty")
    return " ".join(filled)


def _checked(text: str, field: Field, mapping: Mapping) -> str:
    """The text of a field, checked and without marks of table programs."""
    if field.is_suspect and "%" in text and mapping.percent_encoded is None and values.ESCAPED.search(text):
        raise ValueError(f"{text[:40]!r} looks percent-encoded: set percent_encoded: yes in the mapping, or no where it is literal")
    if field.is_party and not text.isprintable() and CONTROL.search(text):
        raise ValueError(f"{text[:40]!r} holds a control character")
    if field.kind == "telephone" and not text.isdigit():
        text = values.telephone(text)
    elif field.is_party and not text.isalpha():
        text = values.party(text)
    elif field.kind in ("time", "number"):
        text = values.unmarked(text) if text[0] in "='" else text
    if field.longest and len(text) > field.longest:
        raise ValueError(f"{len(text)} characters, more than {field.longest}")
    return text


def _shortened(cells: dict[Any, Any], column: str | int, field: str) -> str:
    """What is left of a value that cannot be stored: the beginning of a text, "" of a name."""
    value = _reach(cells, column)
    return readable(value)[: TEXTS[field]].encode("utf-8", "replace").decode() if field in TEXTS and isinstance(value, str) else ""


# --- times ---


def _known_times(texts: dict[str, str], mapping: Mapping, duration_ms: int | None) -> dict[str, int | None]:
    """The times of a row. Of a call that lasted 0 s, a time such as 0001-01-01, 1900-01-01 or 9999-12-31 is left out."""
    if duration_ms == 0:
        texts = dict(texts)
        for field in TIMES:
            try:
                _time(texts.get(field, ""), mapping, field, mapping.repeated_hour)
            except values.NoTime:
                texts[field] = ""
    return _times(texts, mapping, mapping.repeated_hour)


def _times(texts: dict[str, str], mapping: Mapping, repeated_hour: Any) -> dict[str, int | None]:
    """The times of a row. Where a time in the repeated hour would be before an earlier event, its other reading is taken."""
    times: dict[str, int | None] = {}
    latest_ms: int | None = None
    for field in TIMES:
        text = texts.get(field, "")
        at_ms = _time(text, mapping, field, repeated_hour)
        if at_ms is not None and latest_ms is not None and at_ms < latest_ms and repeated_hour != "reject":
            other_ms = _time(text, mapping, field, "later")
            at_ms = other_ms if other_ms is not None and other_ms >= latest_ms else at_ms
        times[field] = at_ms
        if at_ms is not None:
            if latest_ms is not None and at_ms < latest_ms and repeated_hour == "later":
                return _times(texts, mapping, "earlier")
            latest_ms = at_ms if latest_ms is None else max(latest_ms, at_ms)
    return times


def _time(text: str, mapping: Mapping, field: str, repeated_hour: Any) -> int | None:
    if not text:
        return None
    try:
        at_ms = values.time_ms(text, mapping.time_format, mapping.timezone, repeated_hour, mapping.zones)
    except ValueError as wrong:
        raise type(wrong)(f"{label(mapping.columns[field])}: {wrong}") from None
    return at_ms or None


# --- duration and money ---


def _talk(
    times: dict[str, int | None], duration_ms: int | None, has_amount: bool, sip_code: int | None, mapping: Mapping, notes: list[str]
) -> int | None:
    """The stated duration. A call without an answer lasted 0 s; a duration that cannot be known is not taken for 0 s."""
    columns = mapping.columns
    if times["answer"] is None and "answer" in columns:
        if not duration_ms:  # after a 200 without an answer time the duration is unknown
            return 0 if duration_ms is None and (sip_code or 0) // 100 != 2 else duration_ms
        answer, lasted = label(columns["answer"]), f"{label(columns['duration_s'])} says {duration_ms / 1000:g} s"
        if duration_ms > 0 and times["end"] is None:
            raise ValueError(f"{answer} says that nobody answered, {lasted}, and no end says when")
        if duration_ms > 0:
            notes.append(f"{answer} says that nobody answered, {lasted}: answered so long before the end")
    elif times["answer"] is not None and duration_ms is None and times["end"] is None and not has_amount:
        unknown = [label(columns[field]) for field in ("duration_s", "end") if field in columns]
        names = " and ".join(unknown) or "neither duration_s nor end is mapped, which"
        raise ValueError(f"answered, but for how long? {names} say{'s' if len(unknown) < 2 else ''} nothing")
    return duration_ms


MINUTE_MS = 60_000


def _doubts(
    times: dict[str, int | None], duration_ms: int | None, refused: bool, codes: dict[str, int | None], mapping: Mapping, notes: list[str]
) -> None:
    """Notes on contradictions in a row that is priced all the same, by its duration."""
    if duration_ms is None or duration_ms < 0:
        return
    column = label(mapping.columns["duration_s"])
    if duration_ms and refused and "answer" not in mapping.columns:
        name = "sip_code" if (codes["sip_code"] or 0) >= FAILURE else "q850"
        notes.append(
            f"{column} says {duration_ms / 1000:g} s, {name} {codes[name]} that nobody answered: priced as talk; is it the time since the setup?"
        )
    if (end_ms := times["end"]) is not None and (answer_ms := times["answer"]) is not None and end_ms >= answer_ms:
        short, long = sorted((duration_ms, end_ms - answer_ms))
        if long - short > MINUTE_MS and long > 2 * short:
            notes.append(
                f"{column} says {duration_ms / 1000:g} s, and {(end_ms - answer_ms) / 1000:g} s lie between answer and end: the duration is priced; "
                "is duration_format right?"
            )


def _duration(text: str, mapping: Mapping) -> int | None:
    if not text:
        return None
    decimal, thousands = _spelled(text, mapping)
    try:
        return values.duration_ms(text, mapping.duration_format, decimal, thousands)
    except ValueError as wrong:
        raise ValueError(f"{label(mapping.columns['duration_s'])}: {wrong}") from None


def _amount(text: str, mapping: Mapping, field: str, talked: bool) -> str:
    try:
        return values.amount(text, *_spelled(text, mapping), mapping.amounts, talked)
    except ValueError as wrong:
        raise ValueError(f"{label(mapping.columns[field])}: {wrong}") from None


def _spelled(text: str, mapping: Mapping) -> tuple[str, str]:
    """Decimal mark and thousands separator: by the mapping in texts, by JSON's grammar in its numbers."""
    return (".", "") if isinstance(text, JsonNumber) else (mapping.decimal, mapping.thousands)


def _code(text: str, mapping: Mapping, field: str, texts: dict[str, str], notes: list[str]) -> int | None:
    """A code, or None and a note. A value that is not a Q.850 cause becomes the release text where there is none."""
    if not text:
        return None
    try:
        return values.code(text, _spelled(text, mapping)[0], CODES[field])
    except ValueError as wrong:
        notes.append(f"{label(mapping.columns[field])}: {wrong}: left out")
    if field == "q850" and not texts.get("release_cause_text"):
        texts["release_cause_text"] = f"q850 {text[:100]}"
    return None


def _currencies(texts: dict[str, str], cells: dict[Any, Any], amounts: dict[str, str], mapping: Mapping) -> tuple[str, str]:
    """The currency of a row's sell amount, which is the default of both, and the one of its buy amount. "" = no amount."""
    of = {field: _currency(texts, cells, field, mapping) for field in amounts}
    currency = of.get("sell_amount") or of.get("buy_amount", "")
    return currency, of.get("buy_amount", currency)


def _currency(texts: dict[str, str], cells: dict[Any, Any], amount: str, mapping: Mapping) -> str:
    """The currency of an amount: of its column, else of the mapping. A column that seems to name it and is not mapped is a fault."""
    field = CURRENCIES[amount] if CURRENCIES[amount] in mapping.columns else "currency"
    currency, source = mapping.currency, "the mapping"
    if field in mapping.columns:
        source, currency = label(mapping.columns[field]), texts[field].upper()
        if not currency:
            raise ValueError(f"{source}: an amount without a currency")
        if not currencies.is_code(currency):
            raise ValueError(f"{source}: {currency[:40]!r} is not a code of three letters such as EUR")
    for name, value in _near(cells, parts(mapping.columns[amount])[0], amount):
        text = value.strip().upper() if isinstance(value, str) else ""
        if text in currencies.CURRENCIES and text != currency and name not in _mapped(mapping):
            raise ValueError(f"column {name} says {text}, {source} says {currency}: map it, columns: {{{CURRENCIES[amount]}: {name}}}")
    return currency


def _mapped(mapping: Mapping) -> set[str | int]:
    """The columns that the mapping names as currencies."""
    return {part for name in ("currency", *CURRENCIES.values()) for part in parts(mapping.columns.get(name, []))}


def _near(cells: dict[Any, Any], column: str | int, amount: str) -> Iterator[tuple[str, Any]]:
    """The cells that seem to name the currency of an amount: in the row, and beside a nested column such as price.amount; with full names."""
    yield from ((name, cells[name]) for name in _naming_currency(tuple(cells), amount))
    inner, path = cells, str(column).split(".") if column not in cells else []
    for depth, part in enumerate(path[:-1], 1):
        value = inner.get(part)
        if not isinstance(value, dict):
            return
        inner = value
        names = {".".join((*path[:depth], str(name))): one for name, one in inner.items()}
        yield from ((name, names[name]) for name in _naming_currency(tuple(names), amount))


@lru_cache(maxsize=1024)
def _naming_currency(columns: tuple[str | int, ...], amount: str) -> tuple[str, ...]:
    """The columns that seem to name the currency of an amount. Cached: all rows of a table have the same columns."""
    return tuple(name for name in columns if isinstance(name, str) and _can_name_currency(name, amount))


OTHER_SIDE = {
    "sell_amount": re.compile(r"buy|bought|cost|purchase|supplier|vendor|carrier|einkauf", re.IGNORECASE),
    "buy_amount": re.compile(r"sell|sold|sale|retail|customer|client|verkauf", re.IGNORECASE),
}
"""Words in the name of a column that has the currency of the other amount."""


def _can_name_currency(column: str, amount: str) -> bool:
    """Whether a column seems to name the currency of an amount.

    >>> _can_name_currency("buy_curr", "sell_amount"), _can_name_currency("buy_curr", "buy_amount"), _can_name_currency("current", "buy_amount")
    (False, True, False)
    """
    return names_currency(column.rpartition(".")[2]) and not OTHER_SIDE[amount].search(column)
