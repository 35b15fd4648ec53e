"""The numbering tables of `core` as one Lua table, rendered beside the configuration for the switch's script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core import numbering
from core.numbering_data import NANP, PREMIUM, SHORT_CODES, WORLD_CODES
from core.numbers import CALLER_CODES, HIDING_CODES, INTERNATIONAL_PREFIXES, STAR_CODES


def lua() -> str:
    """`NUMBERING = {...}`. It has digits and country names alone, so that no text needs an escape.

    >>> lua().splitlines()[0]
    'NUMBERING = {'
    """
    codes = [str(n) for n in range(1, 1000)]
    areas = {area: country for country, of in NANP.items() for area in of.split()}
    callers = ", ".join(
        f'["{code}"] = {{ {", ".join(_quoted(of.digits))}, bare = {of.bare} }}' for code, of in CALLER_CODES.items()
    )
    parts = {
        "short_codes": _set(SHORT_CODES),
        "world_codes": _set(WORLD_CODES),
        "zero_dropped": _set(code for code in codes if code == numbering.country_code(code) and numbering.drops_trunk_zero(code)),
        "national_prefix": _map({code: numbering.national_prefix(code) for code in codes if numbering.national_prefix(code)}),
        "areas": _map(areas),
        "premium": "{ " + ", ".join(f'["{code}"] = {{ {", ".join(_quoted(of.split()))} }}' for code, of in PREMIUM.items()) + " }",
        "star_codes": _set(STAR_CODES),
        "hiding": _set(HIDING_CODES),
        "caller_codes": f"{{ {callers} }}",
        "international": "{ " + ", ".join(_quoted(INTERNATIONAL_PREFIXES)) + " }",
    }
    return "NUMBERING = {\n" + "".join(f"  {name} = {text},\n" for name, text in parts.items()) + "}\n"


def _quoted(words: Iterable[str]) -> list[str]:
    return [f'"{word}"' for word in words]


def _set(words: Iterable[str]) -> str:
    return "{ " + ", ".join(f'["{word}"] = true' for word in sorted(words)) + " }"


def _map(words: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f'["{word}"] = "{value}"' for word, value in sorted(words.items())) + " }"
