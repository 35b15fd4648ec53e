"""One holder of a lock, whose name is in the file; it is free when the holder has gone, however it went."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.locks import LockTaken, exclusive, take, write_holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_a_lock_has_one_holder_whose_name_is_in_the_file(path):
    with exclusive(path):
        assert path.read_text() == f"process {os.getpid()}"
        with pytest.raises(LockTaken, match=rf"^process {os.getpid()}$"):
            take(path)
    with exclusive(path):
        assert path.read_text() == f"process {os.getpid()}", "free again"


def test_a_lock_is_free_after_an_error(path):
    with pytest.raises(KeyError), exclusive(path):
        raise KeyError
    os.close(take(path))


def test_the_holder_is_written_over_the_one_before(path):
    path.write_text("process 4711, the one before")
    fd = take(path)
    write_holder(fd, "judge\n")
    with pytest.raises(LockTaken) as taken:
        take(path)
    assert path.read_text() == "judge\n" and str(taken.value) == "judge"
    os.close(fd)


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_lock_file_is_made_with_its_mode(path, mode):
    os.close(take(path, mode=mode))
    assert path.stat().st_mode & 0o777 == mode & ~_umask()


def test_a_lock_file_is_not_for_everybody(path):
    os.close(take(path))
    assert path.stat().st_mode & 0o007 == 0
    with exclusive(path.with_name("other")):
        assert path.with_name("other").stat().st_mode & 0o007 == 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_no_file_no_lock(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        take(tmp_path / "missing" / "lock")


def test_a_refused_lock_leaves_no_descriptor_open(path):
    before = len(os.listdir("/proc/self/fd"))
    with exclusive(path):
        for _ in range(5):
            with pytest.raises(LockTaken):
                take(path)
        assert len(os.listdir("/proc/self/fd")) == before + 1
