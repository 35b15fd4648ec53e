"""Numbers: what a raw number means on the trunk that it came from.

Two questions, one reading. `normalise` says what a number means: that is priced, counted and sent on. `readings` says every number
that some lenient carrier could route the same text by: what is protected under any of them passes, and a text that means no
number is refused if a block stands for any of them.

A dial plan is a table, and pure: the same rows compile into the switch's own tables. `switches/kamailio/numbers.lua` is the twin of
this file; `tests/vectors/` holds the two together.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from core.numbering import country_code, national_prefix, without_trunk_zero

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["e164", "national", "short", "emergency", "service", "withheld", "alpha", "invalid"]

E164_KINDS: tuple[Kind, ...] = ("e164", "national")
"""Kinds whose digits are a whole E.164 number: they are priced by prefix, counted by number, and a block may name them."""


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
    tenant: str = ""  # whose plan this is; "" = every tenant's


class CallerCodes(NamedTuple):
    """What is dialled before a number to hide or to show the caller's own, in a country."""

    digits: tuple[str, ...]
    bare: int  # so many digits are a whole number there, where nothing is dialled before it


STAR_CODES = ("30", "31", "67", "70", "82")
"""Codes behind `*` or `#` that hide or show the caller's number, or switch call waiting off, for one call: 3GPP TS 22.030 (30, 31),
TR-NWT-000220 (67, 70, 82). Network operators strip them and route what follows."""

CALLER_CODES = {
    "1": CallerCodes(("1167", "1170", "1182"), 10),
    "33": CallerCodes(("3651",), 0),
    "34": CallerCodes(("067",), 9),
    "44": CallerCodes(("1470", "141"), 0),
    "61": CallerCodes(("1831", "1832"), 0),
    "64": CallerCodes(("0196", "0197"), 0),
    "81": CallerCodes(("184", "186"), 0),
    "353": CallerCodes(("141", "142"), 0),
    "852": CallerCodes(("1357", "133"), 8),
}
"""The same in digits alone, by country code: they count on a dial plan of that country, where a whole number follows."""

HIDING_CODES = ("31", "67", "1167", "3651", "067", "141", "1831", "0197", "184", "133")
"""Those that hide the caller's number. *31# and #31# mean opposite things from one network to the next: in doubt it is hidden."""

INTERNATIONAL_PREFIXES = ("0011", "011", "00", "810")
"""Prefixes that a lenient carrier may take for international, whatever the dial plan says: for `readings` alone."""

SHORT_MOST = 6
"""Digits of the longest short number that is looked for behind a country code."""

MOST_ZEROS = 4  # of 0 before a number that are taken off one by one: 000 is an emergency number
MOST_GROUPS = 6  # of digits between stars and hashes that are looked at

_WITHHELD = frozenset({"anonymous", "restricted", "withheld", "unavailable", "unknown", "private", "asserted", "privacy"})
_VISUAL = re.compile("[ \\-.()/\t\u00a0\u00ad\u2000-\u2015\u2028-\u202f\u2060-\u2064\u2212\u3000\ufeff]")
_OTHER_DIGITS = {zero + n: str(n) for zero in (0xFF10, 0x0660, 0x06F0) for n in range(10)} | {0xFF0B: "+"}
_NAME_ADDR = re.compile(r"<([^<>]*)>")
_SCHEME = re.compile(r"(?:sips?|tel):", re.IGNORECASE)
_CONTEXT = re.compile(r";phone-context=([^;>@?]*)", re.IGNORECASE)
_BRACKET = re.compile(r"(\+?[ \-./]*[0-9][0-9 \-./]*)\(([0-9]+)\)(.*)", re.DOTALL)
_FLOAT = re.compile(r"\+?[0-9]{7,}\.0+|[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+")
_BLANK = re.compile("[ \\-\t\r\n\v\f\x1c-\x1f\u00a0\u00ad\u2000-\u2015\u2028-\u202f\u2060-\u2064\u2212\u3000\ufeff]")
_STAR_CODE = re.compile(r"(?:[*#]{1,2}([0-9]{2})[*#]|\*([0-9]{2}))(?=[+0-9])")
_AFTER_DIAL = re.compile(r"(\+?[0-9]{2,})(?:[,;pPwW][0-9*#,;pPwW]*|[*#]+)")


class Unpacked(NamedTuple):
    """A raw number without its packing: scheme, name, host, escapes, separators. `context`: digits of a global phone-context."""

    text: str
    context: str
    is_float: bool  # a table program has read it as a number: its last digits may be anybody's
    whole: str  # the text with what stands in brackets


def unpacked(raw: str) -> Unpacked:
    """What was dialled, out of a URI, a header or a cell.

    >>> unpacked('"Bob" <tel:0664-12;phone-context=+43>;tag=1'), unpacked("sip:%2B43%201@host").text, unpacked("43664.0").text
    (Unpacked(text='066412', context='43', is_float=False, whole='066412'), '+431', '436640')
    """
    text = raw.strip()
    if found := _NAME_ADDR.findall(text):
        text = found[-1].strip()
    if scheme := _SCHEME.match(text):
        text = text[scheme.end() :]
    context = _CONTEXT.search(text)
    user, at, _ = text.partition("@")
    text = user.partition(":")[0] if at else text
    text = text.partition(";")[0].partition("?")[0]
    for _ in range(3):  # an escape of an escape is one too
        plain = _unescaped(text)
        if plain == text:
            break
        text = plain
    is_float = bool(_FLOAT.fullmatch(_BLANK.sub("", text)))
    given = _unescaped(context[1]) if context else ""
    digits = re.sub(r"[^0-9]", "", given) if given.startswith("+") else ""
    return Unpacked(_plain(_without_bracket(text)), digits, is_float, _plain(text))


def _plain(text: str) -> str:
    return _VISUAL.sub("", text).strip("\r\n\t\v\f")


def _unescaped(text: str) -> str:
    if "%" not in text:
        return text
    data = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode("utf-8", "surrogatepass"))
    return data.decode("utf-8", "replace")


def _without_bracket(text: str) -> str:
    """`+36 (06) 1 234` is +36 1 234: what is dialled before a national number stands in brackets there, and is no part of it."""
    found = _BRACKET.fullmatch(text)
    if not found:
        return text
    head = re.sub(r"[^0-9]", "", found[1])
    code = head if found[1].startswith("+") else head[2:] if head.startswith("00") else ""
    return found[1] + found[3] if code and code == country_code(code) and national_prefix(code) == found[2] else text


@lru_cache(maxsize=262_144)
def normalise(raw: str, plan: DialPlan) -> Number:
    """The number that a raw one means under a dial plan. Never raises: what is no number is `invalid`.

    >>> at = DialPlan(country_code="43", trunk_prefix="0", tech_prefixes=("7001#",))
    >>> normalise("0043 1 234567", at), normalise("01234567", at), normalise("7001#+431234567", at)
    (Number(digits='431234567', kind='e164'), Number(digits='431234567', kind='national'), Number(digits='431234567', kind='e164'))
    >>> normalise("*31#0664 1234567", at), normalise("tel:+43-(0)664-1234567", at)
    (Number(digits='436641234567', kind='national'), Number(digits='436641234567', kind='e164'))
    >>> normalise("112", at), normalise("anonymous", at), normalise("", at), normalise("ACME Bank", at), normalise("12%04", at)
    (Number(digits='112', kind='emergency'), Number(digits='', kind='withheld'), Number(digits='', kind='withheld'), \
Number(digits='', kind='alpha'), Number(digits='', kind='invalid'))
    """
    bare = Unpacked(raw, "", False, raw) if raw.isdigit() else unpacked(raw)
    if not bare.text or bare.text.lower() in _WITHHELD:
        return Number("", "withheld")
    if bare.is_float:
        return Number("", "invalid")
    text = _without_tech_prefix(bare.text, plan)
    if not text.isdigit() or plan.country_code in CALLER_CODES:
        text = _dialled(_without_caller_code(_dialled(text), plan))
    plus = text.startswith("+")
    digits = text[1:] if plus else text
    if not plus and plan.international_prefix and digits.startswith(plan.international_prefix + "+"):
        plus, digits = True, digits[len(plan.international_prefix) + 1 :]  # 00+43
    if not (digits.isascii() and digits.isdigit()):
        letters = any(c.isalpha() or c > "\x7f" for c in digits)
        alpha = letters and all(c.isalnum() or c in "_&'!" or c > "\x7f" for c in digits)
        return Number("", "alpha" if alpha else "invalid")
    if plus:
        if digits in plan.emergency:
            return Number(digits, "emergency")
        return _e164(digits.lstrip("0") if digits.startswith("00") else digits, "e164", plan)  # +0043
    if digits in plan.emergency:
        return Number(digits, "emergency")
    if digits in plan.service:
        return Number(digits, "service")
    if len(digits) <= plan.short_max:
        return Number(digits, "short")
    if plan.international_prefix and digits.startswith(plan.international_prefix):
        return _e164(digits[len(plan.international_prefix) :], "e164", plan)
    if bare.context:  # a local number belongs to its context (RFC 3966, clause 5.1.5)
        return _e164(without_trunk_zero(bare.context + digits), "e164", plan)
    if plan.trunk_prefix and digits.startswith(plan.trunk_prefix):
        return _e164(plan.country_code + digits[len(plan.trunk_prefix) :], "national", plan)
    if not plan.bare_is_e164:
        return _e164(plan.country_code + digits, "national", plan)
    return _e164(digits, "e164", plan)


def _e164(digits: str, kind: Kind, plan: DialPlan) -> Number:
    """E.164 (clause 6): at most 15 digits, and no country code starts with 0. A trunk zero behind the country code is dropped."""
    digits = without_trunk_zero(digits)
    if len(digits) < 10 and (short := digits[len(country_code(digits)) :]) in plan.emergency:
        return Number(short, "emergency")  # +43112, as a PBX writes that completes every number
    if not 7 <= len(digits) <= 15 or digits[0] == "0":
        return Number("", "invalid")
    return Number(digits, kind)


def _dialled(text: str) -> str:
    """Without what is sent as tones after the number, and without the end-of-dialling sign."""
    found = _AFTER_DIAL.fullmatch(text)
    return found[1] if found else text


def _without_tech_prefix(text: str, plan: DialPlan) -> str:
    for tech in sorted(plan.tech_prefixes, key=len, reverse=True):
        if text.startswith(tech) and len(text) > len(tech):
            return text[len(tech) :]
    return text


def _could_be_e164(text: str, plan: DialPlan) -> bool:
    """Whether a text without + may be a number in full, where such are dialled: then its beginning is no code. +1 has eleven digits."""
    return plan.bare_is_e164 and text.isdigit() and text[0] != "0" and len(text) == (11 if text[0] == "1" else len(text)) <= 11


def _without_caller_code(text: str, plan: DialPlan) -> str:
    """Without what is dialled to hide or show the caller's own number, where a number follows it."""
    for _ in range(3):
        found = _STAR_CODE.match(text)
        if not found or (found[1] or found[2]) not in STAR_CODES:
            break
        text = text[found.end() :]
    codes = CALLER_CODES.get(plan.country_code)
    if codes and text not in plan.emergency and text not in plan.service:
        for code in codes.digits:
            rest = text[len(code) :]
            begins = (plan.trunk_prefix if plan.trunk_prefix != "1" else "", plan.international_prefix, "+")
            whole = rest in plan.emergency or len(rest) == codes.bare or any(rest.startswith(b) for b in begins if b)
            if text.startswith(code) and rest and whole and not (_could_be_e164(text, plan) and rest not in plan.emergency):
                return rest
    return text


@lru_cache(maxsize=65_536)
def readings(raw: str, plan: DialPlan) -> tuple[str, ...]:
    """Every number that some lenient carrier could route a raw one by, what it means first. Digits alone, none twice.

    For two questions only: whether anything protected is meant, and whether what means no number would reach a blocked range.

    >>> at = DialPlan(country_code="43", trunk_prefix="0")
    >>> readings("1234#088213", at)
    ('1234088213', '088213', '88213', '4388213', '213', '13', '1234', '234')
    """
    meant = normalise(raw, plan).digits
    bare = unpacked(raw)
    found: dict[str, None] = dict.fromkeys([meant] if meant else [])
    texts = [one for packed in dict.fromkeys((bare.text, bare.whole)) for one in _dial_texts(packed.translate(_OTHER_DIGITS), plan)]
    for text in dict.fromkeys(texts):
        for digits in _numbers(text, bare.context, plan):
            found.setdefault(digits)
    found.pop("", None)
    return tuple(found)


def _dial_texts(text: str, plan: DialPlan) -> list[str]:
    """What of a text may be the number: all of it, without what follows it, and without what is dialled before it."""
    # A letter ends a number or is skipped; other signs are skipped.
    text = re.sub(r"[^+0-9*#,]", "", re.sub(r"[A-Za-z;]|[^\0-\x7f]", ",", text)).strip(",")
    heads = [text.partition(",")[0], text.replace(",", "")]
    texts: list[str] = []
    for head in dict.fromkeys([*heads, *(_without_tech_prefix(head, plan) for head in heads)]):
        groups = [group for group in re.split(r"[*#]+", head) if group][:MOST_GROUPS]
        texts += ["".join(groups)]
        texts += ["".join(groups[at:]) for at in range(1, len(groups))]
        texts += ["".join(groups[:at]) for at in range(1, len(groups))]
        if head[:1] in ("*", "#") and groups:
            texts.append("".join([groups[0][2:], *groups[1:]]))  # *67 and the number, with nothing between
    plain = tuple(dict.fromkeys(texts))
    for code in CALLER_CODES.get(plan.country_code, CallerCodes((), 0)).digits:
        texts += [text[len(code) :] for text in plain if text.startswith(code)]
    return list(dict.fromkeys(texts))


def _numbers(text: str, context: str, plan: DialPlan) -> list[str]:
    """The digits that a text may stand for: as they are, international, national, and a short number behind a country code."""
    digits = text.replace("+", "")
    zeros = len(digits) - len(digits.lstrip("0"))
    found = [digits, *(digits[n:] for n in range(1, min(zeros, MOST_ZEROS) + 1)), digits.lstrip("0")]
    for prefix in dict.fromkeys([plan.international_prefix, *INTERNATIONAL_PREFIXES]):
        if prefix and digits.startswith(prefix):
            found.append(digits[len(prefix) :].lstrip("0"))
    if plan.trunk_prefix and digits.startswith(plan.trunk_prefix):
        found.append(plan.country_code + digits[len(plan.trunk_prefix) :].lstrip("0"))
    if not plan.bare_is_e164:
        found.append(plan.country_code + digits.lstrip("0"))
    if context:
        found.append(context + digits.lstrip("0"))
    for number in found[:]:
        full = without_trunk_zero(number) if number[:1] not in ("", "0") else number
        behind = full[len(country_code(full)) :].lstrip("0")
        found += [full, behind if len(behind) <= SHORT_MOST else ""]
    return found


def number_of(text: str, plan: DialPlan) -> str:
    """The digits that a person means who types a number: `ValueError` where it means none, with what to write instead.

    >>> number_of("+43 (1) 505 00-99", DialPlan()), number_of("0043 1 5050099", DialPlan()), number_of("112", DialPlan())
    ('4315050099', '4315050099', '112')
    >>> number_of("01 50500 88", DialPlan())
    Traceback (most recent call last):
    ...
    ValueError: '01 50500 88' means no number: write it with its country code, as +43 1 234567, or a short number as it is dialled
    """
    found = normalise(text, plan)
    prefix = plan.international_prefix or "00"
    if found.digits and not (found.kind == "short" and found.digits.startswith(prefix) and found.digits.strip("0")):
        return found.digits  # and not 0043, the beginning of a number
    bare = unpacked(text).text
    if bare.startswith("+") and bare[1:].isdigit() and 1 < len(bare) - 1 <= SHORT_MOST and not bare.startswith("+0"):
        return bare[1:]  # +116123, as a telephone writes a short number
    raise ValueError(f"{text[:40]!r} means no number: write it with its country code, as +43 1 234567, or a short number as it is dialled")


def range_of(text: str, plan: DialPlan) -> str:
    """The digits of a range that a person types: 1 to 15, from the country code on. `ValueError` where it means none.

    >>> at = DialPlan(country_code="43", trunk_prefix="0")
    >>> range_of("+88213", at), range_of("00 882 13", at), range_of("0664", at), range_of("88213", at), range_of("+43 (0)664", at)
    ('88213', '88213', '43664', '88213', '43664')
    >>> range_of("0664", DialPlan())
    Traceback (most recent call last):
    ...
    ValueError: '0664' means no range: write it with its country code, 1 to 15 digits, as +43 664
    """
    digits = _plain(_without_bracket(text.strip()))
    if digits.startswith("+"):
        digits = digits[1:].removeprefix("00")
    elif plan.international_prefix and digits.startswith(plan.international_prefix):
        digits = digits[len(plan.international_prefix) :]
    elif plan.trunk_prefix and plan.country_code and digits.startswith(plan.trunk_prefix):
        digits = plan.country_code + digits[len(plan.trunk_prefix) :]
    if is_range(digits):
        return without_trunk_zero(digits)
    raise ValueError(f"{text[:40]!r} means no range: write it with its country code, 1 to 15 digits, as +43 664")


def is_range(digits: str) -> bool:
    """Whether digits can be a range: 1 to 15, and no E.164 number begins with 0.

    >>> is_range("88213"), is_range("0088213"), is_range(""), is_range("88a")
    (True, False, False, False)
    """
    return digits.isascii() and digits.isdigit() and len(digits) <= 15 and digits[0] != "0"


def number(frame: pl.DataFrame, plans: list[DialPlan]) -> tuple[pl.DataFrame, list[tuple[str, str, str, str]]]:
    """Add `a_number`, `a_kind`, `b_number`, `b_kind` to decoded records; `plans` has the dial plan of each row. The four as rows, too.

    `a_raw` is what the switch took for the caller: P-Asserted-Identity where the trunk sends one, else From (RFC 3325).
    """
    import polars as pl  # here: commands read numbers, and should not wait for Polars

    from core.frames import column

    rows: list[tuple[str, str, str, str]] = []
    for a_raw, b_raw, plan in zip(frame["a_raw"].to_list(), frame["b_raw"].to_list(), plans, strict=True):
        a, b = normalise(a_raw, plan), normalise(b_raw, plan)
        rows.append((a.digits, a.kind, b.digits, b.kind if b_raw else ""))
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    names = ("a_number", "a_kind", "b_number", "b_kind")
    return frame.hstack([column(n, values, pl.String) for n, values in zip(names, columns, strict=True)]), rows
