"""The parts that run, each in a process of its own: built from the settings, and nothing but that."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringfence.settings import Settings
    from switches.answered import Answered


def collector(settings: Settings) -> None:
    """Takes records over HTTP and appends them to `calls`; acknowledges after the fsync."""
    from books import configs, credentials, open_books, reading
    from journal import open_journal
    from switches.collector import serve

    engine = open_books(settings.books_dsn)

    def find_credential(token: str) -> credentials.Credential | None:
        with reading(engine) as conn:
            return credentials.find(conn, token)

    def config_version() -> int:
        with reading(engine) as conn:
            return configs.latest(conn)

    serve(
        journal=open_journal(settings.journal_dsn),
        spool=settings.state_dir / "collector",
        find_credential=find_credential,
        config_version=config_version,
        host=settings.host,
        port=settings.collector_port,
    )


def shipper(settings: Settings) -> None:
    """Posts what a switch on this machine has written to its spool, and to its log where the spool did not take it."""
    from ringfence.secrets import load_or_make
    from switches.shipper import ship
    from switches.signed_log import SwitchLog

    secrets = load_or_make(settings.state_dir)
    ship(
        home=settings.spool_dir,
        url=settings.collector_url,
        token=secrets.collector_token,
        stop=until_signalled(),
        log=SwitchLog(settings.switch_log_file, secrets.dialog_secret.encode()),
    )


def judge(settings: Settings) -> None:
    """Prices and judges what is in `calls`; writes to the journal alone."""
    from books import open_books
    from core.topics import CALLS
    from flows import judge
    from journal import open_journal
    from ringfence.contracts import from_books
    from ringfence.secrets import load_or_make

    journal = open_journal(settings.journal_dsn)
    judge.run(
        journal,
        from_books(open_books(settings.books_dsn)),
        judge.Settings(
            partitions=tuple(range(journal.partitions(CALLS))),
            state_file=settings.state_dir / "judge.state",
            secret=load_or_make(settings.state_dir).hash_secret.encode(),
            linger_ms=settings.linger_ms,
            snapshot_ms=round(settings.snapshot_s * 1000),
        ),
    )


def dispatcher(settings: Settings) -> None:
    """Takes orders and alerts into the books, and delivers orders to the switches."""
    from books import open_books
    from journal import open_journal
    from journal.files import wall_clock_ms
    from switches.answered import AnsweredHour, keep_fetching
    from switches.dispatcher import Dispatcher
    from switches.limits import Limits

    limits = Limits(
        orders_a_minute=settings.orders_a_minute, distinct_subjects=settings.order_subjects, answered_share=settings.order_share
    )
    hour, stop = AnsweredHour(), until_signalled()
    keep_fetching(hour, lambda since_ms, _: answered(settings, since_ms), wall_clock_ms, stop)
    Dispatcher(
        open_books(settings.books_dsn),
        open_journal(settings.journal_dsn),
        clock=wall_clock_ms,
        holder=f"{socket.gethostname()}/{os.getpid()}",
        limits=limits,
        answered=hour,
    ).run(stop)


def answered(settings: Settings, since_ms: int) -> list[Answered]:
    """The answered calls since then, from whoever holds the warehouse; it is asked as a client, never opened."""
    from ringfence.reading import reader_dsn
    from switches.answered import Answered
    from warehouse import ask, open_warehouse, queries

    client = open_warehouse(reader_dsn(settings))
    try:
        return [Answered(**row) for row in ask(client, queries.answered(since_ms))]
    finally:
        client.close()


def kamailio(settings: Settings) -> None:
    """A Kamailio with our configuration, its spool and its tables."""
    from books import configs, lists, open_books, reading
    from ringfence.secrets import load_or_make
    from ringfence.settings import LOOPBACK
    from switches.kamailio import process
    from switches.kamailio.settings import Carrier, dial_plans_of, sources_of
    from switches.kamailio.settings import Settings as Kamailio

    engine = open_books(settings.books_dsn)
    with reading(engine) as conn:
        config = configs.load(conn, configs.latest(conn))
        protected = lists.protected(conn)
    secrets = load_or_make(settings.state_dir)
    out = next((trunk for trunk in config.trunks if trunk.carrier), None)
    stop = until_signalled()
    running = process.start(
        Kamailio(
            switch=KAMAILIO,
            spool_dir=settings.spool_dir,
            run_dir=settings.run_dir / "kamailio",
            control_token=secrets.control_token,
            secret=secrets.dialog_secret,
            carriers=(Carrier(out.carrier if out else "next-hop", settings.carrier, egress_trunk=out.name if out else ""),),
            sources=sources_of(config),
            dial_plans=dial_plans_of(config),
            protected=protected,
            listen=settings.host,
            sip_port=settings.sip_port,
            control_listen=LOOPBACK,
            control_port=settings.control_port,
        )
    )
    while not stop.wait(0.5):
        if (code := running.process.poll()) is not None:
            running.kill()
            raise SystemExit(f"kamailio ended with {code}; its log is {running.log}")
    running.stop()


KAMAILIO = "k1"
"""The name of a Kamailio that `up` starts."""


def store(settings: Settings) -> None:
    """Writes what was judged to the warehouse, and answers SELECT while it holds an embedded one."""
    from flows.store import Pace, Reading, run
    from ringfence.secrets import load_or_make
    from ringfence.settings import LOOPBACK
    from warehouse import embedded_directory

    embedded = embedded_directory(settings.warehouse_dsn) is not None
    token = load_or_make(settings.state_dir).warehouse_token
    run(
        journal_dsn=settings.journal_dsn,
        warehouse_dsn=settings.warehouse_dsn,
        state_dir=settings.state_dir / "store",
        reading=Reading(LOOPBACK, settings.warehouse_port, token) if embedded else None,
        pace=Pace(epoch_s=min(Pace.epoch_s, settings.snapshot_s)),
    )


PARTS: dict[str, Callable[[Settings], None]] = {
    "collector": collector,
    "dispatcher": dispatcher,
    "judge": judge,
    "kamailio": kamailio,
    "store": store,
    "shipper": shipper,
}


def run(name: str, settings: Settings) -> None:
    """Runs a part until it is told to stop."""
    from ringfence import logs

    logs.speak(settings.log_level)
    PARTS[name](settings)


def until_signalled() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    return stop
