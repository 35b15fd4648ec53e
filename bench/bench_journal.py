"""Throughput of the journal and of the collector, on files, and on Apache Kafka if this machine can start a broker (Java, Maven).
About 20 seconds each."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from books.credentials import Credential
from core.clock import wall_clock_ms

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))

from kafka_server import Broker, Missing

from journal import Entry, Journal, Reader, Writer, open_journal
from switches.collector import Limits, serve
from switches.post import connect, post_records

TOKEN = "a-token-for-the-bench"


def record(seq: int) -> bytes:
    """A stop of 430 bytes."""
    head = b'{"v":2,"event":"stop","switch":"k1","at_ms":1795000000000,"boot_id":"b1","seq":%d,"account":"a%d"' % (
        seq,
        seq % 2000,
    )
    return head + b',"user_agent":"' + b"x" * (430 - len(head) - 17) + b'"}'


def bench_journal(journal: Journal) -> None:
    journal.create("calls", 4)
    writer = journal.writer("calls", 0)
    total = 0
    for size in (1, 50, 500, 4000):
        took: list[float] = []
        until = time.perf_counter() + 1.5
        while time.perf_counter() < until:
            at_ms = wall_clock_ms()
            entries = [Entry(b"t1\x1facme", record(n), at_ms) for n in range(size)]
            began = time.perf_counter()
            writer.append(entries)
            took.append(time.perf_counter() - began)
        total += size * len(took)
        p50, p99 = statistics.median(took) * 1000, statistics.quantiles(took, n=100)[98] * 1000
        rate = size * len(took) / sum(took)
        print(f"append of {size:5d}, synced      {rate:12,.0f} records/s   p50 {p50:6.2f} ms  p99 {p99:6.2f} ms")
    reader = journal.reader("calls", 0, 0)
    began = time.perf_counter()
    count = 0
    while messages := reader.read():
        count += len(messages)
    assert count == total
    print(f"read, every one checked     {count / (time.perf_counter() - began):12,.0f} records/s")
    delays_s = [visible(writer, reader) for _ in range(50)]
    print(f"readable after its fsync    {statistics.median(delays_s) * 1000:12.1f} ms   longest {max(delays_s) * 1000:.1f} ms")
    began = time.perf_counter()
    journal.reader("calls", 0, count - 1).read()
    print(f"find the last offset        {(time.perf_counter() - began) * 1000:12.1f} ms")
    writer.close()
    began = time.perf_counter()
    journal.writer("calls", 0).close()
    print(f"open a writer               {(time.perf_counter() - began) * 1000:12.1f} ms")


def visible(writer: Writer, reader: Reader) -> float:
    """From the acknowledgement of one record until a reader that waits for it has it."""
    writer.append([Entry(b"t1\x1facme", record(0), wall_clock_ms())])
    began = time.perf_counter()
    while not reader.read():
        time.sleep(0.0001)
    return time.perf_counter() - began


def bench_readers(journal: Journal, partitions: int = 16) -> None:
    """What a process pays for many readers at rest."""
    journal.create("judged", partitions)
    me = psutil.Process()
    gc.collect()
    time.sleep(3)  # what was used before is let go
    threads, memory = me.num_threads(), me.memory_info().rss
    readers = [journal.reader("judged", partition, 0) for partition in range(partitions)]
    before, began = me.cpu_times(), time.perf_counter()
    while time.perf_counter() < began + 3:
        for reader in readers:
            reader.read()
        time.sleep(0.002)
    after = me.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / 3
    print(
        f"{partitions} readers, nothing new      {me.num_threads() - threads:5d} threads, {(me.memory_info().rss - memory) / 1e6:.1f} MB, "
        f"{cpu:.1%} of a core with a look every 2 ms"
    )


def run_collector(home: str, dsn: str, port: multiprocessing.Queue[int]) -> None:
    limits = Limits(records_per_s=1e9, burst_records=1e9)
    serve(
        journal=open_journal(dsn),
        spool=Path(home) / "spool",
        find_credential=lambda token: Credential(("t1",), "k1"),
        config_version=lambda: 1,
        limits=limits,
        listening=port.put,
    )


def bench_collector(url: str, collector: psutil.Process, size: int, clients: int, seconds: float = 2.0) -> None:
    lines = [record(n) for n in range(size)]
    took: list[float] = []

    def post() -> None:
        with connect(url, TOKEN) as client:
            while time.perf_counter() < until:
                began = time.perf_counter()
                post_records(client, lines)
                took.append(time.perf_counter() - began)

    before = collector.cpu_times()
    started = time.perf_counter()
    until = started + seconds
    threads = [threading.Thread(target=post) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - started
    after = collector.cpu_times()
    cpu_us = (after.user + after.system - before.user - before.system) * 1e6 / (size * len(took))
    p50, p99 = statistics.median(took) * 1000, statistics.quantiles(took, n=100)[98] * 1000
    rate = size * len(took) / spent
    print(
        f"collector, {clients} x posts of {size:4d}  {rate:12,.0f} records/s   p50 {p50:6.2f} ms  p99 {p99:6.2f} ms"
        f"   {cpu_us:7.1f} us of its CPU a record"
    )


def bench_spelling(dsn: str, home: str) -> None:
    bench_journal(open_journal(dsn))
    bench_readers(open_journal(dsn))
    port: multiprocessing.Queue[int] = multiprocessing.get_context("spawn").Queue()
    dsn = f"{dsn}&prefix=collected." if dsn.startswith("kafka") else f"{dsn}/collected"
    process = multiprocessing.get_context("spawn").Process(target=run_collector, args=(home, dsn, port), daemon=True)
    process.start()
    try:
        url = f"http://127.0.0.1:{port.get(timeout=30)}"
        with connect(url, TOKEN) as client:
            while not client.get("/v1/health").json()["ready"]:
                time.sleep(0.05)
        for size, clients in ((1, 1), (1, 8), (50, 4), (500, 1), (500, 4), (2000, 2)):
            bench_collector(url, psutil.Process(process.pid), size, clients)
    finally:
        process.terminate()
        process.join(15)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        print("-- files")
        bench_spelling(f"files://{home}/journal", f"{home}/files")
        try:
            broker = Broker(Path(home) / "broker", java=("-Xmx512m",))
        except Missing as error:
            print(f"-- Apache Kafka: left out, {error}")
            return
        with broker:
            print("-- Apache Kafka, one broker on this machine, each batch synced to its disk (one copy)")
            bench_spelling(broker.dsn(), f"{home}/kafka")


if __name__ == "__main__":
    main()
