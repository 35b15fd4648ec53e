"""What a called number is, for people: its country and kind, from the `phonenumbers` metadata. Asked for findings alone, never per row."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumber, PhoneNumberType
from phonenumbers.geodata.locale import LOCALE_DATA

from core.numbers import E164_KINDS

WORLD = {
    "800": "international freephone", "808": "international shared cost", "870": "Inmarsat satellite", "878": "universal personal numbers",
    "881": "satellite", "882": "international networks", "883": "international networks", "888": "disaster relief",
    "979": "international premium rate",
}  # fmt: skip
"""Codes that belong to no country (ITU-T E.164, list of assigned codes)."""

KINDS = {
    PhoneNumberType.FIXED_LINE: "fixed line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed line or mobile",
    PhoneNumberType.TOLL_FREE: "freephone",
    PhoneNumberType.PREMIUM_RATE: "premium rate",
    PhoneNumberType.SHARED_COST: "shared cost",
    PhoneNumberType.VOIP: "internet telephony",
    PhoneNumberType.PERSONAL_NUMBER: "personal numbers",
    PhoneNumberType.PAGER: "pagers",
    PhoneNumberType.UAN: "company numbers",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
UNALLOCATED = "unallocated"
"""The numbering data has no such number: often one that was made up, or taken over, to be called for money."""

OTHER_KINDS = {"short": "short numbers", "emergency": "emergency numbers", "service": "service numbers", "withheld": "no number",
               "alpha": "names instead of numbers", "invalid": "numbers that cannot be read", "": "no number"}  # fmt: skip
"""Of what is no E.164 number."""


class Destination(NamedTuple):
    """Country calling code, ISO country ("" = none), its name in English, and the kind of number."""

    code: str
    country: str
    name: str
    kind: str


@lru_cache(maxsize=65_536)
def destination(b_number: str, b_kind: str = "e164") -> Destination:
    """What a called number is.

    >>> destination("37190012345"), destination("12425551234")[1:]
    (Destination(code='371', country='LV', name='Latvia', kind='premium rate'), ('BS', 'Bahamas', 'unallocated'))
    >>> destination("882131234567"), destination("112", "emergency").kind, destination("", "invalid").kind
    (Destination(code='882', country='', name='', kind='international networks'), 'emergency numbers', 'numbers that cannot be read')
    """
    if b_kind not in E164_KINDS or not b_number:
        return Destination("", "", "", OTHER_KINDS.get(b_kind, b_kind))
    code = next((b_number[:n] for n in (1, 2, 3) if int(b_number[:n]) in COUNTRY_CODE_TO_REGION_CODE), "")
    if not code:
        return Destination("", "", "", f"{UNALLOCATED} country code")
    if code in WORLD:
        return Destination(code, "", "", WORLD[code])
    number = PhoneNumber(country_code=int(code), national_number=int(b_number[len(code) :] or 0))
    kind = KINDS.get(phonenumbers.number_type(number), UNALLOCATED)
    regions = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    country = phonenumbers.region_code_for_number(number) or (regions[0] if len(regions) == 1 else "")
    return Destination(code, country, country_name(country) if country else shared_name(code, regions), kind)


def prefix_destination(prefix: str) -> Destination:
    """What is known of leading digits alone: the country of their code, no kind of number.

    >>> prefix_destination("88213").kind, prefix_destination("371").name, prefix_destination("3"), prefix_destination("1242").name
    ('international networks', 'Latvia', Destination(code='', country='', name='', kind=''), 'United States and others')
    """
    code = next((prefix[:n] for n in (1, 2, 3) if int(prefix[:n]) in COUNTRY_CODE_TO_REGION_CODE), "") if prefix else ""
    if not code:
        return Destination("", "", "", "")
    if code in WORLD:
        return Destination(code, "", "", WORLD[code])
    regions = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    alone = regions[0] if len(regions) == 1 else ""
    return Destination(code, alone, country_name(alone) if alone else shared_name(code, regions), "")


def country_name(country: str) -> str:
    """A country in English; its ISO code where the data has no name.

    >>> country_name("MV"), country_name("GB"), country_name("ZZ")
    ('Maldives', 'United Kingdom', 'ZZ')
    """
    names = LOCALE_DATA.get(country, {})
    name = str(names.get("en", country))
    return str(names[name[1:]]) if name.startswith("*") else name  # it is the name of another language


def shared_name(code: str, regions: tuple[str, ...]) -> str:
    """Of a code that several countries share, where the number tells no further: the first of them is the largest.

    >>> shared_name("1", ("US", "AG", "AI")), shared_name("44", ("GB", "GG", "IM", "JE"))
    ('United States and others', 'United Kingdom and others')
    """
    return f"{country_name(regions[0])} and others" if regions else f"country code {code}"
