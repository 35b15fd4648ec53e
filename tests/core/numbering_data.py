"""Writes `core/numbering_data.py` from the metadata of `phonenumbers`; a test holds the file to it.

`python tests/core/numbering_data.py` writes the file again, after the library has moved.
"""

from __future__ import annotations

import re._parser as patterns
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE as REGIONS
from phonenumbers.geocoder import _region_display_name
from phonenumbers.phonemetadata import PhoneMetadata

TARGET = Path(__file__).parents[2] / "core" / "numbering_data.py"
DEPTH = 6
"""Digits behind the country code to which a prefix is told apart."""


def beginnings(pattern: str, depth: int = DEPTH) -> set[str]:
    """Every prefix, of at most so many digits, with which a match of the pattern may begin; shorter where any digit may follow."""
    return {prefix for prefix, _ in _expand(patterns.parse(pattern), depth)}


def _expand(parts: Iterable[Any], depth: int) -> set[tuple[str, bool]]:
    found = {("", True)}
    for part in parts:
        longer = set()
        for prefix, is_open in found:
            if not is_open or len(prefix) >= depth:
                longer.add((prefix, False))
            else:
                longer |= {(prefix + more, still) for more, still in _expand_one(part, depth - len(prefix))}
        found = longer
    return found


def _expand_one(part: Any, depth: int) -> set[tuple[str, bool]]:
    kind, value = str(part[0]), part[1]
    if kind == "LITERAL":
        return {(chr(value), True)}
    if kind == "IN":
        digits: set[str] = set()
        for inner, said in value:
            if str(inner) == "LITERAL":
                digits.add(chr(said))
            elif str(inner) == "RANGE":
                digits |= {chr(code) for code in range(said[0], said[1] + 1)}
            else:
                digits |= set("0123456789")
        return {("", False)} if len(digits) == 10 else {(digit, True) for digit in digits}
    if kind == "BRANCH":
        return {one for branch in value[1] for one in _expand(branch, depth)}
    if kind == "SUBPATTERN":
        return _expand(value[3], depth)
    if kind == "MAX_REPEAT":
        low, high, inner = value
        found = {("", True)} if low == 0 else set()
        for times in range(max(low, 1), max(low, 1, min(int(high), depth)) + 1):
            found |= _expand(list(inner) * times, depth)
        return found
    raise ValueError(f"{kind} in a pattern is not read")


def shortest(prefixes: Iterable[str]) -> list[str]:
    """Without those that a shorter one covers; ten neighbours are their common prefix."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    for parent in sorted({prefix[:-1] for prefix in kept if prefix}, key=len, reverse=True):
        if all(parent + digit in kept for digit in "0123456789"):
            return shortest([prefix for prefix in kept if prefix[:-1] != parent] + [parent])
    return kept


def metadata(country_code: int) -> list[PhoneMetadata]:
    return [PhoneMetadata.metadata_for_region(region) for region in REGIONS[country_code]]


def countries() -> list[int]:
    return [code for code, regions in sorted(REGIONS.items()) if regions != ("001",)]


def zero_first() -> list[str]:
    """Countries where a number in full may begin with 0 behind the country code."""
    return [
        str(code) for code in countries()
        if any("0" in {p[:1] for p in beginnings(m.general_desc.national_number_pattern, 1)} for m in metadata(code))
    ]  # fmt: skip


def national_prefixes() -> dict[str, str]:
    found = {}
    for code in countries():
        prefix = metadata(code)[0].national_prefix
        if prefix:
            found[str(code)] = prefix
    return found


def premium() -> dict[str, list[str]]:
    """Premium-rate and shared-cost numbers, by country code."""
    found = {}
    for code in countries():
        prefixes: set[str] = set()
        for m in metadata(code):
            for desc in (m.premium_rate, m.shared_cost):
                if desc is not None and desc.national_number_pattern:
                    prefixes |= beginnings(desc.national_number_pattern)
        if prefixes:
            found[str(code)] = shortest(prefixes)
    return found


def nanp() -> dict[str, list[str]]:
    """Area codes of +1 by the country that they belong to."""
    found: dict[str, list[str]] = {}
    for area in range(200, 1000):
        for line in ("2345678", "5550123", "2200000"):
            region = phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}{line}"))
            if region:
                found.setdefault(region, []).append(str(area))
                break
    return dict(sorted(found.items()))


def _words(name: str, words: Sequence[str], what: str) -> str:
    lines = "\n".join(f'    "{line} "' for line in wrap(" ".join(words), 110))
    return f'{name} = frozenset((\n{lines}\n).split())\n"""{what}"""\n'


def _table(name: str, table: dict[str, list[str]], what: str) -> str:
    rows = []
    for key, values in table.items():
        lines = wrap(" ".join(values), 110)
        if len(lines) == 1:
            rows.append(f'    "{key}": "{lines[0]}",')
        else:
            rows.append(f'    "{key}": (\n' + "\n".join(f'        "{line} "' for line in lines) + "\n    ),")
    body = "\n".join(rows)
    return f'{name} = {{\n{body}\n}}\n"""{what}"""\n'


def country_names() -> dict[str, str]:
    """Country code -> the English name of its (first) country."""
    names = {"800": "international freephone", "808": "shared cost", "870": "Inmarsat", "878": "universal personal numbers", "979": "premium rate"}
    named = {"881": "satellite", "882": "international networks", "883": "international networks", "888": "disaster relief"}
    found = {}
    for code, regions in sorted(REGIONS.items()):
        region = regions[0]
        found[str(code)] = _region_display_name(region, "en") if region != "001" else {**names, **named}.get(str(code), "")
    return found


def _names(name: str, values: dict[str, str], what: str) -> str:
    body = "\n".join(f'    "{key}": "{value}",' for key, value in values.items())
    return f'{name} = {{\n{body}\n}}\n"""{what}"""\n'


def text() -> str:
    codes = [str(code) for code in sorted(REGIONS) if len(str(code)) < 3]
    world = [str(code) for code, regions in sorted(REGIONS.items()) if regions == ("001",)]
    prefixes: dict[str, list[str]] = {}
    for code, prefix in national_prefixes().items():
        prefixes.setdefault(prefix, []).append(code)
    return "\n".join(
        [
            '"""Numbering data, made by `tests/core/numbering_data.py` from the metadata of phonenumbers '
            f'{phonenumbers.__version__}. Not written by hand."""\n\nfrom __future__ import annotations\n',
            _words("SHORT_CODES", codes, "Country codes of one and two digits; all others have three."),
            _words("WORLD_CODES", world, "Country codes that the world shares: satellite, freephone, premium rate, networks."),
            _words("ZERO_FIRST", zero_first(), "Countries where a number in full may begin with 0 behind the country code."),
            _table("NATIONAL_PREFIXES", prefixes, "What is dialled before a national number -> country codes."),
            _table("NANP", nanp(), "Country -> its area codes behind +1."),
            _names("COUNTRY_CODES", country_names(), "Every country code that is given out -> the name of its first country, or of its network."),
            _table("PREMIUM", premium(), "Country code -> what premium-rate and shared-cost numbers begin with behind it."),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    TARGET.write_text(text())
