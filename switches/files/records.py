"""Files of call records from elsewhere as records of ours, by a mapping (`switches.files.mapping` says what it can say).

What decides money or names a party (numbers, times, durations, amounts, account, tenant, carrier, call_id) rejects its row where it cannot
be read. Everything else never costs a row: it is cut or left out, and the row has a note.
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
from switches.files.rows import JsonNumber, Twice, names_currency, read_raw

CODES = {"attempt_no": 2**31 - 1, "sip_code": 999, "q850": 999}
"""Whole numbers that are no money, and the highest that a record holds."""
TEXTS = {"user_agent": 2048, "release_cause_text": 2048, "a_number": 2048}
"""Texts that are cut."""
NAMES = frozenset({"egress_trunk", "src_ip", "lrn", "attestation", "imei", "imsi", "cell"})
"""Names that are no money: half of one is another one, so a longer one is left out."""
PARTIES = {"tenant": 128, "account": 128, "ingress_trunk": 128, "carrier": 128, "call_id": 2048, "b_number": 2048}
"""What says whose call it is and where it goes: never cut."""
NAME_LENGTH = 128
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
FAILURE = 300
NOT_ANSWERED = frozenset({1, 2, 3, 17, 18, 19, 20, 21, 22, 27, 28})
"""Causes of Q.850 that a call which somebody answered does not end with."""
SIDES = {
    "caller": "caller", "a": "caller", "orig": "caller", "originator": "caller", "callee": "callee", "called": "callee", "b": "callee",
    "term": "callee", "terminator": "callee", "switch": "switch", "internal": "switch",
}  # fmt: skip
MILDER = frozenset({*CODES, *TEXTS, *NAMES, "release_side"})
DEFAULT_TENANT = "default"
SWITCH = "file"


class Row(NamedTuple):
    """A row of the file: its line, its text, and what it is: a record of a tenant, or why it is none. `notes`: what was left out."""

    line: int
    text: str
    tenant: str
    record: Record | None
    fault: str
    notes: tuple[str, ...] = ()


class Read(NamedTuple):
    """What a row says."""

    tenant: str
    record: Record
    notes: tuple[str, ...]


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    """Every row of a file, in its order."""
    encoding, rows = read_raw(path, mapping)
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
    given, notes = _given(cells, mapping, encoding, fields or fields_of(mapping))
    duration_ms = _duration(given.get("duration_s", ""), mapping)
    times = _known_times(given, mapping, duration_ms)
    answer_ms, end_ms = times["answer"], times["end"]
    if mapping.time_precision != "ms" and duration_ms is not None and end_ms is not None and answer_ms is not None and end_ms < answer_ms:
        times["end"] = None  # coarse times only order, the duration is the money: an end that was cut to before its answer is none
    start = answer_ms if answer_ms is not None else times["setup"] if times["setup"] is not None else times["ringing"]
    at_ms = times["end"] if times["end"] is not None else start
    if at_ms is None:
        names = (str(part) for field in TIMES if field in mapping.columns for part in parts(mapping.columns[field]))
        raise ValueError(f"no time: one of {', '.join(names)} must be filled")
    talked = duration_ms > 0 if duration_ms is not None else answer_ms is not None and end_ms is not None and answer_ms != end_ms
    amounts = {field: _amount(given[field], mapping, field, talked) for field in AMOUNTS if given.get(field)}
    codes = {field: _code(given.get(field, ""), mapping, field, given, notes) for field in CODES}
    failed = (codes["sip_code"] or 0) >= FAILURE or codes["q850"] in NOT_ANSWERED
    no_clock = [field for field in TIMES if given.get(field) and not values.has_clock(given[field], mapping.time_format)]
    if duration_ms is None and {"answer", "end"}.issubset(no_clock):
        if not amounts:
            both = f"{label(mapping.columns['answer'])} and {label(mapping.columns['end'])}"
            raise ValueError(f"answered, but for how long? {both} are days without a time of day; map duration_s, or join [date, time]")
        times["end"], at_ms = None, start or at_ms  # the days between two dates are no talk
    said_ms = duration_ms
    duration_ms = _talk(times, duration_ms, bool(amounts), codes["sip_code"], mapping, notes)
    _doubts(times, said_ms, failed and times["answer"] is None, codes, mapping, notes)
    if "buy_amount" not in amounts and "buy_amount" in mapping.columns and talked:
        notes.append(f"{label(mapping.columns['buy_amount'])} is empty: the call counts as bought for nothing")
    if times["end"] is None and duration_ms is not None:
        at_ms += max(duration_ms, 0)
    if no_clock:
        what = label(mapping.columns[no_clock[0]])
        notes.append(f"{what}: a date without a time of day, taken for midnight; a column with the time is joined by [date, time]")
    if failed and duration_ms == 0 and times["answer"] is not None:
        times["answer"] = None  # some switches write when it was refused: a second is not owed for that
        notes.append(f"{label(mapping.columns['answer'])}: 0 s, and a code of a call that nobody answered: taken for none")
    side = given.get("release_side", "").lower()
    if side and side not in SIDES:
        notes.append(f"{label(mapping.columns['release_side'])}: {side[:40]!r} is not a side of a call: left out")
    currency, bought_in = _currencies(given, cells, amounts, mapping)
    record = Record(
        v=2, event="stop", switch=SWITCH, at_ms=at_ms,
        call_id=given.get("call_id", ""), attempt_no=codes["attempt_no"] or 0, account=given.get("account", ""),
        ingress_trunk=given.get("ingress_trunk", ""), carrier=given.get("carrier", ""), egress_trunk=given.get("egress_trunk", ""),
        a_raw=given.get("a_number", ""), b_raw=given.get("b_number", ""),
        setup_ms=times["setup"], ringing_ms=times["ringing"], answer_ms=times["answer"], end_ms=times["end"], duration_ms=duration_ms,
        sell_amount=amounts.get("sell_amount", ""), buy_amount=amounts.get("buy_amount", ""),
        currency=currency, buy_currency=bought_in if bought_in != currency else "",
        sip_code=codes["sip_code"], q850=codes["q850"], release_cause_text=given.get("release_cause_text", ""),
        release_side=SIDES.get(side, ""),  # type: ignore[arg-type]
        src_ip=given.get("src_ip", ""), user_agent=given.get("user_agent", ""), lrn=given.get("lrn", ""),
        attestation=given.get("attestation", ""), imei=given.get("imei", ""), imsi=given.get("imsi", ""), cell=given.get("cell", ""),
    )  # fmt: skip
    return Read(given.get("tenant") or DEFAULT_TENANT, record, tuple(notes))


# --- cells ---


class Field(NamedTuple):
    """How a field is read: what is known of it before the first row."""

    name: str
    columns: list[str | int]
    kind: str  # time, number, telephone or text
    longest: int  # characters that are kept; 0 = whatever
    is_suspect: bool  # where %20 is hardly part of the value
    is_party: bool


SUSPECT = frozenset({"tenant", "account", "ingress_trunk", "carrier", "duration_s", *TIMES, *AMOUNTS})
"""Where a percent sign and two hexadecimal digits are hardly part of the value."""


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


def _given(cells: dict[Any, Any], mapping: Mapping, encoding: str, fields: list[Field]) -> tuple[dict[str, str], list[str]]:
    """The text of each field, "" where the row says nothing, and what was left out."""
    given: dict[str, str] = {}
    notes: list[str] = []
    anywhere, in_times = _nothings(tuple(mapping.nothing))
    for field in fields:
        column = field.columns[0]
        try:
            value = cells[column] if column in cells else _reach(cells, column)
            text = _text(value, mapping, encoding)
            if len(field.columns) > 1:
                text = _join([text, *(_text(_reach(cells, part), mapping, encoding) for part in field.columns[1:])], in_times)
            if not text:
                given[field.name] = ""
            elif field.kind == "time":
                given[field.name] = "" if values.is_no_time(text, mapping.time_format, in_times) else _checked(text, field, mapping)
            elif values.is_nothing(text, number=field.kind == "number", more=anywhere):
                given[field.name] = ""
            else:
                given[field.name] = _checked(text, field, mapping)
        except ValueError as wrong:
            place = label(mapping.columns[field.name])
            if field.name not in MILDER:
                raise ValueError(f"{place}: {wrong}") from None
            given[field.name] = _kept(cells, column, field.name)
            notes.append(f"{place}: {wrong}{'' if given[field.name] else ': left out'}")
    return given, notes


@lru_cache(maxsize=16)
def _nothings(said: tuple[Any, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """What the mapping says stands for nothing: in every column, and in times, where a zero is no time."""
    texts = frozenset(("null" if value is None else str(value)).lower() for value in said)
    return frozenset(text for text in texts if not values.ZEROS.fullmatch(text)), texts


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
    """A cell as text. A `JsonNumber` stays one: its decimals follow a point, whatever the mapping says of texts."""
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
        hint = "; where the file is not UTF-8, the mapping says encoding: cp1252, latin-1 ..." if encoding.startswith("utf-8") else ""
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
    """The text of a field that may be kept as it is."""
    if field.is_suspect and "%" in text and mapping.percent_encoded is None and values.ESCAPED.search(text):
        raise ValueError(f"{text[:40]!r} looks percent-encoded: the mapping says percent_encoded: yes, or no where it is meant so")
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


def _kept(cells: dict[Any, Any], column: str | int, field: str) -> str:
    """What stays of a value that cannot be kept as it is: the beginning of a text, nothing of a name."""
    value = _reach(cells, column)
    return readable(value)[: TEXTS[field]].encode("utf-8", "replace").decode() if field in TEXTS and isinstance(value, str) else ""


# --- times ---


def _known_times(given: dict[str, str], mapping: Mapping, duration_ms: int | None) -> dict[str, int | None]:
    """The times of a row. Of a call that lasted 0 s, a time such as 0001-01-01, 1900-01-01 or 9999-12-31 is none."""
    if duration_ms == 0:
        given = dict(given)
        for field in TIMES:
            try:
                _time(given.get(field, ""), mapping, field, mapping.repeated_hour)
            except values.NoTime:
                given[field] = ""
    return _times(given, mapping, mapping.repeated_hour)


def _times(given: dict[str, str], mapping: Mapping, repeated_hour: Any) -> dict[str, int | None]:
    """The times of a row. No call ends before it begins: in the repeated hour the other reading of a time is taken where the rule's says so."""
    times: dict[str, int | None] = {}
    latest_ms: int | None = None
    for field in TIMES:
        text = given.get(field, "")
        at_ms = _time(text, mapping, field, repeated_hour)
        if at_ms is not None and latest_ms is not None and at_ms < latest_ms and repeated_hour != "reject":
            other_ms = _time(text, mapping, field, "later")
            at_ms = other_ms if other_ms is not None and other_ms >= latest_ms else at_ms
        times[field] = at_ms
        if at_ms is not None:
            if latest_ms is not None and at_ms < latest_ms and repeated_hour == "later":
                return _times(given, mapping, "earlier")
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
    """How long the call lasted by the row's own word. A call without an answer talked for 0 s, and what nobody can tell is no 0 s."""
    columns = mapping.columns
    if times["answer"] is None and "answer" in columns:
        if not duration_ms:  # a 200 is an answer, whatever the answer's time says: then nobody can tell
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
    """What does not fit together in a row that is priced all the same: its duration is the money."""
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
    """How the numbers of a text are written: the mapping says it of texts, JSON of its own numbers."""
    return (".", "") if isinstance(text, JsonNumber) else (mapping.decimal, mapping.thousands)


def _code(text: str, mapping: Mapping, field: str, given: dict[str, str], notes: list[str]) -> int | None:
    """A code, or None and a note. A cause that is none of Q.850 stays as text where there is no other."""
    if not text:
        return None
    try:
        return values.code(text, _spelled(text, mapping)[0], CODES[field])
    except ValueError as wrong:
        notes.append(f"{label(mapping.columns[field])}: {wrong}: left out")
    if field == "q850" and not given.get("release_cause_text"):
        given["release_cause_text"] = f"q850 {text[:100]}"
    return None


def _currencies(given: dict[str, str], cells: dict[Any, Any], amounts: dict[str, str], mapping: Mapping) -> tuple[str, str]:
    """The currency of a row's sell amount, which stands for both, and the one of its buy amount. "" = no amount."""
    of = {field: _currency(given, cells, field, mapping) for field in amounts}
    currency = of.get("sell_amount") or of.get("buy_amount", "")
    return currency, of.get("buy_amount", currency)


def _currency(given: dict[str, str], cells: dict[Any, Any], amount: str, mapping: Mapping) -> str:
    """The currency of an amount: the row's own where a column names it, else the mapping's. No column that seems to name it is passed over."""
    field = CURRENCIES[amount] if CURRENCIES[amount] in mapping.columns else "currency"
    said, says = mapping.currency, "the mapping"
    if field in mapping.columns:
        says, said = label(mapping.columns[field]), given[field].upper()
        if not said:
            raise ValueError(f"{says}: an amount without a currency")
        if not currencies.is_code(said):
            raise ValueError(f"{says}: {said[:40]!r} is not a code of three letters such as EUR")
    for name, value in _near(cells, parts(mapping.columns[amount])[0], amount):
        text = value.strip().upper() if isinstance(value, str) else ""
        if text in currencies.CURRENCIES and text != said and name not in _mapped(mapping):
            raise ValueError(f"column {name} says {text}, {says} says {said}: map it, columns: {{{CURRENCIES[amount]}: {name}}}")
    return said


def _mapped(mapping: Mapping) -> set[str | int]:
    """The columns that the mapping names as currencies."""
    return {part for name in ("currency", *CURRENCIES.values()) for part in parts(mapping.columns.get(name, []))}


def _near(cells: dict[Any, Any], column: str | int, amount: str) -> Iterator[tuple[str, Any]]:
    """The cells that seem to name an amount's currency: of the row, and of those beside a column such as price.amount, by whole names."""
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
    """Of the columns of a row, which every row of a table has alike, those that seem to name the currency of an amount."""
    return tuple(name for name in columns if isinstance(name, str) and _can_name_currency(name, amount))


OTHER_SIDE = {
    "sell_amount": re.compile(r"buy|bought|cost|purchase|supplier|vendor|carrier|einkauf", re.IGNORECASE),
    "buy_amount": re.compile(r"sell|sold|sale|retail|customer|client|verkauf", re.IGNORECASE),
}
"""What a column's name says that names the currency of the other amount."""


def _can_name_currency(column: str, amount: str) -> bool:
    """Whether a column seems to name the currency of an amount.

    >>> _can_name_currency("buy_curr", "sell_amount"), _can_name_currency("buy_curr", "buy_amount"), _can_name_currency("current", "buy_amount")
    (False, True, False)
    """
    return names_currency(column.rpartition(".")[2]) and not OTHER_SIDE[amount].search(column)
