"""Two charts of the last minutes: money per second and records per second. Times are UTC; nothing is fetched from other hosts."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboards.points import money_points, records_points
from dashboards.traffic import Traffic

HEIGHT = 165
COLOURS = {"sold": "#58a6ff", "bought": "#d29922", "margin": "#3fb950"}
AREA: dict[str, Any] = {
    "interpolate": "step-after",
    "color": "#58a6ff",
    "opacity": 0.35,
    "line": {"strokeWidth": 1.4, "color": "#58a6ff"},
}
GREY, LINE = "#93a1b1", "#243040"

_SECOND = alt.Tooltip("at:T", title="UTC", format="%H:%M:%S")


def money_chart(traffic: Traffic, currency: str) -> alt.Chart:
    """Sold, bought and margin per second, in one currency."""
    points = money_points(traffic, currency)
    sides = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    colour = alt.Color("side:N", scale=sides, legend=None)  # the heading has the legend
    chart = alt.Chart(_frame(points, ["at", "side", "rate"])).mark_line(interpolate="step-after", strokeWidth=1.6).encode(
        x=_time(points),
        y=alt.Y("rate:Q", title=None, axis=alt.Axis(format=",~r", tickCount=4)),
        color=colour,
        tooltip=[_SECOND, alt.Tooltip("side:N", title="side"), alt.Tooltip("rate:Q", title=f"{currency} per second", format=",.4f")],
    )  # fmt: skip
    return _styled(chart)


def records_chart(traffic: Traffic) -> alt.Chart:
    """Records per second."""
    points = records_points(traffic)
    chart = alt.Chart(_frame(points, ["at", "rate"])).mark_area(**AREA).encode(
        x=_time(points),
        y=alt.Y("rate:Q", title=None, axis=alt.Axis(format=",~r", tickCount=4)),
        tooltip=[_SECOND, alt.Tooltip("rate:Q", title="records per second", format=",.1f")],
    )  # fmt: skip
    return _styled(chart)


def _frame(points: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(points, columns=columns)
    frame["at"] = pd.to_datetime(frame["at"], unit="ms", utc=True)
    return frame


def _time(points: list[dict[str, Any]]) -> alt.X:
    """A grid line per minute, or per two minutes."""
    minutes = (points[-1]["at"] - points[0]["at"]) // 60_000 if points else 1
    axis = alt.Axis(
        format="%H:%M",
        tickCount=max(1, minutes if minutes < 6 else minutes // 2),
        labelFlush=False,
        labelOverlap=True,
        labelSeparation=8,
    )
    return alt.X("at:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def _styled(chart: alt.Chart) -> alt.Chart:
    styled: alt.Chart = (
        chart.properties(height=HEIGHT, background="transparent", padding={"left": 0, "right": 4, "top": 2, "bottom": 0})
        .configure_view(strokeWidth=0)
        .configure_axis(labelColor=GREY, gridColor=LINE, domainColor=LINE, tickColor=LINE, labelFontSize=12)
    )
    return styled
