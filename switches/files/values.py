"""Values in files of calls: times, durations, amounts, telephone numbers, and texts for "no value".

Each function takes the text of a cell and raises a `ValueError` that names the fault; the caller adds the column.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal

from core.decimals import number, plain
from switches.files.mapping import EPOCHS, zone_of

NANO = Decimal("1e-9")
LATEST_MS = 2**53  # of a record
EARLIEST_MS = 946_684_800_000  # 2000: some systems write an earlier time for "never"
NEVER_MS = 4_102_444_800_000  # 2100: or a later one

EPOCH_MS = 86_400_000

NULLS = frozenset({"", "\\n", "null", "(null)", "<null>", "nil", "undefined"})
"""Texts for "no value" in any column, in lower case."""
BLANKS = NULLS | {"-", "--", "n/a", "na", "nat", "none", "never", "?"}
"""The same in columns of numbers and times."""
LONGEST_NOTHING = max(map(len, BLANKS))
ZEROS = re.compile(r"[0\s:./T+Z-]*")
"""0, 0.0, 0000-00-00 00:00:00, 00:00:00 and the like, in columns of times."""

OFFSETS_M = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 60, "CET": 60, "CEST": 120, "MEZ": 60, "MESZ": 120, "MET": 60, "MEST": 120,
    "EET": 120, "EEST": 180, "MSK": 180, "TRT": 180, "EAT": 180, "CAT": 120, "SAST": 120, "WAT": 60, "EST": -300, "EDT": -240,
    "PDT": -420, "AKST": -540, "AKDT": -480, "HST": -600, "NST": -210, "NDT": -150, "BRT": -180, "ART": -180, "PKT": 300, "UZT": 300,
    "NPT": 345, "WIB": 420, "WITA": 480, "WIT": 540, "ICT": 420, "HKT": 480, "SGT": 480, "AWST": 480, "JST": 540, "KST": 540,
    "ACST": 570, "ACDT": 630, "AEST": 600, "AEDT": 660, "NZST": 720, "NZDT": 780,
}  # fmt: skip
"""Unambiguous abbreviations of zones, and their offset in minutes."""

MOST_OFFSET_M = 14 * 60

MANY = frozenset({"IST", "CST", "CDT", "BST", "AST", "ADT", "GST", "MST", "MDT", "PST", "AMT", "ECT", "SST", "WST", "PYT", "LHST"})
"""Abbreviations of several zones: CST is UTC-6 in Chicago, UTC+8 in Shanghai and UTC-5 in Havana."""


class NoTime(ValueError):
    """A time that no call can have, such as 0001-01-01, which some systems write for "never"."""


# --- no value ---


def is_nothing(text: str, *, number: bool = False, more: frozenset[str] = frozenset()) -> bool:
    """Whether a text means "no value". `more`: such texts of the mapping.

    >>> [is_nothing(text) for text in ("", "\\\\N", "NULL", "-", "acme")]
    [True, True, True, False, False]
    >>> is_nothing("-", number=True), is_nothing("never!", more=frozenset({"never!"}))
    (True, True)
    """
    if not more and len(text) > LONGEST_NOTHING:
        return False
    low = text.lower()
    return low in (BLANKS if number else NULLS) or low in more


def is_no_time(text: str, how: str, more: frozenset[str] = frozenset()) -> bool:
    """Whether the text of a time means "no time".

    >>> [is_no_time(text, "iso") for text in ("0000-00-00 00:00:00", "0", "N/A", "2026-03-02")]
    [True, True, True, False]
    """
    if is_nothing(text, number=True, more=more):
        return True
    # 00:00:00 is midnight where the format has no year.
    return ZEROS.fullmatch(text) is not None and (how == "iso" or how in EPOCHS or "%Y" in how or "%y" in how)


# --- times ---


def time_ms(text: str, how: str, zone: str, repeated_hour: Literal["earlier", "later", "reject"], zones: dict[str, str]) -> int:
    """The time in a text, by the format `how`; 0 = no time. `zone`: of times without one. `NoTime`: a time that no call can have.

    >>> time_ms("2026-03-02 00:30:00 CET", "%Y-%m-%d %H:%M:%S %Z", "Europe/Vienna", "earlier", {})
    1772407800000
    """
    if how in EPOCHS:
        if POWER.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is not a time in the format {how}: it went through a float, export the column as text")
        try:
            ms = Decimal(plain(text)) * EPOCHS[how] / 1000
            if abs(ms) > LATEST_MS:
                raise OverflowError
        except (ValueError, InvalidOperation, OverflowError):
            raise ValueError(f"{text[:40]!r} is not a time in the format {how}") from None
        return _of_a_call(int(ms), text)
    when, named = _parsed(text, how)
    if named:
        when = _in_zone(text, when, named, zone, zones)
    if when.tzinfo is None:
        earlier, later = _offsets(when.replace(second=0, microsecond=0), zone)
        if earlier != later and repeated_hour == "reject":
            raise ValueError(f"{text!r} happened twice or never in {zone} (the clocks were changed)")
        since_1970 = when - EPOCH - (later if repeated_hour == "later" else earlier)
        return _of_a_call(round(since_1970 / MILLISECOND), text)
    try:
        return _of_a_call(round(when.astimezone(UTC).timestamp() * 1000), text)
    except OverflowError:
        raise NoTime(f"{text[:40]!r} is no time that a call can have") from None


EPOCH, MILLISECOND = datetime(1970, 1, 1), timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def _offsets(minute: datetime, zone: str) -> tuple[timedelta, timedelta]:
    """The offset of a zone from UTC in a minute of its local time, and the offset when that minute comes again after a clock change.

    >>> [str(offset) for offset in _offsets(datetime(2026, 10, 25, 2, 30), "Europe/Vienna")]
    ['2:00:00', '1:00:00']
    """
    home = zone_of(zone)
    earlier, later = minute.replace(tzinfo=home, fold=0).utcoffset(), minute.replace(tzinfo=home, fold=1).utcoffset()
    assert earlier is not None and later is not None
    return earlier, later


def _of_a_call(ms: int, text: str) -> int:
    """Checks that a call can have the time. The zero of the epoch, in whatever zone, is 0."""
    if abs(ms) <= EPOCH_MS:
        return 0
    if not EARLIEST_MS <= ms < NEVER_MS:  # 0001-01-01 or 9999-12-31: what some systems write for "never"
        raise NoTime(f"{text[:40]!r} is no time that a call can have")
    return ms


ISO_CLOCK = re.compile(r"\d[^\d+-]\d")
CLOCK_CODES = re.compile("%[HIcXsT]")


def has_clock(text: str, how: str) -> bool:
    """Whether a time has more than a date.

    >>> has_clock("2026-03-02", "iso"), has_clock("2026-03-02 09:00", "iso"), has_clock("02.03.2026", "%d.%m.%Y")
    (False, True, False)
    """
    if how in EPOCHS:
        return True
    return ISO_CLOCK.search(text) is not None if how == "iso" else CLOCK_CODES.search(how) is not None


COUNT = re.compile(r"\d{9,16}(?:\.\d+)?", re.ASCII)
WORD = re.compile(r"[A-Za-z](?:[A-Za-z_/+\-0-9]|:(?=\d\d\b))*")
WORDS = re.compile(r"(?<=\()[^()]+(?=\))")
ISO_ZONE = re.compile(r"(.*\d)\s*\(?([A-Za-z](?:[A-Za-z_/+\-0-9]|:(?=\d\d\b))*)\)?")
UTC_OFFSET = re.compile(r"(?:UTC|GMT|UT)([+-])(\d{1,2})(?::?([0-5]\d))?")
"""GMT+0200, UTC+1: east of Greenwich is plus. Etc/GMT+5 is a name and means the opposite."""
ISO_OFFSET = re.compile(r"(.*\d)\s+([+-]\d\d:?\d\d)")


def _parsed(text: str, how: str) -> tuple[datetime, str]:
    """The time in a text, and the abbreviation of its zone, "" where there is none: with one, the time has no zone yet."""
    hint = "; a count from 1970 is time_format: epoch_s, epoch_ms or epoch_us" if COUNT.fullmatch(text) else ""
    fault = ValueError(f"{text[:40]!r} is not a time in the format {how}{hint}")
    if how == "iso":
        spaced = ISO_OFFSET.fullmatch(text)
        try:
            return datetime.fromisoformat("".join(spaced.groups()) if spaced else text), ""
        except ValueError:
            found = ISO_ZONE.fullmatch(text)
        try:
            if found:
                return datetime.fromisoformat(found[1]), found[2]
        except ValueError:
            pass
        raise fault
    if "%Z" not in how:
        try:
            return _strptime(text, how), ""
        except ValueError:
            raise fault from None
    # strptime knows few zones by name, and does not return the name: each word of the text is tried as the one for %Z.
    has_offset = "%z" in how
    for word in (*reversed(list(WORD.finditer(text))), *(WORDS.finditer(text) if has_offset else ())):
        try:
            when = datetime.strptime(f"{text[: word.start()]}UTC{text[word.end() :]}", how)
        except ValueError:
            continue
        return (when, "") if has_offset else (when.replace(tzinfo=None), word[0])  # an offset is more exact than a name
    raise fault


DIGITS = {"%Y": r"(\d{4})", "%m": r"(\d\d)", "%d": r"(\d\d)", "%H": r"(\d\d)", "%M": r"(\d\d)", "%S": r"(\d\d)"}


def _strptime(text: str, how: str) -> datetime:
    """`datetime.strptime`, four times as fast where format and text consist of full-width digits.

    >>> _strptime("02.03.2026 07:05", "%d.%m.%Y %H:%M"), _strptime("2.3.2026 7:05", "%d.%m.%Y %H:%M")
    (datetime.datetime(2026, 3, 2, 7, 5), datetime.datetime(2026, 3, 2, 7, 5))
    """
    pattern, order = _all_digits(how)
    if pattern and (found := pattern.fullmatch(text)):
        numbers = list(map(int, found.groups()))
        year, month, day, hour, minute, second = [numbers[place] for place in order] + [0] * (6 - len(order))
        return datetime(year, month, day, hour, minute, second)
    return datetime.strptime(text, how)


@lru_cache(maxsize=64)
def _all_digits(how: str) -> tuple[re.Pattern[str] | None, list[int]]:
    """A pattern for a format of digits alone, and the positions in it of year, month, day, and of hour, minute and second where it has them."""
    parts = re.findall(r"%.|[^%]", how)
    codes = [part for part in parts if part.startswith("%")]
    wanted = [code for code in DIGITS if code in codes]
    if sorted(codes) != sorted(wanted) or wanted != list(DIGITS)[: len(wanted)] or len(wanted) < 3:
        return None, []
    return re.compile("".join(DIGITS.get(part) or re.escape(part) for part in parts), re.ASCII), [codes.index(code) for code in wanted]


def _in_zone(text: str, when: datetime, named: str, zone: str, zones: dict[str, str]) -> datetime:
    """A time in the zone of its text: by the mapping's table, else by the abbreviation of the mapping's time zone at that time, else by ours."""
    if named in zones:
        return when.replace(tzinfo=zone_of(zones[named]))
    if offset := UTC_OFFSET.fullmatch(named.upper()):
        minutes = 60 * int(offset[2]) + int(offset[3] or 0)
        if minutes <= MOST_OFFSET_M:
            return when.replace(tzinfo=timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)))
    home = zone_of(zone)
    for fold in (0, 1):
        if (here := when.replace(tzinfo=home, fold=fold)).tzname() == named:
            return here
    if (east_m := OFFSETS_M.get(named.upper())) is not None:
        return when.replace(tzinfo=timezone(timedelta(minutes=east_m)))
    if "/" in named:
        try:
            return when.replace(tzinfo=zone_of(named))
        except ValueError:
            pass
    several = "has several meanings" if named.upper() in MANY else "is not known"
    raise ValueError(
        f"{text[:40]!r}: the zone {named!r} {several}; set zones: {{{named}: Asia/Kolkata}} in the mapping, or an offset such as +05:30"
    )


# --- amounts, durations, numbers ---


def amount(text: str, decimal: str, thousands: str, signs: Literal["", "negated", "signed"], talked: bool) -> str:
    """An amount rounded half up to the nano, which removes the noise of binary fractions (0.30000000000000004).

    A minus is a credit where nobody talked. Of a call that `talked` it is a credit, or money that left the account: `signs` decides.

    >>> amount("-0.0850", ".", "", "negated", True), amount("0.30000000000000004", ".", "", "", True)
    ('0.0850', '0.300000000')
    """
    value = number(text, decimal, thousands)
    if value < 0 and talked and not signs:
        raise ValueError(
            f"{text[:40]!r} is negative: set amounts in the mapping, to negated where money that left the account has a minus, "
            "to signed where a minus is a credit"
        )
    if signs == "negated":
        value = -value if value else value
    exponent = value.as_tuple().exponent
    return format(value.quantize(NANO, ROUND_HALF_UP) if isinstance(exponent, int) and exponent < -9 else value, "f")


CLOCK = re.compile(r"([+-]?)(\d{1,4}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?", re.ASCII)
SHORT_CLOCK = re.compile(r"([+-]?)(\d{1,5}):(\d{2})(?:\.(\d{1,9}))?", re.ASCII)
UNITS_MS = {"s": 1000, "hh:mm:ss": 1000, "mm:ss": 1000, "ms": 1, "min": 60_000}


def duration_ms(text: str, how: str, decimal: str = ".", thousands: str = "") -> int:
    """A duration in ms. `how`: the mapping's duration_format, which decides what 1:15 is.

    >>> duration_ms("00:01:15.5", "s"), duration_ms("1:15", "mm:ss"), duration_ms("1:15", "hh:mm"), duration_ms("75", "s")
    (75500, 75000, 4500000, 75000)
    >>> duration_ms("1:15", "s")
    Traceback (most recent call last):
    ...
    ValueError: '1:15' can be minutes and seconds or hours and minutes: set duration_format: "mm:ss" or "hh:mm" in the mapping
    """
    clock = text.replace(",", ".") if decimal == "," else text
    if found := CLOCK.fullmatch(clock):
        sign, first, second, third, fraction = found.groups()
        return _clock(text, sign, 60 * int(first) + int(second), int(second), int(third), fraction, 1000)
    if found := SHORT_CLOCK.fullmatch(clock):
        sign, first, second, fraction = found.groups()
        if how == "mm:ss":
            return _clock(text, sign, int(first), 0, int(second), fraction, 1000)
        if how == "hh:mm" and fraction is None:
            return _clock(text, sign, int(first), 0, int(second), None, 60_000)
        raise ValueError(
            f'{text[:40]!r} can be minutes and seconds or hours and minutes: set duration_format: "mm:ss" or "hh:mm" in the mapping'
        )
    if ":" in text or how == "hh:mm":
        raise ValueError(f"{text[:40]!r} is not a duration in the format {how}")
    return round(number(text, decimal, thousands) * UNITS_MS[how])


def _clock(text: str, sign: str, above: int, middle: int, low: int, fraction: str | None, unit_ms: int) -> int:
    if middle > 59 or low > 59:
        raise ValueError(f"{text[:40]!r} is not a duration: no clock shows more than 59")
    ms = (60 * above + low) * unit_ms + round(Decimal(f"0.{fraction or 0}") * 1000)
    return -ms if sign == "-" else ms


FLOAT = re.compile(r"(\+?\d{1,15})[.,]0{1,2}", re.ASCII)
SPACED_FLOAT = re.compile(r"(\+?\d{7,15})[.,]0+", re.ASCII)
SPACES_AND_DASHES = re.compile(r"[\s\-\u2010-\u2015\u2212]")
TEXT_MARK = re.compile(r'="([^"]*)"|=\'([^\']*)\'|\'(\+?[\d\s().-]+)\'?')
"""How table programs mark digits as text: ="43664111222" and '43664111222."""
LABEL = re.compile(r"(?:e\.?164|msisdn|phone|number)\s*[:=]\s*(?=\+?\d)", re.IGNORECASE)
PARTY_POWER = re.compile(r"\d+[.,]\d+[eE][+-]?\d+|\dE\+\d+", re.ASCII)
POWER = re.compile(r"\+?\d+(?:[.,]\d+)?[eE][+-]?\d+", re.ASCII)
CUT = re.compile(r"\+?\d{7,}\.\d{1,2}", re.ASCII)


def telephone(text: str) -> str:
    """A number as it was dialled. One that a table program has turned into a float is the original integer, where that is exact.

    >>> telephone("43664111222.0"), telephone("+43 664 111222")
    ('43664111222', '+43 664 111222')
    >>> telephone("4.36E+10")
    Traceback (most recent call last):
    ...
    ValueError: '4.36E+10' went through a float, and its digits are lost: export the column as text
    """
    text = unmarked(text)
    if label := LABEL.match(text):
        raise ValueError(f"{text[:40]!r} begins with {label[0].strip()!r}, which is no part of a number: export the number alone")
    bare = SPACES_AND_DASHES.sub("", text)
    if found := FLOAT.fullmatch(text) or SPACED_FLOAT.fullmatch(bare):
        return found[1]
    if POWER.fullmatch(bare) or CUT.fullmatch(bare):
        raise ValueError(f"{text[:40]!r} went through a float, and its digits are lost: export the column as text")
    return text


def unmarked(text: str) -> str:
    """A value without the mark by which a table program keeps it as text.

    >>> unmarked('="43664111222"'), unmarked("'0043 664"), unmarked("O'Brien")
    ('43664111222', '0043 664', "O'Brien")
    """
    found = TEXT_MARK.fullmatch(text) if text[:1] in "='" else None
    return (found[1] or found[2] or found[3] or "").strip() if found else text


def party(text: str) -> str:
    """An account or an id. One that a table program has turned into a float is refused: 4.3155E+11 could be a million accounts.

    >>> party("acme"), party("'0043155"), party("1772442000.0")
    ('acme', '0043155', '1772442000.0')
    """
    text = unmarked(text)
    if PARTY_POWER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} went through a float, and its last digits are lost: export the column as text")
    return text


ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")


def code(text: str, decimal: str, highest: int) -> int:
    """A whole number such as a SIP code.

    >>> code("486", ".", 999), code("486.0", ".", 999)
    (486, 486)
    """
    value = number(text, decimal)
    if value != value.to_integral_value() or not 0 <= value <= highest:
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to {highest}")
    return int(value)

