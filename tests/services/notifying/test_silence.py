"""What is taken for silence, from the journal, the parts and the switches; and that one silence is one event."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from books import deliveries, migrate, open_books, switches, tenants, writing
from core.record import TICK_KEY, Tick
from core.topics import CALLS
from journal import Entry, JournalError, open_journal
from services.notifying.silence import JournalEnd, Watch, journal_end, of_switches
from services.part_health import Part

NOW = 1_795_910_400_000
MIN = 60_000


def tick(at_ms: int, **complete_to_ms: int) -> Tick:
    return Tick(at_ms=at_ms, config_version=1, complete_to_ms=complete_to_ms)


@pytest.mark.parametrize(
    ("what", "last", "silences"),
    [
        ("all is well", JournalEnd(tick(NOW - 5_000, k1=NOW - 6_000), NOW - 10_000), []),
        ("no tick for two minutes", JournalEnd(tick(NOW - 2 * MIN, k1=NOW - 20 * MIN), NOW - 20 * MIN), ["ticks"]),
        ("no tick ever", JournalEnd(None, 0), ["ticks"]),
        ("a switch is behind", JournalEnd(tick(NOW, k1=NOW - 6 * MIN, k2=NOW), NOW), ["records of k1"]),
        ("no calls for an hour", JournalEnd(tick(NOW, k1=NOW), NOW - 61 * MIN), ["records"]),
        ("no call ever: a new installation", JournalEnd(tick(NOW, k1=NOW), 0), []),
    ],
)
def test_what_is_silence(what: str, last: JournalEnd, silences: list[str]):
    watch = Watch(60 * MIN, NOW - 120 * MIN)
    assert [one.what for one in watch.of_journal(lambda: last, NOW)] == silences, what


def test_a_journal_that_cannot_be_read_is_silence():
    def ask() -> JournalEnd:
        raise JournalError("no such directory")

    assert [one.what for one in Watch(0, 0).of_journal(ask, NOW)] == ["journal"]


def test_one_silence_is_one_event_and_the_next_is_another():
    watch = Watch(0, 0)
    dead = {"judge": Part("judge", False, False, "it is not running")}

    def events(at_ms: int, parts: dict[str, Part]) -> list[tuple[str, int]]:
        return [(one.about, one.at_ms) for one in watch.events(watch.of_parts(parts, at_ms), at_ms)]

    assert events(NOW, dead) == []
    first = events(NOW + MIN, dead)
    assert first == [(f"silent/part judge/{NOW}", NOW + MIN)] and events(NOW + 2 * MIN, dead) == first
    assert events(NOW + 3 * MIN, {"judge": Part("judge", True, True)}) == []
    events(NOW + 4 * MIN, dead)
    assert events(NOW + 5 * MIN, dead)[0][0] != first[0][0]


def test_the_end_of_the_journal_is_heard(tmp_path: Path):
    journal = open_journal(f"files://{tmp_path}/journal")
    journal.create(CALLS, 2)
    assert journal_end(journal) == JournalEnd(None, 0)
    writer = journal.writer(CALLS, 1)
    ticks = [Entry(TICK_KEY, msgspec.json.encode(tick(NOW + at, k1=NOW)), NOW + at) for at in (0, 5_000)]
    writer.append([Entry(b"t1\x1facme", b"{}", NOW - MIN), *ticks])
    writer.append([Entry(b"t1\x1facme", b"{}", NOW + 6_000)] * 600)  # more than the first look back
    writer.close()
    assert journal_end(journal) == JournalEnd(tick(NOW + 5_000, k1=NOW), NOW + 6_000)


def test_a_switch_that_acknowledges_nothing_is_silence_and_a_held_one_is_not(tmp_path: Path):
    engine = open_books(f"{tmp_path}/books.db")
    migrate(engine)
    with writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
        switches.add(conn, "k1", "loopback", "http://127.0.0.1:1", "token", NOW)
        deliveries.want(conn, "k1", deliveries.PROTECTED, {"112": "emergency"}, NOW)
        assert list(of_switches(conn, NOW + 30_000)) == []
        (one,) = of_switches(conn, NOW + 2 * MIN)
        assert one.what == "switch k1" and "1 changes" in one.text
        switches.set_state(conn, "k1", seen_ms=NOW + 2 * MIN - 1_000)
        assert list(of_switches(conn, NOW + 2 * MIN)) == [], "it answers: a large table is on its way"
        switches.set_state(conn, "k1", seen_ms=0)
        switches.hold(conn, "k1", "ann", "w", NOW)
        assert list(of_switches(conn, NOW + 2 * MIN)) == []
    engine.dispose()
