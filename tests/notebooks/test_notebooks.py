"""Each notebook runs from a clean kernel, with less traffic than a person would take."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_no_telephone_number(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOW_MANY", "400")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "stored without outputs: they would be of somebody's calls"
    ExecutePreprocessor(timeout=240, kernel_name="python3").preprocess(notebook, {"metadata": {"path": str(ROOT / "notebooks")}})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs and not any(output.get("output_type") == "error" for output in outputs)
