"""What stands in a cell of dial codes: one code, a list, a range, with + or 00 before them."""

from __future__ import annotations

import re
from typing import Literal

MOST_CODES = 10_000
"""Codes that one cell may stand for."""
LIST = re.compile(r"[,;|/&\s]+|\band\b|\bund\b")
DASH = re.compile(r"\s*(?:-|\u2013|\u2014|\u2212|\bto\b|\bbis\b|\.\.)\s*")
THROUGH_A_FLOAT = re.compile(r"\+?\d+(?:[.,]\d+)?[eE][+-]?\d+", re.ASCII)


class BadCode(ValueError):
    """A cell that names no codes: `what` it is and what to `do`."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}: {do}")
        self.what, self.do = what, do


def codes_of(cell: str, country: str = "", dash: Literal["range", "group"] = "range") -> list[str]:
    """The codes in a cell, in their order, each with its country code. `country`: the country code, where it has a column of its own.

    >>> codes_of("4477-4479, 44 7911"), codes_of("+43;0049")
    (['4477', '4478', '4479', '44', '7911'], ['43', '49'])
    >>> codes_of("20, 161-162", country="44"), codes_of("", country="44"), codes_of("1-204", dash="group")
    (['4420', '44161', '44162'], ['44'], ['1204'])
    >>> codes_of("4.47E+11")
    Traceback (most recent call last):
    ...
    rating.offers.codes.BadCode: '4.47E+11' went through a float, and its last digits are lost: ask for a file with the codes as text
    """
    if cell.isascii() and cell.isdigit() and cell[0] != "0" and not country and len(cell) <= 15:
        return [cell]  # nearly all of them
    if THROUGH_A_FLOAT.fullmatch(cell.strip()):
        raise BadCode(f"{cell!r} went through a float, and its last digits are lost", "ask for a file with the codes as text")
    before = digits_of(country, "") if country else ""
    if not cell.strip():
        if not before:
            raise BadCode("the code is empty", "fill it, or take the row out")
        return [before]
    found: list[str] = []
    for item in LIST.split(_joined(DASH.sub("-", cell.strip()))):
        if not item:
            continue
        if "-" in item and dash == "group":
            item = item.replace("-", "")
        if "-" in item.strip("-"):
            found += _range(item, before)
        else:
            found.append(digits_of(item.rstrip("."), before))
        if len(found) > MOST_CODES:
            raise BadCode(f"{_cut(cell)} stands for more than {MOST_CODES:,} codes", "name the shorter prefix that they share, or split the row")
    if not found:
        raise BadCode(f"{_cut(cell)} has no code in it", "fill it, or take the row out")
    return found


def _joined(text: str) -> str:
    return text.replace(" -", "-").replace("- ", "-")


def _range(item: str, before: str) -> list[str]:
    parts = item.split("-")
    if len(parts) != 2:
        raise BadCode(f"{_cut(item)} has several dashes", "write ranges as 4477-4479, and commas between them")
    first, last = digits_of(parts[0], before), parts[1]
    if not (last.isascii() and last.isdigit()):
        last = digits_of(last, before)
    elif before:
        last = before + last if len(before + last) == len(first) else last
    if len(last) < len(first):  # 4477-79
        last = first[: len(first) - len(last)] + last
    if len(last) != len(first) or last < first:
        raise BadCode(
            f"{_cut(item)} is no range: {last} does not follow {first} with as many digits",
            "write both ends with the same number of digits; if the dash only parts digits, say dash: group in the mapping",
        )
    if int(last) - int(first) >= MOST_CODES:
        raise BadCode(f"{_cut(item)} stands for more than {MOST_CODES:,} codes", "name the shorter prefix that they share, or split the row")
    return [str(code) for code in range(int(first), int(last) + 1)]


def digits_of(text: str, before: str) -> str:
    """The digits of one code, 1 to 15, without + or 00; `before` is put in front unless the text begins as an international number does."""
    bare = text.strip().replace("(", "").replace(")", "")
    international = bare.startswith(("+", "00"))
    digits = bare.removeprefix("+")
    if THROUGH_A_FLOAT.fullmatch(digits):
        raise BadCode(f"{_cut(text)} went through a float, and its last digits are lost", "ask for a file with the codes as text")
    if not (digits.isascii() and digits.isdigit()):
        letters = re.sub(r"[\d+\s().-]", "", digits)
        if not letters and re.fullmatch(r"\d+[.]\d+", digits, re.ASCII):
            raise BadCode(f"{_cut(text)} has a point in it, so its last digits may be lost", "ask for a file with the codes as text")
        raise BadCode(f"{_cut(text)} has {_cut(letters or 'no digits')} in it", "a dial code is 1 to 15 digits")
    if international:
        digits = digits.lstrip("0")
    elif before:
        digits = before + digits
    if digits.startswith("0"):
        raise BadCode(f"{_cut(text)} begins with 0, as no number in E.164 does", "put the country code first, without the 0")
    if not 1 <= len(digits) <= 15:
        raise BadCode(f"{_cut(text)} has {len(digits)} digits", "a dial code is 1 to 15 digits")
    return digits


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
