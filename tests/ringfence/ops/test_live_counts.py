"""The counts of the status line, read only from the journal."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest

from core import schemas, topics
from core.orders import BlockOrder, Finding, Key
from core.record import TICK_KEY, Tick
from flows.batches import to_values
from journal import Entry, Journal, create_topics, open_journal
from ringfence.ops.live_counts import LiveCounts

KEY = Key(tenant="t1", account="acme", b_range="88213")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = open_journal(f"files://{tmp_path}/journal")
    create_topics(made)
    return made


def write(journal: Journal, topic: str, partition: int, *entries: tuple[bytes, bytes]) -> None:
    writer = journal.writer(topic, partition)
    writer.append([Entry(key, value, 1_000) for key, value in entries])
    writer.close()


def frame(schema: pl.Schema, *rows: dict[str, object]) -> bytes:
    empty = {name: "" if dtype == pl.String else 0 if dtype.is_integer() else None for name, dtype in schema.items()}
    return to_values(pl.DataFrame([{**empty, **row} for row in rows], schema=schema))[0]


def records(*rows: dict[str, object]) -> tuple[bytes, bytes]:
    return b"records", frame(schemas.JUDGED, *rows)


def test_records_active_calls_and_money_are_counted(journal: Journal):
    counts = LiveCounts(journal)
    write(
        journal,
        topics.JUDGED,
        1,
        records(
            {"offset": 1, "event": "answer", "disposition": "event", "call_key": "a"},
            {"offset": 2, "event": "answer", "disposition": "event", "call_key": "b"},
            {"offset": 3, "event": "stop", "disposition": "rated", "call_key": "a"},
            {"offset": 4, "event": "refused", "disposition": "event", "call_key": "c"},
        ),
        (
            b"charges",
            frame(schemas.CHARGES, {"role": "sell", "nanos": 5_000_000_000, "currency": "EUR", "revision": 1, "call_key": "a"}),
        ),
    )
    counts.read(10_000)
    assert (counts.received, counts.active_calls, counts.refused) == (4, 1, 1)
    assert counts.rates(15_000) == (0.8, {"EUR": 1_000_000_000.0})


def test_a_correction_is_no_new_sale(journal: Journal):
    counts = LiveCounts(journal)
    one = {"role": "sell", "nanos": 5, "currency": "EUR", "call_key": "a"}
    write(journal, topics.JUDGED, 0, (b"charges", frame(schemas.CHARGES, {**one, "revision": 1}, {**one, "revision": 2})))
    counts.read(0)
    assert counts.rates(1_000)[1] == {"EUR": 5.0}


def test_lag_counts_records_without_ticks(journal: Journal):
    counts = LiveCounts(journal)
    tick = (TICK_KEY, msgspec.json.encode(Tick(at_ms=1, config_version=1)))
    write(journal, topics.CALLS, 0, tick, tick, (b"t1\x1facme", b"{}"), tick, (b"t1\x1facme", b"{}"))
    assert counts.lag() == 2
    write(journal, topics.JUDGED, 0, records({"offset": 2, "disposition": "reject"}, {"offset": 4, "disposition": "reject"}))
    counts.read(0)
    assert counts.lag() == 0
    write(journal, topics.CALLS, 0, *[tick] * 300)
    counts.lag()
    assert counts.lag() == 0


def test_a_record_that_is_judged_again_is_counted_once(journal: Journal):
    """After a crash or a full disk, judge repeats what came since its snapshot: the same offsets in other frames."""
    write(journal, topics.CALLS, 0, *[(b"t1\x1facme", b"{}")] * 3)
    counts = LiveCounts(journal)
    counts.earlier["rated"] = 3
    write(journal, topics.CALLS, 0, *[(b"t1\x1facme", b"{}")] * 5)
    rated = [{"offset": n, "event": "stop", "disposition": "rated", "call_key": str(n)} for n in range(8)]
    for cut in (rated[:5], rated[2:4], rated[:7], rated[4:], rated, rated[7:] + rated[7:]):
        write(journal, topics.JUDGED, 0, records(*cut))
        counts.read(0)
    assert counts.dispositions == {"rated": 5}, "offsets 3 to 7, once each"
    assert (counts.received, counts.total("rated"), counts.total("reject")) == (8, 8, 0)
    assert counts.lag() == 0


def test_an_alert_and_a_block_are_new_once(journal: Journal):
    counts = LiveCounts(journal)
    finding = Finding(
        finding_id="f1",
        tenant="t1",
        detector="burst",
        subject_kind="account",
        subject="acme",
        detected_at_ms=1,
        first_ms=1,
        last_ms=1,
        calls=3,
        exposure_nanos=1,
        currency="EUR",
        score=1.5,
        reason="r",
        example_call_ids=[],
    )
    order = BlockOrder(
        order_id="o1",
        key=KEY,
        action="refuse",
        created_at_ms=1,
        learned_ms=1,
        expires_at_ms=3_600_001,
        finding_id="f1",
        reason="r",
    )
    for number in range(2):
        write(journal, topics.FINDINGS, 0, (b"acme", msgspec.json.encode(finding)))
        again = msgspec.structs.replace(order, order_id=f"o{number}")
        write(journal, topics.BLOCK_ORDERS, 0, (KEY.text().encode(), msgspec.json.encode(again)))
        counts.read(number)
        assert [len(counts.alerts), len(counts.orders)] == ([1, 1] if number == 0 else [0, 0])
