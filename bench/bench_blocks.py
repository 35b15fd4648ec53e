"""Many blocks on a real Kamailio: how fast they are delivered, the cost of a comparison, how soon they are back after a restart, the cost of a
look-up per call, and how long a person's command waits during a flood of orders. Without Kamailio the loopback switch is used, without calls.

.venv/bin/python bench/bench_blocks.py [--blocks 20000]        (the design goal is 100000)
"""

from __future__ import annotations

import argparse
import logging
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import psutil
import structlog

from books import Engine, configs, deliveries, lists, migrate, open_books, orders, reading, switches, tenants, writing
from books.switches import Switch
from core.clock import wall_clock_ms
from core.config import Config, Trunk
from core.decide import Decision, Limits
from core.orders import BlockOrder, Key
from core.topics import BLOCK_ORDERS
from journal import Entry, Journal, create_topics, open_journal
from services.endpoints import free_port
from switches.control import Change, Control
from switches.deliver import Pace
from switches.dispatcher import Dispatcher
from switches.kamailio.control import KamailioControl
from switches.kamailio.process import Running, start
from switches.kamailio.settings import Settings
from switches.kinds import connect
from switches.loopback import Loopback

TOKEN = "a-token-of-the-bench"
PLENTY = Limits(orders_per_minute=10**9, distinct_subjects=10**9)
HOUR_MS = 3_600_000
FLOOD = 5_000


def key(number: int) -> Key:
    return Key(tenant="t1", account=f"a{number % 5000}", b_range=str(880_000_000 + number))


def order(number: int) -> BlockOrder:
    at = wall_clock_ms()
    return BlockOrder(
        order_id=f"order-{number:020x}", key=key(number), action="refuse", created_at_ms=at, learned_ms=at,
        expires_at_ms=at + 8 * HOUR_MS, finding_id="finding", reason="a burst",
    )  # fmt: skip


def timed(what: str, do: Callable[[], object], note: Callable[[float], str] = lambda took_s: "") -> float:
    began_s, cpu_s = time.perf_counter(), time.process_time()
    do()
    took_s = time.perf_counter() - began_s
    print(f"{what:<56} {took_s:8.2f} s   (our CPU {time.process_time() - cpu_s:6.2f} s)  {note(took_s)}")
    return took_s


# --- the switch ---


def kamailio(home: Path) -> Running:
    settings = Settings(
        switch="k1", spool_dir=home / "spool", run_dir=home / "run", control_token=TOKEN, secret="of the bench",
        sip_port=free_port("127.0.0.1"), control_port=free_port("127.0.0.1"), workers=2,
        max_invites_per_s=10**6,
    )  # fmt: skip
    return start(settings)


def memory_mb(running: Running) -> float:
    """Of all its processes together, shared pages counted once."""
    mine = str(running.settings.run_dir).encode()
    return sum(
        process.memory_full_info().pss
        for process in psutil.process_iter()
        if process.name() == "kamailio" and mine in b" ".join(word.encode() for word in process.cmdline())
    ) / (1 << 20)


def invite_ms(sock: socket.socket, port: int, number: int) -> float:
    """From an INVITE to its final answer (503: there is no carrier)."""
    own = sock.getsockname()[1]
    head = (
        f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{number}\r\nMax-Forwards: 9\r\nFrom: <sip:4318123456@x>;tag={number}\r\n"
        f"To: <sip:882131234567890@x>{{tag}}\r\nCall-ID: {number}\r\nCSeq: 1 {{method}}\r\nContent-Length: 0\r\n\r\n"
    )
    uri = f"sip:882131234567890@127.0.0.1:{port} SIP/2.0\r\n"
    began_s = time.perf_counter()
    sock.send(f"INVITE {uri}{head.format(tag='', method='INVITE')}".encode())
    while (answer := sock.recv(4096)).split(b" ", 2)[1][:1] == b"1":
        pass
    took_ms = 1000 * (time.perf_counter() - began_s)
    tag = answer.split(b"\r\nTo: ", 1)[1].split(b"\r\n", 1)[0].partition(b">")[2].decode()
    sock.send(f"ACK {uri}{head.format(tag=tag, method='ACK')}".encode())
    return took_ms


def calls_ms(port: int, first: int, count: int = 400) -> list[float]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        return sorted(invite_ms(sock, port, first + n) for n in range(count))


def looked_up(running: Running, control: Control) -> None:
    """The same calls with the look-ups and (held: the question comes before them) without. No entry matches: the worst case."""
    port, runs = running.settings.sip_port, {}
    calls_ms(port, 10**6)
    for at, held in enumerate((False, True, False, True)):
        control.set_hold(held)
        runs.setdefault(held, []).extend(calls_ms(port, 10**7 + at * 10**6))
    control.set_hold(False)
    for held, times in runs.items():
        times.sort()
        variant = "without look-ups (on hold)" if held else "with 128 look-ups, no match"
        print(
            f"INVITE to final answer {variant:<33} p50 {statistics.median(times):.3f} ms, p99 {times[int(0.99 * len(times))]:.3f} ms"
        )
    print(
        f"a look-up costs a call {'':<33} {statistics.median(runs[False]) - statistics.median(runs[True]):.3f} ms (promise: under 1)"
    )


# --- the books ---


def fill(engine: Engine, count: int) -> None:
    for start_at in range(0, count, 500):
        with writing(engine) as conn:
            for number in range(start_at, min(count, start_at + 500)):
                orders.write(conn, order(number), Decision("standing", "bench", True, order(number).expires_at_ms), wall_clock_ms(), automatic=True)


def due(engine: Engine) -> int:
    with reading(engine) as conn:
        return deliveries.due_count(conn, "k1")


def flood(engine: Engine, journal: Journal, dispatcher: Dispatcher, blocks: int) -> None:
    """Orders pour in while a person lifts one block after the other."""
    writer = journal.writer(BLOCK_ORDERS, 0)
    stop = threading.Event()
    running = threading.Thread(target=dispatcher.run, args=(stop,))
    running.start()
    time.sleep(0.5)
    writer.append([Entry(b"k", msgspec.json.encode(order(blocks + n)), wall_clock_ms()) for n in range(FLOOD)])
    began_s, waits_s = time.perf_counter(), []
    last = orders_of(engine, blocks + FLOOD - 1)
    while not last() and time.perf_counter() - began_s < 120:
        at_s = time.perf_counter()
        with writing(engine) as conn:
            orders.lift(conn, Key(tenant="t1", account=f"z{len(waits_s)}"), "ann", "bench", wall_clock_ms())
        waits_s.append(time.perf_counter() - at_s)
        time.sleep(0.1)
    took_s = time.perf_counter() - began_s
    print(f"{FLOOD} orders flood in {'':<35} {took_s:8.2f} s   ({FLOOD / took_s:.0f} orders/s through books and journal)")
    print(
        f"a person's lift meanwhile {'':<30} p50 {statistics.median(waits_s):.3f} s, max {max(waits_s):.3f} s of {len(waits_s)}"
    )
    stop.set()
    running.join()
    writer.close()


def orders_of(engine: Engine, number: int) -> Callable[[], bool]:
    def there() -> bool:
        with reading(engine) as conn:
            return orders.find(conn, f"order-{number:020x}") is not None

    return there


def main(blocks: int) -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    home = Path(tempfile.mkdtemp(prefix="bench-blocks-"))
    real = shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin:/usr/bin") is not None
    running = kamailio(home) if real else None
    served = None if running else Loopback().serve(0, TOKEN)
    url = running.control_url if running else served.url  # type: ignore[union-attr]
    engine = open_books(str(home / "books.db"))
    migrate(engine)
    journal = open_journal(f"files://{home}/journal")
    create_topics(journal)
    switch = Switch("k1", "kamailio" if real else "loopback", url, TOKEN)
    control = connect(switch)
    print(f"{blocks} blocks on {'Kamailio' if real else 'the loopback switch: Kamailio is not installed'}")
    try:
        with writing(engine) as conn:
            tenants.add(conn, "t1", wall_clock_ms())
            lists.seed_emergency(conn, ["AT", "DE", "US"], wall_clock_ms())
            switches.add(conn, *switch, wall_clock_ms())
            trunk = Trunk(tenant="t1", name="in-1", account="caller", sources=("127.0.0.1",))
            configs.publish(conn, Config(version=0, trunks=(trunk,)), "bench", "bench", wall_clock_ms())
            switches.set_enforcing(conn, "k1", "t1", True, "bench", "bench", wall_clock_ms())
        empty_mb = memory_mb(running) if running else 0.0
        timed("orders into the books", lambda: fill(engine, blocks), lambda took_s: f"{blocks / took_s:.0f}/s")
        dispatcher = Dispatcher(engine, journal, clock=wall_clock_ms, holder="bench", limits=PLENTY, pace=Pace(compare_ms=10**9))
        dispatcher.maintain()
        timed("from the books to the switch", dispatcher.deliver_once, lambda took_s: f"{blocks / took_s:.0f}/s")
        assert len(control.entries("blocks")) == blocks
        comparing = Dispatcher(engine, journal, clock=wall_clock_ms, holder="bench", limits=PLENTY, pace=Pace(look_ms=0, compare_ms=0))
        timed("a compare, nothing drifted", comparing.deliver_once)
        if isinstance(control, KamailioControl):
            timed("  of which the switch sums up its table", partial(control.digest, "blocks"))
        gone = key(7).entry()
        control.apply([Change("blocks", gone, "", 0), Change("blocks", "t1|A|stranger||", f"order-{7:020x}", 600)])
        timed("one missing beside one stranger, found", comparing.deliver_once)
        timed("  and repaired", comparing.deliver_once)
        assert gone in (there := control.entries("blocks")) and "t1|A|stranger||" not in there
        ours_mb = psutil.Process().memory_info().rss / (1 << 20)
        print(
            f"memory: dispatcher {ours_mb:.0f} MB"
            + (f", Kamailio {empty_mb:.0f} -> {memory_mb(running):.0f} MB" if running else "")
        )
        if running:
            looked_up(running, control)
            running.kill()
            running = start(running.settings)
            timed(
                "after a kill -9 of Kamailio all are back",
                lambda: back(comparing, control, blocks),
                lambda s: f"{blocks / s:.0f}/s",
            )
        comparing.close()
        flood(engine, journal, Dispatcher(engine, journal, clock=wall_clock_ms, holder="bench-2", limits=PLENTY), blocks)
    finally:
        control.close()
        if running:
            running.kill()
        if served:
            served.close()
        engine.dispose()
        shutil.rmtree(home, ignore_errors=True)


def back(dispatcher: Dispatcher, control: Control, blocks: int) -> None:
    while dispatcher.deliver_once()["k1"].sent < blocks:
        time.sleep(0.1)
    assert len(control.entries("blocks")) == blocks


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--blocks", type=int, default=20_000)
    main(parser.parse_args().blocks)
