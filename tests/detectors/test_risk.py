"""The automaton gives the same results as the regular expressions of `phonenumbers`."""

from __future__ import annotations

import random
import re
from functools import cache

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType

from detectors.risk import (
    _AUTOMATON,
    CAPACITY,
    LEADING,
    ORDINARY,
    PREMIUM,
    SATELLITE,
    SATELLITE_CODES,
    SHARED_COST,
    UNALLOCATED,
    WEIGHTS,
    Automaton,
    Risk,
    risk_of,
)

CODES = sorted(map(str, COUNTRY_CODE_TO_REGION_CODE))


def risk_by_patterns(b_number: str) -> Risk:
    """The model: the regular expressions of each country that shares the code, until one of them fits."""
    if len(b_number) < 7:
        return Risk(ORDINARY, "", WEIGHTS[ORDINARY])
    code = next((b_number[:n] for n in (1, 2, 3) if b_number[:n] in CODES), "")
    if not code:
        return Risk(UNALLOCATED, "", WEIGHTS[UNALLOCATED])
    national, regions = b_number[len(code) :], COUNTRY_CODE_TO_REGION_CODE[int(code)]
    kind, country = UNALLOCATED, regions[0]
    for region in leading_region(code, national[: LEADING.get(code, 2)]) or regions:
        general, premium, shared = patterns(region, int(code))
        if general and general.fullmatch(national):
            country = region
            kind = PREMIUM if premium and premium.fullmatch(national) else ORDINARY
            if kind == ORDINARY and shared and shared.fullmatch(national):
                kind = SHARED_COST
            break
    if code in SATELLITE_CODES:
        kind = SATELLITE
    return Risk(kind, country, WEIGHTS[kind])


def metadata(region: str, code: int):
    return PhoneMetadata.metadata_for_nongeo_region(code, None) if region == "001" else PhoneMetadata.metadata_for_region(region, None)


@cache
def leading_region(code: str, digits: str) -> tuple[str, ...]:
    regions = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    found = [r for r in regions if (data := metadata(r, int(code))) and data.leading_digits and re.match(data.leading_digits, digits)]
    return tuple(found[:1]) if len(regions) > 1 else ()


@cache
def patterns(region: str, code: int) -> list[re.Pattern[str] | None]:
    data = metadata(region, code)
    texts = [getattr(part, "national_number_pattern", None) for part in (data.general_desc, data.premium_rate, data.shared_cost)]
    return [re.compile(text) if text and text != "NA" else None for text in texts]


def numbers_of_every_region(chance: random.Random, per_region: int) -> list[str]:
    """Examples of each kind of number of each region, with their ends changed; and digits at random behind each code."""
    found = []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            examples = [str(code) + "2" * 9]
            for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST):
                if example := phonenumbers.example_number_for_type(region, kind) if region != "001" else None:
                    examples.append(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:])
            for _ in range(per_region):
                start = chance.choice(examples)[: chance.randint(len(str(code)), 12)] if chance.random() < 0.8 else str(code)
                length = max(len(start), chance.choice((6, 7, 8, 9, 10, 11, 11, 12, 12, 13, 15, 18)))
                found.append(start + "".join(chance.choices("0123456789", k=length - len(start))))
    found += ["".join(chance.choices("0123456789", k=chance.randint(0, 16))) for _ in range(per_region * 20)]
    return found


def test_the_automaton_is_equal_to_the_patterns_of_every_region():
    numbers = numbers_of_every_region(random.Random(7), 850)
    assert len(numbers) > 200_000
    expected = [risk_by_patterns(number) for number in numbers]
    assert {risk.kind for risk in expected} == set(WEIGHTS) and len({risk.country for risk in expected}) > 235
    assert [risk_of(number) for number in numbers] == expected
    assert 5_000 < len(_AUTOMATON._states) < CAPACITY, "all states have room"


@settings(max_examples=500, deadline=None)
@given(st.tuples(st.sampled_from([*CODES, ""]), st.text("0123456789", max_size=17)).map("".join))
def test_the_automaton_is_equal_to_the_patterns_for_any_digits(number):
    assert risk_of(number) == risk_by_patterns(number)


@pytest.mark.parametrize("capacity", [20, 300])
def test_states_are_bounded_and_made_again(capacity):
    """Where there is no room for another state all of them go, in the middle of a number too."""
    numbers = numbers_of_every_region(random.Random(8), 10)
    small = Automaton(capacity)
    assert [small.risk_of(number) for number in numbers] == [risk_by_patterns(number) for number in numbers]
    assert len(small._states) <= capacity


@pytest.mark.parametrize("text", ["x" * 40, "+4312345678", "43 1234567", "é" * 8, "431234567:", "431234567/"])
def test_text_that_is_no_number_is_unallocated(text):
    assert risk_of(text) == Risk(UNALLOCATED, "", 3.0)


@pytest.mark.parametrize(
    ("number", "risk"),
    [
        ("112", Risk(ORDINARY, "", 1.0)),  # short
        ("431234567", Risk(ORDINARY, "AT", 1.0)),
        ("43900123456", Risk(PREMIUM, "AT", 6.0)),
        ("43810123456", Risk(SHARED_COST, "AT", 2.0)),
        ("12642351234", Risk(ORDINARY, "AI", 1.0)),  # by its leading digits
        ("11120001234", Risk(UNALLOCATED, "US", 3.0)),
        ("881612345678", Risk(SATELLITE, "001", 4.0)),
        ("8816", Risk(ORDINARY, "", 1.0)),  # too short to say
        ("979123456789", Risk(PREMIUM, "001", 6.0)),
        ("2101234567", Risk(UNALLOCATED, "", 3.0)),  # a code that nobody has
        ("0043123456", Risk(UNALLOCATED, "", 3.0)),  # a prefix of a dial plan is no country code
    ],
)
def test_the_risk_of_a_number(number, risk):
    assert risk_of(number) == risk
