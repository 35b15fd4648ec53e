"""The risk of a destination, from the `phonenumbers` metadata: a weight on money, never a finding by itself."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

ORDINARY, SHARED_COST, UNALLOCATED, SATELLITE, PREMIUM = "ordinary", "shared cost", "unallocated", "satellite", "premium"

WEIGHTS = {ORDINARY: 1.0, SHARED_COST: 2.0, UNALLOCATED: 3.0, SATELLITE: 4.0, PREMIUM: 6.0}

SATELLITE_CODES = frozenset({870, 881, 882, 883})
"""Inmarsat, the global mobile satellite system, and the two international network codes (ITU-T E.164, list of assigned codes)."""


class Risk(NamedTuple):
    """What a destination is, where (ISO country, "001" for global services), and the weight of money spent there."""

    kind: str
    country: str
    weight: float


@lru_cache(maxsize=262_144)
def risk_of(b_number: str) -> Risk:
    """The risk of E.164 digits; short and empty numbers are ordinary.

    >>> risk_of("431234567").kind, risk_of("881612345678").kind, risk_of("37190012345").kind, risk_of("").kind
    ('ordinary', 'satellite', 'premium', 'ordinary')
    >>> risk_of("18765551234").country, risk_of("12125551234").country, risk_of("77012345678").country, risk_of("447911123456").country
    ('JM', 'US', 'KZ', 'GB')
    """
    if len(b_number) < 7:
        return Risk(ORDINARY, "", WEIGHTS[ORDINARY])
    code = next((int(b_number[:n]) for n in (1, 2, 3) if int(b_number[:n]) in COUNTRY_CODE_TO_REGION_CODE), 0)
    if not code:
        return Risk(UNALLOCATED, "", WEIGHTS[UNALLOCATED])
    national = b_number[len(str(code)) :]
    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    kind, where = UNALLOCATED, regions[0]
    for region in _regions_of(code, national[: LEADING.get(code, 2)]) or regions:
        general, premium, shared = _patterns(region, code)
        if general is None or not general.fullmatch(national):
            continue
        if premium and premium.fullmatch(national):
            kind, where = PREMIUM, region
        elif shared and shared.fullmatch(national):
            kind, where = SHARED_COST, region
        else:
            kind, where = ORDINARY, region
        break
    if code in SATELLITE_CODES:
        kind = SATELLITE
    return Risk(kind, where, WEIGHTS[kind])


LEADING = {1: 4, 39: 5, 44: 5}
"""So many digits behind a shared country code tell the country, 2 of other codes: 264 of +1 is Anguilla."""


@lru_cache(maxsize=65_536)
def _regions_of(code: int, leading: str) -> tuple[str, ...]:
    """Of the countries that share a code, the one that these digits belong to; () = the digits do not tell.

    >>> _regions_of(1, "2642"), _regions_of(1, "2125"), _regions_of(7, "70"), _regions_of(43, "66")
    (('AI',), (), ('KZ',), ())
    """
    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    if len(regions) == 1:
        return ()
    found = []
    for region in regions:
        data = PhoneMetadata.metadata_for_region(region, None)
        if data is not None and data.leading_digits and re.match(data.leading_digits, leading):
            found.append(region)
    return tuple(found[:1])


@lru_cache(maxsize=1024)
def _patterns(region: str, code: int) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None, re.Pattern[str] | None]:
    data = (
        PhoneMetadata.metadata_for_nongeo_region(code, None)
        if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
        else PhoneMetadata.metadata_for_region(region, None)
    )
    if data is None:
        return None, None, None

    def compiled(part: object) -> re.Pattern[str] | None:
        pattern = getattr(part, "national_number_pattern", None)
        return re.compile(pattern) if pattern and pattern != "NA" else None

    return compiled(data.general_desc), compiled(data.premium_rate), compiled(data.shared_cost)
