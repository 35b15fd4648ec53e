"""The steps of a period, day by day and remembered, are those of the views, whatever was corrected, priced again, repeated or came late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import schemas
from services.waterfall import Recorded
from warehouse import Warehouse, ask, insert, open_warehouse, runs, subjects

DAY_MS = 86_400_000
FIRST_MS = 20_000 * DAY_MS
"""The first of four days."""


def rows(schema: pl.Schema, found: list[dict]) -> pl.DataFrame:
    blank = {name: "" if dtype == pl.String else None for name, dtype in schema.items()}
    return pl.DataFrame([blank | row for row in found], schema=schema)


VERSIONS = st.tuples(st.sampled_from([(1, 0), (1, 7), (2, 0), (2, 7), (1, 9)]), st.integers(0, 3), st.integers(1, 9), st.sampled_from(["EUR", "USD"]))
"""Of a call: (revision, run), the day on which we learned of it, money, currency. Run 7 counts, run 9 does not."""
CALLS = st.lists(st.tuples(st.integers(0, 3), st.lists(VERSIONS, min_size=1, max_size=3, unique_by=lambda one: one[0])), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, new_warehouse: Callable[[Path], None]):
    home = tmp_path_factory.mktemp("waterfall")
    new_warehouse(home / "warehouse")
    client = open_warehouse(f"chdb://{home}/warehouse")
    insert(client, "rating_runs", runs.row(7, True, 1, "test", "test"))
    yield client
    client.close()


@settings(max_examples=8, deadline=None)
@given(calls=CALLS)
def test_sums_by_day_are_those_of_the_charges_that_count(warehouse: Warehouse, calls):
    warehouse.command("TRUNCATE TABLE charges")
    known = Recorded()

    def ask_(query):
        return ask(warehouse, query)

    numbers = {name: 0 for name, dtype in schemas.CHARGES.items() if dtype != pl.String}
    found: list[dict] = []
    for offset, (day, versions) in enumerate(calls):
        # Learned of in the order of the versions, on the day of the call or later.
        learned = sorted(day + late for _, late, _, _ in versions)
        for learned_day, ((revision, run), _, nanos, currency) in zip(learned, sorted(versions), strict=True):
            one = numbers | {
                "tenant": "t1", "partition": 0, "offset": offset, "revision": revision, "run": run, "learned_ms": FIRST_MS + learned_day * DAY_MS + 5,
                "start_ms": FIRST_MS + day * DAY_MS, "end_ms": FIRST_MS + day * DAY_MS + 1, "account": "acme", "currency": currency, "nanos": nanos,
                "call_key": f"{offset:032x}",
            }  # fmt: skip
            found += [one | {"role": "sell"}, one | {"role": "buy", "attempt_no": 1, "nanos": nanos * 10}]
    half = len(found) // 4 * 2
    insert(warehouse, "charges", rows(schemas.CHARGES, found[:half]).to_arrow())
    known.prepare(ask_, FIRST_MS, 5.0)
    insert(warehouse, "charges", rows(schemas.CHARGES, found).to_arrow())  # what came before comes again
    for first, last in ((0, 4), (1, 3), (2, 3)):
        from_ms, to_ms = FIRST_MS + first * DAY_MS, FIRST_MS + last * DAY_MS
        bounds = {"from_ms": from_ms, "to_ms": to_ms}
        model = (
            "SELECT currency, toInt64(sum(nanos)) AS nanos FROM charges_counted WHERE role = 'sell' AND level = 0 "
            "AND start_ms >= {from_ms:Int64} AND start_ms < {to_ms:Int64} GROUP BY currency"
        )
        expected = {row["currency"]: row["nanos"] for row in ask_((model, bounds))}
        money = known.steps(ask_, "t1", from_ms, to_ms)[1].money
        assert {currency: nanos for currency, nanos in money.items() if nanos} == expected
    of_hours = subjects.money_by_step({"account": "acme"}, "t1", FIRST_MS, FIRST_MS + 5 * DAY_MS, DAY_MS)
    by_day = {(row["at_ms"], row["currency"]): (row["sell"], row["buy"]) for row in ask_(of_hours) if row["sell"] or row["buy"]}
    model = (
        f"SELECT intDiv(learned_ms, {DAY_MS}) * {DAY_MS} AS at_ms, currency, sumIf(amount, role = 'sell') AS sell, "
        "sumIf(amount, role = 'buy') AS buy FROM charges_counted WHERE learned_ms < {to_ms:Int64} GROUP BY at_ms, currency"
    )
    found = ask_((model, {"to_ms": FIRST_MS + 5 * DAY_MS}))
    assert by_day == {(row["at_ms"], row["currency"]): (row["sell"], row["buy"]) for row in found}


def test_each_record_that_ends_a_call_is_counted_once_and_a_mended_one_as_it_is_now(warehouse: Warehouse):
    def ask_(query):
        return ask(warehouse, query)

    def record(offset: int, disposition: str, event: str = "stop", revision: int = 1, day: int = 0, tenant: str = "t1") -> None:
        row = {"tenant": tenant, "partition": 0, "offset": offset, "revision": revision, "learned_ms": FIRST_MS + day * DAY_MS, "event": event}
        insert(warehouse, "records", rows(schemas.JUDGED, [row | {"disposition": disposition}]).to_arrow())

    known = Recorded()
    record(1, "rated")
    record(1, "rated")
    record(2, "event", "setup")
    record(3, "reject", day=1)
    record(4, "reject", tenant="", day=1)
    record(5, "rated", tenant="t2", day=1)
    both = FIRST_MS, FIRST_MS + 2 * DAY_MS
    received, rated = known.steps(ask_, "t1", *both)
    assert (received.count, rated.count, rated.lost) == (3, 1, {"reject": 2})
    record(3, "rated", revision=2, day=1)
    assert known.steps(ask_, "t1", *both)[1].lost == {"reject": 1}
    assert known.steps(ask_, "t1", FIRST_MS, FIRST_MS + DAY_MS)[0].count == 1
