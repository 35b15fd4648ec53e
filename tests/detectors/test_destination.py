"""Country and kind of a called number, as findings show them."""

from __future__ import annotations

import phonenumbers
import pytest

from detectors.destination import REGIONS, WORLD, Destination, country_name, destination, prefix_destination


@pytest.mark.parametrize(
    ("b_number", "b_kind", "expected"),
    [
        ("4312345678", "e164", ("43", "AT", "Austria", "fixed line")),
        ("4366412345678", "e164", ("43", "AT", "Austria", "mobile")),
        ("43900123456", "e164", ("43", "AT", "Austria", "premium rate")),
        ("43800123456", "e164", ("43", "AT", "Austria", "freephone")),
        ("43810123456", "e164", ("43", "AT", "Austria", "shared cost")),
        ("12125551234", "e164", ("1", "US", "United States", "fixed line or mobile")),
        ("18762101234", "e164", ("1", "JM", "Jamaica", "mobile")),
        ("11115551234", "e164", ("1", "", "United States and others", "unallocated")),
        ("442071234567", "e164", ("44", "GB", "United Kingdom", "fixed line")),
        ("43", "e164", ("43", "AT", "Austria", "unallocated")),
        ("431", "e164", ("43", "AT", "Austria", "unallocated")),
        ("881612345678", "e164", ("881", "", "", "satellite")),
        ("2101234567", "e164", ("", "", "", "unallocated country code")),
        ("0043123456", "e164", ("", "", "", "unallocated country code")),
        ("112", "emergency", ("", "", "", "emergency numbers")),
        ("4711", "short", ("", "", "", "short numbers")),
        ("", "", ("", "", "", "no number")),
        ("", "withheld", ("", "", "", "no number")),
        ("ACME", "alpha", ("", "", "", "names instead of numbers")),
        ("1#2", "invalid", ("", "", "", "numbers that cannot be read")),
        ("1#2", "new", ("", "", "", "new")),
    ],
)
def test_the_destination_of_a_number(b_number, b_kind, expected):
    assert destination(b_number, b_kind) == Destination(*expected)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ("", "", "", "")),
        ("3", ("", "", "", "")),
        ("371", ("371", "LV", "Latvia", "")),
        ("1242", ("1", "", "United States and others", "")),
        ("7", ("7", "", "Russia and others", "")),
        ("88213", ("882", "", "", "international networks")),
        ("979", ("979", "", "", "international premium rate")),
    ],
)
def test_the_destination_of_a_prefix(prefix, expected):
    assert prefix_destination(prefix) == Destination(*expected)


def test_the_codes_of_no_country_are_those_of_the_numbering_data():
    assert set(WORLD) == {code for code, regions in REGIONS.items() if phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY in regions}


def test_a_country_has_a_name():
    assert [country_name(country) for country in ("MV", "GB", "AD", "ZZ", "")] == ["Maldives", "United Kingdom", "Andorra", "ZZ", ""]
