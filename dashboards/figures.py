"""How pages write money and times: each amount with its currency, each time with its zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from assurance.rounding import decimals_of
from core.money import to_decimal, to_nanos
from core.text import amount
from dashboards.tags import Safe, tag


def money(nanos: int, currency: str) -> str:
    """
    >>> money(1_234_560_000_000, "EUR")
    '1,234.56 EUR'
    """
    return f"{amount(to_decimal(nanos))} {currency}"


def money_of(decimal: str, currency: str) -> str:
    """An amount that is stored as a text.

    >>> money_of("0.96", "EUR"), money_of("", "EUR")
    ('0.96 EUR', '0.00 EUR')
    """
    return money(to_nanos(decimal or "0"), currency)


def minor(amount_minor: int, currency: str) -> str:
    """An amount in the smallest unit of its currency.

    >>> minor(123_456, "EUR"), minor(500, "JPY")
    ('1,234.56 EUR', '500 JPY')
    """
    decimals = decimals_of(currency)
    return f"{amount(Decimal(amount_minor).scaleb(-decimals), decimals)} {currency}"


def by_currency(found: Mapping[str, int], nothing: str = "–") -> str:
    """Nanos by currency.

    >>> by_currency({"USD": 2 * 10**9, "EUR": 10**9}), by_currency({})
    ('1.00 EUR, 2.00 USD', '–')
    """
    return ", ".join(money(nanos, currency) for currency, nanos in sorted(found.items())) or nothing


def change(nanos: int, currency: str) -> str:
    """A difference, with the sign of what is shown: one that rounds to nothing has none.

    >>> change(-2 * 10**9, "EUR"), change(10**9, "EUR"), change(-4 * 10**6, "EUR"), change(0, "EUR")
    ('−2.00 EUR', '+1.00 EUR', '0.00 EUR', '0.00 EUR')
    """
    text = amount(abs(to_decimal(nanos)))
    sign = "" if not any(digit in text for digit in "123456789") else "+" if nanos > 0 else "−"
    return f"{sign}{text} {currency}".rstrip()


def change_of(nanos: int, currency: str, against: bool) -> Safe:
    """A difference, red where it is against us."""
    text = change(nanos, currency)
    return tag("span", text, cls="loss" if against and text[0] in "+−" else "")


def cause_text(cause: str) -> str:
    """A cause of a difference, or several between which the files do not tell.

    >>> cause_text("rate|wrong_destination")
    'rate or wrong destination'
    """
    return " or ".join(one.replace("_", " ") for one in cause.split("|"))


def when(at_ms: int | None) -> Safe:
    """A time to the minute, for a cell that is not broken into lines."""
    return tag("span", day(at_ms), cls="rf-when")


def day(at_ms: int | None) -> str:
    """A time to the minute.

    >>> day(1_790_812_800_000), day(None)
    ('2026-10-01 00:00 UTC', '')
    """
    return "" if at_ms is None or abs(at_ms) > 1 << 52 else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def at(ms: int | None) -> str:
    """A time to the millisecond.

    >>> at(1_790_812_800_001)
    '2026-10-01 00:00:00.001 UTC'
    """
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
