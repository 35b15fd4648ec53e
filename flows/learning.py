"""What a trained scorer learns from: the rows that the detectors read of labelled traffic, with the numbers of the shared features."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from core.policy import Policy
from detectors import model
from detectors.engine import featured
from detectors.evidence import Rows
from detectors.learned import candidates
from detectors.model import FEATURES, Floats
from flows.backtest import Line, batches
from flows.step import State, used
from rating.contracts import Terms

PLACES = [(kind, name) if name else ("", kind) for kind, _, name in (one.partition(".") for one in FEATURES)]
SECRET = b"learning"


def rows(lines: Iterable[Line], terms: Terms, fraud: Collection[str]) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """A row of `FEATURES` per change of a call that the scorer would look at, and whether its call is of `fraud` (call ids)."""
    state, numbers, labels = State(SECRET), [], []
    for messages, _, _ in batches(lines, terms.version, 0):
        made = used(state, messages, terms)
        for frame in featured(state.detectors, made.usage, made.ticks, Policy()):
            found = candidates(frame)
            if len(found):
                numbers.append(model.matrix(Rows.of_frame(frame, found), PLACES).astype(np.float32))
                labels.append(frame["call_id"][found.tolist()].is_in(list(fraud)).to_numpy())
    if not numbers:
        return np.zeros((0, len(FEATURES))), np.zeros(0, np.bool_)
    return np.concatenate(numbers).astype(np.float64), np.concatenate(labels)
