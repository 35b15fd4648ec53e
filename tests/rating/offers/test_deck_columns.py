"""Columns of an offer beyond a price and increments: read where the file has them, checked by the deck's own rules, part of the deck."""

from __future__ import annotations

import pytest

from core.money import to_text
from rating.deck import Call
from rating.decks import read_deck, to_csv
from rating.offers.compare import compare
from rating.offers.guess import guess
from rating.offers.mapping import Notice
from rating.offers.merge import base_of, columns_of, merge
from rating.offers.rows import Offer, take
from rating.offers.table import open_table
from rating.price import price_one
from rating.rules import Rules

SIX_PM_MS = 18 * 3_600_000


def read(text: str) -> Offer:
    table = open_table(text.encode())
    return take(table, guess(table).mapping, "EUR")


def deck_of(text: str):
    offer = read(text)
    assert not offer.findings.has_errors, [one.text() for one in offer.findings]
    return read_deck(merge(None, offer.rates, "closed", None, 0).csv, "d", "EUR")


def price(deck, number: str, talk_s: int, caller: str = "", at_ms: int = 0) -> str:
    one = price_one(deck, Call(number, caller), at_ms, 1000 * talk_s, talk_s > 0, Rules())
    return to_text(one.nanos) if one.rate >= 0 else "none"


def test_free_seconds_grace_bounds_and_a_surcharge():
    deck = deck_of(
        "Code;Destination;Rate;Free seconds;Grace;Minimum amount;Maximum amount;Surcharge;Surcharge after\n"
        "43;Austria;0,60;10;;;;;\n44;UK;0,60;;3;;;;\n45;Denmark;0,60;;;0,05;1;;\n46;Sweden;0,60;;;;;1,5;60\n"
    )
    calls = [("431", 11), ("441", 3), ("441", 4), ("451", 1), ("451", 600), ("461", 60), ("461", 61)]
    assert [price(deck, *call) for call in calls] == ["0.01", "0", "0.04", "0.05", "1", "0.6", "2.11"]


def test_origins_and_windows_are_rows_beside_each_other():
    deck = deck_of("Code,Destination,Rate,Origin,Window\n43,Austria,0.60,,\n43,Austria,0.30,49,\n43,Austria,0.06,,18:00-\n")
    assert [price(deck, "431", 60), price(deck, "431", 60, "491"), price(deck, "431", 60, at_ms=SIX_PM_MS)] == ["0.6", "0.3", "0.06"]


def test_a_sheet_with_a_price_for_each_jurisdiction():
    deck = deck_of("NPANXX Code,Interstate Rate,Intrastate Rate,Indeterminate Rate\n1201,0.01,0.02,0.03\n1315,0.04,,0.05\n")
    calls = [("12015550123", "12125550123"), ("12015550123", "12015550199"), ("12015550123", ""), ("13155550123", "13155550199")]
    assert [price(deck, number, 60, caller) for number, caller in calls] == ["0.01", "0.02", "0.03", "none"]


def test_steps_in_place_of_a_price():
    deck = deck_of("Code;Destination;Steps\n43;Austria;0:0.10/60:60 60:0.05/60:1\n44;UK;0:0.2/60:1\n")
    assert [price(deck, "431", 90), price(deck, "441", 30)] == ["0.125", "0.1"]


def test_a_deck_of_ours_comes_through_the_desk_as_it_is():
    content = (
        b"prefix,destination,price_per_min,connect_fee,first_s,next_s,steps,free_s,grace_s,min_amount,origin,window,reject\n"
        b"43,Austria,0.06,0.01,60,6,,10,,,,,\n44,UK,,,,,0:0.1/60:60 60:0.05/60:1,,3,0.01,,,\n43,Austria,0.03,,1,1,,,,,49,18:00-,\n"
        b"882,Sat,,,,,,,,,,,yes\n"
    )
    deck = read_deck(content, "d", "EUR")
    offer = read(to_csv(deck).decode())
    again = read_deck(merge(None, offer.rates, "closed", None, 0).csv, "d", "EUR")
    rows = [
        sorted((d.prefixes[i], d.tariffs[d.tariff[i]], d.conditions[d.condition[i]]) for i in range(len(d.prefixes))) for d in (deck, again)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("43,0.6,ten,,", "row 2, column Free seconds: free_s must be 0 to 86400 seconds, and is 'ten'"),
        ("43,0.6,,25:00-26:00,", "row 2, column Window:"),
        ("43,0.6,,,49x", "row 2, column Origin: prefix '49x' is not 1 to 15 digits"),
    ],
)
def test_what_such_a_column_cannot_hold_is_named_with_row_and_column(row: str, fault: str):
    good = "".join(f"{code},0.6,10,18:00-,49\n" for code in (44, 45, 46, 47, 48))
    offer = read(f"Code,Rate,Free seconds,Window,Origin\n{row}\n{good}")
    found = [one.text() for one in offer.findings if one.level == "error"]
    assert len(found) == 1 and found[0].startswith(fault), found


def test_rows_with_a_condition_are_compared_with_their_like():
    old = columns_of(base_of(b"prefix,price_per_min,origin\n43,0.6,\n43,0.3,49\n"))
    new = read_deck(b"prefix,price_per_min,origin\n43,0.6,\n43,0.2,49\n43,0.1,1\n", "d", "EUR")
    rows = {row.prefix: (row.kind, row.old_nanos, row.new_nanos) for row in compare(old, new, 0, 0, Notice()).rows}
    assert rows == {"43 origin 49": ("decrease", 300_000_000, 200_000_000), "43 origin 1": ("new", 600_000_000, 100_000_000)}
