"""IRSF slow and spread: a few expensive calls per hour, each to another range, for a day or longer, under every limit of speed.

What gives it away is the day, not the minute: money to one destination that is many times the account's day, calls of which hardly any range
repeats (people call the same few numbers), at a price far over the account's, at hours at which it never calls.

Source: GSMA FS.21 ("low and slow"); TransNexus, "Telecom fraud: traffic pumping and IRSF" (attacks stay under per-hour limits). The block is
for the account and the zone, and never for a regular one.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"irsf_spread": {"least_day_money": 25.0}})).least_day_money
25.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "account_zone"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_loss: NotNegative = 0.1  # expected in the next 15 minutes, for an alert
    least_day_money: NotNegative = 10.0  # money to the zone in a day
    least_calls: NotNegative = 4.0  # answered calls to it in a day


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.rate_of_day(rows, KIND), of.new_zone(rows), of.price_of_day(rows, KIND), of.risk(rows), of.fresh_of_day(rows),
        of.spread_of_day(rows), of.off_hours(rows), of.overlap(rows, KIND), of.answered(rows, KIND), of.regular(rows, KIND, -5.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows with a day of calls to a zone worth weighing."""
    found: Candidates = (
        (seen(frame, KIND, "day_answers") >= parameters.least_calls)
        & (seen(frame, KIND, "day_money") * frame["unit"].to_numpy() >= parameters.least_day_money)
        & (frame["zone"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="irsf_spread",
    about="international revenue share fraud, slow and spread: a day of few calls to each of many ranges of one destination",
    fraud="irsf_slow",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    over_a_day=True,
    parameters=Parameters,
)
