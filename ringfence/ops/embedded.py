"""`up`: prepares an installation, starts its parts, prints alerts and blocks, and stops the parts."""

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
from ringfence.ops.block_events import BlockEvents
from ringfence.ops.live_counts import LiveCounts
from ringfence.ops.secrets import Secrets, secrets_of
from ringfence.ops.stored_counts import StoredCounts, warehouse_query
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
    """A Kamailio on this machine, in shadow until a person makes it enforce."""


def run(settings: Settings, switch: Simulated | RealSwitch | None, *, fresh: bool = False) -> None:
    """Run until SIGINT or SIGTERM. Returns when every process has ended."""
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
        first_choice = settings
        settings = with_ports(settings)
        urls = prepare(settings, secrets, switch)
        endpoints.write(settings.run_dir, urls)
        try:
            with Terminal(Console()) as terminal:
                print_addresses(terminal, settings, secrets, urls, switch)
                if first_choice.pages_port not in (0, settings.pages_port):
                    taken = f"Port {first_choice.pages_port} (RINGFENCE_PAGES_PORT) is in use: the page is on port {settings.pages_port}."
                    terminal.print(taken, "yellow")
                if first_choice.metrics_port not in (0, settings.metrics_port):
                    taken = f"Ports from {first_choice.metrics_port} on (RINGFENCE_METRICS_PORT) are in use: "
                    terminal.print(f"{taken}metrics are on {settings.metrics_port} and the ports after it.", "yellow")
                supervise(terminal, settings, switch, stop)
        finally:
            endpoints.forget(settings.run_dir)


def migrate(settings: Settings) -> None:
    """Migrate an installation of an earlier release, in a process of its own: its memory for the warehouse's engine is freed at its end."""
    if not settings.installation.has_books:
        return
    command = [sys.executable, "-P", "-m", "ringfence", "migrate"]
    done = subprocess.run(command, env=inherited() | settings.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        options.give_up(done.stderr.strip())


def clear(settings: Settings) -> None:
    """Remove the contents of an earlier home, if it is one."""
    root = settings.root
    if not root.exists() or not any(root.iterdir()):
        return
    if not (root / MARKER).exists():
        options.give_up(f"{root} is not a home of Ringfence (it has no {MARKER}): nothing was removed.")
    with alone(root):
        for path in root.iterdir():
            if path.name not in (MARKER, LOCK):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        homes.mark(root)  # an earlier release may have made it


def with_ports(settings: Settings) -> Settings:
    """The settings with actual ports: free ones for 0. Gives up before anything starts if a port is in use."""
    chosen: dict[str, int] = {}
    for name, host in (("collector_port", settings.host), ("warehouse_port", LOOPBACK), ("control_port", LOOPBACK)):
        port: int = getattr(settings, name)
        if port and endpoints.taken(host, port):
            options.give_up(f"Port {port} of {host} is in use: set RINGFENCE_{name.upper()} to another port, or to 0 for any free one.")
        while not port or port in chosen.values():
            port = endpoints.free_port(host)
        chosen[name] = port
    chosen["pages_port"] = pages_port(settings, set(chosen.values()))
    chosen["metrics_port"] = metrics_port(settings, set(chosen.values()))
    return settings.model_copy(update=chosen)


def pages_port(settings: Settings, others: set[int]) -> int:
    """The page's port, or a free one if that is in use: a missing page must not stop the parts that block fraud."""
    port = settings.pages_port
    while not port or port in others or endpoints.taken(settings.pages_host, port):
        port = endpoints.free_port(settings.pages_host)
    return port


def metrics_port(settings: Settings, others: set[int]) -> int:
    """The first of the ports for metrics: the configured one, or if some of them are in use, the first of a free row. A missing port must not
    stop the parts that block fraud."""
    numbers = {ports.number(name) for name in (*ports.NUMBERS, *settings.judge_names)}

    def free(first: int) -> bool:
        mine = {first + number for number in numbers}
        return max(mine) < 65_536 and not mine & others and not any(endpoints.taken(settings.metrics_host, port) for port in mine)

    first = settings.metrics_port
    for _ in range(100):
        if first and free(first):
            return first
        first = endpoints.free_port(settings.metrics_host)
    options.give_up(
        f"No row of free ports for metrics was found on {settings.metrics_host}: set RINGFENCE_METRICS_PORT to a port with {max(numbers)} free "
        "ports after it."
    )


def prepare(settings: Settings, secrets: Secrets, switch: Simulated | RealSwitch | None) -> Endpoints:
    """Make the books with the starter config and the switch. Returns the addresses of the parts."""
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


def print_addresses(
    terminal: Terminal, settings: Settings, secrets: Secrets, urls: Endpoints, switch: Simulated | RealSwitch | None
) -> None:
    """Print the addresses and tokens that a person needs."""
    terminal.print(f"Ringfence in {settings.root}", "bold")
    code = codes.make(settings.pages_codes, time.time())
    terminal.print(f"  page      {urls.pages_url}/enter?code={code}", "bold")
    terminal.print("            this address works once, within an hour; `ringfence status` prints a new one")
    terminal.print(f"            token to unblock there and to see whole numbers: {secrets.pages_act_token}")
    terminal.print(
        f"  records   POST {urls.collector_url}/v1/records   (token: collector_token in {settings.state_dir / 'secrets.json'})"
    )
    terminal.print(f"  SELECT    {urls.warehouse_url}   (ClickHouse's HTTP; user ringfence, password {secrets.warehouse_token})")
    if urls.sip:
        terminal.print(f"  SIP       {urls.sip} -> {settings.carrier}   (Kamailio, in shadow unless made to enforce)")
    elif isinstance(switch, Simulated):
        terminal.print(
            f"  traffic   simulated, seed {switch.seed}, with an attack after {switch.attack_after_s:g} s; its switch refuses"
        )
    terminal.print(f"  metrics   GET {urls.parts['collector']}/metrics, /health, /ready   (the other parts': ringfence status)")
    terminal.print(f"  logs      {settings.run_dir}   Ctrl-C stops everything")


def supervise(terminal: Terminal, settings: Settings, switch: Simulated | RealSwitch | None, stop: threading.Event) -> None:
    """Start the parts in order, print what happens until `stop`, and stop them in reverse order."""
    up_log = settings.run_dir / "up.log"

    def report(text: str, style: str = "") -> None:
        terminal.event(text, style)
        logs.append(up_log, text)

    supervisor = Supervisor(report)
    counts = LiveCounts(open_journal(settings.journal_dsn))
    blocks = BlockEvents(settings.books_dsn)
    stored = StoredCounts(counts.start_offsets, warehouse_query(settings, counts.start_offsets))
    env = inherited() | settings.environment()
    fault = ""
    try:
        for name, argv in commands(settings, switch):
            log, beat = settings.run_dir / f"{name}.log", heartbeat.path_of(settings.run_dir, name)
            # -P: the home has a folder `journal`, which must not be imported if it is the current directory.
            supervisor.start(Child(name, [sys.executable, "-P", "-m", "ringfence", *argv], log, env, beat))
        while not stop.wait(STEP_S):
            now_ms = wall_clock_ms()
            supervisor.check(time.monotonic())
            counts.read(now_ms)
            counts.earlier = stored.counts
            for finding in counts.alerts:
                terminal.alert(finding)
            for order in counts.orders:
                terminal.block(order)
            for event in blocks.read(now_ms):
                report(event, "red")
            terminal.update(counts, blocks.counts, supervisor.running(), now_ms, supervisor.silent())
            if counts.fault and not fault:
                report(f"The journal cannot be read: {counts.fault}", "red")
            elif fault and not counts.fault:
                report("The journal can be read again")
            fault = counts.fault
    finally:
        terminal.print("Stopping ...", "dim")
        supervisor.stop()
        stored.close()
        counts.close()
        blocks.close()
    terminal.print(f"Stopped. {counts.dispositions.total():,} records were judged; all data is in {settings.root}.")


def commands(settings: Settings, switch: Simulated | RealSwitch | None) -> list[tuple[str, list[str]]]:
    """The parts and their command lines, in the order of their start: readers of a topic before its writers."""
    first = ("store", "watch", *settings.judge_names, "dispatcher", "router", "poster", "notify", "collector")
    found = [(name, ["flow", name]) for name in first]
    if isinstance(switch, Simulated):
        traffic = {"--seed": switch.seed, "--calls-per-s": switch.calls_per_s, "--attack-after-s": switch.attack_after_s}
        arguments = [text for name, value in traffic.items() for text in (name, str(value))]
        found += [("shipper", ["flow", "shipper"]), ("simulator", ["simulate", *arguments])]
    elif isinstance(switch, RealSwitch):
        found += [("kamailio", ["flow", "kamailio"]), ("shipper", ["flow", "shipper"])]
    # The pages come last: detection and blocking start first.
    return [*found, ("pages", ["flow", "pages"])]
