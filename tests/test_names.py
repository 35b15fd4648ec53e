"""Names that are stored are a format: `stored_names.json` changes with a migration, or by a field added at the end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np

from assurance.invoice import Document, Line
from assurance.tax import TaxLine
from books import invoices, ledger
from core import active, delivery, orders, record, schemas, topics
from core.posted import Posted
from core.scores import Score
from detectors import alerts, blocked, columns, features, latest, overall, quality, state
from detectors.sums import COLUMNS, EPOCH, PARTIAL, SUMS
from flows import judge, scores, snapshot, store, watch
from rating import accrue, charge

GOLDEN = Path(__file__).parent / "stored_names.json"


def fields(struct: type[msgspec.Struct]) -> list[str]:
    return [f.encode_name for f in msgspec.structs.fields(struct)]


def stored_names() -> dict[str, object]:
    return {
        "topics": {topic: topics.partitions_of(topics.CALLS_PARTITIONS)[topic] for topic in topics.TOPICS},
        "tick_key": record.TICK_KEY.decode(),
        "journal_key": record.journal_key("t1", "acme", "").decode(),
        "journal_key_of_a_trunk": record.journal_key("t1", "", "tg7").decode(),
        "record_version": record.VERSION,
        "record": fields(record.Record),
        "tick": fields(record.Tick),
        "events": list(record.EVENTS),
        "finding": fields(orders.Finding),
        "block_order": fields(orders.BlockOrder),
        "key": fields(orders.Key),
        "key_text": orders.Key(tenant="t1", account="acme", a_number="431234567", b_range="88213").text(),
        "statuses": list(orders.STATUSES),
        "dispositions": list(schemas.DISPOSITIONS),
        "sums_key": EPOCH.decode(),
        "sums": {name: str(dtype) for name, dtype in SUMS.items()},
        "flow_judge": list(judge.NAMES),
        "flow_watch": list(watch.NAMES),
        "flow_store": [store.FLOW, store.SOURCE_STEP, store.SINK_STEP, store.SINK_PART],
        "judge_state": {
            "layout": snapshot.LAYOUT,
            "active_call": fields(active.ActiveCall),
            "leg": fields(active.Leg),
            "partition": [field.name for field in dataclasses.fields(active.Partition)],
            "ring": fields(delivery.Ring),
            "purchase": fields(charge.Purchase),
            "reported": fields(accrue.Reported),
            "detectors": [field.name for field in dataclasses.fields(state.DetectorState)],  # of each: in its own test, by the contract suite
            "subject": {name: np.dtype(dtype).name for name, dtype in columns.COMMON.items()},
            "alert": fields(alerts.Alert),
            "blocked": fields(blocked.Blocked),
            "standing": list(blocked.Standing._fields),
            "latest": fields(latest.Latest),
            "odd_call": fields(features.OddCall),
            "gathered": [list(COLUMNS), list(PARTIAL)],
        },
        "watch_state": {
            "layout": watch.LAYOUT,
            "stored": fields(watch.Stored),
            "totals": fields(overall.Totals),
            "total": fields(overall.Total),
        },
        "scores": {
            "layout": scores.LAYOUT,
            "names": list(scores.NAMES),
            "kept": fields(scores.ScoresSnapshot),
            "stored": fields(quality.Stored),
            "sums": fields(quality.Sums),
        },
        "score": fields(Score),
        "ledger_kinds": list(get_args(ledger.Kind)),
        "ledger_account": ledger.Account("t1", "unbilled", "EUR", "acme", "retail").id,
        "ledger_transfer": [
            one.id
            for one in ledger.transfer("usage", "7", ledger.Account("t1", "revenue", "EUR"), ledger.Account("t1", "unbilled", "EUR", "acme"), 1)
        ],
        "posted": Posted({0: 120}, (3,)).to_json(),
        "invoice": invoices.invoice_id("t1", "acme", "retail", "EUR", 1),
        "document": fields(Document),
        "invoice_line": fields(Line),
        "tax_line": fields(TaxLine),
        "tables": {table: {name: str(dtype) for name, dtype in schema.items()} for table, schema in schemas.TABLES.items()},
    }


def test_stored_names_are_what_they_were():
    assert stored_names() == json.loads(GOLDEN.read_text())


def test_every_topic_has_its_partitions():
    of = topics.partitions_of(4)
    assert of.keys() == set(topics.TOPICS)
    assert of[topics.CALLS] == of[topics.JUDGED] == of[topics.SUMS], "judge writes under the partition of its source"
    assert of[topics.FINDINGS] == of[topics.BLOCK_ORDERS] == 5, "and watch into one more"


def test_ids_are_what_they_were():
    """A derived id that changes is another order: what was lifted would stand again."""
    key = orders.Key(tenant="t1", account="acme", b_range="88213")
    assert orders.order_id(key, "finding-aa3defea84e449ad695a", 1) == "order-ba9bdfc51d3b86e75236"
