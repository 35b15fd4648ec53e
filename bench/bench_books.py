"""The figures of the books: posting, the proof, a run of invoices, a PDF. `python bench/bench_books.py 10000000` for ten million calls.

Calls are spread over 10,000 customers and a month, one sale and one purchase each (twice as many charges); books in SQLite, or at `--books ADDRESS`,
or in a PostgreSQL of its own (`--postgresql`), which flushes each commit to disk. Then, with `--writers`, so many jobs post the same charges from the
start again into other books, in small batches, while as many people pay; each charge is posted once, and the ledger is proven.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))

import msgspec
from postgresql_server import PostgreSQL

from assurance.invoice import Line
from books import Unavailable, ledger, open_books, reading, tenants, writing
from books import migrate as migrate_books
from books.ledger import Account
from core.posted import NOTHING, Posted
from services import invoice_pdf, invoicing, posting
from services import invoice_proof as proof
from services.installation import Installation, books
from warehouse import Warehouse, ask, migrate, open_warehouse, owed
from warehouse.owed import State

CUSTOMERS, PARTITIONS, CHUNK = 10_000, 4, 1_000_000
NOVEMBER_MS, SPAN_MS = 1_761_955_200_000, 30 * 86_400_000
A_ROUND = 1_000
"""Offsets of a partition that a round posts: 250 calls."""
NOW_MS = NOVEMBER_MS + 35 * 86_400_000

CHARGES = """
INSERT INTO charges (partition, offset, revision, run, role, level, attempt_no, segment, record_partition, record_offset, learned_ms,
    tenant, call_key, party, account, carrier, destination, start_ms, end_ms, charged_s, per_min_nanos, usage_nanos, nanos, currency, config_version)
SELECT toInt32(number % {partitions}) AS partition, intDiv(number, {partitions}) * 4 AS offset, 1, 0, side, 0, if(side = 'buy', 1, 0), 0,
    partition, offset + 3, at + 60000, 't1', lower(hex(h)), if(side = 'buy', concat('carrier-', toString(h % 7)),
    concat('customer-', toString(h % {customers}))),
    concat('customer-', toString(h % {customers})), concat('carrier-', toString(h % 7)), concat('destination ', toString(h2 % 40)), at, at + 60000,
    1 + h2 % 300 AS seconds, 1000000 * (1 + h2 % 40) AS price, toInt64(seconds * price / 60) AS amount, amount, 'EUR', 1
FROM (SELECT number, cityHash64(number, 1) AS h, cityHash64(number, 2) AS h2,
    toInt64({from_ms} + intDiv(toInt128(number) * {span_ms}, {calls})) AS at, arrayJoin(['sell', 'buy']) AS side FROM numbers({first}, {count}))
"""


def fill(client: Warehouse, calls: int) -> None:
    for first in range(0, calls, CHUNK):
        text = CHARGES.format(
            partitions=PARTITIONS, customers=CUSTOMERS, from_ms=NOVEMBER_MS, span_ms=SPAN_MS, calls=calls, first=first,
            count=min(CHUNK, calls - first),
        )  # fmt: skip
        client.command(text, settings={"max_partitions_per_insert_block": 0, "max_insert_threads": 2})
    last = 4 * (calls // PARTITIONS + 1)  # and the one before the round
    client.command(
        f"INSERT INTO records (partition, offset, learned_ms, tenant) SELECT toInt32(number % {PARTITIONS}), "
        f"arrayJoin([{max(0, last - A_ROUND - 1)}, {last}]), {NOVEMBER_MS + SPAN_MS}, 't1' FROM numbers({PARTITIONS})"
    )


class Timed:
    """Prints what a step took: on the clock, and of this process's processors (on a shared machine the clock says little)."""

    def __init__(self, what: str, unit: str) -> None:
        self.what, self.unit, self.count = what, unit, 0

    def __enter__(self) -> Timed:
        self.began, self.cpu = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        took, cpu = time.monotonic() - self.began, time.process_time() - self.cpu
        print(f"{self.what:20} {took:8.1f} s {cpu:8.1f} s of processors {self.count / took:14,.0f} {self.unit}/s", flush=True)


@contextmanager
def servers(wanted: bool) -> Iterator[tuple[str, str]]:
    """Two addresses of books on a PostgreSQL of its own, or "" twice."""
    if not wanted:
        yield "", ""
        return
    server = PostgreSQL("fsync = on\nshared_buffers = 256MB")
    try:
        yield server.fresh(), server.fresh()
    finally:
        server.close()


def opened(home: Path, name: str, address: str) -> Installation:
    """An installation with empty books of a tenant t1."""
    made = Installation.embedded(home)
    made = Installation(home, made.journal_dsn, made.warehouse_dsn, address or f"sqlite:///{home}/{name}.db", home / "spool")
    migrate_books(made.books_dsn)
    engine = open_books(made.books_dsn)
    with writing(engine) as conn:
        tenants.add(conn, "t1", 1)
    engine.dispose()
    return made


def a_round(client: Warehouse) -> None:
    """The step of a round after which all is posted, by the charges of every day and by those of its own days."""
    rows = partial(ask, client)
    all_of_it = posting.stored(rows, NOTHING).posted
    before = State(Posted({partition: max(1, end - A_ROUND) for partition, end in all_of_it.ends.items()}))
    after, since_ms, _ = posting.stored(rows, before.posted)
    for what, since in (("a round, every day", 0), ("a round, its days", since_ms)):
        with Timed(what, "rounds") as step:
            for _ in range(5):
                rows(owed.by_party(before, State(after), since_ms=since))
            step.count = 5


def at_once(installation: Installation, writers: int) -> int:
    """Posts everything by several jobs at once, each batch by one of them, while people record payments. Returns the charges."""

    def job(_: int) -> int:
        engine, client = open_books(installation.books_dsn), open_warehouse(installation.warehouse_dsn)
        done, idle = 0, 0
        while idle < 3:  # a job that finds another's batch stops, and starts again like the next minute's
            some = 0
            try:
                for one in posting.batches(client, engine, NOW_MS, 5_000):
                    some += one.charges
                idle = 0 if some else idle + 1
            except Unavailable:  # it waited for another job's batch for longer than a writer waits
                pass
            done += some
        client.close()
        engine.dispose()
        return done

    def people(writer: int) -> int:
        engine = open_books(installation.books_dsn)
        for at in range(50):
            owed = Account("t1", "receivable", "EUR", f"customer-{writer * 50 + at}")
            with writing(engine, row_locks=True) as conn:
                ledger.post(conn, ledger.transfer("payment", f"{writer}-{at}", owed, Account("t1", "cash", "EUR"), 10**9), NOW_MS)
        engine.dispose()
        return 0

    with ThreadPoolExecutor(2 * writers) as pool:
        done = [*pool.map(job, range(writers)), *pool.map(people, range(writers))]
    return sum(done)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("calls", type=int, nargs="?", default=100_000)
    options.add_argument("--books", default="")
    options.add_argument("--postgresql", action="store_true")
    options.add_argument("--writers", type=int, default=0)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-books-") as home, servers(asked.postgresql) as (first, second):
        installation = opened(Path(home), "books", asked.books or first)
        client = open_warehouse(installation.warehouse_dsn)
        migrate(client)
        with Timed("fill", "calls") as step:
            fill(client, asked.calls)
            step.count = asked.calls
        with Timed("post", "charges") as step:
            step.count = sum(one.charges for one in posting.post(installation, NOW_MS))
        with Timed("books prove", "charges") as step:
            proven = posting.prove(installation)
            step.count = proven.charges
        assert not proven.faults and proven.charges == 2 * asked.calls, proven.faults[:3]
        a_round(client)
        with Timed("invoices run", "invoices") as step:
            done = invoicing.run(installation, "t1", "2025-12-01", "bench", NOW_MS)
            step.count = len(done.drafts)
        assert len(done.drafts) == min(CUSTOMERS, len({one.party for one in done.drafts})) and not done.findings
        with Timed("approve and issue", "invoices") as step:
            with books(installation) as conn:
                invoicing.approve(conn, "t1", [], "bench", "", NOW_MS)
            while True:
                with books(installation) as conn:
                    some = invoicing.issue(conn, "t1", [], "bench", NOW_MS)
                step.count += len(some)
                if not some:
                    break
        with Timed("invoices prove", "charges") as step:
            shown = proof.prove(installation)
            step.count = shown.charges
        assert not shown.faults, shown.faults[:3]
        one = done.drafts[0]
        lines = tuple(Line(kind="calls", text=f"Destination {n}", amount=n, exact_nanos="0", calls=n, charged_s=60 * n) for n in range(300))
        one = one._replace(document=msgspec.json.encode(msgspec.structs.replace(one.read(), lines=lines)).decode())
        invoice_pdf.pdf(one, invoice_pdf.Style())
        with Timed("PDF of 300 lines", "PDFs") as step:
            for _ in range(10):
                invoice_pdf.pdf(one, invoice_pdf.Style())
            step.count = 10
        if asked.writers:
            shared = opened(Path(home), "shared", second)
            with Timed(f"post, {asked.writers} at once", "charges") as step:
                step.count = at_once(shared, asked.writers)
            proven = posting.prove(shared)
            engine = open_books(shared.books_dsn)
            with reading(engine) as conn:
                paid = ledger.balance(conn, Account("t1", "cash", "EUR"))
            engine.dispose()
            assert not proven.faults and not proven.unposted and step.count == proven.charges == 2 * asked.calls, (proven.faults[:3], step.count)
            assert paid == asked.writers * 50 * 10**9, paid
        client.close()


if __name__ == "__main__":
    main()
