"""How long each page of the desk takes with many stored calls: every question that it asks, at the first visit and when it is drawn again.

.venv/bin/python bench/bench_pages.py [--calls 1000000,10000000] [--days 30] [--visits 20] [--only subject] [--home DIR]

The pages are drawn by Streamlit's own AppTest; their questions go through `services/` to a store that answers over HTTP, in this process. Each
number of calls is a column. `usable` is what a person waits for until the page is drawn, `wall` until nothing is "being read" any more; `cpu` is
processor time of page and store together, which a busy machine changes least. With --home the warehouses are made once and reused.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import shares
from stored_calls import fill
from streamlit import config
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from books import alerts, users, writing
from core.clock import wall_clock_ms
from core.orders import Finding, Key
from dashboards import current
from dashboards.access import session_cookie
from dashboards.desk import PAGES
from dashboards.page_settings import PageSettings
from dashboards.serve import OPTIONS, PAGE
from dashboards.warehouse_client import WarehouseClient
from flows.warehouse_server import serve
from ringfence.settings import Settings
from services import first_start
from services.waterfall import Recorded
from warehouse import Warehouse, migrate, open_warehouse

TOKEN = "the-token-of-this-bench"
SUBJECTS = {"account": "account-0", "carrier": "carrier-3", "trunk": "account-0-sbc", "number": "{number}", "range": "88213"}
"""The busiest account, trunk and range that are stored, a carrier, and the number of a call."""
ALERT = "the alert of this bench"
AGAIN_S = 0.05
KINDS = ("usable", "wall", "cpu")


def filled(home: Path, calls: int, days: float) -> Warehouse:
    """An installation with so many calls of tenant t1, its warehouse open in this process."""
    settings = Settings(home=home, tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), wall_clock_ms())
    is_new = not (home / "warehouse").exists()
    client = open_warehouse(settings.warehouse_dsn)
    migrate(client)
    if is_new:
        began_s = time.perf_counter()
        fill(client, calls, days, wall_clock_ms())
        rows, size = client.query("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'ringfence'").first_row
        print(f"{calls:,} calls over {days:g} days: {rows:,} rows, {size / 2**20:,.0f} MB, in {time.perf_counter() - began_s:.0f} s")
    return client


@contextmanager
def desk(home: Path, client: Warehouse) -> Iterator[PageSettings]:
    """The pages of this installation, for a person with every role."""
    settings = Settings(home=home, tenant="t1", countries="AT")
    server = serve(home / "warehouse", "127.0.0.1", 0, TOKEN)
    address = f"http://reader:{TOKEN}@127.0.0.1:{server.port}"
    try:
        yield PageSettings(
            home=str(home), warehouse=address, books=settings.books_dsn, journal=settings.journal_dsn, look=TOKEN, act=TOKEN[::-1]
        )
    finally:
        current.close()
        server.close()


class Watched:
    """Counts the questions that the pages ask, with the longest of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        ask = WarehouseClient.ask

        def timed(client: WarehouseClient, query):  # type: ignore[no-untyped-def]
            began_s = time.perf_counter()
            try:
                return ask(client, query)
            finally:
                self.asked.append((time.perf_counter() - began_s, query[0]))

        WarehouseClient.ask = timed  # type: ignore[method-assign]


def visit(settings: PageSettings, path: str, query: dict[str, str], prepared: Recorded) -> tuple[float, ...]:
    """Milliseconds of a first visit to a page, and of the same page when its answers are old: usable, wall, processor of each. `prepared`: what
    the process of the pages has asked for since its start."""
    signed_s = wall_clock_ms() // 1000
    sources = current.install(settings, wall_clock_ms, lambda: session_cookie(settings.key, "ann", signed_s))
    sources.recorded = prepared
    at = AppTest.from_file(str(PAGE), default_timeout=120)
    at._page_hash = calc_hash("" if path == PAGES[0].path else path)
    for name, value in {"tenant": "t1", **query}.items():
        at.query_params[name] = value
    found: list[float] = []
    for _ in range(2):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        while True:
            at.run()
            found += [1000 * (time.perf_counter() - wall_s)] if len(found) % len(KINDS) == 0 else []
            assert not at.exception, at.exception
            if not any(": being read." in one.proto.body for one in at.get("html")):
                break
            time.sleep(AGAIN_S)
        found += [1000 * (time.perf_counter() - wall_s), 1000 * (time.process_time() - cpu_s)]
        sources.forget()
    return tuple(found)


def pages(only: str, number: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    for entry in PAGES:
        if entry.path == "subject":
            for kind, value in SUBJECTS.items():
                yield f"subject: {kind}", "subject", {"kind": kind, "of": value.format(number=f"+{number}")}
        elif entry.path == "alerts":
            yield "alerts: the account's", "alerts", {"alert": ALERT}
        elif entry.path == "calls":
            yield "calls of an account", "calls", {"kind": "account", "of": SUBJECTS["account"]}
            yield "calls of a number", "calls", {"kind": "number", "of": f"+{number}"}
        else:
            yield entry.path, entry.path, {}


def alert() -> Finding:
    """About the busiest account."""
    now_ms, account = wall_clock_ms(), SUBJECTS["account"]
    return Finding(
        finding_id=ALERT, tenant="t1", detector="burst", subject_kind="account", subject=account, detected_at_ms=now_ms, first_ms=now_ms - 60_000,
        last_ms=now_ms, calls=40, exposure_nanos=10**11, currency="EUR", score=2.0, reason="", example_call_ids=[],
        key=Key(tenant="t1", account=account),
    )  # fmt: skip


def measure(home: Path, calls: int, days: float, visits: int, only: str) -> dict[str, list[tuple[float, ...]]]:
    client = filled(home, calls, days)
    number = client.query("SELECT b_number FROM calls WHERE startsWith(b_number, '43') ORDER BY learned_ms DESC LIMIT 1").first_row[0]
    watched, found = Watched(), {}
    with desk(home, client) as settings:
        engine = current.install(settings).engine()
        with writing(engine) as conn:
            if not users.every(conn):
                users.add(conn, "ann", "", "bench", "a bench", wall_clock_ms())
                users.set_role(conn, "ann", "t1", "tenant-admin", True, "bench", "a bench", wall_clock_ms())
            alerts.upsert(conn, alert(), wall_clock_ms())
        prepared, took = Recorded(), (time.perf_counter(), time.process_time())
        prepared.prepare(current.install(settings).ask, 0, math.inf)
        print(f"  after the start of the pages: the days of the waterfall in {time.perf_counter() - took[0]:.1f} s, "
            f"{time.process_time() - took[1]:.1f} s of a processor; their process spreads it over three times as long")
        for name, path, query in pages(only, number):
            if only and only not in name:
                continue
            visit(settings, path, query, prepared)  # modules, and the first look at the parts
            watched.asked.clear()
            found[name] = [visit(settings, path, query, prepared) for _ in range(visits)]
            took_s, slowest = max(watched.asked, default=(0.0, ""))
            slowest = f"{1000 * took_s:5.0f} ms: {' '.join(slowest.split())[:150]}"
            print(f"  {name:24s} {len(watched.asked) / 2 / visits:4.1f} questions, the slowest {slowest}")
    client.close()
    return found


def main() -> None:
    config.set_option("runner.postScriptGC", OPTIONS["runner.postScriptGC"])
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", default="20000,200000", help="how many calls each side has")
    options.add_argument("--days", type=float, default=30)
    options.add_argument("--visits", type=int, default=5)
    options.add_argument("--only", default="", help="a part of a page's name")
    options.add_argument("--home", type=Path, help="a directory to keep")
    arguments = options.parse_args()
    logging.disable(logging.WARNING)  # of the server's requests, and of Streamlit without a browser
    sizes = [int(one) for one in arguments.calls.split(",")]
    with tempfile.TemporaryDirectory() as place:
        root = arguments.home or Path(place)
        sides = [measure(root / f"{size}", size, arguments.days, arguments.visits, arguments.only) for size in sizes]
    print(f"{'ms, p50 / p95':26s}" + "".join(f"{f'{size:,} calls':^{36 * len(KINDS)}s}" for size in sizes))
    print(f"{'':26s}" + "".join(f"{f'{turn}: {one}':^18s}" for _ in sizes for turn in ("first", "again") for one in KINDS))
    for name in sides[0]:
        cells = [shares([visit[at] for visit in side[name]]) for side in sides for at in range(2 * len(KINDS))]
        print(f"{name:26s}" + "".join(f"{f'{p50:,.0f} / {p95:,.0f}':^18s}" for p50, p95, _ in cells))
    print(f"load of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
