"""What every spelling of the journal must do."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.message import Message
from journal import (
    Entry,
    Journal,
    JournalError,
    Locked,
    OffsetAhead,
    Reader,
    TooLarge,
    create_topics,
    open_journal,
    partition_for,
)


def entries(count: int, start: int = 0) -> list[Entry]:
    return [Entry(b"key%d" % n, b"value %d" % n, 1_000 + n) for n in range(start, start + count)]


def soon(reader: Reader, count: int = 1) -> list[Message]:
    """So many messages that were appended after the reader was opened: they are there in a moment."""
    out: list[Message] = []
    end_s = time.monotonic() + 20
    while len(out) < count and time.monotonic() < end_s:
        out += reader.read()
    return out


def test_what_is_appended_is_read_in_order_with_its_offsets(journal: Journal) -> None:
    journal.create("calls", 2)
    writer = journal.writer("calls", 1)
    assert writer.append(entries(3)) == 0
    assert writer.append(entries(2, start=3)) == 3
    reader = journal.reader("calls", 1, 0)
    assert reader.read() == [Message(1, n, 1_000 + n, b"key%d" % n, b"value %d" % n) for n in range(5)]
    assert reader.offset == 5
    assert reader.read() == []
    assert journal.end_offset("calls", 1) == 5 and journal.first_offset("calls", 1) == 0
    assert journal.end_offset("calls", 0) == 0


def test_a_reader_sees_what_comes_later(journal: Journal) -> None:
    journal.create("calls", 1)
    reader = journal.reader("calls", 0, 0)
    assert reader.read() == []
    writer = journal.writer("calls", 0)
    writer.append(entries(1))
    assert [m.offset for m in soon(reader)] == [0]
    writer.append(entries(1))
    assert [m.offset for m in soon(reader)] == [1]
    assert reader.read() == []


def test_a_reader_starts_at_any_offset_also_at_the_end(journal: Journal) -> None:
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    writer.append(entries(10))
    for offset in range(11):
        assert [m.offset for m in journal.reader("calls", 0, offset).read()] == list(range(offset, 10))


def test_a_reader_beyond_the_end_is_refused(journal: Journal) -> None:
    journal.create("calls", 1)
    journal.writer("calls", 0).append(entries(3))
    with pytest.raises(OffsetAhead, match="ends at 3"):
        journal.reader("calls", 0, 4).read()


def test_limits_of_a_read_cut_between_messages_and_give_at_least_one(journal: Journal) -> None:
    journal.create("calls", 1)
    journal.writer("calls", 0).append([Entry(b"", b"x" * 1000, 1)] * 10)
    reader = journal.reader("calls", 0, 0)
    assert len(reader.read(max_messages=3)) == 3
    assert len(reader.read(max_bytes=2500)) == 2
    assert len(reader.read(max_bytes=1)) == 1
    assert len(reader.read()) == 4


def test_empty_keys_values_and_any_bytes_travel(journal: Journal) -> None:
    journal.create("calls", 1)
    odd = [Entry(b"", b"", 1), Entry(b"\x00\x1f", b"\n\x00\xff", 2), Entry(b"k", b"x" * 900_000, 2**53)]
    journal.writer("calls", 0).append(odd)
    assert [(m.key, m.value, m.learned_ms) for m in journal.reader("calls", 0, 0).read()] == [tuple(e) for e in odd]


def test_an_append_of_nothing_is_no_fault(journal: Journal) -> None:
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    assert writer.append([]) == 0
    assert journal.end_offset("calls", 0) == 0


def test_an_entry_over_the_limit_is_refused_with_all_that_came_with_it(journal: Journal) -> None:
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    with pytest.raises(TooLarge, match="entry 1 of 2"):
        writer.append([Entry(b"", b"small", 1), Entry(b"", b"x" * (1 << 20) + b"y", 1)])
    assert journal.end_offset("calls", 0) == 0
    assert writer.append(entries(1)) == 0


def test_an_entry_at_the_limit_and_many_large_ones_are_taken(journal: Journal) -> None:
    journal.create("calls", 1)
    large = [Entry(b"key", bytes([n]) * ((1 << 20) - 3), 1) for n in range(12)]
    journal.writer("calls", 0).append(large)
    reader, got = journal.reader("calls", 0, 0), []
    while messages := reader.read():
        got += messages
    assert [m.value for m in got] == [entry.value for entry in large]


def test_a_partition_has_one_writer(journal: Journal) -> None:
    journal.create("calls", 2)
    first = journal.writer("calls", 0)
    journal.writer("calls", 1).close()
    with pytest.raises(Locked, match="calls/0 has a writer"):
        journal.writer("calls", 0)
    first.append(entries(1))
    first.close()
    assert journal.writer("calls", 0).append(entries(1)) == 1


def test_creating_again_is_harmless_and_another_number_is_refused(journal: Journal) -> None:
    journal.create("calls", 2)
    writer = journal.writer("calls", 0)
    writer.append(entries(1))
    journal.create("calls", 2)
    assert journal.end_offset("calls", 0) == 1
    with pytest.raises(JournalError, match="has 2 partitions, 4 were asked for"):
        journal.create("calls", 4)


def test_a_topic_grows_by_its_own_command_and_keeps_what_it_holds(journal: Journal) -> None:
    journal.create("calls", 2)
    writer = journal.writer("calls", 1)
    writer.append(entries(3))
    for _ in range(2):
        journal.grow("calls", 5)
        assert journal.partitions("calls") == 5
    assert writer.append(entries(1, start=3)) == 3
    assert len(journal.reader("calls", 1, 0).read()) == 4
    assert journal.writer("calls", 4).append(entries(1)) == 0
    assert len(journal.reader("calls", 4, 0).read()) == 1
    with pytest.raises(JournalError, match="has 5 partitions: it can get more, not 4"):
        journal.grow("calls", 4)
    with pytest.raises(JournalError, match="has 5 partitions, 2 were asked for"):
        journal.create("calls", 2)
    with pytest.raises(JournalError, match="no topic nothing"):
        journal.grow("nothing", 4)


def test_readers_share_a_partition_and_none_takes_anothers_messages(journal: Journal) -> None:
    journal.create("calls", 1)
    journal.writer("calls", 0).append(entries(20))
    readers = [journal.reader("calls", 0, offset) for offset in (0, 7, 0)]
    got: list[list[int]] = [[], [], []]
    for _ in range(10):
        for number, reader in enumerate(readers):
            got[number] += [m.offset for m in reader.read(max_messages=3)]
    assert got == [list(range(20)), list(range(7, 20)), list(range(20))]
    readers[0].close()
    assert [m.offset for m in journal.reader("calls", 0, 19).read()] == [19]


def test_an_idle_reader_keeps_its_offset_and_delays_no_other(journal: Journal) -> None:
    journal.create("calls", 2)
    slow, quick = journal.reader("calls", 0, 0), journal.reader("calls", 1, 0)
    lazy, busy = journal.writer("calls", 0), journal.writer("calls", 1)
    for _ in range(4):
        lazy.append([Entry(b"k", b"x" * 900_000, 1)] * 10)  # more than a reader is sent ahead of its reading
    for n in range(30):
        busy.append(entries(1))
        assert [m.offset for m in soon(quick)] == [n]
    assert [m.offset for m in soon(slow, 40)] == list(range(40))


def test_a_missing_topic_or_partition_is_an_error_with_its_name(journal: Journal) -> None:
    with pytest.raises(JournalError, match="no topic nothing"):
        journal.partitions("nothing")
    journal.create("calls", 2)
    with pytest.raises(JournalError, match="partitions 0 to 1, not 2"):
        journal.reader("calls", 2, 0)
    with pytest.raises(JournalError, match="not a topic's name"):
        journal.create("../calls", 1)


def test_all_topics_are_made(journal: Journal) -> None:
    create_topics(journal)
    assert journal.partitions("calls") == journal.partitions("judged") == 4
    create_topics(journal)


def test_an_unknown_address_is_refused() -> None:
    with pytest.raises(JournalError, match="not a journal's address"):
        open_journal("redis://ann:secret@x")


def test_keys_go_where_kafka_puts_them() -> None:
    # From the test data of Kafka's own DefaultPartitioner: murmur2, the sign bit cleared, modulo.
    assert partition_for(b"21", 100) == (-973932308 & 0x7FFFFFFF) % 100
    assert partition_for(b"a-little-bit-long-string", 100) == (-985981536 & 0x7FFFFFFF) % 100
    assert partition_for(b"a-little-bit-longer-string", 100) == (-1486304829 & 0x7FFFFFFF) % 100
    assert partition_for(b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 100) == (-58897971 & 0x7FFFFFFF) % 100


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    appends=st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=8), max_size=12),
    reads=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 700)), min_size=1, max_size=5),
)
def test_any_appends_are_read_back_by_any_reads(
    journal: Journal, appends: list[list[bytes]], reads: list[tuple[int, int]]
) -> None:
    journal.create("calls", 1)
    start = journal.end_offset("calls", 0)
    reader = journal.reader("calls", 0, start)
    got: list[Message] = []
    for group in appends:
        writer = journal.writer("calls", 0)  # another writer each time
        writer.append([Entry(value[:3], value, 1 + len(value)) for value in group])
        writer.close()
        got += reader.read(*reads[len(got) % len(reads)])
    wanted = [value for group in appends for value in group]
    end_s = time.monotonic() + 20
    for turn in itertools.count():
        more = reader.read(*reads[turn % len(reads)])
        got += more
        if not more and (len(got) >= len(wanted) or time.monotonic() > end_s):
            break
    assert got == [Message(0, start + n, 1 + len(value), value[:3], value) for n, value in enumerate(wanted)]
