"""IRSF into a range: calls pumped into a block of numbers whose owner shares the termination fee.

A stolen line or SIM calls numbers of one block, at once and answered nearly always, mostly where the account never called before. Ordinary
mobile ranges are used as well as premium, satellite and unallocated ones, so the kind of number is one contribution of several.

Source: GSMA FS.21 and i3Forum, "International Revenue Share Fraud" (hot ranges, simultaneous calls, off-hours); CFCA Fraud Loss Survey 2023
(IRSF 6.2 billion USD a year). The block is for the caller and the range where one caller makes the calls, else for the account and the range.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"irsf_range": {"least_loss": 5.0}})).least_loss
5.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "account_range"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_loss: NotNegative = 2.0  # expected in the next 15 minutes, for an alert
    least_calls: NotNegative = 2.5  # answered calls into the range now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.rate_there(rows, KIND), of.new_zone(rows), of.new_range(rows), *of.money(rows, KIND), of.risk(rows), of.share(rows, KIND),
        of.overlap(rows, KIND), of.conversation(rows, KIND), of.conference(rows, KIND), of.off_hours(rows), of.answered(rows, KIND),
        of.sequential(rows, KIND), of.regular(rows, KIND, -4.0), of.regular(rows, "account_zone", -1.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows with calls into a range worth weighing."""
    found: Candidates = (
        (seen(frame, KIND, "answers") >= parameters.least_calls)
        & (seen(frame, KIND, "money") * frame["unit"].to_numpy() >= parameters.least_loss)
        & (frame["b_range"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="irsf_range",
    about="international revenue share fraud into one range: many calls at once to a range that the account does not usually call",
    fraud="irsf",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    parameters=Parameters,
)
