"""Call looping: a call that we send out comes back to us, and goes out again, until a limit of hops ends it.

The same caller calls the same number again and again within seconds, while the earlier ones still ring. Redialling takes a person longer.

Source: RFC 3261 section 16.3 (loops, 482 and 483), RFC 5393 (amplification by forking proxies). It only warns: the remedy is a route.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"looping": {"least_repeats": 10.0}})).least_repeats
10.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import Candidates, NotNegative, Probability, scored

KIND = "a_number"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_repeats: NotNegative = 4.0  # calls to the same number within seconds of the one before


def parts(rows: Rows) -> Sequence[Part]:
    return (of.repeats(rows), of.volume(rows, KIND, "calls", 3.0, 2.0))


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of callers whose calls come again within seconds."""
    found: Candidates = (seen(frame, KIND, "repeats") >= parameters.least_repeats) & (frame["a_number"] != "").to_numpy()
    return found


DETECTOR = scored(
    name="looping",
    about="call looping: the same call comes in again and again within seconds",
    fraud="looping",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    parameters=Parameters,
    fields=("a_raw", "setup_ms"),
)
