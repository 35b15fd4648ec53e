"""Flash calls: an application proves a telephone number by a call that it gives up at once, instead of a text message that costs money.

Very many calls, each to another number and each from another: the last digits of the caller are the code. The pool may be a million numbers, so
no caller and no block of them stands out: what changes is the share of the account's calls that are given up within seconds of ringing.

Source: MEF and Mobilesquared, "Flash calling" reports (2021 to 2023): zero duration, single ring, number blocks in rotation. Nothing can be
charged, so nothing is blocked: it warns, and operators agree on a price or refuse the block of numbers.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"flash_calls": {"least_calls": 100.0}})).least_calls
100.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from detectors import evidence as of
from detectors import shares
from detectors.evidence import Part, Rows
from detectors.scored import READS, Candidates, NotNegative, Probability, scored

KIND = "account"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts decay by two hours."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_calls: NotNegative = 15.0  # calls of the account given up at once now


def parts(rows: Rows) -> Sequence[Part]:
    rings = np.asarray(rows["shares"])[:, shares.AT["rings"]]
    volume = Part("volume", np.clip(1.5 * np.log(np.maximum(rings, 1e-6) / 10.0), 0.0, 3.0), rings, np.full_like(rings, 10.0))
    return shares.changed(rows["shares"], "rings", "rings", "ends", 10.0, 0.3, 0.03, shares.RINGS), volume, of.distinct(rows, KIND)


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of accounts with many calls that were given up at once."""
    rings = shares.numbers(frame, "rings")
    found: Candidates = (rings >= parameters.least_calls) & (rings >= 0.1 * shares.numbers(frame, "ends")) & (frame["rings"].to_numpy() > 0)
    return found


DETECTOR = scored(
    name="flash_calls",
    about="flash calls: suddenly many calls of an account are given up before anybody could answer",
    fraud="flash_calls",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    needs=(*READS, "shares"),
    parameters=Parameters,
    fields=("a_raw", "setup_ms", "end_ms"),
)
