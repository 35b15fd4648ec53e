"""Records per second through collector, judge and store, one process each, on the fixed mix of `bench_judge.py`.

    python bench/bench_through.py [RECORDS]

For comparison a plain loop over the same journal in the same run: consume, JSON to a frame, insert. The ratio is the cost of de-duplication,
assembly, two prices, detection and a second log. Processor time and memory are those of the operating system.
"""

from __future__ import annotations

import io
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import polars as pl
import psutil

from core import schemas, topics
from core.record import TICK_KEY
from journal import Journal, open_journal
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import first_start
from services.endpoints import free_port
from services.reading import warehouse
from simulator.mix import TENANT, bench_config, bench_mix
from switches.post import PostError, connect, post_records
from warehouse import insert, migrate, open_warehouse

PARTS = ("collector", "judge", "store")
POST = 500


class Envelope(msgspec.Struct):
    at_ms: int


def post_all(settings: Settings, token: str, lines: list[bytes]) -> None:
    """As a shipper: batch after batch, each acknowledged before the next."""
    client = connect(settings.collector_url, token)
    read = msgspec.json.Decoder(Envelope).decode
    for start in range(0, len(lines), POST):
        batch = lines[start : start + POST]
        while True:
            try:
                post_records(client, batch, complete_to_ms=read(batch[-1]).at_ms)
                break
            except PostError:
                time.sleep(0.1)


def stored(settings: Settings) -> int:
    with warehouse(settings.installation) as client:
        return int(client.query("SELECT count() FROM records").result_rows[0][0])


def wait(settings: Settings, records: int, within_s: float) -> None:
    end = time.monotonic() + within_s
    while stored(settings) < records:
        if time.monotonic() > end:
            raise SystemExit(f"{stored(settings):,} of {records:,} records were stored within {within_s:.0f} s")
        time.sleep(0.25)


def through(settings: Settings, lines: list[bytes]) -> float:
    """Records a second, from the first post until the last row is stored."""
    token = load_or_make(settings.state_dir).collector_token
    running: dict[str, psutil.Popen] = {}
    try:
        for name in PARTS:
            log = (settings.run_dir / f"{name}.out").open("ab")
            command = [sys.executable, "-m", "ringfence", "flow", name]
            running[name] = psutil.Popen(command, env=os.environ | settings.environment(), stdout=log, stderr=log)
        warm, rest = lines[:2000], lines[2000:]
        post_all(settings, token, warm)  # decks are read, loops compiled, tables made
        time.sleep(3)
        wait(settings, len(warm), 120)
        before = {name: sum(process.cpu_times()[:2]) for name, process in running.items()}
        begin = time.monotonic()
        post_all(settings, token, rest)
        posted_s = time.monotonic() - begin
        wait(settings, len(lines), 600)
        elapsed_s = time.monotonic() - begin
        print(f"through everything   {len(rest) / elapsed_s:,.0f} records/s ({len(rest):,} records; posted at {len(rest) / posted_s:,.0f}/s)")
        for name, process in running.items():
            spent = sum(process.cpu_times()[:2]) - before[name]
            rss = process.memory_info().rss / 2**20
            print(f"  {name:<18} {spent / len(rest) * 1e6:6.1f} us of processor a record, {rss:,.0f} MB resident")
        return len(rest) / elapsed_s
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def plain_loop(journal: Journal, directory: Path) -> float:
    """Consume, JSON to a frame, insert: what moving the same bytes costs at least."""
    client = open_warehouse(f"chdb://{directory}")
    migrate(client)
    columns = {name: dtype for name, dtype in schemas.FACTS.items() if name in schemas.JUDGED}
    count, begin = 0, time.monotonic()
    readers = [journal.reader(topics.CALLS, partition, 0) for partition in range(journal.partitions(topics.CALLS))]
    while batches := [messages for reader in readers if (messages := reader.read(20_000, 64 << 20))]:
        for partition, messages in enumerate(batches):
            records = [m for m in messages if m.key != TICK_KEY]
            if not records:
                continue
            frame = pl.read_ndjson(io.BytesIO(b"\n".join(m.value for m in records)), schema=columns)
            frame = frame.with_columns(
                pl.Series("partition", [partition] * len(records), dtype=pl.Int32),
                pl.Series("offset", [m.offset for m in records], dtype=pl.Int64),
                pl.Series("learned_ms", [m.learned_ms for m in records], dtype=pl.Int64),
            )
            insert(client, "records", frame.to_arrow())
            count += len(records)
    elapsed_s = time.monotonic() - begin
    client.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"a plain loop         {count / elapsed_s:,.0f} records/s: consume, JSON to a frame, insert ({peak:,.0f} MB at most, with the mix)")
    return count / elapsed_s


def main(n_records: int) -> None:
    lines = bench_mix(n_records)
    with tempfile.TemporaryDirectory() as home:
        collector, warehouse_, control = (free_port("127.0.0.1") for _ in range(3))
        settings = Settings(home=Path(home), tenant=TENANT, collector_port=collector, warehouse_port=warehouse_, control_port=control)
        first_start.lay(settings.installation)
        config, decks = bench_config()
        now_ms = round(time.time() * 1000)
        first_start.open_and_publish(settings.installation, first_start.Start(config, decks, "EUR", (TENANT,)), now_ms)
        first_start.connect_switch(settings.installation, load_or_make(settings.state_dir), "bench1", "loopback", settings.control_url, None, now_ms)
        print(f"the mix              {n_records:,} records of {len(lines[0])} bytes, 8 decks of 30,000 prefixes, 200,000 subjects")
        ours = through(settings, lines)
        plain = plain_loop(open_journal(settings.journal_dsn), Path(home) / "plain")
        print(f"ratio                {ours / plain:.2f} of the plain loop")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
