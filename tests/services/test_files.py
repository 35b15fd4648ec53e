"""Files that a person names: what is none, is too large or is nested without end gets one line, and nothing waits for it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringfence.cli import app
from services import files
from services.config_file import DEEPEST, Wrong, read

CONFIG = "tenant: t1\ndecks: {basic: {currency: EUR, file: basic.csv}}\naccounts: [{name: acme, sell_deck: basic}]\n"
DECK = "prefix,destination,rate_per_min\n43,Austria,0.10\n"
MAPPING = "currency: EUR\ntime_format: epoch_s\ncolumns: {answer: t, duration_s: s, b_number: b}\n"
CALLS = "t,s,b\n1700000000,60,431234567\n"


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def bound_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    return path


def link_to_zero(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


def sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(1 << 40)
    return path


def nowhere(path: Path) -> Path:
    path.symlink_to(path.with_name("gone"))
    return path


ODD: list[Callable[[Path], Path]] = [pipe, folder, bound_socket, link_to_zero, sparse, nowhere]
odd = pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)


def refused(*arguments: str) -> str:
    """The output of a command that exits with 1 or 2: a line or a few, and no traceback."""
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code in (1, 2), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output and len(done.output.splitlines()) < 12
    return re.sub(r"\s*│\n│\s*", "", done.output)  # a long path is broken where the box ends


@odd
def test_a_deck_that_is_no_file_is_an_error_with_its_place(tmp_path: Path, make: Callable[[Path], Path]):
    (tmp_path / "config.yaml").write_text(CONFIG)
    make(tmp_path / "basic.csv")
    printed = refused("config", "publish", str(tmp_path / "config.yaml"), "--why", "x", "--home", str(tmp_path / "home"))
    assert "decks.basic.file" in printed and "basic.csv" in printed
    assert not (tmp_path / "home").exists()


@odd
@pytest.mark.parametrize("command", [["publish", "--why", "x"], ["check"]], ids=["publish", "check"])
def test_a_configuration_that_is_no_file_is_an_error(tmp_path: Path, make: Callable[[Path], Path], command: list[str]):
    verb, *more = command
    file = make(tmp_path / "config.yaml")
    assert "config.yaml" in refused("config", verb, str(file), *more, "--home", str(tmp_path / "home"))


@odd
@pytest.mark.parametrize("which", ["calls", "mapping", "deck"])
def test_what_a_replay_reads_is_a_file(tmp_path: Path, make: Callable[[Path], Path], which: str):
    texts = {"calls": CALLS, "mapping": MAPPING, "deck": DECK}
    if which == "calls" and make is sparse:  # calls are read a line at a time, however many
        assert files.checked(make(tmp_path / "calls")) == tmp_path / "calls"
        return
    paths = {name: tmp_path / name for name in texts}
    for name, text in texts.items():
        if name == which:
            make(paths[name])
        else:
            paths[name].write_text(text)
    arguments = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    refused("replay", *arguments, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@odd
def test_a_control_token_is_in_a_file(tmp_path: Path, make: Callable[[Path], Path]):
    file = make(tmp_path / "token")
    arguments = ("switch", "add", "k9", "--control-url", "http://127.0.0.1:1/RPC", "--control-token-file", str(file), "--why", "x")
    refused(*arguments, "--home", str(tmp_path / "home"))


def test_a_file_that_grows_while_it_is_read_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"x" * 2_000)
    with pytest.raises(files.NotAFile, match="the limit of such a file"):
        files.read(tmp_path / "file", 1_999)
    assert files.read(tmp_path / "file", 2_000) == b"x" * 2_000
    assert files.read(Path("/proc/self/status"), 1 << 20), "a file whose size is not known"
    with pytest.raises(files.NotAFile, match="the limit"):
        files.read(Path("/proc/self/status"), 10)


DEEP = {
    "brackets": "[" * 20_000 + "]" * 20_000,
    "open brackets": "accounts: " + "[" * 20_000,
    "braces": "{a: " * 20_000 + "}" * 20_000,
    "mixed": "[{a: " * 10_000 + "}]" * 10_000,
    "dashes": "- " * 20_000 + "a",
    "lines": "\n".join(" " * n + "a:" for n in range(1_000)),
    "anchors": "".join(f"&a{n} [" for n in range(5_000)) + "]" * 5_000,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_endless_nesting_is_an_error_with_its_line(tmp_path: Path, text: str):
    with pytest.raises(Wrong, match=rf"(?s)more than {DEEPEST} deep.*line \d+"):
        read(text)
    (tmp_path / "config.yaml").write_text(text)
    refused("config", "publish", str(tmp_path / "config.yaml"), "--why", "x", "--home", str(tmp_path / "home"))
    (tmp_path / "calls").write_text(CALLS)
    refused("replay", "--calls", str(tmp_path / "calls"), "--mapping", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out"))


@pytest.mark.parametrize("text", ["tenants: [t1]\n\0", 'tenants: ["\\UFFFFFFFF"]', "\ufffe", "tenants: [t1", "%YAML 9.9\n---\n"])
def test_what_is_no_yaml_is_an_error(text: str):
    with pytest.raises(Wrong):
        read(text)
