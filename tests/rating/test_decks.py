"""Rate decks as carriers and table programs write them: read right, or refused with the line and what to change."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import to_text
from rating.deck import Call
from rating.decks import DeckError, DeckFormat, read_deck, to_csv
from rating.price import RULES

HEAD = "prefix,destination,price_per_min\n"


def prices(content: str | bytes, **form: str) -> dict[str, str]:
    deck = read_deck(content if isinstance(content, bytes) else content.encode(), "d", "EUR", DeckFormat(**form))
    return dict(zip(deck.prefixes, (to_text(int(nanos)) for nanos in deck.per_min_nanos), strict=True))


def refused(content: str | bytes, **form: str) -> str:
    with pytest.raises(DeckError) as wrong:
        prices(content, **form)
    return str(wrong.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("43,Austria,0,025", "line 3: 4 cells where the first line has 3; a cell that holds the delimiter must be quoted; a decimal comma that is "
         "not quoted cuts a price in two: write 0.025"),
        ("43,0,025,0", "line 3: 4 cells"), ("43,Austria,0.02,", "line 3: 4 cells"), ("43,Austria", "line 3: 2 cells"), ("43", "line 3: 1 cells"),
        ('43,"Austria,0.02', "line 3: a quote is opened and not closed"), ('43,"Aus"tria,0.02', "line 3: text after a closing quote"),
        ('43,"Austria\n",0.02', "line 3: a quote is opened"), ('43,Austria,"0.02', "line 3: a quote"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_as_its_header_refuses_the_deck(line, said):
    assert f"deck d, {said}" in refused(f"{HEAD}1,USA,0.01\n{line}\n7,Russia,0.05\n")


@pytest.mark.parametrize("blank", ["", " ", ",,", " , ,", '"","",""', ",", ",,,,,", "\t"])
def test_rows_without_a_filled_cell_are_skipped(blank):
    assert prices(f"{blank}\n{HEAD}{blank}\n43,A,0.02\n{blank}\n{blank}\n44,B,0.03\n{blank}\n") == {"43": "0.02", "44": "0.03"}


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("0043", "write 43"), ("00", "write the country code first"), ("0664", "write the country code first, without the 0"),
        ("011431", "write the country code first"), ("+0043", "write 43"), ("43 664", "write 43664 alone"), ("43-664", "write 43664 alone"),
        ("(43)664", "write 43664 alone"), ("4.47E+11", "it went through a float"), ("43664.0", "it went through a float"), ("43664,0", "a float"),
        ("1e5", "it went through a float"), ("43x", "is not 1 to 15 digits"), ("", "is not 1 to 15 digits"), ("43*", "is not 1 to 15 digits"),
        ("٤٣", "is not 1 to 15 digits"), ("4" * 16, "is not 1 to 15 digits"), ("++43", "is not 1 to 15 digits"), ("=43", "is not 1 to 15 digits"),
    ],
)  # fmt: skip
def test_a_prefix_that_no_number_begins_with_is_refused(prefix, said):
    words = refused(f'{HEAD}1,USA,0.01\n"{prefix}",x,0.02\n')
    assert f"line 3: prefix {prefix!r}" in words and said in words


@pytest.mark.parametrize("prefix", ["+43", " 43 ", "\u00a043", '"43"', "43"])
def test_a_prefix_with_a_plus_is_understood(prefix):
    assert prices(f"{HEAD}{prefix},x,0.02") == {"43": "0.02"}


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("1,500", 'thousands: ","'), ("0,025", 'decimal: ","'), ("1.021,04", 'decimal: "," and thousands: "."'), ("1 000", 'thousands: " "'),
        ("", "price_per_min is empty"), ("€0.02", "is not a decimal amount"), ("0.02 EUR", "is not a decimal amount"), ("1_0", "is not a decimal"),
        ("٠", "is not a decimal amount"), ("NaN", "is not a decimal amount"), ("free", "is not a decimal amount"), ("-0.1", "a price is negative"),
    ],
)  # fmt: skip
def test_a_price_that_can_be_two_things_is_refused(price, said):
    words = refused(f'{HEAD}1,USA,0.01\n43,x,"{price}"\n')
    assert "line 3: " in words and said in words
    assert price != "1,500" or "decimal:" not in words


EUROPEAN = 'prefix;destination;price_per_min;effective_from\n43;"Österreich; Festnetz";0,020;01.01.2026\n43664;x;1.234,5;01.02.2026\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_a_european_deck_is_read_where_somebody_says_how_it_is_written(encoding):
    content = EUROPEAN.encode(encoding)
    form = {"decimal": ",", "thousands": ".", "date_format": "%d.%m.%Y"}
    if encoding in ("cp1252", "latin-1"):
        assert "(0xD6, line 2) is not UTF-8" in refused(content, **form)
        form["encoding"] = encoding
    deck = read_deck(content, "d", "EUR", DeckFormat(**form))
    assert (deck.per_min_nanos.tolist(), deck.destinations[0]) == ([20_000_000, 1_234_500_000_000], "Österreich; Festnetz")
    assert deck.from_ms.tolist() == [1_767_225_600_000, 1_769_904_000_000]
    again = read_deck(to_csv(deck), "d", "EUR")
    assert (again.prefixes, again.per_min_nanos.tolist(), again.from_ms.tolist()) == (
        deck.prefixes, deck.per_min_nanos.tolist(), deck.from_ms.tolist(),
    )  # fmt: skip


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_the_one_of_the_header(delimiter):
    assert prices((HEAD + "43,A,0.02\n").replace(",", delimiter)) == {"43": "0.02"}


@pytest.mark.parametrize("date", ["01.01.2026", "1/2/2026", "2026-13-01", "tomorrow", "46023", "01-Jan-26"])
def test_a_date_that_is_not_iso_is_named(date):
    words = refused(f"prefix,price_per_min,effective_from\n43,0.02,{date}\n")
    assert f"line 2: {date!r} is not an ISO date" in words and "date_format" in words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prefix,price_per_min,price_per_min\n43,1,2\n", "column price_per_min stands twice"),
        ("prefix,prefix ,price_per_min\n43,44,2\n", "column prefix stands twice"), ("43,Austria,0.02\n", "no column prefix, price_per_min"),
        ("prefix,price_per_min,\n43,1,x\n", "a cell is filled in a column without a name"), ("Prefix;Price\n43;1\n", "no column"),
        (b"PK\x03\x04", "this is a spreadsheet"), ("prefix,price_per_min\n43,1\n".encode("utf-16-le"), "utf-16-le"),
        ('"prefix,price_per_min\n43,1\n', "line 1: a quote is opened"), ("prefix,price_per_min\n43,1\n44,1\n43,2\n", "(lines 2 and 4)"),
        ("prefix,price_per_min,first_s\n43,1,60.0\n", "first_s is '60.0'"), ("prefix,price_per_min,next_s\n43,1,1/1\n", "next_s is '1/1'"),
    ],
)  # fmt: skip
def test_a_deck_that_cannot_be_meant_is_refused(content, said):
    words = refused(content)
    assert said in words
    assert "43,Austria" not in words and "0.02" not in words, "a missing header shows no row"


@given(st.text(alphabet='43,"\n .;0x-', max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_row_a_deck_is_whole_or_refused(text):
    """No rate gets lost: either every line with a filled cell is a rate, or the deck is refused."""
    content = f"{HEAD}1,USA,0.01\n{text}\n7,Russia,0.05\n"
    filled = [line for line in content.splitlines()[1:] if re.sub('" *"', "", line).strip(" ,")]
    try:
        deck = read_deck(content.encode(), "d", "EUR")
    except DeckError:
        deck = None
    assert deck is None or (len(deck.prefixes) == len(filled) and deck.prefixes[-1] == "7")


def test_a_price_leaves_room_for_59_seconds_of_it():
    assert prices(HEAD + "43,Austria,153722867\n") == {"43": "153722867"}
    assert "line 2" in refused(HEAD + "43,Austria,153722868\n")


def test_each_day_has_its_own_price():
    lines = [f"43,Austria,0.0{n},2026-01-{n:02},2026-01-{n + 1:02}\n" for n in range(1, 29)]
    head = "prefix,destination,price_per_min,effective_from,effective_to\n"
    deck = read_deck((head + "".join(lines)).encode(), "d", "EUR", DeckFormat())
    first_ms = int(deck.borders_ms[0])
    rows = [deck.find(Call("431"), first_ms + 86_400_000 * day, RULES) for day in range(-1, 29)]
    assert rows == [-1, *range(28), -1]


READ_A_LONG_DECK = """
import tracemalloc
from rating.decks import read_deck
rows = 60_000
content = ("prefix,destination,price_per_min\\n" + "".join(f"{10**8 + n},Somewhere far away,0.0{n % 50 + 10}\\n" for n in range(rows))).encode()
read_deck(content[:1000].rpartition(b"\\n")[0], "d", "EUR")
tracemalloc.start()
deck = read_deck(content, "d", "EUR")
print(tracemalloc.get_traced_memory()[1] // rows, len(deck.prefixes))
"""


def test_a_long_deck_is_read_as_it_streams():
    """A row costs what is kept of it (its prefix and some integers), not its text, its cells and their list as well. In a process of its own: threads
    of other tests would be counted too."""
    said = subprocess.run([sys.executable, "-c", READ_A_LONG_DECK], check=True, capture_output=True, text=True).stdout
    per_row, rows = map(int, said.split())
    assert rows == 60_000 and per_row < 450  # 313 when it was written; all rows as lists would be 840
