"""Flash calls: an application proves a telephone number by a call that it gives up at once, instead of a text message that costs money.

Very many calls from one block of numbers, each to another number, given up within seconds, within one country or from nowhere in particular.

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

from core.facts import Facts
from detectors import evidence as of
from detectors.destination import code_of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.protocol import Case, Detector, Hit, Limits
from detectors.scored import READS, NotNegative, Probability, facts, hits, unchanged

KIND = "a_range"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_calls: NotNegative = 40.0  # calls given up at once now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.volume(rows, KIND, "rings", 15.0, 3.5), of.ringing(rows), of.distinct(rows, KIND), of.rate(rows, KIND, 3.0),
        of.regular(rows, KIND, -3.0),
    )  # fmt: skip


def findings(frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> list[Hit]:
    """The rows of blocks of numbers that ring many numbers and give up at once."""
    candidates = (seen(frame, KIND, "rings") >= parameters.least_calls) & (frame["a_number"] != "").to_numpy()
    for row in np.flatnonzero(candidates).tolist():
        candidates[row] = code_of(frame["a_number"][row]) == code_of(frame["b_number"][row])
    return hits(frame, DETECTOR.name, KIND, candidates, parts, parameters.least_probability, 0.0, no_block="callers")


def case_facts(case: Case, parameters: Parameters) -> Facts:
    return facts(case, KIND, "flash_calls", parts)


DETECTOR = Detector(
    name="flash_calls",
    about="flash calls: very many calls from one block of numbers that are given up before anybody could answer",
    needs=READS,
    state={},
    update=unchanged,
    findings=findings,
    facts=case_facts,
    parameters=Parameters,
    fields=("a_raw", "setup_ms", "end_ms"),
)
