"""What a raw number means on the trunk that it came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.numbers import DialPlan, normalise

E164 = DialPlan()
VIENNA = DialPlan(
    name="vienna", country_code="43", trunk_prefix="0", tech_prefixes=("7001#", "70"), bare_is_e164=False, service=("0800123456",)
)
NEW_YORK = DialPlan(
    name="nanp", country_code="1", international_prefix="011", trunk_prefix="1", bare_is_e164=False, emergency=("911",)
)
MOSCOW = DialPlan(name="moscow", country_code="7", international_prefix="810", trunk_prefix="8", emergency=("112", "02"))

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
    (E164, "+112", "", "invalid"),
    (E164, "", "", "withheld"),
    (E164, "   ", "", "withheld"),
    (E164, "Anonymous", "", "withheld"),
    (E164, "sip:anonymous@anonymous.invalid", "", "withheld"),
    (E164, "RESTRICTED", "", "withheld"),
    (E164, "ACME Bank", "", "alpha"),
    (E164, "1800FLOWERS", "", "alpha"),
    (E164, "12%41", "", "invalid"),
    (E164, "+", "", "invalid"),
    (E164, "\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "", "invalid"),  # digits, but not the telephone's
    (E164, "4312345\x00", "", "invalid"),
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


@given(st.text(max_size=40), st.sampled_from([E164, VIENNA, NEW_YORK, MOSCOW]))
def test_whatever_a_caller_sends_is_digits_or_nothing(raw: str, plan: DialPlan):
    digits, kind = normalise(raw, plan)
    assert digits == "" or (digits.isascii() and digits.isdigit())
    assert (digits == "") == (kind in ("withheld", "alpha", "invalid"))
    if kind in ("e164", "national"):
        assert 7 <= len(digits) <= 15 and digits[0] != "0"


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True), st.sampled_from([E164, VIENNA, NEW_YORK, MOSCOW]))
def test_a_plus_means_the_same_on_every_trunk(digits: str, plan: DialPlan):
    assert normalise("+" + digits, plan) == (digits, "e164")
