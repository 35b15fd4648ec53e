"""The Dockerfile, without an engine: its style, and the package that it installs, built from what the builder is given."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists() and os.environ.get("RINGFENCE_REQUIRE") != "all":
        pytest.skip("hadolint is not installed: make setup")
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_base_is_one_exact_release_that_the_project_supports():
    (base,) = {name for name in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if name != "base"}
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", base)


def test_libraries_are_installed_by_hash_and_the_user_is_numeric():
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert installs and all("--require-hashes" in line or "--no-index" in line for line in installs)
    users = re.findall(r"^USER (\d+):(\d+)", DOCKERFILE, re.MULTILINE)
    assert users == [("10001", "10001")]
    assert 'ENTRYPOINT ["tini", "--", "ringfence"]' in DOCKERFILE  # exec form: SIGTERM arrives


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Our package, from the files that .dockerignore lets through, as the build stage makes it."""
    context = tmp_path_factory.mktemp("context")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!") and (source := ROOT / line[1:]).exists():
            if source.is_dir():
                shutil.copytree(source, context / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, context)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", context / "out", context],
        check=True, cwd=context, timeout=120,
    )  # fmt: skip
    (built,) = (context / "out").glob("ringfence-*.whl")
    return zipfile.ZipFile(built)


def test_the_build_context_is_complete(wheel: zipfile.ZipFile):
    """Every file of every package: a table definition or a script that is left out is missed on the first day in production."""
    packed = set(wheel.namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    packages = {name.split("/")[0] for name in packed if name.endswith("/__init__.py")}
    assert {"core", "journal", "warehouse", "books", "switches", "flows", "ringfence"} <= packages
    expected = {name for name in tracked if name.split("/")[0] in packages and (ROOT / name).exists()}
    assert not expected - packed
    assert [name for name in packed if name.endswith("entry_points.txt")]
