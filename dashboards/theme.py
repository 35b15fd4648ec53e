"""The colours, light and dark. `style.css` has those of our own elements under the same names; Streamlit follows the browser's preference."""

from __future__ import annotations

from typing import Any, NamedTuple


class Colours(NamedTuple):
    """Of the charts, which are drawn on the page's background."""

    sold: str
    bought: str
    margin: str
    normal: str
    bad: str
    soft: str
    line: str
    land: str


DARK = Colours("#58a6ff", "#d29922", "#3fb950", "#5b6b7c", "#f85149", "#93a1b1", "#243040", "#1d2733")
LIGHT = Colours("#0a62d0", "#9a6700", "#1a7f37", "#a9b6c3", "#c62a20", "#52606d", "#d3dae2", "#dfe5eb")


def colours(scheme: str | None) -> Colours:
    """Those of a scheme, as `st.context.theme.type` names it; dark where it is not known yet."""
    return LIGHT if scheme == "light" else DARK


def _of(scheme: str, primary: str, back: str, second: str, ink: str, line: str) -> dict[str, Any]:
    names = {"primaryColor": primary, "backgroundColor": back, "secondaryBackgroundColor": second, "textColor": ink, "borderColor": line}
    return {f"theme.{scheme}.{name}": value for name, value in names.items()}


THEME: dict[str, Any] = {
    **_of("dark", "#1f6feb", "#0b0f14", "#121922", "#dde5ee", "#2b3744"),
    **_of("light", "#1f6feb", "#f6f8fa", "#ffffff", "#1f2933", "#c3ccd5"),
    "theme.baseRadius": "small",
}
