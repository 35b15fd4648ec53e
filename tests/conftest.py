"""What tests may ask for."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

sys.path.insert(0, str(Path(__file__).parent / "servers"))

from jars import Missing
from kafka_server import Broker
from kafka_server import libs as kafka_libs
from pdfa import libs as verapdf_libs
from postgresql_server import BIN as POSTGRESQL
from postgresql_server import PostgreSQL

from books import migrate, open_books
from switches.kamailio import packages
from warehouse import migrate as migrate_warehouse
from warehouse import open_warehouse

hypothesis.settings.register_profile("no-deadline", deadline=None)  # a shared machine may stop for longer than the default of 200 ms
hypothesis.settings.load_profile("no-deadline")
os.environ.setdefault("RINGFENCE_METRICS_PORT", "0")  # parts that tests start beside each other each take a free one

HOW_TO_GET = {
    "kamailio": packages.install(),
    "sipp": "apt-get install sip-tester",
    "postgresql": "apt-get install postgresql-15",
    "chromium": "apt-get install chromium",
    "promtool": "apt-get install --no-install-recommends prometheus (where systemd runs it also starts a server: disable that)",
    "kafka": "apt-get install default-jre-headless maven",
    "verapdf": "apt-get install default-jre-headless maven",
}
"""Parts that PyPI does not have: the program's name, and where Debian keeps it."""


def need_part(part: str) -> None:
    """Skip this test where a program is missing, with a word that says how to get it; fail where all parts are required."""
    if shutil.which(part) or shutil.which(part, path="/usr/sbin:/usr/local/sbin"):
        return
    if part == "postgresql" and (POSTGRESQL / "postgres").exists():
        return
    word = f"{part} is not installed: {HOW_TO_GET.get(part, 'install it')}"
    if part in ("kafka", "verapdf"):
        try:
            {"kafka": kafka_libs, "verapdf": verapdf_libs}[part]()
        except Missing as error:
            word = f"there is no {part}: {error}"
        else:
            return
    if os.environ.get("RINGFENCE_REQUIRE") == "all":
        pytest.fail(word)
    pytest.skip(word)


@pytest.fixture(scope="session")
def need():
    """`need("kamailio")` in a test that places real calls."""
    return need_part


# --- books of both kinds ---


@pytest.fixture(scope="session")
def postgresql_of_session() -> Iterator[Callable[[], PostgreSQL]]:
    """One server a session, started by the first who asks."""
    started: list[PostgreSQL] = []

    def started_once() -> PostgreSQL:
        need_part("postgresql")
        if not started:
            started.append(PostgreSQL())
        return started[0]

    yield started_once
    for server in started:
        server.close()


@pytest.fixture
def postgresql(postgresql_of_session: Callable[[], PostgreSQL]) -> PostgreSQL:
    """A running PostgreSQL, of all tests: who stops it starts it again."""
    return postgresql_of_session()


@pytest.fixture(scope="session")
def new_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of books as `migrate` leaves them, made once."""
    path = tmp_path_factory.mktemp("books") / "books.db"
    engine = open_books(str(path))
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def new_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Puts an embedded warehouse as `migrate` leaves it into a directory that does not exist. It is migrated once, and then copied: its
    forty statements, each with an fsync, took most of the time of most tests that have a warehouse."""
    template = tmp_path_factory.mktemp("warehouse") / "warehouse"

    def put(directory: Path) -> None:
        if not template.exists():
            client = open_warehouse(f"chdb://{template}")
            migrate_warehouse(client)
            client.close()
        shutil.copytree(template, directory, symlinks=True)

    return put


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def books_dsn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of books with the tables of this release and nothing in them: a file, and then a database."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("new_books"), tmp_path / "books.db")
        yield f"sqlite:///{tmp_path}/books.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    dsn = server.fresh(migrated=True)
    yield dsn
    server.drop(dsn)


# --- a broker of Kafka ---


@pytest.fixture(scope="session")
def broker_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Broker]]:
    """One broker a session, started by the first who asks."""
    started: list[Broker] = []

    def started_once() -> Broker:
        need_part("kafka")
        if not started:
            started.append(Broker(tmp_path_factory.mktemp("kafka")))
        if started[0].process is None:
            started[0].start()
        return started[0]

    yield started_once
    for broker in started:
        broker.kill()


@pytest.fixture
def broker(broker_of_session: Callable[[], Broker]) -> Broker:
    """A running Apache Kafka, of all tests: who stops it starts it again. Each test takes a prefix of its own for its topics."""
    return broker_of_session()


@pytest.fixture
def prefix() -> str:
    """Of the topics of one test."""
    return f"t{uuid.uuid4().hex[:8]}."


CALLS = ("switches/kamailio", "ringfence/calls", "test_up_kamailio", "test_every_switch", "test_reload")
"""Where real calls are placed: these tests share ports and time with nobody, so they run one after the other."""


def placed(path: str) -> bool:
    return any(place in path for place in CALLS)


class OneCallsOthersTakeFiles(LoadScopeScheduling):
    """Several processes run the suite: one places calls, the others take a file at a time."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "calls" if placed(path) else path


def pytest_xdist_make_scheduler(config, log):
    return OneCallsOthersTakeFiles(config, log)


def pytest_runtest_setup(item):
    """Real calls cannot wait for a processor: what else runs beside them, with all that it starts, takes what they leave."""
    if hasattr(item.config, "workerinput") and not placed(item.path.as_posix()):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


REAL = ("slow", "postgresql", "kamailio")
"""Markers of what starts whole installations, real servers, real browsers, or places real calls."""
STARTED = {"need", "clickhouse"}
"""Fixtures of the same kind: a program that PyPI does not have, and a ClickHouse behind HTTP."""


def is_real(item: pytest.Item) -> bool:
    """The rule of `make test` and `make test-real`: what has one of these markers, or asks for one of these fixtures, is real. What asks
    a broker of Kafka is neither: it has a target of its own, `make test-kafka`."""
    if item.get_closest_marker("kafka"):
        return False
    return any(item.get_closest_marker(name) for name in REAL) or bool(STARTED & {*getattr(item, "fixturenames", ())})


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config, items):
    """Marks what is real. Where several processes run: calls first, beside what takes one processor; then the files of slow tests, which start whole
    installations, those of `ringfence` before others: they are the longest."""

    def order(item) -> tuple[bool, bool, bool]:
        path = item.path.as_posix()
        return not placed(path), item.path in slow, "tests/ringfence" not in path

    for item in items:
        if is_real(item):
            item.add_marker("real")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    if hasattr(config, "workerinput"):
        items.sort(key=order)
