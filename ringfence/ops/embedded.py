"""`up`: prepares an installation, starts its parts, prints what happens, and stops them all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from rich.console import Console

from core.clock import wall_clock_ms
from dashboards import codes
from journal import open_journal
from ringfence import options, parts, simulation
from ringfence.ops import heartbeat, logs, ports
from ringfence.ops.block_news import Blocks
from ringfence.ops.earlier import Earlier, asked_of_warehouse
from ringfence.ops.live_counts import LiveCounts
from ringfence.ops.secrets import Secrets, secrets_of
from ringfence.ops.supervisor import Child, Supervisor
from ringfence.settings import LOOPBACK, Settings, inherited
from ringfence.terminal import Terminal
from services import endpoints, first_start, homes
from services.endpoints import Endpoints
from services.homes import LOCK, MARKER, alone
from switches.kamailio import packages

STEP_S = 0.25


@dataclass(frozen=True)
class Simulated:
    """The simulator and its switch, which enforces."""

    seed: int
    calls_per_s: float
    attack_after_s: float


@dataclass(frozen=True)
class RealSwitch:
    """A Kamailio beside us, in shadow until a person makes it enforce."""


def run(settings: Settings, switch: Simulated | RealSwitch | None, *, fresh: bool = False) -> None:
    """Runs until SIGINT or SIGTERM. Returns when every process has ended."""
    stop = parts.until_signalled(signal.SIGHUP)  # the terminal was closed
    if isinstance(switch, RealSwitch) and (fault := packages.fault()):
        options.give_up(f"{fault}. Nothing was started.")
    homes.restrict_umask()
    if fresh:
        clear(settings)
    try:
        homes.make_private(settings.root)
        homes.mark(settings.root)
    except homes.NotAHome as refused:
        options.give_up(str(refused))
    except OSError as error:
        options.give_up(f"{settings.root} cannot be a home: {error.strerror}. Name another --home.")
    with alone(settings.root):
        migrate(settings)
        first_start.lay(settings.installation)
        secrets = secrets_of(settings)
        wanted, wanted_page = settings.metrics_port, settings.pages_port
        settings = with_ports(settings)
        where = prepare(settings, secrets, switch)
        endpoints.write(settings.run_dir, where)
        try:
            with Terminal(Console()) as terminal:
                greet(terminal, settings, secrets, where, switch)
                if wanted_page not in (0, settings.pages_port):
                    terminal.print(f"Port {wanted_page} (RINGFENCE_PAGES_PORT) is taken: the page is at {settings.pages_port}.", "yellow")
                if wanted not in (0, settings.metrics_port):
                    terminal.print(
                        f"Some of the ports from {wanted} (RINGFENCE_METRICS_PORT) are taken: metrics are at {settings.metrics_port} and after it.",
                        "yellow",
                    )
                supervise(terminal, settings, switch, stop)
        finally:
            endpoints.forget(settings.run_dir)


def migrate(settings: Settings) -> None:
    """Brings what an earlier release has stored to this one, in a process of its own: it loads the warehouse's engine, and gives it back."""
    if not settings.installation.has_books:
        return
    command = [sys.executable, "-P", "-m", "ringfence", "migrate"]
    done = subprocess.run(command, env=inherited() | settings.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        options.give_up(done.stderr.strip())


def clear(settings: Settings) -> None:
    """Removes an earlier home, if it is one."""
    root = settings.root
    if not root.exists() or not any(root.iterdir()):
        return
    if not (root / MARKER).exists():
        options.give_up(f"{root} is not a home of Ringfence (it has no {MARKER}): nothing is removed.")
    with alone(root):
        for path in root.iterdir():
            if path.name not in (MARKER, LOCK):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        homes.mark(root)  # also where an earlier release had made it


def with_ports(settings: Settings) -> Settings:
    """The same settings with real ports: free ones for 0. A port that is taken is said before anything starts."""
    chosen: dict[str, int] = {}
    for name, host in (("collector_port", settings.host), ("warehouse_port", LOOPBACK), ("control_port", LOOPBACK)):
        port: int = getattr(settings, name)
        if port and endpoints.taken(host, port):
            options.give_up(f"Port {port} of {host} is taken: set RINGFENCE_{name.upper()} to another one, or to 0 for any.")
        while not port or port in chosen.values():
            port = endpoints.free_port(host)
        chosen[name] = port
    chosen["pages_port"] = pages_port(settings, set(chosen.values()))
    chosen["metrics_port"] = metrics_port(settings, set(chosen.values()))
    return settings.model_copy(update=chosen)


def pages_port(settings: Settings, others: set[int]) -> int:
    """The page's port, or a free one where that is taken: for want of a page nothing is kept from protecting calls."""
    port = settings.pages_port
    while not port or port in others or endpoints.taken(settings.pages_host, port):
        port = endpoints.free_port(settings.pages_host)
    return port


def metrics_port(settings: Settings, others: set[int]) -> int:
    """The first of the ports for metrics: the one that is set, or where some of them are taken, others in a row. For want of a port
    nothing is kept from protecting calls; `greet` says where they are."""
    numbers = {ports.number(name) for name in (*ports.NUMBERS, *settings.judge_names)}

    def free(first: int) -> bool:
        mine = {first + number for number in numbers}
        return max(mine) < 65_536 and not mine & others and not any(endpoints.taken(settings.metrics_host, port) for port in mine)

    first = settings.metrics_port
    for _ in range(100):
        if first and free(first):
            return first
        first = endpoints.free_port(settings.metrics_host)
    options.give_up(f"There are no {len(numbers)} free ports in a row on {settings.metrics_host}: set RINGFENCE_METRICS_PORT to the first of some.")


def prepare(settings: Settings, secrets: Secrets, switch: Simulated | RealSwitch | None) -> Endpoints:
    """The books, and in them the switch."""
    now_ms = wall_clock_ms()
    if isinstance(switch, Simulated):
        start = first_start.simulated(switch.seed, settings.tenant)
    else:
        start = first_start.starter(settings.tenant)
    first_start.open_and_publish(settings.installation, start, now_ms)
    if isinstance(switch, Simulated):
        first_start.connect_switch(settings.installation, secrets, simulation.SWITCH, "loopback", settings.control_url, True, now_ms)
    elif isinstance(switch, RealSwitch):
        first_start.connect_switch(settings.installation, secrets, parts.KAMAILIO, "kamailio", settings.control_url, None, now_ms)
    return Endpoints(
        pid=os.getpid(),
        pages_url=settings.pages_url,
        collector_url=settings.collector_url,
        warehouse_url=settings.warehouse_url,
        control_url=settings.control_url if switch else "",
        sip=f"{settings.host}:{settings.sip_port}" if isinstance(switch, RealSwitch) else "",
        parts={name: settings.part_url(name) for name, _ in commands(settings, switch)},
    )


def greet(
    terminal: Terminal, settings: Settings, secrets: Secrets, where: Endpoints, switch: Simulated | RealSwitch | None
) -> None:
    """What a person needs to know to look further."""
    terminal.print(f"Ringfence in {settings.root}", "bold")
    code = codes.make(settings.pages_codes, time.time())
    terminal.print(f"  page      {where.pages_url}/enter?code={code}", "bold")
    terminal.print("            this address opens it once, within an hour; `ringfence status` prints a new one")
    terminal.print(f"            to act there, and to see whole numbers: {secrets.pages_act_token}")
    terminal.print(
        f"  records   POST {where.collector_url}/v1/records   (token: collector_token in {settings.state_dir / 'secrets.json'})"
    )
    terminal.print(f"  SELECT    {where.warehouse_url}   (ClickHouse's HTTP; user ringfence, password {secrets.warehouse_token})")
    if where.sip:
        terminal.print(f"  SIP       {where.sip} -> {settings.carrier}   (Kamailio, in shadow unless made to enforce)")
    elif isinstance(switch, Simulated):
        terminal.print(
            f"  traffic   simulated, seed {switch.seed}, with an attack after {switch.attack_after_s:g} s; its switch refuses"
        )
    terminal.print(f"  metrics   GET {where.parts['collector']}/metrics, /health, /ready   (the other parts': ringfence status)")
    terminal.print(f"  logs      {settings.run_dir}   Ctrl-C stops everything")


def supervise(terminal: Terminal, settings: Settings, switch: Simulated | RealSwitch | None, stop: threading.Event) -> None:
    """Starts the parts in order, prints what happens until `stop`, stops them in the opposite order."""
    diary = settings.run_dir / "up.log"

    def say(text: str, style: str = "") -> None:
        terminal.event(text, style)
        logs.append(diary, text)

    supervisor = Supervisor(say)
    counts = LiveCounts(open_journal(settings.journal_dsn))
    blocks = Blocks(settings.books_dsn)
    earlier = Earlier(counts.began_at, asked_of_warehouse(settings, counts.began_at))
    env = inherited() | settings.environment()
    was_away = ""
    try:
        for name, argv in commands(settings, switch):
            log, beat = settings.run_dir / f"{name}.log", heartbeat.path_of(settings.run_dir, name)
            # -P: who stands in the home has a folder `journal` before him, which is no package.
            supervisor.start(Child(name, [sys.executable, "-P", "-m", "ringfence", *argv], log, env, beat))
        while not stop.wait(STEP_S):
            now_ms = wall_clock_ms()
            supervisor.check(time.monotonic())
            counts.read(now_ms)
            counts.earlier = earlier.counts
            for finding in counts.alerts:
                terminal.alert(finding)
            for order in counts.orders:
                terminal.block(order)
            for news in blocks.read(now_ms):
                say(news, "red")
            terminal.update(counts, blocks.counts, supervisor.running(), now_ms, supervisor.silent())
            if counts.away and not was_away:
                say(f"The journal cannot be read: {counts.away}", "red")
            elif was_away and not counts.away:
                say("The journal can be read again")
            was_away = counts.away
    finally:
        terminal.print("Stopping ...", "dim")
        supervisor.stop()
        earlier.close()
        counts.close()
        blocks.close()
    terminal.print(f"Stopped. {counts.dispositions.total():,} records were judged; all of it is in {settings.root}.")


def commands(settings: Settings, switch: Simulated | RealSwitch | None) -> list[tuple[str, list[str]]]:
    """The parts and their command lines, in the order in which they start: what is read from, before who writes to it."""
    first = ("store", "watch", *settings.judge_names, "dispatcher", "collector")
    found = [(name, ["flow", name]) for name in first]
    if isinstance(switch, Simulated):
        options_ = [
            "--seed",
            str(switch.seed),
            "--calls-per-s",
            str(switch.calls_per_s),
            "--attack-after-s",
            str(switch.attack_after_s),
        ]
        found += [("shipper", ["flow", "shipper"]), ("simulator", ["simulate", *options_])]
    elif isinstance(switch, RealSwitch):
        found += [("kamailio", ["flow", "kamailio"]), ("shipper", ["flow", "shipper"])]
    # Last: who looks can wait a moment longer than who protects.
    return [*found, ("pages", ["flow", "pages"])]
