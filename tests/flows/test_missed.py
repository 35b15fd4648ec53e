"""What a flow could not read is written down, shown, and passed over by name; and the house comes back by itself."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import msgspec
import pytest
from bytewax.errors import BytewaxRuntimeError

from core.config import Config
from core.record import TICK_KEY, Tick
from core.topics import CALLS, JUDGED, SUMS
from flows import judge, missed, store, watch
from flows.missed import NO_STATE, TRIMMED, Missed, MissedError, every, file_of
from flows.snapshot import of_judge, previous_of
from flows.step import State
from flows.store import Pace
from journal import Entry, Limits, create_topics, open_journal
from journal.repair import check, repair
from rating.contracts import compile_contracts
from services.completeness import coverage
from warehouse import ask, open_warehouse, queries

SMALL = Limits(segment_bytes=1 << 20)
NOON = 1_764_072_000_000
QUICK = Pace(full_bytes=20_000, linger_s=0.2, epoch_s=0.1, retry_s=5.0, stall_s=10.0)


class House:
    """Records that are all rejects, and the three flows that read the journal."""

    def __init__(self, home: Path) -> None:
        self.home, self.state = home, home / "state"
        self.dsn = f"files://{home}/journal"
        self.journal = open_journal(self.dsn, SMALL)
        create_topics(self.journal, 1)
        self.tick_ms = NOON

    def post(self, count: int) -> None:
        writer = self.journal.writer(CALLS, 0)
        for _ in range(count):
            self.tick_ms += 1_000
            tick = msgspec.json.encode(Tick(at_ms=self.tick_ms, config_version=0, complete_to_ms={}))
            record = b'{"no": "record", "x": "' + b"y" * 100_000 + b'"}'
            writer.append([Entry(b"t1\x1facme", record, NOON), Entry(TICK_KEY, tick, NOON)])
        writer.close()

    def judge(self) -> None:
        settings = judge.Settings((0,), self.state / "judge.state", b"s" * 16, snapshot_ms=1, until_idle=True)
        judge.run(self.journal, lambda _: compile_contracts(Config(version=0), {}), settings)

    def watch(self) -> None:
        watch.run(self.journal, lambda _: compile_contracts(Config(version=0), {}), watch.Settings(1, self.state / "watch.state", until_idle=True))

    def store(self) -> None:
        store.run(journal_dsn=self.dsn, warehouse_dsn=f"chdb://{self.home}/warehouse", state_dir=self.state / "store", pace=QUICK, until_end=True)

    def cut(self, topic: str, before: int) -> int:
        """As a person does who removes the oldest segments by hand; where the topic begins then."""
        part = self.home / "journal" / topic / "0"
        bases = sorted(int(path.name[:20]) for path in part.glob("*.log"))
        for base, following in itertools.pairwise(bases):
            if following <= before:
                (part / f"{base:020d}.log").unlink()
        return self.journal.first_offset(topic, 0)

    def said(self) -> list[tuple[str, str, int, int, str]]:
        return [(m.reader, m.topic, m.first, m.last, m.why) for m in every(self.state)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_judge_without_a_state_begins_where_the_journal_does_and_says_so(house, caplog):
    house.post(40)
    first = house.cut(CALLS, 60)
    assert first > 0
    house.judge()
    assert of_judge(house.state / "judge.state").load().calls[0].next_offset == 80
    assert house.said() == [("judge", CALLS, 0, first - 1, NO_STATE)]
    assert f"judge has not read offsets 0 to {first - 1} of calls/0" in caplog.text
    house.judge()
    assert len(house.said()) == 1, "it is said once"


def test_judge_whose_offset_is_gone_goes_on_and_names_the_gap(house):
    house.post(20)
    house.judge()
    house.post(40)
    first = house.cut(CALLS, 100)
    assert first > 40
    house.judge()
    assert house.said() == [("judge", CALLS, 40, first - 1, TRIMMED)]
    house.store()
    client = open_warehouse(f"chdb://{house.home}/warehouse")
    try:
        ends = {0: house.journal.end_offset(CALLS, 0)}
        (blind,) = coverage(house.journal, client, ends)
        (found,) = coverage(house.journal, client, ends, every(house.state))
    finally:
        client.close()
    assert (blind.lost, blind.gaps) == ([], [])
    assert (found.lost, found.gaps, found.unexplained) == ([], [(40, first - 1)], 0)
    assert found.received + found.ticks + sum(last - low + 1 for low, last in found.gaps) <= 120


@pytest.mark.parametrize("of", ["store", "watch"])
def test_store_and_watch_go_on_too(house, of):
    topic, run = {"store": (JUDGED, house.store), "watch": (SUMS, house.watch)}[of]
    part = house.home / "journal" / topic / "0"
    house.post(3)
    house.judge()
    run()
    end = house.journal.end_offset(topic, 0)
    (part / f"{end + 5:020d}.log").touch()  # a journal of which only what comes later is left
    for path in part.glob("*.log"):
        if path.name != f"{end + 5:020d}.log":
            path.unlink()
    (part / "synced").write_bytes((end + 5).to_bytes(8, "little"))
    house.post(3)
    house.judge()
    run()
    ((_, _, first, last, why),) = [one for one in house.said() if one[0] == of]
    assert (last, why) == (end + 4, TRIMMED) and first <= end
    if of == "store":
        client = open_warehouse(f"chdb://{house.home}/warehouse")
        assert ask(client, queries.totals())[0]["received"] == 6
        client.close()


def test_a_repaired_place_is_stepped_over_by_name_all_the_way_to_the_completeness_query(house):
    house.post(20)
    path = house.home / "journal" / CALLS / "0" / f"{0:020d}.log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BytewaxRuntimeError) as met:
        house.judge()
    assert "ringfence journal repair" in "".join(str(link) for link in _links(met.value))
    (damage,) = check(house.home / "journal", CALLS)
    (loss,) = repair(house.home / "journal", damage, NOON)
    house.judge()
    ((reader, topic, first, last, why),) = house.said()
    assert (reader, topic, first, last) == ("judge", CALLS, loss.first, loss.last) and why.startswith("a checksum is wrong in 0000")
    house.store()
    client = open_warehouse(f"chdb://{house.home}/warehouse")
    try:
        (found,) = coverage(house.journal, client, {0: 40})
    finally:
        client.close()
    assert (found.received, found.ticks, found.lost, found.gaps) == (19, 20, [], [(loss.first, loss.last)])


def test_readers_tell_retention_where_they_are(house):
    house.post(20)
    house.judge()
    marks = house.journal.readers(CALLS, 0)
    assert marks.keys() == {"judge"} and marks["judge"] <= of_judge(house.state / "judge.state").load().calls[0].next_offset == 40
    house.store()
    house.watch()
    assert house.journal.readers(JUDGED, 0) == {"store": 0} and house.journal.readers(SUMS, 0) == {"watch": 0}, "they have begun there"
    shutil.copy(house.state / "judge.state", house.state / "old")
    house.post(20)
    house.judge()
    assert house.journal.readers(CALLS, 0)["judge"] > 40
    shutil.copy(house.state / "old", house.state / "judge.state")
    judge.readers(house.journal, of_judge(house.state / "judge.state").load(), (0,), file_of(house.state / "judge.state"))
    assert house.journal.readers(CALLS, 0) == {"judge": 40}, "a state that was put back needs what came after it"
    previous_of(house.state / "judge.state").unlink(missing_ok=True)
    (house.state / "judge.state").unlink()
    judge.readers(house.journal, State(b"s" * 16), (0,), file_of(house.state / "judge.state"))
    assert house.journal.readers(CALLS, 0) == {"judge": 0}, "who has to read again from the beginning says so before it reads"


def test_store_tells_retention_what_its_recovery_store_has(house, monkeypatch):
    """Never more than what a start after a kill would read on from."""
    monkeypatch.setattr("flows.journal_source.MARK_S", 0.0)
    house.post(20)
    house.judge()
    house.store()
    house.post(20)
    house.judge()
    house.store()
    marked = house.journal.readers(JUDGED, 0)["store"]
    end = house.journal.end_offset(JUDGED, 0)
    began = []

    def watched(journal):
        real = journal.reader
        monkeypatch.setattr(journal, "reader", lambda topic, partition, offset: began.append(offset) or real(topic, partition, offset))
        return journal

    store.run(
        journal_dsn=house.dsn, warehouse_dsn=f"chdb://{house.home}/warehouse", state_dir=house.state / "store", pace=QUICK, until_end=True,
        watched=watched,
    )  # fmt: skip
    assert 0 <= marked <= began[0] <= end


def test_a_file_of_gaps_that_cannot_be_read_is_named(tmp_path):
    file = file_of(tmp_path / "judge.state")
    gap = Missed(reader="judge", topic=CALLS, partition=0, first=3, last=5, why=TRIMMED, at_ms=1)
    missed.note(file, gap)
    missed.note(file, gap)
    assert missed.load(file) == [gap]
    missed.note(file, Missed(reader="judge", topic=CALLS, partition=0, first=2, last=9, why=TRIMMED, at_ms=2))
    assert [(one.first, one.last) for one in missed.load(file)] == [(2, 9)], "one that has grown replaces what it was"
    for content in (b"", b"{}", b"[{}]", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(MissedError, match=r"judge\.missed\.json cannot be read .*Move it away to go on"):
            every(tmp_path)


def _links(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
