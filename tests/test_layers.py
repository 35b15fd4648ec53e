"""Who may import whom, and who may read the environment: held by a program, not by memory."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = SETTINGS["tool"]["importlinter"]["root_packages"]


def lint_imports(where: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"], cwd=where, capture_output=True, text=True, timeout=120
    )


def test_the_layers_hold():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core/money.py", "import rating"),
        ("rating/__init__.py", "import detectors"),
        ("books/__init__.py", "import warehouse"),
        ("simulator/__init__.py", "import detectors"),
        ("assurance/__init__.py", "import detectors"),
        ("core/__init__.py", "import assurance"),
        ("assurance/__init__.py", "import warehouse"),
        ("flows/__init__.py", "import clickhouse_connect"),
        ("ringfence/__init__.py", "import chdb"),
        ("journal/__init__.py", "import sqlalchemy"),
        ("switches/__init__.py", "import bytewax"),
        ("flows/__init__.py", "import confluent_kafka"),
        ("rating/__init__.py", "import numba"),
        ("ringfence/__init__.py", "import streamlit"),
        ("services/__init__.py", "import ringfence"),
        ("services/__init__.py", "import dashboards"),
        ("services/__init__.py", "import prometheus_client"),
        ("flows/__init__.py", "import services"),
        ("services/__init__.py", "import fastapi"),
        ("dashboards/__init__.py", "import api"),
        ("simulator/__init__.py", "import services"),
    ],
)
def test_a_fault_is_seen(tmp_path: Path, module: str, line: str):
    """A contract that never fails is none: one wrong import in a copy of the house breaks it."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0
    (tmp_path / module).write_text(line + "\n")
    assert lint_imports(tmp_path).returncode == 1


def reads_environment(tree: ast.AST) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
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
        for line in reads_environment(ast.parse(path.read_text()))
        if path.relative_to(ROOT) != Path("ringfence/settings.py")
    ]
    assert found == [], "only ringfence/settings.py reads the environment; hand the value in"


def test_every_folder_has_its_place():
    """A new top-level package without a layer would stand outside the rules."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(PACKAGES)
