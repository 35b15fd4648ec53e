"""The meaning of a raw number on the trunk that it came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.numbering import country_code, without_trunk_zero
from core.numbers import CALLER_CODES, MOST_ZEROS, DialPlan, normalise, number_of, readings, unpacked

E164 = DialPlan()
VIENNA = DialPlan(
    name="vienna", country_code="43", trunk_prefix="0", tech_prefixes=("7001#", "70"), bare_is_e164=False, service=("0800123456",)
)
NEW_YORK = DialPlan(
    name="nanp", country_code="1", international_prefix="011", trunk_prefix="1", bare_is_e164=False, emergency=("911",)
)
MOSCOW = DialPlan(name="moscow", country_code="7", international_prefix="810", trunk_prefix="8", emergency=("112", "02"))

LONDON = DialPlan(name="london", country_code="44", trunk_prefix="0", emergency=("112", "999"))

VECTORS = [
    # plan, raw, digits, kind
    (E164, "+43 1 234567", "431234567", "e164"),
    (E164, "431234567", "431234567", "e164"),
    (E164, "0043-1-234567", "431234567", "e164"),
    (E164, "(+43) 1.234/567", "431234567", "e164"),
    (E164, "sip:+431234567@example.net;user=phone", "431234567", "e164"),
    (E164, "tel:+1-201-555-0123", "12015550123", "e164"),
    (E164, "+88213123456", "88213123456", "e164"),
    (E164, "112", "112", "emergency"),
    (E164, "999", "999", "emergency"),
    (E164, "116123", "116123", "short"),
    (E164, "4711", "4711", "short"),
    (E164, "+123456789012345", "123456789012345", "e164"),
    (E164, "+1234567890123456", "", "invalid"),
    (E164, "00", "00", "short"),
    (E164, "000123456789", "", "invalid"),
    (E164, "+112", "112", "emergency"),
    (E164, "", "", "withheld"),
    (E164, "   ", "", "withheld"),
    (E164, "Anonymous", "", "withheld"),
    (E164, "sip:anonymous@anonymous.invalid", "", "withheld"),
    (E164, "RESTRICTED", "", "withheld"),
    (E164, "ACME Bank", "", "alpha"),
    (E164, "1800FLOWERS", "", "alpha"),
    (E164, "12%41", "", "alpha"),
    (E164, "+", "", "invalid"),
    (E164, "\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "", "alpha"),  # digits, but not the telephone's
    (E164, "4312345\x00", "", "invalid"),
    (E164, "bob\x7f", "", "invalid"),
    (E164, "bob\x80", "", "alpha"),
    (VIENNA, "00+43 664 1234567", "436641234567", "e164"),
    (E164, "%2B43%201%20234567", "431234567", "e164"),
    (E164, "%252B431234567", "431234567", "e164"),
    (E164, "<sip:+431234567@host;user=phone>", "431234567", "e164"),
    (E164, '"Bob" <tel:+43-1-234567>;tag=abc', "431234567", "e164"),
    (E164, '"<tel:+1>" <sip:+431234567:secret@host?Subject=x>', "431234567", "e164"),
    (E164, "sip:+431234567;npdi;rn=+4366000@host;user=phone", "431234567", "e164"),
    (E164, "tel:1234567;phone-context=+43", "431234567", "e164"),
    (E164, "tel:0791234567;phone-context=%2B41", "41791234567", "e164"),
    (E164, "TEL:7946-0000;Phone-Context=+44-20", "442079460000", "e164"),
    (E164, "tel:1234567;phone-context=example.net", "1234567", "e164"),
    (E164, "+43 (0)664 1234567", "436641234567", "e164"),
    (E164, "+44(0)20 7946 0000", "442079460000", "e164"),
    (E164, "0049 (0) 30 1234567", "49301234567", "e164"),
    (E164, "+36 (06) 1 2345678", "3612345678", "e164"),
    (E164, "+7 (8) 495 1234567", "74951234567", "e164"),
    (E164, "+39 06 1234567", "39061234567", "e164"),
    (E164, "+39 (0)6 1234567", "39061234567", "e164"),
    (E164, "+430664 1234567", "436641234567", "e164"),
    (E164, "+0043 664 1234567", "436641234567", "e164"),
    (E164, "00+43 664 1234567", "436641234567", "e164"),
    (E164, "43\u00a0664\u20111234567", "436641234567", "e164"),
    (E164, "\u202a+436641234567\u202c", "436641234567", "e164"),
    (E164, "*31#436641234567", "436641234567", "e164"),
    (E164, "*#31#+436641234567", "436641234567", "e164"),
    (E164, "*67436641234567", "436641234567", "e164"),
    (E164, "*82-1-201-555-0123", "12015550123", "e164"),
    (E164, "436641234567,,12#", "436641234567", "e164"),
    (E164, "436641234567p12", "436641234567", "e164"),
    (E164, "436641234567#", "436641234567", "e164"),
    (E164, "*21*436641234567#", "", "invalid"),  # a call is forwarded by this, none is placed
    (E164, "436641234567*12", "", "invalid"),
    (E164, "43664111222.0", "", "invalid"),
    (E164, "43664111222.00", "", "invalid"),
    (E164, "4.3664111222E+10", "", "invalid"),
    (E164, "8,8213555e10", "", "invalid"),
    (E164, "1234#88213123456", "", "invalid"),
    (E164, "0043112", "112", "emergency"),
    (E164, "*31#112", "112", "emergency"),
    (E164, "112#", "112", "emergency"),
    (E164, "%31%31%32", "112", "emergency"),
    (VIENNA, "*31#01234567", "431234567", "national"),
    (LONDON, "14102079460000", "442079460000", "national"),
    (LONDON, "1470 020 7946 0000", "442079460000", "national"),
    (LONDON, "141999", "999", "emergency"),
    (LONDON, "14188213123", "14188213123", "e164"),  # Quebec, and no code before a number
    (NEW_YORK, "11672015550123", "12015550123", "national"),
    (NEW_YORK, "*672015550123", "12015550123", "national"),
    (NEW_YORK, "1167911", "911", "emergency"),
    (VIENNA, "01234567", "431234567", "national"),
    (VIENNA, "1234567", "431234567", "national"),
    (VIENNA, "004915112345678", "4915112345678", "e164"),
    (VIENNA, "7001#+431234567", "431234567", "e164"),
    (VIENNA, "70004915112345678", "4915112345678", "e164"),
    (VIENNA, "7001#112", "112", "emergency"),
    (VIENNA, "0800123456", "0800123456", "service"),
    (NEW_YORK, "12015550123", "12015550123", "national"),
    (NEW_YORK, "2015550123", "12015550123", "national"),
    (NEW_YORK, "011431234567", "431234567", "e164"),
    (NEW_YORK, "911", "911", "emergency"),
    (MOSCOW, "84951234567", "74951234567", "national"),
    (MOSCOW, "810431234567", "431234567", "e164"),
    (MOSCOW, "02", "02", "emergency"),
]


@pytest.mark.parametrize(("plan", "raw", "digits", "kind"), VECTORS, ids=[f"{p.name}:{r!r}" for p, r, _, _ in VECTORS])
def test_a_raw_number_means(plan: DialPlan, raw: str, digits: str, kind: str):
    assert normalise(raw, plan) == (digits, kind)


READINGS = [
    # plan, raw, a number that some carrier would route it by
    (E164, "1234#88213123456", "88213123456"),
    (E164, "88213*123456", "88213123456"),
    (E164, "88213*123456", "88213"),
    (E164, "+0+088213123456", "88213123456"),
    (E164, "01188213123456", "88213123456"),
    (E164, "000088213123456", "88213123456"),
    (E164, "8\n8213123456", "88213123456"),
    (E164, "88213x123456", "88213"),
    (E164, "\uff14\uff13\uff11\uff14\uff10\uff14\uff10", "4314040"),
    (E164, "4314040*12", "4314040"),
    (E164, "4314040123456789", "4314040123456789"),
    (E164, "*112", "112"),
    (E164, "0112", "112"),
    (E164, "43144", "144"),
    (E164, "+43116123", "116123"),
    (E164, "sip:112@", "112"),
    (E164, "1234#430664123456", "43664123456"),
    (LONDON, "1410088213123456", "88213123456"),
    (VIENNA, "*31*088213123456", "4388213123456"),
]


@pytest.mark.parametrize(("plan", "raw", "digits"), READINGS, ids=[f"{p.name}:{r!r}:{d}" for p, r, d in READINGS])
def test_a_raw_number_could_be_routed_by(plan: DialPlan, raw: str, digits: str):
    assert digits in readings(raw, plan)


@given(st.text(max_size=40), st.sampled_from([E164, VIENNA, LONDON, NEW_YORK, MOSCOW]))
def test_readings_are_distinct_digits_and_begin_with_the_meant_number(raw: str, plan: DialPlan):
    found = readings(raw, plan)
    assert all(digits.isascii() and digits.isdigit() for digits in found) and len(set(found)) == len(found)
    meant = normalise(raw, plan).digits
    assert not meant or found[0] == meant


@given(st.text(max_size=40), st.sampled_from([E164, VIENNA, NEW_YORK, MOSCOW]))
def test_whatever_a_caller_sends_is_digits_or_nothing(raw: str, plan: DialPlan):
    digits, kind = normalise(raw, plan)
    assert digits == "" or (digits.isascii() and digits.isdigit())
    assert (digits == "") == (kind in ("withheld", "alpha", "invalid"))
    if kind in ("e164", "national"):
        assert 7 <= len(digits) <= 15 and digits[0] != "0"


@given(st.from_regex(r"[1-9][0-9]{8,14}", fullmatch=True), st.sampled_from([E164, VIENNA, NEW_YORK, MOSCOW]))
def test_a_plus_means_the_same_on_every_trunk(digits: str, plan: DialPlan):
    full = without_trunk_zero(digits)
    behind = full[len(country_code(full)) :]
    short = (behind, "emergency") if behind in plan.emergency else ("", "invalid")
    assert normalise("+" + digits, plan) == ((full, "e164") if len(full) >= 7 else short)


def test_an_emergency_number_behind_a_country_code_and_zeros_is_one():
    assert normalise("+200000911", E164) == ("911", "emergency")


def test_every_zero_before_a_number_may_be_the_one_that_is_dropped():
    """000 is an emergency number: 00000 may be 00 and it."""
    found = readings("0" * (MOST_ZEROS + 2) + "88213", E164)
    assert {"0" * n + "88213" for n in (0, *range(2, MOST_ZEROS + 3))} <= set(found)
    assert MOST_ZEROS == 4 and "088213" not in found, "so many are taken off one by one, or all of them"


def test_a_context_is_a_reading():
    assert "43664123456" in readings("tel:0664123456;phone-context=+43", E164)
    assert "43664123456" not in readings("tel:0664123456;phone-context=43", E164)


@pytest.mark.parametrize(("depth", "text"), [(1, "+431"), (2, "+431"), (3, "+431"), (4, "%2B431")])
def test_an_escape_of_an_escape_is_one_too_but_not_for_ever(depth: int, text: str):
    raw = "%2B431"
    for _ in range(depth - 1):
        raw = raw.replace("%", "%25")
    assert unpacked(raw).text == text


@pytest.mark.parametrize(
    ("typed", "digits"),
    [("+116123", "116123"), ("+112", "112"), ("+11", "11"), ("1616", "1616"), ("16161", "16161"), ("0043 1 5050099", "4315050099"), ("000", "000")],
)
def test_a_person_may_type_a_number_as_it_is_written(typed: str, digits: str):
    assert number_of(typed, E164) == digits


@pytest.mark.parametrize("typed", ["0043", "+1", "+0112", "01 50500 88", "alpha"])
def test_text_that_is_no_number_is_refused_with_how_to_write_one(typed: str):
    with pytest.raises(ValueError, match="write it with its country code"):
        number_of(typed, E164)


@pytest.mark.parametrize("country", CALLER_CODES)
def test_a_callers_code_precedes_a_whole_number_only(country: str):
    plan = DialPlan(country_code=country, bare_is_e164=False)
    for code in CALLER_CODES[country].digits:
        assert normalise(f"{code}5", plan) == (f"{code}5", "short")
        assert normalise(f"{code}112", plan) == ("112", "emergency")


def test_a_national_prefix_in_brackets_is_dropped():
    for raw in ("+36 (06) 1 2345678", "0036 (06) 1 2345678", "+36(06)12345678"):
        assert normalise(raw, E164) == ("3612345678", "e164"), raw
    assert normalise("+43 (1) 2345678", E164) == ("4312345678", "e164"), "an area code stays"
