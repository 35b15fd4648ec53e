"""What is missing has a name: offsets, sequence numbers, and numbers that came twice."""

from __future__ import annotations

import inspect

from core import schemas
from warehouse import ask, insert, keep_days, queries


def test_received_is_the_sum_of_the_dispositions(client, rows):
    six = ("rated", "unrated", "event", "reject", "duplicate", "conflict")
    insert(client, "records", rows.records(*(rows.record(n, d) for n, d in enumerate(six * 3))))
    [row] = ask(client, queries.completeness())
    assert row["received"] == 18 and row["unexplained"] == 0
    assert all(row[name] == 3 for name in ("rated", "unrated", "events", "rejected", "duplicates", "conflicts"))
    insert(client, "records", rows.records(rows.record(18, "lost in thought")))
    assert ask(client, queries.completeness())[0]["unexplained"] == 1


def test_absent_offsets_are_listed(client, rows):
    insert(client, "records", rows.records(*(rows.record(n) for n in (1, 2, 5, 6, 9))))
    insert(client, "records", rows.records(rows.record(3, partition=2)))
    first, second = ask(client, queries.completeness())
    assert (first["first_offset"], first["last_offset"], first["received"], first["absent"]) == (1, 9, 5, 4)
    assert (second["partition"], second["absent"]) == (2, 0)
    assert [(r["first_absent"], r["last_absent"]) for r in ask(client, queries.absent_offsets(0))] == [(3, 4), (7, 8)]


def test_a_gap_in_a_switchs_sequence_is_listed(client, rows):
    insert(client, "records", rows.records(*(rows.record(n, seq=s) for n, s in enumerate((1, 2, 2, 6, 7, 9)))))
    insert(client, "records", rows.records(rows.record(20, seq=1, boot_id="b2"), rows.record(21, seq=2, boot_id="b2")))
    insert(client, "records", rows.records(rows.record(30, seq=None), rows.record(31, seq=500, boot_id="")))
    found = [(r["boot_id"], r["first_missing"], r["last_missing"], r["missing"]) for r in ask(client, queries.gaps())]
    assert sorted(found) == [("b1", 3, 5, 3), ("b1", 8, 8, 1)]


def test_a_number_that_leaps_further_than_a_switch_counts_is_no_gap(client, rows):
    """In a minute 10,000 a second and a million may have been lost; 2^53 were not."""
    at = {n: rows.NOON + n * 60_000 for n in range(4)}
    insert(client, "records", rows.records(*(rows.record(n, seq=s, learned_ms=at[n]) for n, s in enumerate((1, 2, 2**53, 2**31 + 2)))))
    insert(client, "records", rows.records(rows.record(9, seq=1, boot_id="b2", learned_ms=at[0])))
    insert(client, "records", rows.records(rows.record(10, seq=1_500_002, boot_id="b2", learned_ms=at[1])))
    assert [(r["boot_id"], r["missing"]) for r in ask(client, queries.gaps())] == [("b2", 1_500_000)]


def test_a_boots_first_numbers_are_missed_too(client, rows):
    keep_days(client, "records", 0, who="a test", why="its days are of one year")
    insert(client, "records", rows.records(*(rows.record(n, seq=n, boot_id="late") for n in (3, 4))))
    insert(client, "records", rows.records(*(rows.record(10 + n, seq=n, boot_id="zero") for n in (0, 1, 2))))
    insert(client, "records", rows.records(*(rows.record(20 + n, seq=n, boot_id="one") for n in (1, 2))))
    found = [(r["boot_id"], r["first_missing"], r["last_missing"], r["missing"]) for r in ask(client, queries.gaps())]
    assert found == [("late", 1, 2, 2)]


def test_numbers_that_retention_dropped_are_not_missed(client, rows):
    today_ms = int(client.query("SELECT intDiv(toUnixTimestamp(now()), 86400) * 86400").first_row[0]) * 1000
    keep_days(client, "records", 3, who="a test", why="a small disk")
    oldest_ms = today_ms - 2 * rows.DAY_MS
    insert(client, "records", rows.records(rows.record(0, seq=900, learned_ms=oldest_ms), rows.record(1, seq=902, learned_ms=today_ms)))
    insert(client, "records", rows.records(rows.record(2, seq=2, boot_id="b2", learned_ms=oldest_ms + rows.DAY_MS)))
    assert sorted((r["boot_id"], r["first_missing"]) for r in ask(client, queries.gaps())) == [("b1", 901), ("b2", 1)]


def test_what_was_lost_is_summed_by_boot(client, rows):
    insert(client, "records", rows.records(*(rows.record(n, seq=n) for n in range(1, 40, 2))))
    insert(client, "records", rows.records(*(rows.record(100 + n, seq=n, boot_id="b2") for n in (1, 1001))))
    newer, older = ask(client, queries.lost(rows.NOON + rows.DAY_MS, runs=2))
    assert (newer["boot_id"], newer["lost"], newer["numbers"]) == ("b2", 999, [(2, 1000)])
    assert (older["boot_id"], older["lost"], older["numbers"]) == ("b1", 19, [(2, 2), (4, 4)])
    assert newer["lost_in_all"] == 1018 and newer["boots"] == 2
    assert [r["boot_id"] for r in ask(client, queries.lost(rows.NOON + 500))] == ["b1"], "the rest may still be on its way"


def test_records_that_come_late_close_the_gap(client, rows):
    insert(client, "records", rows.records(rows.record(0, seq=1), rows.record(1, seq=4)))
    insert(client, "records", rows.records(rows.record(2, seq=3), rows.record(0, seq=2, partition=3)))
    assert ask(client, queries.gaps()) == []


def test_one_number_in_two_partitions_is_listed(client, rows):
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
    rows.sell(client, rows.call(1, 100), rows.call(3, 300), rows.call(3, 250, revision=2))
    insert(client, "records", rows.records(rows.record(2, "unrated", account="acme", b_raw="00999", reason="no rate for 999")))
    insert(client, "records", rows.records(rows.record(4, "event"), rows.record(5, "unrated", event="setup")))
    found = [
        (r["offset"], r["disposition"], r["revision"], r["b_number"]) for r in ask(client, queries.last_calls(account="acme"))
    ]
    assert found == [(3, "rated", 2, ""), (2, "unrated", 1, "00999"), (1, "rated", 1, "")]
    assert len(ask(client, queries.last_calls(limit=2))) == 2
    assert ask(client, queries.last_calls(account="other")) == []
    without_price = {name: value for name, value in rows.call(9, 1).items() if name in schemas.CALLS}
    insert(client, "calls", rows.table(schemas.CALLS, [without_price]))  # its charges are not stored yet, or it has none
    assert [r["offset"] for r in ask(client, queries.last_calls(limit=1, account="acme"))] == [3]


def test_answered_calls_are_counted_by_who_and_where_to(client, rows):
    one = {"ingress_trunk": "tg1", "a_number": "43181", "b_number": "882130001112"}
    rows.sell(client, rows.call(1, 100, **one), rows.call(2, 100, **one))
    rows.sell(client, rows.call(2, 90, revision=2, **one))
    rows.sell(client, rows.call(3, 0, answer_ms=None, **one), rows.call(4, 5, b_number="4351234"))
    found = {(r["account"], r["a_number"], r["b_number"]): r["calls"] for r in ask(client, queries.answered(0))}
    assert found == {("acme", "43181", "8821300011"): 2, ("acme", "", "4351234"): 1}
    assert ask(client, queries.answered(rows.NOON + 5)) == []


def test_every_query_answers_on_an_empty_warehouse_and_for_one_tenant(client):
    needed = {"absent_offsets": {"partition": 0}, "lost": {"learned_before_ms": 10}}
    needed |= {"unfinished": {"answered_before_ms": 10}, "dispositions_of_day": {"day": "20251125"}, "dispositions_below": {"ends": {0: 5}}}
    needed |= {"answers": {"from_ms": 0, "to_ms": 10}, "in_progress": {"answered_from_ms": 0}}
    needed["stored_to"] = {"since_ms": 0, "partitions": [0]}
    for name, query in inspect.getmembers(queries, inspect.isfunction):
        if not name.startswith("_") and name not in ("latest", "priced", "counted", "changed"):  # parts of queries
            rows = ask(client, query(**needed.get(name, {})))
            assert rows == [] or name == "totals", name
            if "tenant" in inspect.signature(query).parameters:
                ask(client, query(**needed.get(name, {}), tenant="t'1\\"))


def test_a_reject_that_was_mended_is_none_any_more(client, rows):
    """The mending is the second revision of the same offset."""
    insert(client, "records", rows.records(*(rows.record(at, "reject", reason="no JSON", raw=b"{") for at in (1, 2)), rows.record(3, "rated")))
    client.command("INSERT INTO records SELECT * REPLACE(2 AS revision, 'rated' AS disposition) FROM records WHERE offset = 1")
    assert [row["offset"] for row in ask(client, queries.rejects())] == [2]
    assert [(row["reason"], row["records"]) for row in ask(client, queries.reasons())] == [("no JSON", 1)]
