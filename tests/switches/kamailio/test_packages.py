"""The one list of Debian packages is made from the modules that the configuration loads, and all other texts agree with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringfence.cli import app
from switches.kamailio import packages
from switches.kamailio.__main__ import main

ROOT = Path(__file__).parents[3]
LOADED = packages.modules(packages.CONFIGURATION.read_text())


def test_what_the_configuration_loads_is_read_whole() -> None:
    lines = [line for line in packages.CONFIGURATION.read_text().splitlines() if line.strip().startswith("loadmodule")]
    assert len(LOADED) == len(lines) > 10 and {"tm", "crypto", "app_lua"} <= set(LOADED)


@pytest.mark.parametrize("module", sorted({*LOADED, *packages.PACKAGE_OF}))
def test_each_module_is_in_the_package_that_is_named(module: str) -> None:
    """The package of a file by dpkg, where the package is installed."""
    package = packages.packages_of([module])[-1]
    if not shutil.which("dpkg-query"):
        pytest.skip("there is no dpkg on this machine")
    listed = subprocess.run(["dpkg-query", "--listfiles", package], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"{package} is not installed")
    assert re.search(rf"/kamailio/modules/{module}\.so$", listed.stdout, re.M), f"{package} has no {module}.so"


def test_whoever_names_packages_names_these() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "< <(python3 switches/kamailio/packages.py)" in script and '"${kamailio[@]}"' in script
    for page in ("README.md", "docs/operators.md"):
        named = re.findall(r"apt-get install (kamailio[a-z0-9 -]*)", (ROOT / page).read_text())
        assert named, page
        for one in named:
            assert one.split() == packages.packages(), page
    read = [path for glob in ("*", ".ci/*", "docs/*.md", "tests/*.py", "switches/**/*.py") for path in ROOT.glob(glob) if path.is_file()]
    elsewhere = [
        path.relative_to(ROOT).as_posix()
        for path in read
        if path.name not in ("packages.py", "CHANGELOG.md") and re.search(r"kamailio-\w+-modules", path.read_text(errors="replace"))
    ]
    assert elsewhere == ["README.md", "docs/operators.md"], "a second list would drift"


def test_the_list_is_printed_by_any_python_without_our_packages() -> None:
    script = [sys.executable, "-S", "-I", str(ROOT / "switches" / "kamailio" / "packages.py")]
    assert subprocess.run(script, capture_output=True, text=True, check=True).stdout.split() == packages.packages()


def fake_kamailio(folder: Path, modules: Path | None) -> None:
    path = folder / "kamailio"
    said = f"echo '  Default paths to modules: {modules}'" if modules else "true"
    path.write_text(f"#!/bin/sh\nif [ \"$1\" = -I ]; then {said}; exit 0; fi\ntouch '{folder}/started'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        (["crypto"], "crypto.so"),
        (["app_lua"], "app_lua.so"),
        (["tm"], "tm.so"),
        (["crypto", "app_lua"], "app_lua.so"),
        (LOADED, "tm.so"),
    ],
)
def test_a_module_that_is_missing_is_named_with_its_package_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: list[str], words: str
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in set(LOADED) - set(absent):
        (modules / f"{name}.so").touch()
    fake_kamailio(tmp_path, modules)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fault = packages.fault()
    assert words in fault and str(modules) in fault
    assert fault.split("apt-get install ")[1].split() == [
        one for one in packages.packages_of(absent) if one != packages.BASE or set(absent) - packages.PACKAGE_OF.keys()
    ]
    said = CliRunner().invoke(app, ["up", "--kamailio", "--home", str(tmp_path / "home")])
    assert said.exit_code == 1 and fault in " ".join(said.output.split()) and "Nothing was started" in said.output
    assert not (tmp_path / "home").exists() and not (tmp_path / "started").exists()


def test_without_a_kamailio_the_whole_list_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(packages, "program", lambda: None)
    assert packages.fault() == f"kamailio is not installed; on Debian: {packages.install()}"
    settings = tmp_path / "settings.json"
    settings.write_text(
        f'{{"switch":"k1","spool_dir":"{tmp_path}/spool","run_dir":"{tmp_path}/run","control_token":"t","secret":"s"}}'
    )
    assert main([str(settings)]) == 1
    assert packages.install() in capsys.readouterr().err
    assert not (tmp_path / "run").exists() and not (tmp_path / "spool").exists(), "nothing is half done"


def test_a_kamailio_that_does_not_say_where_its_modules_are_checks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_kamailio(tmp_path, None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert packages.fault() == ""
