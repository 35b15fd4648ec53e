"""Delimited text: an unpaired quote costs one row, invalid bytes are reported, the first bytes decide the encoding."""

from __future__ import annotations

import pytest

from core.delimited import (
    KEEP,
    MAX_FIELD_LINES,
    Line,
    Style,
    bad_byte,
    check_encoding,
    delimiter_name,
    delimiter_of,
    encoding_of,
    is_data,
    label,
    other_delimiter,
    read_lines,
    readable,
    repeated_names,
    surplus_cells,
)

BREAKS = Style(line_breaks=True)


def rows(lines: list[str], style: Style = Style(), **more: int) -> list[tuple[int, list[str] | str]]:
    """Line and cells of each row, or the first word of what is wrong."""
    return [(line.line, line.cells if not line.fault else line.fault.split(":")[0]) for line in read_lines(lines, style, **more)]


def test_lines_are_counted_as_an_editor_counts_them():
    assert rows(["a,b\r\n", "\n", " \t\n", "1,2\n"]) == [(1, ["a", "b"]), (4, ["1", "2"])]
    assert rows(["a,b"], first=7) == [(7, ["a", "b"])]


def test_a_line_of_blanks_is_a_row_where_the_delimiter_is_one():
    tab = Style(delimiter="\t")
    assert rows(["\t", "a\tb", "\t", " "], tab) == [(2, ["a", "b"]), (3, ["", ""])], "but for the first, which says how many cells there are"
    assert rows(["\t", "a\tb"], tab, width=2) == [(1, ["", ""]), (2, ["a", "b"])]


def test_a_lone_quote_costs_its_own_row():
    found = list(read_lines(['1,"5 inch,x', "2,ok,x", "3,ok,x"]))
    assert [bool(line.fault) for line in found] == [True, False, False] and "a quote is opened and not closed in this line" in found[0].fault
    assert found[0].text == '1,"5 inch,x'


def test_a_quote_that_may_close_an_earlier_one_is_no_row_of_its_own():
    found = list(read_lines(['1,"a,x', "2,b,x", 'rest 3",b,x', "4,b,x", 'b",c,x']))
    assert [bool(line.fault) for line in found] == [True, False, True, False, False]
    assert "a quote that may close the one in line 1" in found[2].fault and found[2].cells == []
    assert found[4].cells == ['b"', "c", "x"], "the first was closed: this one closes nothing"


def test_text_after_a_closing_quote_is_a_fault():
    (found,) = read_lines(['"a"b,c'])
    assert found.fault.startswith("text after a closing quote")


def test_quotes_may_be_ordinary_characters():
    assert rows(['5" pipe,1'], Style(quote="")) == [(1, ['5" pipe', "1"])]
    assert rows(['"a;b";"c""d"'], Style(delimiter=";")) == [(1, ["a;b", 'c"d'])]
    assert rows(['x, "a, b"']) == [(1, ["x", "a, b"])]


def test_a_field_over_several_lines_is_one_row_of_as_many_cells_as_the_first():
    lines = ["id,note\n", '1,"a\n', "b\n", 'c"\n', "2,d\n"]
    assert rows(lines, BREAKS) == [(1, ["id", "note"]), (2, ["1", "a\nb\nc"]), (5, ["2", "d"])]


def test_a_joined_row_of_other_width_is_a_lone_quote_and_the_lines_after_it_are_read():
    found = rows(["id,note\n", '1,"a\n', "2,b\n", '3,c",d\n'], BREAKS)
    assert [line for line, _ in found] == [1, 2, 3, 4]
    assert found[1][1] == "a quote is opened, and no later line closes it into a row with as many cells as the first line has"
    assert found[2] == (3, ["2", "b"])
    assert rows(['1,"a\n', 'b",c\n'], BREAKS, width=3) == [(1, ["1", "a\nb", "c"])]


def test_a_field_has_an_end():
    short, long = ["x\n"] * (MAX_FIELD_LINES - 1), ["x\n"] * MAX_FIELD_LINES
    assert len(rows(["a,b\n", '1,"\n', *short, 'y"\n'], BREAKS)) == 2
    assert len(rows(["a,b\n", '1,"\n', *long, 'y"\n'], BREAKS)) == MAX_FIELD_LINES + 3


def line(*cells: str, fault: str = "") -> Line:
    return Line(1, "", list(cells), fault)


@pytest.mark.parametrize(
    ("lines", "cells"),
    [
        ([line("1", "2", ""), line("3", "4", " ")], 1),
        ([line("1", "2", "x")], 0),
        ([line("1", "2", ""), line("3", "4")], 0),
        ([line("1"), line("2")], -1),
        ([line("1", "2")], 0),
        ([line("1", "2", ""), line("", "")], 1),  # a blank row says nothing
        ([line("1", "2", ""), line(fault="broken")], 1),
        ([], 0),
    ],
)
def test_programs_that_end_each_row_with_a_delimiter(lines: list[Line], cells: int):
    assert surplus_cells(lines, 2) == cells


@pytest.mark.parametrize("text", ["", ",,", "a", "5", '"', "'", "\n", "\r"])
def test_invalid_delimiters(text: str):
    with pytest.raises(ValueError, match="is not a delimiter"):
        delimiter_of(text)


def test_delimiters_by_name_and_found_in_a_header():
    assert [delimiter_of(text) for text in ("TAB", "pipe", " ", "|")] == ["\t", "|", " ", "|"]
    assert [other_delimiter(text, ["a", "b"]) for text in ("a,b", "a; b ;c", "a\tb", "a|b", "a b")] == [",", ";", "\t", "|", ""]
    assert other_delimiter("a", ["a"]) == "", "one cell has been divided by nothing"
    assert other_delimiter("a,b", []) == "," and delimiter_name("\t") == "tab" and delimiter_name(";") == '";"'
    assert repeated_names("abcab") == ["a", "b"] and repeated_names("abc") == []


def test_values_are_distinguished_from_column_names():
    assert is_data(["x", "12345"]) and is_data(["1-2-3-4-5"]) and is_data(["a@b"])
    assert not is_data(["1234", "Q.850", "sip_code"])


@pytest.mark.parametrize(
    ("head", "declared", "encoding"),
    [
        (b"\xef\xbb\xbfa", "latin-1", "utf-8-sig"),  # the mark says more than a person
        (b"\xfe\xff\x00a", "", "utf-16"),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", "", "utf-32"),
        (b"a,b", "", "utf-8"),
        (b"PK\x03\x04", "latin-1", "iso8859-1"),
        (b"a\x00b\x00", "utf-16", "utf-16-le"),
        (b"\x00a\x00b", "utf-16", "utf-16-be"),
        (b"a\x00\x00\x00", "utf-32", "utf-32-le"),
        (b"", "utf-16", "utf-16"),
        (b"a\x00", "", "utf-8"),  # one character is too little to go by
    ],
)
def test_the_encoding_of_a_file(head: bytes, declared: str, encoding: str):
    assert encoding_of(head, declared) == encoding


@pytest.mark.parametrize(
    ("head", "declared", "fault"),
    [
        (b"PK\x03\x04", "", "a spreadsheet or a zip archive"),
        (b"\x1f\x8b", "", "packed by gzip"),
        (b"a\x00b\x00c\x00", "", "set encoding: utf-16-le"),
        (b"\x00a\x00b\x00c", "", "set encoding: utf-16-be"),
        (b"\x01\x02\x03\x04", "utf-16", "set utf-16-le or utf-16-be"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_hint(head: bytes, declared: str, fault: str):
    with pytest.raises(ValueError, match=fault):
        encoding_of(head, declared)


def test_zeros_here_and_there_are_not_utf_16():
    assert encoding_of(b"a\x00b\x00c\x00" + b"defghijklm" * 2) == "utf-8"
    assert encoding_of(b"\x00\x00\x00\x00") == "utf-8"
    assert encoding_of(b"a\x00" * 7 + b"bc" * 3) == "utf-8", "70 % of zeros are not enough"
    with pytest.raises(ValueError, match="utf-16-le"):
        encoding_of(b"a\x00" * 8 + b"bc" * 2)


def test_encodings_that_a_person_may_name():
    assert [check_encoding(name) for name in ("utf8", "CP1252", "latin-1")] == ["utf-8", "cp1252", "iso8859-1"]
    for name in ("klingon", "hex", "idna", "unicode_escape", "raw-unicode-escape", "a\0b"):
        with pytest.raises(ValueError, match="is not an encoding"):
            check_encoding(name)


def test_an_invalid_byte_stays_in_the_text_and_is_reported():
    text = b"a\xc3\xbc\xfc\xff".decode("utf-8", KEEP)
    assert bad_byte(text) == "character 3 is not UTF-8: byte 0xFC" and readable(text) == "aü\\xfc\\xff"
    assert bad_byte("aü") == bad_byte("") == "" and bad_byte(text, "cp1252") == "character 3 is not cp1252: byte 0xFC"
    assert label("utf-16-le") == "UTF-16-LE"
    with pytest.raises(UnicodeEncodeError):
        "ü".encode("ascii", KEEP)
