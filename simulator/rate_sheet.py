"""A carrier's new rate sheet as it comes by mail: a workbook with a title, headings of its own, codes in lists, and mistakes in it."""

from __future__ import annotations

import csv
import io
from datetime import date
from random import Random

from simulator.decks import CURRENCY, deck_csv
from simulator.workbook import Cell, workbook

CLOSED_EVERY = 400
"""One destination in so many is closed."""


def rate_sheet(deck: str, valid_from: date) -> bytes:
    """The next price list of a carrier: most destinations stay, some cost more or less, one price has slipped by a decimal, some codes close.

    >>> rate_sheet("buy-alpha", date(2026, 12, 1))[:2]
    b'PK'
    """
    noise = Random(f"sheet {deck}")
    rows = [row for row in csv.DictReader(io.StringIO(deck_csv(deck).decode())) if not row["effective_to"]]
    sheet: list[list[Cell]] = [
        [f"{deck.removeprefix('buy-').upper()} Telecom: international voice termination"],
        ["Effective date:", valid_from],
        [f"All rates in {CURRENCY} per minute. Replaces all earlier price lists."],
        [],
        ["Destination", "Dial Codes", f"Rate {CURRENCY}/min", "Billing increments", "Effective from", "Change"],
    ]
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in ("destination", "price_per_min", "first_s", "next_s")), []).append(row)
    slipped = noise.randrange(len(groups))
    for at, ((name, price, first, following), group) in enumerate(groups.items()):
        codes = ", ".join(row["prefix"] for row in group)
        cost, change = float(price), "Unchanged"
        pick = noise.random()
        if at == slipped:
            cost, change = round(cost * 10, 4), "Increase"
        elif pick < 0.08:
            cost, change = round(cost * noise.choice((1.05, 1.1, 1.25)), 4), "Increase"
        elif pick < 0.16:
            cost, change = round(cost * noise.choice((0.97, 0.9, 0.8)), 4), "Decrease"
        since: Cell = valid_from if change != "Unchanged" else None
        if at % CLOSED_EVERY == CLOSED_EVERY - 1:
            sheet.append([name, codes, None, None, valid_from, "Closed"])
        else:
            sheet.append([name, codes, cost, f"{first}/{following}", since, change])
    sheet += [[], ["Rates are exclusive of tax. Please confirm within 7 days."]]
    return workbook({"Cover": [["Dear partner, please find our new rates on the next sheet."]], "Rates": sheet})
