"""`ringfence retention` and `ringfence journal`, as a person at the keyboard uses them."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from books import audit, open_books, reading, writing
from core.topics import CALLS, JUDGED, TOPICS
from flows import store
from flows.missed import TRIMMED, Missed, MissedError, file_of, note
from flows.snapshot import SnapshotError
from journal import Entry, Limits, open_journal
from journal.files import FileJournal
from journal.repair import losses
from ringfence.cli import app
from ringfence.ops import faults
from ringfence.settings import Settings
from services import first_start, retention
from switches.spool import TOPIC as SPOOL
from warehouse import kept_days, open_warehouse

SMALL = Limits(segment_bytes=4096, retention_ms=None)
DAY_NS = 86_400 * 10**9


@pytest.fixture
def settings(tmp_path: Path, new_warehouse) -> Settings:
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT", partitions=2)
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), time.time_ns() // 1_000_000)
    new_warehouse(settings.root / "warehouse")
    return settings


def run(settings: Settings, *arguments: str, code: int = 0, answer: str = "") -> str:
    env = {"RINGFENCE_PARTITIONS": "2"}
    result = CliRunner().invoke(app, [*arguments, "--home", str(settings.home)], input=answer, env=env)
    assert result.exit_code == code, result.output
    return result.output


def fill(settings: Settings, topic: str = CALLS, partition: int = 0, home: Path | None = None) -> Path:
    """Twenty entries in seven segments; the partition's directory."""
    home = home or settings.root / "journal"
    writer = FileJournal(home, SMALL).writer(topic, partition)
    for _ in range(20):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    writer.close()
    return home / topic / str(partition)


def age(part: Path, days: float, segments: slice) -> None:
    for path in sorted(part.glob("*.log"))[segments]:
        os.utime(path, ns=(time.time_ns() - round(days * DAY_NS),) * 2)


def damage(part: Path, which: int = 1) -> Path:
    path = sorted(part.glob("*.log"))[which]
    content = bytearray(path.read_bytes())
    content[500] ^= 4
    path.write_bytes(content)
    return path


# --- retention -------------------------------------------------------------------------------------------------------------------


def test_retention_lists_stores_sizes_rules_and_readers(settings: Settings) -> None:
    fill(settings)
    journal = open_journal(settings.journal_dsn)
    journal.mark_read(CALLS, 0, "judge", 7)
    journal.mark_read(CALLS, 1, "judge", 0)
    found = {(one["where"], one["what"]): one for one in json.loads(run(settings, "retention", "--json"))["kept"]}
    assert {("journal", topic) for topic in TOPICS} <= found.keys()
    calls = found["journal", CALLS]
    assert calls["readers"] == {"judge": 13} and calls["size_bytes"] > 20_000 and calls["rule"] == "7 days" and calls["since_ms"]
    assert found["warehouse", "records"]["rule"] == "400 days" and found["warehouse", "charges"]["rule"] == "for ever"
    assert found["books", "audit"]["rule"] == "for ever, unless a person removes it" and found["books", "books.db"]["size_bytes"] > 0
    assert {("spool", "collector"), ("spool", "switch"), ("state", "snapshots"), ("logs", "run")} <= found.keys()
    printed = run(settings, "retention")
    assert "judge 13" in printed and "GB are free at" in printed


def test_apply_removes_what_is_old_and_read_beside_a_writer(settings: Settings) -> None:
    part = fill(settings)
    age(part, 9, slice(0, 5))
    age(part, 0.5, slice(5, None))
    journal = open_journal(settings.journal_dsn)
    journal.mark_read(CALLS, 0, "judge", 7)
    writer = journal.writer(CALLS, 0)  # takes what it can by itself: to 6
    first = journal.first_offset(CALLS, 0)
    assert first == 6
    journal.mark_read(CALLS, 0, "judge", 13)
    assert "journal: calls/0: offsets 6 to 11" in run(settings, "retention", "apply")
    assert journal.first_offset(CALLS, 0) == 12
    assert "No data has expired." in run(settings, "retention", "apply")
    assert writer.append([Entry(b"k", b"next", 1)]) == 20
    writer.close()


def test_a_person_can_forget_a_reader(settings: Settings) -> None:
    part = fill(settings)
    age(part, 9, slice(0, 5))
    age(part, 0.5, slice(5, None))
    journal = open_journal(settings.journal_dsn)
    journal.mark_read(CALLS, 0, "judge", 20)
    journal.mark_read(CALLS, 0, "old-copy", 0)
    assert "No data has expired." in run(settings, "retention", "apply")
    assert "Stop waiting for old-copy?" in run(settings, "retention", "apply", "--forget", "old-copy", code=1, answer="n\n")
    assert journal.readers(CALLS, 0) == {"judge": 20, "old-copy": 0}
    assert "offsets 0 to 14" in run(settings, "retention", "apply", "--forget", "old-copy", "--yes")
    assert journal.readers(CALLS, 0) == {"judge": 20}
    assert "no topic has a reader 'old-copy'" in run(settings, "retention", "apply", "--forget", "old-copy", "--yes", code=1)


def test_only_a_person_removes_lines_of_the_audit(settings: Settings) -> None:
    engine = open_books(settings.books_dsn)
    with writing(engine) as conn:
        audit.note(conn, "ann", "blocked", "acme", "", 1)
    run(settings, "retention", "apply")
    assert "older than 800 days, permanently?" in run(settings, "retention", "apply", "--audit-days", "800", code=1, answer="n\n")
    with reading(engine) as conn:
        assert "acme" in [entry.subject for entry in audit.last(conn)]
    assert "books: audit: 1 rows" in run(settings, "retention", "apply", "--audit-days", "800", "--yes", "--who", "ann")
    with reading(engine) as conn:
        assert "acme" not in [entry.subject for entry in audit.last(conn)] and audit.last(conn)[0].verb == "removed"
    engine.dispose()


def test_a_store_that_holds_the_warehouse_is_asked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOOK_S", 0.05)
    client = open_warehouse(settings.warehouse_dsn)
    stop = threading.Event()
    keeper = threading.Thread(
        target=store._keep_house,
        args=(settings.warehouse_dsn, store.Pace(), stop, settings.state_dir, {"attempts": 9, "calls": 0, "charges": 0, "records": 9}),
    )
    keeper.start()
    try:
        assert retention._ask_store(settings.state_dir / store.WANTED, settings.state_dir / store.APPLIED) == []
        assert kept_days(client) == {"attempts": 9, "calls": 0, "charges": 0, "records": 9}
    finally:
        stop.set()
        keeper.join()
        client.close()
    assert not list(settings.state_dir.glob("retention.*"))


def test_a_store_that_does_not_answer_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ANSWER_S", 0.3)
    with pytest.raises(retention.NotApplied, match="has not answered in"):
        retention._ask_store(settings.state_dir / store.WANTED, settings.state_dir / store.APPLIED)
    assert not (settings.state_dir / store.WANTED).exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JOURNAL_DAYS", "-1"),
        ("JOURNAL_DAYS", "seven"),
        ("JOURNAL_PARTITION_GB", "-0.1"),
        ("JOURNAL_UNREAD", "lose"),
        ("RECORDS_DAYS", "1.5"),
        ("ALERTS_DAYS", "1e9"),
    ],
)
def test_an_impossible_setting_is_an_error_with_its_name(settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"RINGFENCE_{variable}", value)
    assert f"RINGFENCE_{variable}:" in run(settings, "retention", code=1)


@pytest.mark.parametrize("arguments", [("retention",), ("retention", "apply"), ("journal", "check"), ("journal", "repair", "--yes")], ids=" ".join)
def test_a_directory_that_is_no_home_is_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    printed = run(Settings(home=tmp_path / "nothing"), *arguments, code=1)
    assert "name the --home." in printed and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("error", [SnapshotError("judge.state cannot be read"), MissedError("judge.missed.json cannot be read")], ids=type)
def test_a_part_that_cannot_read_its_own_state_ends_with_one_line(settings: Settings, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, faults.explained(settings):
        raise error
    assert ended.value.exit_code == 1 and capsys.readouterr().err.strip() == str(error)


# --- journal ---------------------------------------------------------------------------------------------------------------------


def test_a_whole_journal_is_reported_as_such(settings: Settings) -> None:
    fill(settings)
    assert "The journal is not damaged." in run(settings, "journal", "check")
    assert "nothing was changed" in run(settings, "journal", "repair", "--yes")


def test_damage_is_reported_given_up_by_a_person_and_shown(settings: Settings) -> None:
    path = damage(fill(settings))
    base = int(path.name[:20])
    printed = run(settings, "journal", "check", code=1)
    assert f"calls/0: offset {base} cannot be read: {path} at byte 0 (" in printed and "a checksum is wrong" in printed
    before = path.read_bytes()
    assert "Give up the records above?" in run(settings, "journal", "repair", code=1, answer="n\n")
    assert path.read_bytes() == before, "nothing is changed without a word"
    assert "ringfence journal repair" in run(settings, "backup", "--out", str(settings.root.parent / "b1"), code=1)

    printed = run(settings, "journal", "repair", "--yes", "--who", "ann")
    assert f"lost: calls/0: offset {base} (1 entry)" in printed and "calls/0 is repaired." in printed
    (loss,) = losses(settings.root / "journal")
    assert loss.noted and Path(loss.kept).exists()
    engine = open_books(settings.books_dsn)
    with reading(engine) as conn:
        (entry,) = audit.last(conn, verb="journal repair")
    engine.dispose()
    assert (entry.who, entry.subject) == ("ann", "calls/0") and entry.why == loss.line()
    assert f"a repair gave up calls/0: offset {base}" in run(settings, "status").replace("\n", " ")
    assert json.loads(run(settings, "status", "--json"))["gaps"] == [f"a repair gave up {loss.line()}"]
    run(settings, "backup", "--out", str(settings.root.parent / "b2"))


def test_a_running_writer_is_an_error_and_nothing_is_changed(settings: Settings) -> None:
    path = damage(fill(settings))
    before = path.read_bytes()
    writer = FileJournal(settings.root / "journal", SMALL).writer(CALLS, 0)
    printed = run(settings, "journal", "repair", "--yes", code=1)
    writer.close()
    assert "calls/0 has a writer already: process" in printed and "stop it first; nothing of calls/0 was changed" in printed
    assert path.read_bytes() == before


def test_the_collectors_spool_is_looked_at_too(settings: Settings) -> None:
    spool = settings.state_dir / "collector"
    FileJournal(spool, SMALL).create(SPOOL, 1)
    path = damage(fill(settings, SPOOL, home=spool))
    assert str(path) in run(settings, "journal", "check", code=1)
    assert "spool/0 is repaired." in run(settings, "journal", "repair", "--yes")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"partitions": 2}', "null"])
def test_every_command_reports_a_garbled_topic_json(settings: Settings, content: str) -> None:
    path = settings.root / "journal" / JUDGED / "topic.json"
    path.write_text(content)
    for arguments in (("journal", "check"), ("journal", "repair", "--yes"), ("backup", "--out", str(settings.root.parent / "b"))):
        printed = run(settings, *arguments, code=1)
        assert str(path) in printed.replace("\n", "") and '{"format": 2, "partitions": 2}' in printed
    assert "does not hold the number of partitions" in json.dumps(json.loads(run(settings, "retention", "--json")))


def test_a_loss_of_an_interrupted_repair_is_written_into_the_audit_later(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(fill(settings))
    monkeypatch.setattr("services.journal_care.audit_losses", lambda *_: [])
    run(settings, "journal", "repair", "--yes")
    monkeypatch.undo()
    assert [loss.noted for loss in losses(settings.root / "journal")] == [False]
    run(settings, "journal", "repair", "--yes")
    assert [loss.noted for loss in losses(settings.root / "journal")] == [True]


def test_status_shows_what_a_reader_missed(settings: Settings) -> None:
    gap = Missed(reader="judge", topic=CALLS, partition=0, first=12, last=40, why=TRIMMED, at_ms=1)
    note(file_of(settings.installation.judge_state(1)), gap)
    printed = run(settings, "status")
    assert "judge has not read offsets 12 to 40 of calls/0 (29): removed from the journal before they were read" in printed.replace("\n", " ")
    assert json.loads(run(settings, "status", "--json"))["gaps"] == [gap.line()]
