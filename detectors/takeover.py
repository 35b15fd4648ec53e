"""Account takeover and PBX hacking: whoever has the password spends on destinations that the account never called.

Money to fresh countries (called for less than three days) is many times what the account spends at all; several of them at once, several calls at
the same time, at night or at the weekend, at a price far over the usual one.

Source: CFCA Fraud Loss Survey (PBX and IP PBX hacking among the first five methods); Communications Fraud Control guidance: off-hours, weekends,
first-seen destinations. The block is for the account and the fresh zone: its ordinary destinations stay open.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"takeover": {"least_loss": 5.0}})).least_loss
5.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import FIRST_MS, is_fresh, seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "account_zone"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_loss: NotNegative = 2.0  # expected in the next 15 minutes, for an alert
    least_calls: NotNegative = 3.0  # answered calls of the account now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.fresh(rows), of.fresh_of_day(rows, 1.5), of.countries(rows), of.rate(rows, "account", 2.0), of.price(rows, KIND), of.risk(rows),
        of.overlap(rows, "account"), of.conversation(rows, "account"), of.conference(rows, KIND), of.off_hours(rows), of.fresh_answered(rows, KIND),
        of.regular(rows, KIND, -6.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of calls to a fresh country of an account that spends there as it never does."""
    found: Candidates = (
        is_fresh(seen(frame, KIND, "country_age_ms"), seen(frame, "account", "age_ms"))
        & (seen(frame, "account", "age_ms") >= FIRST_MS)  # of an account that was just seen first, everything is new
        & (seen(frame, "account", "answers") >= parameters.least_calls)
        & (seen(frame, "account", "fresh_money") * frame["unit"].to_numpy() >= parameters.least_loss)
        & (seen(frame, KIND, "money") > 0)
        & (frame["zone"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="takeover",
    about="a stolen account or hacked PBX: money to destinations that the account has never called, at several at once or at night",
    fraud="takeover",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    parameters=Parameters,
)
