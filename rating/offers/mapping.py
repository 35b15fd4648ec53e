"""How one carrier writes his file: a value that a person can read, correct and keep."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.decimals import SPACES

FIELDS = {
    "prefix": "the dial code, with its country code",
    "country_code": "the country code, where it has a column of its own",
    "city_code": "what follows the country code, where that has a column of its own",
    "destination": "the destination's name",
    "price_per_min": "the price",
    "connect_fee": "a fee per answered call",
    "attempt_fee": "a fee per attempt",
    "first_s": "the first increment in seconds",
    "next_s": "the following increments in seconds",
    "increments": "both increments in one cell, such as 60/1",
    "effective_from": "from when the row is valid",
    "effective_to": "until when the row is valid",
    "change": "what the carrier says of the row, such as Increase or Closed",
    "currency": "the currency of the row",
    "price_interstate": "the price of calls within North America from one state to another",
    "price_intrastate": "the price of calls within North America inside a state",
    "price_indeterminate": "the price of calls within North America where a state is not known",
    "price_per_increment": "the price of an increment",
    "steps": "prices and increments by the second of the call, such as 0:0.06/60:60 60:0.03/60:1",
    "first_is_minimum": "yes: the first step is charged whole",
    "free_s": "seconds that are deducted from the call",
    "grace_s": "a call up to so many seconds costs nothing",
    "min_s": "the shortest time charged, in seconds",
    "min_amount": "the least that an answered call costs",
    "max_amount": "the most that an answered call costs",
    "surcharge": "a fee for a call that lasts longer",
    "surcharge_after_s": "than so many seconds",
    "reverse": "yes: the party is paid",
    "reject": "yes: no call may go there",
    "origin": "what the caller's number begins with",
    "jurisdiction": "interstate, intrastate or indeterminate",
    "window": "when the row is in force, such as mon-fri 08:00-18:00",
    "weight": "which of two rows in force counts: the higher",
    "min_digits": "the fewest digits of the number called",
    "max_digits": "the most digits of the number called",
}
"""What a column can mean."""

BY_STATE = {"price_interstate": "interstate", "price_intrastate": "intrastate", "price_indeterminate": "indeterminate"}
"""Columns of a price each, for calls of one jurisdiction."""
MORE = ("price_per_increment", *tuple(FIELDS)[tuple(FIELDS).index("steps") :])
"""Columns that are the deck's own, by the same name; what they may hold, `rating.decks` checks."""
PRICES = ("price_per_min", "price_per_increment", "steps", *BY_STATE)
"""A row has one of these."""

CLOSED_WORDS = (
    "closed", "close", "closing", "closure", "delete", "deleted", "removed", "remove", "discontinued", "blocked", "block", "withdrawn",
    "terminated", "code removed", "code deleted", "geschlossen", "entfallen", "cerrado", "eliminado", "supprimé", "fermé",
)  # fmt: skip


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a file is written and what its columns mean. `columns`: field -> the column's name in the file, or #3 for the third one."""

    columns: dict[str, str]
    header_rows: Literal[0, 1, 2] = 1  # how many rows name the columns; 0 = none does
    sheet: str = ""  # of a workbook; "" = the only one
    encoding: str = ""  # "" = as its bytes show
    delimiter: str = ""  # "" = as its rows show
    quote: Literal['"', "none"] = '"'
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    date_format: str = "iso"
    dash: Literal["range", "group"] = "range"  # 4477-4479 means three codes | 1-204 means 1204
    price_per: Literal["minute", "second"] = "minute"
    round_decimals: int | None = None  # of a price that was computed to more decimals than anybody agreed on; half up
    fill_down: tuple[str, ...] = ()  # fields whose empty cells mean "as above"
    closed_words: tuple[str, ...] = CLOSED_WORDS


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many days before it is valid a carrier has to tell of a change."""

    new: int = 1
    increase: int = 7
    decrease: int = 1
    closed: int = 7


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of a carrier's files. What is "" or None is asked when it matters."""

    mapping: Mapping | None = None
    currency: str = ""
    scope: Literal["", "full", "partial"] = ""  # the whole A-Z, or changes alone
    missing: Literal["", "closed", "unchanged"] = ""  # what a code means that a full file leaves out
    notice_days: Notice = Notice()
    far_factor: float = 3.0  # a price is far from the others' when it is so many times their median, or a part of it


def faults(mapping: Mapping) -> list[str]:
    """What contradicts itself in a mapping.

    >>> faults(Mapping(columns={"prefix": "Code"}))
    ['columns: no column for price_per_min, the price']
    """
    found = [f"columns: {field!r} is no field; there are {', '.join(FIELDS)}" for field in mapping.columns if field not in FIELDS]
    have = mapping.columns.keys()
    if "prefix" not in have and "country_code" not in have:
        found.append("columns: no column for prefix, the dial code")
    if "prefix" in have and "city_code" in have:
        found.append("columns: prefix is a whole code and city_code the rest of one: name country_code and city_code, or prefix")
    if not have & set(PRICES):
        found.append("columns: no column for price_per_min, the price")
    if "increments" in have and ("first_s" in have or "next_s" in have):
        found.append("columns: increments says both first_s and next_s: name it or them")
    if mapping.thousands and mapping.thousands == mapping.decimal:
        found.append("thousands: is the same as decimal")
    if mapping.round_decimals is not None and not 0 <= mapping.round_decimals <= 9:
        found.append("round_decimals: must be 0 to 9")
    found += [f"fill_down: {field!r} has no column" for field in mapping.fill_down if field not in have]
    return found


def clean_name(text: str) -> str:
    """A column's name as it is compared: without line breaks, double spaces and capitals.

    >>> clean_name(" Rate\\n (USD / min) ")
    'rate (usd / min)'
    """
    for space in SPACES:
        text = text.replace(space, " ")
    return " ".join(text.split()).casefold()
