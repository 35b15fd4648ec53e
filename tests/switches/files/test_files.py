"""Files as switches, databases and spreadsheets write them: each row is read correctly or reported with its line."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows import replay
from switches.files.mapping import FIELDS, Mapping, MappingError, read_mapping
from switches.files.records import Row, read_rows

COLUMNS = "columns: {call_id: id, account: acct, b_number: dst, answer: start, duration_s: secs}\n"
HEAD = "id,acct,dst,start,secs,note\n"
START = "2026-03-02T09:00:00Z"
START_MS = 1_772_442_000_000


def row(n: int, note: str = "x", secs: object = 60) -> str:
    return f"c-{n},acme,+43123456{n},{START},{secs},{note}\n"


def rows(tmp_path: Path, content: str | bytes, mapping: str = COLUMNS) -> list[Row]:
    file = tmp_path / "calls.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_rows(file, read_mapping(mapping, "map.yaml")))


def read(found: list[Row]) -> list[tuple[int, str]]:
    """The line and call_id, or the fault, of each row."""
    return [(one.line, one.record.call_id if one.record else one.fault) for one in found]


def refused(tmp_path: Path, content: str | bytes, mapping: str = COLUMNS) -> str:
    with pytest.raises(MappingError) as wrong:
        rows(tmp_path, content, mapping)
    return str(wrong.value)


# --- quotes ---


@pytest.mark.parametrize(
    ("note", "fault"),
    [
        ('"5 inch', "a quote is opened and not closed"), ('"', "a quote is opened and not closed"), ('"a""', "a quote is opened and not closed"),
        ('""a"', "text after a closing quote"), ('"a" b', "text after a closing quote"), ('"""', "a quote is opened"), ('""x"y"', "text after"),
    ],
)  # fmt: skip
def test_a_lone_quote_costs_its_own_row_alone(note, fault, tmp_path):
    found = rows(tmp_path, HEAD + row(1) + row(2, note) + row(3) + row(4))
    assert [one.line for one in found] == [2, 3, 4, 5]
    assert fault in found[1].fault and "quote: none" in found[1].fault
    assert [one.record.call_id for one in found if one.record] == ["c-1", "c-3", "c-4"]


@pytest.mark.parametrize("note", ['"5 inch', '"', 'a"b', '""', '"a" b', "'"])
def test_where_quotes_are_ordinary_characters_nothing_is_named(note, tmp_path):
    assert read(rows(tmp_path, HEAD + row(1, note) + row(2), "quote: none\n" + COLUMNS)) == [(2, "c-1"), (3, "c-2")]


BREAK = HEAD + row(1) + row(2, '"two\nlines"') + row(3, '"a, ""b"" c"') + row(4)


def test_a_field_over_lines_is_a_fault_of_each_of_its_lines_unless_the_mapping_says_so(tmp_path):
    found = rows(tmp_path, BREAK)
    assert [one.line for one in found if one.fault] == [3, 4] and "line_breaks_in_fields: yes" in found[1].fault
    joined = rows(tmp_path, BREAK, "line_breaks_in_fields: yes\n" + COLUMNS)
    assert read(joined) == [(2, "c-1"), (3, "c-2"), (5, "c-3"), (6, "c-4")]


@pytest.mark.parametrize("lone", ['"5 inch', '"', '"a""'])
def test_a_lone_quote_swallows_nothing_where_fields_may_hold_line_breaks(lone, tmp_path):
    found = rows(tmp_path, HEAD + row(1, lone) + row(2) + row(3, '"a\nb"') + row(4), "line_breaks_in_fields: yes\n" + COLUMNS)
    assert [one.line for one in found if one.fault] == [2]
    assert [one.record.call_id for one in found if one.record] == ["c-2", "c-3", "c-4"]


# --- cells and columns ---


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("c-9,acme\n", "2 cells where the first line has 6"), (row(9, "x,y"), "7 cells where the first line has 6; a cell that holds"),
        (row(9, "x,"), "7 cells"), (",,,,,\n", "a blank row"), ("  ,, ,,,\n", "a blank row"), ("-----\n", "1 cells"), ("Total,3\n", "2 cells"),
    ],
)  # fmt: skip
def test_a_row_with_other_cells_than_the_header_is_named(line, fault, tmp_path):
    found = rows(tmp_path, HEAD + row(1) + line + "\n" + row(2))
    assert [one.line for one in found] == [2, 3, 5] and fault in found[1].fault


@pytest.mark.parametrize("header", ["secs", " secs ", '"secs"'])
def test_two_columns_of_one_name_are_refused_where_one_is_meant(header, tmp_path):
    content = HEAD.replace("note", header) + row(1, "10")
    assert "column secs stands in 5 and 6" in refused(tmp_path, content)
    by_place = rows(tmp_path, content, COLUMNS.replace("secs", "5"))
    assert by_place[0].record.duration_ms == 60_000
    assert read(rows(tmp_path, content.replace("secs", "other"), COLUMNS.replace("duration_s: secs", "end: start"))) == [(2, "c-1")]


@pytest.mark.parametrize(("sign", "name"), [(";", '";"'), ("\t", "tab"), ("|", '"|"')])
def test_another_delimiter_is_named_and_read(sign, name, tmp_path):
    content = (HEAD + row(1) + row(2)).replace(",", sign)
    assert f"delimiter: {name} it has all of them" in refused(tmp_path, content)
    assert len(rows(tmp_path, content, f"delimiter: {name}\n" + COLUMNS)) == 2


@pytest.mark.parametrize("word", ["tab", "TAB", r'"\t"', r"'\t'"])
def test_the_tab_has_a_name(word, tmp_path):
    assert len(rows(tmp_path, (HEAD + row(1)).replace(",", "\t"), f"delimiter: {word}\n" + COLUMNS)) == 1


def test_columns_by_place_and_names_that_the_mapping_gives(tmp_path):
    content = row(1) + row(2) + "c-3,acme\n" + row(4)
    by_place = "header: none\ncolumns: {call_id: 1, account: 2, b_number: 3, answer: 4, duration_s: 5}\n"
    by_name = "header: [id, acct, dst, start, secs, note]\n" + COLUMNS
    for mapping in (by_place, by_place.replace("none", "null").replace("1", '"1"'), by_name, "skip_lines: 0\n" + by_name):
        found = rows(tmp_path, content, mapping)
        assert [one.line for one in found] == [1, 2, 3, 4] and [one.line for one in found if one.fault] == [3]
    assert read(rows(tmp_path, "Report of March\n\n" + HEAD + row(1), "skip_lines: 2\n" + COLUMNS)) == [(4, "c-1")]


@pytest.mark.parametrize(
    "first", [row(1), row(1).replace(",", ";"), "4366012345678\n", '"a@example.org",1\n', "2026-03-02 09:00:00,acme,43664\n"]
)
def test_a_missing_header_tells_what_to_do_and_no_number(first, tmp_path):
    said = refused(tmp_path, first + row(2))
    assert "header: none" in said
    assert "431234561" not in said and "4366012345678" not in said and "a@example.org" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"), (b"\n\n", "the file is empty"), (b"PK\x03\x04....", "a spreadsheet"), (b"\x1f\x8b\x08", "packed by gzip"),
        (b'{"id":1}\n', "format: jsonl"), (b"sep=;\nid;acct\n", "skip_lines: 1"), (b'id,"acct\n', "line 1, the header: a quote is opened"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_calls_is_refused(content, said, tmp_path):
    assert said in refused(tmp_path, content)


# --- encodings ---


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("utf-32", ""), ("utf-16-le", "utf-16-le"), ("utf-16-be", "UTF-16BE"),
        ("latin-1", "latin-1"), ("cp1252", "windows-1252"), ("cp852", "cp852"), ("iso8859-15", "ISO-8859-15"), ("koi8-r", "koi8-r"),
    ],
)  # fmt: skip
def test_an_encoding_is_seen_or_said(encoding, said, tmp_path):
    account = "Müller" if encoding != "koi8-r" else "Иван"
    content = (HEAD + row(1).replace("acme", account) + row(2)).encode(encoding)
    found = rows(tmp_path, content, (f"encoding: {said}\n" if said else "") + COLUMNS)
    assert [one.record.account for one in found] == [account, "acme"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_utf_16_file_without_a_mark_is_named(encoding, tmp_path):
    assert f"set encoding: {encoding}" in refused(tmp_path, (HEAD + row(1)).encode(encoding))


def test_a_byte_of_another_encoding_costs_the_row_only_where_it_is_money(tmp_path):
    content = (HEAD + row(1).replace("acme", "Müller") + row(2, "Müller") + row(3)).encode("latin-1")
    found = rows(tmp_path, content)
    assert found[0].fault == (
        "column acct: character 2 is not UTF-8: byte 0xFC; where the file is not UTF-8, set encoding: cp1252, latin-1 ... in the mapping"
    )
    assert [one.record.call_id for one in found[1:]] == ["c-2", "c-3"]
    agent = rows(tmp_path, content, COLUMNS.replace("secs}", "secs, user_agent: note}"))
    assert agent[1].record.user_agent == "M\\xfcller" and "is not UTF-8" in agent[1].notes[0]


@pytest.mark.parametrize("name", ["utf-9", "punycode", "hex", "rot13", "unicode_escape"])
def test_what_is_no_encoding_is_refused(name):
    with pytest.raises(MappingError, match=r"encoding: '.*' is not an encoding"):
        read_mapping(f"encoding: {name}\n{COLUMNS}", "map.yaml")


# --- JSON ---

OBJECTS = [{"id": f"c-{n}", "acct": "acme", "dst": "+431234567", "start": START, "secs": 60.5, "in": {"note": [1, {"a": 2}]}} for n in range(3)]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(OBJECTS), json.dumps(OBJECTS, indent=2), "\n".join(map(json.dumps, OBJECTS)), "\n\n".join(map(json.dumps, OBJECTS)) + "\n",
        "[" + ",\n".join(map(json.dumps, OBJECTS)) + "]", "[\r\n" + ",\r\n".join(map(json.dumps, OBJECTS)) + "\r\n]",
        "\n".join(json.dumps(one, indent=1) for one in OBJECTS), "\n".join(json.dumps([one]) for one in OBJECTS),
    ],
    ids=["one line", "indented", "lines", "blank lines", "a line each", "CRLF", "objects over lines", "arrays"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["jsonl", "json"])
def test_json_is_read_however_it_is_broken_into_lines(content, how, tmp_path):
    found = rows(tmp_path, content, f"format: {how}\n" + COLUMNS)
    assert [one.record.call_id for one in found] == ["c-0", "c-1", "c-2"]
    assert {one.record.duration_ms for one in found} == {60_500}


def test_a_damaged_object_of_an_array_costs_itself(tmp_path):
    text = json.dumps(OBJECTS, indent=2).replace('"c-1"', '"c-1')
    found = rows(tmp_path, text, "format: json\n" + COLUMNS)
    assert [bool(one.record) for one in found] == [True, False, True] and "not JSON" in found[1].fault and found[1].line == 17


def test_an_array_inside_an_object_is_found_where_the_mapping_says(tmp_path):
    text = json.dumps({"page": 1, "data": {"calls": OBJECTS}, "next": [{"a": 1}]}, indent=1)
    assert len(rows(tmp_path, text, "format: json\nrows: data.calls\n" + COLUMNS)) == 3
    flat = json.dumps({"page": 1, "calls": OBJECTS})
    assert read(rows(tmp_path, flat, "format: json\n" + COLUMNS)) == [(1, "this object has the rows in an array: set rows: calls in the mapping")]
    assert "there is no calls" in refused(tmp_path, "{}", "format: json\nrows: calls\n" + COLUMNS)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ('"acct": {"a": []}', "column acct: an object where a text belongs"), ('"id": ["c"]', "column id: an array where a text belongs"),
        ('"secs": 10', "column secs: two values of one name"),
        ('"secs": NaN', "not JSON"), ('"dst": 8.8213555e10', "column dst: '8.8213555e10' went"),
        ('"dst": {}', "column dst: an object"), ('"acct": "a\\ud800"', "column acct: character 2 is half of a character"),
    ],
)  # fmt: skip
def test_json_that_is_not_what_it_should_be(change, fault, tmp_path):
    one = json.dumps({key: value for key, value in OBJECTS[0].items() if f'"{key}"' not in change or key == "secs"})
    (found,) = rows(tmp_path, one[:-1] + f", {change}}}", "format: jsonl\n" + COLUMNS)
    assert found.record is None and fault in found.fault


def test_a_name_that_stands_twice_costs_the_row_only_where_it_is_meant(tmp_path):
    one = json.dumps(OBJECTS[0])[:-1] + ', "other": 1, "other": 2, "x": {"y": 1, "y": 2}}'
    assert rows(tmp_path, one, "format: jsonl\n" + COLUMNS)[0].record is not None
    assert rows(tmp_path, one, "format: jsonl\n" + COLUMNS.replace("acct", "x.y"))[0].fault == "column x.y: two values of one name: y"


def test_a_json_number_is_no_float_on_the_way(tmp_path):
    one = OBJECTS[0] | {"dst": 436641234567, "p": 0}
    text = json.dumps(one).replace('"p": 0', '"p": 0.123456789012345678')
    mapping = 'format: jsonl\ncurrency: EUR\ndecimal: ","\n' + COLUMNS.replace("secs}", "secs, sell_amount: p}")
    (found,) = rows(tmp_path, text, mapping)
    assert (found.record.b_raw, found.record.sell_amount, found.record.duration_ms) == ("436641234567", "0.123456789", 60_500)


# --- nothing ---

DATED = "columns: {call_id: id, b_number: dst, setup: begin, answer: start, end: stop, duration_s: secs, sell_amount: p}\ncurrency: EUR\n"


def dated(tmp_path: Path, mapping: str = DATED, **cells: str) -> Row:
    given = {"id": "c", "dst": "+431234567", "begin": "2026-03-02 09:00:00", "start": "", "stop": "", "secs": "", "p": "", **cells}
    head, line = ",".join(given), ",".join(f'"{value}"' for value in given.values())
    return rows(tmp_path, f"{head}\n{line}\n", mapping)[0]


NOTHING = [
    "", "0", "-", "N/A", "n/a", r"\N", "NULL", "null", "(null)", "NaT", "None", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00Z",
    "1970-01-01", "1970-01-01 00:00:00", "1970-01-01 01:00:00", "1970-01-01T00:00:00+00:00", "1969-12-31 19:00:00", "0001-01-01 00:00:00",
    "1899-12-30 00:00:00", "1900-01-01", "9999-12-31 23:59:59",
]  # fmt: skip


@pytest.mark.parametrize("nothing", NOTHING)
def test_what_stands_for_no_answer_is_a_call_that_nobody_answered(nothing, tmp_path):
    call = dated(tmp_path, start=nothing, stop="2026-03-02 09:00:30", secs="0").record
    assert (call.answer_ms, call.duration_ms, call.at_ms) == (None, 0, START_MS + 30_000)


@pytest.mark.parametrize("nothing", NOTHING[:19])
def test_no_answer_and_talk_are_named_and_priced_only_where_the_end_tells_when(nothing, tmp_path):
    assert "column start says that nobody answered, column secs says 60 s" in dated(tmp_path, start=nothing, secs="60").fault
    known = dated(tmp_path, start=nothing, stop="2026-03-02 09:01:30", secs="60")
    assert (known.record.answer_ms, known.record.end_ms) == (None, START_MS + 90_000) and "answered so long before the end" in known.notes[0]


@pytest.mark.parametrize("never", ["0001-01-01 00:00:00", "garbage", "2026-13-01 00:00:00", "31.02.2026"])
def test_a_time_that_is_none_with_talk_is_a_reject(never, tmp_path):
    assert dated(tmp_path, start=never, secs="60").fault.startswith("column start: ")


@pytest.mark.parametrize("nothing", ["", r"\N", "NULL", "-", "N/A"])
def test_an_amount_or_a_duration_that_is_nothing_is_absent(nothing, tmp_path):
    call = dated(tmp_path, start="2026-03-02 09:00:05", stop="2026-03-02 09:01:05", secs=nothing, p=nothing).record
    assert (call.duration_ms, call.sell_amount, call.currency) == (None, "", "")


@pytest.mark.parametrize(("said", "text"), [("never", "NEVER"), ("-1", "-1"), ("~", "null"), ("99991231", "99991231"), ("no answer", "No Answer")])
def test_the_mapping_says_what_else_stands_for_nothing(said, text, tmp_path):
    mapping = f"nothing: [{said}]\n" + DATED
    assert dated(tmp_path, mapping, start=text, secs="0").record.answer_ms is None


def test_a_zero_that_stands_for_no_time_is_still_a_duration_of_zero(tmp_path):
    call = dated(tmp_path, 'nothing: ["0"]\n' + DATED, start="2026-03-02 09:00:05", secs="0").record
    assert (call.answer_ms, call.duration_ms) == (START_MS + 5000, 0)


def test_an_answer_that_nobody_says_the_length_of_is_named(tmp_path):
    assert dated(tmp_path, start="2026-03-02 09:00:05").fault == "answered, but for how long? column duration_s and column end say nothing".replace(
        "duration_s", "secs"
    ).replace("end say", "stop say")


# --- times ---


@pytest.mark.parametrize(
    ("text", "how", "utc"),
    [
        ("2026-03-02 09:00:00 UTC", "%Y-%m-%d %H:%M:%S %Z", "2026-03-02T09:00+00:00"),
        ("2026-07-02 09:00:00 CEST", "%Y-%m-%d %H:%M:%S %Z", "2026-07-02T07:00+00:00"),
        ("2026-07-02 09:00:00 CET", "%Y-%m-%d %H:%M:%S %Z", "2026-07-02T08:00+00:00"),
        ("2026-10-25 02:30:00 CEST", "%Y-%m-%d %H:%M:%S %Z", "2026-10-25T00:30+00:00"),
        ("2026-10-25 02:30:00 CET", "%Y-%m-%d %H:%M:%S %Z", "2026-10-25T01:30+00:00"),
        ("09:00:00.000 EST Mon Mar 02 2026", "%H:%M:%S.%f %Z %a %b %d %Y", "2026-03-02T14:00+00:00"),
        ("Mon, 02 Mar 2026 09:00:00 EDT", "%a, %d %b %Y %H:%M:%S %Z", "2026-03-02T13:00+00:00"),
        ("02.03.2026 09:00 MSK", "%d.%m.%Y %H:%M %Z", "2026-03-02T06:00+00:00"),
        ("2026-03-02 09:00:00 America/New_York", "%Y-%m-%d %H:%M:%S %Z", "2026-03-02T14:00+00:00"),
        ("2026-03-02 09:00:00 +0530", "%Y-%m-%d %H:%M:%S %z", "2026-03-02T03:30+00:00"),
        ("2026-03-02T09:00:00-05:00", "iso", "2026-03-02T14:00+00:00"), ("2026-03-02 09:00:00 +0200", "iso", "2026-03-02T07:00+00:00"),
        ("2026-03-02 09:00:00 UTC", "iso", "2026-03-02T09:00+00:00"), ("2026-03-02 09:00:00 (CET)", "iso", "2026-03-02T08:00+00:00"),
        ("1772442000000000", "epoch_us", "2026-03-02T09:00+00:00"), ("1772442000.25", "epoch_s", "2026-03-02T09:00:00.250+00:00"),
    ],
)  # fmt: skip
def test_a_zone_in_the_text_is_believed(text, how, utc, tmp_path):
    mapping = f'timezone: Europe/Vienna\ntime_format: "{how}"\ncolumns: {{b_number: dst, answer: start, duration_s: secs}}\n'
    assert dated(tmp_path, mapping, start=text, secs="1").record.answer_ms == datetime.fromisoformat(utc).timestamp() * 1000


ZONED = 'time_format: "%Y-%m-%d %H:%M:%S %Z"\ncolumns: {b_number: dst, answer: start, duration_s: secs}\n'


@pytest.mark.parametrize("zone", ["IST", "CST", "BST", "AST", "GST", "XYZ"])
def test_a_zone_of_several_meanings_is_refused_unless_the_mapping_says_which(zone, tmp_path):
    text = f"2026-06-02 09:00:00 {zone}"
    assert f"zones: {{{zone}: " in dated(tmp_path, ZONED, start=text, secs="1").fault
    told = dated(tmp_path, f"zones: {{{zone}: '+05:30'}}\n" + ZONED, start=text, secs="1").record
    assert told.answer_ms == datetime.fromisoformat("2026-06-02T03:30+00:00").timestamp() * 1000


@pytest.mark.parametrize(("zone", "home"), [("IST", "Asia/Kolkata"), ("BST", "Europe/London"), ("CST", "Asia/Shanghai"), ("CDT", "America/Chicago")])
def test_a_zone_is_what_the_mapping_s_own_zone_calls_itself(zone, home, tmp_path):
    call = dated(tmp_path, f"timezone: {home}\n" + ZONED, start=f"2026-06-02 09:00:00 {zone}", secs="1").record
    plain = dated(tmp_path, f"timezone: {home}\n" + ZONED.replace(" %Z", ""), start="2026-06-02 09:00:00", secs="1").record
    assert call.answer_ms == plain.answer_ms


def test_half_of_a_joined_time_is_named(tmp_path):
    mapping = "columns: {b_number: dst, setup: begin, answer: [start, stop], duration_s: secs}\n"
    assert dated(tmp_path, mapping, start="2026-03-02", stop="09:00:00", secs="1").record.answer_ms == START_MS
    assert dated(tmp_path, mapping, start="2026-03-02", stop="00:00:00", secs="1").record.answer_ms == START_MS - 9 * 3_600_000
    assert dated(tmp_path, mapping, start=r"\N", stop="", secs="0").record.answer_ms is None
    assert "columns start and stop: '2026-03-02' alone is no time" in dated(tmp_path, mapping, start="2026-03-02", secs="1").fault


# --- durations and amounts ---


@pytest.mark.parametrize(
    ("text", "how", "ms"),
    [
        ("75", "s", 75_000), ("75.4", "s", 75_400), ("00:01:15", "s", 75_000), ("0:01:15.250", "s", 75_250), ("100:00:00", "s", 360_000_000),
        ("1:15", "mm:ss", 75_000), ("90:05", "mm:ss", 5_405_000), ("1:15.5", "mm:ss", 75_500), ("1:02:03", "mm:ss", 3_723_000),
        ("1:15", "hh:mm", 4_500_000), ("75000", "ms", 75_000), ("1.25", "min", 75_000), ("00:01:15", "ms", 75_000), ("-5", "s", -5000),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_it_is_written(text, how, ms, tmp_path):
    call = dated(tmp_path, f'duration_format: "{how}"\n' + DATED, start="2026-03-02 09:00:05", secs=text).record
    assert call.duration_ms == ms


@pytest.mark.parametrize(
    ("text", "how"),
    [("1:15", "s"), ("1:15", "hh:mm:ss"), ("00:75:00", "s"), ("1:75", "mm:ss"), ("75", "hh:mm"), ("12:01:15 AM", "s"), ("1m15s", "s"),
     ("1_000", "s"), ("٧٥", "s"), ("1:2:3", "s")],
)  # fmt: skip
def test_a_duration_that_can_be_two_things_is_named(text, how, tmp_path):
    assert dated(tmp_path, f'duration_format: "{how}"\n' + DATED, start="2026-03-02 09:00:05", secs=text).fault.startswith("column secs: ")


@pytest.mark.parametrize(
    ("text", "options", "amount"),
    [
        ("1,021.041667", 'thousands: ","', "1021.041667"), ("1,500", 'thousands: ","', "1500"), ("12,345,678.9", 'thousands: ","', "12345678.9"),
        ("1.021,04", 'thousands: "."\ndecimal: ","', "1021.04"), ("1.500", 'thousands: "."\ndecimal: ","', "1500"),
        ("1 021,04", 'thousands: " "\ndecimal: ","', "1021.04"), ("1\u00a0021,04", 'thousands: " "\ndecimal: ","', "1021.04"),
        ("1\u202f021", 'thousands: " "', "1021"), ("1'021.04", "thousands: \"'\"", "1021.04"), ("1’021.04", "thousands: \"'\"", "1021.04"),
        ("902.5", 'thousands: ","', "902.5"), ("0,0306", 'decimal: ","', "0.0306"),
    ],
)  # fmt: skip
def test_amounts_are_read_as_the_mapping_says(text, options, amount, tmp_path):
    assert dated(tmp_path, f"{options}\n" + DATED, start="2026-03-02 09:00:05", secs="60", p=text).record.sell_amount == amount


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1,021.04", 'thousands: ","'), ("1,500", 'thousands: ","'), ("1.021,04", 'decimal: "," and thousands: "."'), ("1 500", 'thousands: " "'),
        ("1 021,04", 'decimal: "," and thousands: " "'), ("1'500", "thousands: \"'\""), ("12,5", 'decimal: ","'), ("0,025", 'decimal: ","'),
        ("1,02.5", ""), ("1,5,0", ""), ("€ 5", ""), ("5 EUR", ""), ("1_000", ""), ("--5", ""),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_read_is_named_with_the_mend_that_fits(text, hint, tmp_path):
    fault = dated(tmp_path, start="2026-03-02 09:00:05", secs="60", p=text).fault
    assert fault.startswith(f"column p: {text!r} is not a number") and fault.endswith(hint or "not a number")
    assert text != "1,500" or "decimal" not in fault, "no advice that would make 1,500 into 1.5"


@pytest.mark.parametrize(
    ("text", "how", "amount"),
    [("-0.085", "negated", "0.085"), ("0.085", "negated", "-0.085"), ("-2", "signed", "-2"), ("0", "negated", "0")],
)
def test_the_sign_of_an_amount_is_what_the_mapping_says(text, how, amount, tmp_path):
    assert dated(tmp_path, f"amounts: {how}\n" + DATED, start="2026-03-02 09:00:05", secs="60", p=text).record.sell_amount == amount


CURRENCIES = "columns: {call_id: id, b_number: dst, answer: start, duration_s: secs, sell_amount: p, currency: cur}\ncurrency: EUR\n"


@pytest.mark.parametrize(
    ("text", "currency", "fault"),
    [("USD", "USD", ""), ("jpy", "JPY", ""), (" gbp ", "GBP", ""), ("", "", "an amount without a currency"), ("€", "", "is not a code"),
     ("Euro", "", "is not a code"), ("NULL", "", "an amount without a currency")],
)  # fmt: skip
def test_the_currency_of_a_row(text, currency, fault, tmp_path):
    found = dated(tmp_path, CURRENCIES, start="2026-03-02 09:00:05", secs="60", p="1", cur=text)
    assert (found.record.currency if found.record else "") == currency and fault in found.fault
    assert dated(tmp_path, CURRENCIES, start="2026-03-02 09:00:05", secs="60", cur=text).record.currency == ""


@pytest.mark.parametrize("column", ["currency", "Currency Code", "price_unit", "CCY", "Währung"])
def test_a_column_that_seems_to_name_another_currency_is_not_passed_over(column, tmp_path):
    assert f"column {column} says JPY, the mapping says EUR" in dated(tmp_path, p="9.5", start=START, secs="60", **{column: "JPY"}).fault
    assert dated(tmp_path, p="9.5", start=START, secs="60", **{column: "EUR"}).record.currency == "EUR"


# --- what is no money, and numbers ---

MILD = (
    "columns: {b_number: dst, answer: start, duration_s: secs, a_number: src, sip_code: c1, q850: c2, attempt_no: c3, user_agent: t1, "
    "release_cause_text: t2, imei: n1, imsi: n2, cell: n3, attestation: n4, lrn: n5, src_ip: n6, release_side: s1, egress_trunk: n7}\n"
)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("c1", "12345"), ("c1", "200 OK"), ("c1", "-1"), ("c1", "4.5"), ("c2", "393216"), ("c2", "NORMAL_CLEARING"), ("c3", "1e10"), ("c3", "first"),
        ("c3", "99999999999"), ("t1", "x" * 3000), ("t2", "y" * 2049), *((f"n{n}", "z" * 129) for n in range(1, 8)), ("s1", "left"),
        ("src", "4.3E+10"), ("src", "9" * 3000),
    ],
)  # fmt: skip
def test_what_is_no_money_never_costs_the_row(column, text, tmp_path):
    blank = dict.fromkeys(("src", "c1", "c2", "c3", "t1", "t2", *(f"n{n}" for n in range(1, 8)), "s1"), "")
    found = dated(tmp_path, MILD, start="2026-03-02 09:00:05", secs="60", **blank | {column: text})
    assert found.record.duration_ms == 60_000 and len(found.notes) == 1 and found.notes[0].startswith(f"column {column}: ")
    if column == "c2":
        assert (found.record.q850, found.record.release_cause_text) == (None, f"q850 {text}")
    if column.startswith("t"):
        assert found.record.user_agent + found.record.release_cause_text == text[:2048]


@pytest.mark.parametrize(
    ("codes", "answered"),
    [({"c1": "487"}, False), ({"c1": "404"}, False), ({"c2": "17"}, False), ({"c2": "19"}, False), ({"c1": "200"}, True), ({"c2": "16"}, True),
     ({"c1": "200", "c2": "31"}, True), ({}, True)],
)  # fmt: skip
def test_0_s_and_a_code_of_failure_is_no_answer(codes, answered, tmp_path):
    mapping = "columns: {b_number: dst, answer: start, end: stop, duration_s: secs, sip_code: c1, q850: c2}\n"
    found = dated(tmp_path, mapping, start=START, stop=START, secs="0", **{"c1": "", "c2": ""} | codes)
    assert (found.record.answer_ms is not None, len(found.notes)) == (answered, 0 if answered else 1)
    talked = dated(tmp_path, mapping, start=START, secs="1", **{"c1": "", "c2": ""} | codes)
    assert talked.record.answer_ms == START_MS, "who talked was answered, whatever the code"


@pytest.mark.parametrize(
    ("written", "digits"),
    [("43664111222.0", "43664111222"), ("+43664111222.00", "+43664111222"), ("112.0", "112"), ("43664111222,0", "43664111222"),
     ("+43 664 111222", "+43 664 111222"), ("043.664.111222", "043.664.111222")],
)  # fmt: skip
def test_a_number_that_was_made_a_float_is_the_integer_that_it_was(written, digits, tmp_path):
    assert dated(tmp_path, dst=written, start=START, secs="60").record.b_raw == digits


@pytest.mark.parametrize("written", ["4.36E+10", "4,36E+10", "4.36641112e10", "8.8213555E+10", "1E9", "43664111222.5", "4366411122233344.0"])
def test_a_number_whose_digits_are_lost_is_a_reject(written, tmp_path):
    assert dated(tmp_path, dst=written, start=START, secs="60").fault == (
        f"column dst: {written!r} went through a float, and its digits are lost: export the column as text"
    )


@pytest.mark.parametrize(
    ("cells", "where"),
    [({"start": "2026-03-02%2009%3A00%3A00"}, "start"), ({"secs": "%36%30"}, "secs"), ({"p": "%31"}, "p"), ({"id": "x" * 2049}, "id"),
     ({"dst": "4" * 2049}, "dst")],
)  # fmt: skip
def test_money_and_parties_still_cost_the_row(cells, where, tmp_path):
    assert dated(tmp_path, **{"start": START, "secs": "60", **cells}).fault.startswith(f"column {where}: ")


# --- the mapping itself ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns: {account: [a, b], answer: t}", "columns.account: only a time may be joined"),
        ("columns: {answer: t}\nheader: none", "columns.answer: the file has no header (header: none), so name the column by its number"),
        ("columns: {answer: 0}", "columns.answer: 0 is not a column's number"),
        ("columns: {answer: t}\nheader: maybe", "header: expected first, none"),
        ("columns: {answer: t}\nquote: '|'", "quote: '|' is neither"),
        ("columns: {answer: t}\ndelimiter: '\"'", "delimiter: '\"' is not a delimiter"),
        ("columns: {answer: t}\nthousands: '.'", "thousands: '.' is the decimal mark already"),
        ("columns: {answer: t, sell_amount: p}", "currency: set the currency"), ("columns: {answer: t}\ncurrency: Euro", "currency: 'Euro' is not"),
        ("columns: {answer: t}\nzones: {IST: Bombay}", "zones.IST: 'Bombay' is not an IANA time zone"), ("columns: {answer: []}", "columns.answer"),
        ("columns: {answer: t}\nskip_lines: -1", "skip_lines: -1 is negative"), ("columns: {a: b}", "a is no field of ours"), ("[1", "not YAML"),
        ("columns: {answer: t}\nquote: none\ndecimal: ','", "delimiter: ',' is in amounts too"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_meant_is_refused(text, said):
    with pytest.raises(MappingError) as wrong:
        read_mapping(text, "map.yaml")
    assert str(wrong.value).startswith("map.yaml: ") and said in str(wrong.value)


def test_the_mapping_on_the_page_is_right():
    page = (Path(__file__).parents[3] / "docs" / "files.md").read_text()
    shown = read_mapping(page.split("```yaml\n")[1].split("```")[0], "files.md")
    assert set(Mapping.__struct_fields__) == set(yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])), "every option is on it"
    assert shown.columns["answer"] == ["Date", "Time"] and shown.deck.decimal == ","
    listed = page.split("Our fields: ")[1].split(".\n")[0].replace("\n", " ").split(", ")
    assert sorted(listed) == sorted(FIELDS)
    assert all(f"`{name}`" in page for name in replay.OUTPUTS)


# --- a whole replay of damaged files ---

noise = st.sampled_from(['"', '""', ",", ";", "\t", " ", "é", "0", "-", "\\N", "%20", "'", "\x00", "x", "1,5", "NULL"])
damage = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 60), st.booleans(), noise), max_size=6)


@given(damage, st.sampled_from(["utf-8", "latin-1", "utf-8-sig", "utf-16", "cp1252"]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
@example([(0, 12, True, '"')], "utf-8", False, "\n")
@settings(max_examples=120, deadline=None)
def test_however_a_file_is_damaged_every_row_is_right_or_named(tmp_path_factory, changes, encoding, over_lines, end):
    """`received` = physical rows = the sum of the dispositions; and a row that was not changed is read as before."""
    lines = [row(n).rstrip("\n") for n in range(8)]
    touched = set()
    for n, at, insert, text in changes:
        lines[n] = lines[n][:at] + text + lines[n][at if insert else at + 1 :]
        touched.add(n)
    tmp_path = tmp_path_factory.mktemp("damaged")
    file = tmp_path / "calls.csv"
    file.write_bytes((HEAD.rstrip("\n") + end + "".join(line + end for line in lines)).encode(encoding))
    mapping = read_mapping(f"line_breaks_in_fields: {'yes' if over_lines else 'no'}\n" + COLUMNS, "m")
    found = list(read_rows(file, mapping))
    if not over_lines:
        assert [one.line for one in found] == list(range(2, 10)), "every physical row is there, once"
    for one in found:
        assert bool(one.record) != bool(one.fault)
    by_line = {one.line: one for one in found}
    odd = any(lines[n].count('"') % 2 for n in touched)
    for n in set(range(8)) - touched:
        if not odd:
            assert by_line[n + 2].record.call_id == f"c-{n}" and by_line[n + 2].record.duration_ms == 60_000
    summary = replay.run(file, mapping, tmp_path / "out", replay.self_registering(None))
    fates = (summary.rated, summary.unrated, summary.events, summary.rejected, summary.duplicates, summary.conflicts)
    assert summary.received == sum(fates) == len(found)
    named = [json.loads(line)["line"] for name in replay.FATES.values() for line in (tmp_path / "out" / name).read_text().splitlines()]
    assert sorted(named) == sorted(set(named)) and len(named) == summary.received - summary.rated


braces = st.sampled_from(['"', "{", "}", "[", "]", ",", ":", "\n", "\\", "x", " ", "1", "\x00", "é"])


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 90), st.booleans(), braces), max_size=4), st.sampled_from(["jsonl", "array", "indented"]))
@settings(max_examples=150, deadline=None)
def test_however_json_is_damaged_the_objects_around_it_are_read(tmp_path_factory, changes, layout):
    """Of five objects the first and the last are whole: they are read, and those between are read correctly or reported."""
    objects = [json.dumps(OBJECTS[0] | {"id": f"c-{n}"}, indent=1 if layout == "indented" else None) for n in range(5)]
    for n, at, insert, text in changes:
        objects[n] = objects[n][:at] + text + objects[n][at if insert else at + 1 :]
    content = "\n".join(objects) if layout == "jsonl" else "[" + "\n,\n".join(objects) + "\n]"
    found = rows(tmp_path_factory.mktemp("damaged"), content, f"format: {'jsonl' if layout == 'jsonl' else 'json'}\n" + COLUMNS)
    assert all(bool(one.record) != bool(one.fault) for one in found)
    ids = [one.record.call_id for one in found if one.record]
    assert ids[0] == "c-0" and (ids[-1] == "c-4" or layout == "indented" or any("\n" in text for *_, text in changes))


def results(tmp_path: Path, content: str, mapping: str = COLUMNS) -> tuple[Any, dict[str, list[dict[str, Any]]], pl.DataFrame]:
    (tmp_path / "calls.csv").write_text(content)
    summary = replay.run(tmp_path / "calls.csv", read_mapping(mapping, "m"), tmp_path / "out", replay.self_registering(None))
    lines = {
        name: [json.loads(line) for line in (tmp_path / "out" / name).read_text().splitlines()] for name in replay.OUTPUTS if "jsonl" in name
    }
    return summary, lines, pl.read_parquet(tmp_path / "out" / "calls.parquet")


PRICED = "currency: EUR\n" + COLUMNS.replace("secs}", "secs, sell_amount: note}")


@pytest.mark.parametrize(
    ("second", "fate"),
    [
        (row(1, "0.5"), "duplicate"), (row(1, "0.7"), "suspected"), (row(1, "0.5").replace("acme", "blue"), "suspected"),
        (row(1, "0.5", 1800), "suspected"), (row(1, "0.5").replace("+4312", "+4412"), "suspected"),
        (row(1, "0.5").replace("03-02", "03-03"), "suspected"), (row(1, "0.5").replace("09:00:00", "09:00:01"), "suspected"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ids", ["repeat", "unique"])
def test_one_id_over_two_rows(second, fate, ids, tmp_path):
    summary, lines, rated = results(tmp_path, HEAD + row(1, "0.5") + second + second, f"call_ids: {ids}\n" + PRICED)
    if fate == "duplicate":
        assert (summary.rated, summary.duplicates) == (1, 2)
        assert [(line["line"], line["first_line"], line["sell_amount"]) for line in lines["duplicates.jsonl"]] == [(3, 2, "0.5"), (4, 2, "0.5")]
    elif ids == "unique":
        assert (summary.rated, summary.conflicts) == (1, 2)
        assert [line["line"] for line in lines["conflicts.jsonl"]] == [3, 4] and lines["conflicts.jsonl"][0]["duration_s"] >= 60
    else:
        assert (summary.rated, summary.duplicates, summary.suspected_duplicates) == (2, 1, 1)
        assert [line["line"] for line in lines["suspected_duplicates.jsonl"]] == [3]
        assert rated["suspected_duplicate"].to_list() == [False, True] and rated["call_key"].n_unique() == 2


def test_a_note_stands_with_its_line_and_is_counted(tmp_path):
    summary, lines, _ = results(tmp_path, HEAD + row(1, "393216") + row(2, "16"), COLUMNS.replace("secs}", "secs, q850: note}"))
    assert summary.notes == {"column note: '393216' is not a whole number from 0 to 999: left out": 1}
    assert [line["line"] for line in lines["notes.jsonl"]] == [2] and summary.rated == 2
