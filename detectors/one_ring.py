"""Calls that are given up at once: what Wangiri and flash calls have in common. Who is called, at home or abroad, tells them apart."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from detectors import evidence as of
from detectors.destination import code_of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability

KIND = "a_range"
FIELDS = ("a_raw", "setup_ms", "end_ms")


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_calls: NotNegative = 40.0  # calls given up at once now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.volume(rows, KIND, "rings", 15.0, 3.5), of.ringing(rows), of.distinct(rows, KIND), of.rate(rows, KIND, 3.0),
        of.regular(rows, KIND, -3.0),
    )  # fmt: skip


def ringing(frame: pl.DataFrame, parameters: Parameters, *, abroad: bool) -> Candidates:
    """The rows of blocks of numbers that ring many numbers and give up at once: those of another country code than theirs, or of the same."""
    found: Candidates = (seen(frame, KIND, "rings") >= parameters.least_calls) & (frame["a_number"] != "").to_numpy()
    if found.any():
        a_numbers, b_numbers = frame["a_number"].to_list(), frame["b_number"].to_list()
        for row in np.flatnonzero(found).tolist():
            found[row] = (code_of(a_numbers[row]) != code_of(b_numbers[row])) == abroad
    return found
