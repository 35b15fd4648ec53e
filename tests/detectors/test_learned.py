"""The trained scorer as a detector: silent without its model, and its contributions add up to its verdict."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from core.policy import Policy
from detectors import model, profile, trees
from detectors.learned import DETECTOR, Parameters, findings
from detectors.model import FEATURES, Model, WrongModel
from detectors.protocol import Limits
from detectors.registry import faults

STORED: dict[str, dict[str, str]] = {}


def fitted(rows: int = 400) -> tuple[HistGradientBoostingClassifier, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    numbers = rng.exponential(size=(rows, len(FEATURES)))
    labels = numbers[:, 0] + numbers[:, 3] > 2.5
    return HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=4, random_state=0).fit(numbers, labels), numbers, labels


@pytest.fixture(scope="module")
def made() -> Model:
    boosting, _, _ = fitted()
    return Model(
        format=model.FORMAT, name="small", trained_on="a test", data_sha256="", at_ms=0, features=list(FEATURES), forest=trees.of_boosting(boosting),
        slope=1.5, shift=-2.0, metrics={},
    )  # fmt: skip


def test_the_trees_say_what_the_trained_model_says():
    boosting, numbers, _ = fitted()
    forest = trees.of_boosting(boosting)
    assert np.allclose(trees.scores(forest, numbers), boosting.decision_function(numbers), rtol=0, atol=1e-9)
    for row in numbers[:20]:
        total = trees.expected(forest) + sum(trees.contributions(forest, row).values())
        assert total == pytest.approx(trees.scores(forest, row[None])[0], abs=1e-9)


def frame(calls: list[float]) -> pl.DataFrame:
    """Rows whose account has so many calls now in its zone and all in all."""
    n, width = len(calls), len(profile.AT)
    numbers = np.zeros((n, width))
    numbers[:, profile.AT["calls"]] = numbers[:, profile.AT["day_calls"]] = calls
    columns = {f"p_{kind}": numbers for kind in profile.KINDS}
    plain = {"calls": [1] * n, "answers": [1] * n, "weight": [1.0] * n, "unit": [1.0] * n}
    return pl.DataFrame(plain).hstack([pl.Series(name, values, pl.Array(pl.Float64, width)) for name, values in columns.items()])


def test_a_row_is_scored_by_itself_and_only_where_there_is_a_model(made):
    data = model.encode(made)
    sha256 = model.sha256_of(data)
    rows = frame([9.0, 1.0, 3.0])
    alone = [findings(rows[at : at + 1], Parameters(model=sha256, least_probability=0.0), Limits(models={sha256: data})) for at in range(3)]
    together = findings(rows, Parameters(model=sha256, least_probability=0.0), Limits(models={sha256: data}))
    assert [one.row for one in together] == [0, 2]  # one call says nothing yet
    assert [one.probability for one in together] == [alone[0][0].probability, alone[2][0].probability]
    assert all(one.no_block == "warns" for one in together)
    assert findings(rows, Parameters(), Limits(models={sha256: data})) == []
    assert findings(rows, Parameters(model="f" * 64), Limits()) == []


def test_the_contributions_of_an_alert_add_up(made):
    from detectors.evidence import Rows

    rows = frame([9.0])
    start, evidence, total = model.explained(made, Rows.of_frame(rows, np.asarray([0])))
    assert total == pytest.approx(float(model.odds(made, Rows.of_frame(rows, np.asarray([0])))[0]), abs=1e-9)
    assert start + sum(one.points for one in evidence) == pytest.approx(total, abs=0.2)  # but for what is too small to be listed


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda one: one | {"format": 9}, "its format is 9"),
        (lambda one: one | {"features": [*FEATURES[:-1], "account.wealth"]}, "'account.wealth', which is no feature"),
        (lambda one: one | {"code": "import os"}, "it is no model"),
        (lambda one: one | {"slope": "much"}, "it is no model"),
        (lambda one: one | {"forest": one["forest"] | {"left": [0] * len(one["forest"]["left"])}}, "has no children behind it"),
        (lambda one: one | {"forest": one["forest"] | {"roots": [10**6]}}, "begins outside"),
        (lambda one: one | {"forest": one["forest"] | {"feature": [10**6, *one["forest"]["feature"][1:]]}}, "splits by feature 1000000"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_the_reason(made, change, fault):
    with pytest.raises(WrongModel, match=fault):
        model.load(msgspec.json.encode(change(msgspec.to_builtins(made))))


def test_a_file_of_another_hash_is_refused(made):
    data = model.encode(made)
    assert model.load(data, model.sha256_of(data)) == made
    with pytest.raises(WrongModel, match="it is another file, or was damaged"):
        model.load(data + b" ", model.sha256_of(data))


def test_a_policy_names_a_model_by_a_whole_hash():
    assert faults(Policy(detectors={"learned": {"model": "abc"}}))[0].startswith("policy.detectors.learned.model: must be ")
    assert faults(Policy(detectors={"learned": {"model": "a" * 64}})) == []
    assert DETECTOR.new_state() == {}
