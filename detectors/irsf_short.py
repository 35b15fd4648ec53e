"""IRSF with short calls: each answered call ends after seconds and is charged a whole first increment (30 or 60 s).

The money per second of talk is ten times the price, the calls are too short for any rule about minutes, and the ranges are ordinary ones.
What gives it away is the share of very short answered calls into one range against the account's own share.

Source: i3Forum and GSMA FS.21 ("short duration calls" exploiting minimum charging increments). A call centre has many short calls as well, but
to numbers all over the country, and has had them every day. The block is for the account and the range.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"irsf_short": {"least_shorts": 30.0}})).least_shorts
30.0
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
    least_loss: NotNegative = 0.5  # expected in the next 15 minutes, for an alert
    least_shorts: NotNegative = 8.0  # very short answered calls into the range now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.shorts(rows, KIND, 7.0), of.rate_there(rows, KIND), of.new_range(rows), of.price(rows, KIND), of.risk(rows), of.share(rows, KIND),
        of.answered(rows, KIND), of.sequential(rows, KIND), of.regular(rows, KIND, -4.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows with very short calls into a range worth weighing."""
    found: Candidates = (
        (seen(frame, KIND, "shorts") >= parameters.least_shorts)
        & (seen(frame, KIND, "money") * frame["unit"].to_numpy() >= parameters.least_loss)
        & (frame["b_range"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="irsf_short",
    about="revenue share fraud with answered calls of seconds, each charged a whole first increment, also into ordinary ranges",
    fraud="irsf_short",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    parameters=Parameters,
    fields=("answer_ms", "end_ms"),
)
