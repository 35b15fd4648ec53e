"""What is stored twice counts once, a correction stands beside what it corrects, and sums are exact."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from core import schemas
from warehouse import WarehouseError, ask, insert, queries, runs


def one(client, sql: str):
    return client.query(sql).first_row[0]


def test_a_replayed_offset_collapses(client, rows):
    batch = rows.records(
        rows.record(1, "rated"), rows.record(2, "event"), rows.record(3, "reject", raw=b"\x00\xff{", tenant="t1")
    )
    for _ in range(3):
        assert insert(client, "records", batch) == 3
    assert ask(client, queries.totals())[0] == {
        "received": 3, "rated": 1, "unrated": 0, "events": 1, "rejected": 1, "duplicates": 0, "conflicts": 0
    }  # fmt: skip
    client.command("OPTIMIZE TABLE records FINAL")
    assert one(client, "SELECT count() FROM records") == 3, "not only in the view: the bytes of the replay go"


def test_a_replay_in_other_pieces_and_another_order_collapses(client, rows):
    insert(client, "records", rows.records(*(rows.record(n) for n in range(10))))
    for start in (7, 3, 0):
        insert(client, "records", rows.records(*(rows.record(n) for n in range(start + 2, start - 1, -1) if n < 10)))
    assert ask(client, queries.totals())[0]["received"] == 10


def test_a_reject_keeps_its_bytes(client, rows):
    insert(client, "records", rows.records(rows.record(1, "reject", raw=b"\x00\xff{", reason="not JSON", at_ms=None, seq=None)))
    raw, at = client.query("SELECT hex(raw), at FROM records_latest").first_row
    assert (raw, at) == ("00FF7B", None)


def test_a_mended_reject_keeps_its_offset(client, rows):
    insert(client, "records", rows.records(rows.record(1, "reject", raw=b"{", reason="torn")))
    mended = pl.from_arrow(rows.records(rows.record(1, "rated"))).with_columns(revision=pl.lit(2, pl.Int32))
    insert(client, "records", mended.to_arrow())
    insert(client, "records", rows.records(rows.record(1, "reject", raw=b"{", reason="torn")))  # a replay of the first
    assert ask(client, queries.totals())[0] | {"received": 1, "rated": 1, "rejected": 0} == ask(client, queries.totals())[0]
    assert one(client, "SELECT count() FROM (SELECT DISTINCT revision FROM records)") == 2, "the first stands beside it"


def test_a_correction_stands_beside_what_it_corrects_and_views_read_the_highest(client, rows):
    rows.sell(client, rows.call(7, 2_000_000_000), rows.call(9, 1))
    rows.sell(client, rows.call(7, 1_500_000_000, revision=2, learned_ms=rows.NOON + 3 * rows.DAY_MS))  # in a later day
    rows.sell(client, rows.call(7, 2_000_000_000))  # a replay of the first does not win
    for table, stored in (("calls", 3), ("charges", 6)):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
        assert one(client, f"SELECT count() FROM {table}") == stored
    assert client.query("SELECT offset, revision, sell FROM priced_calls ORDER BY offset").result_rows == [
        (7, 2, Decimal("1.500000000")),
        (9, 1, Decimal("0.000000001")),
    ]
    [total] = ask(client, queries.money())
    assert (total["calls"], total["sell"], total["margin"]) == (2, Decimal("1.500000001"), Decimal("0.750000001"))


def test_what_counts_is_the_highest_revision_and_of_it_the_highest_run(client, rows):
    """Judge numbers revisions, the books number rating runs: a correction and a run that cross keep both, and neither hides the other."""
    first, late = rows.call(7, 2_000_000_000), rows.call(7, 1_500_000_000, revision=2)
    again, once_more = rows.charges_of(first | {"sell_nanos": 1_800_000_000}, run=5), rows.charges_of(late | {"sell_nanos": 1_400_000_000}, run=6)

    def charges(*some) -> None:
        insert(client, "charges", rows.table(schemas.CHARGES, list(some)))

    def counted() -> Decimal:
        [total] = ask(client, queries.money())
        [view] = client.query("SELECT sell FROM priced_calls").result_rows
        [(in_sum,)] = client.query("SELECT sum(amount) FROM charges_counted WHERE role = 'sell'").result_rows
        assert total["sell"] == view[0] == in_sum and total["calls"] == 1
        return total["sell"]

    rows.sell(client, first)
    charges(*again)
    assert counted() == Decimal("2"), "a run counts when its row says so, and before then nowhere"
    insert(client, "rating_runs", runs.row(5, True, 1, "eve", "new prices"))
    assert counted() == Decimal("1.8"), "priced again by run 5"
    insert(client, "rating_runs", runs.row(5, False, 2, "eve", "the wrong deck"))
    assert counted() == Decimal("2") and ask(client, runs.counting()) == [], "and no more when its row says so"
    for run, set_ms in ((5, 3), (6, 4)):
        insert(client, "rating_runs", runs.row(run, True, set_ms, "eve", "new prices"))
    assert ask(client, queries.corrected_after_run()) == []
    rows.sell(client, late)
    assert counted() == Decimal("1.5"), "corrected after the run: the correction counts"
    [found] = ask(client, queries.corrected_after_run())
    assert (found["revision"], found["run"], found["run_revision"], found["last_run"]) == (2, 0, 1, 5)
    charges(*again)  # a replay of the run changes nothing
    assert counted() == Decimal("1.5")
    charges(*once_more)
    assert counted() == Decimal("1.4"), "the next run prices the corrected call"
    assert ask(client, queries.corrected_after_run()) == []
    client.command("OPTIMIZE TABLE charges FINAL")
    assert one(client, "SELECT count() FROM charges") == 8, "nothing that was charged is lost"


def sums(client) -> list[tuple]:
    """Role, currency, calls and amount of the charges that count."""
    return client.query(
        "SELECT role, currency, uniqExact(partition, offset), sum(amount) FROM charges_counted GROUP BY role, currency ORDER BY role, currency"
    ).result_rows


def test_attempts_bought_in_two_currencies_have_no_one_sum(client, rows):
    call = rows.call(1, 10)
    rows.sell(client, call)
    second = rows.charges_of(call | {"buy_nanos": 7, "buy_currency": "USD"})[1] | {"attempt_no": 2}
    insert(client, "charges", rows.table(schemas.CHARGES, [second]))
    [total] = ask(client, queries.money())
    assert (total["sell_currency"], total["buy_currency"], total["margin"]) == ("EUR", "several", None)
    assert sums(client) == [
        ("buy", "EUR", 1, Decimal("0.000000005")), ("buy", "USD", 1, Decimal("0.000000007")), ("sell", "EUR", 1, Decimal("0.000000010")),
    ]  # fmt: skip


def test_two_hung_calls_closed_by_one_tick_do_not_collapse(client, rows):
    rows.sell(client, *(rows.call(n, 10, record_offset=99, suspected_hung=True) for n in (4, 5)))
    assert one(client, "SELECT count() FROM priced_calls") == 2


def test_a_row_stays_in_its_day_whatever_the_switch_claims(client, rows):
    """The day is ours, not the switch's: one insert of mad clocks makes one part, and a replay of it collapses."""
    mad = [0, 2**53, -(2**53), 4_102_444_800_000, None]
    for _ in range(2):
        insert(client, "records", rows.records(*(rows.record(n, at_ms=at) for n, at in enumerate(mad))))
    days = client.query("SELECT DISTINCT _partition_id FROM records").result_rows
    assert days == [("20251125",)]
    assert [at for (at,) in client.query("SELECT at_ms FROM records_latest ORDER BY offset").result_rows] == mad
    assert one(client, "SELECT count() FROM records_latest WHERE at IS NULL") == 1, "the readable twin bears every number"


def test_a_file_of_many_days_is_one_batch(client, rows):
    insert(client, "records", rows.records(*(rows.record(n, learned_ms=rows.NOON + n * rows.DAY_MS) for n in range(150))))
    assert ask(client, queries.totals())[0]["received"] == 150
    assert ask(client, queries.totals(since_ms=rows.NOON + 100 * rows.DAY_MS))[0]["received"] == 50


def test_sums_are_exact_where_int64_would_wrap(client, rows):
    most = 2**63 - 1
    rows.sell(client, *(rows.call(n, most, buy_nanos=-most) for n in range(40)))
    assert one(client, "SELECT sum(nanos) FROM charges WHERE role = 'sell'") != 40 * most, "this is why nobody sums the nanos"
    [total] = ask(client, queries.money())
    assert total["sell"] == Decimal(40 * most).scaleb(-9) and total["margin"] == Decimal(80 * most).scaleb(-9)
    assert one(client, "SELECT sum(sell) FROM priced_calls") == Decimal(40 * most).scaleb(-9)


def test_money_of_two_currencies_is_never_one_number(client, rows):
    rows.sell(client, rows.call(1, 10), rows.call(2, 20, buy_currency="USD"), rows.call(3, 30, buy_nanos=None))
    found = {(r["sell_currency"], r["buy_currency"]): r for r in ask(client, queries.money())}
    assert found["EUR", "USD"]["margin"] is None and found["EUR", "EUR"]["sell"] == Decimal("0.000000010")
    assert found["EUR", ""]["margin"] is None, "answered, and what it cost is not known"
    assert sums(client) == [
        ("buy", "EUR", 1, Decimal("0.000000005")), ("buy", "USD", 1, Decimal("0.000000010")), ("sell", "EUR", 3, Decimal("0.000000060")),
    ]  # fmt: skip


def test_every_column_of_the_contract_is_in_the_table(client):
    for table, schema in schemas.TABLES.items():
        columns = {r[0] for r in client.query(f"DESCRIBE {table}").result_rows}
        assert set(schema.names()) <= columns, table
        view = {"charges": "charges_counted"}.get(table, f"{table}_latest")
        assert columns <= {r[0] for r in client.query(f"DESCRIBE {view}").result_rows}, "the view shows what the table has"


def test_a_batch_from_before_a_column_existed_is_taken(client, rows):
    old = rows.records(rows.record(1)).drop_columns(["config_version", "cell"])
    insert(client, "records", old)
    assert client.query("SELECT config_version, cell FROM records_latest").first_row == (0, "")


def test_an_unknown_column_or_table_is_refused(client, rows):
    batch = rows.records(rows.record(1))
    with pytest.raises(WarehouseError, match="colour"):
        insert(client, "records", batch.append_column("colour", batch["tenant"]))
    with pytest.raises(WarehouseError, match="no table 'system"):
        insert(client, "system.numbers", batch)
    assert ask(client, queries.totals())[0]["received"] == 0
