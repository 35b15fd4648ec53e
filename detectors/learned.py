"""A trained scorer beside the rules, as one more evidence: off unless the policy names a model by its hash.

The trees (scikit-learn's histogram gradient boosting; G. Ke et al., "LightGBM", NIPS 2017) read the numbers of the shared features of a row: of the
account, its zone and range, and the caller. What a row is given depends on that row alone. A model that is not in the books, or whose hash differs,
is not used: the detector is then silent, and `ringfence models list` says so.

A model knows what it was shown: the one that ships was shown simulated attacks (docs/rules.md). So it only warns, unless the policy lets it block.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import Facts
from detectors import profile
from detectors.evidence import REGULAR_DAYS, Rows, probability
from detectors.model import explained, loaded, odds
from detectors.protocol import Case, Detector, Hit, Limits
from detectors.scored import READS, Probability, burn, unchanged

KIND = "account_zone"
LEAST_CALLS = 2.0
"""Calls of a day to the zone: before that nothing is to be learned from it."""


class Parameters(msgspec.Struct, frozen=True):
    model: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""  # SHA-256 of the model; "" = off
    least_probability: Probability = 0.9
    blocks: bool = False  # its alerts may become blocks


def candidates(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """The rows of a frame of features that a scorer looks at: a call began or was answered, to a zone with calls today."""
    moved = (frame["calls"].to_numpy() > 0) | (frame["answers"].to_numpy() > 0)
    return np.flatnonzero(moved & (frame[f"p_{KIND}"].to_numpy()[:, profile.AT["day_calls"]] >= LEAST_CALLS))


def findings(frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> list[Hit]:
    model = loaded(limits.models, parameters.model)
    if model is None:
        return []
    rows = candidates(frame)
    if not len(rows):
        return []
    view = Rows.of_frame(frame, rows)
    likely = probability(odds(model, view))
    loss, days = likely * burn(view, KIND), view.of(KIND, "days")
    found = []
    for at in np.flatnonzero(likely >= parameters.least_probability).tolist():
        why = "" if parameters.blocks else "warns"
        why = why or ("regular" if days[at] >= REGULAR_DAYS else "")
        score = float(likely[at] / max(parameters.least_probability, 1e-9))
        good = float(view.of(KIND, "normal_calls")[at]) * 0.25
        found.append(
            Hit(int(rows[at]), "learned", KIND, round(score, 6), why, probability=float(likely[at]), loss=float(loss[at]), good_calls=good)
        )
    return found


def facts(case: Case, parameters: Parameters) -> Facts:
    """The facts of an episode; the contributions are those of the model in force."""
    found = profile.facts(case, KIND)
    model = loaded({}, parameters.model)
    if model is None:
        return msgspec.structs.replace(found, fraud="learned", loss=round(case.hit.loss, 2))
    start, evidence, total = explained(model, Rows.of_case(case.row))
    found = msgspec.structs.replace(found, fraud="learned", loss=round(case.hit.loss, 2))
    return msgspec.structs.replace(found, prior=round(start, 2), evidence=evidence, odds=round(total, 2))


DETECTOR = Detector(
    name="learned",
    about="traffic of an account to a zone that a model scores as fraud, trained on the own verdicts; only if the policy names the model",
    needs=READS,
    state={},
    update=unchanged,
    findings=findings,
    facts=facts,
    parameters=Parameters,
)
