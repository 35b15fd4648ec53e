"""The validation simulator: the same for a seed, labelled, and independent of the first one's figures and of the detectors."""

from __future__ import annotations

import ast
from pathlib import Path

import polars as pl

from evaluation.validation.specs import ATTACKS
from evaluation.validation.traffic import traffic

FOLDER = Path(__file__).parents[2] / "evaluation" / "validation"
OF_THE_SIMULATOR = {"simulator.columns", "simulator.decks", "simulator.destinations", "simulator.episodes", "simulator.prices", "simulator.truth"}
"""The schema of a call, prices, numbering plans and the shape of the truth."""


def test_the_same_seed_gives_the_same_calls() -> None:
    first, again = traffic(1, 4000), traffic(1, 4000)
    assert first.frame.equals(again.frame)
    assert not traffic(2, 4000).frame["b_number"].equals(first.frame["b_number"])


def test_every_attack_is_there_and_costs_something() -> None:
    found = traffic(3, 4000)
    assert {one.family for one in found.episodes} == {*ATTACKS, "wangiri", "call_looping"}
    assert {one.family for one in found.episodes if not one.loss} == {"robocalls", "flash_calls"}
    assert found.frame["setup_ms"].is_sorted()
    assert found.frame.filter(pl.col("talk_ms").is_not_null(), pl.col("sell_nanos") == 0).height == 0
    assert len(found.look_alikes) >= 10


def test_it_knows_neither_the_detectors_nor_the_first_simulators_figures() -> None:
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith(("detectors", "flows", "simulator.families", "simulator.look_alikes")), (path, node.module)
                assert not node.module.startswith("simulator") or node.module in OF_THE_SIMULATOR, (path, node.module)
