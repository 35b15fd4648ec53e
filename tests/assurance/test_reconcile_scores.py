"""Bills with every fault, whose causes are known: each is found, nothing else is named, the money is exact."""

from __future__ import annotations

import polars as pl
import pytest

from assurance.reconcile.layout import guess
from assurance.reconcile.plan import Plan
from assurance.reconcile.read import read_calls
from assurance.reconcile.result import Reconciled, reconcile
from rating.deck import FOREVER_MS
from rating.offers.table import open_table
from simulator.billing.faults import SINGLE, CarrierBill, bill_of
from simulator.billing.files import cdr_file
from simulator.billing.own import FROM_MS, UNTIL_MS, offer, own_calls
from simulator.billing.score import score

CALLS = 20_000
HOUR_MS = 3_600_000


def reconciled(bill: CarrierBill, converted: bool = False, **file: object) -> Reconciled:
    table = open_table(cdr_file(bill, 3, **file))  # type: ignore[arg-type]
    theirs = read_calls(table, guess(table, "calls").layout)
    return reconcile(bill.ours, theirs, None, Plan(((-FOREVER_MS, FOREVER_MS, offer(converted)),), "EUR", "Europe/Vienna"), (FROM_MS, UNTIL_MS))


def named(found: Reconciled, bill: CarrierBill) -> pl.DataFrame:
    """The causes by call; what a file that is written to six decimals leaves of each call is nobody's fault."""
    readable = bill.cdrs.filter(~pl.col("fault").str.ends_with("unreadable"))
    calls = found.entries.filter(pl.col("level") == "call")
    keys = pl.coalesce(bill.ours["call_key"].gather(calls["ours"]), readable["call_key"].gather(calls["theirs"]))
    rows = calls.with_columns(keys.alias("call_key")).filter(
        (pl.col("nanos").abs() > 1000) | ((pl.col("nanos") == 0) & (pl.col("cause") != "rounding")))
    return rows.select("call_key", "cause", "nanos")


WORLDS = {
    "every fault": ({}, {}),
    "charged seconds alone": ({"talk": False}, {"talk": False}),
    "amounts without prices": ({"rates": False}, {"rates": False}),
    "national numbers": ({}, {"spelling": "national"}),
    "another rate of exchange on two days": ({"fx": 1.013}, {}),
    "a whole file two hours ahead": ({"zone_ms": 2 * HOUR_MS}, {}),
    "clocks that changed for one side": ({"clock_change": True}, {}),
}


@pytest.mark.parametrize("world", WORLDS)
def test_each_cause_is_found_and_nothing_else_is_named(world: str):
    faults, file = WORLDS[world]
    converted = "fx" in faults
    bill = bill_of(own_calls(CALLS, 1, offer(converted)), offer(converted), 2, share=0.004, **faults)  # type: ignore[arg-type]
    found = reconciled(bill, converted, **file)
    assert found.entries["nanos"].sum() == found.difference_nanos
    wrong = []
    for one in score(named(found, bill), bill.key):
        exact = abs(one.nanos - one.found_nanos) < 10_000_000
        least = 0.98 if converted else 1.0  # an amount that was rounded and exchanged shows neither
        if one.recall < least or one.precision < 0.98 or (not exact and not converted):
            money = f"{one.nanos / 1e9:.4f} and {one.found_nanos / 1e9:.4f}"
            wrong.append(f"{one.cause}: recall {one.recall:.3f}, precision {one.precision:.3f}, {money}")
    assert not wrong, wrong


def test_a_clean_bill_has_no_difference_but_its_rounding():
    bill = bill_of(own_calls(3_000, 5, offer()), offer(), 2, faults=(), boundary=0, wrong_rate=False)
    found = reconciled(bill)
    assert set(found.entries["cause"]) <= {"rounding"}
    assert abs(found.difference_nanos) < 3_000 * 1_000


def test_every_fault_has_a_call():
    bill = bill_of(own_calls(CALLS, 1, offer()), offer(), 2, share=0.004)
    assert {cause for causes in bill.key["cause"] for cause in causes.split("|")} >= {part for name in SINGLE for part in name.split("|")}
