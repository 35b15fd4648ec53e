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

from core.facts import Facts
from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.protocol import Case, Detector, Hit, Limits
from detectors.scored import READS, NotNegative, Probability, facts, hits, unchanged

KIND = "account_range"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_loss: NotNegative = 0.5  # expected in the next 15 minutes, for an alert
    least_shorts: NotNegative = 8.0  # very short answered calls into the range now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.shorts(rows, KIND, 7.0), of.rate(rows, KIND), of.new_range(rows), of.price(rows, KIND), of.risk(rows), of.share(rows, KIND),
        of.answered(rows, KIND), of.sequential(rows, KIND), of.regular(rows, KIND, -4.0),
    )  # fmt: skip


def findings(frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> list[Hit]:
    """The rows with very short calls into a range that are more likely fraud than not, and cost enough."""
    candidates = (
        (seen(frame, KIND, "shorts") >= parameters.least_shorts)
        & (seen(frame, KIND, "money") * frame["unit"].to_numpy() >= parameters.least_loss)
        & (frame["b_range"] != "").to_numpy()
    )
    return hits(frame, DETECTOR.name, KIND, candidates, parts, parameters.least_probability, parameters.least_loss)


def case_facts(case: Case, parameters: Parameters) -> Facts:
    return facts(case, KIND, "irsf_short", parts)


DETECTOR = Detector(
    name="irsf_short",
    about="revenue share fraud with answered calls of seconds, each charged a whole first increment, also into ordinary ranges",
    needs=READS,
    state={},
    update=unchanged,
    findings=findings,
    facts=case_facts,
    parameters=Parameters,
    fields=("answer_ms", "end_ms"),
)
