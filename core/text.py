"""Times, durations and amounts as people read them, and the masking of telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal


def clock(at_ms: int) -> str:
    """A time of day, UTC.

    >>> clock(1_700_000_000_000)
    '22:13:20'
    """
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


def moment(at_ms: int, now_ms: int) -> str:
    """A time, with its date if that is not today; UTC.

    >>> moment(1_700_000_000_000, 1_700_000_090_000), moment(1_700_000_000_000, 1_700_100_000_000)
    ('22:13:20', '14 Nov 22:13')
    """
    at, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at_ms, now_ms))
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at.day} {at:%b %H:%M}"


def span(ms: int) -> str:
    """A duration in at most two units.

    >>> span(3_600_000), span(90_000), span(250), span(5_400_000), span(90_000_000)
    ('1 h', '1 min 30 s', '0.2 s', '1 h 30 min', '25 h')
    """
    if ms < 10_000:
        return f"{ms / 1000:.1f} s".replace(".0 s", " s")
    seconds = round(ms / 1000)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if n]
    return " ".join(parts[:2])


def amount(value: Decimal, decimals: int = 2) -> str:
    """An amount with separated thousands, rounded half up for display only.

    >>> amount(Decimal("1234567.885")), amount(Decimal("-0.00449"), 3), amount(Decimal("-0.001"))
    ('1,234,567.89', '-0.004', '0.00')
    """
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{rounded if rounded else abs(rounded):,f}"


def masked(text: str, plain: Collection[str] = ()) -> str:
    """A text with masked telephone numbers: the first four and last two digits stay. Numbers in `plain` stay whole: ranges are no one's number.

    A text between “ and ” is a number as it was dialled, with any characters between its digits.

    >>> masked("caller acme/436641234567 spent 1234567.89 EUR towards 8821312", plain=("8821312",))
    'caller acme/4366••••••67 spent 1234567.89 EUR towards 8821312'
    >>> masked("dialled as “12#34-56*789”, “1#2”")
    'dialled as “12#34-••*•89”, “1#2”'
    """
    return _NUMBER.sub(lambda found: found[0] if found[0] in plain else hidden_digits(found[0], 4, 2, "•"), text)


LEAST = 7
"""The fewest digits of a subscriber's number; fewer are a range or a short code."""


def hidden_digits(text: str, head: int, tail: int, mark: str, least: int = LEAST) -> str:
    """Replace all digits but the first `head` and the last `tail` by `mark`, if there are `least` or more. Other characters stay.

    >>> hidden_digits("+43 664 1234567", 4, 2, "•"), hidden_digits("1#2", 4, 2, "•"), hidden_digits("8821312", 4, 0, "*")
    ('+43 66• •••••67', '1#2', '8821***')
    """
    count = sum(c.isdigit() for c in text)
    if count < least:
        return text
    at, out = 0, []
    for c in text:
        at += c.isdigit()
        out.append(mark if c.isdigit() and head < at <= count - tail else c)
    return "".join(out)


_NUMBER = re.compile(r"“[^”]*”?|(?<![\d.])\d{7,}(?!\d|\.\d)")
"""A run of seven or more digits that is not an amount of money (a point and decimals), or a number as it was dialled."""


def visible(text: str) -> str:
    r"""A text from outside with unprintable characters, and those that reverse the reading direction, replaced by �.

    >>> visible("acme\x00 \u202egnp.exe"), visible("Zoë 北京")
    ('acme� �gnp.exe', 'Zoë 北京')
    """
    return "".join(c if c.isprintable() else "�" for c in text.encode("utf-8", "replace").decode("utf-8"))
