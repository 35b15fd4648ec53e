"""What an invoice has besides calls, against what the agreement says: fees, discounts by volume, the minimum commitment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from assurance.reconcile.by_lines import LINE_PARTS
from assurance.reconcile.destinations import likeness

COMMITMENT = re.compile(r"commit|minimum|shortfall|mindest|take.or.pay", re.IGNORECASE)
DISCOUNT = re.compile(r"discount|rebate|rabatt|nachlass|tier|descuento|remise", re.IGNORECASE)
LIKE = 0.4


class Agreed(NamedTuple):
    """A line that the agreement makes of the calls of the period: `kind` fee, discount or commitment."""

    kind: str
    nanos: int
    text: str


def is_usage() -> pl.Expr:
    """Whether a line stands for calls: it has seconds or a number of them."""
    return pl.col("charged_s").is_not_null() | pl.col("calls").is_not_null()


def against(lines: pl.DataFrame, agreed: Sequence[Agreed]) -> pl.DataFrame:
    """Lines of no calls against those that were agreed on: by kind, fees by their texts. What is agreed on and not there is less; what is there and
    not agreed on is `other_charge`. Their sum is what they charge more than was agreed on.

    >>> lines = pl.DataFrame({"line": [7, 8, 9], "destination": ["Port fee", "Volume discount", "Paper"], "nanos": [50, -9, 3]})
    >>> against(lines, [Agreed("fee", 40, "port fee"), Agreed("discount", -10, "from 1,000 on")]).rows()
    [(7, '', 'fee', 10), (8, '', 'discount', 1), (9, '', 'other_charge', 3)]
    """
    left = list(agreed)
    found: list[tuple[int, str, str, int]] = []
    for line, text, nanos in lines.select("line", "destination", "nanos").iter_rows():
        kind = _kind(text, nanos)
        fits = [one for one in left if one.kind == kind]
        if kind == "fee":
            fits = [one for one in fits if one.nanos == nanos or likeness(one.text, text) >= LIKE]
            fits.sort(key=lambda one: (one.nanos != nanos, -likeness(one.text, text)))
        if fits:
            left.remove(fits[0])
            found.append((line, "", kind, nanos - fits[0].nanos))
        else:
            found.append((line, "", "other_charge", nanos))
    found += [(0, "", one.kind, -one.nanos) for one in left]
    return pl.DataFrame([one for one in found if one[3]], LINE_PARTS, orient="row")


def _kind(text: str, nanos: int) -> str:
    if COMMITMENT.search(text):
        return "commitment"
    return "discount" if nanos < 0 or DISCOUNT.search(text) else "fee"
