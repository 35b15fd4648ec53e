"""PostgreSQL: one writer, one snapshot for readers, and messages for the faults of the server."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgresql_server import PASSWORD, PostgreSQL

import books.postgresql
from books import (
    BooksError,
    Engine,
    Unavailable,
    audit,
    check,
    configs,
    leases,
    migrate,
    open_books,
    orders,
    reading,
    suppressions,
    tenants,
    writing,
)
from core.config import Config
from core.orders import Key

pytestmark = pytest.mark.postgresql
NOW = 1_795_000_000_000


@pytest.fixture
def dsn(postgresql: PostgreSQL) -> Iterator[str]:
    dsn = postgresql.fresh(migrated=True)
    yield dsn
    postgresql.drop(dsn)


@pytest.fixture
def engine(dsn: str) -> Iterator[Engine]:
    engine = open_books(dsn)
    yield engine
    engine.dispose()


def together(engines: list[Engine], work, times: int) -> list[object]:
    """Runs the work concurrently and repeatedly; each engine is a process of its own to the server."""
    start = threading.Barrier(len(engines))

    def one(engine: Engine) -> list[object]:
        start.wait(10)
        return [work(engine) for _ in range(times)]

    with ThreadPoolExecutor(len(engines)) as pool:
        return [value for values in pool.map(one, engines) for value in values]


# --- one writer ---


def test_four_concurrent_writers_number_versions_and_audit_without_gaps_or_duplicates(dsn):
    engines = [open_books(dsn) for _ in range(4)]

    def publish(engine: Engine) -> int:
        with writing(engine) as conn:
            return configs.publish(conn, Config(version=0), "ann", "one of many", NOW)

    numbers = together(engines, publish, 10)
    assert sorted(numbers) == list(range(1, 41)), "each read the newest number, and nobody wrote between"
    with reading(engines[0]) as conn:
        assert [entry.subject for entry in audit.last(conn)] == [str(n) for n in range(40, 0, -1)], "in the order of the commits"
    for engine in engines:
        engine.dispose()


def test_concurrent_writers_never_exceed_a_limit_that_they_count_first(dsn):
    """As the dispatcher counts the orders of a minute: the count is still true when the order is stored."""
    engines = [open_books(dsn) for _ in range(4)]
    with writing(engines[0]) as conn:
        tenants.add(conn, "t1", NOW)

    def order_if_there_is_room(engine: Engine) -> bool:
        with writing(engine) as conn:
            if len(orders.select(conn, tenant="t1")) >= 7:
                return False
            key = Key(tenant="t1", account=f"a{threading.get_ident()}", b_range="88213")
            orders.block(conn, key, 60_000, "ann", "test", time.time_ns())
            return True

    assert together(engines, order_if_there_is_room, 5).count(True) == 7
    for engine in engines:
        engine.dispose()


def test_a_lease_goes_to_one_of_concurrent_holders(dsn):
    engines = [open_books(dsn) for _ in range(5)]

    def ask(engine: Engine) -> int:
        with writing(engine) as conn:
            lease = leases.acquire(conn, "switch k1", f"holder {id(engine)}", 10_000, NOW)
        return lease.fence if lease else 0

    fences = together(engines, ask, 3)
    assert sum(bool(fence) for fence in fences) == 3 and len({fence for fence in fences if fence}) == 1, (
        "one holder, who renews it"
    )
    for engine in engines:
        engine.dispose()


def test_a_writer_waits_for_the_previous_one_and_fails_after_the_lock_timeout(dsn, engine, monkeypatch):
    monkeypatch.setattr(books.postgresql, "LOCK_TIMEOUT_MS", 300)
    other = open_books(dsn)
    with writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
        with pytest.raises(Unavailable, match=r"another process has been writing .*lock timeout"), writing(other):
            raise AssertionError("two write at once")
        with reading(other) as reader:  # who reads waits for nobody
            assert tenants.every(reader) == []
    with writing(other) as conn:
        assert tenants.every(conn) == ["t1"]
    other.dispose()


def test_a_frozen_writer_blocks_others_only_until_its_session_timeout(dsn, engine, monkeypatch):
    monkeypatch.setattr(books.postgresql, "FROZEN_MS", 300)
    frozen = open_books(dsn)
    with pytest.raises(Unavailable, match="stood still"), writing(frozen) as conn:  # noqa: PT012 - the end of the block is what raises
        tenants.add(conn, "t1", NOW)
        time.sleep(0.6)
        with writing(engine) as other:
            tenants.add(other, "t2", NOW)
        tenants.add(conn, "t3", NOW)
    with reading(engine) as conn:
        assert tenants.every(conn) == ["t2"], "nothing of the frozen one is there"
    with writing(frozen) as conn:  # and it goes on
        tenants.add(conn, "t1", NOW)
    frozen.dispose()


def test_a_reading_sees_one_snapshot(dsn, engine):
    other = open_books(dsn)
    with writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
    with reading(other) as reader:
        assert tenants.every(reader) == ["t1"]
        with writing(engine) as conn:
            tenants.add(conn, "t2", NOW)
            suppressions.add(conn, Key(tenant="t2", account="acme"), NOW + 1, "ann", "test", NOW)
        assert tenants.every(reader) == ["t1"] and suppressions.live(reader, NOW) == []
    other.dispose()


def test_concurrent_migrations_agree(postgresql):
    dsn = postgresql.fresh()
    engines = [open_books(dsn) for _ in range(4)]
    together(engines, migrate, 1)
    for engine in engines:
        check(engine)
        engine.dispose()
    postgresql.drop(dsn)


def test_a_migration_that_is_cut_off_leaves_nothing(postgresql):
    dsn = postgresql.fresh()
    engine, name = open_books(dsn), dsn.rpartition("/")[2]

    def cut(_conn, _cursor, statement, *_) -> None:
        if "CREATE TABLE switches" in statement:
            postgresql.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    sa.event.listen(engine, "after_cursor_execute", cut)
    with pytest.raises(Unavailable):
        migrate(engine)
    engine.dispose()
    assert postgresql.admin("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [(0,)]
    again = open_books(dsn)
    migrate(again)
    check(again)
    again.dispose()
    postgresql.drop(dsn)


# --- what is kept ---


def test_times_of_today_and_the_largest_money_fit(engine):
    with writing(engine) as conn:
        tenants.add(conn, "t1", 2**53)
        audit.count_up(conn, "large", 2**63 - 1)
        assert audit.counted(conn, "large") == 2**63 - 1


def test_commits_are_synchronous_though_the_server_default_is_off(postgresql, dsn):
    postgresql.admin(f"ALTER DATABASE {dsn.rpartition('/')[2]} SET synchronous_commit = off")
    engine = open_books(dsn)
    with reading(engine) as conn:
        assert conn.exec_driver_sql("show synchronous_commit").scalar() == "on"
    engine.dispose()


# --- words ---


def words_of(dsn: str) -> tuple[type[BooksError], str]:
    engine = open_books(dsn)
    try:
        check(engine)
    except BooksError as error:
        return type(error), str(error)
    finally:
        engine.dispose()
    raise AssertionError("nothing is wrong")


def test_each_fault_of_an_address_has_its_message(postgresql, dsn):
    name = dsn.rpartition("/")[2]
    at = f"127.0.0.1:{postgresql.port}"
    empty = postgresql.fresh()
    postgresql.admin("CREATE ROLE stranger LOGIN PASSWORD 'x'")
    postgresql.admin("CREATE DATABASE ascii OWNER ringfence TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    postgresql.admin(f"REVOKE CONNECT ON DATABASE {name} FROM public")
    expected = [
        (f"postgresql://ringfence:{PASSWORD}x@{at}/{name}", BooksError, "the password is refused"),
        (f"postgresql://nobody:{PASSWORD}@{at}/{name}", BooksError, "the password is refused"),
        (f"postgresql://ringfence:{PASSWORD}@{at}/nowhere", BooksError, "there is no such database"),
        (f"postgresql://stranger:x@{at}/{name}", BooksError, "GRANT CONNECT"),
        (f"postgresql://ringfence:{PASSWORD}@127.0.0.1:1/{name}", Unavailable, "nobody listens there"),
        (f"postgresql://ringfence:{PASSWORD}@no-such-host.invalid/{name}", Unavailable, "no machine is known by that name"),
        (f"{dsn}?sslmode=require", BooksError, "the server speaks no TLS"),
        (
            f"{dsn}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            BooksError,
            "the server's certificate|the server speaks no TLS",
        ),
        (f"{dsn}?colour=blue", BooksError, "has an option that is not known"),
        (f"postgresql://ringfence:{PASSWORD}@/{name}?host=/nowhere", Unavailable, "no socket there"),
        (f"postgresql://ringfence:{PASSWORD}@{at}/ascii", BooksError, "encoding is SQL_ASCII"),
        (empty, BooksError, "`ringfence migrate`"),
    ]
    for address, kind, meaning in expected:
        found, words = words_of(address)
        assert found is kind and re.search(meaning, words), (address, words)
        assert words.startswith("postgresql://") and "\n" not in words and PASSWORD not in words


@pytest.mark.parametrize(
    "address",
    ["postgresql://ringfence:{}@db", "postgresql://ringfence:{}/x@db:a/books", "mysql://u:{}@db/books", "postgresql:/u:{}@db/b"],
)
def test_an_invalid_address_is_reported_without_its_password(address):
    with pytest.raises(BooksError) as refusal:
        open_books(address.format(PASSWORD))
    assert PASSWORD not in str(refusal.value)


def test_a_standby_is_reported_as_read_only(postgresql, dsn):
    postgresql.admin(f"ALTER DATABASE {dsn.rpartition('/')[2]} SET default_transaction_read_only = on")
    engine = open_books(dsn)
    with pytest.raises(BooksError, match="name the primary"), writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
    engine.dispose()


def test_a_user_without_the_right_to_create_tables_is_reported(postgresql, dsn):
    postgresql.admin("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    engine = open_books(postgresql.dsn(dsn.rpartition("/")[2], "reader", "reader"))
    with pytest.raises(BooksError, match="has not the right"), reading(engine) as conn:
        tenants.every(conn)
    engine.dispose()


def test_the_parts_run_with_fewer_rights_than_the_owner_and_cannot_open_the_audit(postgresql, dsn):
    """The rights of docs/servers.md."""
    name = dsn.rpartition("/")[2]
    page = (Path(__file__).parents[2] / "docs" / "servers.md").read_text()
    grants = re.findall(r"^(GRANT [^;]*TO ringfence_run);", page, re.MULTILINE)
    assert len(grants) == 4
    postgresql.admin("DROP ROLE IF EXISTS ringfence_run")
    postgresql.admin("CREATE ROLE ringfence_run LOGIN PASSWORD 'run'")
    for grant in grants:
        postgresql.admin(grant.replace("DATABASE ringfence ", f"DATABASE {name} "), name)
    engine = open_books(postgresql.dsn(name, "ringfence_run", "run"))
    check(engine)
    with writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
        orders.block(conn, Key(tenant="t1", account="acme", b_range="88213"), 60_000, "ann", "test", NOW)
        configs.publish(conn, Config(version=0), "ann", "first", NOW)
        suppressions.add(conn, Key(tenant="t1", account="acme"), NOW + 1, "ann", "test", NOW)
        leases.acquire(conn, "switch k1", "a", 1, NOW)
    for statement in ("ALTER TABLE audit DISABLE TRIGGER ALL", "TRUNCATE audit", "DROP TRIGGER audit_append_only ON audit"):
        with pytest.raises(BooksError, match="has not the right"), writing(engine) as conn:
            conn.exec_driver_sql(statement)
    with pytest.raises(sa.exc.DBAPIError, match="append only"), writing(engine) as conn:
        conn.exec_driver_sql("DELETE FROM audit")
    engine.dispose()
    postgresql.drop(dsn)
    postgresql.admin("DROP ROLE ringfence_run")


def test_of_two_hosts_the_primary_is_used(postgresql, dsn):
    name = dsn.rpartition("/")[2]
    query = f"?host=127.0.0.1,127.0.0.1&port=1,{postgresql.port}&target_session_attrs=read-write"
    engine = open_books(f"postgresql://ringfence:{PASSWORD}@/{name}{query}")
    check(engine)
    engine.dispose()
    found, words = words_of(f"postgresql://ringfence:{PASSWORD}@/{name}?host=127.0.0.1,127.0.0.1&port=1,2")
    assert found is Unavailable and "127.0.0.1,127.0.0.1" in words and "nobody listens there" in words and PASSWORD not in words


def test_a_server_without_free_connections_is_unavailable(postgresql, dsn, engine):
    postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT 1")
    try:
        other = open_books(dsn)
        with reading(other), pytest.raises(Unavailable, match=r"no connection left.*max_connections"), reading(engine):
            pass
        other.dispose()
    finally:
        postgresql.admin("ALTER ROLE ringfence CONNECTION LIMIT -1")
    with reading(engine) as conn:
        assert tenants.every(conn) == []


def test_threads_wait_for_a_pooled_connection_and_then_fail(dsn, monkeypatch):
    monkeypatch.setattr(books.postgresql, "CONNECTIONS", 1)
    monkeypatch.setattr(books.postgresql, "WAIT_S", 0.3)
    engine = open_books(dsn)
    with reading(engine), reading(engine), pytest.raises(Unavailable, match="all 2 connections of this process"), reading(engine):
        pass
    engine.dispose()


# --- the server's end ---


@pytest.fixture
def own_server(need) -> Iterator[PostgreSQL]:
    """A server for one test alone."""
    need("postgresql")
    server = PostgreSQL()
    yield server
    server.close()


def test_a_server_crash_within_a_transaction_rolls_it_back(own_server):
    engine = open_books(own_server.fresh(migrated=True))
    with writing(engine) as conn:
        tenants.add(conn, "kept", NOW)
    with pytest.raises(Unavailable), writing(engine) as conn:  # noqa: PT012
        tenants.add(conn, "half", NOW)
        own_server.stop("immediate")
        tenants.add(conn, "more", NOW)
    with pytest.raises(Unavailable, match="nobody listens there"), reading(engine):
        pass
    own_server.start()
    with reading(engine) as conn:  # without an error first: what was kept open is looked at before it is used
        assert tenants.every(conn) == ["kept"]
    with writing(engine) as conn:
        tenants.add(conn, "next", NOW)
    engine.dispose()


def test_tls_is_used_and_a_certificate_of_another_name_is_refused(own_server):
    import trustme

    authority, stranger = trustme.CA(), trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(own_server.data / "server.pem")
    (own_server.home / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (own_server.home / "stranger.pem").write_bytes(stranger.cert_pem.bytes())
    own_server.tls(own_server.data / "server.pem")
    dsn = own_server.fresh(migrated=True)
    good = dsn.replace("127.0.0.1", "localhost") + f"?sslmode=verify-full&sslrootcert={own_server.home}/ca.pem"
    engine = open_books(good)
    with reading(engine) as conn:
        assert conn.exec_driver_sql("select ssl from pg_stat_ssl where pid = pg_backend_pid()").scalar() is True
    engine.dispose()
    by_number = f"{dsn}?sslmode=verify-full&sslrootcert={own_server.home}/ca.pem"
    for address in (by_number, good.replace("ca.pem", "stranger.pem"), good.replace("ca.pem", "none.pem")):
        found, words = words_of(address)
        assert found is BooksError and "the server's certificate is not what was asked for" in words, words
        assert PASSWORD not in words
