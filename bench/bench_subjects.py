"""The state of `judge` with a million callers alive: its memory, and how long a snapshot and a restore of it take.

    python bench/bench_subjects.py [CALLERS]

Every detector watches so many callers, and a tenth as many of everything else: accounts, ranges, destinations.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from detectors.columns import KEY
from flows.snapshot import freeze, pack, sealed, unpack, unsealed
from flows.step import State
from journal.durable import replace_file

CALLERS = ("a_number",)
"""The tables that have a row per caller."""


def resident_mb() -> float:
    gc.collect()
    return float(psutil.Process(os.getpid()).memory_info().rss) / 2**20


def filled(callers: int) -> tuple[State, int]:
    """A state whose tables are full, with other numbers in each row, and how many rows they have."""
    state, rows, chance = State(b"bench" * 4), 0, np.random.default_rng(1)
    for tables in state.detectors.subjects.values():
        for name, columns in tables.items():
            n = callers if name in CALLERS else callers // 10
            keys = chance.integers(1, 2**63, n, np.int64)
            slots = columns.slots(np.unique(keys).tolist())
            rows += len(slots)
            for column in columns.dtypes:
                if column != KEY and columns[column].ndim == 1:
                    columns[column][slots] = chance.integers(0, 1_000_000, len(slots)).astype(columns[column].dtype)
    return state, rows


def main(callers: int) -> None:
    before = resident_mb()
    state, rows = filled(callers)
    tables = sum(map(len, state.detectors.subjects.values()))
    print(f"{callers:,} callers       {rows:,} rows in {tables} tables, {resident_mb() - before:,.0f} MB resident")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "judge.state"
        for which in ("first", "second"):
            began = time.perf_counter()
            frozen = freeze(state)
            paused = time.perf_counter()
            replace_file(path, sealed(pack(frozen)))
            written = time.perf_counter()
            size_mb = path.stat().st_size / 1e6
            print(f"{which:<7}snapshot      {written - began:5.1f} s, of which records wait {paused - began:4.2f} s; {size_mb:,.0f} MB on disk")
        print(f"                    {resident_mb() - before:,.0f} MB resident with the copy")
        began = time.perf_counter()
        restored = unpack(unsealed(path.read_bytes()))
        took = time.perf_counter() - began
        assert all(
            len(table) == len(state.detectors.subjects[name][kind])
            for name, tables in restored.detectors.subjects.items()
            for kind, table in tables.items()
        )
    print(f"restore             {took:5.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
