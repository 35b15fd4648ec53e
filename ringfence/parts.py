"""The parts of an installation. Each runs in a process of its own and is configured by the settings alone."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from books.credentials import Credential
    from ringfence.settings import Settings
    from services.asking import Asking
    from services.notifying.rounds import Deliver
    from switches.answered import Answered


def collector(settings: Settings) -> None:
    """Receives records over HTTP and appends them to `calls`; acknowledges after the fsync."""
    from books import configs, credentials, reading
    from journal import open_journal
    from ringfence.ops.books_retry import open_when_ready
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.collector import Collector
    from services.retention import journal_limits
    from switches.collector import Limits, serve

    telemetry = start_telemetry(settings, "collector", Collector(settings.journal_dsn))
    engine = open_when_ready(settings.books_dsn, telemetry.beat)

    def find_credential(token: str) -> credentials.Credential | None:
        with reading(engine) as conn:
            return credentials.find(conn, token)

    def config_version() -> int:
        with reading(engine) as conn:
            return configs.latest(conn)

    serve(
        journal=open_journal(settings.journal_dsn, journal_limits(settings.installation.retention)),
        limits=Limits(spool_bytes=round(settings.collector_spool_gb * 1e9)),
        spool=settings.state_dir / "collector",
        find_credential=find_credential,
        partitions=settings.partitions,
        config_version=telemetry.beat.around(config_version),  # called at each tick
        host=settings.host,
        port=settings.collector_port,
        report=telemetry.report,
        trusted_proxies=settings.proxies,
    )


def shipper(settings: Settings) -> None:
    """Posts the records that a switch on this machine wrote to its spool, or to its log while the spool was full."""
    from core.clock import wall_clock_ms
    from ringfence.ops.secrets import secrets_of
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.shipper import Shipper
    from switches.shipper import Pace, ship
    from switches.signed_log import SwitchLog

    telemetry = start_telemetry(settings, "shipper", Shipper(settings.spool_dir, settings.switch_log_file, wall_clock_ms))
    secrets = secrets_of(settings)
    ship(
        home=settings.spool_dir,
        url=settings.collector_url,
        token=secrets.collector_token,
        stop=until_signalled(),
        log=SwitchLog(settings.switch_log_file, secrets.dialog_secret.encode()),
        pace=Pace(keep_s=settings.switch_spool_hours * 3600, keep_bytes=round(settings.switch_spool_gb * 1e9) or None),
        now_ms=telemetry.beat.around(wall_clock_ms),
        report=telemetry.report,
    )


def judge(settings: Settings, number: int = 1) -> None:
    """Prices calls and detects fraud in its share of the partitions of `calls`; writes to the journal alone. `number`: 1 to `settings.judges`."""
    from flows import judge
    from flows.repartition import check_states, partitions_of_judge
    from journal import create_topics, open_journal
    from ringfence.ops.books_retry import open_when_ready, retry
    from ringfence.ops.secrets import secrets_of
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.judge import Judge
    from services.in_force import from_books
    from services.retention import journal_limits

    telemetry = start_telemetry(settings, settings.judge_names[number - 1], Judge(settings.journal_dsn, settings.installation.judge_state(number)))
    journal = open_journal(settings.journal_dsn, journal_limits(settings.installation.retention))
    create_topics(journal, settings.partitions)
    check_states(settings.state_dir, settings.installation.judge_states)
    judge.run(
        telemetry.watched(journal),
        from_books(open_when_ready(settings.books_dsn, telemetry.beat), lambda ask: retry(ask, telemetry.beat), freeze),
        judge.Settings(
            partitions=partitions_of_judge(number, settings.judges, settings.partitions),
            state_file=settings.installation.judge_state(number),
            secret=secrets_of(settings).hash_secret.encode(),
            linger_ms=settings.linger_ms,
            snapshot_ms=round(settings.snapshot_s * 1000),
        ),
        telemetry.report,
    )


def watch(settings: Settings) -> None:
    """Detects fraud that spans partitions, in the sums that the judges write; writes to the journal alone."""
    from flows import watch
    from journal import create_topics, open_journal
    from ringfence.ops.books_retry import open_when_ready, retry
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.watch import Watch
    from services.in_force import from_books
    from services.retention import journal_limits

    telemetry = start_telemetry(settings, "watch", Watch(settings.journal_dsn, settings.watch_state))
    journal = open_journal(settings.journal_dsn, journal_limits(settings.installation.retention))
    create_topics(journal, settings.partitions)
    watch.run(
        telemetry.watched(journal),
        from_books(open_when_ready(settings.books_dsn, telemetry.beat), lambda ask: retry(ask, telemetry.beat), freeze),
        watch.Settings(
            partitions=settings.partitions,
            state_file=settings.watch_state,
            linger_ms=settings.linger_ms,
            snapshot_ms=round(settings.snapshot_s * 1000),
        ),
        telemetry.report,
    )


def dispatcher(settings: Settings) -> None:
    """Writes orders and alerts to the books, and delivers the switches' tables."""
    from books import open_books
    from core.clock import wall_clock_ms
    from core.decide import Limits
    from journal import open_journal
    from ringfence.ops.books_retry import wait_for_books
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.dispatcher import Dispatcher as DispatcherTelemetry
    from services.retention import keep_books
    from switches.answered import AnsweredHour, keep_fetching
    from switches.dispatcher import Dispatcher

    engine = open_books(settings.books_dsn)
    telemetry = start_telemetry(settings, "dispatcher", DispatcherTelemetry(settings.journal_dsn, engine, wall_clock_ms))
    wait_for_books(engine, telemetry.beat)
    limits = Limits(
        orders_per_minute=settings.orders_per_minute, distinct_subjects=settings.order_subjects, answered_share=settings.order_share
    )
    hour, stop = AnsweredHour(), until_signalled()
    keep_fetching(hour, lambda since_ms, _: answered(settings, since_ms), wall_clock_ms, stop)
    keep_books(engine, settings.installation.retention, wall_clock_ms, stop)
    Dispatcher(
        engine,
        telemetry.watched(open_journal(settings.journal_dsn)),
        clock=wall_clock_ms,
        holder=f"{socket.gethostname()}/{os.getpid()}",
        limits=limits,
        answered=hour,
        next_hops={KAMAILIO: settings.carrier},
        report=telemetry.report,
    ).run(stop)


def router(settings: Settings) -> None:
    """Scores the carriers from their attempts, and keeps the routes that the switches should hold."""
    from core.clock import wall_clock_ms
    from core.scores import Scores
    from flows import scores
    from journal import create_topics, open_journal
    from rating.routes.live import Live
    from ringfence.ops.books_retry import open_when_ready, retry
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.router import Router as RouterTelemetry
    from services import routes
    from services.in_force import from_books
    from services.retention import journal_limits
    from services.routing import Router

    telemetry = start_telemetry(settings, "router", RouterTelemetry())
    journal = open_journal(settings.journal_dsn, journal_limits(settings.installation.retention))
    create_topics(journal, settings.partitions)
    engine = open_when_ready(settings.books_dsn, telemetry.beat)
    installation, known = settings.installation, dict[str, Live]()
    latest = scores.last_scores(journal)

    def live_of(tenant: str) -> Live:
        now = routes.live(latest, routes.suspects(engine, tenant, wall_clock_ms()), tenant, routes.denied(engine, tenant, wall_clock_ms()))
        known[tenant] = routes.steady(known.get(tenant, Live()), now)
        return known[tenant]

    one = Router(
        engine,
        from_books(engine, lambda ask: retry(ask, telemetry.beat), freeze),
        lambda tenant, now_ms: routes.durations_of(installation, tenant, now_ms),
        live_of,
    )

    def after(found: object) -> None:
        nonlocal latest
        latest = found if isinstance(found, Scores) else latest
        telemetry.report(retry(lambda: one.round(wall_clock_ms()), telemetry.beat))

    scores.run(telemetry.watched(journal), scores.Settings(settings.partitions, settings.scores_state), after)


def poster(settings: Settings) -> None:
    """Posts the charges that are stored to the ledger, once per RINGFENCE_POST_S, and finds parties that have used up their credit."""
    from core.clock import wall_clock_ms
    from ringfence.ops.books_retry import open_when_ready
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.poster import Poster
    from services import credit
    from services.in_force import from_books
    from services.keep_posting import post_round

    telemetry, stop = start_telemetry(settings, "poster", Poster()), until_signalled()
    engine, holder, waited_s = open_when_ready(settings.books_dsn, telemetry.beat), f"{socket.gethostname()}/{os.getpid()}", 0.0
    check = credit.checker(engine, from_books(engine))
    while not stop.wait(BEAT_S):
        telemetry.beat()
        waited_s += BEAT_S
        if waited_s >= settings.post_s:
            waited_s = 0.0
            telemetry.report(post_round(settings.installation, engine, holder, wall_clock_ms, telemetry.beat, check))


def freeze() -> None:
    """Prices that were compiled live for long. A full collection that walks them stops the part: 0.25 s with 240,000 of them, while calls wait."""
    gc.collect()
    gc.freeze()


BEAT_S = 1.0
"""How often a part that waits is seen to live."""


def asking(settings: Settings, name: str) -> tuple[Asking, Callable[[str], Credential | None], threading.Event]:
    """What answers switches that ask, kept up to date by a thread; the credential of a token; and the end."""
    from books import credentials, reading
    from core.clock import wall_clock_ms
    from flows.scores import last_scores
    from journal import JournalError, open_journal
    from rating.routes.live import Live
    from ringfence.ops.books_retry import open_when_ready, retry
    from ringfence.ops.telemetry import Part, start_telemetry
    from services import routes
    from services.asking import Asking
    from services.in_force import from_books

    telemetry = start_telemetry(settings, name, Part())
    engine, journal, stop = open_when_ready(settings.books_dsn, telemetry.beat), open_journal(settings.journal_dsn), until_signalled()
    known: dict[str, Live] = {}
    one = Asking(
        engine,
        from_books(engine, lambda ask: retry(ask, telemetry.beat), freeze),
        lambda tenant, now_ms: routes.durations_of(settings.installation, tenant, now_ms),
        lambda tenant: known.setdefault(tenant, Live()),
        settings.state_dir,
        wall_clock_ms,
    )

    def look() -> None:
        one.refresh()
        try:
            found = last_scores(journal)
        except JournalError:
            return  # the standings of before count
        for tenant in [*known]:
            now_ms = wall_clock_ms()
            now = routes.live(found, routes.suspects(engine, tenant, now_ms), tenant, routes.denied(engine, tenant, now_ms))
            known[tenant] = routes.steady(known[tenant], now)

    def keep() -> None:
        while not stop.wait(0.5):
            retry(look, telemetry.beat)

    one.refresh()
    threading.Thread(target=keep, name="asking", daemon=True).start()

    def find(token: str) -> Credential | None:
        with reading(engine) as conn:
            return credentials.find(conn, token)

    return one, find, stop


def api(settings: Settings) -> None:
    """Answers switches that ask over HTTP: where a call goes, and whether it may go at all."""
    import uvicorn

    from api.app import app

    one, find, stop = asking(settings, "api")
    served = uvicorn.Server(
        uvicorn.Config(
            app(one, find), settings.host, settings.api_port, http="httptools", loop="asyncio", log_level="warning", access_log=False,
            timeout_graceful_shutdown=5,
        )
    )

    def end() -> None:
        stop.wait()
        served.should_exit = True

    threading.Thread(target=end, name="end", daemon=True).start()
    threading.Thread(target=served.run, name="http").start()  # outside the main thread uvicorn leaves signals to `until_signalled`


def redirect(settings: Settings) -> None:
    """Answers switches that ask over SIP, by sending the call on its way (302)."""
    import asyncio

    from services.redirecting import Redirecting
    from switches.redirect import Redirect

    one, _, stop = asking(settings, "redirect")
    networks = tuple(text.strip() for text in settings.redirect_switches.split(",") if text.strip())

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        answers = Redirecting(one)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Redirect(answers.ask, networks), local_addr=(settings.host, settings.redirect_port)
        )
        await loop.run_in_executor(None, stop.wait)
        transport.close()

    asyncio.run(serve())


def notify(settings: Settings) -> None:
    """Tells people of alerts, and of parts, switches and records that have gone silent."""
    from core.clock import wall_clock_ms
    from journal import create_topics, open_journal
    from ringfence.ops import notifier
    from ringfence.ops.books_retry import open_when_ready
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.notify import Notify
    from services import part_health
    from services.notifying.silence import Watch
    from services.retention import journal_limits

    telemetry = start_telemetry(settings, "notify", Notify())
    journal = open_journal(settings.journal_dsn, journal_limits(settings.installation.retention))
    create_topics(journal, settings.partitions)
    health = part_health.Health(_urls(settings, but="notify"))
    engine = open_when_ready(settings.books_dsn, telemetry.beat)
    sources = notifier.Sources(engine, telemetry.beat.at(journal), lambda: {one.name: one for one in health.ask()}, settings.pages_link)
    watch = Watch(round(settings.silent_minutes * 60_000), wall_clock_ms())
    clock = telemetry.beat.around(wall_clock_ms)
    holder = f"{socket.gethostname()}/{os.getpid()}"
    notifier.run(sources, sending(settings), watch, holder, clock, until_signalled(), telemetry.report)


def _urls(settings: Settings, but: str) -> dict[str, str]:
    """The other parts and where they answer: those that `up` has started here, else those that an installation has."""
    from services import endpoints

    running = endpoints.running(settings.run_dir)
    names = ("collector", *settings.judge_names, "watch", "store", "dispatcher", "router", "poster", "notify")
    known = running.parts if running else {name: settings.part_url(name) for name in names}
    return {name: url for name, url in known.items() if name != but}


def sending(settings: Settings) -> Deliver:
    """How notifications are sent from here."""
    from services.mailing import smtp
    from services.notifying.sending import deliver

    mail = smtp(settings.smtp_url) if settings.smtp_url else None
    return lambda notice, target, now_ms: deliver(notice, target, now_ms, mail, settings.mail_from)


def answered(settings: Settings, since_ms: int) -> list[Answered]:
    """The calls answered since a time, asked of the process that serves the warehouse; this process never opens it."""
    from services.reading import reader_dsn
    from switches.answered import Answered
    from warehouse import ask, open_warehouse, queries

    client = open_warehouse(reader_dsn(settings.installation))
    try:
        return [Answered(**row) for row in ask(client, queries.answered(since_ms))]
    finally:
        client.close()


def kamailio(settings: Settings) -> None:
    """A Kamailio with our configuration and its spool. The dispatcher fills its tables, which survive a restart."""
    import time

    from ringfence.ops import logs
    from ringfence.ops.secrets import secrets_of
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.kamailio import Answered
    from ringfence.ops.telemetry.kamailio import Kamailio as KamailioTelemetry
    from ringfence.settings import LOOPBACK
    from switches.kamailio import process
    from switches.kamailio.settings import Settings as Kamailio
    from switches.tail import delivered

    telemetry = start_telemetry(settings, "kamailio", KamailioTelemetry())
    secrets = secrets_of(settings)
    stop = until_signalled()
    running = process.start(
        Kamailio(
            switch=KAMAILIO,
            spool_dir=settings.spool_dir,
            run_dir=settings.run_dir / "kamailio",
            control_token=secrets.control_token,
            secret=secrets.dialog_secret,
            tenant=own_tenant(settings),
            listen=settings.host,
            sip_port=settings.sip_port,
            control_listen=LOOPBACK,
            control_port=settings.control_port,
            refuse_unrecorded=settings.refuse_unrecorded,
            ask=settings.ask,
        )
    )
    checked_s = 0.0
    while not stop.wait(0.5):
        if (code := running.process.poll()) is not None:
            running.kill()
            raise SystemExit(f"kamailio ended with exit code {code}; its log is {running.log}")
        if time.monotonic() - checked_s < CHECK_S:
            continue
        checked_s = time.monotonic()
        if process.answers_options(settings.host, settings.sip_port, 1.0):
            telemetry.beat()
            telemetry.report(Answered())
        if delivered(settings.spool_dir, running.log):  # the log may contain records that the spool did not take
            logs.rotate(running.log, SWITCH_LOG_BYTES)
    running.stop()


def own_tenant(settings: Settings) -> str:
    """The tenant of a switch's records that name none: `settings.tenant`, or the first one in the books if they do not have it. While the
    books cannot be reached it is `settings.tenant`: a switch does not wait for them."""
    from books import BooksError, open_books, reading, tenants

    engine = open_books(settings.books_dsn)
    try:
        with reading(engine) as conn:
            every = tenants.every(conn)
    except BooksError:
        return settings.tenant
    finally:
        engine.dispose()
    return settings.tenant if settings.tenant in every or not every else every[0]


CHECK_S = 2.0
"""Interval at which a switch is checked with an OPTIONS request."""
SWITCH_LOG_BYTES = 64 << 20

KAMAILIO = "k1"
"""The name of the Kamailio that `up` starts."""


def store(settings: Settings) -> None:
    """Writes judged records to the warehouse, and answers SELECT if the warehouse is embedded."""
    from flows.store import Pace, Reading, run
    from ringfence.ops.secrets import secrets_of
    from ringfence.ops.telemetry import start_telemetry
    from ringfence.ops.telemetry.store import Store
    from ringfence.settings import LOOPBACK
    from services.retention import warehouse_days
    from warehouse import embedded_directory

    telemetry = start_telemetry(settings, "store", Store(settings.journal_dsn, lambda: check_warehouse(settings)))
    embedded = embedded_directory(settings.warehouse_dsn) is not None
    token = secrets_of(settings).warehouse_token
    run(
        journal_dsn=settings.journal_dsn,
        warehouse_dsn=settings.warehouse_dsn,
        state_dir=settings.state_dir / "store",
        reading=Reading(LOOPBACK, settings.warehouse_port, token) if embedded else None,
        pace=Pace(epoch_s=min(Pace.epoch_s, settings.snapshot_s)),
        watched=telemetry.watched,
        report=telemetry.report,
        days=warehouse_days(settings.installation.retention),
    )


def check_warehouse(settings: Settings) -> None:
    """Raises `WarehouseError` if the warehouse does not answer a query within 5 s."""
    from services.reading import reader_dsn
    from warehouse import ask, open_warehouse

    client = open_warehouse(reader_dsn(settings.installation), timeout_s=5.0)
    try:
        ask(client, ("SELECT 1", {}))
    finally:
        client.close()


def pages(settings: Settings) -> None:
    """The page in the browser: what happens now, and what a person can do about it."""
    from dashboards.oidc import Provider
    from dashboards.page_settings import PageSettings
    from dashboards.serve import serve
    from ringfence.ops.secrets import secrets_of
    from ringfence.ops.telemetry import Part, start_telemetry
    from services.reading import reader_dsn

    refuse_other_release(settings)
    telemetry, secrets = start_telemetry(settings, "pages", Part()), secrets_of(settings)
    serve(
        PageSettings(
            home=str(settings.root),
            warehouse=reader_dsn(settings.installation),
            books=settings.books_dsn,
            journal=settings.journal_dsn,
            look=secrets.pages_look_token,
            act=secrets.pages_act_token,
            parts=_urls(settings, but="pages"),
            host=settings.pages_host,
            port=settings.pages_port,
            proxies=settings.proxies,
            codes=settings.pages_codes,
            oidc=Provider(
                settings.pages_oidc_issuer, settings.pages_oidc_client_id, settings.pages_oidc_client_secret, settings.pages_oidc_claim,
                settings.pages_oidc_label,
            ) if settings.pages_oidc_issuer else None,
            names=tuple(name.strip() for name in settings.pages_names.split(",") if name.strip()),
        ),
        telemetry.beat,
    )


PARTS: dict[str, Callable[[Settings], None]] = {
    "api": api,
    "collector": collector,
    "dispatcher": dispatcher,
    "judge": judge,
    "kamailio": kamailio,
    "notify": notify,
    "pages": pages,
    "poster": poster,
    "redirect": redirect,
    "router": router,
    "store": store,
    "shipper": shipper,
    "watch": watch,
}


def run(name: str, settings: Settings) -> None:
    """Run a part until SIGTERM or Ctrl-C. If an outside part cannot be used, one line names its setting, and the exit code is 1."""
    from ringfence import options
    from ringfence.ops import faults, logs
    from services import homes

    homes.restrict_umask()
    logs.configure(settings.log_level, settings.log_format)
    if settings.root.exists():
        try:
            homes.make_private(settings.root)
        except homes.NotAHome as refused:
            options.give_up(str(refused))
    part, _, number = name.partition("-")
    with faults.explained(settings):
        if number:
            judge(settings, int(number))
        else:
            PARTS[part](settings)


def refuse_other_release(settings: Settings) -> None:
    """Raises `BooksError` if the books are those of another release, which this one could misread. Books that cannot be reached are no
    error here: the pages start without them."""
    from books import Unavailable, check, open_books

    engine = open_books(settings.books_dsn)
    try:
        check(engine)
    except Unavailable:
        pass
    finally:
        engine.dispose()


def names(settings: Settings) -> list[str]:
    """The names that `run` accepts; with several judges they are numbered."""
    return sorted([*(PARTS.keys() - {"judge"}), *settings.judge_names])


def until_signalled(*more: signal.Signals) -> threading.Event:
    """An event that is set by SIGTERM, Ctrl-C and the signals in `more`."""
    stop = threading.Event()
    reader, writer = os.pipe()

    def watch() -> None:
        os.read(reader, 1)
        stop.set()

    # A signal handler interrupts the main thread anywhere. If it interrupted `stop.wait`, which holds the event's lock, `stop.set` in the
    # handler would wait for that lock for ever. So the handler only writes a byte, and this thread sets the event.
    threading.Thread(target=watch, name="until-signalled", daemon=True).start()
    for signum in (signal.SIGTERM, signal.SIGINT, *more):
        signal.signal(signum, lambda *_: os.write(writer, b"."))
    return stop
