"""Numbering plans: the country of an E.164 number, and whether it can be a subscriber's line. Pure; the tables are data.

The same tables are compiled into the script of a switch (`switches/kamailio/tables.py`), so that both interpret a number alike.
"""

from __future__ import annotations

import phonenumbers

from core.numbering_data import NANP, NATIONAL_PREFIXES, PREMIUM, SHORT_CODES, WORLD_CODES, ZERO_FIRST

_PREFIX_OF = {code: prefix for prefix, codes in NATIONAL_PREFIXES.items() for code in codes.split()}
_AREAS = {area: country for country, areas in NANP.items() for area in areas.split()}
_PREMIUM = {code: tuple(prefixes.split()) for code, prefixes in PREMIUM.items()}


def country_code(digits: str) -> str:
    """The country code that E.164 digits begin with.

    >>> country_code("431234567"), country_code("12125551212"), country_code("3531234567")
    ('43', '1', '353')
    """
    for length in (1, 2):
        if digits[:length] in SHORT_CODES:
            return digits[:length]
    return digits[:3]


def country(digits: str) -> str:
    """The country of a number: its country code, or for +1 and +7, which several countries share, its ISO 3166 name. "" = none.

    >>> country("431234567"), country("12125551212"), country("18765551212"), country("77012345678"), country("88213123")
    ('43', 'US', 'JM', 'KZ', '')
    """
    code = country_code(digits)
    if code == "1":
        return _AREAS.get(digits[1:4], "")
    if code == "7":
        return "KZ" if digits[1:2] in ("6", "7") else "RU"
    return "" if code in WORLD_CODES else code


def prefixes_of(country: str) -> tuple[str, ...]:
    """The digits with which the numbers of a country (ISO 3166) begin; () where it has no code of its own and is no country of +1 and +7.

    >>> prefixes_of("LV"), prefixes_of("JM"), len(prefixes_of("CA")) > 30, prefixes_of("KZ"), prefixes_of("XX")
    (('371',), ('1658', '1876'), True, ('76', '77'), ())
    """
    if country in NANP:
        return tuple(f"1{area}" for area in NANP[country].split())
    if country in ("RU", "KZ"):
        return ("76", "77") if country == "KZ" else tuple(f"7{digit}" for digit in "1234589")
    code = phonenumbers.country_code_for_region(country)
    main = phonenumbers.region_code_for_country_code(code) if code else ""
    return (str(code),) if main == country else ()


def is_line(digits: str) -> bool:
    """Whether a number can be a subscriber's line: of a country, and neither premium rate nor shared cost.

    >>> is_line("431234567"), is_line("43900123456"), is_line("19005551212"), is_line("979123456789"), is_line("")
    (True, False, False, False, False)
    """
    code = country_code(digits)
    return bool(digits) and bool(country(digits)) and not digits[len(code) :].startswith(_PREMIUM.get(code, ("-",)))





def without_trunk_zero(digits: str) -> str:
    """E.164 digits without trunk zeros after the country code; where national numbers may begin with 0 they stay.

    >>> without_trunk_zero("430664123"), without_trunk_zero("390612345"), without_trunk_zero("4400207946")
    ('43664123', '390612345', '44207946')
    """
    code = country_code(digits)
    rest = digits[len(code) :]
    if rest[:1] != "0" or not drops_trunk_zero(code):
        return digits
    return code + rest.lstrip("0")


def drops_trunk_zero(code: str) -> bool:
    """Whether a 0 after a country code is a trunk prefix and not part of the number.

    >>> [drops_trunk_zero(code) for code in ("43", "34", "39", "1", "882")]
    [True, True, False, False, False]
    """
    return code not in WORLD_CODES and _PREFIX_OF.get(code, "" if code in ZERO_FIRST else "0") == "0"


def national_prefix(code: str) -> str:
    """The national prefix of a country, which people write as `(0)`, `(06)` or `(8)`; "" = none.

    >>> national_prefix("43"), national_prefix("36"), national_prefix("34")
    ('0', '06', '')
    """
    return _PREFIX_OF.get(code, "")
