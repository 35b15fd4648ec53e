"""First call: an account calls a country for the first time, for accounts whose operator asked for this warning. It only warns."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from core.facts import Facts
from detectors.caps import rows_with
from detectors.columns import FOR_EVER, Columns, column_of
from detectors.destination import country_name, destination
from detectors.features import BLOCK_DIGITS
from detectors.protocol import Case, Detector, Hit, Limits, NoParameters

COLUMNS: dict[str, Any] = {"calls": np.int64}
"""Calls so far. Never forgotten: an account has at most one slot per country."""


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> pl.DataFrame:
    """Add `first_call`: 1 where the row is an account's first call to a country; no column where no such account is in the frame."""
    rows = rows_with(frame, limits.first_seen)
    rows = rows[frame["calls"].to_numpy()[rows] > 0]
    if not len(rows):
        return frame
    columns = state["destination"]
    slots = columns.enter(frame, "k_destination", rows)
    earliest = np.zeros(len(rows), np.int64)
    earliest[np.unique(slots, return_index=True)[1]] = 1
    first = earliest * (columns["calls"][slots] == 0)
    np.add.at(columns["calls"], slots, frame["calls"].to_numpy()[rows])
    columns["until_ms"][slots] = FOR_EVER
    return frame.hstack([column_of("first_call", frame.height, rows, first, 0)])


def findings(frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> list[Hit]:
    """The first calls."""
    if "first_call" not in frame.columns:
        return []
    rows = np.flatnonzero(frame["first_call"].to_numpy()).tolist()
    return [Hit(row, "cap_first_seen", "destination", 1.0, "first call", cap="first_seen", value=1) for row in rows]


def facts(case: Case, parameters: NoParameters) -> Facts:
    """The caller and the called destination."""
    row, number = case.row, str(case.row["b_code"])[1:]
    to = destination(number, row["b_kind"])
    country = row["country"] if row["country"] != "001" else ""
    return Facts(
        subject_kind="destination", account=row["account"], trunk="" if row["account"] else row["ingress_trunk"], a_number=row["a_number"],
        cap=case.hit.cap, value=case.hit.value, currency=case.currency, b_range=number[:-BLOCK_DIGITS], code=to.code, country=country,
        country_name=country_name(country) or to.kind, number_kind=to.kind if country else "",
    )  # fmt: skip


DETECTOR = Detector(
    name="first_call",
    about="an account's first call to a country, where its operator asked for that; it only warns",
    needs=(
        "tenant", "account", "ingress_trunk", "a_number", "b_kind", "b_code", "country", "calls", "k_destination", "partition", "home",
    ),
    state={"destination": COLUMNS},
    update=update,
    findings=findings,
    facts=facts,
)  # fmt: skip
