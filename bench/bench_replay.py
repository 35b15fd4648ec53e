"""How many calls of a Parquet file a replay judges per second, with every detector on.

    python bench/bench_replay.py [CALLS] [HOURS]

Calls of 2,000 accounts over 8 carriers, priced by a deck of a few prefixes. The detectors that span accounts look once per minute of the calls,
so the same number of calls over fewer hours costs less.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from flows import replay
from rating.decks import read_deck
from services.replay import mapping_of

PREFIXES = ("43", "49", "39", "33", "44", "1", "88213")
MAPPING = """{format: parquet, currency: EUR, time_format: epoch_ms, call_ids: unique,
columns: {call_id: id, account: account, carrier: carrier, a_number: a, b_number: b, answer: answer, duration_s: seconds}}"""


def calls(count: int, hours: float) -> pl.DataFrame:
    """Calls in the order of their answers."""
    chance = np.random.default_rng(1)
    numbers = chance.integers(10**7, 10**8, (2, count))
    accounts, carriers = (chance.random(count) ** 3 * 2000).astype(int), chance.integers(0, 8, count)
    to = np.asarray(PREFIXES)[chance.integers(0, len(PREFIXES), count)]
    return pl.DataFrame({"n": np.arange(count), "account": accounts, "carrier": carriers, "a": numbers[0], "b": numbers[1], "to": to}).select(
        pl.format("call-{}", "n").alias("id"), pl.format("account-{}", "account"), pl.format("carrier-{}", "carrier"),
        pl.format("43{}", "a").alias("a"), pl.format("{}{}", "to", "b").alias("b"),
        answer=1_764_028_800_000 + np.sort(chance.integers(0, round(hours * 3_600_000), count)), seconds=chance.integers(1, 600, count),
    )  # fmt: skip


def main(count: int, hours: float) -> None:
    deck = read_deck(("prefix,price_per_min\n" + "\n".join(f"{prefix},0.0{n + 1}" for n, prefix in enumerate(PREFIXES))).encode(), "deck", "EUR")
    with tempfile.TemporaryDirectory() as place:
        file, mapping = Path(place) / "calls.parquet", Path(place) / "mapping.yaml"
        calls(count, hours).write_parquet(file)
        mapping.write_text(MAPPING)
        began_s, processor_s = time.perf_counter(), time.process_time()
        found = replay.run(file, mapping_of(mapping), Path(place) / "out", replay.self_registering(deck))
        took_s, processor_s = time.perf_counter() - began_s, time.process_time() - processor_s
    assert found.rated == count, found
    print(f"replay            {count:,} calls of {hours:g} hours, all detectors: {count / took_s:,.0f} calls/s")
    load = f"load of the machine {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    print(f"                  {count / processor_s:,.0f} per second of one core; {load}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, float(sys.argv[2]) if len(sys.argv) > 2 else 1)
