"""Throughput of the warehouse: inserts alone, and the flow `store` from the journal to the warehouse. Prints rows per second, and processor
time per row.

.venv/bin/python bench/bench_store.py [ROWS]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from core import schemas
from core.topics import JUDGED
from flows.batches import to_values
from flows.store import Pace, run
from journal import Entry, create_topics, open_journal
from warehouse import ask, insert, migrate, open_warehouse, queries

UNIQUE = {
    "call_id",
    "dialog_id",
    "from_tag",
    "a_raw",
    "b_raw",
    "a_number",
    "b_number",
    "call_key",
}  # the rest repeats: 200 values
NOON = 1_764_072_000_000


def frame(table: str, partition: int, first: int, rows: int, chance: np.random.Generator) -> pl.DataFrame:
    """Random rows of a table, in the order of the log."""
    columns: dict[str, pl.Series] = {}
    for name, dtype in schemas.TABLES[table].items():
        if dtype == pl.String:
            low, high = (10**10, 10**11) if name in UNIQUE else (0, 200)
            columns[name] = pl.Series(name, chance.integers(low, high, rows).astype(str))
        elif dtype == pl.Boolean:
            columns[name] = pl.Series(name, np.zeros(rows, bool))
        elif dtype == pl.Binary:
            columns[name] = pl.Series(name, [None] * rows, dtype=pl.Binary)
        else:
            columns[name] = pl.Series(name, chance.integers(0, 1000, rows), dtype=dtype)
    offsets = pl.int_range(first, first + rows, dtype=pl.Int64)
    fixed = {
        "tenant": pl.lit("t1"),
        "partition": pl.lit(partition, pl.Int32),
        "offset": offsets,
        "learned_ms": pl.lit(NOON) + offsets,
    }
    if table == "records":
        fixed["disposition"] = pl.lit("event")
    return pl.DataFrame(columns, schema=schemas.TABLES[table]).with_columns(**fixed)


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def inserts(home: Path, rows: int, batch: int) -> tuple[float, float]:
    """Rows per second of inserts of one size into `records`, one after the other, and microseconds of processor per row."""
    chance = np.random.default_rng(1)
    client = open_warehouse(f"chdb://{home}/inserts-{batch}")
    migrate(client)
    batches = [frame("records", 0, first, batch, chance).to_arrow() for first in range(0, rows, batch)]
    insert(client, "records", batches[0])  # the first pays for what the engine sets up
    started, spent = time.perf_counter(), processor_s()
    for rows_of_one in batches:
        insert(client, "records", rows_of_one)
    took_s, spent = time.perf_counter() - started, processor_s() - spent
    client.close()
    return len(batches) * batch / took_s, spent / (len(batches) * batch) * 1e6


def flow(home: Path, rows: int, batch: int) -> tuple[float, float, float]:
    """Of the flow (for three records and two charges per call): rows per second, microseconds of processor per record, and how long the totals
    of all of it take, in seconds."""
    chance = np.random.default_rng(2)
    journal = open_journal(f"files://{home}/journal")
    create_topics(journal)
    stored = 0
    for partition in range(4):
        writer = journal.writer(JUDGED, partition)
        for first in range(0, rows // 4, batch):
            for table, share in (("records", batch), ("calls", batch // 3), ("charges", 2 * batch // 3)):
                values = to_values(frame(table, partition, first, share, chance))
                writer.append([Entry(table.encode(), value, NOON) for value in values])
                stored += share
        writer.close()
    started, spent = time.perf_counter(), processor_s()
    dsn = f"chdb://{home}/warehouse"
    run(journal_dsn=f"files://{home}/journal", warehouse_dsn=dsn, state_dir=home / "state", pace=Pace(), until_end=True)
    took_s, spent = time.perf_counter() - started, processor_s() - spent
    client = open_warehouse(dsn)
    asked = time.perf_counter()
    ask(client, queries.totals())
    ask(client, queries.money())
    ask_s = time.perf_counter() - asked
    client.close()
    return stored / took_s, spent / rows * 1e6, ask_s


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        for batch in (1_000, 15_000, 150_000):
            rate, spent_us = inserts(home, min(rows, 100 * batch), batch)
            head = f"insert into records, {len(schemas.JUDGED)} columns, {batch:>7,} rows per insert, fsynced"
            print(f"{head}: {rate:>9,.0f} rows/s, {spent_us:.1f} us of processor per row")
        rate, spent_us, ask_s = flow(home, rows, 500)
        print(f"store, journal to warehouse, batches of 500 records, 166 calls, 333 charges: {rate:>9,.0f} rows/s, start and end included")
        print(f"  {spent_us:.1f} us of processor per record")
        print(f"totals and money of {rows:,} records: {ask_s * 1000:.0f} ms")
    print(f"resident at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400_000)
