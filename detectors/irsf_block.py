"""IRSF over a block of numbers: a machine dials through many ranges of one destination, few calls to each.

No range fills up, so the rule of a single range does not see it; the zone (country code and kind of number) does. Many calls at once, most of
them the account's first into their range, often number after number.

Source: GSMA FS.21 (number blocks and sequential dialling in IRSF); i3Forum fraud classification. The block is for the account and the zone,
and never for a zone that the account calls on several days: it would refuse its ordinary calls.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"irsf_block": {"least_calls": 20.0}})).least_calls
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

KIND = "account_zone"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_loss: NotNegative = 2.0  # expected in the next 15 minutes, for an alert
    least_calls: NotNegative = 4.5  # answered calls to the zone now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.rate_there(rows, KIND), of.new_zone(rows), *of.money(rows, KIND), of.risk(rows), of.share(rows, KIND), of.overlap(rows, KIND),
        of.conversation(rows, KIND), of.conference(rows, KIND), of.off_hours(rows), of.answered(rows, KIND), of.spread(rows),
        of.sequential(rows, KIND), of.regular(rows, KIND, -4.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows with calls to a zone worth weighing."""
    found: Candidates = (
        (seen(frame, KIND, "answers") >= parameters.least_calls)
        & (seen(frame, KIND, "money") * frame["unit"].to_numpy() >= parameters.least_loss)
        & (frame["zone"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="irsf_block",
    about="international revenue share fraud over many ranges of one destination at the same time",
    fraud="irsf_block",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    parameters=Parameters,
)
