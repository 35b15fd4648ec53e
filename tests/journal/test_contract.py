"""What every spelling of the journal must do."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal import (
    Entry,
    Journal,
    JournalError,
    Locked,
    Message,
    OffsetAhead,
    TooLarge,
    create_topics,
    open_journal,
    partition_for,
)


def entries(count: int, start: int = 0) -> list[Entry]:
    return [Entry(b"key%d" % n, b"value %d" % n, 1_000 + n) for n in range(start, start + count)]


def test_what_is_appended_is_read_in_order_with_its_offsets(journal: Journal) -> None:
    journal.create("calls", 2)
    writer = journal.writer("calls", 1)
    assert writer.append(entries(3)) == 0
    assert writer.append(entries(2, start=3)) == 3
    reader = journal.reader("calls", 1, 0)
    assert reader.read() == [Message(n, 1_000 + n, b"key%d" % n, b"value %d" % n) for n in range(5)]
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
    assert [m.offset for m in reader.read()] == [0]
    writer.append(entries(1))
    assert [m.offset for m in reader.read()] == [1]


def test_a_reader_starts_at_any_offset_also_at_the_end(journal: Journal) -> None:
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    writer.append(entries(10))
    for offset in range(11):
        assert [m.offset for m in journal.reader("calls", 0, offset).read()] == list(range(offset, 10))


def test_a_reader_beyond_the_end_is_told(journal: Journal) -> None:
    journal.create("calls", 1)
    journal.writer("calls", 0).append(entries(3))
    with pytest.raises(OffsetAhead, match="ends at 3"):
        journal.reader("calls", 0, 4).read()


def test_limits_of_a_read_cut_between_messages_and_give_at_least_one(journal: Journal) -> None:
    journal.create("calls", 1)
    journal.writer("calls", 0).append([Entry(b"", b"x" * 1000, 0)] * 10)
    reader = journal.reader("calls", 0, 0)
    assert len(reader.read(max_messages=3)) == 3
    assert len(reader.read(max_bytes=2500)) == 2
    assert len(reader.read(max_bytes=1)) == 1
    assert len(reader.read()) == 4


def test_empty_keys_values_and_any_bytes_travel(journal: Journal) -> None:
    journal.create("calls", 1)
    odd = [Entry(b"", b"", 0), Entry(b"\x00\x1f", b"\n\x00\xff", -1), Entry(b"k", b"x" * 900_000, 2**53)]
    journal.writer("calls", 0).append(odd)
    assert [(m.key, m.value, m.timestamp_ms) for m in journal.reader("calls", 0, 0).read()] == [tuple(e) for e in odd]


def test_an_append_of_nothing_is_no_fault(journal: Journal) -> None:
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    assert writer.append([]) == 0
    assert journal.end_offset("calls", 0) == 0


def test_an_entry_over_the_limit_is_refused_with_all_that_came_with_it(journal: Journal) -> None:
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    with pytest.raises(TooLarge, match="entry 1 of 2"):
        writer.append([Entry(b"", b"small", 0), Entry(b"", b"x" * (1 << 20) + b"y", 0)])
    assert journal.end_offset("calls", 0) == 0
    assert writer.append(entries(1)) == 0


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


def test_what_is_not_there_is_named(journal: Journal) -> None:
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
        open_journal("redis://x")


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
        writer.append([Entry(value[:3], value, len(value)) for value in group])
        writer.close()
        got += reader.read(*reads[len(got) % len(reads)])
    for turn in range(10_000):
        if not (more := reader.read(*reads[turn % len(reads)])):
            break
        got += more
    wanted = [value for group in appends for value in group]
    assert got == [Message(start + n, len(value), value[:3], value) for n, value in enumerate(wanted)]
