"""Test calls before a fraud: a fraudster tries which ranges can be reached before the traffic is sent there.

Short or unanswered calls to several destinations that the account never called, expensive ones, within minutes, each once.

Source: GSMA FS.21; Merve Sahin et al., "SoK: Fraud in Telephony Networks" (test numbers and IRSF); providers of ranges publish test numbers.
It only warns: nothing is lost yet.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"probing": {"least_new_zones": 3.0}})).least_new_zones
3.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "account"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_new_zones: NotNegative = 2.5  # first calls to a zone now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.zones(rows, 7.0), of.brief(rows, KIND), of.risk(rows), of.price_of_zone(rows), of.off_hours(rows), of.conversation(rows, KIND),
        of.busy(rows),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of accounts that try one new destination after the other."""
    found: Candidates = (
        (seen(frame, KIND, "new_zones") >= parameters.least_new_zones)
        & (seen(frame, "account_zone", "sum_calls") <= 2)
        & (frame["zone"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="probing",
    about="test calls before a fraud: short calls to many destinations that the account never called",
    fraud="test_calls",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    parameters=Parameters,
)
