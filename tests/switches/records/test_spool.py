"""Where records wait while the journal is away."""

from __future__ import annotations

import resource
from pathlib import Path

from journal import Entry
from switches.spool import Spool


def entries(first: int, count: int) -> list[Entry]:
    return [Entry(b"k", b"%d" % n, n) for n in range(first, first + count)]


def test_the_oldest_entries_are_returned_until_they_are_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0, 1)
    spool.append(entries(0, 5))
    assert [m.value for m in spool.peek(2, 1000)] == [m.value for m in spool.peek(2, 1000)] == [b"0", b"1"]
    spool.done(2)
    assert spool.waiting == 3 and spool.peek(1, 1000)[0].value == b"2"
    spool.close()
    again = Spool(tmp_path, 0, 1)
    assert again.waiting == 3
    again.append(entries(5, 1))
    assert [m.value for m in again.peek(10, 1000)] == [b"2", b"3", b"4", b"5"]
    again.done(6)
    assert again.waiting == again.size_bytes == 0
    again.close()


def test_a_recreated_spool_is_read_from_its_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0, 1)
    spool.append(entries(0, 5))
    spool.done(5)
    spool.close()
    (tmp_path / "spool").rename(tmp_path / "moved-away")
    anew = Spool(tmp_path, 0, 1)
    anew.append(entries(0, 3))
    assert anew.waiting == 3
    anew.close()


def test_with_a_full_disk_entries_are_not_returned_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0, 1)
    spool.append(entries(0, 5))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        spool.done(4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [m.value for m in spool.peek(10, 1000)] == [b"4"]
    spool.close()
    assert Spool(tmp_path, 0, 1).waiting == 5  # after a crash some are handed on once more, never fewer
