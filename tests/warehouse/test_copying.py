"""The warehouse copied by whoever holds it, at the word of another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warehouse import WarehouseError, WarehouseHeld, ask, copying, insert, migrate, open_warehouse

HOLDER = """
import resource, signal, sys, threading
from pathlib import Path
from warehouse import copying, migrate, open_warehouse
directory = Path(sys.argv[1])
client = open_warehouse(f"chdb://{directory}")
migrate(client)
print("open", flush=True)
if sys.argv[2] == "has no room":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
threading.Event().wait() if sys.argv[2] == "is a notebook" else copying.answer(directory, threading.Event())
"""


@contextmanager
def held(directory: Path, how: str) -> Iterator[None]:
    """Another process has it open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, directory, how], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout and process.stdout.readline() == b"open\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def left(directory: Path) -> list[str]:
    return [path.name for path in (directory / copying.BACKUPS).iterdir()]


def test_a_copy_put_back_has_the_same_rows(client, directory: Path, rows, tmp_path: Path):
    insert(client, "records", rows.records(*(rows.record(offset) for offset in range(500))))
    rows.sell(client, *(rows.call(offset, 1_000_000 + offset) for offset in range(200)))
    before = [ask(client, (f"SELECT * FROM {table} ORDER BY partition, offset", {})) for table in ("records", "calls", "charges")]
    copied = copying.make(client, directory, "one").rename(tmp_path / "kept")
    assert left(directory) == []
    insert(client, "records", rows.records(rows.record(500)))  # after the copy
    client.close()

    copying.put_back(tmp_path / "new", copied)
    other = open_warehouse(f"chdb://{tmp_path / 'new'}")
    assert [
        ask(other, (f"SELECT * FROM {table} ORDER BY partition, offset", {})) for table in ("records", "calls", "charges")
    ] == before
    assert migrate(other) == [], "it knows which migrations it has"
    other.close()


def test_the_process_that_holds_it_makes_the_copy(directory: Path, tmp_path: Path):
    with held(directory, "answers"):
        copying.copy(directory, "asked").rename(tmp_path / "kept")
        assert left(directory) == []
    copying.put_back(tmp_path / "new", tmp_path / "kept")


def test_the_error_for_a_holder_that_makes_no_copies_names_it(directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(copying, "ANSWER_S", 0.5)
    with held(directory, "is a notebook"):
        with pytest.raises(WarehouseHeld, match=r"(?s)is open in process \d+ .* makes no copies for others"):
            copying.copy(directory, "asked")
        assert left(directory) == [], "a request that was withdrawn is not fulfilled later"


def test_the_process_that_asked_gets_the_reason_of_a_failed_copy(directory: Path):
    with held(directory, "has no room"):
        with pytest.raises(WarehouseError, match=r"is not whole .* is the disk full"):
            copying.copy(directory, "asked")
        assert left(directory) == []


def test_what_a_dead_holder_left_goes_with_the_next(directory: Path):
    place = directory / copying.BACKUPS
    place.mkdir(parents=True)
    (place / "half.copy" / "data").mkdir(parents=True)
    for name in ("half.taken", "old.done"):
        (place / name).touch()
    copying.copy(directory, "new")
    assert left(directory) == ["new.copy"]


def test_a_copy_that_the_engine_cut_short_is_not_put_back(client, directory: Path, rows, tmp_path: Path):
    """On a full disk it reports BACKUP_CREATED all the same."""
    insert(client, "records", rows.records(*(rows.record(offset) for offset in range(500))))
    copied = copying.make(client, directory, "one").rename(tmp_path / "kept")
    client.close()
    data = max((path for path in copied.rglob("*.bin")), key=lambda path: path.stat().st_size)
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(WarehouseError, match=r"data\.bin has"):
        copying.put_back(tmp_path / "new", copied)
    assert not (tmp_path / "new").exists()


def test_restored_tables_are_read_and_checked(client, directory: Path, rows, tmp_path: Path):
    insert(client, "records", rows.records(*(rows.record(offset) for offset in range(500))))
    copied = copying.make(client, directory, "one").rename(tmp_path / "kept")
    client.close()
    data = max((path for path in copied.rglob("*.bin")), key=lambda path: path.stat().st_size)
    damaged = bytearray(data.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    data.write_bytes(damaged)  # as long as it was
    with pytest.raises(WarehouseError):
        copying.put_back(tmp_path / "new", copied)
