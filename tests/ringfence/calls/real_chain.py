"""The whole path of a call: SIPp, Kamailio, shipper, collector, judge, store and dispatcher, each its own process on loopback.

Every customer has an address of its own (127.0.1.N), so tests that share a chain do not disturb each other's money.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from kamailio_calls import (
    Bench,
    Sipp,
    ack,
    ack_refusal,
    answer,
    expect,
    in_call,
    invite,
    ok_in_call,
    pause,
    receive,
    scenario,
)
from ports import free_port
from until import until

from books import open_books, switches, writing
from core.config import Account, Carrier, Config, Trunk
from core.message import Message
from core.record import TICK_KEY
from core.topics import CALLS
from journal import open_journal
from ringfence.ops import end_with_parent
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import first_start
from services.completeness import coverage
from switches.kamailio import process
from switches.kamailio.control import KamailioControl
from switches.kamailio.settings import Settings as Kamailio
from switches.signed_log import signed_records
from warehouse import WarehouseDown, ask, open_warehouse, queries

TENANT, SWITCH = "t1", "k1"
PARTS = ("store", "judge", "dispatcher", "collector", "shipper")
"""In the order of their start."""

HEAD = "prefix,destination,price_per_min,connect_fee,attempt_fee,first_s,next_s,effective_from,effective_to\n"
PREMIUM = "88213"
BRIEF = "c0"
"""The account whose calls the switch ends after three seconds."""
DECKS = {
    "sell": f"{HEAD}43,Austria,0.06,0.01,,1,1,,\n{PREMIUM},Satellite,6.00,,,60,60,,\n88214,Satellite,6.00,,,60,60,,\n",
    "alpha": f"{HEAD}43,Austria,0.03,0.004,0.001,1,1,,\n882,Satellite,3.00,,,60,60,,\n",
    "beta": f"{HEAD}43,Austria,0.036,0.005,0.002,1,1,,\n882,Satellite,3.60,,,60,60,,\n",
}

NO_CIRCUIT, EARLY_MEDIA, REINVITE, CROSSING = "43503", "43183", "43222", "43487"
"""Prefix of the called number -> answer of carrier alpha; other numbers are answered with 200. The last four digits: ms of ringing."""


class Customer(NamedTuple):
    account: str
    trunk: str
    address: str


def customers(count: int) -> list[Customer]:
    """Customers, each with an address of its own."""
    return [Customer(f"c{n}", f"in-c{n}", f"127.0.{1 + n // 200}.{1 + n % 200}") for n in range(count)]


def config_of(known: list[Customer], ports: dict[str, int]) -> Config:
    """`ports`: carrier -> its port on loopback, in the order in which they are tried."""
    return Config(
        version=0,
        accounts=tuple(Account(tenant=TENANT, name=c.account, sell_deck="sell") for c in known),
        carriers=tuple(Carrier(tenant=TENANT, name=name, buy_deck=name) for name in ("alpha", "beta")),
        trunks=(
            *(
                Trunk(
                    tenant=TENANT, name=c.trunk, account=c.account, sources=(c.address,),
                    max_call_s=3 if c.account == BRIEF else 14_400,
                )
                for c in known
            ),
            *(
                Trunk(tenant=TENANT, name=f"out-{name}", carrier=name, address=f"127.0.0.1:{port}", trunk_group=f"tg-{name}")
                for name, port in ports.items()
            ),
        ),
    )  # fmt: skip


# --- the two sides ---


def callee(carrier: str) -> str:
    """A carrier; the called number says what it does."""
    full = NO_CIRCUIT if carrier == "alpha" else "no such number"
    branches = {"is_full": full, "is_early": EARLY_MEDIA, "is_reinvite": REINVITE, "is_crossing": CROSSING}
    find = "".join(
        f'<ereg regexp="^INVITE sip:{number}" search_in="msg" assign_to="{name}"/>' for name, number in branches.items()
    )
    open_ = (
        '<recv request="INVITE" rrs="true"><action>'
        '<ereg regexp="^INVITE sip:[0-9]*([0-9]{4})@" search_in="msg" assign_to="whole,digits"/>'
        '<todouble assign_to="ring" variable="digits"/>'
        '<ereg regexp=".*" search_in="hdr" header="Record-Route:" assign_to="route"/>'
        f"{find}</action></recv>"
    )
    ring = '<pause variable="ring"/>'
    pick_up = [answer(180, "Ringing"), ring, answer(200, "OK", media=True, retrans=True), receive("ACK")]
    hang_up = [receive("BYE"), ok_in_call(), '<nop next="end"/>']
    cancelled = answer(200, "OK", media=True, retrans=True).replace("[last_Record-Route:]", "Record-Route:[$route]")
    return scenario(
        open_,
        *(f'<nop next="{name}" test="{name}"/>' for name in branches),
        *pick_up, *hang_up,
        '<label id="is_full"/>', answer(503, "No Circuit", extra="Reason: Q.850;cause=34\n"), receive("ACK"), '<nop next="end"/>',
        '<label id="is_early"/>', answer(183, "Session Progress", media=True), ring, answer(480, "Gone"),
        receive("ACK"), '<nop next="end"/>',
        '<label id="is_reinvite"/>', *pick_up, receive("INVITE"), ok_in_call(), receive("ACK"), *hang_up,
        '<label id="is_crossing"/>', answer(180, "Ringing"), receive("CANCEL"), ok_in_call(),
        cancelled.replace("[last_CSeq:]", "CSeq: 1 INVITE"), receive("ACK"), *hang_up,
        '<label id="end"/>', '<Reference variables="whole"/>',
    )  # fmt: skip


def talk_or_refused(talk_ms: int) -> str:
    """A caller that talks if the call passes, and accepts a 603."""
    provisional = "".join(expect(code, optional=True) for code in (100, 180, 183))
    return scenario(
        invite(), provisional, '<recv response="603" optional="true" next="refused"/>', expect(200, rrs=True), ack(),
        pause(talk_ms), in_call("BYE", 2), expect(200), '<nop next="end"/>',
        '<label id="refused"/>', ack_refusal(), '<label id="end"/>',
    )  # fmt: skip


def never_hangs_up() -> str:
    """A caller whose BYE is lost; the switch's BYE ends the call."""
    provisional = "".join(expect(code, optional=True) for code in (100, 180, 183))
    return scenario(invite(), provisional, expect(200, rrs=True), ack(), receive("BYE", timeout_ms=20_000), ok_in_call())


# --- the chain ---


@dataclass(eq=False)
class Chain:
    settings: Settings
    bench: Bench
    known: list[Customer]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    handed_out: int = 0

    # --- life ---

    def start(self, *names: str) -> None:
        for name in names or PARTS:
            if name in self.running and self.running[name].poll() is None:
                continue
            flow = [sys.executable, "-m", "ringfence", "flow", name]
            argv = [sys.executable, "-I", "-S", end_with_parent.__file__, str(os.getpid()), *flow]
            with (self.settings.run_dir / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(argv, env=os.environ | self.settings.environment(), stdout=log, stderr=log)

    def start_all(self) -> None:
        """Start parts; returns when they answer."""
        self.start()
        self.until(self._answers, 40, "the warehouse")

    def _answers(self) -> bool:
        with suppress(WarehouseDown):
            return bool(self.query(("SELECT 1 AS one", {})))
        return False

    def kill(self, *names: str) -> None:
        """SIGKILL."""
        for name in names or PARTS:
            self.running[name].kill()
            self.running[name].wait()

    def check_alive(self) -> None:
        """No part ends but by our kills."""
        for name, part in self.running.items():
            if (code := part.poll()) not in (None, -signal.SIGKILL):
                raise AssertionError(f"{name} ended with {code}: {self.log(name)[-3000:]}")

    def log(self, name: str) -> str:
        return (self.settings.run_dir / f"{name}.log").read_text()

    def until(self, true: Callable[[], Any], within_s: float = 60.0, what: str | Callable[[], str] = "it") -> Any:
        return until(true, within_s, what, meanwhile=self.check_alive)

    def close(self) -> None:
        for name in self.running:
            self.kill(name)
        self.bench.close()

    # --- customers and commands ---

    def customer(self) -> Customer:
        """A customer that no test has used."""
        self.handed_out += 1
        return self.known[self.handed_out - 1]

    def ask(self, *arguments: str) -> str:
        """Run a command."""
        env = os.environ | self.settings.environment()
        command = [sys.executable, "-m", "ringfence", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def call(self, who: Customer, number: str, xml: str, *, calls: int = 1, rate: float = 10, timeout_s: int = 60) -> Sipp:
        return self.bench.caller(xml, number, source=who.address, calls=calls, rate=rate, timeout_s=timeout_s)

    # --- results ---

    def query(self, query: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        token = load_or_make(self.settings.state_dir).warehouse_token
        client = open_warehouse(self.settings.warehouse_url.replace("://", f"://ringfence:{token}@"))
        try:
            return ask(client, query)
        finally:
            client.close()

    def rated(self, who: Customer) -> list[dict[str, Any]]:
        """The current calls of a customer, in the order of their setup."""
        money = ", ".join(f"toInt64({side} * 1000000000) AS {side}_nanos" for side in ("sell", "buy", "buy_attempt_fees"))
        sql = f"SELECT *, {money} FROM priced_calls WHERE account = {{account:String}} ORDER BY setup_ms"
        return self.query((sql, {"account": who.account}))

    def wait_rated(self, who: Customer, count: int, within_s: float = 60.0) -> list[dict[str, Any]]:
        self.until(lambda: len(self.rated(who)) >= count, within_s, f"{count} rated calls of {who.account}")
        return self.rated(who)

    def stored(self, who: Customer, event: str = "") -> list[dict[str, Any]]:
        """The records of a customer."""
        sql = "SELECT * FROM records_latest WHERE account = {account:String} AND {event:String} IN ('', event) ORDER BY seq"
        return self.query((sql, {"account": who.account, "event": event}))

    def journalled(self) -> Iterator[tuple[int, Message]]:
        """The messages of `calls` without ticks: partition, message."""
        journal = open_journal(self.settings.journal_dsn)
        for partition in range(journal.partitions(CALLS)):
            reader = journal.reader(CALLS, partition, 0)
            while batch := reader.read():
                yield from ((partition, m) for m in batch if m.key != TICK_KEY)
            reader.close()

    def held(self, who: Customer, b_range: str = "", table: str = "blocks") -> str:
        """The order at the switch against a customer, or ""."""
        return self.control().entries(table).get(f"{TENANT}|A|{who.account}||{b_range}", "")

    def held_any(self, who: Customer) -> dict[str, str]:
        """All entries at the switch against a customer."""
        entries = {**self.control().entries("blocks"), **self.control().entries("shadow")}
        return {key: order for key, order in entries.items() if key.split("|")[2] == who.account}

    def control(self) -> KamailioControl:
        return KamailioControl(self.settings.control_url, load_or_make(self.settings.state_dir).control_token)

    def written(self) -> set[tuple[str, int]]:
        """(boot, sequence) of every record that the switch wrote to its spool or its log."""
        log = self.bench.running.log.read_bytes()
        lines = [*self.bench.lines(), *signed_records(log, self.bench.running.settings.secret.encode()).lines]
        return {(r["boot_id"], r["seq"]) for r in map(msgspec.json.decode, lines)}

    def assert_nothing_is_lost(self, within_s: float = 30.0) -> None:
        """Every record of the switch is in the journal, every offset has its row, and no sequence number is missing."""
        written = self.written()

        def arrived() -> set[tuple[str, int]]:
            return {(r.get("boot_id"), r.get("seq")) for r in (msgspec.json.decode(m.value) for _, m in self.journalled())}

        self.until(lambda: written <= arrived(), within_s, "the last record in the journal")
        journal = open_journal(self.settings.journal_dsn)
        ends = {p: journal.end_offset(CALLS, p) for p in range(journal.partitions(CALLS))}

        def lost() -> list[int]:
            token = load_or_make(self.settings.state_dir).warehouse_token
            client = open_warehouse(self.settings.warehouse_url.replace("://", f"://ringfence:{token}@"))
            try:
                return [offset for part in coverage(journal, client, ends) for offset in part.lost]
            finally:
                client.close()

        self.until(lambda: not lost(), within_s, "a row for every offset")
        assert self.query(queries.gaps()) == []
        assert self.query(("SELECT count() AS n FROM records_latest WHERE disposition = 'reject'", {}))[0]["n"] == 0


def build(directory: Path, *, count: int = 40, callees: tuple[str, str] | None = None, **changes: Any) -> Chain:
    """A chain in `directory`, with everything started and in shadow. `changes`: of Kamailio's settings."""
    ports = {"alpha": free_port(), "beta": free_port()}
    settings = Settings(
        home=directory / "home", tenant=TENANT, collector_port=free_port(), warehouse_port=free_port(), control_port=free_port(),
        sip_port=free_port(), snapshot_s=1.0, orders_per_minute=10_000, order_subjects=10_000, order_share=1.0, _env_file=None,
    )  # fmt: skip
    known = customers(count)
    config = config_of(known, ports)
    first_start.lay(settings.installation)
    now_ms = time.time_ns() // 1_000_000
    decks = {name: csv.encode() for name, csv in DECKS.items()}
    first_start.open_and_publish(settings.installation, first_start.Start(config, decks, "EUR", (TENANT,)), now_ms)
    secrets = load_or_make(settings.state_dir)
    first_start.connect_switch(settings.installation, secrets, SWITCH, "kamailio", settings.control_url, None, now_ms)
    given: dict[str, Any] = {
        "switch": SWITCH, "spool_dir": settings.spool_dir, "run_dir": settings.run_dir / "kamailio",
        "control_token": secrets.control_token, "secret": secrets.dialog_secret, "tenant": TENANT,
        "sip_port": settings.sip_port, "control_port": settings.control_port, "workers": 2, "answer_within_ms": 1000,
        "spool_span_s": 5,
    }  # fmt: skip
    sipp = directory / "sipp"
    sipp.mkdir()
    bench = Bench(process.start(Kamailio(**{**given, **changes})), sipp, list(ports.values()))
    chain = Chain(settings, bench, known, handed_out=1)
    try:
        for at, name in enumerate(ports):
            bench.callee(callees[at] if callees else callee(name), at)
        chain.start_all()
        chain.until(lambda: list(chain.journalled()), 40, "the first record")
    except BaseException:
        chain.close()
        raise
    return chain


@contextmanager
def enforcing(chain: Chain) -> Iterator[None]:
    """Make the switch enforce; afterwards it is in shadow again."""
    enforce(chain, True)
    try:
        yield
    finally:
        enforce(chain, False)


def enforce(chain: Chain, on: bool) -> None:
    """Whether the switch enforces the blocks in the books."""
    engine = open_books(chain.settings.books_dsn)
    with writing(engine) as conn:
        switches.set_enforcing(conn, SWITCH, TENANT, on, "a test", "a test", time.time_ns() // 1_000_000)
    engine.dispose()
