"""A carrier's file of half a million rows: imported with all its findings, as CSV for a carrier without a deck and as a workbook against one.

    python bench/bench_offers.py [--rows 500000]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import psutil

from books import open_books, reading, writing
from services import first_start
from services.deck_desk import activating, importing
from services.deck_desk.importing import Imported, ImportOptions
from services.installation import Installation
from simulator.workbook import Cell, workbook

HEAD: list[Cell] = ["Destination", "Code", "Rate (EUR/min)", "Increments", "Effective", "Remark"]
COUNTRIES = ("1", "7", "20", "27", "30", "43", "44", "49", "91", "971", "960", "880")


def rows_of(count: int) -> list[list[Cell]]:
    """Rates of as many different codes, in four currents of increments and with dates here and there."""
    chance = random.Random(1)
    codes: set[str] = set()
    while len(codes) < count:
        codes.add(chance.choice(COUNTRIES) + str(chance.randrange(10 ** chance.choice((3, 4, 5, 6)))))
    return [
        [
            f"Destination {code[:4]}", code, chance.randrange(1, 4000) / 10_000, chance.choice(("60/60", "1/1", "60/1", "30/6")),
            chance.choice(("2030-01-01", "", "2030-01-08")), "x",
        ]
        for code in sorted(codes)
    ]  # fmt: skip


def as_csv(rows: list[list[Cell]]) -> bytes:
    """With semicolons and decimal commas."""

    def text(cell: Cell) -> str:
        return str(cell).replace(".", ",") if isinstance(cell, float) else str(cell)

    return "\n".join(";".join(map(text, row)) for row in (HEAD, *rows)).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    count = parser.parse_args().rows
    rows = rows_of(count)
    later = [[*row[:2], round(float(str(row[2])) * 1.1, 5) if at % 10 == 0 else row[2], *row[3:]] for at, row in enumerate(rows) if at % 1000]
    files = {"first.csv": as_csv(rows), "second.xlsx": workbook({"Rates": [HEAD, *later]})}
    del rows, later
    now_ms = round(time.time() * 1000)
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation.embedded(Path(folder))
        first_start.lay(installation)
        first_start.open_and_publish(installation, first_start.simulated(1, "t1"), now_ms)
        engine = open_books(installation.books_dsn)
        for name, content in files.items():
            done = _import(engine, content, name, now_ms)
            assert done.version is not None, list(done.findings)[:5]
            with writing(engine) as conn:
                activating.activate(conn, "t1", done.version.name, "", "bench", "bench", now_ms)
        engine.dispose()


def _import(engine: object, content: bytes, name: str, now_ms: int) -> Imported:
    start_s, work_s = time.perf_counter(), time.process_time()
    asked = ImportOptions("alpha", scope="full", missing="closed", guess_again=True)
    with reading(engine) as conn:  # type: ignore[arg-type]
        done = importing.read_file(conn, "t1", asked, content, name, "bench", now_ms)
    with writing(engine) as conn:  # type: ignore[arg-type]
        done = importing.keep(conn, done)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - work_s
    base = f"against {done.base}" if done.base else "with no deck before"
    print(
        f"{name}: {done.rows:,} rows ({len(content) >> 20} MB) {base}: {wall_s:.1f} s, {cpu_s:.1f} s of a processor, "
        f"{psutil.Process().memory_info().rss >> 20:,} MB; {sum(done.findings.counts.values()):,} findings"
    )
    return done


if __name__ == "__main__":
    main()
