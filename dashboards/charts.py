"""The charts, as Vega-Lite documents: money per second, records per second, a subject beside its normal. Times are UTC; nothing is fetched from
other hosts.

The documents are written as they are sent: Altair checks each of its objects against the whole schema, which took most of the time of drawing a wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import streamlit as st

from dashboards.points import STEP_MS, money_points, records_points
from dashboards.theme import Colours
from dashboards.traffic import WINDOW_MS, Traffic
from services.subjects import Step
from services.subjects import Traffic as SubjectTraffic

Chart = dict[str, Any]
"""A Vega-Lite document with its `datasets` as frames."""

HEIGHT = 165
STEPS = WINDOW_MS // STEP_MS + 2  # the end of the last step, and one that begins before the window
UTC_SECOND = {"field": "at", "type": "temporal", "title": "UTC", "format": "%H:%M:%S"}


def draw(chart: Chart, key: str, alt: str) -> None:
    """The chart at its full width. `alt`: what a person who cannot see it is told."""
    st.vega_lite_chart(spec=chart, theme=None, width="stretch", key=key, alt=alt)


def sides(colour: Colours) -> dict[str, str]:
    """The colour of each side of the money."""
    return {"sold": colour.sold, "bought": colour.bought, "margin": colour.margin}


def money_chart(traffic: Traffic, currency: str, colour: Colours) -> Chart:
    """Sold, bought and margin per second, in one currency."""
    points, known = money_points(traffic, currency), sides(colour)
    return {
        "data": {"name": "points"}, "datasets": {"points": _timed(_filled(points, len(known) * STEPS), ("side",))},
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.6},
        "encoding": {
            "x": _time(points), "y": _rate(),
            # The heading has the legend.
            "color": {"field": "side", "type": "nominal", "scale": {"domain": list(known), "range": list(known.values())}, "legend": None},
            "tooltip": [UTC_SECOND, {"field": "side", "type": "nominal", "title": "side"}, _said(f"{currency} per second", ",.4f")],
        },
        **_look(colour),
    }  # fmt: skip


def records_chart(traffic: Traffic, colour: Colours) -> Chart:
    """Records per second."""
    points = records_points(traffic)
    return {
        "data": {"name": "points"}, "datasets": {"points": _timed(_filled(points, STEPS))},
        "mark": _area(colour.sold, 0.35, 1.4),
        "encoding": {"x": _time(points), "y": _rate(), "tooltip": [UTC_SECOND, _said("records per second", ",.1f")]},
        **_look(colour),
    }  # fmt: skip


def subject_chart(traffic: SubjectTraffic, currency: str, colour: Colours, height: int = HEIGHT) -> Chart:
    """A subject's steps as bars, and behind them its normal; money where a currency is given, else calls."""
    unit = "minute" if traffic.step_ms == 60_000 else "hour"
    what, digits = f"{currency} per {unit}" if currency else f"calls per {unit}", ",.2f" if currency else ","

    def points(steps: Sequence[Step]) -> list[dict[str, Any]]:
        return [{"at": step.at_ms, "rate": float(step.sold(currency)) if currency else step.calls} for step in steps]

    now, normal = points(traffic.now), points(traffic.normal)
    time, at = _time(now), {"field": "at", "type": "temporal", "title": "UTC", "format": "%a %H:%M"}
    bars = {
        "data": {"name": "now"}, "mark": {"type": "rect", "color": colour.sold},
        "transform": [{"calculate": f"toNumber(datum.at) + {round(traffic.step_ms * 0.8)}", "as": "until"}],
        "encoding": {"x": time, "x2": {"field": "until"}, "y": _rate(), "y2": {"datum": 0}, "tooltip": [at, _said(what, digits)]},
    }  # fmt: skip
    behind = {
        "data": {"name": "normal"}, "mark": _area(colour.normal, 0.45, 2),
        "encoding": {"x": time, "y": _rate(), "tooltip": [at, _said(f"its normal, {what}", ",.2f")]},
    }  # fmt: skip
    return {
        "datasets": {"now": _timed(now)} | ({"normal": _timed(normal)} if normal else {}),
        "layer": [behind, bars] if normal else [bars],
        **_look(colour, height),
    }


def _filled(points: list[dict[str, Any]], rows: int) -> list[dict[str, Any]]:
    """Always as many rows: Streamlit draws a chart from nothing when their number changes. The last point stands for those that are missing."""
    return points + points[-1:] * (rows - len(points))


def _timed(points: list[dict[str, Any]], names: tuple[str, ...] = ()) -> pl.DataFrame:
    """The points as a frame, which is sent beside the document: new numbers leave the picture where it is."""
    return pl.DataFrame(points, {"at": pl.Int64, **dict.fromkeys(names, pl.String), "rate": pl.Float64}).with_columns(
        pl.from_epoch("at", time_unit="ms").cast(pl.Datetime("ns", "UTC"))
    )


def _time(points: list[dict[str, Any]]) -> Chart:
    """A grid line per minute, or per two minutes. The number of steps moves by one: rounded, the axis stays, and the picture with it."""
    minutes = round((points[-1]["at"] - points[0]["at"]) / 60_000) if points else 1
    axis = {
        "format": "%H:%M", "tickCount": max(1, minutes if minutes < 6 else min(12, minutes // 2)), "labelFlush": False, "labelOverlap": True,
        "labelSeparation": 8,
    }  # fmt: skip
    return {"field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": axis}


def _rate() -> Chart:
    return {"field": "rate", "type": "quantitative", "title": None, "axis": {"format": ",~r", "tickCount": 4}}


def _said(what: str, digits: str) -> Chart:
    return {"field": "rate", "type": "quantitative", "title": what, "format": digits}


def _area(colour: str, opacity: float, width: float) -> Chart:
    return {"type": "area", "interpolate": "step-after", "color": colour, "opacity": opacity, "line": {"strokeWidth": width, "color": colour}}


def _look(colour: Colours, height: int = HEIGHT) -> Chart:
    """Without a frame, in the colours of the page."""
    axis = {"labelColor": colour.soft, "gridColor": colour.line, "domainColor": colour.line, "tickColor": colour.line, "labelFontSize": 12}
    return {
        "height": height, "background": "transparent", "padding": {"left": 0, "right": 4, "top": 2, "bottom": 0},
        "config": {"view": {"strokeWidth": 0}, "axis": axis},
    }  # fmt: skip
