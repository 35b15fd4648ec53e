"""The money in a file of calls: amounts and currencies, contradicting durations, floats of table programs, formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows import replay
from rating.decks import DeckError, DeckFormat, read_deck
from switches.files.mapping import MappingError, read_mapping
from switches.files.records import Row, read_rows

DECK = b"prefix,price_per_min\n43,0.60\n"
NUMBER = "43664111222"
START, START_MS = "2026-03-02T09:00:00", 1_772_442_000_000


def rows(tmp_path: Path, content: str | bytes, mapping: str) -> list[Row]:
    file = tmp_path / "calls.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_rows(file, read_mapping(mapping, "map.yaml")))


def one(tmp_path: Path, mapping: str, *cells: str) -> Row:
    """The one row of a file with tabs, whose columns are numbers."""
    (found,) = rows(tmp_path, "\t".join(cells) + "\n", "delimiter: tab\nquote: none\nheader: none\n" + mapping)
    return found


def replayed(
    tmp_path: Path, content: str, mapping: str, deck: bytes | None = None
) -> tuple[replay.Summary, dict[str, list[dict[str, Any]]]]:
    file, out = tmp_path / "calls.csv", tmp_path / "out"
    file.write_text(content)
    how = read_mapping(mapping, "map.yaml")
    contracts = replay.self_registering(read_deck(deck, "d", how.currency) if deck else None)
    summary = replay.run(file, how, out, contracts)
    return summary, {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in out.glob("*.jsonl")}


# --- amounts ---


@pytest.mark.parametrize("text", ["0.025", "-0.125", "0.500", "+0.001", "00.025", "0.750,25", "0.000", "01.500"])
def test_no_thousands_begin_with_0(text, tmp_path):
    mapping = 'decimal: ","\nthousands: "."\ncurrency: EUR\ncolumns: {b_number: 1, answer: 2, duration_s: 3, sell_amount: 4}\namounts: signed\n'
    assert f"column 4: '{text}'" in one(tmp_path, mapping, NUMBER, START, "60", text).fault
    swapped = text.translate({ord("."): ",", ord(","): "."})
    assert (
        f"column 4: '{swapped}'"
        in one(tmp_path, mapping.replace('decimal: ","\nthousands: "."', 'thousands: ","'), NUMBER, START, "60", swapped).fault
    )
    with pytest.raises(DeckError, match="price_per_min"):
        read_deck(f"prefix;price_per_min\n43;{text}\n".encode(), "d", "EUR", DeckFormat(decimal=",", thousands="."))


@pytest.mark.parametrize("nothing", ["", "NULL", "-", r"\N", "n/a", "(null)"])
def test_an_answered_call_without_an_amount_is_unrated(nothing, tmp_path):
    content = (
        f"id,acct,dst,setup,answer,secs,p\n1,a,{NUMBER},{START},{START},60,{nothing}\n2,a,{NUMBER},{START},{START},60,0\n"
        f"3,a,{NUMBER},{START},,0,{nothing}\n"
    )
    mapping = "columns: {call_id: id, account: acct, b_number: dst, setup: setup, answer: answer, duration_s: secs, sell_amount: p}\ncurrency: EUR\n"
    summary, lines = replayed(tmp_path, content, mapping)
    assert (summary.rated, summary.unrated) == (2, 1)
    assert [(line["line"], line["reason"]) for line in lines["unrated.jsonl"]] == [
        (2, "answered, the row has no sell_amount, and no deck prices the call")
    ]
    summary, _ = replayed(tmp_path, content, mapping, DECK)
    assert (summary.rated, summary.sell) == (3, {"EUR": "1.2"})
    assert summary.notes == {replay.SET_ASIDE: 1}


BOTH = "columns: {b_number: dst, answer: start, duration_s: secs, sell_amount: p, buy_amount: q%s}\n"


def money(tmp_path: Path, head: str, cells: str, mapping: str) -> tuple[str, str] | str:
    (found,) = rows(tmp_path, f"dst,start,secs,p,q,{head}\n{NUMBER},{START},60,5,3,{cells}\n", mapping)
    return (found.record.currency, found.record.buy_currency) if found.record else found.fault


def test_sell_and_buy_have_currencies_of_their_own(tmp_path):
    said = BOTH % ", sell_currency: s, buy_currency: b"
    assert money(tmp_path, "s,b", "EUR,USD", said) == ("EUR", "USD")
    assert money(tmp_path, "s,b", "EUR,EUR", said) == ("EUR", "")
    assert money(tmp_path, "s,b", "eur,usd", BOTH % ", currency: s, buy_currency: b") == ("EUR", "USD")
    assert money(tmp_path, "s,b", "EUR,", said) == "column b: an amount without a currency"
    assert money(tmp_path, "s,b", "EUR,Euro!", said).startswith("column b: 'EURO!' is not a code")
    content = f"id,acct,carrier,dst,start,secs,p,q,s,b\n1,a,c,{NUMBER},{START},60,5,3,EUR,USD\n"
    summary, _ = replayed(tmp_path, content, said.replace("{", "{call_id: id, account: acct, carrier: carrier, ", 1))
    assert (summary.sell, summary.buy) == ({"EUR": "5"}, {"USD": "3"})


@pytest.mark.parametrize(
    "column", ["buy_curr", "cost currency", "BuyCurrency", "supplier_ccy", "currency", "price_unit", "Currency Code"]
)
def test_a_row_s_own_currency_is_compared_where_another_is_mapped(column, tmp_path):
    fault = money(tmp_path, f"sell_curr,{column}", "EUR,USD", BOTH % ", currency: sell_curr")
    assert f"column {column} says USD, column sell_curr says EUR" in fault
    assert money(tmp_path, f"sell_curr,{column}", "EUR,EUR", BOTH % ", currency: sell_curr") == ("EUR", "")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("current_state", "END"),
        ("currently", "USD"),
        ("recurring", "YES"),
        ("currency", "OFF"),
        ("curr", "N/A"),
        ("unit", "MIN"),
        ("occurrence", "JPY"),
    ],
)
def test_a_column_that_names_no_currency_costs_no_row(column, value, tmp_path):
    assert money(tmp_path, column, value, "currency: EUR\n" + BOTH % "") == ("EUR", "")


def test_the_currency_beside_an_amount_inside_of_an_object_is_compared(tmp_path):
    mapping = "format: jsonl\ncurrency: EUR\ncolumns: {b_number: dst, answer: start, duration_s: secs, sell_amount: %s}\n"
    for path, price in (
        ("price.amount", {"amount": "1", "currency": "JPY"}),
        ("price.sell.net", {"sell": {"net": "1", "ccy": "JPY"}}),
    ):
        (found,) = rows(tmp_path, json.dumps({"dst": NUMBER, "start": START, "secs": 60, "price": price}), mapping % path)
        assert "says JPY, the mapping says EUR: map it, columns: {sell_currency: price." in found.fault


# --- what was answered, and for how long ---


@pytest.mark.parametrize("columns", ["setup: s", "end: s", "setup: s, end: s", "setup: s, sip_code: c", "ringing: s, q850: c"])
def test_a_mapping_that_says_of_no_call_whether_it_was_answered_is_refused(columns):
    with pytest.raises(MappingError, match="map answer, duration_s or an amount"):
        read_mapping(f"columns: {{b_number: b, {columns}}}", "map.yaml")


@pytest.mark.parametrize(
    ("code", "fate"),
    [("200", "unrated"), ("202", "unrated"), ("299", "unrated"), ("486", "rated"), ("", "rated"), ("180", "rated")],
)
def test_a_call_with_a_2xx_that_nobody_knows_the_length_of_is_unrated(code, fate, tmp_path):
    mapping = "columns: {call_id: id, b_number: dst, setup: s, answer: a, sip_code: c}\n"
    summary, _ = replayed(tmp_path, f"id,dst,s,a,c\n1,{NUMBER},{START},,{code}\n", mapping, DECK)
    assert getattr(summary, fate) == 1


@pytest.mark.parametrize(
    ("secs", "end", "code", "note"),
    [
        ("60000", "09:01:00", "", "60 s lie between answer and end"),
        ("1", "09:03:00", "", "180 s lie between answer and end"),
        ("0", "09:02:00", "", "120 s lie between"),
        ("60", "09:01:00", "", ""),
        ("60", "09:01:50", "", ""),
        ("3600", "10:02:00", "", ""),
    ],
)
def test_a_duration_that_the_times_do_not_bear_out_is_noted(secs, end, code, note, tmp_path):
    found = one(tmp_path, "columns: {b_number: 1, answer: 2, end: 3, duration_s: 4}", NUMBER, START, f"2026-03-02T{end}", secs)
    assert (note in found.notes[0]) if note else not found.notes


@pytest.mark.parametrize(
    ("code", "note"), [("486", "sip_code 486"), ("404", "sip_code 404"), ("603", "sip_code 603"), ("200", ""), ("", "")]
)
def test_talk_of_a_call_that_was_refused_is_noted(code, note, tmp_path):
    found = one(tmp_path, "columns: {b_number: 1, setup: 2, duration_s: 3, sip_code: 4}", NUMBER, START, "25", code)
    assert (note in found.notes[0]) if note else not found.notes


@pytest.mark.parametrize("how", ["iso", "%Y-%m-%d"])
def test_two_dates_without_a_time_of_day_are_no_talk(how, tmp_path):
    found = one(
        tmp_path, f'time_format: "{how}"\ncolumns: {{b_number: 1, answer: 2, end: 3}}', NUMBER, "2026-03-02", "2026-03-03"
    )
    assert "days without a time of day" in found.fault
    mapping = f'time_format: "{how}"\ncurrency: EUR\ncolumns: {{b_number: 1, answer: 2, end: 3, sell_amount: 4}}'
    found = one(tmp_path, mapping, NUMBER, "2026-03-02", "2026-03-03", "5")
    assert found.record.at_ms == found.record.answer_ms and found.record.end_ms is None


# --- what went through a table program ---


@pytest.mark.parametrize(
    "written",
    [
        "43 664 111 222.0",
        "+43-664-111222.0",
        "43664111222.000",
        "43\u00a0664\u00a0111222.00",
        "43 664-111 222,0",
        '="43664111222"',
        "'43664111222",
        "'43664111222'",
    ],
)
def test_a_number_that_a_table_program_wrote_is_the_number_that_it_was(written, tmp_path):
    assert (
        one(tmp_path, "columns: {b_number: 1, answer: 2, duration_s: 3}", written, START, "60").record.b_raw.lstrip("+") == NUMBER
    )


@pytest.mark.parametrize(
    "written", ["E.164:43664111222", "e164: +43664111222", "4.36 E+10", "43 664 111 222.5", "MSISDN=43664111222"]
)
def test_what_is_no_number_is_named(written, tmp_path):
    assert repr(written) in one(tmp_path, "columns: {b_number: 1, answer: 2, duration_s: 3}", written, START, "60").fault


@pytest.mark.parametrize("written", ["43.664.1112", "1.234.567", "43-664.111.222", "+43 (0) 664.111"])
def test_dots_between_digits_make_no_float(written, tmp_path):
    assert one(tmp_path, "columns: {b_number: 1, answer: 2, duration_s: 3}", written, START, "60").record.b_raw == written


@pytest.mark.parametrize("text", ["4.3155E+11", "1.77E+12", "4,3155E+11", "1.2e5", "4E+11"])
@pytest.mark.parametrize("field", ["account", "call_id", "carrier", "tenant"])
def test_a_party_or_an_id_that_is_a_float_is_refused(field, text, tmp_path):
    assert "went through a float" in one(tmp_path, f"columns: {{{field}: 1, answer: 2, duration_s: 3}}", text, START, "60").fault


@pytest.mark.parametrize("text", ["1772442000.0", "4e10", "12E5", "acme", "E+11", "0x1E+5a"])
def test_an_id_that_only_looks_odd_is_kept(text, tmp_path):
    assert one(tmp_path, "columns: {call_id: 1, answer: 2, duration_s: 3}", text, START, "60").record.call_id == text


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("epoch_ms", "1.77244E+12"),
        ("epoch_s", "1.772442E+09"),
        ("epoch_s", "1.772442e9"),
        ("epoch_us", "1,77E+15"),
        ("epoch_s", "2E9"),
    ],
)
def test_an_epoch_in_exponent_form_is_refused(how, text, tmp_path):
    assert "went through a float" in one(tmp_path, f"time_format: {how}\ncolumns: {{answer: 1, duration_s: 2}}", text, "60").fault


@pytest.mark.parametrize("number", ["1000001", "12345678", "12345679", "2147483647", "999999999"])
def test_an_attempt_may_have_a_large_number(number, tmp_path):
    assert one(tmp_path, "columns: {attempt_no: 1, answer: 2, duration_s: 3}", number, START, "60").record.attempt_no == int(
        number
    )


# --- formats ---


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("%m/%d/%Y %H:%M:%S %p", "write %I"),
        ("%H:%M %p %d.%m.%Y", "write %I"),
        ("%m/%d/%Y %I:%M:%S", "no %p"),
        ("%m/%d %H:%M:%S", "whole date"),
        ("%H:%M:%S", "whole date"),
        ("%Y %H:%M", "whole date"),
        ("%Y-%m %H:%M", "whole date"),
        ("%Y %W %H:%M", "whole date"),
        ("", "whole date"),
        ("%Y-%m-%d %H:%M %Y", "%Y twice"),
        ("%d.%m.%Y %y", "the year twice"),
        ("%Y-%m-%d %Q", "directives"),
        ("%Y-%m-%d %", "directives"),
    ],
)
def test_a_format_that_loses_a_part_of_a_time_is_refused(how, said):
    with pytest.raises(MappingError, match=f"time_format: .*{said}"):
        read_mapping(f'time_format: "{how}"\ncolumns: {{answer: a}}', "map.yaml")
    with pytest.raises(MappingError, match=f"deck: date_format: .*{said}"):
        read_mapping(f'deck: {{date_format: "{how}"}}\ncolumns: {{answer: a}}', "map.yaml")
    with pytest.raises(DeckError, match=f"date_format: .*{said}"):
        read_deck(DECK, "d", "EUR", DeckFormat(date_format=how))


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("03/02/2026 09:00:00 AM", "%m/%d/%Y %I:%M:%S %p"),
        ("2026-061 09:00", "%Y-%j %H:%M"),
        ("2026 W10 1 09:00", "%G W%V %u %H:%M"),
        ("Mon Mar  2 09:00:00 2026", "%c"),
        ("100% 02.03.26 09:00", "100%% %d.%m.%y %H:%M"),
        ("Mon Mar 02 2026 11:00:00 GMT+0200 (IST)", "%a %b %d %Y %H:%M:%S GMT%z (%Z)"),
        ("Mon Mar 02 2026 14:30:00 GMT+0530 (UTC)", "%a %b %d %Y %H:%M:%S GMT%z (%Z)"),
        ("Mon Mar 02 2026 10:00:00 GMT+0100 (Central European Standard Time)", "%a %b %d %Y %H:%M:%S GMT%z (%Z)"),
        ("2026-03-02 11:00 GMT+0200", "%Y-%m-%d %H:%M %Z"),
        ("2026-03-02 10:00 UTC+1", "iso"),
        ("2026-03-02 11:00:00 GMT+0200", "iso"),
        ("2026-03-02 14:30:00 (UTC+05:30)", "iso"),
        ("2026-03-02 04:00:00 GMT-5", "iso"),
        ("2026-03-02 04:00:00 Etc/GMT+5", "iso"),
    ],
)
def test_a_time_is_read_with_all_that_it_says(text, how, tmp_path):
    assert one(tmp_path, f'time_format: "{how}"\ncolumns: {{answer: 1, duration_s: 2}}', text, "60").record.answer_ms == START_MS


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "UTF16"),
        ("utf-32-le", "utf-32"),
        ("utf-32-be", "utf_32"),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
    ],
)
def test_utf_16_and_32_are_read_without_a_mark_too(encoding, name, tmp_path):
    content = f"dst,start,secs\n{NUMBER},{START},60\n"
    mapping = "columns: {b_number: dst, answer: start, duration_s: secs}\n"
    (found,) = rows(tmp_path, content.encode(encoding), f"encoding: {name}\n" + mapping)
    assert found.record.b_raw == NUMBER
    assert read_deck(DECK.decode().encode(encoding), "d", "EUR", DeckFormat(encoding=name)).prefixes == ("43",)
    with pytest.raises(MappingError, match="without a byte order mark"):
        rows(tmp_path, content, f"encoding: {name}\n" + mapping)
    with pytest.raises(DeckError, match="without a byte order mark"):
        read_deck(DECK, "d", "EUR", DeckFormat(encoding=name))


@pytest.mark.parametrize(
    "text",
    [
        "columns: {answer: a, duration_s: b, duration_s: c}",
        "currency: EUR\ncolumns: {answer: a}\ncurrency: USD",
        "columns: {answer: a}\ncolumns: {answer: b}",
        "zones: {IST: Asia/Kolkata, IST: Asia/Jerusalem}\ncolumns: {answer: a}",
        "deck: {decimal: ',', decimal: '.'}\ncolumns: {answer: a}",
    ],
)
def test_a_key_that_stands_twice_in_a_mapping_is_refused(text):
    with pytest.raises(MappingError, match="comes twice"):
        read_mapping(text, "map.yaml")


# --- rows that end with a delimiter ---


@pytest.mark.parametrize(("head", "end"), [("", ","), ("", ", "), (",", ","), (",", "")])
def test_an_empty_last_cell_of_all_rows_costs_none(head, end, tmp_path):
    content = f"dst,start,secs{head}\n" + f"{NUMBER},{START},60{end}\n" * 3
    found = rows(tmp_path, content, "columns: {b_number: dst, answer: start, duration_s: secs}\n")
    assert [row.record.duration_ms for row in found if row.record] == [60_000] * 3
    deck = read_deck(f"prefix,price_per_min{head}\n43,1{end}\n44,2{end}\n".encode(), "d", "EUR")
    assert deck.prefixes == ("43", "44")


@pytest.mark.parametrize("last", ["60,x", "60", "60,,"])
def test_a_row_that_does_not_end_as_all_others_is_named(last, tmp_path):
    content = "dst,start,secs\n" + f"{NUMBER},{START},60,\n" * 250 + f"{NUMBER},{START},{last}\n"
    found = rows(tmp_path, content, "columns: {b_number: dst, answer: start, duration_s: secs}\n")
    assert [row.line for row in found if row.fault] == [252]


# --- decks ---


@pytest.mark.parametrize("never", ["NULL", "0000-00-00", r"\N", "(null)", "0000-00-00 00:00:00", "-", "null", "None", ""])
def test_no_date_in_a_deck_is_none(never):
    deck = read_deck(
        f"prefix,price_per_min,effective_from,effective_to\n43,1,2026-01-01,{never}\n44,1,{never},\n".encode(), "d", "EUR"
    )
    assert (deck.to_ms > 2**61).all() and deck.from_ms.tolist()[1] < -(2**61)


@pytest.mark.parametrize(
    "content",
    [
        "prefix;price_per_min\r43;1\r44;2\r",
        "sep=;\r\nprefix;price_per_min\r\n43;1\r\n44;2",
        "sep=;\rprefix;price_per_min\r43;1\r44;2",
        "sep=\t\nprefix\tprice_per_min\n43\t1\n44\t2\n",
        "\ufeffSEP=|\nprefix|price_per_min\n43|1\n44|2\n",
        "prefix,price_per_min\r43,1\r44,2",
    ],
)
def test_a_deck_of_a_table_program_is_read(content):
    assert read_deck(content.encode(), "d", "EUR").prefixes == ("43", "44")


def test_a_zone_s_name_in_a_deck_is_refused():
    with pytest.raises(DeckError, match="has %Z"):
        read_deck(DECK, "d", "EUR", DeckFormat(date_format="%Y-%m-%d %H:%M %Z"))
