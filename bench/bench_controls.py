"""How long the controls of the money take over a month of calls, each with its own needs, and all together.

    python bench/bench_controls.py [--calls 1000000] [--each]

The calls are priced by the agreements of their 200 accounts and 7 carriers, and stored as judge stores them, with four records each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import polars as pl

from assurance.controls.registry import controls
from core.config import Account, Carrier, Config
from services import controlling, first_start, periods, rehearsal
from services.installation import Installation
from simulator.billing.own import MARK_UP, deck_csv, offer, own_calls
from warehouse import insert, migrate, open_warehouse

NOW_MS = 1_794_000_000_000
MONTH = periods.period_ms("2026-10", "UTC")
ACCOUNTS, CARRIERS, CHUNK = 200, 7, 500_000
EVENTS = ("setup", "ringing", "answer", "stop")


def config() -> Config:
    """Accounts and carriers of the two agreements of a rehearsal."""
    made = rehearsal.config("t1")
    accounts = tuple(Account(tenant="t1", name=f"account-{place}", agreement="acme-sell") for place in range(ACCOUNTS))
    carriers = tuple(Carrier(tenant="t1", name=f"carrier-{place}", agreement="alpha-buy") for place in range(CARRIERS))
    return Config(agreements=made.agreements, accounts=accounts, carriers=carriers)


def spread(tables: dict[str, pl.DataFrame], first: int) -> dict[str, pl.DataFrame]:
    """A chunk of calls over the accounts and carriers, with its records, at offsets of its own."""
    place = pl.col("offset") + first
    account = pl.lit("account-") + (place * 7919 % ACCOUNTS).cast(pl.String)
    carrier = pl.lit("carrier-") + (place % CARRIERS).cast(pl.String)
    party = {"party": pl.when(pl.col("role") == "buy").then(carrier).otherwise(account)}
    records = pl.concat([
        tables["records"].with_columns(
            (4 * place + step).alias("offset"), (4 * place + step + 1).alias("seq"), pl.lit(event).alias("event"),
            pl.lit("rated" if event == "stop" else "event").alias("disposition"), account.alias("account"),
        ) for step, event in enumerate(EVENTS)
    ])  # fmt: skip
    found = {"records": records.select(tables["records"].columns).cast(dict(tables["records"].schema))}  # type: ignore[arg-type]
    for name in ("calls", "charges"):
        more = party if name == "charges" else {}
        trunk = {"ingress_trunk": account + "-sbc"} if name == "calls" else {}
        found[name] = tables[name].with_columns(account=account, carrier=carrier, **more, **trunk).with_columns(
            offset=4 * place + 2, record_offset=4 * place + 3)
    return found


def fill(folder: Path, calls: int) -> None:
    """A home with a month of calls."""
    installation = Installation.embedded(folder)
    first_start.lay(installation)
    decks = {"wholesale": deck_csv(), "retail": deck_csv(MARK_UP)}
    first_start.open_and_publish(installation, first_start.Start(config(), decks, "EUR", ("t1",)), NOW_MS)
    client = open_warehouse(installation.warehouse_dsn)
    migrate(client)
    for seed, first in enumerate(range(0, calls, CHUNK), 1):
        chunk = rehearsal.tables(own_calls(min(CHUNK, calls - first), seed, offer()), "t1")
        for name, frame in spread(chunk, first).items():
            insert(client, name, frame.to_arrow())
    client.close()


def ask(folder: Path, only: tuple[str, ...]) -> None:
    """Some controls, or all, in a process of their own: its memory is theirs."""
    start_s, cpu_s = time.perf_counter(), time.process_time()
    results = controlling.run(Installation.embedded(folder), "", MONTH, NOW_MS, only, keep=False)
    seconds, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    name = only[0] if only else f"all {len(results)} controls"
    print(f"{name:28s} {seconds:7.1f} s {cpu_s:7.1f} s of processors {memory_mb:7,} MB", flush=True)
    for one in results:
        if not only or one.status == "found":
            print(f"    {one.control:28s} {one.status:10s} {one.checked:12,} looked at {one.why_not[:80]}{one.items[:1] or ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--each", action="store_true", help="each control by itself as well")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")

    def apart(what: object, *values: object) -> None:
        process = context.Process(target=what, args=values)  # type: ignore[arg-type]
        process.start()
        process.join()

    with tempfile.TemporaryDirectory() as name:
        start_s = time.perf_counter()
        apart(fill, Path(name), arguments.calls)
        print(f"{arguments.calls:,} calls stored in {time.perf_counter() - start_s:.0f} s")
        apart(ask, Path(name), ())
        for one in controls() if arguments.each else ():
            apart(ask, Path(name), (one.name,))


if __name__ == "__main__":
    main()
