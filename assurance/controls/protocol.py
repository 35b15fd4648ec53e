"""What a control is: a question about the money of a period, answered from frames, with what it looked at and what it found.

A new control is one file of this folder with a `CONTROL`, and its test. What it needs is named, asked for by `services.controlling`, and where it
cannot be had the control says `not_checked`, never `passed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec
import polars as pl

Status: TypeAlias = Literal["passed", "found", "not_checked"]
SHOWN = 50
"""Items that are kept of a control; all are counted."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was found. `nanos` is the money at stake, 0 where it is not known."""

    what: str
    count: int = 1
    nanos: int = 0
    currency: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a control found in a period. `checked`: how many things it looked at; `money`: currency -> nanos; `sales`: what the calls that it looked
    at were sold for, where it says so."""

    control: str
    status: Status
    checked: int = 0
    count: int = 0
    money: dict[str, int] = {}
    items: tuple[Item, ...] = ()
    why_not: str = ""
    sales: dict[str, int] = {}


@dataclass(frozen=True)
class Facts:
    """What controls look at. `frames`: by the names that controls need; `absent`: why others could not be had."""

    from_ms: int
    to_ms: int
    now_ms: int
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


Finds: TypeAlias = Callable[[Facts], tuple[int, Iterable[Item]]]
"""From the facts: how many things were looked at, and what was found."""


@dataclass(frozen=True)
class Control:
    """`asks` completes "asks whether ..."; `formula` says what is computed, `tolerance` what is let pass; `money` how much money an item is;
    `remedy` what a person does; `schedule` how often it is worth asking."""

    name: str
    asks: str
    formula: str
    tolerance: str
    schedule: Literal["hourly", "daily", "monthly"]
    money: str
    remedy: str
    needs: tuple[str, ...]
    find: Finds
    sold: str = ""  # a frame of `needs` whose `nanos` are what the calls were sold for

    def run(self, facts: Facts) -> Result:
        """The answer. Where nothing could be looked at, it is `not_checked` with the reason.

        >>> one = Control("n", "a", "f", "t", "daily", "m", "r", ("calls",), lambda facts: (facts.frames["calls"].height, ()))
        >>> one.run(Facts(0, 1, 2, absent={"calls": "no warehouse"})).why_not, one.run(Facts(0, 1, 2, {"calls": pl.DataFrame()})).status
        ('no warehouse', 'not_checked')
        """
        for name in self.needs:
            if name not in facts.frames:
                return Result(control=self.name, status="not_checked", why_not=facts.absent.get(name, f"{name} is not known here"))
        checked, found = self.find(facts)
        items = sorted(found, key=lambda one: (-abs(one.nanos), -one.count, one.what))
        if not checked and not items:
            return Result(control=self.name, status="not_checked", why_not="there was nothing to look at in this period")
        money: dict[str, int] = {}
        for item in items:
            if item.nanos:
                money[item.currency] = money.get(item.currency, 0) + item.nanos
        status: Status = "found" if items else "passed"
        count = sum(item.count for item in items)
        sales: dict[str, int] = {}
        for currency, nanos in facts.frames[self.sold].select("currency", "nanos").iter_rows() if self.sold else ():
            sales[currency] = sales.get(currency, 0) + nanos
        shown = tuple(items[:SHOWN])
        return Result(control=self.name, status=status, checked=checked, count=count, money=money, items=shown, sales=sales)


def rows(facts: Facts, name: str) -> Iterable[dict[str, Any]]:
    """The rows of a frame, one by one."""
    return facts.frames[name].iter_rows(named=True)


def total(facts: Facts, name: str, column: str) -> int:
    """The sum of a column, 0 for no rows."""
    return int(facts.frames[name][column].sum() or 0)


def moment(at_ms: int) -> str:
    """
    >>> moment(0)
    '1970-01-01 00:00:00'
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
