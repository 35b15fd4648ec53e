"""Robocalls: one caller, or one block of callers, reaches very many numbers, and hardly anybody talks.

Hundreds of calls an hour, each to another number, most of them not answered or ended within seconds. A call centre does the same every day:
its own normal takes the evidence away, and somebody listens to a third of its calls for longer.

Source: FCC TRACED Act reports; Hiya and TNS robocall reports (short duration, low answer rate, high volume of distinct numbers). The loss is
the callers' and not the operator's, so it warns; a block needs an expected loss as any other.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"robocalls": {"least_calls": 100.0}})).least_calls
100.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "a_number"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_calls: NotNegative = 60.0  # calls of one caller now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.rate(rows, KIND, 4.0), of.volume(rows, KIND, "calls", 30.0, 3.0), of.distinct(rows, KIND), of.brief(rows, KIND),
        of.began(rows, KIND), of.regular(rows, KIND, -3.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of callers that ring very many numbers."""
    found: Candidates = (seen(frame, KIND, "calls") >= parameters.least_calls) & (frame["a_number"] != "").to_numpy()
    return found


DETECTOR = scored(
    name="robocalls",
    about="robocalls: one caller to very many numbers within minutes, hardly any conversation",
    fraud="robocalls",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    parameters=Parameters,
    fields=("a_raw",),
)
