"""A copy of topics that are being written to."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from journal import Entry, Torn
from journal.copying import copy_topic, topics_in
from journal.files import FileJournal, Limits

SMALL = Limits(segment_bytes=4096)


def entries(first: int, count: int) -> list[Entry]:
    return [Entry(b"k", b"%d" % n, 1) for n in range(first, first + count)]


def values(home: Path, topic: str = "calls", partition: int = 0) -> list[int]:
    journal = FileJournal(home)
    reader = journal.reader(topic, partition, journal.first_offset(topic, partition))
    found: list[int] = []
    while messages := reader.read():
        found += [int(message.value) for message in messages]
    reader.close()
    return found


@pytest.fixture
def journal(tmp_path: Path) -> FileJournal:
    journal = FileJournal(tmp_path / "journal", SMALL)
    journal.create("calls", 1)
    return journal


def test_a_copy_ends_where_the_journal_was_synced_when_its_turn_came(journal: FileJournal, tmp_path: Path):
    """A writer appends all the while; each copy is a journal of its own, whole up to its end."""
    stop, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        writer = journal.writer("calls", 0)
        while not stop.is_set():
            writer.append(entries(written, 7))
            written += 7
        writer.close()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            while written < 150 * (number + 1):
                assert writing.is_alive()
            before = written
            ends = copy_topic(tmp_path / "journal", "calls", tmp_path / f"copy{number}")
            assert before <= ends[0] <= written + 7
            assert values(tmp_path / f"copy{number}") == list(range(ends[0]))
    finally:
        stop.set()
        writing.join()


def test_a_copy_goes_on_at_its_end(journal: FileJournal, tmp_path: Path):
    writer = journal.writer("calls", 0)
    for first in (0, 100, 200):
        writer.append(entries(first, 100))
    ends = copy_topic(tmp_path / "journal", "calls", tmp_path / "copy")
    writer.close()
    other = FileJournal(tmp_path / "copy", SMALL).writer("calls", 0)
    assert other.append(entries(ends[0], 3)) == 300
    other.close()
    assert values(tmp_path / "copy") == list(range(303))
    assert topics_in(tmp_path / "copy") == ["calls"]


def test_a_tail_that_was_never_acknowledged_is_not_copied(journal: FileJournal, tmp_path: Path):
    writer = journal.writer("calls", 0)
    writer.append(entries(0, 5))
    writer.close()
    (segment,) = (tmp_path / "journal" / "calls" / "0").glob("*.log")
    with segment.open("ab") as file:
        file.write(b"half of a fra")
    assert copy_topic(tmp_path / "journal", "calls", tmp_path / "copy") == {0: 5}
    assert values(tmp_path / "copy") == [0, 1, 2, 3, 4]


def test_damage_is_found_when_the_copy_is_made_and_not_when_it_is_needed(journal: FileJournal, tmp_path: Path):
    writer = journal.writer("calls", 0)
    for first in range(0, 900, 100):
        writer.append(entries(first, 100))
    writer.close()
    oldest = sorted((tmp_path / "journal" / "calls" / "0").glob("*.log"))[0]
    data = bytearray(oldest.read_bytes())
    data[100] ^= 1
    oldest.write_bytes(data)
    with pytest.raises(Torn, match="is damaged at byte"):
        copy_topic(tmp_path / "journal", "calls", tmp_path / "copy")


def test_what_was_trimmed_stays_trimmed_and_offsets_stay_what_they_were(journal: FileJournal, tmp_path: Path):
    writer = journal.writer("calls", 0)
    for first in range(0, 900, 100):
        writer.append(entries(first, 100))
    writer.trim(450)
    first = journal.first_offset("calls", 0)
    copy_topic(tmp_path / "journal", "calls", tmp_path / "some")
    assert values(tmp_path / "some") == list(range(first, 900)) and 0 < first <= 450

    writer.trim(900)
    copy_topic(tmp_path / "journal", "calls", tmp_path / "none")
    writer.close()
    copied = FileJournal(tmp_path / "none", SMALL)
    assert (copied.first_offset("calls", 0), copied.end_offset("calls", 0)) == (900, 900)
    other = copied.writer("calls", 0)
    assert other.append(entries(900, 1)) == 900
    other.close()
