"""ClickHouse behind HTTP, by its address: the same tables and rows as embedded, and a message for each fault."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from clickhouse_server import PASSWORD, USER, ClickHouse

from warehouse import (
    WarehouseDown,
    WarehouseError,
    apply_retention,
    ask,
    insert,
    keep_days,
    kept_days,
    migrate,
    open_warehouse,
    queries,
)


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Callable[..., ClickHouse]]:
    """Starts a server; of one directory there is one at a time."""
    started: list[ClickHouse] = []

    def start(**options: object) -> ClickHouse:
        server = ClickHouse(tmp_path / "clickhouse", **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


def test_the_same_rows_give_the_same_answers_embedded_and_behind_http(clickhouse, client, rows):
    """`client` is embedded. What is asked of both is what `status` and `calls` ask."""
    server = clickhouse()
    behind = open_warehouse(server.dsn())
    assert migrate(behind) and migrate(behind) == []
    stored = rows.records(*[rows.record(n, "rated" if n % 3 else "event") for n in range(500) if n != 77])  # one is lost
    money = [rows.call(n, 1_000_000_001 + n) for n in range(0, 500, 3)]
    for each in (client, behind):
        for _ in range(2):  # a batch that comes twice
            insert(each, "records", stored)
            rows.sell(each, *money)
    lost = queries.lost(rows.NOON + 10**6)
    for question in (queries.totals(), queries.money(), queries.completeness(), queries.last_calls(20), lost):
        assert ask(behind, question) == ask(client, question) != []
    behind.close()


def test_days_that_are_over_are_dropped(clickhouse, rows):
    client = open_warehouse(clickhouse().dsn())
    migrate(client)
    insert(client, "records", rows.records(rows.record(1), rows.record(2, learned_ms=rows.NOON - 9 * rows.DAY_MS)))
    keep_days(client, "records", 7, "ann", "a test")
    assert kept_days(client)["records"] == 7
    assert apply_retention(client, rows.NOON) == [("records", "20251116")]
    assert ask(client, queries.totals())[0]["received"] == 1
    client.close()


def test_what_was_acknowledged_outlives_a_kill(clickhouse, rows):
    server = clickhouse()
    client = open_warehouse(server.dsn())
    migrate(client)
    for n in range(20):
        insert(client, "records", rows.records(*[rows.record(50 * n + k) for k in range(50)]))
    server.kill()
    with pytest.raises(WarehouseDown, match="nobody listens there"):
        insert(client, "records", rows.records(rows.record(9999)))
    server.start()
    assert ask(client, queries.totals())[0]["received"] == 1000
    client.close()


# --- TLS ---


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    authority, path = trustme.CA(), tmp_path / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return authority, path


def certificate(authority: trustme.CA, name: str, directory: Path) -> Path:
    path = directory / f"{name}.pem"
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)
    return path


def test_a_certificate_is_looked_at(clickhouse, authority, tmp_path):
    ca, path = authority
    server = clickhouse(certificate=certificate(ca, "localhost", tmp_path))
    client = open_warehouse(server.dsn("localhost", query=f"?ca_cert={path}"))
    assert migrate(client)
    client.close()
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    by_number, by_stranger = server.dsn("127.0.0.1", query=f"?ca_cert={path}"), server.dsn("localhost", query=f"?ca_cert={other}")
    for dsn in (by_number, by_stranger, server.dsn("localhost")):
        with pytest.raises(WarehouseError, match="the server's certificate is not accepted") as refusal:
            open_warehouse(dsn, timeout_s=5)
        assert not isinstance(refusal.value, WarehouseDown) and PASSWORD not in str(refusal.value)
    with pytest.raises(WarehouseError, match=r"there is no file /nowhere/ca\.pem for ca_cert"):
        open_warehouse(server.dsn("localhost", query="?ca_cert=/nowhere/ca.pem"))


# --- messages ---


def test_each_fault_of_an_address_has_its_message(clickhouse):
    server = clickhouse()
    at = f"127.0.0.1:{server.port}"
    expected = [
        (server.dsn(password="another"), False, "the user or the password is refused"),
        (server.dsn(user="nobody"), False, "the user or the password is refused"),
        (f"https://{USER}:secret-word@{at}", False, "speaks no TLS"),
        (f"http://{USER}:secret-word@no-such-host.invalid:8123", True, "no machine is known by that name"),
        (f"http://{USER}:secret-word@127.0.0.1:1", True, "nobody listens there"),
    ]
    for dsn, passes, meaning in expected:
        with pytest.raises(WarehouseError) as fault:
            open_warehouse(dsn, timeout_s=5)
        text = str(fault.value)
        assert re.search(meaning, text) and isinstance(fault.value, WarehouseDown) is passes, text
        assert "secret-word" not in text and "another" not in text and PASSWORD not in text
        assert text.startswith("the warehouse at http") and "\n" not in text and len(text) < 500
    client = open_warehouse(server.dsn())
    with pytest.raises(WarehouseError, match=r"does not have our (database|tables); `ringfence migrate`"):
        ask(client, queries.totals())
    client.close()


@pytest.mark.parametrize("password", ["a/secret-word", "secret-word@x/y", "secret-word#1", "se:secret-word/"])
def test_a_password_that_should_have_been_escaped_is_not_shown(password):
    with pytest.raises(WarehouseError) as refusal:
        open_warehouse(f"http://user:{password}@127.0.0.1:1/", timeout_s=2)
    assert "secret-word" not in str(refusal.value)


def test_a_read_only_server_is_reported_and_still_answers(clickhouse, rows):
    writable = clickhouse()
    client = open_warehouse(writable.dsn())
    migrate(client)
    insert(client, "records", rows.records(rows.record(1)))
    client.close()
    writable.kill()
    client = open_warehouse(clickhouse(readonly=True).dsn())
    for write in (
        lambda: insert(client, "records", rows.records(rows.record(2))),
        lambda: keep_days(client, "records", 7, "ann", "a test"),
        lambda: client.command("CREATE TABLE x (a Int8) ENGINE = Memory"),
    ):
        with pytest.raises(Exception, match="READONLY") as refusal:
            write()
    with pytest.raises(WarehouseError, match="the server, or this user, is read-only; name a user who may write") as refusal:
        insert(client, "records", rows.records(rows.record(2)))
    assert not isinstance(refusal.value, WarehouseDown)
    assert ask(client, queries.totals())[0]["received"] == 1
    client.close()


def test_a_server_that_stands_still_is_waited_for_so_long(clickhouse, rows):
    server = clickhouse()
    client = open_warehouse(server.dsn())
    migrate(client)
    client.close()
    client = open_warehouse(server.dsn(), timeout_s=2)
    server.freeze()
    began = time.monotonic()
    with pytest.raises(WarehouseDown, match="there is no answer"):
        insert(client, "records", rows.records(rows.record(1)))
    assert time.monotonic() - began < 60
    server.freeze(False)
    client.close()
    client = open_warehouse(server.dsn())
    insert(client, "records", rows.records(rows.record(1)))  # it may be there already: once in the end
    assert ask(client, queries.totals())[0]["received"] == 1
    client.close()


def test_a_server_that_takes_the_call_and_hangs_up(rows):
    with socket.create_server(("127.0.0.1", 0)) as rude:
        threading.Thread(target=lambda: [rude.accept()[0].close() for _ in range(9)], daemon=True).start()
        with pytest.raises(WarehouseDown, match="the connection broke"):
            open_warehouse(f"http://user:x@127.0.0.1:{rude.getsockname()[1]}", timeout_s=2)
