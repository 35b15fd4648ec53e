"""SELECT, and only SELECT: ordinary clients read; nothing writes, nothing reads a file, nothing runs for ever."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from email.message import Message
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from strangers import SHAPES, cut_off, half_a_head, strangers
from until import until

from flows.warehouse_server import Server, serve
from warehouse import WarehouseDown, WarehouseError, ask, insert, open_warehouse, queries
from warehouse.server import Limits

TOKEN = "a-token-of-this-test"
LIMITS = Limits(time_s=1.0, result_rows=3000, queries=2, wait_s=0.3, connections=8, idle_s=5.0, request_bytes=20_000)


@pytest.fixture
def server(client, directory, rows) -> Iterator[Server]:
    insert(client, "records", rows.records(rows.record(1, "rated"), rows.record(2, "reject", raw=b"\xff")))
    rows.sell(client, rows.call(1, 12_345_678_901))
    server = serve(directory, "127.0.0.1", 0, TOKEN, LIMITS)
    yield server
    server.close()


@pytest.fixture
def reader(server):
    reader = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username="anybody", password=TOKEN)
    yield reader
    reader.close()


def code_of(reader, sql: str, **more) -> int | None:
    with pytest.raises(ClickHouseError) as refusal:
        reader.query(sql, **more)
    return refusal.value.code


def fetch(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, Message]:
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        renamed = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"} | renamed)
        answer = line.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        line.close()


def test_an_ordinary_client_reads(reader, client):
    assert reader.query("SELECT sell, learned_at FROM priced_calls").first_row[0] == Decimal("12.345678901")
    assert reader.query("SELECT {text:String}", parameters={"text": "it's\n\t\\ é"}).first_row == ("it's\n\t\\ é",)
    assert reader.query_df("SELECT offset, disposition FROM records_latest ORDER BY offset").disposition.tolist() == [
        "rated",
        "reject",
    ]
    assert reader.query_arrow("SELECT offset FROM records_latest").num_rows == 2
    assert reader.query("SELECT offset FROM records LIMIT 0").column_names == ("offset",)
    assert "records_latest" in reader.command("SHOW TABLES")
    assert reader.command("SELECT count() FROM records") == 2
    with reader.query_row_block_stream("SELECT number FROM numbers(900)") as stream:
        assert sum(len(block) for block in stream) == 900


def test_a_bearer_token_and_an_address_do_as_well(server, client, directory):
    clickhouse_connect.get_client(host="127.0.0.1", port=server.port, access_token=TOKEN).close()
    patient = serve(directory, "127.0.0.1", 0, TOKEN)  # these queries may take more than a second on a busy machine
    with_address = open_warehouse(f"http://reader:{TOKEN}@127.0.0.1:{patient.port}")
    for query in (queries.totals(), queries.money(), queries.last_calls(), queries.completeness()):
        assert ask(with_address, query) == ask(client, query)
    with_address.close()
    patient.close()


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "é"])
def test_without_the_token_nothing_is_answered(server, token):
    status, body, headers = fetch(server, "POST", "/", b"SELECT 1", Authorization=f"Bearer {token.encode().decode('latin-1')}")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (403, "516") and body != b"1\n"
    with pytest.raises((WarehouseDown, WarehouseError), match="Authentication failed"):
        open_warehouse(f"http://reader:{'wrong'}@127.0.0.1:{server.port}")


WRITES = [
    "INSERT INTO records (tenant) VALUES ('t')",
    "INSERT INTO FUNCTION file('/tmp/ringfence-test-out', 'CSV') SELECT 1",
    "DROP TABLE records",
    "TRUNCATE TABLE records",
    "ALTER TABLE records DELETE WHERE 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "CREATE FUNCTION f AS x -> x",
    "OPTIMIZE TABLE records",
    "RENAME TABLE records TO r",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "SET readonly = 0",
    "USE system",
    "GRANT ALL ON *.* TO default",
    "BACKUP TABLE records TO File('/tmp/x')",
    "EXPLAIN INSERT INTO records SELECT * FROM records",
    "EXPLAIN AST DROP TABLE records",
    "DELETE FROM records WHERE 1",
    "ATTACH TABLE x",
    "WITH 1 AS a INSERT INTO x SELECT a",
    "/* SELECT */ DROP TABLE records",
    "-- SELECT\nDROP TABLE records",
    "SELECT 1 INTO OUTFILE '/tmp/ringfence-test-out'",
    "SHOW TABLES INTO OUTFILE '/tmp/ringfence-test-out'",
    "SELECT 1 INTO OUTFILE '/tmp/ringfence-test-out' TRUNCATE FORMAT CSV",
]


def test_what_writes_is_refused(reader, client):
    for sql in WRITES:
        assert code_of(reader, sql) in (164, 62), sql
    assert code_of(reader, "SELECT 1; DROP TABLE records") == 62, "two statements are not one"
    assert not Path("/tmp/ringfence-test-out").exists()
    assert client.query("SELECT count() FROM records").first_row == (2,)


ESCAPES = [
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT file('/etc/passwd')",
    "SELECT FILE('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "FROM file('/etc/passwd', 'LineAsString') SELECT *",
    "SELECT * FROM (SELECT * FROM /* */ file('/etc/passwd', 'LineAsString'))",
    "WITH x AS (SELECT * FROM file('/etc/passwd', 'LineAsString')) SELECT * FROM x",
    "SELECT 1 WHERE 'root' IN file('/etc/passwd', 'LineAsString')",
    "SELECT (SELECT count() FROM file('/etc/passwd', 'LineAsString'))",
    "SELECT 1 UNION ALL SELECT count() FROM file('/etc/passwd', 'LineAsString')",
    "DESCRIBE file('/etc/passwd')",
    "EXPLAIN SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM default.`/etc/passwd`",
    "SELECT 1 IN default.`/etc/hostname`",
    "SELECT * FROM {d:Identifier}.`/etc/passwd`",
    "SHOW CREATE TABLE default.`/etc/passwd`",
    "EXISTS default.`/etc/passwd`",
    "SELECT * FROM loop(default.`/etc/passwd`)",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV')",
    "SELECT * FROM s3('http://127.0.0.1:1/x')",
    "SELECT * FROM executable('x', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM cluster('x', system.one)",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('/tmp/x', 't')",
    "SELECT * FROM python(x)",
    "SELECT * FROM Python(x)",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM input('a Int8')",
    "SELECT * FROM filesystem('/etc')",
    "SELECT * FROM system.stack_trace",
    "SELECT sleep(1)",
    "SELECT aiGenerate('x', 'y')",
]


def test_what_reaches_outside_is_refused(reader):
    for sql in ESCAPES:
        assert code_of(reader, sql, parameters={"d": "default"} if "{d:" in sql else None) == 497, sql
    for sql in ("SELECT * FROM `/etc/passwd`", "SELECT * FROM '/etc/passwd'"):
        assert code_of(reader, sql) == 60, "in our database a file is no table"


def test_every_table_function_of_the_engine_is_refused_unless_listed(reader):
    names = reader.query("SELECT name FROM system.table_functions").result_columns[0]
    allowed = {"numbers", "numbers_mt", "zeros", "zeros_mt", "values", "null", "generate_series", "generateSeries", "primes"}
    assert len(names) > 50
    for name in set(names) - allowed:
        assert code_of(reader, f"SELECT * FROM `{name}`(1)") in (497, 62), name


PLAIN = [
    "SELECT 'SETTINGS max_threads = 1; DROP TABLE x INTO OUTFILE'",
    "SELECT count() FROM records SETTINGS final = 1, optimize_read_in_order = 0",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "WITH 2 AS a SELECT a",
    "EXPLAIN SELECT * FROM records_latest",
    "EXPLAIN indexes = 1 SELECT count() FROM records WHERE tenant = 't1'",
    "DESCRIBE records",
    "DESCRIBE (SELECT 1 AS a)",
    "SHOW CREATE TABLE records",
    "SHOW CREATE TABLE ringfence.records",
    "SHOW DATABASES",
    "SHOW COLUMNS FROM records",
    "EXISTS records",
    "SELECT name, default FROM system.settings LIMIT 3",
    "SELECT format('{}', 'x')",
    "SELECT r.tenant FROM ringfence.records AS r JOIN calls AS c USING (tenant, partition, offset)",
    "SELECT table_name FROM information_schema.tables LIMIT 1",
    "SELECT x, sum(y) OVER (ORDER BY x) FROM (SELECT number AS x, number AS y FROM numbers(3))",
]


def test_plain_questions_are_answered(reader):
    for sql in PLAIN:
        assert reader.query(sql).row_count > 0, sql


def test_limits_are_ours(reader):
    assert code_of(reader, "SELECT number FROM numbers(3001)") == 396
    assert code_of(reader, "SELECT number FROM numbers(10)", settings={"max_result_rows": 5}) == 396, "a lower one is taken"
    assert code_of(reader, "SELECT number FROM numbers(3001)", settings={"max_result_rows": 0}) == 396, "a higher one is not"
    started = time.monotonic()
    endless = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
    assert code_of(reader, endless, settings={"max_execution_time": 3600}) == 159
    assert time.monotonic() - started < 20
    for clause in (
        "max_execution_time = 0",
        "readonly = 0",
        "format_schema = 'x'",
        "max_result_rows = 0, final = 1",
        "final = 1, max_threads = 64",
    ):
        assert code_of(reader, f"SELECT 1 SETTINGS {clause}") == 452, clause
        assert code_of(reader, f"SELECT * FROM (SELECT 1 SETTINGS {clause})") == 452, clause
    assert code_of(reader, "SELECT 1", settings={"format_schema": "x"}) == 452


def test_no_setting_outlives_its_question(reader):
    setting = "SELECT value FROM system.settings WHERE name = 'join_use_nulls'"
    assert reader.query(setting, settings={"join_use_nulls": 1}).first_row == ("1",)
    assert reader.query(setting).first_row == ("0",)


def test_ping_and_health_need_no_token_and_show_no_data(server):
    assert fetch(server, "GET", "/ping", Authorization="")[:2] == (200, b"Ok.\n")
    status, body, _ = fetch(server, "GET", "/health", Authorization="")
    assert status == 200 and json.loads(body)["status"] == "ok"
    assert fetch(server, "GET", "/?query=SELECT+1", Authorization="")[0] == 403


def test_what_curl_sends(server):
    assert fetch(server, "GET", f"/?query=SELECT+1&password={TOKEN}", Authorization="")[:2] == (200, b"1\n")
    form = "application/x-www-form-urlencoded"
    status, body, headers = fetch(server, "POST", "/?default_format=JSONEachRow", b"SELECT 1 AS a", Content_Type=form)
    assert (status, json.loads(body), headers["X-ClickHouse-Format"]) == (200, {"a": 1}, "JSONEachRow")
    assert json.loads(headers["X-ClickHouse-Summary"])["read_rows"] == "1"
    assert fetch(server, "POST", "/", b"SELECT 2 FORMAT CSV")[2]["X-ClickHouse-Format"] == "CSV"
    assert fetch(server, "POST", "/?query=SELECT+{n:Int8}&param_n=7")[1] == b"7\n"
    assert fetch(server, "POST", "/?database=system", b"SELECT 1 FROM one")[1] == b"1\n"


def test_bad_requests_are_answered_and_the_server_goes_on(server):
    assert fetch(server, "POST", "/", b"")[0] == 400
    assert fetch(server, "POST", "/", b"SELECT \xff\xfe")[0] == 400
    assert fetch(server, "POST", "/", b"SELECT '" + b"x" * 30_000 + b"'")[0] == 413
    assert fetch(server, "POST", "/elsewhere", b"SELECT 1")[0] == 404
    assert fetch(server, "POST", "/?database=default%60%3B", b"SELECT 1")[0] == 404
    assert fetch(server, "POST", "/?default_format=a+b", b"SELECT 1")[0] >= 400
    assert fetch(server, "POST", "/?compress=1", b"SELECT 1")[0] == 400
    assert fetch(server, "POST", "/", b"SELECT 1", Content_Encoding="gzip")[0] == 400
    assert fetch(server, "POST", "/?" + "&".join(f"a{n}=1" for n in range(1500)), b"SELECT 1")[0] == 400
    for raw in (
        b"\x16\x03\x01\x02\x00\x01\n\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
            line.sendall(raw)
            line.recv(1000)
    assert fetch(server, "GET", "/ping")[0] == 200


def test_external_data_is_refused(server):
    body = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n1\r\n--b--\r\n'
    status, text, _ = fetch(
        server, "POST", "/?query=SELECT+1&x_structure=a+Int8", body, Content_Type="multipart/form-data; boundary=b"
    )
    assert status == 400 and b"external data" in text
    fields = {b"query": b"SELECT {a:String}", b"param_a": b"x"}
    parts = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % field for field in fields.items()]
    body = b"".join(parts) + b"--b--\r\n"
    assert fetch(server, "POST", "/", body, Content_Type="multipart/form-data; boundary=b")[1] == b"x\n"


def test_more_queries_than_slots_wait_and_then_get_an_error(client, directory):
    """The slow queries run long after the third has given up, also on a machine that is busy with something else."""
    server = serve(directory, "127.0.0.1", 0, TOKEN, replace(LIMITS, time_s=4.0))
    slow = b"SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
    threads = [threading.Thread(target=fetch, args=(server, "POST", "/", slow)) for _ in range(LIMITS.queries)]
    for thread in threads:
        thread.start()
    until(lambda: json.loads(fetch(server, "GET", "/health")[1])["running"] == LIMITS.queries, 10)
    status, text, headers = fetch(server, "POST", "/", b"SELECT 1")
    for thread in threads:
        thread.join(10)
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (503, "202") and b"ask again" in text
    assert fetch(server, "POST", "/", b"SELECT 1")[0] == 200
    server.close()


def test_idle_connections_are_bounded_and_do_not_hold_the_end(client, directory):
    """Connections that have shown the token: one more is cut. (Those that have not make room: below.)"""
    server = serve(directory, "127.0.0.1", 0, TOKEN, LIMITS)
    lines = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=5) for _ in range(LIMITS.connections)]
    for line in lines:
        line.request("GET", "/?query=SELECT+1", headers={"Authorization": f"Bearer {TOKEN}"})
        assert line.getresponse().read() == b"1\n"
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        fetch(server, "GET", "/ping")
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 20, "it does not wait for the lines that stand open"
    for line in lines:
        line.close()
    with pytest.raises(ConnectionError):
        fetch(server, "GET", "/ping")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_strangers_on_all_connections_delay_nobody_with_a_token(client, directory, shape):
    server = serve(directory, "127.0.0.1", 0, TOKEN, replace(LIMITS, strangers=8, stranger_s=600, idle_s=600))
    trusted = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    ask = {"method": "POST", "url": "/", "body": b"SELECT 1", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    trusted.request(**ask)
    assert trusted.getresponse().read() == b"1\n"
    with strangers(server.port, 40, shape):
        for _ in range(3):
            assert fetch(server, "POST", "/", b"SELECT 1")[0] == 200
        trusted.request(**ask)
        assert trusted.getresponse().read() == b"1\n", "a connection that has shown the token stays"
    trusted.close()
    server.close()


def test_who_shows_no_token_in_time_is_cut_off_whatever_it_sends(client, directory):
    server = serve(directory, "127.0.0.1", 0, TOKEN, replace(LIMITS, stranger_s=0.5, idle_s=600))
    with strangers(server.port, 4, half_a_head) as lines:
        until(lambda: all(map(cut_off, lines)), 20)
    server.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example"])
def test_only_loopback(client, directory, host):
    with pytest.raises(WarehouseError, match="loopback"):
        serve(directory, host, 0, TOKEN)


def test_it_serves_only_what_this_process_holds(client, directory, tmp_path):
    with pytest.raises(WarehouseError, match="open the warehouse"):
        serve(tmp_path / "other", "127.0.0.1", 0, TOKEN)
    with pytest.raises(WarehouseError, match="16 characters"):
        serve(directory, "127.0.0.1", 0, "short")
    first = serve(directory, "127.0.0.1", 0, TOKEN)
    with pytest.raises(WarehouseError, match="cannot listen"):
        serve(directory, "127.0.0.1", first.port, TOKEN)
    first.close()


def test_inserts_go_on_while_others_read(reader, client, rows):
    counts = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            counts.append(reader.command("SELECT count() FROM records_latest WHERE partition = 3"))

    thread = threading.Thread(target=read)
    thread.start()
    for start in range(0, 2000, 100):
        insert(client, "records", rows.records(*(rows.record(start + n, partition=3) for n in range(100))))
    done.set()
    thread.join(10)
    assert counts == sorted(counts) and all(n % 100 == 0 for n in counts), "a reader sees whole inserts, and never fewer than before"
