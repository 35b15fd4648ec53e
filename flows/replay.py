"""Replay: the steps of `judge` over a file of call records from elsewhere, with no order ever delivered to a switch.

Rows are judged in the order in which their calls ended, since that is when a record of a call is written: an alert's time is what the
file alone would have given; live, with answers and ticks, it comes earlier. The file is sorted in memory (about 1 kB a row).
"""

from __future__ import annotations

import gc
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import polars as pl
import pyarrow.parquet

from core import schemas
from core.config import Config
from core.delimited import readable
from core.message import Message
from core.money import to_text
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY, Tick, journal_key
from detectors.protocol import Settings
from detectors.registry import not_observable, spanning
from detectors.sums import TICK
from flows import watch
from flows.refused import Refused, Tally
from flows.step import State, judge, settings_of
from rating.contracts import NO_DECK, UNKNOWN, Terms, compile_contracts
from rating.deck import Deck
from rating.priced import priced
from switches.files.mapping import Mapping, MappingError
from switches.files.records import Row, read_rows

BATCH = 8192
TICK_MS = 60_000
"""How often the detectors that span accounts look, by the time of the calls."""
REASONS = 20
FATES = {
    schemas.REJECT: "rejects.jsonl", schemas.UNRATED: "unrated.jsonl", schemas.CONFLICT: "conflicts.jsonl",
    schemas.DUPLICATE: "duplicates.jsonl",
}  # fmt: skip
"""Disposition -> the file in which every row that has it stands, with its line, its reason, its text, and the money in it."""
SUSPECTED = "suspected_duplicates.jsonl"
"""Rows that were priced although an earlier row has their id or equals them."""
NOTES = "notes.jsonl"
"""Rows of which something that is no money was cut or left out."""
OUTPUTS = (
    "alerts.jsonl", "block_orders.jsonl", "waiting_orders.jsonl", *FATES.values(), SUSPECTED, NOTES, "calls.parquet", "charges.parquet",
    "summary.json",
)  # fmt: skip

SET_ASIDE = "sell_amount: set aside, the deck prices the call"
"""Counted, and without a line of its own: it can be every row."""

UNPRICED = (schemas.UNRATED, schemas.REJECT, schemas.CONFLICT)

PRICED = priced(schemas.empty(schemas.CALLS), schemas.empty(schemas.CHARGES))
"""The columns of `calls.parquet`: the facts of each call and its money."""

SECRET = b"replay"  # keys the state's hashes: no caller can aim at a process that ends with the file


@dataclass(frozen=True)
class Summary:
    """The content of `summary.json`. Money: decimal text by currency."""

    received: int
    rated: int
    unrated: int
    events: int
    rejected: int
    duplicates: int
    conflicts: int
    suspected_duplicates: int
    alerts: int
    block_orders: int
    sell: dict[str, str]
    buy: dict[str, str]
    records_per_s: float
    reasons: dict[str, int]  # why rows were not rated, the most frequent first, at most `REASONS`; the first of its kind stands for all
    notes: dict[str, int]  # the same of what was cut or left out of rows that were read
    # By detector: alerts, and the calls and money (decimal text by currency) that its orders would have refused.
    detectors: dict[str, dict[str, Any]] = field(default_factory=dict)
    not_observable: dict[str, list[str]] = field(default_factory=dict)  # detector -> what it needs and the file's columns do not have


def self_registering(deck: Deck | None) -> Terms:
    """Terms without books: parties register themselves; one deck, if there is one, sells to all of them."""
    decks = {deck.name: deck} if deck else {}
    config = Config(version=1, self_register=True, decks={d.name: d.deck_id for d in decks.values()}, default_sell_deck=deck.name if deck else "")
    return compile_contracts(config, decks)


@contextmanager
def without_full_collections() -> Iterator[None]:
    """Python's collector looks at all rows again and again, and they are in no cycle: a sixth of the time. Young objects are collected
    after each batch."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@without_full_collections()
def run(
    calls: Path, mapping: Mapping, out: Path, terms: Terms, progress: Callable[[int, int], None] = lambda done, total: None
) -> Summary:
    """Judge a file and write `OUTPUTS` into the folder `out` (made if absent; whole or not at all). `progress(rows done, rows in all)`;
    0 in all: they are still being read."""
    if not calls.is_file():
        raise MappingError(f"{calls}: no such file")
    began_s = time.monotonic()
    terms = replace(terms, sell_amount_expected="sell_amount" in mapping.columns)
    rows = sorted(_counted(read_rows(calls, mapping), progress), key=lambda row: (row.record.at_ms if row.record else 0, row.line))
    out.mkdir(parents=True, exist_ok=True)
    beside = out / ".replay"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        summary = _judge_rows(rows, beside, terms, began_s, progress, unique_ids=mapping.call_ids == "unique", observed=observed_by(mapping))
        for name in OUTPUTS:
            (beside / name).replace(out / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return summary


COLUMN_OF = {"a_number": "a_raw", "setup": "setup_ms", "ringing": "ringing_ms", "answer": "answer_ms", "end": "end_ms", "duration_s": "end_ms"}


def observed_by(mapping: Mapping) -> frozenset[str]:
    """The fields of a record that a file's columns fill."""
    return frozenset(COLUMN_OF.get(name, name) for name in mapping.columns)


@dataclass
class Reasons:
    """Counts reasons that differ in what they quote as one.

    >>> reasons = Reasons()
    >>> for text in ("column a: 'x' is not a number", "no rate", "column a: 'y' is not a number"): reasons.add(text)
    >>> reasons.most_frequent()
    {"column a: 'x' is not a number": 2, 'no rate': 1}
    """

    kinds: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        kind = QUOTED.sub("", reason)
        self.kinds[kind] += 1
        self.first.setdefault(kind, reason)

    def most_frequent(self) -> dict[str, int]:
        return {self.first[kind]: count for kind, count in self.kinds.most_common(REASONS)}


QUOTED = re.compile(r"'[^']*'|\b\d+\b")


def _counted(rows: Iterable[Row], progress: Callable[[int, int], None]) -> Iterator[Row]:
    for count, row in enumerate(rows, 1):
        if not count % BATCH:
            progress(count, 0)
        yield row


def _judge_rows(
    rows: list[Row], out: Path, terms: Terms, began_s: float, progress: Callable[[int, int], None], *, unique_ids: bool,
    observed: frozenset[str],
) -> Summary:
    state, dispositions, reasons, notes = State(SECRET), Counter[str](), Reasons(), Reasons()
    first_lines: dict[tuple[str, str], int] = {}  # of each call_id
    twins = orders = 0
    tally, detector_of = Tally(terms.plan_of), dict[str, str]()
    alerts: dict[str, Finding] = {}
    watched: dict[str, Any] = {detector.name: detector.state() for detector in spanning()}
    money: dict[str, Counter[str]] = {"sell": Counter(), "buy": Counter()}
    next_tick_ms = 0
    with (
        ExitStack() as stack,
        (out / "block_orders.jsonl").open("wb") as block_orders,
        (out / "waiting_orders.jsonl").open("wb") as waiting,
        pyarrow.parquet.ParquetWriter(out / "calls.parquet", PRICED.to_arrow().schema) as calls,
        pyarrow.parquet.ParquetWriter(out / "charges.parquet", schemas.empty(schemas.CHARGES).to_arrow().schema) as charges,
    ):
        files = {name: stack.enter_context((out / name).open("wb")) for name in (*FATES.values(), SUSPECTED, NOTES)}
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            messages: list[Message] = []
            for place, row in enumerate(batch, start):
                if row.record is None:
                    dispositions[schemas.REJECT] += 1
                    reasons.add(row.fault)
                    _line(files[FATES[schemas.REJECT]], {"line": row.line, "reason": row.fault, "raw": readable(row.text)})
                    continue
                if row.record.sell_amount and terms.sold(row.tenant, row.record.account)[0].offer not in (NO_DECK, UNKNOWN):
                    notes.add(SET_ASIDE)
                for note in row.notes:
                    notes.add(note)
                    _line(files[NOTES], {"line": row.line, "note": note, "raw": readable(row.text)})
                at_ms = row.record.at_ms
                if at_ms >= next_tick_ms:
                    tick = Tick(at_ms=at_ms, config_version=terms.version, complete_to_ms={})
                    messages.append(Message(0, 2 * place, at_ms, TICK_KEY, msgspec.json.encode(tick)))
                    next_tick_ms = at_ms + TICK_MS
                key = journal_key(row.tenant, row.record.account, row.record.ingress_trunk)
                messages.append(Message(0, 2 * place + 1, at_ms, key, msgspec.json.encode(row.record)))
            if not messages:
                continue
            outcome = judge(state, messages, lambda _: terms, unique_ids=unique_ids)
            dispositions.update(outcome.records["disposition"].to_list())
            for reason in outcome.records.filter(pl.col("disposition").is_in(UNPRICED))["reason"].to_list():
                reasons.add(reason)
            twins += outcome.records.filter(pl.col("suspected_duplicate"), disposition=schemas.RATED_DISPOSITION).height
            for offset, fate, reason, twin in outcome.records.select("offset", "disposition", "reason", "suspected_duplicate").iter_rows():
                row = rows[offset // 2]
                first = _first_line(first_lines, row)
                if name := SUSPECTED if twin and fate == schemas.RATED_DISPOSITION else FATES.get(fate):
                    _line(files[name], _described(row, reason, first))
            if outcome.charges.height:
                calls.write_table(outcome.priced.to_arrow().cast(calls.schema))
                charges.write_table(outcome.charges.to_arrow().cast(charges.schema))
                for role, totals in money.items():
                    totals.update(_totals(outcome.charges, role))
            found = found_across(watched, outcome.sums, settings_of(terms))
            detector_of.update((finding.finding_id, finding.detector) for finding in (*outcome.findings, *found.findings))
            tally.order((*outcome.orders, *found.orders), detector_of)
            tally.count(outcome.priced)
            for order in (*outcome.orders, *found.orders):
                orders += not order.ask
                _line(waiting if order.ask else block_orders, _order(order))
            alerts.update((finding.finding_id, finding) for finding in (*outcome.findings, *found.findings))
            gc.collect(1)
            progress(start + len(batch), len(rows))
    with (out / "alerts.jsonl").open("wb") as file:
        for finding in sorted(alerts.values(), key=lambda f: (f.detected_at_ms, f.finding_id)):
            _line(file, _alert(finding))
    for finding in alerts.values():
        tally.of.setdefault(finding.detector, Refused()).alerts += 1
    counts = {name: dispositions[name] for name in schemas.DISPOSITIONS}
    elapsed_s = max(time.monotonic() - began_s, 1e-9)
    summary = Summary(
        received=len(rows), rated=counts["rated"], unrated=counts["unrated"], events=counts["event"], rejected=counts["reject"],
        duplicates=counts["duplicate"], conflicts=counts["conflict"], suspected_duplicates=twins, alerts=len(alerts), block_orders=orders,
        sell={currency: to_text(nanos) for currency, nanos in sorted(money["sell"].items())},
        buy={currency: to_text(nanos) for currency, nanos in sorted(money["buy"].items())},
        records_per_s=round(len(rows) / elapsed_s, 1), reasons=reasons.most_frequent(),
        notes=notes.most_frequent(),
        detectors={
            name: {"alerts": one.alerts, "calls": one.calls, "money": {currency: to_text(nanos) for currency, nanos in sorted(one.nanos.items())}}
            for name, one in sorted(tally.of.items())
        },
        not_observable={name: list(missing) for name, missing in not_observable(observed).items()},
    )  # fmt: skip
    if summary.received != sum(counts.values()):
        raise AssertionError(f"{summary.received} rows were read and {sum(counts.values())} have a disposition: {counts}")
    (out / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    return summary


def found_across(states: dict[str, Any], sums: pl.DataFrame, settings: Settings) -> watch.Outcome:
    """What the detectors that span accounts find in the epochs of a batch."""
    found = watch.Outcome([], [])
    for epoch in sums.partition_by("tick_offset", maintain_order=True):
        rows, tick_ms = epoch.filter(pl.col("kind") != TICK), int(epoch["tick_ms"][0])
        if rows.height:
            one = watch.judge_cut(states, rows, tick_ms, settings)
            found.findings.extend(one.findings)
            found.orders.extend(one.orders)
    return found


def _totals(charges: pl.DataFrame, role: str) -> dict[str, int]:
    """128-bit sums by currency: of the customers' charges, or of the carriers'."""
    mine = charges.filter(pl.col("role") == role, pl.col("level") == 0, pl.col("currency") != "")
    return dict(mine.group_by("currency").agg(pl.col("nanos").cast(pl.Int128).sum()).iter_rows())


def _alert(finding: Finding) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id, "tenant": finding.tenant, "detector": finding.detector, "subject_kind": finding.subject_kind,
        "subject": finding.subject, "detected_at_ms": finding.detected_at_ms, "first_ms": finding.first_ms, "last_ms": finding.last_ms,
        "calls": finding.calls, "exposure": to_text(finding.exposure_nanos), "currency": finding.currency, "score": finding.score,
        "reason": finding.reason, "example_call_ids": finding.example_call_ids,
    }  # fmt: skip


def _order(order: BlockOrder) -> dict[str, Any]:
    return {
        "key": order.key.text(), "action": order.action, "created_at_ms": order.created_at_ms, "expires_at_ms": order.expires_at_ms,
        "finding_id": order.finding_id, "order_id": order.order_id, "reason": order.reason,
    }  # fmt: skip


def _line(file: BinaryIO, value: dict[str, Any]) -> None:
    file.write(msgspec.json.encode(value) + b"\n")


def _first_line(first_lines: dict[tuple[str, str], int], row: Row) -> int:
    """The line of the first row that has this row's id; 0 = it has none, or is the first."""
    assert row.record is not None
    if not row.record.call_id:
        return 0
    first = first_lines.setdefault((row.tenant, row.record.call_id), row.line)
    return first if first != row.line else 0


def _described(row: Row, reason: str, first: int) -> dict[str, Any]:
    """What a person needs to mend a row: where it stands, why, and how much talk and money is in it."""
    record = row.record
    assert record is not None
    if not reason:
        reason = "its id" if first else "all of it"
        reason = f"priced, and suspected: {reason} stands in {f'line {first}' if first else 'an earlier row'}, too"
        reason += ", with other content" if first else ""
    talk_ms = record.duration_ms
    if talk_ms is None and record.end_ms is not None and record.answer_ms is not None:
        talk_ms = record.end_ms - record.answer_ms
    line: dict[str, Any] = {"line": row.line, "reason": reason, "raw": readable(row.text)}
    if first:
        line["first_line"] = first
    money = {
        "tenant": row.tenant, "account": record.account, "call_id": record.call_id, "b_number": record.b_raw,
        "sell_amount": record.sell_amount, "buy_amount": record.buy_amount, "currency": record.currency,
        "buy_currency": record.buy_currency,
    }  # fmt: skip
    line |= {name: value for name, value in money.items() if value}
    if talk_ms is not None:
        line["duration_s"] = talk_ms / 1000
    return line
