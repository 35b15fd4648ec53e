"""How soon the first page is usable with many stored calls, in a real Chromium, with a running installation.

.venv/bin/python bench/bench_page.py [--calls 10000000] [--days 30] [--visits 5] [--home DIR]

Prints the time from navigation to the first figures and to the first answer to a click, in a new browser; the time of each
query of the page in the warehouse, with one thread; and the memory of the processes `pages` and `store`. Ten million calls are
forty million records: they take some minutes to make, and 2 GB of disk; with --home they are made once and reused.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

from figures import need, print_ms

from books import open_books, reading
from core.clock import wall_clock_ms
from services import posting

# isort: split
from chromium import new_page, visit
from running_up import Up
from stored_calls import FIRST_PARTITION, PARTITIONS, fill

from warehouse import Warehouse, ask, migrate, open_warehouse, queries

MINUTE_MS = 60_000
BEHIND, POST_S = 10_000, 900.0
"""Records of live traffic that may not be posted yet, and how long the poster may take for those that were stored before."""
SETTLE_S = 20.0
"""Pause after the start of eight processes."""


def store(home: Path, calls: int, days: float) -> None:
    """Fill the warehouse of a home before its parts start."""
    began_s = time.perf_counter()
    client = open_warehouse(f"chdb://{home}/warehouse")
    migrate(client)
    fill(client, calls, days, wall_clock_ms())
    parts = client.query("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'ringfence'").first_row
    client.close()
    print(f"  {calls:,} calls over {days:g} days: {parts[0]:,} rows, {parts[1] / 2**20:,.0f} MB, in {time.perf_counter() - began_s:.0f} s")


def is_posted(home: Path, client: Warehouse) -> bool:
    """Whether the poster has caught up with what was stored before the start: until then it asks for millions of charges."""
    engine = open_books(f"sqlite:///{home}/books.db")
    with reading(engine) as conn:
        behind = posting.reached(partial(ask, client), conn).behind
    engine.dispose()
    return behind < BEHIND


def visits(link: str, count: int) -> None:
    """New browsers, one after the other."""
    shown: list[float] = []
    answered: list[float] = []
    for _ in range(count):
        with new_page() as page:
            began_s = time.perf_counter()
            page.goto(link, wait_until="commit")
            page.wait_for_selector(".rf-tile b")
            shown.append(1000 * (time.perf_counter() - began_s))
            page.get_by_text("Sign in", exact=True).first.click()
            page.get_by_label("Your name").wait_for()
            answered.append(1000 * (time.perf_counter() - began_s))
    print_ms("navigation to figures", shown)
    print_ms("navigation to the first answer to a click (interactive)", answered)


def page_queries(client: Warehouse) -> None:
    """The queries of the page, a few times each, timed by the server."""
    now_ms = wall_clock_ms()
    days = [row["day"] for row in ask(client, queries.days())]
    asked = {
        "each second: records of the last minute": queries.records_per_second(now_ms - MINUTE_MS),
        "each second: money of the last minute": queries.money_per_second(now_ms - MINUTE_MS),
        "each 2 s: how far it is stored": queries.stored_to(now_ms - 2 * MINUTE_MS, range(FIRST_PARTITION + PARTITIONS)),
        "each minute: records of 15 minutes": queries.records_per_second(now_ms - 15 * MINUTE_MS),
        "each minute: money of 15 minutes": queries.money_per_second(now_ms - 15 * MINUTE_MS),
        "each 10 s: which days have changed": queries.days(),
        "each 10 s or more: today's dispositions": queries.dispositions_of_day(days[0]),
    }
    for what, (sql, params) in asked.items():
        summaries = [client.query(sql, parameters=params).summary for _ in range(5)]
        print_ms(what, [int(one["elapsed_ns"]) / 1e6 for one in summaries])
    began_s = time.perf_counter()
    for day in days:
        ask(client, queries.dispositions_of_day(day))
    print(f"  once: all {len(days)} days' dispositions in {time.perf_counter() - began_s:.1f} s, half a second per query")


def memory(up: Up) -> None:
    for process in up.children():
        command = process.cmdline()
        if command[-2:-1] == ["flow"] and command[-1] in ("pages", "store", "judge"):
            print(f"  memory of {command[-1]:6s} {process.memory_info().rss / 2**20:6.0f} MB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=200_000)
    options.add_argument("--days", type=float, default=30)
    options.add_argument("--visits", type=int, default=5)
    options.add_argument("--home", type=Path, help="a directory to keep; calls that are stored there already are reused")
    arguments = options.parse_args()
    need("chromium")
    with tempfile.TemporaryDirectory() as place:
        home = arguments.home or Path(place) / "home"
        if not (home / "warehouse").exists():
            store(home, arguments.calls, arguments.days)
        up = Up(home, "--simulate", "--attack-after-s", "5")
        try:
            link = up.until_output(r"page +(http\S+)")
            up.until_output(r"rated [1-9]")
            with new_page() as page:  # the page is served last
                visit(page, link)
                page.wait_for_selector(".rf-tile b")
            secrets = json.loads((home / "state" / "secrets.json").read_text())
            address = up.until_output(r"SELECT +http://(\S+)")
            client = open_warehouse(f"http://ringfence:{secrets['warehouse_token']}@{address}", timeout_s=60)
            up.until(lambda: is_posted(home, client), POST_S)
            time.sleep(SETTLE_S)
            visits(f"{link.partition('?')[0]}?look={secrets['pages_look_token']}", arguments.visits)  # the code in the link is spent
            page_queries(client)
            client.close()
            memory(up)
            print(f"  load of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        finally:
            up.close()


if __name__ == "__main__":
    main()
