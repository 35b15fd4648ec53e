"""Interstate, intrastate or indeterminate: by area codes, as the numbering data has them."""

from __future__ import annotations

import importlib
import pkgutil

import phonenumbers.geodata
import pytest

from rating.jurisdiction import AREA_CODES, INDETERMINATE, INTERSTATE, INTRASTATE, NONE, jurisdiction, state_of

NY, NY_TOO, NJ, TOLL_FREE, TORONTO, VIENNA = "12125550123", "13155550123", "12015550123", "18005550123", "14165550123", "4312345678"


@pytest.mark.parametrize(
    ("a_number", "b_number", "found"),
    [
        (NY, NY_TOO, INTRASTATE), (NY, NJ, INTERSTATE), (NJ, NJ, INTRASTATE), (TOLL_FREE, NY, INDETERMINATE), (NY, TOLL_FREE, INDETERMINATE),
        (TORONTO, NY, INDETERMINATE), (NY, TORONTO, INDETERMINATE), ("", NY, INDETERMINATE), (VIENNA, NY, INDETERMINATE), (NY, VIENNA, NONE),
        (NY, "", NONE), ("1", "1", INDETERMINATE),
    ],
)  # fmt: skip
def test_the_jurisdiction_of_a_call(a_number, b_number, found):
    assert jurisdiction(a_number, b_number) == found


def test_every_area_code_of_the_numbering_data_has_its_state():
    """The library names states and a few cities; an area code that it names and the table lacks is new."""
    named = {}
    for module in pkgutil.iter_modules(phonenumbers.geodata.__path__):
        data = getattr(importlib.import_module(f"phonenumbers.geodata.{module.name}"), "data", {})
        named |= {key[1:]: value["en"] for key, value in data.items() if key[:1] == "1" and len(key) == 4 and "en" in value}
    states: dict[str, set[str]] = {}
    for code, name in named.items():
        if found := state_of(f"1{code}5550123"):
            states.setdefault(name, set()).add(found)
    assert len(AREA_CODES) == 51 and all(len(found) == 1 for found in states.values()), "a name of the library is one state"
    assert {"California", "New York", "Texas", "Washington State", "Chicago, IL"} <= states.keys() and "Ontario" not in states
    codes = [code for codes in AREA_CODES.values() for code in codes.split()]
    assert len(codes) == len(set(codes)) > 300
