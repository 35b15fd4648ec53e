"""Two charts of the last minutes: money a second, and records a second. Times are UTC; nothing is fetched to draw them."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboards.points import money_points, records_points
from dashboards.traffic import Traffic

HEIGHT = 150
COLOURS = {"sold": "#58a6ff", "bought": "#d29922", "margin": "#3fb950"}
GREY, LINE = "#93a1b1", "#243040"

_TIME = alt.X("at:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%H:%M", tickCount=8, labelFlush=False))
_SECOND = alt.Tooltip("at:T", title="UTC", format="%H:%M:%S")


def money_chart(traffic: Traffic, currency: str) -> alt.Chart:
    """Sold, bought and margin a second, in one currency."""
    frame = _frame(money_points(traffic, currency), ["at", "side", "rate"])
    sides = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    colour = alt.Color("side:N", title=None, scale=sides, legend=alt.Legend(orient="top", symbolType="stroke"))
    chart = alt.Chart(frame).mark_line(interpolate="step-after", strokeWidth=1.6).encode(
        x=_TIME,
        y=alt.Y("rate:Q", title=None, axis=alt.Axis(format="~g", tickCount=4)),
        color=colour,
        tooltip=[_SECOND, alt.Tooltip("side:N", title="side"), alt.Tooltip("rate:Q", title=f"{currency} a second", format=",.4f")],
    )  # fmt: skip
    return _styled(chart)


def records_chart(traffic: Traffic) -> alt.Chart:
    """Records a second."""
    frame = _frame(records_points(traffic), ["at", "rate"])
    chart = alt.Chart(frame).mark_area(interpolate="step-after", color="#58a6ff", opacity=0.35, line={"strokeWidth": 1.4, "color": "#58a6ff"}).encode(
        x=_TIME,
        y=alt.Y("rate:Q", title=None, axis=alt.Axis(format="~g", tickCount=4)),
        tooltip=[_SECOND, alt.Tooltip("rate:Q", title="records a second", format=",.1f")],
    )  # fmt: skip
    return _styled(chart)


def _frame(points: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(points, columns=columns)
    frame["at"] = pd.to_datetime(frame["at"], unit="ms", utc=True)
    return frame


def _styled(chart: alt.Chart) -> alt.Chart:
    return (
        chart.properties(height=HEIGHT, background="transparent")
        .configure_view(strokeWidth=0)
        .configure_axis(labelColor=GREY, gridColor=LINE, domainColor=LINE, tickColor=LINE, labelFontSize=12)
        .configure_legend(labelColor=GREY, labelFontSize=12)
    )
