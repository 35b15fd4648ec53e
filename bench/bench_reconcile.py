"""A million calls of ours against a million of a carrier's, with every fault: how long it takes, what memory, and what was found of each cause.

    python bench/bench_reconcile.py [--calls 1000000]
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import polars as pl

from assurance.reconcile.invoice import read_invoice
from assurance.reconcile.layout import guess
from assurance.reconcile.plan import Plan
from assurance.reconcile.read import read_calls
from assurance.reconcile.result import reconcile
from rating.deck import FOREVER_MS
from rating.offers.table import open_table
from simulator.billing.faults import bill_of
from simulator.billing.files import cdr_file, invoice_file
from simulator.billing.own import FROM_MS, UNTIL_MS, offer, own_calls
from simulator.billing.score import score


def write(folder: Path, count: int) -> None:
    """The carrier's files, our calls and the key."""
    bill = bill_of(own_calls(count, 1, offer()), offer(), 2, line_fault_nanos=10_000_000_000)
    (folder / "calls.csv").write_bytes(cdr_file(bill, 3))
    (folder / "invoice.csv").write_bytes(invoice_file(bill, 5_000_000_000))
    bill.ours.write_parquet(folder / "ours.parquet")
    bill.key.write_parquet(folder / "key.parquet")
    bill.cdrs.filter(~pl.col("fault").str.ends_with("unreadable")).select("call_key").write_parquet(folder / "theirs.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    count = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maker = multiprocessing.get_context("spawn").Process(target=write, args=(folder, count))  # its memory is not ours
        maker.start()
        maker.join()
        ours = pl.read_parquet(folder / "ours.parquet")
        plan = Plan(((-FOREVER_MS, FOREVER_MS, offer()),), "EUR", "Europe/Vienna")
        start_s, cpu_s = time.perf_counter(), time.process_time()
        table = open_table((folder / "calls.csv").read_bytes())
        theirs = read_calls(table, guess(table, "calls").layout)
        rows = theirs.rows
        del table
        gc.collect()
        lines = open_table((folder / "invoice.csv").read_bytes())
        invoice = read_invoice(lines, guess(lines, "invoice").layout)
        read_s = time.perf_counter() - start_s
        found = reconcile(ours, theirs, invoice, plan, (FROM_MS, UNTIL_MS))
        all_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        seconds = f"{all_s:.1f} s (reading {read_s:.1f} s), {cpu_s:.1f} s of processors"
        print(f"{ours.height:,} calls of ours, {rows:,} rows of theirs: {seconds}, {memory_mb:,} MB")
        adds_up = int(found.entries["nanos"].sum()) == found.difference_nanos
        print(f"difference {found.difference_nanos / 1e9:,.9f} EUR, the causes add up to it: {adds_up}")
        calls = found.entries.filter(pl.col("level") == "call")
        keys = pl.coalesce(ours["call_key"].gather(calls["ours"]), pl.read_parquet(folder / "theirs.parquet")["call_key"].gather(calls["theirs"]))
        wanted = (pl.col("nanos").abs() > 1000) | ((pl.col("nanos") == 0) & (pl.col("cause") != "rounding"))
        for one in score(calls.with_columns(keys.alias("call_key")).filter(wanted).select("call_key", "cause", "nanos"),
            pl.read_parquet(folder / "key.parquet")):
            print(
                f"  {one.cause:28s} {one.calls:7,} calls   recall {one.recall:.4f}   precision {one.precision:.4f}   "
                f"{one.nanos / 1e9:12,.2f} EUR by the key, {one.found_nanos / 1e9:12,.2f} found"
            )


if __name__ == "__main__":
    main()
