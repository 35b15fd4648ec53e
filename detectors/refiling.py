"""Refiling: traffic from expensive origins is sent on with callers' numbers of a cheap one, to avoid the surcharge by origin.

A block of foreign numbers that this account never brought in calls many different numbers abroad, with the talk of ordinary people, and the same
few numbers talk several times at once, as no mobile does. A firm's new numbers look alike for an hour; it calls the same people again.

Source: i3forum, "Origin based rating: fraud and misuse" (the same few European numbers on many calls, at the same time in several of them); BEREC
on origin based charging, and its survey of surcharges for calls from outside the EEA (from 0.08 EUR per minute).

The block is for the account and each caller of the block that calls: no key names a block of callers. What is lost is the surcharge of the minutes.
Where that is less than what refusing a firm's new numbers would cost it only warns; test calls over the carrier, and a dispute, remain.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"refiling": {"least_calls": 80.0}})).least_calls
80.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from detectors import evidence as of
from detectors.destination import code_of
from detectors.evidence import Part, Rows
from detectors.profile import HOUR_MS, seen
from detectors.scored import Candidates, NotNegative, Probability, per_quarter, scored

KIND = "a_range"
SURCHARGE_PER_MIN = 0.08
MOST_LEAD = 0.7
"""A block of which one caller makes nearly all calls is that caller."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_calls: NotNegative = 30.0  # calls of the block in a day
    least_others: NotNegative = 20.0  # calls of the account in a day from other blocks: what comes from one block alone is its own


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.volume(rows, KIND, "day_calls", 15.0, 3.0), of.distinct_of_day(rows, KIND), of.talk(rows, KIND), _began(rows), _at_once(rows),
        of.regular(rows, KIND, -4.0),
    )  # fmt: skip


def _began(rows: Rows) -> Part:
    """A block that the account brought in for the first time now, the longer the account was watched before it the surer."""
    age_h, old_h = rows.of(KIND, "age_ms") / HOUR_MS, rows.of("account", "age_ms") / HOUR_MS
    return Part("age", np.where((age_h < 48) & (old_h > age_h + 4), np.clip((old_h - age_h) / 4.0, 0.0, 3.0), -4.0), age_h / 24, old_h / 24)


def _at_once(rows: Rows) -> Part:
    """Answered calls of one caller, or else of its block, while another of it talks."""
    caller, block = rows.of("a_number", "overlaps"), rows.of(KIND, "overlaps")
    return Part("overlap", np.clip(1.5 * np.log1p(caller) + 0.5 * np.log1p(block), 0.0, 4.0), np.maximum(caller, block), np.zeros_like(caller))


def burns(rows: Rows, kind: str, over_a_day: bool) -> of.Floats:
    """Surcharges of the next 15 minutes.

    >>> from detectors.profile import NAMES
    >>> row = {"p_a_range": [dict(day_talk_min=1200.0, age_ms=HOUR_MS * 4).get(name, 0.0) for name in NAMES]}
    >>> burns(Rows.of_case(row), "a_range", True).tolist()
    [6.0]
    """
    return per_quarter(rows, kind, rows.of(kind, "day_talk_min") * SURCHARGE_PER_MIN)


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of blocks of foreign callers with very many calls in a day."""
    calls = seen(frame, KIND, "day_calls")
    found: Candidates = (calls >= parameters.least_calls) & (frame["a_number"] != "").to_numpy()
    found &= seen(frame, "account", "day_calls") - calls >= parameters.least_others
    found &= seen(frame, KIND, "lead") < MOST_LEAD
    if found.any():
        a_numbers, b_numbers = frame["a_number"].to_list(), frame["b_number"].to_list()
        for row in np.flatnonzero(found).tolist():
            found[row] = code_of(a_numbers[row]) not in ("", code_of(b_numbers[row]))
    return found


DETECTOR = scored(
    name="refiling",
    about="refiling: a new block of foreign callers with very many calls abroad, several at once from the same numbers",
    fraud="refiling",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    over_a_day=True,
    burns=burns,
    parameters=Parameters,
    fields=("a_raw", "answer_ms", "end_ms"),
)
