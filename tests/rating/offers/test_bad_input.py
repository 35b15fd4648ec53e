"""Files as carriers really send them: each fault is a finding with its row and column, and what can be read is read as it is meant."""

from __future__ import annotations

import io
import zipfile
import zlib
from datetime import date

import pytest

from rating.decks import FOREVER_MS
from rating.offers import table as tables
from rating.offers import xlsx
from rating.offers.finding import Findings, OfferError
from rating.offers.guess import guess
from rating.offers.mapping import Mapping
from rating.offers.rows import Offer, take
from rating.offers.table import open_table
from simulator.workbook import workbook

DAY_MS = 86_400_000


def read(content: bytes | str, currency: str = "EUR", mapping: Mapping | None = None) -> Offer:
    """The file, guessed and taken; what it cannot be taken for is in the findings."""
    data = content.encode() if isinstance(content, str) else content
    findings = Findings()
    try:
        table = open_table(data, mapping)
        found = guess(table) if mapping is None else None
        if found is not None:
            findings.take(found.findings)
        offer = take(table, mapping or found.mapping, currency)  # type: ignore[union-attr]
        findings.take(offer.findings)
        return Offer(offer.rates, findings, offer.rows)
    except OfferError as wrong:
        for one in wrong.findings:
            findings.add(one.kind, one.level, one.what, one.do, one.row, one.column)
        return Offer([], findings, 0)


def errors(offer: Offer) -> list[str]:
    return [one.text() for one in offer.findings if one.level == "error"]


def prices(offer: Offer) -> dict[str, int]:
    return {rate.prefix: rate.per_min_nanos for rate in offer.rates}


HEAD = "Destination;Code;Rate;Increment;Effective\n"
GOOD = "UK;44;0,02;1/1;01.12.2026\nUK Mobile;447;0,035;60/1;31.12.2026\n"


# --- what is wrong with the file as a whole ---


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "the file is empty"),
        (b"\xff\xfe", "the file is empty"),
        (b"Destination;Code;Rate\n", "no row of the file"),
        (b"just some words\nand more of them\n", "no row of the file has a code and a price in two cells"),
        (b"%PDF-1.7 ...", "this is a PDF"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "save it as .xlsx without a password"),
        (b"PK\x03\x04 and no archive", "neither a workbook nor a zip archive"),
        (b"Name;Rate\nUK;0,02\nUS;0,01\n", "no column of codes was found among Name, Rate"),
        (b"Code;Name\n44;UK\n1;US\n", "no column of prices was found among Code, Name"),
        (bytes(range(256)) * 4, "the file has bytes of value 0"),
        (b"\x89PNG\r\n\x1a\n\0\0", "this is a picture (PNG)"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "this is a web page, perhaps of a sign-in"),
    ],
)
def test_a_file_that_is_no_rate_sheet_is_refused_with_the_reason(content: bytes, fault: str):
    offer = read(content)
    assert not offer.rates and any(fault in line for line in errors(offer)), errors(offer)


def test_the_wrong_delimiter_is_named():
    mapping = Mapping(columns={"prefix": "Code", "price_per_min": "Rate"}, delimiter=",", decimal=",")
    (fault,) = errors(read(HEAD + GOOD.replace(",", "."), mapping=mapping))
    assert "no row of the file has the column 'Code', 'Rate' of the mapping" in fault and "the delimiter ',' is not this file's" in fault


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_gives_the_same_rates(encoding: str, line_end: str):
    text = (HEAD + "Österreich;43;0,02;1/1;01.12.2026\n" + GOOD).replace("\n", line_end)
    offer = read(text.encode(encoding))
    assert not errors(offer)
    assert [(rate.prefix, rate.destination) for rate in offer.rates] == [("43", "Österreich"), ("44", "UK"), ("447", "UK Mobile")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_delimiter_is_seen(delimiter: str):
    text = HEAD.replace(";", delimiter) + 'UK;44;"0,02";1/1;01.12.2026\nUK Mobile;447;"0,035";60/1;31.12.2026\n'.replace(";", delimiter)
    assert prices(read(text)) == {"44": 20_000_000, "447": 35_000_000}


# --- headings ---


def test_two_rows_of_headings_are_read_together():
    text = "Country;City;Rate;Incr.;Valid\nCode;Code;USD/min;;from\n44;20;0.02;1/1;2026-12-01\n1;212;0.01;6/6;2026-12-01\n"
    assert prices(read(text, "USD")) == {"1212": 10_000_000, "4420": 20_000_000}


def test_headings_that_stand_in_the_middle_once_more_are_left_out():
    offer = read(HEAD + GOOD + HEAD + "US;1;0,01;1/1;01.12.2026\n")
    assert not errors(offer) and len(offer.rates) == 3
    assert any("headings stand here once more" in one.what and one.row == 4 for one in offer.findings)


def test_title_and_footer_are_no_rates():
    offer = read("ACME Telecom;;;;\nPrice list;;;;\n\n" + HEAD + GOOD + ";;;;\nAll prices without tax. Call us on 43 1 234567;;;;\n")
    assert not errors(offer) and len(offer.rates) == 2


def test_a_file_without_headings_is_read_by_its_values():
    offer = read("United Kingdom,44,0.021,60/60\nUK Mobile,447,0.0350,60/1\nUnited States,1,0.0094,6/6\nCanada,1204,0.0150,1/1\n")
    assert prices(offer) == {"1": 9_400_000, "1204": 15_000_000, "44": 21_000_000, "447": 35_000_000}
    assert {rate.prefix: (rate.first_s, rate.next_s) for rate in offer.rates}["447"] == (60, 1)


def test_a_second_column_of_prices_is_told_of():
    offer = read("Destination;Code;Peak rate;Off-peak rate\nUK;44;0,02;0,01\n")
    assert any(one.level == "warning" and one.column == "Off-peak rate" for one in offer.findings)


def test_the_new_price_is_taken_and_not_the_old_one():
    assert prices(read("Code;Current rate;New rate\n44;0,02;0,03\n49;0,01;0,01\n")) == {"44": 30_000_000, "49": 10_000_000}


# --- amounts ---


@pytest.mark.parametrize(
    ("cells", "nanos"),
    [
        (["0,035", "0,02"], 35_000_000),
        (["0.035", "0.02"], 35_000_000),
        (["1.234,50", "0,02"], 1_234_500_000_000),
        (["1,234.50", "0.02"], 1_234_500_000_000),
        (["1 234,50", "0,02"], 1_234_500_000_000),
        (["1'234.50", "0.02"], 1_234_500_000_000),
        (["€ 0,035", "€ 0,02"], 35_000_000),
        (["0.035 EUR", "0.02 EUR"], 35_000_000),
        (["15000", "250"], 15_000_000_000_000),  # IDR, VND
        (["123456789", "1"], 123_456_789_000_000_000),
    ],
)
def test_amounts_are_read_as_they_are_written(cells: list[str], nanos: int):
    offer = read("Code;Rate\n" + "".join(f"{44 + at};{cell}\n" for at, cell in enumerate(cells)))
    assert not errors(offer), errors(offer)
    assert prices(offer)["44"] == nanos


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("-0,02", "row 3, column Rate: '-0,02' is negative"),
        ("abc", "row 3, column Rate: 'abc' is not an amount"),
        ("", "row 3, column Rate: the price is empty"),
        ("0,0000000001", "row 3, column Rate: '0,0000000001' has more than 9 decimals"),
        ("0,02 USD", "row 3, column Rate: the row is in USD, and the deck in EUR"),
        ("999999999999", "row 3, column Rate: '999999999999' is beyond the range of a price"),
        ("9" * 400, "is beyond the range of a price"),
        ("٣", "is not an amount"),
    ],
)
def test_an_amount_that_cannot_be_meant_has_its_row_and_column(cell: str, fault: str):
    offer = read(f"Code;Rate\n44;0,02\n49;{cell}\n1;0,25\n")
    (found,) = errors(offer)
    assert fault in found


def test_an_amount_that_can_be_read_in_two_ways_is_asked():
    offer = read("Code;Rate\n44;1,500\n49;2,250\n")
    assert any("can be 1.5 or 1500: say decimal in the mapping" in line for line in errors(offer))
    mixed = read("Code;Rate\n44;0,02\n49;0.01\n")
    assert any("some prices have a point" in line for line in errors(mixed))


def test_a_decimal_comma_that_is_not_quoted_in_a_file_of_commas_is_named_row_by_row():
    offer = read("Code,Destination,Rate\n44,UK,0.02\n447,UK Mobile,0,035\n49,Germany,0.01\n")
    (found,) = errors(offer)
    assert found.startswith("row 3: 4 cells where there are 3 columns: 0 and 035 may be 0,035, cut in two")


def test_the_noise_of_a_float_is_no_price():
    content = workbook({"R": [["Code", "Rate"], ["44", 0.1 + 0.2], ["49", 1 / 3]]})
    assert prices(read(content)) == {"44": 300_000_000}
    assert ["has more than 9 decimals" in line for line in errors(read(content))] == [True]
    mapping = Mapping(columns={"prefix": "Code", "price_per_min": "Rate"}, round_decimals=4)
    assert prices(read(content, mapping=mapping)) == {"44": 300_000_000, "49": 333_300_000}


# --- codes ---


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("44", ["44"]),
        ("+44", ["44"]),
        ("0044", ["44"]),
        ("4477-4479", ["4477", "4478", "4479"]),
        ("4477-79", ["4477", "4478", "4479"]),
        ("4477, 4479; 44 7911", ["44", "4477", "4479", "7911"]),
        ("4477 - 4478", ["4477", "4478"]),
        ("4477–4478", ["4477", "4478"]),
    ],
)
def test_codes_come_alone_in_lists_and_in_ranges(cell: str, codes: list[str]):
    offer = read(f'Code\tRate\n{cell}\t0.02\n"1"\t0.01\n'.replace("\n\n", "\n"))
    assert not errors(offer), errors(offer)
    assert sorted(rate.prefix for rate in offer.rates if rate.prefix != "1") == sorted(codes)


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("4.47E+11", "went through a float, and its last digits are lost"),
        ("44A7", "has 'A' in it"),
        ("", "the code is empty"),
        ("044", "begins with 0, as no number in E.164 does"),
        ("4479-4477", "is no range"),
        ("44-4479123", "is no range: 4479123 does not follow 44 with as many digits"),
        ("1000000-1999999", "stands for more than 10,000 codes"),
        ("1234567890123456", "has 16 digits"),
        ("4477.5", "has a point in it"),
        ("4477-4478-4479", "has several dashes"),
    ],
)
def test_a_code_that_is_none_has_its_row_and_column(cell: str, fault: str):
    offer = read(f"Destination;Code;Rate\nUK;44;0,02\nX;{cell};0,03\nDE;49;0,01\nUS;1;0,01\n")
    found = errors(offer)
    assert len(found) == 1 and found[0].startswith("row 3, column Code: ") and fault in found[0], found


def test_a_dash_that_only_parts_digits_is_seen_where_the_whole_column_has_it():
    assert sorted(prices(read("Code;Rate\n1-204;0,02\n1-416;0,02\n44-7911;0,03\n"))) == ["1204", "1416", "447911"]


def test_country_and_city_codes_stand_in_two_columns():
    text = "Country Code;Area Codes;Destination;Price\n44;20, 161-162;UK;0,02\n44;;UK rest;0,03\n;7911;UK Mobile;0,05\n1;212;New York;0,01\n"
    assert prices(read(text.replace(";7911", "44;7911"))) == {
        "1212": 10_000_000, "44": 30_000_000, "4420": 20_000_000, "44161": 20_000_000, "44162": 20_000_000, "447911": 50_000_000,
    }  # fmt: skip


def test_a_country_code_that_stands_above_its_group_is_meant_for_all_of_it():
    text = "Country Code;City Code;Price\n" + "44;20;0,02\n;161;0,02\n;162;0,02\n1;212;0,01\n;213;0,01\n"
    assert sorted(prices(read(text))) == ["1212", "1213", "44161", "44162", "4420"]


# --- increments, dates ---


@pytest.mark.parametrize(
    ("cell", "fault"), [("0/1", "has an increment of 0 s"), ("1/0", "has an increment of 0 s"), ("sixty", "is not two increments")]
)
def test_an_increment_of_zero_is_no_increment(cell: str, fault: str):
    (found,) = errors(read(f"Code;Rate;Increments\n44;0,02;1/1\n49;0,01;{cell}\n1;0,01;60/60\n33;0,01;60/1\n"))
    assert found.startswith("row 3, column Increments: ") and fault in found


@pytest.mark.parametrize("heading", ["Incr", "Billing terms", "Rounding", "Whatever"])
def test_increments_are_found_by_their_heading_or_by_their_values(heading: str):
    offer = read(f"Code;Rate;{heading}\n44;0,02;60/1\n49;0,01;30/6\n")
    assert [(rate.first_s, rate.next_s) for rate in offer.rates] == [(60, 1), (30, 6)]


def test_a_column_whose_values_are_not_what_its_heading_says_is_told_of():
    offer = read("Code;Rate;Billing increments;Since\n44;0,02;as agreed;01.12.2026\n49;0,01;as agreed;31.12.2026\n")
    assert [one.column for one in offer.findings if one.level == "warning"] == ["Billing increments"]
    dated = read("Code;Rate;Contract\n44;0,02;01.12.2026\n49;0,01;31.12.2026\n")
    assert ["has dates and is not read" in one.what for one in dated.findings if one.level == "warning"] == [True]


def test_a_table_program_that_made_a_date_of_1_1_is_understood_where_there_is_no_doubt():
    rows = [["Code", "Rate", "Increments"], ["44", 0.02, date(2026, 1, 1)], ["49", 0.01, "60/1"], ["1", 0.01, date(2026, 6, 1)]]
    offer = read(workbook({"R": rows}))
    assert [(rate.prefix, rate.first_s, rate.next_s) for rate in offer.rates] == [("44", 1, 1), ("49", 60, 1)]
    assert ["the table program has made it of 1/6 or 6/1" in line for line in errors(offer)] == [True]


@pytest.mark.parametrize(
    ("cells", "day"),
    [
        (["31.12.2026", "01.12.2026"], 1),
        (["31/12/2026", "01/12/2026"], 1),
        (["12/31/2026", "12/01/2026"], 1),
        (["2026-12-31", "2026-12-01"], 1),
        (["31-Dec-2026", "01-Dec-2026"], 1),
        (["Dec 31, 2026", "Dec 01, 2026"], 1),
        (["20261231", "20261201"], 1),
        (["31.12.26", "01.12.26"], 1),
        (["2026/12/31 00:00:00", "2026/12/01 00:00:00"], 1),
    ],
)
def test_dates_come_in_several_styles(cells: list[str], day: int):
    offer = read("Code;Rate;Effective date\n" + "".join(f"{44 + at};0,02;{cell}\n" for at, cell in enumerate(cells)))
    assert not errors(offer), errors(offer)
    assert [rate.from_ms for rate in offer.rates] == [1_798_675_200_000, 1_798_675_200_000 - 30 * DAY_MS]


def test_a_date_that_is_none_or_two_is_named():
    (found,) = errors(read("Code;Rate;Effective\n44;0,02;31/12/2026\n49;0,01;31/02/2026\n"))
    assert found.startswith("row 3, column Effective: '31/02/2026' is no date of the calendar")
    assert any("can be 1 December 2026 or 12 January 2026" in line for line in errors(read("Code;Rate;Effective\n44;0,02;01/12/2026\n")))


# --- the same code twice ---


def test_a_later_price_ends_the_earlier_one_of_its_code():
    offer = read("Code;Rate;Effective\n44;0,02;2026-01-01\n44;0,03;2026-12-01\n")
    assert not errors(offer)
    assert [(rate.per_min_nanos, rate.to_ms == FOREVER_MS) for rate in offer.rates] == [(20_000_000, False), (30_000_000, True)]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("44;0,02;2026-01-01;\n44;0,03;2026-01-01;\n", "row 3: code 44 has another price in row 2 for the same time"),
        ("44;0,02;2026-01-01;2026-07-01\n44;0,03;2026-06-01;\n", "row 3: code 44 begins before its price in row 2 ends"),
        ("44;0,02;2026-07-01;2026-01-01\n", "row 2, column Until: '2026-01-01' is not after the row's beginning"),
    ],
)
def test_periods_that_overlap_or_end_before_they_begin_are_named(rows: str, fault: str):
    assert any(fault in line for line in errors(read("Code;Rate;Effective from;Until\n" + rows + "49;0,01;2026-01-01;2026-02-01\n")))


def test_the_same_row_twice_is_one():
    offer = read("Code;Rate\n44;0,02\n44;0,02\n")
    assert len(offer.rates) == 1 and not errors(offer) and offer.findings.counts["duplicate"] == 1


def test_a_closed_code_needs_no_price():
    offer = read("Code;Rate;Effective;Change\n44;0,02;2026-01-01;Increase\n447;;2026-12-01;Closed\n448;closed;2026-12-01;\n49;;2026-12-01;Increase\n")
    assert [rate.prefix for rate in offer.rates if rate.closed] == ["447", "448"]
    assert errors(offer) == [
        "row 5, column Rate: the price is empty: fill it, or say in a column of changes that the code is closed"
    ]


# --- too much ---


def test_more_rows_than_are_imported_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "MOST_ROWS", 1000)
    rows = "".join(f"{code};0,02\n" for code in range(10_000, 11_200))
    assert errors(read("Code;Rate\n" + rows))[-1].startswith("row 1001: the file has more rows")
    content = workbook({"R": [["Code", "Rate"], *[[str(code), 0.02] for code in range(10_000, 11_200)]]})
    assert errors(read(content))[-1].startswith("the file has 1,201 rows, and 1,000 rows are imported")


def bomb(part: str, content: bytes, lie: int | None = None) -> bytes:
    """A workbook one part of which is replaced; `lie`: the size that the archive says it has."""
    file = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(workbook({"R": [["Code", "Rate"], ["44", 0.02]]})))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, content if name == part else source.read(name))
    data = file.getvalue()
    if lie is not None:
        size = len(content).to_bytes(4, "little")
        assert data.count(size) >= 2
        data = data.replace(size, lie.to_bytes(4, "little"))
    return data


@pytest.mark.parametrize("lie", [None, 100])
def test_a_workbook_that_unpacks_to_more_than_fits_is_refused_whatever_it_says_of_its_size(monkeypatch: pytest.MonkeyPatch, lie: int | None):
    monkeypatch.setattr(xlsx, "MOST_UNPACKED", 20 << 20)
    packed = bomb("xl/sharedStrings.xml", b"<sst>" + b" " * (64 << 20) + b"</sst>", lie)
    assert len(packed) < 200_000
    assert errors(read(packed)) == [
        "the workbook unpacks to more than 20 MB: save the sheet with the prices alone, as CSV if it is that long"
    ]


@pytest.mark.parametrize("cell", ['<c r="XFD1048576"><v>1</v></c>', "<c r='XFD1048576'><v>1</v></c>"])
def test_two_cells_far_apart_do_not_fill_the_memory(cell: str):
    page = f'<worksheet><sheetData><row r="1"><c r="A1"><v>44</v></c>{cell}</row></sheetData></worksheet>'
    (found,) = errors(read(bomb("xl/worksheets/sheet1.xml", page.encode())))
    assert "spans 1,048,576 rows and 16,384 columns" in found


def test_cells_without_addresses_are_counted():
    rows = "<row r='1'/>" * 20_000 + '<row><c r="A900000"><v>1</v></c>' + "<c><v>1</v></c>" * 20_000 + "</row>"
    (found,) = errors(read(bomb("xl/worksheets/sheet1.xml", f"<worksheet><sheetData>{rows}</sheetData></worksheet>".encode())))
    assert "spans 900,000 rows and 20,001 columns" in found


def test_a_wide_sheet_of_few_rows_is_read():
    content = workbook({"R": [["Code", "Rate", *[""] * 40, "x"], *[[str(code), 0.02, *[""] * 40, "y"] for code in range(100, 200)]]})
    assert len(read(content).rates) == 100


def test_a_damaged_archive_is_refused():
    content = bytearray(workbook({"R": [["Code", "Rate"], *[[str(code), code / 7] for code in range(100, 400)]]}))
    at = content.find(b"xl/worksheets/sheet1.xml") + 200
    content[at : at + 50] = b"\xff" * 50
    with pytest.raises(OfferError):
        xlsx.open_workbook(bytes(content))
    assert zlib.crc32(bytes(content)) and errors(read(bytes(content)))


def test_several_sheets_of_prices_are_asked():
    rows = [["Code", "Rate"], ["44", 0.02]]
    content = workbook({"Premium": rows, "Standard": rows})
    assert errors(read(content)) == ["the workbook has several sheets that could be meant: Premium, Standard: name one with --sheet"]
    assert prices(read(content, mapping=Mapping(columns={"prefix": "Code", "price_per_min": "Rate"}, sheet="Standard"))) == {"44": 20_000_000}


def test_a_hundred_thousand_wrong_rows_are_one_kind_of_finding():
    offer = read("Code;Rate\n44;0,02\n" + "".join(f"{code};zero\n" for code in range(100_000, 120_000)))
    assert offer.findings.counts["price"] == 20_000 and len(errors(offer)) == 50


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        # every row is cut in two, so that the headings alone say how many cells there are
        (
            "Code,Destination,Rate\n44,UK,0,035\n49,DE,0,01\n",
            ["row 2: 4 cells where there are 3 columns: 0 and 035 may be 0,035, cut in two", "row 3: 4 cells where there are 3 columns"],
        ),
        (
            "Code,Destination,Rate\n44A,UK,0.02\n447,UK M,0.03\nO49,DE,0.02\n",
            ["row 2, column Code: '44A' has 'A' in it", "row 4, column Code: 'O49'"],
        ),
        (
            "Code,Rate,From,To\n44,0.02,2030-01-01,2030-03-01\n44,0.03,2030-02-01,2030-04-01\n",
            ["row 3: code 44 begins before its price in row 2 ends"],
        ),
        (
            "Code,Rate,Min,Incr\n44,0.02,0,1\n447,0.03,60,0\n49,0.1,60,60\n",
            ["row 2, column Min: '0' has an increment of 0 s", "row 3, column Incr: '0'"],
        ),
        ("Code,Rate\n44,0.02\n49,0.0\0001\n", ["row 3: the file has bytes of value 0"]),
    ],
)  # fmt: skip
def test_faults_that_stand_in_most_rows_are_named_row_by_row(content, faults):
    found = errors(read(content))
    assert len(found) == len(faults) and all(one.startswith(what) for one, what in zip(found, faults, strict=True)), found


def test_ten_million_rows_are_refused_before_any_is_read():
    (found,) = errors(read(b"Code,Rate\n" + b"\n" * 10_000_000))
    assert found.startswith("the file has 10,000,001 lines, and 2,000,000 rows are imported at most")


# --- workbooks with several sheets ---

TABLE = [["Code", "Destination", "Rate"], ["44", "UK", 0.02], ["447", "UK Mobile", -1]]
COUNTS = [["Region", "Countries", "Average"], *([f"Region {n}", n, 0.5] for n in range(50))]
CODES = [["Code", "Destination"], ["44", "UK"], ["447", "UK Mobile"]]


@pytest.mark.parametrize(
    ("sheets", "chosen"),
    [
        ({"Cover": [["Rates of ACME"]], "A-Z": TABLE}, "A-Z"), ({"Summary": COUNTS, "Rates": TABLE}, "Rates"),
        ({"Codes": CODES, "Prices": TABLE}, "Prices"), ({"New": TABLE, "Old": [*TABLE, ["49", "DE", 0.01]]}, ""),
    ],
)  # fmt: skip
def test_the_sheet_is_chosen_by_what_it_has_and_findings_name_it(sheets, chosen):
    found = errors(read(workbook(sheets)))
    if chosen:
        assert len(found) == 1 and found[0].startswith(f"sheet {chosen}, row 3, column Rate: '-1' is negative"), found
    else:
        assert found == ["the workbook has several sheets that could be meant: New, Old: name one with --sheet"]


@pytest.mark.parametrize(
    ("content", "prices", "fault"),
    [
        ("Code;Rate VND\n84;1.500.000,50\n62;25.000,00\n", [25_000 * 10**9, 1_500_000_500_000_000], ""),
        ("Code;Rate VND\n84;1.500,50\n62;99.999.999.999.999.999,00\n", [], "row 3, column Rate VND: '99.999.999.999.999.999,00' is beyond the range"),
        ("Code,Rate IDR\n62,15000.50\n84,99999999999\n", [], "row 3, column Rate IDR: '99999999999' is beyond the range of a price"),
    ],
)
def test_amounts_in_currencies_of_many_digits_fit_or_are_named(content: str, prices: list[int], fault: str):
    offer = read(content, "VND" if "VND" in content else "IDR")
    assert [one.partition(" of a price")[0] for one in errors(offer)] == ([fault.partition(" of a price")[0]] if fault else [])
    assert not prices or [rate.per_min_nanos for rate in offer.rates] == prices
