"""Trained scorers: the one that ships, put in force and taken back by config versions, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from books import audit, configs, open_books
from detectors import model
from services import in_force, models
from services.backtest import policy_in_force
from services.errors import BadArgument, ServiceError, UnknownName
from services.installation import Installation, books
from services.shipped_models import shipped
from simulator.episodes import traffic

NOW = 1_764_072_000_000
[SHIPPED] = shipped()


def model_of(at: Installation) -> str:
    with books(at) as conn:
        return str(policy_in_force(conn, "t1").detectors.get("learned", {}).get("model", ""))


def test_the_model_that_ships_says_that_it_learned_from_simulated_traffic_and_is_off(installed: Installation):
    with books(installed) as conn:
        [one] = models.every(conn)
    assert (one.sha256, one.fault, one.stored, one.used_by) == (SHIPPED, "", False, [])
    assert one.trained_on.startswith("simulated traffic alone") and one.metrics["auc"] > 0.5
    assert model_of(installed) == ""


def test_a_model_is_put_in_force_and_taken_back_by_config_versions(installed: Installation):
    with books(installed) as conn:
        assert models.use(conn, "t1", "simulated-1", "anna", "a week of warnings", NOW) == SHIPPED
        version = configs.latest(conn)
    engine = open_books(installed.books_dsn)
    terms = in_force.from_books(engine)(version)
    engine.dispose()
    assert model.loaded(terms.models, SHIPPED) is not None and terms.policy_of("t1").detectors["learned"]["model"] == SHIPPED
    with books(installed) as conn:
        assert [one.used_by for one in models.every(conn)] == [["t1"]]
        assert models.rollback(conn, "t1", "ben", "too many alerts", NOW + 1) == ""
        assert [line.who for line in audit.last(conn, 10, "published a config version")][:2] == ["ben", "anna"]
    assert model_of(installed) == ""
    with books(installed) as conn:
        assert models.rollback(conn, "t1", "ben", "it was better", NOW + 2) == SHIPPED
        assert models.use(conn, "t1", "none", "ben", "off", NOW + 3) == ""
    assert model_of(installed) == ""


def test_a_file_that_is_damaged_or_another_one_is_refused_and_nothing_is_stored(installed: Installation, tmp_path: Path):
    file = tmp_path / "model.json"
    file.write_bytes(shipped()[SHIPPED][:-1])
    with books(installed) as conn:
        with pytest.raises(BadArgument, match="it is no model"):
            models.add_file(conn, file, "anna", "w", NOW)
        file.write_bytes(shipped()[SHIPPED])
        with pytest.raises(BadArgument, match="it is another file, or was damaged"):
            models.add_file(conn, file, "anna", "w", NOW, sha256="0" * 64)
        assert [one.stored for one in models.every(conn)] == [False]
        with pytest.raises(UnknownName, match="No model is called 'best'"):
            models.use(conn, "t1", "best", "anna", "w", NOW)
        with pytest.raises(ServiceError, match="No other model was in force"):
            models.rollback(conn, "t1", "anna", "w", NOW)


@pytest.mark.slow
def test_a_scorer_learns_from_seeds_and_is_measured_on_another(monkeypatch: pytest.MonkeyPatch):
    def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.random.default_rng(seed).exponential(size=(300, len(model.FEATURES)))
        return numbers, numbers[:, 0] > 1.5

    monkeypatch.setattr(models, "traffic", lambda seed, calls, days: seed)
    monkeypatch.setattr(models, "rows_of", rows)
    monkeypatch.setattr("detectors.training.TREES", 3)
    said: list[str] = []
    data = models.train((1, 2, 3), 600, 0.5, "tiny", NOW, said.append)
    found = model.load(data, model.sha256_of(data))
    assert found.trained_on.endswith("measured on seed 3") and found.metrics["rows"] == 300 and found.metrics["auc"] > 0.9 and len(said) == 4
    with pytest.raises(BadArgument, match="at least two"):
        models.train((1,), 600, 0.5, "tiny", NOW)


def test_what_it_learns_from_are_the_rows_that_the_detectors_read():
    numbers, labels = models.rows_of(traffic(1, 300, 0.25, families=("irsf_burst",)))
    assert numbers.shape == (len(labels), len(model.FEATURES)) and 0 < labels.sum() < len(labels)
    assert np.isfinite(numbers).all() and (numbers[:, model.FEATURES.index("account_zone.day_calls")] >= 2).all()
