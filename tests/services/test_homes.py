"""A home is its owner's alone, however it was found, and so is all that the parts write into it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from until import until

from ringfence.settings import Settings
from services import first_start, homes
from services.homes import NotAHome

SOMEBODY = 65_534


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """As a login shell has it; what a test sets ends with it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(root: Path) -> list[str]:
    """What somebody else could list or read, the home itself too; links have no mode of their own."""
    found = [path for path in (root, *root.rglob("*")) if not path.is_symlink()]
    return [f"{mode(path):o} {path}" for path in found if mode(path) & 0o077]


@pytest.mark.parametrize("found", [0o755, 0o777, 0o775, 0o711, 0o750, 0o704, 0o1777, 0o2755, 0o700])
def test_a_home_that_is_there_is_made_private(tmp_path: Path, found: int):
    root = tmp_path / "home"
    root.mkdir()
    root.chmod(found)
    homes.make_private(root)
    assert mode(root) & 0o777 == 0o700


def test_a_home_that_is_not_there_is_made_private(tmp_path: Path):
    homes.make_private(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


def test_what_a_link_leads_to_is_made_private(tmp_path: Path):
    real, link, link_to_it = tmp_path / "real", tmp_path / "link", tmp_path / "link-to-link"
    real.mkdir(mode=0o755)
    link.symlink_to(real)
    link_to_it.symlink_to(link)
    homes.make_private(link_to_it)
    assert mode(real) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_a_home_of_another_user_is_refused_with_the_reason(tmp_path: Path):
    root, link = tmp_path / "home", tmp_path / "link"
    root.mkdir(mode=0o755)
    link.symlink_to(root)
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    with pytest.raises(NotAHome, match="may turn elsewhere"):
        homes.make_private(link)
    os.chown(root, SOMEBODY, SOMEBODY)
    for modes in (0o700, 0o755, 0o777):
        root.chmod(modes)
        with pytest.raises(NotAHome, match=r"belongs to (nobody|user 65534), and this runs as root.*chown"):
            homes.make_private(root)
        assert mode(root) == modes, "nothing was changed"


def test_what_is_no_directory_is_refused_with_the_reason(tmp_path: Path):
    file, nowhere, fifo = tmp_path / "file", tmp_path / "nowhere", tmp_path / "fifo"
    file.touch()
    nowhere.symlink_to(tmp_path / "gone")
    os.mkfifo(fifo)
    for path in (file, nowhere, fifo, file / "below"):
        with pytest.raises(NotAHome, match="cannot be a home"):
            homes.make_private(path)


@pytest.mark.parametrize("thing", ["Documents", ".bashrc", "etc"])
def test_a_directory_of_other_things_is_not_shut_to_others(tmp_path: Path, thing: str):
    """`--home /tmp`, or somebody's own home: chmod would break what is in there."""
    root = tmp_path / "shared"
    root.mkdir(mode=0o755)
    (root / thing).mkdir()
    with pytest.raises(NotAHome, match="it holds other files"):
        homes.make_private(root)
    assert mode(root) == 0o755
    root.chmod(0o700)
    homes.make_private(root)


def test_what_an_earlier_release_left_readable_is_not_any_more(tmp_path: Path):
    root = tmp_path / "home"
    outside = tmp_path / "outside"
    for folder in (root / "warehouse" / "store", root / "journal" / "calls-0", root / "run", outside):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
        folder.chmod(0o755)
        (folder / "file").chmod(0o644)
    (root / "run" / "link").symlink_to(outside / "file")
    settings = Settings(home=root)
    first_start.lay(settings.installation)
    assert open_to_others(root) == []
    assert mode(outside / "file") == 0o644, "links are not followed"


@pytest.mark.slow
def test_all_that_the_parts_write_is_their_owners_alone(tmp_path: Path):
    """Under the umask of a login shell, in a home that everybody could read."""
    root = tmp_path / "home"
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    settings = Settings(home=root)
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), time.time_ns() // 1_000_000)
    root.chmod(0o755)
    ports = {f"RINGFENCE_{name}_PORT": "0" for name in ("COLLECTOR", "WAREHOUSE", "CONTROL", "METRICS", "PAGES")}
    ports["RINGFENCE_WAREHOUSE_PORT"] = "18471"
    env = os.environ | ports | {"RINGFENCE_HOME": str(root), "RINGFENCE_SNAPSHOT_S": "1"}
    os.umask(0o022)
    names = ("collector", "store", "judge", "watch", "dispatcher")
    with (tmp_path / "said").open("wb") as log:
        running = [
            subprocess.Popen([sys.executable, "-m", "ringfence", "flow", name], env=env, stdout=log, stderr=log) for name in names
        ]
    try:
        until(lambda: all((root / "state" / name).exists() for name in ("judge.state", "watch.state", "collector", "store")), 90)
        until(lambda: any((root / "warehouse").rglob("*.bin")) or len(list((root / "warehouse").rglob("*"))) > 10, 60)
        assert open_to_others(root) == []
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)
    assert open_to_others(root) == []
