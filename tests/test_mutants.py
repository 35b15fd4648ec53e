"""The list of faults without an effect (tests/mutants.toml) names lines that are still there: else `make mutants` refuses to start."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_fault_that_is_listed_without_an_effect_can_still_be_made():
    spec = importlib.util.spec_from_file_location("mutants_tool", ROOT / "tests/mutants.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool  # its dataclasses look their own module up
    spec.loader.exec_module(tool)
    assert len(tool.equivalents(ROOT)) > 0
