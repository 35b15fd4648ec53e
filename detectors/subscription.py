"""Subscription and credit fraud: an account opened with a false identity, or for a refused credit card, spends all it can before the first bill.

It is new (not only to us: its operator was watched before), expensive destinations are most of its money from the first day, and it talks at
many times the rate of an ordinary new customer. A new customer's ramp goes to ordinary destinations at ordinary prices; what another carrier sends
from his first day on goes everywhere, and has as many callers as calls.

Source: CFCA Fraud Loss Survey (subscription fraud, the most frequent method); GSMA FS.21. The block is for the account and the expensive zone.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"subscription": {"least_day_money": 100.0}})).least_day_money
100.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import DAY_MS, HOUR_MS, seen
from detectors.scored import READS, Candidates, NotNegative, Probability, scored

KIND = "account_zone"
YOUNG_MS = 7 * DAY_MS


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_loss: NotNegative = 0.5  # expected in the next 15 minutes, for an alert
    least_day_money: NotNegative = 30.0  # money of the account in a day
    least_watched_h: NotNegative = 24.0  # how long its partition was watched before its first call: else it may be an old account


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.age(rows), of.dear(rows), of.volume(rows, "account", "day_money", 30.0, 3.5), of.risk(rows), of.overlap(rows, "account"),
        of.share_of_day(rows, KIND), of.one_line(rows), of.off_hours(rows),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of new accounts that spend as no new customer does."""
    found: Candidates = (
        (seen(frame, "account", "day_money") * frame["unit"].to_numpy() >= parameters.least_day_money)
        & (seen(frame, "account", "age_ms") < YOUNG_MS)
        & (frame["watched_ms"].to_numpy() - seen(frame, "account", "age_ms") >= parameters.least_watched_h * HOUR_MS)
        & (seen(frame, KIND, "money") > 0)
        & (frame["zone"] != "").to_numpy()
    )
    return found


DETECTOR = scored(
    name="subscription",
    about="subscription or credit fraud: a new account that spends at once, and on expensive destinations",
    fraud="subscription",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    needs=(*READS, "watched_ms"),
    parameters=Parameters,
)
