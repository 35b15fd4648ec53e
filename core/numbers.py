"""Numbers: what a raw number means on the trunk that it came from.

A dial plan is a table, and pure: the same rows compile into the switch's own tables.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
import polars as pl

Kind = Literal["e164", "national", "short", "emergency", "service", "withheld", "alpha", "invalid"]


class Number(NamedTuple):
    """E.164 digits without `+` (or the short digits as dialled) and what they are. Not a number: digits is ""."""

    digits: str
    kind: Kind


class DialPlan(msgspec.Struct, frozen=True, omit_defaults=True, cache_hash=True):
    """How a trunk writes numbers.

    `tech_prefixes` are stripped first (longest wins). A number that then starts with `international_prefix` (00, 011, 810 ...) or `+`
    is international; one that starts with `trunk_prefix` (0) is national and gets `country_code`; the digits of `emergency`, `service`
    and `short_max` digits or fewer are short; the rest is E.164 when `bare_is_e164`, else national (subscriber) with `country_code`.
    """

    name: str = "e164"
    country_code: str = ""
    international_prefix: str = "00"
    trunk_prefix: str = ""
    tech_prefixes: tuple[str, ...] = ()
    bare_is_e164: bool = True
    short_max: int = 6
    emergency: tuple[str, ...] = ("112", "911", "999")
    service: tuple[str, ...] = ()


_WITHHELD = frozenset({"anonymous", "restricted", "withheld", "unavailable", "unknown", "private", "asserted", "privacy"})
_VISUAL = str.maketrans("", "", " -.()/\t")


@lru_cache(maxsize=262_144)
def normalise(raw: str, plan: DialPlan) -> Number:
    """The number that a raw one means under a dial plan. Never raises: what is no number is `invalid`.

    >>> at = DialPlan(country_code="43", trunk_prefix="0", tech_prefixes=("7001#",))
    >>> normalise("0043 1 234567", at), normalise("01234567", at), normalise("7001#+431234567", at)
    (Number(digits='431234567', kind='e164'), Number(digits='431234567', kind='national'), Number(digits='431234567', kind='e164'))
    >>> normalise("112", at), normalise("anonymous", at), normalise("", at), normalise("ACME Bank", at), normalise("12%41", at)
    (Number(digits='112', kind='emergency'), Number(digits='', kind='withheld'), Number(digits='', kind='withheld'), \
Number(digits='', kind='alpha'), Number(digits='', kind='invalid'))
    """
    text = raw.strip()
    if text.lower().startswith(("sip:", "sips:", "tel:")):
        text = text.partition(":")[2]
    text = text.partition("@")[0].partition(";")[0].translate(_VISUAL)
    if not text or text.lower() in _WITHHELD:
        return Number("", "withheld")
    for tech in sorted(plan.tech_prefixes, key=len, reverse=True):
        if text.startswith(tech) and len(text) > len(tech):
            text = text[len(tech) :]
            break
    plus = text.startswith("+")
    digits = text[1:] if plus else text
    if not (digits.isascii() and digits.isdigit()):
        letters = sum(c.isalpha() for c in digits)
        alpha = letters and all(c.isalnum() or c in "_&'!" for c in digits)
        return Number("", "alpha" if alpha else "invalid")
    if not plus:
        if digits in plan.emergency:
            return Number(digits, "emergency")
        if digits in plan.service:
            return Number(digits, "service")
        if len(digits) <= plan.short_max:
            return Number(digits, "short")
        if plan.international_prefix and digits.startswith(plan.international_prefix):
            return _e164(digits[len(plan.international_prefix) :], "e164")
        if plan.trunk_prefix and digits.startswith(plan.trunk_prefix):
            return _e164(plan.country_code + digits[len(plan.trunk_prefix) :], "national")
        if not plan.bare_is_e164:
            return _e164(plan.country_code + digits, "national")
    return _e164(digits, "e164")


def _e164(digits: str, kind: Kind) -> Number:
    """E.164 (clause 6): at most 15 digits, and no country code starts with 0."""
    if not 7 <= len(digits) <= 15 or digits[0] == "0":
        return Number("", "invalid")
    return Number(digits, kind)


def number(frame: pl.DataFrame, plans: list[DialPlan]) -> pl.DataFrame:
    """Add `a_number`, `a_kind`, `b_number`, `b_kind` to decoded records; `plans` has the dial plan of each row.

    `a_raw` is what the switch took for the caller: P-Asserted-Identity where the trunk sends one, else From (RFC 3325).
    """
    columns: dict[str, list[str]] = {"a_number": [], "a_kind": [], "b_number": [], "b_kind": []}
    a_digits, a_kinds, b_digits, b_kinds = columns.values()
    for a_raw, b_raw, plan in zip(frame["a_raw"].to_list(), frame["b_raw"].to_list(), plans, strict=True):
        a, b = normalise(a_raw, plan), normalise(b_raw, plan)
        a_digits.append(a.digits)
        a_kinds.append(a.kind)
        b_digits.append(b.digits)
        b_kinds.append(b.kind if b_raw else "")
    return frame.with_columns(*(pl.Series(name, values, dtype=pl.String) for name, values in columns.items()))
