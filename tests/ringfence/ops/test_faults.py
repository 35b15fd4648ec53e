"""A fault of the journal, books or warehouse is one line with its setting, in every command and part; never with a password."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from clickhouse_server import PASSWORD as WAREHOUSE_PASSWORD
from clickhouse_server import USER, ClickHouse
from postgresql_server import PASSWORD as BOOKS_PASSWORD
from postgresql_server import PostgreSQL
from typer.testing import CliRunner

from books import BooksError, Unavailable, open_books, reading, switches, writing
from ringfence.cli import app
from ringfence.ops import books_retry
from ringfence.ops.block_events import BlockEvents
from ringfence.ops.faults import message_of
from ringfence.settings import Settings
from services import first_start
from services.in_force import from_books
from switches.loopback import Loopback
from warehouse import open_warehouse

LAST_TABLE = "retention"
"""The table that the migrations create last."""
NOWHERE = "no-such-host.invalid"
SECRETS = (BOOKS_PASSWORD, WAREHOUSE_PASSWORD, "s3ntinel")


def settled(home: Path, books: str = "") -> Settings:
    """An installation after its first start."""
    settings = Settings(home=home, books=books, countries="AT", _env_file=None)  # type: ignore[call-arg]
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1_700_000_000_000)
    return settings


def one_line(text: str, setting: str, meaning: str) -> None:
    """The last line has the setting and the fault; no password and no traceback is in the text."""
    assert "Traceback" not in text and not any(secret in text for secret in SECRETS), text
    last = text.strip().splitlines()[-1]
    assert last.startswith(f"RINGFENCE_{setting}: ") and re.search(meaning, last), text


def command(env: dict[str, str], *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env=env)
    assert result.exit_code == 1 and (result.exception is None or isinstance(result.exception, SystemExit)), result.output
    assert len(result.output.strip().splitlines()) <= 3, result.output
    return result.output


EVERY_COMMAND = [
    ("orders",),
    ("config", "show"),
    ("switch", "list"),
    ("credential", "list"),
    ("protect",),
    ("status",),
    ("block", "--account", "local", "--why", "x"),
    ("unblock", "--account", "local", "--why", "x"),
    ("unblock", "--all", "--why", "x"),
    ("enforce", "--switch", "k1", "--why", "x"),
    ("migrate",),
]


@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_every_command_names_the_setting_of_the_books(tmp_path, arguments):
    books = f"postgresql://ringfence:{BOOKS_PASSWORD}@127.0.0.1:1/books"
    env = {"RINGFENCE_BOOKS": books, "RINGFENCE_HOME": str(tmp_path)}
    one_line(command(env, *arguments), "BOOKS", r"postgresql://ringfence@127\.0\.0\.1:1/books: nobody listens there")


def test_unblock_all_without_the_books_names_the_hold_file(tmp_path):
    books = f"postgresql://ringfence:{BOOKS_PASSWORD}@127.0.0.1:1/books"
    output = command({"RINGFENCE_BOOKS": books, "RINGFENCE_HOME": str(tmp_path)}, "unblock", "--all", "--why", "x")
    assert "touch RUN/hold" in output


@pytest.mark.postgresql
def test_each_fault_of_the_books_has_a_clear_text(tmp_path, postgresql: PostgreSQL):
    empty = postgresql.fresh()
    at = f"127.0.0.1:{postgresql.port}/{empty.rpartition('/')[2]}"
    for books, meaning in (
        (f"postgresql://ringfence:{BOOKS_PASSWORD}x@{at}", "the password is refused; set the right one"),
        (f"postgresql://ringfence:{BOOKS_PASSWORD}@127.0.0.1:{postgresql.port}/none", "there is no such database; make it"),
        (f"postgresql://ringfence:{BOOKS_PASSWORD}@{NOWHERE}/books", "no machine is known by that name"),
        (f"{empty}?sslmode=require", "speaks no TLS"),
        (empty, "`ringfence migrate`"),
        (f"oracle://ringfence:{BOOKS_PASSWORD}@{at}", "expected sqlite:////absolute/file or postgresql://"),
    ):
        one_line(command({"RINGFENCE_BOOKS": books, "RINGFENCE_HOME": str(tmp_path)}, "orders"), "BOOKS", meaning)
    postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT 0")
    try:
        one_line(command({"RINGFENCE_BOOKS": empty, "RINGFENCE_HOME": str(tmp_path)}, "orders"), "BOOKS", "no connection left; raise")
    finally:
        postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT -1")


@pytest.mark.parametrize("arguments", [("calls",), ("status",), ("migrate",)], ids=" ".join)
def test_commands_that_read_the_warehouse_name_its_setting(tmp_path, arguments):
    settled(tmp_path)
    for warehouse, meaning in (
        (f"http://{USER}:s3ntinel@127.0.0.1:1", r"http://\w*@?127\.0\.0\.1:1: nobody listens there"),
        (f"http://{USER}:s3ntinel@{NOWHERE}:8123", "no machine is known by that name"),
        (f"ftp://{USER}:s3ntinel@db", "is not a warehouse's address"),
    ):
        env = {"RINGFENCE_WAREHOUSE": warehouse, "RINGFENCE_HOME": str(tmp_path)}
        one_line(command(env, *arguments), "WAREHOUSE", meaning)


def test_a_wrong_journal_address_names_its_setting(tmp_path):
    env = {"RINGFENCE_JOURNAL": "amqp://u:s3ntinel@broker", "RINGFENCE_HOME": str(tmp_path)}
    one_line(command(env, "migrate"), "JOURNAL", "is not a journal's address")


def test_faults_of_embedded_parts_name_the_home(tmp_path):
    settings = settled(tmp_path)
    (tmp_path / "books.db").write_bytes(b"not a database, and longer than its header would be" * 99)
    found = command({"RINGFENCE_HOME": str(tmp_path), "RINGFENCE_BOOKS": ""}, "orders")
    one_line(found, "HOME", "the file is not a database of the books, or is damaged")
    assert settings.books == ""


def test_a_bug_of_ours_keeps_its_traceback():
    assert message_of(ValueError("a bug")) == "" and message_of(KeyError("x")) == ""
    wrapped = RuntimeError("the engine says")
    wrapped.__cause__ = BooksError("postgresql://db/books: the password is refused")
    assert message_of(wrapped) == "RINGFENCE_BOOKS: postgresql://db/books: the password is refused"


# --- parts ---


class Part:
    """`ringfence flow NAME` in a process of its own."""

    def __init__(self, name: str, settings: Settings, **env: str) -> None:
        self.log = settings.root / f"{name}.log"
        ports = {f"RINGFENCE_{one}_PORT": "0" for one in ("COLLECTOR", "WAREHOUSE", "CONTROL", "METRICS")}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ringfence", "flow", name],
                env=os.environ | {"RINGFENCE_HOME": str(settings.root)} | ports | env,
                stdout=out, stderr=out,
            )  # fmt: skip

    def ends(self, within_s: float = 90.0) -> str:
        try:
            assert self.process.wait(within_s) == 1, self.log.read_text()
        finally:
            self.stop()
        return self.log.read_text()

    def until_output(self, arguments: str, within_s: float = 90.0) -> None:
        end = time.monotonic() + within_s
        while not re.search(arguments, self.log.read_text()):
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.postgresql
@pytest.mark.parametrize("name", ["collector", "judge", "watch", "dispatcher"])
def test_a_part_with_a_wrong_password_ends_with_one_line(tmp_path, postgresql: PostgreSQL, name):
    settings = settled(tmp_path)
    dsn = postgresql.dsn("postgres", password=BOOKS_PASSWORD + "x")
    one_line(Part(name, settings, RINGFENCE_BOOKS=dsn).ends(), "BOOKS", r"postgresql://ringfence@127.*: the password is refused")


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path / "clickhouse")
    server.start()
    yield server
    server.kill()


def test_store_ends_with_one_line_at_a_wrong_password_and_at_a_read_only_server(tmp_path, clickhouse):
    settings = settled(tmp_path)
    output = Part("store", settings, RINGFENCE_WAREHOUSE=clickhouse.dsn(password="s3ntinel")).ends()
    one_line(output, "WAREHOUSE", "the user or the password is refused; set the right ones")
    clickhouse.kill()
    clickhouse.readonly = True
    clickhouse.start()
    one_line(Part("store", settings, RINGFENCE_WAREHOUSE=clickhouse.dsn()).ends(), "WAREHOUSE", "is read-only; name a user who may write")
    clickhouse.kill()
    clickhouse.readonly = False  # corrected: the part continues
    clickhouse.start()
    part = Part("store", settings, RINGFENCE_WAREHOUSE=clickhouse.dsn(), RINGFENCE_LOG_LEVEL="info")
    try:
        client = open_warehouse(clickhouse.dsn())
        end = time.monotonic() + 90
        count = f"SELECT count() FROM system.tables WHERE database = 'ringfence' AND name = '{LAST_TABLE}'"
        while not int(str(client.command(count, use_database=False))):
            assert part.process.poll() is None and time.monotonic() < end, part.log.read_text()
            time.sleep(0.2)
        client.close()
    finally:
        part.stop()


@pytest.mark.slow
def test_store_ends_with_one_line_at_a_certificate_of_another(tmp_path):
    settings, authority = settled(tmp_path), trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    authority.issue_cert("warehouse.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    server = ClickHouse(tmp_path / "clickhouse", certificate=tmp_path / "server.pem")
    server.start()
    try:
        output = Part("store", settings, RINGFENCE_WAREHOUSE=server.dsn("127.0.0.1", query=f"?ca_cert={tmp_path}/ca.pem")).ends()
    finally:
        server.kill()
    one_line(output, "WAREHOUSE", "the server's certificate is not accepted; check the host's name, and ca_cert")


@pytest.mark.postgresql
def test_a_part_waits_for_a_server_without_free_connections_and_logs_it_once(tmp_path, postgresql: PostgreSQL):
    dsn = postgresql.fresh()
    settings = settled(tmp_path, dsn)
    postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT 0")
    try:
        part = Part("dispatcher", settings, RINGFENCE_BOOKS=dsn)
        try:
            part.until_output("waiting for the books: postgresql://ringfence@.*no connection left")
            time.sleep(2)
            postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT -1")
            part.until_output("the books answer again")
        finally:
            part.stop()
    finally:
        postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT -1")
    output = part.log.read_text()
    assert output.count("waiting for the books") == 1 and "Traceback" not in output and BOOKS_PASSWORD not in output
    postgresql.drop(dsn)


@pytest.mark.postgresql
def test_an_outage_of_the_books_is_reported_once_and_its_end_once(postgresql: PostgreSQL):
    dsn = postgresql.fresh(migrated=True)
    blocks, now_ms = BlockEvents(dsn), 1_800_000_000_000
    assert blocks.read(now_ms) == []
    postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT 0")
    try:
        postgresql.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ringfence'")
        events = [blocks.read(now_ms + 1_000 * n) for n in range(1, 5)]
    finally:
        postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT -1")
    assert len(events[0]) == 1 and "The books are down: postgresql://ringfence@" in events[0][0] and events[1:] == [[], [], []]
    assert [blocks.read(now_ms + 1_000 * n) for n in (6, 7)] == [["The books answer again."], []]
    blocks.close()
    postgresql.drop(dsn)


@pytest.mark.postgresql
def test_a_hold_at_the_switches_is_reported_if_the_books_cannot_be_written(postgresql: PostgreSQL):
    dsn = postgresql.fresh(migrated=True)
    switch = Loopback()
    served = switch.serve(0, "a-control-token-of-the-tests")
    engine = open_books(dsn)
    with writing(engine) as conn:
        switches.add(conn, "k1", "loopback", served.url, "a-control-token-of-the-tests", 1)
    engine.dispose()
    postgresql.admin("REVOKE INSERT ON holds FROM ringfence", dsn.rpartition("/")[2])
    result = CliRunner().invoke(app, ["unblock", "--all", "--why", "x"], env={"RINGFENCE_BOOKS": dsn})
    assert result.exit_code == 1 and switch.held
    assert "k1: held: all blocks are off" in result.output and "No switch is on hold" not in result.output
    assert "could not be stored in the books" in result.output
    served.close()
    postgresql.drop(dsn)


def test_judge_waits_for_the_books_with_an_unread_version(tmp_path, monkeypatch):
    engine, left, beats = open_books(settled(tmp_path).books_dsn), [1, 2, 3], []

    def down_for_a_while(engine):
        if left and left.pop():
            raise Unavailable("postgresql://db/books: the server is starting or stopping")
        return reading(engine)

    monkeypatch.setattr("services.in_force.reading", down_for_a_while)
    contracts_of = from_books(engine, lambda ask: books_retry.retry(ask, lambda: beats.append(1)))
    assert contracts_of(1).decks and not left and len(beats) > 3, "a heartbeat at each try"
    engine.dispose()


def test_a_replay_with_unusable_books_names_them(tmp_path):
    (tmp_path / "calls.csv").write_text("at,to\n2026-01-01T00:00:00Z,43\n")
    (tmp_path / "mapping.yaml").write_text("columns: {b_number: to, answer: at}\n")
    books = f"postgresql://ringfence:{BOOKS_PASSWORD}@127.0.0.1:1/books"
    arguments = ["replay", "--calls", tmp_path / "calls.csv", "--mapping", tmp_path / "mapping.yaml", "--out", tmp_path / "out", "--books", books]
    result = CliRunner().invoke(app, [str(word) for word in arguments])
    assert result.exit_code == 1 and BOOKS_PASSWORD not in result.output
    assert "postgresql://ringfence@127.0.0.1:1/books: nobody listens there" in " ".join(result.output.split())


def test_at_its_start_a_part_waits_for_a_bounded_time():
    tries, beats = [], []

    def down() -> None:
        tries.append(1)
        raise Unavailable("postgresql://db/books: the server is starting or stopping")

    began = time.monotonic()
    with pytest.raises(Unavailable, match="starting"):
        books_retry.retry(down, lambda: beats.append(1), for_s=1.0)
    assert len(tries) == len(beats) > 2 and time.monotonic() - began < 30
    with pytest.raises(BooksError, match="refused"):
        books_retry.retry(lambda: (_ for _ in ()).throw(BooksError("refused")), lambda: None)
