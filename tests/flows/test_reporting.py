"""What judge and store report: each batch once, when its effects are durable."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from core.message import Message
from core.record import TICK_KEY
from core.topics import CALLS, FINDINGS, JUDGED
from flows import judge, store
from flows.batches import from_value
from flows.judge import Copied, JudgeProgress, Written
from flows.store import Stored
from journal import Entry, Journal, create_topics, open_journal
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck
from simulator.day import day
from simulator.log import messages
from simulator.world import make_world

PARTITIONS, SEED = 3, 3


def traffic() -> list[Message]:
    """Some minutes of a busy hour with an attack."""
    records = day(SEED, hours=0.2, calls_per_s=0.8, attack=True, world=make_world(SEED))[0]
    return list(messages(records, "demo", partitions=PARTITIONS))


def contracts(version: int) -> Terms:
    place = make_world(SEED)
    decks = {name: read_deck(content, name, place.currency) for name, content in place.decks.items()}
    return compile_contracts(msgspec.structs.replace(place.config, version=version), decks)


def journal_of(home: Path, log: list[Message]) -> Journal:
    journal = open_journal(f"files://{home}/journal")
    create_topics(journal, PARTITIONS)
    for partition in range(PARTITIONS):
        writer = journal.writer(CALLS, partition)
        entries = [Entry(m.key, m.value, m.learned_ms) for m in log if m.partition == partition]
        for start in range(0, len(entries), 200):
            writer.append(entries[start : start + 200])
        writer.close()
    return journal


def test_judge_and_store_tell_of_every_record_once(tmp_path: Path):
    log = traffic()
    journal, told = journal_of(tmp_path, log), []
    ends_when_told = []

    def report(value: object) -> None:
        told.append(value)
        ends_when_told.append(sum(journal.end_offset(JUDGED, partition) for partition in range(PARTITIONS)))

    settings = judge.Settings(tuple(range(PARTITIONS)), tmp_path / "judge.state", b"s" * 16, snapshot_ms=1, until_idle=True)
    judge.run(journal, cache(contracts), settings, report)
    batches = [value for value in told if isinstance(value, Written)]
    assert [seen for value, seen in zip(told, ends_when_told, strict=True) if isinstance(value, Written) and not seen] == []
    assert any(isinstance(value, Copied) and 0 <= value.seconds < 60 for value in told)
    rows = sum(batch.outcome.records.height for batch in batches)
    findings = sum(len(batch.outcome.findings) for batch in batches)
    assert rows == sum(m.key != TICK_KEY for m in log) > 500
    assert findings == sum(journal.end_offset(FINDINGS, partition) for partition in range(PARTITIONS)) > 0
    last = batches[-1].standing
    assert isinstance(last, JudgeProgress) and last.config_version == 1 and last.ticks_ms.keys() == set(range(PARTITIONS))
    assert last.in_flight >= 0

    stored: list[Stored] = []
    store.run(
        journal_dsn=f"files://{tmp_path}/journal", warehouse_dsn=f"chdb://{tmp_path}/warehouse", state_dir=tmp_path / "store",
        until_end=True, report=stored.append,  # type: ignore[arg-type]
    )  # fmt: skip
    assert sum(one.rows["records"] for one in stored) == sum(len(one.learned_ms) for one in stored) == rows
    ends = {partition: journal.end_offset(JUDGED, partition) for partition in range(PARTITIONS)}
    assert {p: n for one in stored for p, n in one.next_offset.items()} == {p: n for p, n in ends.items() if n}
    assert all(one.seconds > 0 for one in stored)
    reader = journal.reader(JUDGED, 0, 0)
    money = sum(from_value(m.value).height for m in reader.read(10_000, 1 << 30) if m.key == b"charges")
    reader.close()
    assert 0 < money <= sum(one.rows.get("charges", 0) for one in stored)
