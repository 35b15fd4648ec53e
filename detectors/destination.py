"""Country and kind of a called number for findings, from the `phonenumbers` metadata. Too slow to be called for every row."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumber, PhoneNumberType

from core.numbers import E164_KINDS

REGIONS = {str(code): regions for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
"""Country calling code -> the countries that share it, the main one first."""

WORLD = {
    "800": "international freephone", "808": "international shared cost", "870": "Inmarsat satellite", "878": "universal personal numbers",
    "881": "satellite", "882": "international networks", "883": "international networks", "888": "disaster relief",
    "979": "international premium rate",
}  # fmt: skip
"""Calling codes of no country (ITU-T E.164, list of assigned codes)."""

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
"""The numbering data has no such number: often it was made up, or hijacked, to collect termination fees."""

OTHER_KINDS = {"short": "short numbers", "emergency": "emergency numbers", "service": "service numbers", "withheld": "no number",
               "alpha": "names instead of numbers", "invalid": "numbers that cannot be read", "": "no number"}  # fmt: skip
"""The kinds of b_numbers that are not E.164 numbers."""


class Destination(NamedTuple):
    """Country calling code, ISO country ("" = none), its name in English, and the kind of number."""

    code: str
    country: str
    name: str
    kind: str


@lru_cache(maxsize=65_536)
def destination(b_number: str, b_kind: str = "e164") -> Destination:
    """Country and kind of a called number.

    >>> destination("37190012345"), destination("12425551234")[1:]
    (Destination(code='371', country='LV', name='Latvia', kind='premium rate'), ('BS', 'Bahamas', 'unallocated'))
    >>> destination("882131234567"), destination("112", "emergency").kind, destination("", "invalid").kind
    (Destination(code='882', country='', name='', kind='international networks'), 'emergency numbers', 'numbers that cannot be read')
    """
    if b_kind not in E164_KINDS or not b_number:
        return Destination("", "", "", OTHER_KINDS.get(b_kind, b_kind))
    by_code = prefix_destination(b_number)
    if not by_code.code:
        return Destination("", "", "", f"{UNALLOCATED} country code")
    if by_code.kind:
        return by_code
    number = PhoneNumber(country_code=int(by_code.code), national_number=int(b_number[len(by_code.code) :] or 0))
    kind = KINDS.get(phonenumbers.number_type(number), UNALLOCATED)
    country = phonenumbers.region_code_for_number(number) or ""
    return Destination(by_code.code, country, country_name(country) or by_code.name, kind)


def prefix_destination(prefix: str) -> Destination:
    """The destination of a prefix: the country of its calling code; a kind of number only where the code belongs to no country.

    >>> prefix_destination("88213").kind, prefix_destination("371").name, prefix_destination("3"), prefix_destination("1242").name
    ('international networks', 'Latvia', Destination(code='', country='', name='', kind=''), 'United States and others')
    """
    code = next((prefix[:n] for n in (1, 2, 3) if prefix[:n] in REGIONS), "")
    if not code or code in WORLD:
        return Destination(code, "", "", WORLD.get(code, ""))
    main, *others = REGIONS[code]
    if others:  # the digits do not say which of the countries that share the code it is
        return Destination(code, "", f"{country_name(main)} and others", "")
    return Destination(code, main, country_name(main), "")


def code_of(number: str) -> str:
    """The country calling code of E.164 digits; "" = there is none such.

    >>> code_of("4366012345"), code_of("18765551234"), code_of("99912345678"), code_of("")
    ('43', '1', '', '')
    """
    return _code_of(number[:3])


@lru_cache(maxsize=4096)
def _code_of(digits: str) -> str:
    return next((digits[:n] for n in (1, 2, 3) if digits[:n] in REGIONS), "")


def country_name(country: str) -> str:
    """The English name of a country; its ISO code where the data has no name.

    >>> country_name("MV"), country_name("GB"), country_name("ZZ")
    ('Maldives', 'United Kingdom', 'ZZ')
    """
    return _names().get(country, country)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Country -> its English name. The one file of names is loaded by itself: its package loads the places of all numbers, which nothing here
    asks for: 90 MB in each process."""
    spec = spec_from_file_location("phonenumbers.names.locale", Path(phonenumbers.__file__).parent / "geodata" / "locale.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {}
    for country, names in module.LOCALE_DATA.items():
        name = str(names.get("en", country))
        found[country] = str(names[name[1:]]) if name.startswith("*") else name  # "*fr": the same as the French name
    return found
