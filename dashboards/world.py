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
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from dashboards.theme import Colours

MAP = Path(__file__).parent / "map"
LAND_URL = "/map/land.json"
HEIGHT = 260


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


def world(found: list[AtRisk], colour: Colours) -> Any:
    """The map. A country without a place is left out: the table beside it has all."""
    rows = [
        {"lon": places()[one.country][0], "lat": places()[one.country][1], "money": float(one.money), "to": one.name or one.country,
         "text": f"{one.money:,.2f} {one.currency} in {one.alerts} alert{'s' * (one.alerts != 1)}", "state": one.state}
        for one in found if one.country in places()
    ]  # fmt: skip
    land = alt.Chart(alt.topo_feature(LAND_URL, "land")).mark_geoshape(
        fill=colour.land, stroke=colour.line, strokeWidth=0.6
    )  # fmt: skip
    state = alt.Color("state:N", scale=alt.Scale(domain=list(STATES), range=[colour.soft, colour.sold, colour.bad]), legend=None)
    points = alt.Chart(pd.DataFrame(rows, columns=["lon", "lat", "money", "to", "text", "state"])).mark_circle(opacity=0.75).encode(
        longitude="lon:Q", latitude="lat:Q", color=state, size=alt.Size("money:Q", scale=alt.Scale(range=[60, 900]), legend=None),
        tooltip=[alt.Tooltip("to:N", title="to"), alt.Tooltip("text:N", title="money at risk"), alt.Tooltip("state:N", title="calls")],
    )  # fmt: skip
    return (
        alt.layer(land, points)
        .project(type="equalEarth")
        .properties(height=HEIGHT, background="transparent", padding=0)
        .configure_view(strokeWidth=0)
    )
