"""CLI spoofing and refiling: the callers' numbers are invented, or those of the called country, so that a call passes as another one.

Two shares of an account's calls, each against its own share of the last week: calls from numbers that the numbering data does not know, and
calls from the called country's own numbers. A foreign account that suddenly delivers local callers is refiled international traffic (it pays
the local rate), or a robocaller who hides ("neighbour spoofing"). Retail callers with one home country have a high share all the time.

Source: ITU-T E.157 and ECC Report 338 (CLI spoofing: validity, allocation, national CLI on international trunks); FCC STIR/SHAKEN orders. It
only warns: no key of a block covers invented numbers. With the results of test calls, say which route changes the caller's number.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"spoofing": {"least_calls": 50.0}})).least_calls
50.0
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from core.numbers import E164_KINDS
from detectors import evidence as of
from detectors.columns import Columns
from detectors.decay import FADING, fade
from detectors.destination import code_of
from detectors.evidence import Floats, Part, Rows
from detectors.profile import DAY_MS
from detectors.protocol import Limits
from detectors.risk import UNALLOCATED, risk_of
from detectors.scored import READS, Candidates, NotNegative, Probability, scored

KIND = "account"
NOW_MS, WEEK_MS = 3_600_000.0, 7.0 * DAY_MS
GROUPS = {"calls": NOW_MS, "bad": NOW_MS, "own": NOW_MS, "week_calls": WEEK_MS, "week_bad": WEEK_MS, "week_own": WEEK_MS}
"""Decayed counts per account, each with its half-life: calls, those from numbers that do not exist, those from the called country."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts decay by an hour."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_calls: NotNegative = 100.0  # calls of the account now


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> pl.DataFrame:
    """Add `cli`: the numbers of `GROUPS` of the row's account, that row included."""
    out, calls = np.zeros((frame.height, len(GROUPS))), frame["calls"].to_numpy()
    known = _shares(frame)
    t_ms = frame["t_ms"].to_numpy()
    for at, (group, half_ms) in enumerate(GROUPS.items()):
        columns = state[group]
        slots = columns.enter(frame, "k_account")
        fade(slots, t_ms, calls * known[group.removeprefix("week_")], half_ms, columns["t_ms"], columns["calls"], out[:, at])
        columns["until_ms"][slots] = columns["t_ms"][slots] + 30 * DAY_MS
    return frame.hstack([pl.Series("cli", out)])


def _shares(frame: pl.DataFrame) -> dict[str, Any]:
    """1 where a row is of each kind. A withheld caller is none of them; a row that is no first one of its call is not looked at."""
    bad, own = np.zeros(frame.height, np.int64), np.zeros(frame.height, np.int64)
    counts = frame["calls"].to_numpy()
    callers, kinds, numbers = frame["a_number"].to_list(), frame["a_kind"].to_list(), frame["b_number"].to_list()
    for row in np.flatnonzero(counts).tolist():
        a_number, b_number = callers[row], numbers[row]
        if kinds[row] in E164_KINDS and a_number:
            bad[row] = risk_of(a_number).kind == UNALLOCATED
            own[row] = len(b_number) > 8 and code_of(a_number) == code_of(b_number)
        else:
            bad[row] = kinds[row] == "invalid"
    return {"calls": np.ones(frame.height, np.int64), "bad": bad, "own": own}


def parts(rows: Rows) -> Sequence[Part]:
    calls, bad, own, week_calls, week_bad, week_own = np.asarray(rows["cli"]).T
    earlier = np.maximum(week_calls - calls, 0.0)
    return (
        _more("bad_cli", bad, calls, np.maximum(week_bad - bad, 0.0), earlier),
        _more("own_cli", own, calls, np.maximum(week_own - own, 0.0), earlier),
        of.rate(rows, KIND, 2.0),
    )  # fmt: skip


def _more(code: str, n: Floats, calls: Floats, earlier_n: Floats, earlier: Floats) -> Part:
    """A share now against the share before: the log-likelihood of so many of so many, at most 11. Before 200 calls no share is known."""
    now, normal = np.clip(n / np.maximum(calls, 1e-9), 0.001, 0.999), np.clip((earlier_n + 5) / (earlier + 100), 0.02, 0.98)
    gain = calls * (now * np.log(now / normal) + (1 - now) * np.log((1 - now) / (1 - normal)))
    more = (now > 2 * normal) & (now > normal + 0.15) & (earlier >= 200)
    return Part(code, np.where(more, np.clip(0.2 * gain, 0.0, 11.0), 0.0), now, normal)


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of accounts whose callers are suddenly others."""
    found: Candidates = frame["cli"].to_numpy()[:, 0] >= parameters.least_calls
    return found


DETECTOR = scored(
    name="spoofing",
    about="false callers: suddenly many calls of an account come from numbers that do not exist, or from the called country's own numbers",
    fraud="spoofing",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    needs=(*READS, "a_kind", "k_account", "partition", "home"),
    state=dict.fromkeys(GROUPS, FADING),
    update=update,
    parameters=Parameters,
    fields=("a_raw",),
)
