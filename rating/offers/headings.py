"""What a column's heading says that the column means, in the words of carriers' rate sheets."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from rating.offers.mapping import BY_STATE, MORE


class Meaning(NamedTuple):
    """A field that a heading may mean, and how sure that is: a column goes to the field that is surest."""

    field: str
    weight: int


_INCREMENT = r"(?:increment|interval|period|block|charge|billing|duration|sec|s\b|takt|unit)"
WORDS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    (
        "country_code", 9,
        (
            r"^(?:cc|country ?code|land(?:es)?(?:kennzahl|vorwahl|code)|codigo (?:de )?pais|indicatif pays)s?$",
            r"^country dial(?:ing)? ?codes?$",
        ),
    ),
    (
        "city_code", 9,
        (
            r"^(?:city|area|region|local|national|operator|sub|ndc|npa|ortsnetz)[ -]*(?:codes?|kennzahl|vorwahl|prefix(?:es)?)$",
            r"^(?:ndcs?|ac|subcodes?)$",
        ),
    ),
    ("city_code", 7, (r"\b(?:city|area) ?codes?\b",)),
    (
        "prefix", 9,
        (
            r"\bdial(?:l?ing|led)? ?(?:codes?|prefix(?:es)?|digits)\b",
            r"\b(?:destination|breakout|e ?164|number|numbering) (?:codes?|prefix(?:es)?|ranges?)\b",
        ),
    ),
    ("prefix", 8, (r"^(?:dial(?:l?ing|led)? ?)?(?:codes?|prefix(?:es)?|digits)$",)),
    ("prefix", 7, (r"\b(?:vorwahl(?:en)?|kennzahl(?:en)?|prefijos?|prefix(?:es)?|codigos?|indicatifs?|rufnummernbereich|dialcodes?)\b",)),
    ("prefix", 4, (r"\bcodes?\b",)),
    ("price_interstate", 12, (r"\binter ?state\b",)),
    ("price_intrastate", 12, (r"\bintra ?state\b",)),
    ("price_indeterminate", 12, (r"\bindeterminate\b",)),
    ("price_per_increment", 12, (r"\b(?:rate|price|tariff)(?: per | ?/ ?)(?:increment|pulse|unit)\b",)),
    ("origin", 12, (r"^orig(?:in(?:ation|ating)?)?(?: (?:dial )?(?:codes?|prefix(?:es)?|zones?|numbers?))?$",)),
    ("jurisdiction", 9, (r"^jurisdiction$",)),
    ("window", 9, (r"^(?:time )?(?:windows?|bands?)$",)),
    ("min_digits", 12, (r"^min(?:imum)? (?:digits|length)$",)),
    ("max_digits", 12, (r"^max(?:imum)? (?:digits|length)$",)),
    ("free_s", 12, (r"\bfree (?:seconds?|secs?)\b",)),
    ("grace_s", 12, (r"\bgrace\b",)),
    ("min_amount", 12, (r"^min(?:imum)? amount\b",)),
    ("max_amount", 12, (r"^max(?:imum)? amount\b|\bprice cap\b",)),
    ("surcharge", 12, (r"\bsurcharge\b(?!.*\b(?:after|from|seconds?)\b)",)),
    ("surcharge_after_s", 12, (r"\bsurcharge\b.*\b(?:after|from|seconds?)\b",)),
    ("price_per_min", 11, (r"^new (?:rate|price|tariff)\b", r"^neuer (?:preis|tarif)\b")),
    (
        "price_per_min", 8,
        (
            r"\b(?:rate|price|tariff|preis|tarifa?|precio|prix|cost|tarif|minutenpreis)\b",
            r"(?:/|per |pro |por )\s*min(?:ute?|uto)?\b|\b(?:ppm|rpm)\b",
        ),
    ),
    ("connect_fee", 10, (r"\b(?:connect(?:ion)?|set ?up|call set ?up|verbindungsentgelt)\b(?!.*\bdate\b)",)),
    ("attempt_fee", 11, (r"\battempts?\b",)),
    (
        "increments", 9,
        (
            r"^(?:billing )?(?:increments?|incr?|intervals?|terms|rounding|pulse|taktung|takt|blocks?)\b",
            r"\b(?:billing|charging|rate) (?:increments?|intervals?|terms)\b|\btakt(?:ung)?\b|\bminimum ?/ ?increment\b",
        ),
    ),
    ("first_s", 10, (rf"\b(?:first|initial|minimum|min|1st|erste[rs]?|mindest\w*)\b.*{_INCREMENT}", r"^(?:minimum|min|1st)$")),
    (
        "next_s", 10,
        (
            rf"\b(?:next|subsequent|additional|following|second|2nd|weitere[rs]?|folge\w*)\b.*{_INCREMENT}",
            r"^(?:next|subsequent|additional)$",
        ),
    ),
    (
        "effective_to", 10,
        (
            r"\b(?:valid|effective) (?:to|until|till|thru)\b",
            r"\b(?:end|expiry|expiration|expires|until|gultig bis|hasta)\b|^(?:to|till|bis|thru|to date)$",
        ),
    ),
    (
        "effective_from", 9,
        (
            r"\b(?:effective|valid|start|gultig ab|vigencia|vigente|wef|en vigueur|activation|eff)\b",
            r"^(?:from|date|ab|from date|datum|desde|since)$",
        ),
    ),
    ("currency", 12, (r"^(?:currency|curr?|ccy|wahrung|waehrung|devise|moneda)$",)),
    (
        "change", 6,
        (
            r"\b(?:change|status|movement|indicator|action|anderung|cambio|evolution|trend)\b",
            r"^(?:remarks?|comments?|notes?|type)$",
        ),
    ),
    (
        "destination", 7,
        (
            r"^(?:destinations?|destination name|countries|country|zone|network|location|area|region|country ?/ ?destination)\b(?!.*\bcode)",
            r"^(?:ziel|land|pays|pais|destino|name|description)\b(?!.*\bcode)",
        ),
    ),
    ("destination", 6, (r"\b(?:destination|country|zone|network|operator|breakout)\b.*\bname\b|\bdestination\b",)),
)  # fmt: skip
"""Field, weight, and what its heading matches."""

MORE_THAN_PRICES = {"connect_fee", "attempt_fee", "first_s", "next_s", "increments", "effective_from", "effective_to", *BY_STATE, *MORE}
OLD = re.compile(r"\b(?:old|previous|prior|current|present|last|alte?r?|bisher\w*|anterior|former)\b")
OTHER_PRICE = re.compile(
    r"\b(?:off ?peak|peak|weekend|night|evening|day|flash|economy|inter ?state|intra ?state|indeterminate|local)\b"
    r"|%|\b(?:percent|difference|diff|delta|change)\b"
)


def plain(heading: str) -> str:
    """A heading without accents, capitals and marks.

    >>> plain("Gültig_ab:"), plain("Rate (USD/Min)")
    ('gultig ab', 'rate usd/min')
    """
    text = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().casefold()
    return " ".join(re.sub(r"[^a-z0-9/%]+", " ", text).split())


def meanings(heading: str) -> list[Meaning]:
    """What a heading may mean, the surest first.

    >>> meanings("Rate (USD/Min)")[0].field, meanings("Effective Date")[0].field, meanings("Area Code")[0].field, meanings("Remarks")[0].field
    ('price_per_min', 'effective_from', 'city_code', 'change')
    >>> meanings("Billing Increments")[0].field, meanings("First interval (s)")[0].field, meanings("Landeskennzahl")[0].field, meanings("Fax")
    ('increments', 'first_s', 'country_code', [])
    """
    text = plain(heading)
    found: dict[str, int] = {}
    for field, weight, patterns in WORDS:
        if any(re.search(pattern, text) for pattern in patterns):
            found[field] = max(found.get(field, 0), weight)
    if (own := text.replace(" ", "_")) in MORE:
        found[own] = 13
    if "price_per_min" in found:
        if OLD.search(text):
            found["price_per_min"] -= 6
        if OTHER_PRICE.search(text):
            found["price_per_min"] -= 3
    if MORE_THAN_PRICES & found.keys():
        found.pop("price_per_min", None)  # "Rate effective from", "Setup charge"
    return sorted((Meaning(field, weight) for field, weight in found.items() if weight > 0), key=lambda one: -one.weight)
