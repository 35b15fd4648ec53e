"""Results of seeds, kept as files."""

from __future__ import annotations

from pathlib import Path

from evaluation.results import Result, load, save


def result(name: str, refused: int = 0) -> Result:
    return Result(name, "simulator", 4, 1000, 2.0, "2026-11-28", 1000, refused, [], 0, {}, {"burst": (1, 0)}, [], (0, 0, 0), 10)


def test_a_run_again_replaces_its_own_results_and_keeps_the_others(tmp_path: Path) -> None:
    save(tmp_path, [result("spend cap"), result("Ringfence", 7)])
    save(tmp_path, [result("Ringfence", 3)])
    assert {one.name: one.honest_refused for one in load(tmp_path)} == {"Ringfence": 3, "spend cap": 0}
    assert [one.name for one in load(tmp_path)] == ["Ringfence", "spend cap"]
