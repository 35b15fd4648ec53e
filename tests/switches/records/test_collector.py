"""The collector: posts that it accepts and refuses, and spooling while the journal is away."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx2
import msgspec
import pytest
from running_collector import TOKEN, CollectorProcess, Running, find_credential, read_all
from until import until

from books.credentials import Credential
from core.record import TICK_KEY, Tick
from journal import Entry, Journal, Locked, Reader, Writer, create_topics, open_journal, partition_for
from journal import files as journal_files
from journal.files import FileJournal
from switches.collector import Limits, serve
from switches.committer import Committer
from switches.intake import unpacked
from switches.post import Away, Busy, Denied, TooMuch, connect, post_records

Start = Callable[..., Running]
GZIP = {"Content-Encoding": "gzip"}


def record(seq: int, account: str = "acme", **more: object) -> bytes:
    return json.dumps(
        {"v": 2, "event": "stop", "switch": "k1", "at_ms": 1, "boot_id": "b", "seq": seq, "account": account, **more}
    ).encode()


def ticks_of(running: Running, partition: int = 0) -> list[Tick]:
    return [msgspec.json.decode(value, type=Tick) for value in running.ticks(partition)]


# --- what it takes --------------------------------------------------------------------------------------------------------------


def test_records_are_in_the_journal_as_posted_once_they_are_accepted(start_collector: Start) -> None:
    one = start_collector()
    lines = [record(1), b'{"v": 2,   "odd":\t"spacing"}\r', record(2, "blue")]
    assert post_records(one.client, lines) == 3
    there = [m for partition in range(4) for m in read_all(one.journal, partition) if m.key != TICK_KEY]
    assert {m.value: m.key for m in there} == {lines[0]: b"t1\x1facme", lines[1]: b"t1\x1ftrunk:", lines[2]: b"t1\x1fblue"}
    assert [m.value for m in read_all(one.journal, partition_for(b"t1\x1facme", 4))[1:]].count(lines[0]) == 1
    assert all(abs(m.learned_ms - time.time() * 1000) < 60_000 for m in there)


def test_a_tick_comes_first_in_every_partition(start_collector: Start) -> None:
    one = start_collector()
    post_records(one.client, [record(n, f"account{n}") for n in range(200)])
    for partition in range(4):
        messages = read_all(one.journal, partition)
        assert messages[0].key == TICK_KEY and len(messages) > 1
        assert msgspec.json.decode(messages[0].value, type=Tick).config_version == 1


def test_no_record_is_accepted_before_the_config_version_is_known(start_collector: Start) -> None:
    known: list[int] = []

    def config_version() -> int:
        if not known:
            raise ConnectionError("the books are away")
        return known[0]

    one = start_collector(wait=False, config_version=config_version)
    with pytest.raises(Busy, match="not ready: the config version in force is not known: the books are away"):
        until(lambda: post_records(one.client, [record(1)]))
    known.append(7)
    until(lambda: one.health()["ready"])
    assert post_records(one.client, [record(1)]) == 1
    assert ticks_of(one)[0].config_version == 7 and one.records() == [record(1)]


def test_ticks_have_the_version_in_force_also_while_the_books_are_away(start_collector: Start) -> None:
    answers: list[int | Exception] = [3]

    def config_version() -> int:
        answer = answers[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    one = start_collector(config_version=config_version, tick_s=0.05)
    answers.append(4)
    until(lambda: ticks_of(one)[-1].config_version == 4)
    answers.append(ConnectionError("away"))
    count = len(ticks_of(one))
    until(lambda: len(ticks_of(one)) > count + 3)
    assert ticks_of(one)[-1].config_version == 4
    assert [tick.at_ms for tick in ticks_of(one)] == sorted(tick.at_ms for tick in ticks_of(one))


def test_ticks_have_complete_to_of_each_switch(start_collector: Start) -> None:
    one = start_collector(tick_s=0.05)
    now_ms = int(time.time() * 1000)
    assert ticks_of(one)[-1].complete_to_ms == {}
    post_records(one.client, [record(1)], complete_to_ms=now_ms - 5000)
    until(lambda: ticks_of(one)[-1].complete_to_ms == {"k1": now_ms - 5000})
    post_records(one.client, [], complete_to_ms=now_ms - 4000)  # a sign of life
    until(lambda: ticks_of(one)[-1].complete_to_ms == {"k1": now_ms - 4000})
    post_records(one.client, [], complete_to_ms=now_ms - 9000)  # a clock that was set back
    post_records(one.client, [record(2)])
    time.sleep(0.2)
    assert ticks_of(one)[-1].complete_to_ms == {"k1": now_ms - 4000}
    post_records(one.client, [], complete_to_ms=now_ms + 3_600_000)  # a clock that runs ahead
    until(lambda: now_ms - 4000 < ticks_of(one)[-1].complete_to_ms["k1"] < now_ms + 60_000)


def test_a_tick_comes_after_the_records_that_it_reports_complete(start_collector: Start) -> None:
    one = start_collector(tick_s=0.02)
    partition = partition_for(b"t1\x1facme", 4)
    for seq in range(50):
        post_records(one.client, [record(seq)], complete_to_ms=seq)
    until(lambda: ticks_of(one, partition)[-1].complete_to_ms.get("k1") == 49)  # the ticks before the first record know no switch
    seen = -1
    for message in read_all(one.journal, partition):
        if message.key == TICK_KEY:
            assert msgspec.json.decode(message.value, type=Tick).complete_to_ms.get("k1", -1) <= seen
        else:
            seen = json.loads(message.value)["seq"]


BAD = {
    "truncated": record(1)[:-30],
    "not JSON": b"INVITE sip:x@y SIP/2.0",
    "a list": b"[1,2]",
    "wrong types": b'{"account":7,"ingress_trunk":null}',
    "NUL bytes": b'{"account":"ac\x00me"}\x00\x00',
    "invalid UTF-8": b'{"account":"ac\xff\xfeme"}',
    "a lone surrogate": b'{"account":"\\ud800"}',
    "deep": b"[" * 60_000,
    "another tenant": record(2, tenant="t2"),
    "a key that poses as a tick": b'{"account":"tick","tenant":""}',
}


def test_a_line_that_is_not_a_record_is_stored_unchanged(start_collector: Start) -> None:
    one = start_collector()
    posted: list[bytes] = []
    for name, bad in BAD.items():
        lines = [record(len(posted)), bad, record(len(posted) + 1)]
        assert post_records(one.client, lines) == 3, name
        posted += lines
        assert sorted(one.records()) == sorted(posted), name
    keys = {m.key for partition in range(4) for m in read_all(one.journal, partition)} - {TICK_KEY}
    assert all(key.startswith(b"t1\x1f") or key.endswith(b"\x1fk1") for key in keys)


def test_a_torn_record_goes_to_the_partition_of_its_account(start_collector: Start) -> None:
    one = start_collector()
    torn = b'{"v":2,"account":"acme","b_raw":"+4'
    post_records(one.client, [torn])
    assert read_all(one.journal, partition_for(b"t1\x1facme", 4))[-1].value == torn


def test_a_line_over_the_limit_is_cut_there_and_stored(start_collector: Start) -> None:
    one = start_collector()
    long = record(1, user_agent="x" * (1 << 20))
    assert post_records(one.client, [long, record(2)]) == 2
    assert sorted(one.records(), key=len) == [record(2), long[: 512 << 10]]


def test_empty_lines_are_no_records(start_collector: Start) -> None:
    one = start_collector()
    assert post_records(one.client, [b"", record(1), b"", b"  \r", b""]) == 1
    assert post_records(one.client, []) == 0


def test_gzip_is_accepted(start_collector: Start) -> None:
    one = start_collector()
    body = gzip.compress(b"\n".join(record(n) for n in range(1000)))
    assert one.client.post("/v1/records", content=body, headers=GZIP).json() == {"accepted": 1000}
    assert len(one.records()) == 1000


ONE, TWO, THREE = (record(n) + b"\n" for n in (1, 2, 3))
LONG = b"".join(record(n) + b"\n" for n in range(3_000))


def member(data: bytes, level: int = 6) -> bytes:
    return gzip.compress(data, level, mtime=0)


def named_member(data: bytes) -> bytes:
    """A member as gzip and pigz write it: with file name, comment and header checksum."""
    head = b"\x1f\x8b\x08" + bytes([2 | 8 | 16]) + bytes(4) + b"\x00\x03" + b"cdr-2026.jl\0" + b"of k1\0"
    return head + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + member(data)[10:]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (member(ONE) + member(TWO) + member(THREE), 3),
        (member(ONE + TWO) + member(b"") + member(THREE) + member(b""), 3),
        (member(b"") * 1_000 + member(ONE), 1),
        (member(ONE, 0) + member(TWO, 9) + member(THREE, 1), 3),
        (member(ONE) + bytes(512), 1),
        (member(ONE) + bytes(3) + member(TWO) + bytes(100_000), 2),
        (named_member(ONE) + named_member(TWO), 2),
        (member(ONE[:20]) + member(ONE[20:] + TWO), 2),  # a record over the border of two members
        (b"".join(member(line + b"\n") for line in LONG.splitlines()), 3_000),  # as a log appender writes: one a line
        (member(LONG) + member(LONG), 6_000),
    ],
)
def test_every_member_of_a_gzip_body_is_read(start_collector: Start, body: bytes, count: int) -> None:
    one = start_collector()
    answer = one.client.post("/v1/records", content=body, headers=GZIP)
    assert (answer.status_code, answer.json()) == (200, {"accepted": count})
    assert len(one.records()) == count


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_has_several_names(start_collector: Start, coding: str) -> None:
    one = start_collector()
    assert one.client.post("/v1/records", content=member(ONE), headers={"Content-Encoding": coding}).json() == {"accepted": 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (member(ONE) + b"garbage", "behind member 1"),
        (member(ONE) + TWO, "behind member 1"),
        (member(ONE) + bytes(10) + b"x", "behind member 1"),
        (member(ONE) + b"\x1f", "cut off in member 2"),
        (member(ONE) + member(TWO)[:-5], "cut off in member 2"),
        (member(ONE) + member(TWO)[:-8] + bytes(8), "member 2"),  # another checksum
        (member(ONE) + b"BZh9" + bytes(20), "behind member 1"),
        (b"", "cut off"),
        (bytes(100), "not gzip"),
    ],
)
def test_of_a_gzip_body_that_is_not_whole_nothing_is_accepted(start_collector: Start, body: bytes, words: str) -> None:
    one = start_collector()
    answer = one.client.post("/v1/records", content=body, headers=GZIP)
    assert answer.status_code == 400 and words in answer.json()["error"]
    assert one.records() == []


@pytest.mark.parametrize(
    "body",
    [
        member(bytes(1 << 20)) * 5,
        member(b"a\n" * 1_000) + member(bytes(64 << 20)),
        member(bytes((4 << 20) - 1)) + member(b"\n\n"),
        b"".join(member(b"x" * 50_000 + b"\n") for _ in range(100)),
        member(b"") * 1_000 + member(b" " * (5 << 20)),
    ],
)
def test_the_limit_holds_over_all_members_together(start_collector: Start, body: bytes) -> None:
    one = start_collector()
    answer = one.client.post("/v1/records", content=body, headers=GZIP)
    assert answer.status_code == 413 and "unpacked too" in answer.json()["error"]
    assert one.records() == []


def test_more_gzip_members_than_the_limit_are_refused(start_collector: Start) -> None:
    one = start_collector()
    answer = one.client.post("/v1/records", content=(member(b"") + b"\0") * 10_001, headers=GZIP)
    assert answer.status_code == 413 and "more than 10,000 members" in answer.json()["error"]


def test_unpacking_a_body_delays_no_other_post_or_tick(start_collector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking waits here until another post has been answered and a tick has been written."""
    go_on, begun = Event(), Event()

    def slow(body: bytes, limit: int) -> bytes:
        begun.set()
        assert go_on.wait(30)
        return unpacked(body, limit)

    monkeypatch.setattr("switches.collector.unpacked", slow)
    one = start_collector(tick_s=0.05)
    with ThreadPoolExecutor(1) as pool, connect(str(one.client.base_url), TOKEN) as other:
        packed = pool.submit(one.client.post, "/v1/records", content=gzip.compress(record(1)), headers=GZIP)
        assert begun.wait(30)
        ticks = len(ticks_of(one))
        assert post_records(other, [record(2)]) == 1
        until(lambda: len(ticks_of(one)) > ticks)
        go_on.set()
        assert packed.result(30).json() == {"accepted": 1}
    assert len(one.records()) == 2


def test_two_content_codings_are_refused(start_collector: Start) -> None:
    one = start_collector()
    for headers in ([("Content-Encoding", "identity"), ("Content-Encoding", "gzip")], [("Content-Encoding", "gzip, gzip")]):
        assert one.client.post("/v1/records", content=member(ONE), headers=headers).status_code == 415
    assert one.records() == []


@pytest.mark.parametrize("line", [b"1", b"x", b"{}", b'"', b"\0"])
def test_a_post_of_too_many_tiny_lines_is_refused_and_one_below_is_accepted(start_collector: Start, line: bytes) -> None:
    one = start_collector(limits=Limits(post_records=1_000))
    answer = one.client.post("/v1/records", content=(line + b"\n") * 1_001)
    assert answer.status_code == 413 and "1000 records" in answer.json()["error"]
    assert one.client.post("/v1/records", content=(line + b"\n") * 1_000 + b"\n" * 5_000).json() == {"accepted": 1_000}
    assert len(one.records()) == 1_000


def test_by_default_two_million_lines_are_refused_and_nothing_stops(start_collector: Start) -> None:
    one = start_collector()
    assert one.client.post("/v1/records", content=b"1\n" * 2_000_000).status_code == 413
    assert post_records(one.client, [record(1)]) == 1


def test_a_post_too_large_for_one_append_is_written_in_parts(start_collector: Start, tmp_path: Path) -> None:
    small = FileJournal(tmp_path / "small", journal_files.Limits(segment_bytes=4096, record_bytes=1024))
    one = start_collector(journal=small)
    lines = [record(n) for n in range(200)]
    assert post_records(one.client, lines) == 200
    assert one.records() == lines


def test_a_record_that_the_journal_refuses_fails_its_own_post_alone(start_collector: Start, tmp_path: Path) -> None:
    small = FileJournal(tmp_path / "small", journal_files.Limits(record_bytes=1024))
    one = start_collector(journal=small)
    with ThreadPoolExecutor(8) as pool:
        good = [pool.submit(one.client.post, "/v1/records", content=record(n)) for n in range(8)]
        bad = [pool.submit(one.client.post, "/v1/records", content=record(n, pad="x" * 2_000)) for n in range(8)]
        assert [answer.result().status_code for answer in good] == [200] * 8
        assert [answer.result().status_code for answer in bad] == [413] * 8
    assert set(one.records()) == {record(n) for n in range(8)}


# --- what it refuses ------------------------------------------------------------------------------------------------------------


def test_a_token_that_is_missing_unknown_or_from_elsewhere_is_refused(start_collector: Start) -> None:
    one = start_collector(
        find_credential=lambda token: {TOKEN: Credential(("t1",), "k1"), "far": Credential(("t1",), "k2", ("192.0.2.1",))}.get(token)
    )
    assert httpx2.post(f"{one.url}/v1/records", content=record(1)).status_code == 401
    with connect(one.url, "guessed") as client, pytest.raises(Denied, match="401: the token is not known"):
        post_records(client, [record(1)])
    with connect(one.url, "far") as client, pytest.raises(Denied, match=r"403: 127\.0\.0\.1 is not among the sources"):
        post_records(client, [record(1)])
    assert one.records() == []


def test_a_revoked_token_ends_soon_and_a_cached_one_outlives_the_books(start_collector: Start) -> None:
    answers: list[Credential | Exception | None] = [Credential(("t1",), "k1")]

    def find(token: str) -> Credential | None:
        answer = answers[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    one = start_collector(find_credential=find, limits=Limits(credential_s=0.05))
    post_records(one.client, [record(1)])
    answers.append(ConnectionError("away"))
    time.sleep(0.1)
    post_records(one.client, [record(2)])
    with connect(one.url, "another") as client, pytest.raises(Busy, match="cannot be looked up"):
        post_records(client, [record(3)])
    answers.append(None)
    time.sleep(0.1)
    with pytest.raises(Denied):
        post_records(one.client, [record(4)])


def test_a_record_has_the_key_of_its_own_tenant_where_the_credential_speaks_for_it(start_collector: Start) -> None:
    one = start_collector(find_credential=lambda token: Credential(("t1", "t2"), "k1"))
    lines = [b'{"switch":"k1","tenant":"t%d","account":"acme"}' % n for n in (1, 2, 9)] + [b'{"switch":"k1","account":"acme"}']
    assert post_records(one.client, lines) == 4
    keys = {message.key: message.value for partition in range(4) for message in read_all(one.journal, partition)}
    assert {key: keys[key] for key in keys if key != TICK_KEY} == {
        b"t1\x1facme": lines[0], b"t2\x1facme": lines[1], b"\x1facme\x1fk1": lines[3],
    }  # fmt: skip
    assert [line in lines[2:] for line in keys.values()].count(True) == 1, "both without a tenant of ours share a key, and are stored"


def test_a_tenant_whose_name_could_forge_a_tick_is_refused(start_collector: Start) -> None:
    one = start_collector(find_credential=lambda token: Credential(("",), "k1"))
    with pytest.raises(Denied, match="cannot be a tenant's name"):
        post_records(one.client, [b'{"account":"tick"}'])


def test_a_post_over_the_limit_is_refused_packed_or_unpacked(start_collector: Start) -> None:
    one = start_collector(limits=Limits(body_bytes=10_000))
    with pytest.raises(TooMuch, match="413"):
        post_records(one.client, [b"x" * 10_001])
    assert one.client.post("/v1/records", content=gzip.compress(b"x" * 10_001), headers=GZIP).status_code == 413
    assert post_records(one.client, [record(1)] * 50) == 50
    assert len(one.records()) == 50


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(record(1), mtime=0)[:-12], {"Content-Encoding": "gzip"}, 400),
        (record(1), {"Content-Encoding": "br"}, 415),
        (record(1), {"X-Complete-To-Ms": "yesterday"}, 400),
        (record(1), {"X-Complete-To-Ms": "-5"}, 400),
    ],
)
def test_an_unreadable_post_is_refused_with_the_reason(
    start_collector: Start, body: bytes, headers: dict[str, str], status: int
) -> None:
    one = start_collector()
    answer = one.client.post("/v1/records", content=body, headers=headers)
    assert answer.status_code == status and len(answer.json()["error"]) > 10
    assert one.records() == []


def test_a_post_that_never_ends_is_cut_off(start_collector: Start) -> None:
    one = start_collector(limits=Limits(body_s=0.2))

    def slowly() -> Iterator[bytes]:
        yield record(1) + b"\n"
        time.sleep(1)
        yield record(2)

    assert one.client.post("/v1/records", content=slowly()).status_code == 408
    assert one.records() == []


def test_more_records_than_the_rate_wait(start_collector: Start) -> None:
    one = start_collector(limits=Limits(records_per_s=100, burst_records=200))
    assert post_records(one.client, [record(n) for n in range(250)]) == 250  # the burst, and a debt of 50
    with pytest.raises(Busy, match="429: k1 posts more than 100 records per second") as refused:
        post_records(one.client, [record(1)])
    assert refused.value.retry_s >= 1
    time.sleep(0.6)
    assert post_records(one.client, [record(1)]) == 1


# --- one fsync for many ---------------------------------------------------------------------------------------------------------


class SlowJournal:
    """A real journal on a slow disk, which counts the appends."""

    def __init__(self, inner: Journal, delay_s: float) -> None:
        self._inner = inner
        self._delay_s = delay_s
        self.appends: list[int] = []

    def create(self, topic: str, partitions: int) -> None:
        self._inner.create(topic, partitions)

    def partitions(self, topic: str) -> int:
        return self._inner.partitions(topic)

    def writer(self, topic: str, partition: int) -> Writer:
        return SlowWriter(self._inner.writer(topic, partition), self._delay_s, self.appends)

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        return self._inner.reader(topic, partition, offset)

    def first_offset(self, topic: str, partition: int) -> int:
        return self._inner.first_offset(topic, partition)

    def end_offset(self, topic: str, partition: int) -> int:
        return self._inner.end_offset(topic, partition)


class SlowWriter:
    def __init__(self, inner: Writer, delay_s: float, appends: list[int]) -> None:
        self._inner = inner
        self._delay_s = delay_s
        self._appends = appends

    def append(self, entries: Sequence[Entry]) -> int:
        time.sleep(self._delay_s)
        self._appends.append(len(entries))
        return self._inner.append(entries)

    def close(self) -> None:
        self._inner.close()


def post_many(one: Running, posts: int, at_once: int) -> list[str]:
    """Posts of one record each, from many clients; returns the errors of those that were refused."""

    def post(numbers: range) -> list[str]:
        refused: list[str] = []
        with connect(one.url, TOKEN) as client:
            for number in numbers:
                try:
                    post_records(client, [record(number)])
                except Busy as error:
                    refused.append(str(error))
        return refused

    with ThreadPoolExecutor(at_once) as pool:
        return [
            words for refused in pool.map(post, [range(first, posts, at_once) for first in range(at_once)]) for words in refused
        ]


def test_posts_that_come_while_the_disk_is_busy_share_the_next_fsync(start_collector: Start, tmp_path: Path) -> None:
    slow = SlowJournal(open_journal(f"files://{tmp_path}/journal"), 0.1)
    one = start_collector(journal=slow, tick_s=60)
    slow.appends.clear()
    assert post_many(one, posts=40, at_once=20) == []
    assert sum(slow.appends) == 40 and len(slow.appends) <= 20  # each post apart would be 40
    assert sorted(json.loads(value)["seq"] for value in one.records()) == list(range(40))


def test_more_than_the_disk_takes_is_answered_busy(start_collector: Start, tmp_path: Path) -> None:
    slow = SlowJournal(open_journal(f"files://{tmp_path}/journal"), 0.3)
    one = start_collector(journal=slow, tick_s=60, limits=Limits(queue_bytes=300))
    refused = post_many(one, posts=12, at_once=12)
    assert refused and all("busy" in words for words in refused)
    assert len(one.records()) == 12 - len(refused)


# --- the journal away -----------------------------------------------------------------------------------------------------------


def hold(journal: Journal) -> list[Writer]:
    """Locks every partition, so that the journal is away."""
    return [journal.writer("calls", partition) for partition in range(4)]


def test_while_the_journal_is_away_records_are_spooled_and_caught_up_in_order(start_collector: Start, tmp_path: Path) -> None:
    journal = open_journal(f"files://{tmp_path}/journal")
    create_topics(journal)
    held = hold(journal)
    one = start_collector(journal=journal, tick_s=0.1)  # the first tick goes over the spool too
    for seq in range(100):
        post_records(one.client, [record(seq, f"account{seq % 7}")])
    health = one.health()
    assert health["spooling"] and health["waiting"] >= 100 and "has a writer already" in health["why"]
    assert one.records() == []
    for writer in held:
        writer.close()
    for seq in range(100, 150):
        post_records(one.client, [record(seq, f"account{seq % 7}")])
    until(lambda: not one.health()["spooling"])
    for partition in range(4):
        messages = read_all(journal, partition)
        assert messages[0].key == TICK_KEY
        seqs = [json.loads(m.value)["seq"] for m in messages if m.key != TICK_KEY]
        assert seqs == sorted(set(seqs))
        times = [msgspec.json.decode(m.value, type=Tick).at_ms for m in messages if m.key == TICK_KEY]
        assert times == sorted(times) and len(times) > 1
    assert sorted(json.loads(value)["seq"] for value in one.records()) == list(range(150))
    assert one.health()["spool_bytes"] == 0


def test_at_the_spools_limit_a_post_is_refused_and_nothing_is_lost(start_collector: Start, tmp_path: Path) -> None:
    journal = open_journal(f"files://{tmp_path}/journal")
    create_topics(journal)
    held = hold(journal)
    one = start_collector(journal=journal, tick_s=60, limits=Limits(spool_bytes=20_000))
    accepted = 0
    while one.health()["spool_bytes"] < 19_800:
        accepted += post_records(one.client, [record(accepted)])
    with pytest.raises(Busy, match=r"503: full: calls/\d: the journal is away \(.*\) and the spool is at its limit"):
        post_records(one.client, [record(accepted)] * 3)
    assert accepted > 50
    for writer in held:
        writer.close()
    until(lambda: not one.health()["spooling"])
    accepted += post_records(one.client, [record(accepted)])
    assert [json.loads(value)["seq"] for value in one.records()] == list(range(accepted))


def test_spooled_records_outlive_the_collector(start_collector: Start, tmp_path: Path) -> None:
    journal = open_journal(f"files://{tmp_path}/journal")
    create_topics(journal)
    held = hold(journal)
    first = start_collector(journal=journal)
    post_records(first.client, [record(seq) for seq in range(20)])
    first.stop()
    second = start_collector(journal=journal)
    post_records(second.client, [record(20)])
    for writer in held:
        writer.close()
    until(lambda: not second.health()["spooling"])
    assert [json.loads(value)["seq"] for value in second.records()] == list(range(21))


def test_a_full_disk_of_the_journal_is_spooled_over(start_collector: Start, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        ballast = disk / "ballast"
        one = start_collector(journal_home=disk / "journal", tick_s=60)
        ballast.write_bytes(bytes(1 << 20))
        for seq in range(300):
            assert post_records(one.client, [record(seq, user_agent="x" * 2000) for _ in range(3)]) == 3
        assert one.health()["spooling"] and "no room" in one.health()["why"]
        ballast.unlink()
        until(lambda: not one.health()["spooling"] or "no room" in one.health()["why"])
        subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True)
        until(lambda: not one.health()["spooling"])
        assert [json.loads(value)["seq"] for value in one.records()] == [n // 3 for n in range(900)]
        one.stop()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_spool_that_another_collector_holds_is_refused_at_start(start_collector: Start, tmp_path: Path) -> None:
    one = start_collector()
    with pytest.raises(Locked, match="spool/0 has a writer already"):
        serve(journal=one.journal, spool=tmp_path / "spool", find_credential=find_credential, config_version=lambda: 1)


def test_a_bug_ends_the_collector_and_acknowledges_nothing(
    start_collector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start_collector()

    def broken(self: Committer, group: object) -> None:
        raise ZeroDivisionError("a bug")

    faults: list[str] = []
    monkeypatch.setattr("threading.excepthook", lambda about: faults.append(str(about.exc_value)))
    monkeypatch.setattr(Committer, "_commit", broken)
    with pytest.raises((Busy, Away)):
        post_records(one.client, [record(1)])
    until(lambda: faults)
    assert faults == ["the collector stopped: ZeroDivisionError: a bug"]
    assert one.records() == []


def test_an_acknowledged_record_outlives_a_kill_also_while_it_is_spooled(collector_process: CollectorProcess) -> None:
    journal = open_journal(f"files://{collector_process.home}/journal")
    create_topics(journal)
    held = hold(journal)
    collector_process.start()
    with connect(collector_process.url, TOKEN) as client:
        until(lambda: client.get("/v1/health").json()["ready"])
        for seq in range(50):
            post_records(client, [record(seq)])
    collector_process.kill()
    for writer in held:
        writer.close()
    collector_process.start()
    partition = partition_for(b"t1\x1facme", 4)

    def seqs() -> list[int]:
        return [json.loads(m.value)["seq"] for m in read_all(journal, partition) if m.key != TICK_KEY]

    until(lambda: len(seqs()) == 50)
    assert seqs() == list(range(50))
