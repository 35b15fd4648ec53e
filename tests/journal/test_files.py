"""What the file journal does besides the contract: torn tails, damage, full disks, segments and retention."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.message import Message
from journal import Entry, Full, JournalError, Limits, OffsetTrimmed, TooLarge, Torn, Writer, frames
from journal.files import FileJournal

SMALL = Limits(segment_bytes=4096, retention_ms=None)


def open_small(home: Path, limits: Limits = SMALL, now_ms: int = 0) -> FileJournal:
    journal = FileJournal(home, limits, lambda: now_ms)
    journal.create("calls", 1)
    return journal


def segments(home: Path) -> list[Path]:
    return sorted((home / "calls" / "0").glob("*.log"))


def values(journal: FileJournal, offset: int = 0) -> list[bytes]:
    reader = journal.reader("calls", 0, offset)
    out: list[Message] = []
    while got := reader.read(max_messages=7):
        out += got
    return [m.value for m in out]


def one(value: bytes) -> list[Entry]:
    return [Entry(b"k", value, 0)]


# --- the end -------------------------------------------------------------------------------------------------------------------


def test_a_reader_stops_at_the_synced_end_whatever_stands_behind_it(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    journal.writer("calls", 0).append(one(b"synced"))
    with open(segments(tmp_path)[0], "ab") as file:
        file.write(frames.encode(one(b"not yet"), 1))
    assert values(journal) == [b"synced"]


@settings(max_examples=60, deadline=None)
@given(
    stored=st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    torn=st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    data=st.data(),
)
def test_a_torn_tail_is_cut_and_the_partition_goes_on(stored: list[bytes], torn: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as home:
        journal = open_small(Path(home))
        writer = journal.writer("calls", 0)
        writer.append([Entry(b"k", value, 0) for value in stored])
        writer.close()
        tail = frames.encode([Entry(b"k", value, 0) for value in torn], len(stored))
        tail = tail[: data.draw(st.integers(0, len(tail) - 1), "bytes that reached the disk")]
        tail += bytes(data.draw(st.integers(0, 64), "zeros that a power cut left"))
        with open(segments(Path(home))[0], "ab") as file:
            file.write(tail)
        writer = journal.writer("calls", 0)
        whole = values(journal)
        assert whole in (stored, stored + torn)  # zeros may complete a frame whose value ends in zeros
        writer.append(one(b"next"))
        assert values(journal) == [*whole, b"next"]


def test_a_whole_append_of_a_killed_writer_survives(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    journal.writer("calls", 0).close()
    with open(segments(tmp_path)[0], "ab") as file:
        file.write(frames.encode([*one(b"a"), *one(b"b")], 0))
    journal.create("calls", 1)
    assert values(journal) == [b"a", b"b"]


def test_damage_below_the_synced_end_is_reported_and_not_repaired(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    writer = journal.writer("calls", 0)
    writer.append([*one(b"first"), *one(b"second"), *one(b"third")])
    writer.close()
    path = segments(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        Torn, match=r"calls/0: .*log is damaged at byte 69 \(a checksum is wrong\): offset 2 was acknowledged and cannot be read\."
    ):
        journal.writer("calls", 0)
    reader = journal.reader("calls", 0, 0)
    assert [m.value for m in reader.read()] == [b"first", b"second"]
    with pytest.raises(Torn, match="offset 2 was acknowledged and cannot be read"):
        reader.read()
    for left in (content[: -len(frames.encode(one(b"third"), 2))], b""):
        path.write_bytes(left)
        with pytest.raises(Torn, match="the file ends"):
            journal.reader("calls", 0, 2).read()
        with pytest.raises(Torn, match="the file ends"):
            reader.read()


# --- segments and retention ----------------------------------------------------------------------------------------------------


def test_segments_have_their_first_offset_as_name_and_read_as_one(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    writer = journal.writer("calls", 0)
    for n in range(30):
        assert writer.append([Entry(b"k", b"%03d" % n + b"x" * 500, 0)] * 2) == 2 * n
    assert [path.name for path in segments(tmp_path)][:3] == [f"{base:020d}.log" for base in (0, 6, 12)]
    assert [value[:3] for value in values(journal)] == [b"%03d" % (n // 2) for n in range(60)]
    for offset in range(61):
        assert len(values(journal, offset)) == 60 - offset
    writer.close()
    assert journal.writer("calls", 0).append(one(b"after opening again")) == 60
    assert len(values(journal)) == 61


def test_one_append_is_never_cut_over_two_segments(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    writer = journal.writer("calls", 0)
    with pytest.raises(TooLarge, match="a segment holds 4096"):
        writer.append([Entry(b"", b"x" * 1000, 0)] * 5)
    writer.append([Entry(b"", b"x" * 1000, 0)] * 3)
    assert len(values(journal)) == 3


def test_size_retention_removes_the_oldest_segments_and_a_reader_below_gets_an_error(tmp_path: Path) -> None:
    journal = open_small(tmp_path, Limits(segment_bytes=4096, retention_bytes=8192, retention_ms=None))
    writer = journal.writer("calls", 0)
    slow = journal.reader("calls", 0, 0)
    writer.append(one(b"x" * 1000))
    assert len(slow.read()) == 1
    for _ in range(20):
        writer.append(one(b"x" * 1000))
    first = journal.first_offset("calls", 0)
    assert 0 < first < 21 and len(values(journal, first)) == 21 - first
    with pytest.raises(OffsetTrimmed, match=f"calls/0 begins at {first}, the reader is at 0"):
        journal.reader("calls", 0, 0)
    assert [m.offset for m in slow.read()] == [1, 2]  # what it holds open it still gets, and only then
    with pytest.raises(OffsetTrimmed, match=f"begins at {first}"):
        slow.read()


def test_age_retention_goes_by_the_files_and_not_by_the_times_of_records(tmp_path: Path) -> None:
    day_ms = 24 * 3_600_000
    now_ms = 1_700_000_000_000
    journal = open_small(tmp_path, Limits(segment_bytes=4096, retention_ms=7 * day_ms, roll_ms=10**15), now_ms)
    writer = journal.writer("calls", 0)
    for n in range(6):
        writer.append([Entry(b"", b"x" * 3000, 0)])  # says that it is of 1970
        for path in segments(tmp_path):
            age_days = 8 if path.name < f"{2:020d}" else 1
            os.utime(path, ns=((now_ms - age_days * day_ms) * 1_000_000,) * 2)
        assert journal.first_offset("calls", 0) == min(2, n)


def test_a_segment_is_ended_when_it_is_old(tmp_path: Path) -> None:
    clock = [0]
    journal = FileJournal(tmp_path, Limits(roll_ms=1000, retention_ms=None), lambda: clock[0])
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    writer.append(one(b"a"))
    clock[0] = 2000
    writer.append(one(b"b"))
    assert len(segments(tmp_path)) == 2 and values(journal) == [b"a", b"b"]


def test_what_was_consumed_can_be_trimmed(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    writer = journal.writer("calls", 0)
    for _ in range(10):
        writer.append(one(b"x" * 1000))
    writer.trim(5)
    assert journal.first_offset("calls", 0) == 3
    writer.trim(10)
    assert journal.first_offset("calls", 0) == 10 and writer.size_bytes == 0
    assert writer.append(one(b"next")) == 10 and values(journal, 10) == [b"next"]


# --- no room -------------------------------------------------------------------------------------------------------------------


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_leaves_the_partition_readable_and_appendable(tmp_path: Path) -> None:
    journal = open_small(tmp_path, Limits())
    writer = journal.writer("calls", 0)
    writer.append(one(b"before"))
    with no_file_over(10_000):
        with pytest.raises(Full, match="no room"):
            writer.append([Entry(b"k", b"x" * 3000, 0)] * 5)
        assert values(journal) == [b"before"]
        assert writer.append(one(b"small fits")) == 1
    assert writer.append([Entry(b"k", b"x" * 3000, 0)] * 5) == 2
    writer.close()
    journal.writer("calls", 0).close()
    assert values(journal) == [b"before", b"small fits", *[b"x" * 3000] * 5]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root; the same with a limit on file sizes ran")
    home = tmp_path / "disk"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(home)], check=True)
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


def fill(writer: Writer) -> int:
    """Appends until there is no room; how many went in."""
    for stored in range(10_000):
        try:
            writer.append(one(b"%d" % stored + b"x" * 5000))
        except Full:
            return stored
    raise AssertionError("the disk never filled")


def test_a_really_full_disk(tiny_disk: Path) -> None:
    journal = open_small(tiny_disk, Limits(segment_bytes=64 << 10, retention_ms=None))
    writer = journal.writer("calls", 0)
    stored = fill(writer)
    assert len(values(journal)) == stored > 100
    with pytest.raises(Full):
        journal.create("another", 4)
    segments(tiny_disk)[0].unlink()  # an operator makes room
    assert writer.append(one(b"goes on")) == stored
    assert values(journal, stored) == [b"goes on"]
    writer.close()
    assert journal.writer("calls", 0).append(one(b"x")) == stored + 1


def test_after_a_failed_fsync_the_writer_stops_until_the_files_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_small(tmp_path)
    writer = journal.writer("calls", 0)
    writer.append(one(b"before"))

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", broken)
        with pytest.raises(JournalError, match="Input/output error"):
            writer.append(one(b"who knows"))
    with pytest.raises(JournalError, match="must be opened anew"):
        writer.append(one(b"next"))
    writer.close()
    assert journal.writer("calls", 0).append(one(b"next")) == 1
    assert values(journal) == [b"before", b"next"]


# --- several processes ---------------------------------------------------------------------------------------------------------


def test_a_topic_made_by_many_at_once_is_made_once(tmp_path: Path) -> None:
    faults: list[Exception] = []

    def make() -> None:
        try:
            FileJournal(tmp_path).create("calls", 3)
        except JournalError as error:
            faults.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert sorted(os.listdir(tmp_path)) == ["calls"]
    assert FileJournal(tmp_path).partitions("calls") == 3


def test_a_journal_of_release_0_1_is_refused_with_what_to_do(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    (tmp_path / "calls" / "topic.json").write_text('{"format": 1, "partitions": 1}')
    with pytest.raises(JournalError, match=r"is a journal of Ringfence 0\.1, .* move it away"):
        journal.writer("calls", 0)


def test_a_format_of_tomorrow_is_refused(tmp_path: Path) -> None:
    journal = open_small(tmp_path)
    (tmp_path / "calls" / "topic.json").write_text('{"format": 3, "partitions": 1}')
    with pytest.raises(JournalError, match="has format 3, this program reads 2"):
        journal.writer("calls", 0)


# --- a power cut ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.lists(st.binary(max_size=900), min_size=1, max_size=4), min_size=1, max_size=10), data=st.data())
def test_after_a_power_cut_all_that_was_acknowledged_is_found_again(groups: list[list[bytes]], data: st.DataObject) -> None:
    """The segments are synced; of the mapped end any earlier state may be what reached the disk."""
    with tempfile.TemporaryDirectory() as home:
        journal = open_small(Path(home))
        writer = journal.writer("calls", 0)
        ends = [0]
        for group in groups:
            writer.append([Entry(b"k", value, 0) for value in group])
            ends.append(writer.end)
        writer.close()
        stale = data.draw(st.sampled_from(ends), "the end that reached the disk")
        (Path(home) / "calls" / "0" / "synced").write_bytes(stale.to_bytes(8, "little"))
        assert len(values(journal)) == stale
        journal.create("calls", 1)  # as every process does when it starts
        assert values(journal) == [value for group in groups for value in group]
