"""CLI spoofing and refiling: the callers' numbers are invented, or those of the called country, so that a call passes as another one.

Two shares of an account's calls, each against its own share of the last week: calls from numbers that the numbering data does not know, and
calls from the called country's own numbers. A foreign account that suddenly delivers local callers is refiled international traffic (it pays
the local rate), or a robocaller who hides ("neighbour spoofing"). Retail callers with one home country have a high share all the time.

Source: ITU-T E.157 and ECC Report 338 (CLI spoofing: validity, allocation, national CLI on international trunks); FCC STIR/SHAKEN orders. It
only warns: no key of a block covers invented numbers. With the results of test calls, say which route changes the caller's number.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"spoofing": {"least_calls": 50.0}})).least_calls
50.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors import shares
from detectors.evidence import Part, Rows
from detectors.scored import READS, Candidates, NotNegative, Probability, scored

KIND = "account"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts decay by two hours."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_calls: NotNegative = 30.0  # calls of the account now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        shares.changed(rows["shares"], "bad_cli", "bad", "calls", 11.0), shares.changed(rows["shares"], "own_cli", "own", "calls", 11.0),
        of.rate(rows, KIND, 2.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of accounts with so many calls that a share says something, if many of their callers are odd ones."""
    calls = shares.numbers(frame, "calls")
    odd = shares.numbers(frame, "bad") + shares.numbers(frame, "own")
    found: Candidates = (calls >= parameters.least_calls) & (odd >= 0.1 * calls) & (frame["odd_cli"].to_numpy() > 0)
    return found


DETECTOR = scored(
    name="spoofing",
    about="false callers: suddenly many calls of an account come from numbers that do not exist, or from the called country's own numbers",
    fraud="spoofing",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    needs=(*READS, "shares", "odd_cli"),
    parameters=Parameters,
    fields=("a_raw",),
)
