"""The metrics and readiness of each part, with reports of the real part where it can run here."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from core import schemas
from core.topics import BLOCK_ORDERS, CALLS, JUDGED
from detectors.engine import Dropped
from flows.judge import Copied, JudgeProgress, Written
from flows.step import Outcome
from flows.store import Stored
from journal import Entry, create_topics, open_journal
from ringfence.ops.telemetry import Metrics, Positions
from ringfence.ops.telemetry.collector import Collector
from ringfence.ops.telemetry.judge import MAX_LAG, Judge
from ringfence.ops.telemetry.kamailio import Answered, Kamailio
from ringfence.ops.telemetry.metrics import registry
from ringfence.ops.telemetry.shipper import Shipper
from ringfence.ops.telemetry.simulator import Simulator
from ringfence.ops.telemetry.store import Store
from switches.collector import Posted, Spooled, Ticked
from switches.shipper import Failed, Forged, Shipped


def metrics_of(part: object) -> dict[str, float]:
    """Every value of a part's counters, histograms and gauges: name{labels} -> value."""
    values: dict[str, float] = {}
    for family in part.metrics.collect():  # type: ignore[attr-defined]
        values |= {f"{s.name}{sorted(s.labels.values())}": s.value for s in family.samples}
    return values | {f"{s.metric.name}{sorted(s.labels)}": s.value for s in part.samples()}  # type: ignore[attr-defined]


@pytest.fixture
def journal_dsn(tmp_path: Path) -> str:
    dsn = f"files://{tmp_path}/journal"
    create_topics(open_journal(dsn))
    return dsn


def frame(schema: pl.Schema, rows: Iterable[dict]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)


def test_a_histogram_equals_the_one_of_the_library():
    from prometheus_client import CollectorRegistry, Histogram, generate_latest

    from ringfence.ops.telemetry.catalog import END_TO_END

    rng = random.Random(7)
    values = [rng.choice([rng.expovariate(1), *END_TO_END.buckets, -0.5, 1e6]) for _ in range(500)]
    ours, theirs = Metrics(), CollectorRegistry()
    for start in range(0, 500, 50):
        ours.observe(END_TO_END, values[start : start + 50], "judged")
    one = Histogram(END_TO_END.name, END_TO_END.help, END_TO_END.labels, buckets=END_TO_END.buckets, registry=theirs)
    for value in values:
        one.labels("judged").observe(value)
    mine = {(s.name, s.labels.get("le")): s.value for family in ours.collect() for s in family.samples}
    want = {
        (s.name, s.labels.get("le")): s.value for family in theirs.collect() for s in family.samples if "created" not in s.name
    }
    assert mine.keys() == want.keys()
    assert all(mine[key] == pytest.approx(value) for key, value in want.items())
    assert b"ringfence_end_to_end_seconds_bucket" in generate_latest(registry(ours))


def test_judge_counts_a_batch(journal_dsn: str, tmp_path: Path):
    part = Judge(journal_dsn, tmp_path / "judge.state")
    judged = frame(schemas.JUDGED, [{"disposition": d, "learned_ms": 10_000} for d in ("rated", "event", "event", "reject")])
    sale, purchase = {"role": "sell", "level": 0, "currency": "EUR"}, {"role": "buy", "level": 0, "currency": "USD", "nanos": 500_000_000}
    charges = frame(schemas.CHARGES, [
        sale | {"revision": 1, "nanos": 1_500_000_000}, purchase | {"revision": 1},
        sale | {"revision": 2, "nanos": 9_000_000_000}, purchase | {"revision": 2},
        sale | {"revision": 1, "nanos": 1_300_000_000, "level": 1},
        {"role": "sell", "level": 0, "revision": 1, "currency": "", "nanos": 0},
    ])  # fmt: skip
    calls, attempts = schemas.empty(schemas.CALLS), schemas.empty(schemas.ATTEMPTS)
    found, lost = [SimpleNamespace(detector="burst")], [Dropped("profile", "a_number", 0, 7), Dropped("profile", "b_range", 1, 2)]
    outcome = Outcome(judged, calls, attempts, charges, pl.DataFrame(), found, [object(), object()], {}, lost)  # type: ignore[arg-type, list-item]
    part.report(Written(outcome, 10_040, JudgeProgress(12, 3, {0: round(time.time() * 1000) - 2_000})))
    part.report(Copied(0.004))
    (tmp_path / "judge.state").write_bytes(b"x" * 99)
    values = metrics_of(part)
    assert [values[f"ringfence_records_total['{d}']"] for d in schemas.DISPOSITIONS] == [1, 0, 2, 1, 0, 0]
    assert values["ringfence_money_total['EUR', 'sell']"] == 1.5 and values["ringfence_money_total['USD', 'buy']"] == 0.5
    assert values["ringfence_findings_total['burst']"] == 1 and values["ringfence_orders_issued_total[]"] == 2
    assert values["ringfence_subjects_dropped_total['profile']"] == 9
    assert values["ringfence_end_to_end_seconds_count['judged']"] == 4
    assert values["ringfence_end_to_end_seconds_bucket['0.05', 'judged']"] == 4
    assert values["ringfence_end_to_end_seconds_bucket['0.025', 'judged']"] == 0
    assert values["ringfence_calls_in_flight[]"] == 12 and values["ringfence_config_version[]"] == 3
    assert 1 < values["ringfence_tick_age_seconds['0']"] < 60
    assert values["ringfence_snapshot_bytes[]"] == 99 and values["ringfence_snapshot_age_seconds[]"] < 60
    assert values["ringfence_snapshot_pause_seconds_count[]"] == 1


def test_judge_is_ready_once_it_reads_and_its_lag_is_small(journal_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringfence.ops.telemetry.judge.MAX_LAG", 5)
    part = Judge(journal_dsn, tmp_path / "judge.state")
    part._lags.ends._fresh_s = 0
    assert MAX_LAG > 5 and part.not_ready_reason() == "it has not started to read"
    journal = open_journal(journal_dsn)
    reader = part.positions.of(journal).reader(CALLS, 1, 0)
    assert part.not_ready_reason() == ""
    writer = journal.writer(CALLS, 1)
    writer.append([Entry(b"k", b"v", 1)] * 7)
    writer.close()
    assert part.not_ready_reason() == "7 messages behind, more than 5"
    assert metrics_of(part)["ringfence_lag_messages['1', 'calls']"] == 7
    assert len(reader.read()) == 7
    assert part.not_ready_reason() == "" and metrics_of(part)["ringfence_lag_messages['1', 'calls']"] == 0
    assert metrics_of(part)["ringfence_journal_end_offset['1', 'calls']"] == 7
    reader.close()


def test_a_journal_that_cannot_be_read_is_the_reason(tmp_path: Path):
    part = Judge(f"files://{tmp_path}/none", tmp_path / "judge.state")
    part.positions._readers[CALLS, 0] = (0, SimpleNamespace(offset=3))  # type: ignore[assignment]
    assert part.not_ready_reason().startswith("the journal cannot be read (RINGFENCE_JOURNAL): ")
    assert metrics_of(part)["ringfence_look_age_seconds['journal']"] == -1


def test_the_collector_is_ready_when_it_ticks_and_spools_nothing(journal_dsn: str, monkeypatch: pytest.MonkeyPatch):
    part = Collector(journal_dsn)
    part.report(Spooled(0, 0, "the config version in force is not known: no books"))
    assert part.not_ready_reason() == "the first tick is not written yet: the config version in force is not known: no books"
    part.report(Ticked(4))
    part.report(Spooled(0, 0, ""))
    part.report(Posted(200, 30))
    part.report(Posted(200, 12))
    part.report(Posted(401, 0))
    assert part.not_ready_reason() == ""
    values = metrics_of(part)
    assert values["ringfence_received_total[]"] == 42 and values["ringfence_posts_total['200']"] == 2
    assert values["ringfence_posts_total['401']"] == 1 and values["ringfence_ticks_total[]"] == 1
    assert values["ringfence_config_version[]"] == 4 and values["ringfence_journal_end_offset['3', 'calls']"] == 0
    part.report(Spooled(1_200, 99_000, "no space left"))
    assert part.not_ready_reason() == "the journal is down, 1,200 entries wait in the spool: no space left"
    assert metrics_of(part)["ringfence_spool_records[]"] == 1_200 and metrics_of(part)["ringfence_spool_bytes[]"] == 99_000
    part.report(Spooled(0, 0, ""))
    monkeypatch.setattr(time, "monotonic", lambda at=time.monotonic(): at + 25)
    assert part.not_ready_reason() == "no tick was written for 25 s"


def test_store_is_ready_while_the_warehouse_answers_and_its_lag_counts_stored_batches(
    journal_dsn: str, monkeypatch: pytest.MonkeyPatch
):
    def refuse() -> None:
        raise OSError("connection refused")

    journal = open_journal(journal_dsn)
    writer = journal.writer(JUDGED, 0)
    writer.append([Entry(b"records", b"v", 1)] * 5)
    writer.close()
    down, part = Store(journal_dsn, refuse), Store(journal_dsn, lambda: None)
    assert down.not_ready_reason() == "the warehouse has not answered yet (RINGFENCE_WAREHOUSE): OSError: connection refused"
    assert metrics_of(down)["ringfence_warehouse_answer_age_seconds[]"] == -1
    part.positions.of(journal).reader(JUDGED, 0, 2).read()
    assert part.not_ready_reason() == ""
    assert metrics_of(part)["ringfence_lag_messages['0', 'judged']"] == 3, "what is read is not stored yet"
    part.report(Stored({"records": 4, "charges": 1}, [5_000, 6_000], {0: 4}, 0.02, 7_500))  # type: ignore[arg-type]
    part._lags.ends._fresh_s = 0
    values = metrics_of(part)
    assert values["ringfence_lag_messages['0', 'judged']"] == 1
    assert values["ringfence_stored_rows_total['records']"] == 4 and values["ringfence_insert_seconds_count[]"] == 1
    assert values["ringfence_end_to_end_seconds_sum['stored']"] == 4.0
    down.report(Stored({}, [], {}, 0.1, 1))  # type: ignore[arg-type]
    down.positions.of(journal).reader(JUDGED, 0, 5)
    assert down.not_ready_reason() == "", "an insertion is an answer too"


def test_the_shipper_reports_its_backlog(tmp_path: Path):
    now_ms = [1_000_000]
    part = Shipper(tmp_path, tmp_path / "k1.log", lambda: now_ms[0])
    (tmp_path / "rec-1.jl").write_text("\n{}\n")
    assert part.not_ready_reason() == "nothing has been delivered yet"
    assert metrics_of(part)["ringfence_backlog_seconds[]"] == -1 and metrics_of(part)["ringfence_backlog_bytes[]"] == 4
    part.report(Shipped(7, 2, None))
    assert part.not_ready_reason() == "the spool's end has not been reached yet"
    part.report(Shipped(3, 0, 999_000))
    part.report(Forged(1))
    assert part.not_ready_reason() == ""
    now_ms[0] += 60_000
    part.report(Failed("the collector did not answer"))
    assert part.not_ready_reason() == "delivered only up to 61 s ago: the collector did not answer"
    values = metrics_of(part)
    assert values["ringfence_shipped_total[]"] == 10 and values["ringfence_switch_log_records_total[]"] == 2
    assert values["ringfence_forged_lines_total[]"] == 1 and values["ringfence_ship_failures_total[]"] == 1
    assert values["ringfence_backlog_seconds[]"] == 61


def test_a_kamailio_is_ready_while_it_answers(monkeypatch: pytest.MonkeyPatch):
    part = Kamailio()
    assert part.not_ready_reason() == "it has not answered OPTIONS yet" and metrics_of(part)["ringfence_sip_answer_age_seconds[]"] == -1
    part.report(Answered())
    assert part.not_ready_reason() == ""
    monkeypatch.setattr(time, "monotonic", lambda at=time.monotonic(): at + 15)
    assert part.not_ready_reason() == "it has not answered OPTIONS for 15 s"


def test_the_simulator_counts_the_records_it_wrote():
    from simulator.live import Progress
    from simulator.truth import LookAlike, Truth

    part = Simulator()
    assert part.not_ready_reason() == "it has written nothing yet"
    truth = Truth(seed=1, start_ms=0, end_ms=0, look_alike=LookAlike(tenant="t1", account="a", start_ms=0))
    progress = Progress(truth, written=40)
    part.report(progress)
    progress.written = 55
    part.report(progress)
    assert metrics_of(part)["ringfence_simulated_total[]"] == 55 and part.not_ready_reason() == ""


def test_positions_are_the_offsets_of_the_readers(journal_dsn: str):
    positions = Positions()
    journal = positions.of(open_journal(journal_dsn))
    assert positions.reached() == {} and journal.partitions(CALLS) == 4
    writer = journal.writer(BLOCK_ORDERS, 0)
    writer.append([Entry(b"k", b"v", 1)] * 3)
    writer.close()
    reader = journal.reader(BLOCK_ORDERS, 0, 1)
    assert positions.reached() == {(BLOCK_ORDERS, 0): 1}
    reader.read(1)
    assert positions.reached() == {(BLOCK_ORDERS, 0): 2} and positions.began() == {(BLOCK_ORDERS, 0): 1}
    reader.close()
    journal.reader(BLOCK_ORDERS, 0, 3).close()
    assert positions.began() == {(BLOCK_ORDERS, 0): 3}, "a reader that was opened again"
