"""Two charts of the last minutes: money per second and records per second. Times are UTC; nothing is fetched from other hosts."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboards.points import money_points, records_points
from dashboards.theme import Colours
from dashboards.traffic import Traffic
from services.subjects import Step
from services.subjects import Traffic as SubjectTraffic

HEIGHT = 165
_SECOND = alt.Tooltip("at:T", title="UTC", format="%H:%M:%S")


def sides(colour: Colours) -> dict[str, str]:
    """The colour of each side of the money."""
    return {"sold": colour.sold, "bought": colour.bought, "margin": colour.margin}


def money_chart(traffic: Traffic, currency: str, colour: Colours) -> Any:
    """Sold, bought and margin per second, in one currency."""
    points = money_points(traffic, currency)
    known = sides(colour)
    side = alt.Color("side:N", scale=alt.Scale(domain=list(known), range=list(known.values())), legend=None)  # the heading has the legend
    chart = alt.Chart(_frame(points, ["at", "side", "rate"])).mark_line(interpolate="step-after", strokeWidth=1.6).encode(
        x=_time(points),
        y=alt.Y("rate:Q", title=None, axis=alt.Axis(format=",~r", tickCount=4)),
        color=side,
        tooltip=[_SECOND, alt.Tooltip("side:N", title="side"), alt.Tooltip("rate:Q", title=f"{currency} per second", format=",.4f")],
    )  # fmt: skip
    return styled(chart, colour)


def records_chart(traffic: Traffic, colour: Colours) -> Any:
    """Records per second."""
    points = records_points(traffic)
    chart = alt.Chart(_frame(points, ["at", "rate"])).mark_area(
        interpolate="step-after", color=colour.sold, opacity=0.35, line={"strokeWidth": 1.4, "color": colour.sold}
    ).encode(
        x=_time(points),
        y=alt.Y("rate:Q", title=None, axis=alt.Axis(format=",~r", tickCount=4)),
        tooltip=[_SECOND, alt.Tooltip("rate:Q", title="records per second", format=",.1f")],
    )  # fmt: skip
    return styled(chart, colour)


def subject_chart(traffic: SubjectTraffic, currency: str, colour: Colours, height: int = HEIGHT) -> Any:
    """A subject's steps as bars, and behind them its normal; money where a currency is given, else calls."""
    unit = "minute" if traffic.step_ms == 60_000 else "hour"
    what = f"{currency} per {unit}" if currency else f"calls per {unit}"

    def points(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
        return [{"at": step.at_ms, "rate": float(step.sold(currency)) if currency else step.calls} for step in steps]

    now = points(traffic.now)
    time = _time(now)
    rate = alt.Y("rate:Q", title=None, axis=alt.Axis(format=",~r", tickCount=4))
    tips = [alt.Tooltip("at:T", title="UTC", format="%a %H:%M"), alt.Tooltip("rate:Q", title=what, format=",.2f" if currency else ",")]
    bars = alt.Chart(_frame(now, ["at", "rate"])).mark_rect(color=colour.sold).encode(
        x=time, x2="until:T", y=rate, y2=alt.datum(0), tooltip=tips
    ).transform_calculate(until=f"toNumber(datum.at) + {round(traffic.step_ms * 0.8)}")  # fmt: skip
    layers = [bars]
    if traffic.normal:
        normal = _frame(points(traffic.normal), ["at", "rate"])
        layers.insert(0, alt.Chart(normal).mark_area(
            interpolate="step-after", color=colour.normal, opacity=0.45, line={"strokeWidth": 2, "color": colour.normal}
        ).encode(x=time, y=rate, tooltip=[tips[0], alt.Tooltip("rate:Q", title=f"its normal, {what}", format=",.2f")]))  # fmt: skip
    return styled(alt.layer(*layers), colour, height)


def _frame(points: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(points, columns=columns)
    frame["at"] = pd.to_datetime(frame["at"], unit="ms", utc=True)
    return frame


def _time(points: list[dict[str, Any]]) -> alt.X:
    """A grid line per minute, or per two minutes."""
    minutes = (points[-1]["at"] - points[0]["at"]) // 60_000 if points else 1
    axis = alt.Axis(
        format="%H:%M",
        tickCount=max(1, minutes if minutes < 6 else min(12, minutes // 2)),
        labelFlush=False,
        labelOverlap=True,
        labelSeparation=8,
    )
    return alt.X("at:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def styled(chart: Any, colour: Colours, height: int = HEIGHT) -> Any:
    """Without a frame, in the colours of the page."""
    return (
        chart.properties(height=height, background="transparent", padding={"left": 0, "right": 4, "top": 2, "bottom": 0})
        .configure_view(strokeWidth=0)
        .configure_axis(labelColor=colour.soft, gridColor=colour.line, domainColor=colour.line, tickColor=colour.line, labelFontSize=12)
    )
