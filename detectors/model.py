"""A trained scorer as a file: JSON with numbers and no code, known by the SHA-256 of its bytes.

A scorer reads numbers of the shared features of a row (`FEATURES`) and gives the log-odds of fraud, calibrated, and shifted to how rare fraud is in
life.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from core.facts import Contribution
from detectors import trees
from detectors.evidence import Rows
from detectors.profile import NAMES
from detectors.trees import Forest

FORMAT = 1
MOST_BYTES = 4_000_000
KINDS = ("account_zone", "account", "account_range", "a_number")
_LEFT_OUT = frozenset({"window_ms", "window_calls", "window_nanos", "window_talk_ms", "fresh_answers", "fresh_misses"})
FEATURES: tuple[str, ...] = (*(f"{kind}.{name}" for kind in KINDS for name in NAMES if name not in _LEFT_OUT), "weight")
"""Numbers of `detectors.profile` of four kinds of subject, and the risk of the kind of number."""

Floats = npt.NDArray[np.float64]


class WrongModel(ValueError):
    """A file that is no model, or not the one that was asked for: the text says why."""


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`slope` and `shift`: from the trees' score to log-odds in life. `metrics`: as measured on seeds that it was not trained on."""

    format: int
    name: str
    trained_on: str  # in words
    data_sha256: str  # of the rows it learned from
    at_ms: int
    features: list[str]
    forest: Forest
    slope: float
    shift: float
    metrics: dict[str, float]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Kind and name of each feature."""
        return [(kind, name) if name else ("", kind) for kind, _, name in (one.partition(".") for one in self.features)]


def encode(model: Model) -> bytes:
    return msgspec.json.encode(model)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def load(data: bytes, sha256: str = "") -> Model:
    """The model in a file. `sha256`: of the one that is meant. Raises `WrongModel`: nothing of such a file is used.

    >>> load(b"{}", "0" * 64)
    Traceback (most recent call last):
    ...
    detectors.model.WrongModel: its SHA-256 is 44136fa355b3..., and 000000000000... was asked for: it is another file, or was damaged
    """
    found = sha256_of(data)
    if sha256 and found != sha256:
        raise WrongModel(f"its SHA-256 is {found[:12]}..., and {sha256[:12]}... was asked for: it is another file, or was damaged")
    if len(data) > MOST_BYTES:
        raise WrongModel(f"it has {len(data):,} bytes; a model has at most {MOST_BYTES:,}")
    try:
        model = msgspec.json.decode(data, type=Model)
    except msgspec.DecodeError as error:
        raise WrongModel(f"it is no model: {error}") from None
    if model.format != FORMAT:
        raise WrongModel(f"its format is {model.format}, and this release reads {FORMAT}: train it again")
    if unknown := [name for name in model.features if name not in FEATURES]:
        raise WrongModel(f"it reads {unknown[0]!r}, which is no feature of this release: train it again")
    if not np.isfinite([model.slope, model.shift]).all():
        raise WrongModel("its calibration is not a finite number")
    if wrong := model.forest.faults(len(model.features)):
        raise WrongModel(wrong[0])
    return model


def matrix(rows: Rows, places: Sequence[tuple[str, str]]) -> Floats:
    """The numbers that a model reads, a row per row: money in the policy's units."""
    unit = np.asarray(rows["unit"], np.float64)
    found = []
    for kind, name in places:
        column = rows.of(kind, name) if kind else np.asarray(rows[name], np.float64)
        found.append(column * unit if "money" in name else column)
    return np.stack(found, axis=1) if found else np.zeros((len(unit), 0))


def odds(model: Model, rows: Rows) -> Floats:
    """The log-odds of fraud."""
    return np.asarray(trees.scores(model.forest, matrix(rows, model.places)) * model.slope + model.shift)


def explained(model: Model, rows: Rows) -> tuple[float, list[Contribution], float]:
    """Of the first row: the log-odds before anything is known, the contributions, the largest first, and the log-odds with all of them."""
    row = matrix(rows, model.places)[0]
    start = trees.expected(model.forest) * model.slope + model.shift
    points = {at: value * model.slope for at, value in trees.contributions(model.forest, row).items()}
    listed = [
        Contribution(f"model:{model.features[at]}", round(value, 2), float(f"{row[at]:.4g}"), 0.0)
        for at, value in sorted(points.items(), key=lambda pair: -abs(pair[1]))
        if abs(value) >= 0.05
    ]
    return start, listed, start + sum(points.values())


_known: dict[str, Model] = {}


def loaded(files: Mapping[str, bytes], sha256: str) -> Model | None:
    """The model of this hash among files by their hash, or that was among earlier ones; None = it is nowhere, or is damaged: a detector without its
    model is silent."""
    if sha256 not in _known and sha256 in files:
        try:
            _known[sha256] = load(files[sha256], sha256)
        except WrongModel:
            return None  # the good file may come yet
    return _known.get(sha256)


def metrics_of(labels: npt.NDArray[Any], scored: Floats) -> dict[str, float]:
    """AUC, average precision and calibration error (the mean difference between predicted and observed share, in ten bins) of rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    likely = 1 / (1 + np.exp(-scored))
    bins = np.clip((likely * 10).astype(int), 0, 9)
    error = sum(abs(likely[bins == at].mean() - labels[bins == at].mean()) * (bins == at).mean() for at in range(10) if (bins == at).any())
    return {
        "rows": float(len(labels)), "fraud": float(labels.sum()), "auc": round(float(roc_auc_score(labels, scored)), 4),
        "average_precision": round(float(average_precision_score(labels, scored)), 4), "calibration_error": round(float(error), 4),
    }  # fmt: skip
