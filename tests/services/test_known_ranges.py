"""Lists of known fraud ranges: what is read, what is left out, what is refused whole, and what a person's judgement adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from books import Connection, alerts, configs, orders
from core.decide import Decision
from core.orders import BlockOrder, Finding, Key
from services import blocks, known_ranges, publishing, verdicts
from services.errors import BadArgument, UnknownName

NOW = 1_795_910_400_000  # 2026-11-29
DAY = 86_400_000


def read(text: str | bytes) -> known_ranges.Read:
    return known_ranges.read(text.encode() if isinstance(text, str) else text, "t1", "upload", "2026-11-28", NOW)


@pytest.mark.parametrize(
    ("line", "ranges", "day", "source"),
    [
        ("+8821312,,2026-11-01,i3Forum", ["8821312"], "2026-11-01", "i3Forum"),
        ("37190012345,,01.11.2026,", ["37190012345"], "2026-11-01", "upload"),
        ("00371 9001-2345,,20261101,GSMA", ["37190012345"], "2026-11-01", "GSMA"),
        ("252612340,252612349,,", ["25261234"], "2026-11-28", "upload"),
        ("2526123400-2526123499,,,", ["25261234"], "2026-11-28", "upload"),
        ("252612xxxx,,,", ["252612"], "2026-11-28", "upload"),
        ('"8821312",,2026-11-01,"A, B"', ["8821312"], "2026-11-01", "A, B"),
    ],
)
def test_a_line_gives_ranges(line: str, ranges: list[str], day: str, source: str):
    found = read(f"prefix,to,date,source\n{line}\n")
    assert ([one.b_range for one in found.ranges], found.bad) == (ranges, 0)
    assert {(one.day, one.source) for one in found.ranges} == {(day, source)}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0664123456,,,", "means no range"),
        ("+8821,,,", "most of a country"),
        ("8821300,8821200,,", "is no range"),
        ("88213000,8821399,,", "is no range"),
        ("8821312,,03/04/2026,", "no date such as"),
        ("8821312,,2027-01-01,", "in the future"),
        ('"8821312,,,', "a quote is opened"),
        (",,,", "means no range"),
        ("=HYPERLINK(1),,,", "means no range"),
    ],
)
def test_a_broken_line_is_named_and_left_out(line: str, why: str):
    found = read(f"prefix,to,date,source\n+8821399,,,\n{line}\n")
    assert [one.b_range for one in found.ranges] == ["8821399"]
    assert found.findings[0].line == 3 and why in found.findings[0].why


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"), (b"\x00\x01\x02", "no column"), (b"name,city\nx,y\n", "no column is named"),
        (b"prefix\n8821312\nx\ny\n", "2 of 3 lines cannot be read. line 3"), (b"prefix\n", "0 of 0 lines"),
    ],
)  # fmt: skip
def test_another_file_is_refused_whole(conn: Connection, tmp_path: Path, content: bytes, why: str):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(BadArgument, match=why):
        known_ranges.import_file(conn, tmp_path / "list.csv", "t1", "", "ops", "monthly", NOW)
    assert configs.latest(conn) == 0


def test_the_same_list_again_changes_nothing_and_a_newer_date_counts(conn: Connection, tmp_path: Path):
    def take(*lines: str) -> tuple[int, int, int]:
        (tmp_path / "list.csv").write_text("\n".join(["range;date", *lines]))
        done = known_ranges.import_file(conn, tmp_path / "list.csv", "t1", "gsma", "ops", "monthly", NOW)
        return done.put, done.kept, configs.latest(conn)

    assert take("8821312;2026-06-01", "37190012;2026-11-01") == (2, 0, 1)
    assert take("8821312;2026-06-01", "37190012;2026-11-01") == (0, 2, 1)
    assert take("8821312;2026-11-20", "37190012;2026-05-01") == (1, 1, 2)
    found = {one.range.b_range: one for one in known_ranges.every(conn, "t1", NOW)}
    assert found["8821312"].range.day == "2026-11-20" and found["37190012"].range.day == "2026-11-01"
    assert found["8821312"].points > found["37190012"].points


def test_a_file_of_the_config_keeps_the_known_ranges(conn: Connection, tmp_path: Path):
    known_ranges.confirm(conn, "t1", "8821312", "ann", "case 17", NOW)
    (tmp_path / "config.yaml").write_text("tenant: t1\naccounts:\n- name: acme\n")
    publishing.publish(conn, publishing.check(tmp_path / "config.yaml", conn), "ops", "w", NOW)
    assert [one.range.b_range for one in known_ranges.every(conn, "t1", NOW)] == ["8821312"]
    assert "known_ranges" not in publishing.as_file(conn, configs.latest(conn))
    known_ranges.forget(conn, "t1", "8821312", "ann", "it went back", NOW)
    assert known_ranges.every(conn, "t1", NOW) == []
    with pytest.raises(UnknownName):
        known_ranges.forget(conn, "t1", "8821312", "ann", "again", NOW)


def waiting(conn: Connection, b_range: str) -> str:
    key = Key(tenant="t1", account="acme", b_range=b_range)
    times = {"created_at_ms": NOW, "learned_ms": NOW, "expires_at_ms": NOW + DAY}
    order = BlockOrder(order_id="o1", key=key, action="refuse", finding_id="f", reason="r", **times)
    orders.write(conn, order, Decision("waiting", "a limit", False, NOW + DAY), NOW, automatic=True)
    return "o1"


def test_a_block_that_a_person_approves_makes_its_range_hot_and_lifting_it_cools_it(conn: Connection):
    blocks.approve(conn, waiting(conn, "8821312"), "ann", "an attack", NOW)
    (one,) = known_ranges.every(conn, "t1", NOW)
    assert (one.range.kind, one.range.source, one.points) == ("confirmed", "confirmed by ann", 4.0)
    assert known_ranges.every(conn, "t1", NOW + 30 * DAY)[0].points == pytest.approx(2.0, abs=0.1)
    blocks.unblock(conn, Key(tenant="t1", account="acme", b_range="8821312"), "ann", "it was theirs", NOW)
    assert known_ranges.every(conn, "t1", NOW) == []


def test_a_verdict_of_fraud_makes_the_range_of_an_alert_hot_and_one_of_no_fraud_cools_it(conn: Connection):
    finding = Finding(
        finding_id="f1", tenant="t1", detector="irsf_range", subject_kind="account_range", subject="acme>8821312", detected_at_ms=NOW, first_ms=NOW,
        last_ms=NOW, calls=4, exposure_nanos=0, currency="EUR", score=2.0, reason="calls", example_call_ids=[],
        key=Key(tenant="t1", account="acme", b_range="8821312"),
    )  # fmt: skip
    alerts.upsert(conn, finding, NOW)
    verdicts.give(conn, "f1", "fraud", "ann", "case 17", NOW)
    assert [one.range.b_range for one in known_ranges.every(conn, "t1", NOW)] == ["8821312"]
    verdicts.give(conn, "f1", "not fraud", "bob", "their campaign", NOW)
    assert known_ranges.every(conn, "t1", NOW) == []


@pytest.mark.parametrize("act", [blocks.deny, lambda *given: blocks.approve(*given)])
def test_a_denied_order_or_one_without_a_narrow_range_makes_nothing_hot(conn: Connection, act):
    act(conn, waiting(conn, "882" if act is not blocks.deny else "8821312"), "ann", "w", NOW)
    assert known_ranges.every(conn, "t1", NOW) == []

