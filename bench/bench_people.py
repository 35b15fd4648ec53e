"""Ten people at once with a running installation: how soon each page is drawn, how fresh the wall stays, and the memory of the pages' process.

.venv/bin/python bench/bench_people.py [--people 10] [--minutes 2] [--home DIR]

Each person is a WebSocket of its own that says what a browser says, and asks for each redraw when the page tells it to. Every other one stays on
the wall, which is drawn again each second; the others go from page to page, each time as a new visitor. The time of drawing is from the question to
the end of the script; what a browser takes to paint comes on top (`bench_page.py`). Freshness: how old the newest drawing of a wall is, at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from figures import print_ms

# isort: split
from running_up import Up
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from until import until
from websockets.asyncio.client import ClientConnection, connect

PAGES = ("alerts", "cases", "blocks", "calls", "routes", "invoices", "controls", "waterfall", "health")
STAYS_S = 3.0
"""How long a person looks at a page before the next."""


async def drawn(socket: ClientConnection, page: str, fragment: str = "") -> tuple[float, dict[str, float]]:
    """Milliseconds until the script has ended; and the fragments that are to be drawn again, each with its interval in seconds."""
    asked = BackMsg()
    asked.rerun_script.page_name, asked.rerun_script.query_string = page, "tenant=t1"
    asked.rerun_script.fragment_id, asked.rerun_script.is_auto_rerun = fragment, bool(fragment)
    began_s = time.perf_counter()
    await socket.send(asked.SerializeToString())
    again: dict[str, float] = {}
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(bytes(await socket.recv()))  # type: ignore[arg-type]
        kind = answer.WhichOneof("type")
        if kind == "auto_rerun":
            again[answer.auto_rerun.fragment_id] = answer.auto_rerun.interval
        elif kind == "script_finished":
            return 1000 * (time.perf_counter() - began_s), again


def entered(link: str) -> str:
    """The cookie of the session that a link opens; "" while nothing is served there."""
    try:
        return httpx2.get(link).headers["set-cookie"].partition(";")[0]
    except httpx2.ConnectError:
        return ""


def session(home: str, cookie: str) -> connect:
    return connect(f"{home.replace('http', 'ws', 1)}/_stcore/stream", origin=home, additional_headers={"Cookie": cookie}, subprotocols=["streamlit"],
        max_size=1 << 26)  # type: ignore[arg-type, list-item] # fmt: skip


async def on_the_wall(home: str, cookie: str, until_s: float, first: list[float], ages: list[float]) -> None:
    async with session(home, cookie) as socket:
        took, again = await drawn(socket, "")
        first.append(took)
        seen_s = time.monotonic()
        due = {name: seen_s + interval for name, interval in again.items()}
        while time.monotonic() < until_s:
            name = min(due, key=due.__getitem__)
            await asyncio.sleep(max(0.0, due[name] - time.monotonic()))
            _, more = await drawn(socket, "", name)
            again |= more
            due[name] = time.monotonic() + again[name]
            if again[name] <= 2.0:  # the live part; when it comes, the one before it is so old
                ages.append(1000 * (time.monotonic() - seen_s))
                seen_s = time.monotonic()


async def from_page_to_page(home: str, cookie: str, until_s: float, turn: int, took: list[float]) -> None:
    while time.monotonic() < until_s:
        async with session(home, cookie) as socket:
            took.append((await drawn(socket, PAGES[turn % len(PAGES)]))[0])
        turn += 1
        await asyncio.sleep(STAYS_S)


async def watched(up: Up, until_s: float, minutes: float) -> None:
    (pages,) = (one for one in up.children() if one.cmdline()[-2:] == ["flow", "pages"])
    began_s = time.monotonic()
    while True:
        print(f"  after {(time.monotonic() - began_s) / 60:4.1f} min the pages have {pages.memory_info().rss / 2**20:5.0f} MB", flush=True)
        if time.monotonic() >= until_s:
            return
        await asyncio.sleep(min(max(10.0, 6 * minutes), max(0.1, until_s - time.monotonic())))


async def people(up: Up, home: str, cookie: str, many: int, minutes: float) -> None:
    until_s = time.monotonic() + 60 * minutes
    first: list[float] = []
    ages: list[float] = []
    took: list[float] = []
    tasks = [
        on_the_wall(home, cookie, until_s, first, ages) if one % 2 else from_page_to_page(home, cookie, until_s, one, took) for one in range(many)
    ]
    await asyncio.gather(watched(up, until_s, minutes), *tasks)
    print_ms("the wall, opened by all at once", first)
    print_ms("another page, meanwhile", took)
    print_ms("freshness of the walls", ages)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--people", type=int, default=10)
    options.add_argument("--minutes", type=float, default=2)
    options.add_argument("--home", type=Path, help="a directory to keep")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        up = Up(arguments.home or Path(place) / "home", "--simulate", "--attack-after-s", "5")
        try:
            link = up.until_output(r"page +(http\S+)", 300)
            up.until_output(r"rated [1-9]", 300)
            home = "{0.scheme}://{0.netloc}".format(urlsplit(link))
            cookie = until(lambda: entered(link), 120, "the page is served")
            asyncio.run(people(up, home, cookie, arguments.people, arguments.minutes))
            print(f"load of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        finally:
            up.close()


if __name__ == "__main__":
    main()
