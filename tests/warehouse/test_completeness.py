"""What is missing has a name: offsets, sequence numbers, and numbers that came twice."""

from __future__ import annotations

import inspect

from warehouse import ask, insert, queries


def test_received_is_the_sum_of_the_dispositions(client, rows):
    six = ("rated", "unrated", "event", "reject", "duplicate", "conflict")
    insert(client, "records", rows.records(*(rows.record(n, d) for n, d in enumerate(six * 3))))
    [row] = ask(client, queries.completeness())
    assert row["received"] == 18 and row["unexplained"] == 0
    assert all(row[name] == 3 for name in ("rated", "unrated", "events", "rejected", "duplicates", "conflicts"))
    insert(client, "records", rows.records(rows.record(18, "lost in thought")))
    assert ask(client, queries.completeness())[0]["unexplained"] == 1


def test_absent_offsets_are_named(client, rows):
    insert(client, "records", rows.records(*(rows.record(n) for n in (1, 2, 5, 6, 9))))
    insert(client, "records", rows.records(rows.record(3, partition=2)))
    first, second = ask(client, queries.completeness())
    assert (first["first_offset"], first["last_offset"], first["received"], first["absent"]) == (1, 9, 5, 4)
    assert (second["partition"], second["absent"]) == (2, 0)
    assert [(r["first_absent"], r["last_absent"]) for r in ask(client, queries.absent_offsets(0))] == [(3, 4), (7, 8)]


def test_a_gap_in_a_switchs_sequence_is_named(client, rows):
    insert(client, "records", rows.records(*(rows.record(n, seq=s) for n, s in enumerate((1, 2, 2, 6, 7, 9)))))
    insert(client, "records", rows.records(rows.record(20, seq=1, boot_id="b2"), rows.record(21, seq=2, boot_id="b2")))
    insert(client, "records", rows.records(rows.record(30, seq=None), rows.record(31, seq=500, boot_id="")))
    found = [(r["boot_id"], r["first_missing"], r["last_missing"], r["missing"]) for r in ask(client, queries.gaps())]
    assert sorted(found) == [("b1", 3, 5, 3), ("b1", 8, 8, 1)]
    assert ask(client, queries.gaps(tenant="t2")) == []


def test_records_that_come_late_close_the_gap(client, rows):
    insert(client, "records", rows.records(rows.record(0, seq=1), rows.record(1, seq=4)))
    insert(client, "records", rows.records(rows.record(2, seq=3), rows.record(0, seq=2, partition=3)))
    assert ask(client, queries.gaps()) == []


def test_one_number_in_two_partitions_is_named(client, rows):
    insert(
        client,
        "records",
        rows.records(rows.record(0, seq=1), rows.record(1, seq=1, disposition="duplicate"), rows.record(2, seq=2)),
    )
    assert ask(client, queries.twins()) == []
    insert(client, "records", rows.records(rows.record(8, seq=2, partition=3)))
    [twin] = ask(client, queries.twins())
    assert (twin["seq"], list(twin["partitions"]), twin["rows"]) == (2, [0, 3], 2)


def test_the_last_calls_are_shown_priced_or_not(client, rows):
    insert(client, "rated_calls", rows.calls(rows.call(1, 100), rows.call(3, 300), rows.call(3, 250, revision=2)))
    insert(client, "records", rows.records(rows.record(2, "unrated", account="acme", b_raw="00999", reason="no rate for 999")))
    insert(client, "records", rows.records(rows.record(4, "event"), rows.record(5, "unrated", event="setup")))
    found = [
        (r["offset"], r["disposition"], r["revision"], r["b_number"]) for r in ask(client, queries.last_calls(account="acme"))
    ]
    assert found == [(3, "rated", 2, ""), (2, "unrated", 1, "00999"), (1, "rated", 1, "")]
    assert len(ask(client, queries.last_calls(limit=2))) == 2
    assert ask(client, queries.last_calls(account="other")) == []


def test_answered_calls_are_counted_by_who_and_where_to(client, rows):
    one = {"ingress_trunk": "tg1", "a_number": "43181", "b_number": "882130001112"}
    insert(client, "rated_calls", rows.calls(rows.call(1, 100, **one), rows.call(2, 100, **one)))
    insert(client, "rated_calls", rows.calls(rows.call(2, 90, revision=2, **one)))
    insert(client, "rated_calls", rows.calls(rows.call(3, 0, answer_ms=None, **one), rows.call(4, 5, b_number="4351234")))
    found = {(r["account"], r["a_number"], r["b_number"]): r["calls"] for r in ask(client, queries.answered(0))}
    assert found == {("acme", "43181", "8821300011"): 2, ("acme", "", "4351234"): 1}
    assert ask(client, queries.answered(rows.NOON + 5)) == []


def test_money_per_second_takes_the_second_of_the_end(client, rows):
    ends = (rows.NOON - 1, rows.NOON, rows.NOON + 999, rows.NOON + 1000, rows.NOON + 2000)
    insert(client, "rated_calls", rows.calls(*(rows.call(n, 1_000_000_000, end_ms=end) for n, end in enumerate(ends))))
    found = ask(client, queries.money_per_second(rows.NOON, rows.NOON + 2000))
    assert [(r["second_ms"] - rows.NOON, r["calls"], int(r["sell"])) for r in found] == [(0, 2, 2), (1000, 1, 1)]


def test_routes_show_the_worst_first(client, rows):
    insert(client, "rated_calls", rows.calls(rows.call(1, 10, carrier="good"), rows.call(2, 10, carrier="bad", buy_nanos=11)))
    assert [r["carrier"] for r in ask(client, queries.margin_by_route())] == ["bad", "good"]


def test_every_query_answers_on_an_empty_warehouse_and_for_one_tenant(client):
    needed = {"absent_offsets": {"partition": 0}, "money_per_second": {"from_ms": 0, "to_ms": 10}}
    for name, query in inspect.getmembers(queries, inspect.isfunction):
        if not name.startswith("_"):
            rows = ask(client, query(**needed.get(name, {})))
            assert rows == [] or name == "totals", name
            if "tenant" in inspect.signature(query).parameters:
                ask(client, query(**needed.get(name, {}), tenant="t'1\\"))
