"""Arrow in every form that it travels in becomes the same rows, each counts once, and what an insert has returned for is on the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from core import schemas
from warehouse import WarehouseDown, WarehouseError, ask, insert, open_warehouse, queries

ROOT = Path(__file__).parents[2]

TEXTS = ["", "acme", "Größe 大 🎧", "x" * 300, "quote ' back\\slash", "tab\tnewline\nnul\0", "acme", "ten chars+", "twelve chars", "13 characters"]
BYTES = [None, b"", b"\x00\xff{", b"\xc3\x28", b"y" * 300, b"twelve bytes", b"13 bytes long", None, b"'", b"\\"]
NUMBERS = [None, 0, -1, 1, 2**63 - 1, -(2**63), None, 7, 8, 9]


def plain(rows) -> pa.Table:
    """Ten rows of `records` with what is hard in text, bytes and numbers, as plain (large) strings and bytes."""
    every = []
    for n, (text, raw, number) in enumerate(zip(TEXTS, BYTES, NUMBERS, strict=True)):
        hard = {"account": text, "call_id": text, "reason": text, "raw": raw, "at_ms": number, "seq": number, "last": n % 2 == 0}
        small = None if number is None else max(-(2**31), min(2**31 - 1, number))
        every.append(rows.record(n, "reject", **hard, sip_code=small, attempt_no=n, suspected_hung=False))
    table = rows.records(*every)
    return table.cast(pa.schema([field.with_type(PLAIN.get(field.type, field.type)) for field in table.schema]))


PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def retyped(table: pa.Table, types: dict[pa.DataType, pa.DataType]) -> pa.Table:
    return table.cast(pa.schema([field.with_type(types.get(field.type, field.type)) for field in table.schema]))


def as_dictionaries(table: pa.Table) -> pa.Table:
    columns = [column.dictionary_encode() if column.type == pa.large_string() else column for column in table.columns]
    return pa.table(columns, names=table.column_names)


def in_chunks(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(start, 3) for start in range(0, table.num_rows, 3)])


def cut_from_more(table: pa.Table) -> pa.Table:
    """Rows in the middle of larger buffers: offsets and null bits do not begin at a byte."""
    return pa.concat_tables([table, table, table]).combine_chunks().slice(table.num_rows, table.num_rows)


def as_judge_writes_them(table: pa.Table) -> pa.Table:
    return pl.DataFrame(table).to_arrow(compat_level=pl.CompatLevel.newest())


FORMS = {
    "large strings": lambda table: table,
    "strings": lambda table: retyped(table, {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}),
    "views": lambda table: retyped(table, {large: view for view, large in PLAIN.items()}),
    "dictionaries": as_dictionaries,
    "chunks": in_chunks,
    "a cut": cut_from_more,
    "polars": as_judge_writes_them,
}


def stored(client) -> list[tuple]:
    columns = ", ".join(schemas.JUDGED.names())
    return client.query(f"SELECT {columns}, hex(raw) FROM records ORDER BY offset").result_rows


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_arrow_is_stored_as_the_same_values(client, rows, form):
    table = plain(rows)
    assert insert(client, "records", FORMS[form](table)) == len(TEXTS)
    found = client.query("SELECT account, call_id, reason, hex(raw), at_ms, seq, sip_code, attempt_no, last FROM records ORDER BY offset")
    small = [None if number is None else max(-(2**31), min(2**31 - 1, number)) for number in NUMBERS]
    assert found.result_rows == [
        (text, text, text, None if raw is None else raw.hex().upper(), number, number, code, n, n % 2 == 0)
        for n, (text, raw, number, code) in enumerate(zip(TEXTS, BYTES, NUMBERS, small, strict=True))
    ]


def test_both_ways_in_store_the_same(client, rows, monkeypatch):
    """The engine reads Arrow in process; a server gets it through the driver. Here both go into the embedded engine."""
    table = retyped(plain(rows), {large: view for view, large in PLAIN.items()}).drop_columns(["config_version", "cell"])
    insert(client, "records", table)
    in_process = stored(client)
    client.command("TRUNCATE TABLE records")
    monkeypatch.setattr(client, "uri", "http://as-if-it-were-a-server")
    insert(client, "records", table)
    assert stored(client) == in_process


def test_a_null_text_is_not_known_and_a_column_that_is_left_out_has_its_default(client, rows):
    table = plain(rows)
    nulls = pa.array([None] * table.num_rows, pa.string_view())
    table = table.set_column(table.column_names.index("carrier"), "carrier", nulls)
    table = table.set_column(table.column_names.index("dialog_id"), "dialog_id", nulls)
    insert(client, "records", table.drop_columns(["cell", "config_version", "seq"]))
    found = client.query("SELECT DISTINCT carrier, dialog_id, cell, config_version, seq, revision FROM records").result_rows
    assert found == [("", "", "", 0, None, 1)]


def test_columns_go_by_name_not_by_order(client, rows):
    table = plain(rows)
    insert(client, "records", table.select(table.column_names[::-1]))
    assert [row[0] for row in client.query("SELECT account FROM records ORDER BY offset").result_rows] == TEXTS


def test_repeats_inside_one_insert_count_once(client, rows):
    """The engine keeps them until it merges (optimize_on_insert = 0): the views must not."""
    records = rows.records(*(rows.record(n, "rated") for n in (1, 2, 1, 3, 2, 1)))
    first, corrected, other = rows.call(7, 2_000_000_000), rows.call(7, 1_500_000_000, revision=2), rows.call(9, 1)
    insert(client, "records", records)
    rows.sell(client, first, corrected, other, first, corrected)
    assert client.query("SELECT count() FROM records").first_row == (6,), "this is why the views have to"
    for _ in range(2):
        assert ask(client, queries.totals())[0]["received"] == 3
        [money] = ask(client, queries.money())
        assert money["calls"] == 2 and money["sell"] * 10**9 == 1_500_000_001 and money["buy"] * 10**9 == 750_000_000
        for table in ("records", "calls", "charges"):
            client.command(f"OPTIMIZE TABLE {table} FINAL")
    assert client.query("SELECT count() FROM records").first_row == (3,)


def test_one_insert_is_one_part_per_day_and_one_file_of_columns(client, rows):
    insert(client, "records", in_chunks(rows.records(*(rows.record(n) for n in range(5_000)))))
    [part] = client.query("SELECT rows, part_type FROM system.parts WHERE table = 'records' AND active").result_rows
    assert part == (5_000, "Compact")


@pytest.mark.parametrize(
    ("column", "values"),
    [("partition", pa.array(["no number"])), ("offset", pa.array([1.7])), ("attempt_no", pa.array([2**40])), ("call_id", pa.array([7])),
     ("last", pa.array([1])), ("raw", pa.array(["text"]))],
)  # fmt: skip
def test_a_column_of_another_type_is_refused_and_not_stored_as_zero(client, rows, column, values):
    table = rows.records(rows.record(1))
    table = table.set_column(table.column_names.index(column), column, values)
    with pytest.raises(WarehouseError, match=f"rows for records have the column '{column}' as {values.type}"):
        insert(client, "records", table)
    assert client.query("SELECT count() FROM records").first_row == (0,)


def test_an_engine_that_cannot_now_is_tried_again_and_one_that_never_will_is_not(client, rows):
    client.command("ALTER TABLE records MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1")
    client.command("SYSTEM STOP MERGES records")
    insert(client, "records", rows.records(rows.record(1)))
    with pytest.raises(WarehouseDown, match="more parts than it can merge"):
        insert(client, "records", rows.records(rows.record(2)))
    client.command("DROP TABLE calls")
    with pytest.raises(WarehouseError, match=r"insert of 1 rows into calls.*it does not have our tables") as refused:
        rows.sell(client, rows.call(1, 1))
    assert not isinstance(refused.value, WarehouseDown)


KILLED = """
import os, signal, sys
import pyarrow as pa
from warehouse import insert, open_warehouse

client = open_warehouse(sys.argv[1])
for n in range(int(sys.argv[2])):
    with pa.ipc.open_file(sys.argv[3]) as file:
        table = file.read_all()
    offsets = pa.array([n * table.num_rows + k for k in range(table.num_rows)], pa.int64())
    insert(client, "records", table.set_column(table.column_names.index("offset"), "offset", offsets))
    print(n, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_an_insert_returned_for_outlives_a_kill(directory, client, rows, tmp_path):
    client.close()
    table = rows.records(*(rows.record(n, "rated", reason="x" * n) for n in range(50)))
    with pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    arguments = [f"chdb://{directory}", "4", str(tmp_path / "rows.arrow")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL and killed.stdout.split() == ["0", "1", "2", "3"], killed.stderr
    again = open_warehouse(f"chdb://{directory}")
    try:
        assert again.query("SELECT count(), uniqExact(offset), sum(length(reason)) FROM records").first_row == (200, 200, 4 * 1225)
        settings = again.query("SELECT create_table_query FROM system.tables WHERE name IN ('records', 'calls', 'attempts', 'charges')").result_rows
        assert len(settings) == 4
        assert all("fsync_after_insert = 1, fsync_part_directory = 1" in sql for (sql,) in settings), "a kill alone does not test the disk"
    finally:
        again.close()
