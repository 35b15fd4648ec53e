"""Emergency numbers by country, from the metadata of `phonenumbers`, and crisis lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers.shortnumberinfo import SUPPORTED_SHORT_REGIONS

ALWAYS = ("112", "911")
"""Every GSM phone may dial these wherever it is (3GPP TS 22.101, clause 10.1.1)."""

CRISIS_LINES = (
    # (country, or "EU" = the harmonised numbers of its members; number; what it is)
    ("EU", "116000", "missing children"),
    ("EU", "116006", "victims of crime"),
    ("EU", "116016", "victims of violence against women"),
    ("EU", "116111", "children's helpline"),
    ("EU", "116117", "doctor on duty"),
    ("EU", "116123", "emotional support"),
    ("US", "988", "suicide and crisis lifeline"),
    ("US", "211", "essential community services"),
    ("CA", "988", "suicide crisis helpline"),
    ("GB", "111", "health line (NHS)"),
    ("GB", "101", "police, not emergency"),
    ("GB", "116123", "Samaritans"),
    ("GB", "116111", "children's helpline"),
    ("GB", "116000", "missing children"),
    ("IN", "14416", "Tele-MANAS mental health"),
    ("IN", "1098", "children's helpline"),
    ("IN", "181", "women's helpline"),
    ("CH", "143", "emotional support"),
    ("CH", "147", "young people's helpline"),
    ("CH", "145", "poisons"),
    ("AT", "142", "emotional support"),
    ("AT", "147", "young people's helpline"),
    ("FR", "3114", "suicide prevention"),
    ("FR", "119", "children in danger"),
    ("FR", "3919", "violence against women"),
    ("ES", "024", "suicide prevention"),
    ("ES", "016", "violence against women"),
    ("IT", "114", "children in danger"),
    ("IT", "1522", "violence against women"),
    ("BR", "188", "emotional support (CVV)"),
    ("BR", "180", "violence against women"),
    ("NZ", "1737", "mental health"),
    ("HK", "18111", "mental health"),
    ("KR", "109", "suicide prevention"),
    ("CN", "12356", "mental health"),
)
"""Sources: Commission Decision 2007/116/EC and its later amendments (the 116 range); FCC 20-100 (988) and 47 CFR 52 (N11); CRTC
2022-234 (988, Canada); Ofcom, National Telephone Numbering Plan (101, 111, 116); for the others the website of each line. A test looks each
up in the phone number metadata of its country (five are unknown there). The list is maintained by people: a missing number belongs into the
operator's own list (`books.lists.add`)."""

_EU = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO CH"
EU = frozenset(_EU.split())
"""Its members, and those beside them where the 116 range is in use."""

_SHORT_MAX = 6


@lru_cache(maxsize=512)
def emergency_numbers(country: str) -> tuple[str, ...]:
    """Every emergency number of a country, as dialled.

    >>> emergency_numbers("AT")
    ('112', '122', '133', '144')
    """
    metadata = phonenumbers.PhoneMetadata.short_metadata_for_region(country)
    if metadata is None:
        raise ValueError(f"{country!r} is not a country that the phone number metadata knows")
    emergency = metadata.emergency
    if emergency is None or not emergency.national_number_pattern:
        return ()
    form = re.compile(emergency.national_number_pattern)
    lengths = [n for n in emergency.possible_length if 0 < n <= _SHORT_MAX]
    return tuple(digits for n in lengths for digits in _matching(form, n))


def _matching(form: re.Pattern[str], length: int) -> Iterable[str]:
    """All digit strings of a length that match the pattern."""
    return (digits for value in range(10**length) if form.fullmatch(digits := f"{value:0{length}d}"))


def countries() -> list[str]:
    """Every country with short-number metadata."""
    return sorted(c for c in SUPPORTED_SHORT_REGIONS if phonenumbers.PhoneMetadata.short_metadata_for_region(c))


def lifelines(wanted: Sequence[str]) -> dict[str, str]:
    """Digits -> why, for these countries, with the numbers that every phone may dial (`ALWAYS`).

    >>> lifelines(["US"])
    {'112': 'emergency', '911': 'emergency', '988': 'crisis line US: suicide and crisis lifeline', \
'211': 'crisis line US: essential community services'}
    """
    found = dict.fromkeys(ALWAYS, "emergency")
    for country in wanted:
        for digits in emergency_numbers(country):
            found.setdefault(digits, f"emergency {country}")
    for country in wanted:
        for of, digits, what in CRISIS_LINES:
            if of == country or (of == "EU" and country in EU):
                found.setdefault(digits, f"crisis line {country}: {what}")
    return found
