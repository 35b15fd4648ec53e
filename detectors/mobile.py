"""SIMs per device and cells per caller, from the records of a mobile operator (IMEI, IMSI, cell); 0 where a record has none of them.

Distinct values are counted by a register of 64 bits: exact enough for the few that a person has, and it says "many" for a box.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import polars as pl

from core.ids import hash64
from detectors.columns import Columns
from detectors.features import values_of
from detectors.profile import DAY_MS
from detectors.protocol import Feature

STATE: dict[str, Any] = {"day": np.int64, "bits": np.uint64}
PERIODS_DAYS = {"device": 7, "caller": 1}
"""SIMs are counted by the week, cells by the day."""


def register_rows(slot: Any, period: Any, value: Any, s_day: Any, s_bits: Any, out: Any) -> None:
    """Set the bit of each row's value in its subject's register, which begins anew with each period; `out`: how many values it holds."""
    one = np.uint64(1)
    for i in range(len(slot)):
        p = slot[i]
        if period[i] > s_day[p]:
            s_day[p], s_bits[p] = period[i], np.uint64(0)
        s_bits[p] |= one << (value[i] & np.uint64(63))
        used, word = 0, s_bits[p]
        while word:
            word &= word - one
            used += 1
        out[i] = -64.0 * np.log(1.0 - min(used, 63) / 64.0)


register: Any = numba.njit(cache=True)(register_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, secret: bytes) -> pl.DataFrame:
    """Add `devices` (SIMs in the row's device this week) and `cells` (of the row's caller today)."""
    devices = _counted(state["device"], frame, "device", "imei", "imsi", secret)
    return frame.hstack([pl.Series("devices", devices), pl.Series("cells", _counted(state["caller"], frame, "caller", "a_number", "cell", secret))])


def _counted(state: Columns, frame: pl.DataFrame, group: str, of: str, what: str, secret: bytes) -> np.ndarray[Any, Any]:
    found = np.zeros(frame.height)
    rows = np.flatnonzero(((frame[what] != "") & (frame[of] != "")).to_numpy())
    if not len(rows):
        return found
    named = values_of(frame, ("tenant", "account", of, what), rows.tolist())
    keys = [hash64(secret, tenant, group, account, name) for tenant, account, name, _ in named]
    values = np.asarray([hash64(secret, value) for *_, value in named], np.uint64)
    slots = state.slots(keys)
    state["partition"][slots], state["home"][slots] = frame["partition"].to_numpy()[rows], frame["home"].to_numpy()[rows]
    days = PERIODS_DAYS[group]
    period, out = frame["t_ms"].to_numpy()[rows] // (days * DAY_MS), np.zeros(len(rows))
    register(slots, period, values, state["day"], state["bits"], out)
    state["until_ms"][slots] = (period + 1) * days * DAY_MS
    found[rows] = out
    return found


FEATURE = Feature(
    name="mobile",
    about="SIMs per device and cells per caller, where the records of a mobile operator have IMEI, IMSI and cell",
    needs=("t_ms", "tenant", "account", "a_number", "imei", "imsi", "cell", "partition", "home"),
    adds={"devices": {}, "cells": {}},
    state=dict.fromkeys(PERIODS_DAYS, STATE),
    update=update,
)
