"""Wangiri: expensive foreign numbers ring subscribers once, so that they call back.

Very many calls from one block of foreign numbers, each to another subscriber, given up within seconds; the same numbers are shown again and
again (a number for each call is a flash call's code). The money is lost with the calls back: `callbacks` finds them over all accounts and
refuses them.

Source: GSMA FS.21; Europol and EURO police notices on "one ring" fraud; M. Sahin et al., "SoK: Fraud in Telephony Networks", EuroS&P 2017.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"wangiri": {"least_calls": 100.0}})).least_calls
100.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from detectors import evidence as of
from detectors.destination import code_of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "a_range"
MOST_SHOWN = 0.5
"""Different callers per call; above it each call has a number of its own."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_calls: NotNegative = 20.0  # calls given up at once now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.volume(rows, KIND, "rings", 10.0, 3.5), of.ringing(rows), of.distinct(rows, KIND), of.rate(rows, KIND, 3.0),
        of.regular(rows, KIND, -3.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of blocks of foreign numbers that ring many numbers and give up at once."""
    found: Candidates = (seen(frame, KIND, "rings") >= parameters.least_calls) & (frame["a_number"] != "").to_numpy()
    found &= seen(frame, KIND, "callers") <= np.maximum(MOST_SHOWN * seen(frame, KIND, "calls"), 3.0)
    if found.any():
        a_numbers, b_numbers = frame["a_number"].to_list(), frame["b_number"].to_list()
        for row in np.flatnonzero(found).tolist():
            found[row] = code_of(a_numbers[row]) != code_of(b_numbers[row])
    return found


DETECTOR = scored(
    name="wangiri",
    about="Wangiri: very many calls from one block of foreign numbers that are given up at once, so that people call back",
    fraud="wangiri",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="callers",
    parameters=Parameters,
    fields=("a_raw", "setup_ms", "end_ms"),
)
