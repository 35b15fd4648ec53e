"""What a column's heading says that the column means, in the words of carriers' rate sheets."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Said(NamedTuple):
    """A field that a heading may mean, and how sure that is: a column goes to the field that is surest."""

    field: str
    weight: int


_INCREMENT = r"(?:increment|interval|period|block|charge|billing|duration|sec|s\b|takt|unit)"
WORDS: tuple[tuple[str, str, int], ...] = (
    ("country_code", r"^(?:cc|country ?code|land(?:es)?(?:kennzahl|vorwahl|code)|codigo (?:de )?pais|indicatif pays|country dial(?:ing)? ?code)s?$", 9),
    ("city_code", r"^(?:(?:city|area|region|local|national|operator|sub|ndc|npa|ortsnetz)[ -]*(?:codes?|kennzahl|vorwahl|prefix(?:es)?)|ndcs?|ac|subcodes?)$", 9),
    ("city_code", r"\b(?:city|area) ?codes?\b", 7),
    ("prefix", r"^(?:dial(?:l?ing|led)? ?)?(?:codes?|prefix(?:es)?|digits)$", 8),
    ("prefix", r"\bdial(?:l?ing|led)? ?(?:codes?|prefix(?:es)?|digits)\b|\b(?:destination|breakout|e ?164|number|numbering) (?:codes?|prefix(?:es)?|ranges?)\b", 9),
    ("prefix", r"\b(?:vorwahl(?:en)?|kennzahl(?:en)?|prefijos?|prefixes|codigos?|indicatifs?|rufnummernbereich|dialcodes?|prefix)\b", 7),
    ("prefix", r"\bcodes?\b", 4),
    ("price_per_min", r"^new (?:rate|price|tariff)\b|^neuer (?:preis|tarif)\b", 11),
    ("price_per_min", r"\b(?:rate|price|tariff|preis|tarifa?|precio|prix|cost|tarif|minutenpreis)\b", 8),
    ("price_per_min", r"(?:/|per |pro |por )\s*min(?:ute?|uto)?\b|\b(?:ppm|rpm)\b", 8),
    ("connect_fee", r"\b(?:connect(?:ion)?|set ?up|call set ?up|verbindungsentgelt)\b(?!.*\bdate\b)", 10),
    ("attempt_fee", r"\battempts?\b", 11),
    ("increments", r"^(?:billing )?(?:increments?|intervals?|terms|rounding|pulse|taktung|takt|blocks?)\b|\b(?:billing|charging|rate) (?:increments?|intervals?|terms)\b|\btakt(?:ung)?\b|\bminimum ?/ ?increment\b", 9),
    ("first_s", rf"\b(?:first|initial|minimum|min|1st|erste[rs]?|mindest\w*)\b.*{_INCREMENT}|^(?:minimum|min)$|^1st$", 10),
    ("next_s", rf"\b(?:next|subsequent|additional|following|second|2nd|weitere[rs]?|folge\w*)\b.*{_INCREMENT}|^(?:next|subsequent|additional)$", 10),
    ("effective_to", r"\b(?:valid|effective) (?:to|until|till|thru)\b|\b(?:end|expiry|expiration|expires|until|gultig bis|hasta)\b", 10),
    ("effective_from", r"\b(?:effective|valid|start|gultig ab|vigencia|vigente|wef|en vigueur|activation|eff)\b|^(?:from|date|ab|from date|datum|desde|since)$", 9),
    ("currency", r"^(?:currency|curr?|ccy|wahrung|waehrung|devise|moneda)$", 12),
    ("change", r"\b(?:change|status|movement|indicator|action|anderung|cambio|evolution|trend)\b|^(?:remarks?|comments?|notes?|type)$", 6),
    ("destination", r"^(?:destinations?|destination name|countries|country|zone|ziel|land|pays|pais|destino|name|description|network|location|area|region|country ?/ ?destination)\b(?!.*\bcode)", 7),
    ("destination", r"\b(?:destination|country|zone|network|operator|breakout)\b.*\bname\b|\bdestination\b", 6),
)  # fmt: skip

OLD = re.compile(r"\b(?:old|previous|prior|current|present|last|alte?r?|bisher\w*|anterior|former)\b")
OTHER_PRICE = re.compile(r"\b(?:off ?peak|peak|weekend|night|evening|day|flash|economy|inter ?state|intra ?state|indeterminate|local|%|percent|difference|diff|delta|change)\b")


def plain(heading: str) -> str:
    """A heading without accents, capitals and marks.

    >>> plain("Gültig_ab:"), plain("Rate (USD/Min)")
    ('gultig ab', 'rate usd/min')
    """
    text = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().casefold()
    return " ".join(re.sub(r"[^a-z0-9/%]+", " ", text).split())


def said(heading: str) -> list[Said]:
    """What a heading may mean, the surest first.

    >>> said("Rate (USD/Min)")[0].field, said("Effective Date")[0].field, said("Area Code")[0].field, said("Remarks")[0].field
    ('price_per_min', 'effective_from', 'city_code', 'change')
    >>> said("Billing Increments")[0].field, said("First interval (s)")[0].field, said("Landeskennzahl")[0].field, said("Fax")
    ('increments', 'first_s', 'country_code', [])
    """
    text = plain(heading)
    found: dict[str, int] = {}
    for field, pattern, weight in WORDS:
        if re.search(pattern, text):
            found[field] = max(found.get(field, 0), weight)
    if "price_per_min" in found:
        if OLD.search(text):
            found["price_per_min"] -= 6
        if OTHER_PRICE.search(text):
            found["price_per_min"] -= 3
    if any(field in found for field in ("connect_fee", "attempt_fee", "first_s", "next_s", "increments", "effective_from", "effective_to")):
        found.pop("price_per_min", None)  # "Rate effective from", "Setup charge"
    return sorted((Said(field, weight) for field, weight in found.items() if weight > 0), key=lambda one: -one.weight)
