"""Traffic pumping and access stimulation: calls are attracted to few numbers (free conferences, chat lines, radio) for the fee of termination.

Many callers hold long calls to the same number at the same time, in a range that hardly had any. A conference bridge looks alike for an hour
a week, and is a regular destination after three days.

Source: FCC 19-94 (access stimulation: ratio of terminating traffic, high-volume conference numbers); CFCA. It only warns: in the USA access
stimulation is disputed and re-rated, never blocked; elsewhere a person decides.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"pumping": {"least_money": 20.0}})).least_money
20.0
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

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_money: NotNegative = 1.0  # money into the range now
    least_at_once: NotNegative = 4.0  # answered calls to one number at once


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.one_b(rows), of.talk(rows, KIND, 5.0), of.callers(rows), of.rate(rows, KIND, 4.0), of.spending(rows, KIND), of.new_range(rows),
        of.price_of_zone(rows), of.regular(rows, KIND, -3.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows with calls to one number that are held at the same time."""
    found: Candidates = (
        (seen(frame, KIND, "one_b") >= parameters.least_at_once)
        & (seen(frame, KIND, "money") * frame["unit"].to_numpy() >= parameters.least_money)
        & (frame["b_range"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="pumping",
    about="traffic pumping: many callers hold long calls to few numbers at the same time",
    fraud="pumping",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="disputed",
    parameters=Parameters,
    fields=("a_raw", "answer_ms", "end_ms"),
)
