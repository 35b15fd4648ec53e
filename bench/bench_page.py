"""How soon the first page can be used with many calls stored, in a real Chromium, over a whole running installation.

.venv/bin/python bench/bench_page.py [--calls 10000000] [--days 30] [--visits 5] [--home DIR]

Prints the time from navigation to the first figures and to the first answer to a click, of a browser that has never been here; what each
question of the page takes where it is answered, by one thread; and the memory of the page's process and of the store. Ten million calls are
forty million records: some minutes to make them, and 2 GB of disk; with --home they are made once, and stay there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from figures import need, print_ms
from playwright.sync_api import Error, sync_playwright
from stored_calls import fill

from warehouse import Warehouse, ask, migrate, open_warehouse, queries

PORTS = ("COLLECTOR", "WAREHOUSE", "CONTROL", "PAGES", "METRICS")
CHROMIUM = "/usr/bin/chromium"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
MINUTE_MS = 60_000


def store(home: Path, calls: int, days: float) -> None:
    """Fills the warehouse of a home before anything runs there."""
    began_s = time.perf_counter()
    client = open_warehouse(f"chdb://{home}/warehouse")
    migrate(client)
    fill(client, calls, days, time.time_ns() // 1_000_000)
    parts = client.query("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'ringfence'").first_row
    client.close()
    print(f"  {calls:,} calls over {days:g} days: {parts[0]:,} rows, {parts[1] / 2**20:,.0f} MB, in {time.perf_counter() - began_s:.0f} s")


def start(home: Path, log: Path) -> subprocess.Popen[bytes]:
    """`ringfence up --simulate` with a calm traffic and an attack after a minute."""
    env = os.environ | {f"RINGFENCE_{name}_PORT": "0" for name in PORTS} | {"RINGFENCE_HOME": str(home)}
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", "ringfence", "up", "--simulate", "--attack-after-s", "5"], env=env, stdout=out, stderr=out)


def said(log: Path, pattern: str, within_s: float = 120.0) -> str:
    until_s = time.monotonic() + within_s
    while not (found := re.search(pattern, log.read_text())):
        if time.monotonic() > until_s:
            raise SystemExit(f"nothing like {pattern!r} was said:\n{log.read_text()}")
        time.sleep(0.2)
    return found[1]


def visits(link: str, count: int) -> None:
    """Browsers that have never been here, one after the other."""
    figures: list[float] = []
    answered: list[float] = []
    for _ in range(count):
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(60_000)
            began_s = time.perf_counter()
            page.goto(link, wait_until="commit")
            page.wait_for_selector(".rf-tile b")
            figures.append(1000 * (time.perf_counter() - began_s))
            page.get_by_text("Act", exact=True).first.click()
            page.get_by_label("Your name").wait_for()
            answered.append(1000 * (time.perf_counter() - began_s))
            browser.close()
    print_ms("navigation to figures", figures)
    print_ms("navigation to the first answer to a click (interactive)", answered)


def wait_for(link: str) -> None:
    """Until the page is served: it starts last."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page()
        for _ in range(240):
            try:
                page.goto(link)
                break
            except Error:
                time.sleep(0.25)
        page.wait_for_selector(".rf-tile b", timeout=60_000)
        browser.close()


def questions(client: Warehouse) -> None:
    """What the page asks, each a few times, at the server's own clock."""
    now_ms = time.time_ns() // 1_000_000
    days = [row["day"] for row in ask(client, queries.days())]
    asked = {
        "each 2 s: records of the last minute": queries.records_a_second(now_ms - MINUTE_MS),
        "each 2 s: money of the last minute": queries.money_a_second(now_ms - MINUTE_MS),
        "each 2 s: how far it is stored": queries.stored_to(now_ms - 2 * MINUTE_MS),
        "each minute: records of 15 minutes": queries.records_a_second(now_ms - 15 * MINUTE_MS),
        "each minute: money of 15 minutes": queries.money_a_second(now_ms - 15 * MINUTE_MS),
        "each 10 s: which days have changed": queries.days(),
        "each 10 s or more: today's dispositions": queries.dispositions_of_day(days[0]),
    }
    for what, (sql, params) in asked.items():
        summaries = [client.query(sql, parameters=params).summary for _ in range(5)]
        print_ms(what, [int(one["elapsed_ns"]) / 1e6 for one in summaries])
    began_s = time.perf_counter()
    for day in days:
        ask(client, queries.dispositions_of_day(day))
    print(f"  once: all {len(days)} days' dispositions in {time.perf_counter() - began_s:.1f} s, half a second at a turn")


def memory(home: Path) -> None:
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        words = process.info["cmdline"] or []
        if words[-2:-1] == ["flow"] and words[-1] in ("pages", "store", "judge") and of_home(process, home):
            print(f"  memory of {words[-1]:6s} {process.info['memory_info'].rss / 2**20:6.0f} MB")


def of_home(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("RINGFENCE_HOME") == str(home)
    except psutil.Error:
        return False


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=200_000)
    options.add_argument("--days", type=float, default=30)
    options.add_argument("--visits", type=int, default=5)
    options.add_argument("--home", type=Path, help="a directory that stays; what is stored there already is taken as it is")
    given = options.parse_args()
    need("chromium")
    with tempfile.TemporaryDirectory() as place:
        home, log = given.home or Path(place) / "home", Path(place) / "up.txt"
        if not (home / "warehouse").exists():
            store(home, given.calls, given.days)
        up = start(home, log)
        try:
            link = said(log, r"page +(http\S+)")
            said(log, r"rated ([1-9])")
            wait_for(link)
            visits(link, given.visits)
            token = json.loads((home / "state" / "secrets.json").read_text())["warehouse_token"]
            address = said(log, r"SELECT +http://(\S+)")
            client = open_warehouse(f"http://ringfence:{token}@{address}", timeout_s=60)
            questions(client)
            client.close()
            memory(home)
            print(f"  load of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        finally:
            up.terminate()
            try:
                up.wait(60)
            finally:
                up.kill()


if __name__ == "__main__":
    main()
