"""Robocalls: one campaign reaches very many numbers, and hardly anybody talks.

Most campaigns show a number once or a few times, so that no caller stands out: what changes are the calls of the account that brings them in. A
call centre calls as many different numbers every day, but its share of very short calls stays what it was, and somebody listens to a third of
its calls for longer. So: the share of answered calls that end within seconds, against the account's own of the week before, and beside it the
share that is not answered, how many calls, and how different their numbers.

Source: S. Prasad et al., "Who's Calling?", USENIX Security 2020 (storms of hours, a number is rarely shown twice); Hiya and TNS robocall reports
(short, seldom answered, many distinct numbers). The loss is the callers' and not the operator's, so it warns; a person decides.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"robocalls": {"least_calls": 100.0}})).least_calls
100.0
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
    least_calls: NotNegative = 40.0  # calls of the account that ended now


def parts(rows: Rows) -> Sequence[Part]:
    return (
        shares.changed(rows["shares"], "shorts", "shorts", "answers", 9.0, 0.4, 0.1, shares.SHORTS), of.brief(rows, KIND), of.distinct(rows, KIND),
        of.rate(rows, KIND, 2.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of accounts with so many calls that a share says something, if very many are short."""
    found: Candidates = (shares.numbers(frame, "ends") >= parameters.least_calls) & (
        shares.numbers(frame, "shorts") >= 0.3 * shares.numbers(frame, "answers")
    )
    found &= (frame["shorts"].to_numpy() > 0) | (frame["misses"].to_numpy() > 0)
    return found


DETECTOR = scored(
    name="robocalls",
    about="robocalls: suddenly many calls of an account, each to another number, end within seconds",
    fraud="robocalls",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    needs=(*READS, "shares"),
    parameters=Parameters,
    fields=("a_raw",),
)
