"""A map of money at risk: a circle for each country that alerted calls go to. The land comes from this server, never from another host.

`map/land.json` is Natural Earth's land (public domain), as world-atlas 2.0.2 packs it; `map/places.json` has the middle of each country's
largest part, from the same data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from dashboards.charts import Chart
from dashboards.theme import Colours

MAP = Path(__file__).parent / "map"
LAND_URL = "/map/land.json"
HEIGHT = 260
TIPS = {"to": "to", "text": "money at risk", "state": "calls"}

LET_PASS, BLOCKED, PASSES = STATES = ("let pass by a person", "blocked", "some passes")
"""What becomes of alerted calls; of several the last one counts."""


class AtRisk(NamedTuple):
    """Money of alerted calls to a country. `country`: ISO 3166, "" = a global code, or a number that cannot be read."""

    country: str
    name: str
    currency: str
    money: Decimal
    alerts: int
    state: str  # of `STATES`


@lru_cache(1)
def places() -> Mapping[str, tuple[float, float]]:
    """Country -> longitude, latitude."""
    return {name: (place[0], place[1]) for name, place in json.loads((MAP / "places.json").read_text()).items()}


def world(found: list[AtRisk], colour: Colours) -> Chart:
    """The map. A country without a place is left out: the table beside it has all.

    >>> from dashboards.theme import DARK
    >>> world([AtRisk("AT", "Austria", "EUR", Decimal(3), 1, "blocked")], DARK)["datasets"]["points"].select("to", "text", "state").row(0)
    ('Austria', '3.00 EUR in 1 alert', 'blocked')
    """
    rows = [
        {"lon": places()[one.country][0], "lat": places()[one.country][1], "money": float(one.money), "to": one.name or one.country,
         "text": f"{one.money:,.2f} {one.currency} in {one.alerts} alert{'s' * (one.alerts != 1)}", "state": one.state}
        for one in found if one.country in places()
    ]  # fmt: skip
    columns = {"lon": pl.Float64(), "lat": pl.Float64(), "money": pl.Float64(), "to": pl.String(), "text": pl.String(), "state": pl.String()}
    land = {
        "data": {"url": LAND_URL, "format": {"type": "topojson", "feature": "land"}},
        "mark": {"type": "geoshape", "fill": colour.land, "stroke": colour.line, "strokeWidth": 0.6},
    }  # fmt: skip
    states = {"domain": list(STATES), "range": [colour.soft, colour.sold, colour.bad]}
    points = {
        "data": {"name": "points"}, "mark": {"type": "circle", "opacity": 0.75},
        "encoding": {
            "longitude": {"field": "lon", "type": "quantitative"}, "latitude": {"field": "lat", "type": "quantitative"},
            "color": {"field": "state", "type": "nominal", "scale": states, "legend": None},
            "size": {"field": "money", "type": "quantitative", "scale": {"range": [60, 900]}, "legend": None},
            "tooltip": [{"field": field, "type": "nominal", "title": title} for field, title in TIPS.items()],
        },
    }  # fmt: skip
    return {
        "datasets": {"points": pl.DataFrame(rows, columns)}, "layer": [land, points], "projection": {"type": "equalEarth"},
        "height": HEIGHT, "background": "transparent", "padding": 0, "config": {"view": {"strokeWidth": 0}},
    }  # fmt: skip
