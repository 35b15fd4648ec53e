"""The tiles at the top: records and money per second, and the number of alerts and blocks."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.text import amount
from dashboards.tags import Safe, tag
from dashboards.traffic import Money, Traffic, now, total

MAX_CURRENCIES = 3
SENTENCE = 40
"""A cell of more characters is read as a sentence."""


def tiles(traffic: Traffic | None, alerts: int | None, block_counts: Mapping[str, int] | None, more: Safe = Safe()) -> Safe:
    """A row of tiles; an unknown value is a dash. `more`: further tiles."""
    if traffic is None:
        rates = [tile(name, "–") for name in ("Records", "Sold", "Bought", "Margin")]
    else:
        rate = now(traffic)
        _, money = total(traffic, traffic.from_ms, rate.to_ms)
        past = f"in {round((rate.to_ms - traffic.from_ms) / 60_000)} min"
        records = sum(traffic.records.values())
        rates = [tile("Records", f"{amount(rate.records_s, 1)}", "per second", f"{records:,} {past}")]
        for name, side in (("Sold", "sell"), ("Bought", "buy"), ("Margin", "margin")):
            rates.append(money_tile(name, side, rate.money_s, money, past))
    count = "–" if alerts is None else f"{alerts:,}"
    return tag("div", *rates, tile("Alerts", count, "", "in all"), blocks_tile(block_counts), more, cls="rf-tiles")


def blocks_tile(counts: Mapping[str, int] | None) -> Safe:
    """How many blocks are active, in shadow, and waiting."""
    if counts is None:
        return tile("Blocks", "–")
    shadow, waiting = counts.get("shadow", 0), counts.get("waiting", 0)
    below = f"{shadow:,} in shadow  ·  {waiting:,} waiting for approval"
    return tile("Blocks", f"{counts.get('standing', 0):,}", "active", below, cls="waits" if waiting else "")


def money_tile(name: str, side: str, rates: tuple[Money, ...], past: tuple[Money, ...], when: str) -> Safe:
    """One side of the money, one line per currency. There is no margin across currencies."""
    known = {one.currency: one for one in rates}
    lines, sums = [], []
    for one in past[:MAX_CURRENCIES]:
        value: Decimal = getattr(known[one.currency], side) if one.currency in known else Decimal(0)
        if side == "margin" and one.across == one.calls:
            lines.append(tag("div", tag("b", "–"), tag("span", f" {one.currency}")))
            sums.append(tag("div", f"{one.currency}: no margin, every call was bought in another currency"))
            continue
        loss = "loss" if side == "margin" and value < 0 else ""
        lines.append(tag("div", tag("b", amount(value, decimals(value)), cls=loss), tag("span", f" {one.currency} per second")))
        across = f", without {one.across:,} call{'s' * (one.across != 1)} bought in another currency" if side == "margin" and one.across else ""
        sums.append(tag("div", f"{amount(getattr(one, side))} {one.currency} {when}{across}"))
    if len(past) > MAX_CURRENCIES:
        sums.append(tag("div", f"and {len(past) - MAX_CURRENCIES} other currencies"))
    if not lines:
        return tile(name, "0", "per second", f"nothing {when}")
    return tag("div", tag("label", name), tag("div", *lines, cls="value"), tag("small", *sums), cls="rf-tile")


def decimals(value: Decimal) -> int:
    """The number of decimals, so that small rates are legible.

    >>> decimals(Decimal("0.00123")), decimals(Decimal("12.3")), decimals(Decimal(0))
    (4, 2, 2)
    """
    return 4 if 0 < abs(value) < 1 else 2


def tile(name: str, value: str, unit: str = "", below: str = "", cls: str = "") -> Safe:
    """A name, a value with its unit, and a line below."""
    shown = tag("div", tag("b", value), tag("span", f" {unit}"), cls="value")
    return tag("div", tag("label", name), shown, tag("small", below), cls=f"rf-tile {cls}".strip())


def table(head: tuple[str, ...], rows: list[tuple[str | Safe, ...]], numbers_from: int = 1) -> Safe:
    """A small table, moved sideways where the window is narrower; columns from `numbers_from` on are aligned as numbers, a sentence stays wide.

    >>> print(table(("carrier", "calls"), [("alpha", "12")]))
    <div class="rf-scroll"><table class="rf-table"><thead><tr><th>carrier</th><th class="n">calls</th></tr></thead><tbody><tr><td>alpha</td><td \
class="n">12</td></tr></tbody></table></div>
    """

    def cls(cell: str, at: int) -> str:
        return "n" if at >= numbers_from else "sentence" if len(cell) > SENTENCE and not isinstance(cell, Safe) else ""

    def row(cells: tuple[str, ...], name: str) -> Safe:
        return tag("tr", *(tag(name, cell, cls=cls(cell, at)) for at, cell in enumerate(cells)))

    drawn = tag("table", tag("thead", row(head, "th")), tag("tbody", *(row(cells, "td") for cells in rows)), cls="rf-table")
    return tag("div", drawn, cls="rf-scroll")
