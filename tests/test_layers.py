"""Who may import whom, and who may read the environment: held by a program, not by memory."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = SETTINGS["tool"]["importlinter"]["root_packages"]


LINT = """
import sys
from pathlib import Path
sys.path.insert(0, ".")
from importlinter.cli import lint_imports
for fault in sys.argv[1:]:
    module, _, line = fault.partition(": ")
    Path(module).write_text(line + "\\n" if line else "")
    print("verdict", lint_imports(no_cache=True), fault)
    Path(module).write_text("") if line else None
"""
"""Lints the tree in the working directory once for each `MODULE: LINE`, with this line in this module."""


def test_the_layers_hold():
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run([sys.executable, "-c", program, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


FAULTS = (
    "core/money.py: import rating",
    "rating/__init__.py: import detectors",
    "books/__init__.py: import warehouse",
    "simulator/__init__.py: import detectors",
    "assurance/__init__.py: import detectors",
    "core/__init__.py: import assurance",
    "assurance/__init__.py: import warehouse",
    "flows/__init__.py: import clickhouse_connect",
    "ringfence/__init__.py: import chdb",
    "journal/__init__.py: import sqlalchemy",
    "switches/__init__.py: import bytewax",
    "flows/__init__.py: import confluent_kafka",
    "rating/__init__.py: import numba",
    "ringfence/__init__.py: import streamlit",
    "services/__init__.py: import ringfence",
    "services/__init__.py: import dashboards",
    "services/__init__.py: import prometheus_client",
    "flows/__init__.py: import services",
    "services/__init__.py: import fastapi",
    "dashboards/__init__.py: import api",
    "simulator/__init__.py: import services",
)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a copy of the house without content, and of each fault in it: 0 = every contract is kept. One process asks about all of them."""
    where = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        (where / package).mkdir()
        (where / package / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", where)
    asked = [sys.executable, "-c", LINT, "core/__init__.py: ", *FAULTS]
    result = subprocess.run(asked, cwd=where, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return {fault: code for code, fault in re.findall(r"^verdict (\d+) (.*)$", result.stdout, re.MULTILINE)}


def test_an_empty_house_keeps_every_contract(verdicts: dict[str, str]):
    assert verdicts["core/__init__.py: "] == "0"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(verdicts: dict[str, str], fault: str):
    """A contract that never fails is none: one wrong import in a copy of the house breaks it."""
    assert verdicts[fault] == "1"


def reads_environment(text: str) -> list[int]:
    if "environ" not in text and "getenv" not in text:
        return []
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv", "environb")
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv", "environb"}
        )
    ]


def test_the_environment_is_read_in_one_file():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in reads_environment(path.read_text())
        if path.relative_to(ROOT) != Path("ringfence/settings.py")
    ]
    assert found == [], "only ringfence/settings.py reads the environment; hand the value in"


def test_every_folder_has_its_place():
    """A new top-level package without a layer would stand outside the rules."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(PACKAGES)
