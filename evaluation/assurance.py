"""`python -m evaluation.assurance`: controls against leaks, and reconciliation against bills, of which the simulator knows the key; written to
docs/evaluation-assurance.md. `make evaluate` runs it.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from assurance.controls.protocol import Result
from assurance.reconcile.layout import guess
from assurance.reconcile.plan import Plan
from assurance.reconcile.read import read_calls
from assurance.reconcile.result import reconcile
from core.money import to_decimal
from core.text import amount
from rating.deck import FOREVER_MS
from rating.offers.table import open_table
from services import controlling, periods, posting, reconciling, rehearsal
from services.installation import Installation
from simulator.billing.faults import CarrierBill, bill_of
from simulator.billing.files import cdr_file, invoice_file
from simulator.billing.leaks import LEAKS, Tables, leaking
from simulator.billing.own import FROM_MS, UNTIL_MS, offer, own_calls
from simulator.billing.score import Score, score

PAGE = Path(__file__).parents[1] / "docs" / "evaluation-assurance.md"
NOW_MS = 1_794_000_000_000
MONTH = periods.period_ms("2026-10", "UTC")
SHARE = 0.0001
CAUSES_OF = "## Causes of a bill's difference"
WORLDS = {
    "talk, charged seconds, price and amount": ({}, {}),
    "charged seconds and amount alone": ({"talk": False, "rates": False}, {"talk": False}),
}


class LeakScore(NamedTuple):
    """One leak of one seed: what was injected, and what its control, and how many others, made of it."""

    leak: str
    calls: int
    nanos: int
    result: Result
    others: tuple[str, ...]


def raised(installation: Installation) -> list[Result]:
    return controlling.run(installation, "", MONTH, NOW_MS, keep=False)


def clean(seed: int, calls: int, folder: Path) -> list[Result]:
    """A month without a fault, posted to the ledger, and with its carrier's bill compared."""
    installation = Installation.embedded(folder)
    ours = own_calls(calls, seed, offer())
    rehearsal.make_home(installation, ours, NOW_MS)
    posting.post(installation, NOW_MS)
    bill = bill_of(ours, offer(), seed, faults=(), boundary=0, wrong_rate=False)
    asked = reconciling.ReconcileRequest("alpha", "2026-10", "buy", invoice_file(bill), cdr_file(bill, 3))
    reconciling.run(installation, "", asked, "evaluation", NOW_MS)
    return raised(installation)


def leaked(leak: str, seed: int, calls: int, folder: Path) -> LeakScore:
    """A month with one leak."""
    key = pl.DataFrame()

    def inject(tables: Tables) -> Tables:
        nonlocal key
        changed, key = leaking(tables, leak, SHARE, seed)
        return changed

    installation = Installation.embedded(folder)
    rehearsal.make_home(installation, own_calls(calls, seed, offer()), NOW_MS, inject)
    results = {one.control: one for one in raised(installation)}
    others = tuple(name for name, one in results.items() if one.status == "found" and name not in ("carriers_reconciled", LEAKS[leak].control))
    return LeakScore(leak, key.height, int(key["nanos"].sum()), results[LEAKS[leak].control], others)


def causes(bill: CarrierBill, file: dict[str, bool]) -> tuple[list[Score], bool]:
    """How well the causes of a bill are found, and whether they add up to its difference."""
    table = open_table(cdr_file(bill, 3, **file))  # type: ignore[arg-type]
    theirs = read_calls(table, guess(table, "calls").layout)
    plan = Plan(((-FOREVER_MS, FOREVER_MS, offer()),), "EUR", "Europe/Vienna")
    found = reconcile(bill.ours, theirs, None, plan, (FROM_MS, UNTIL_MS))
    readable = bill.cdrs.filter(~pl.col("fault").str.ends_with("unreadable"))
    rows = found.entries.filter(pl.col("level") == "call")
    keys = pl.coalesce(bill.ours["call_key"].gather(rows["ours"]), readable["call_key"].gather(rows["theirs"]))
    # What a file that is written to six decimals leaves of each call is nobody's fault.
    wanted = (pl.col("nanos").abs() > 1000) | ((pl.col("nanos") == 0) & (pl.col("cause") != "rounding"))
    named = rows.with_columns(keys.alias("call_key")).filter(wanted).select("call_key", "cause", "nanos")
    return score(named, bill.key), int(found.entries["nanos"].sum()) == found.difference_nanos


def main() -> None:
    """Parse the arguments, measure, and write the page."""
    parser = argparse.ArgumentParser(prog="evaluation.assurance", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="clean months")
    parser.add_argument("--leak-seeds", type=int, default=3, help="months of each leak")
    parser.add_argument("--calls", type=int, default=20_000, help="of a month")
    parser.add_argument("--bill-calls", type=int, default=100_000, help="of a bill")
    parser.add_argument("--only", choices=("months", "bills"), help="measure these again, and leave the rest of the page")
    chosen = parser.parse_args()
    today = f"{datetime.now(UTC):%d %B %Y}"
    before, _, after = PAGE.read_text().partition(CAUSES_OF) if PAGE.exists() else ("", "", "")
    if chosen.only != "bills":
        before = _months(chosen.seeds, chosen.leak_seeds, chosen.calls, today)
    if chosen.only != "months":
        after = _bills(chosen.bill_calls, today)
    PAGE.write_text(before + CAUSES_OF + after)


def _months(seeds: int, leak_seeds: int, calls: int, date: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        months, leaks = [], []
        for seed in range(1, seeds + 1):
            months.append(clean(seed, calls, Path(name) / f"clean-{seed}"))
            print(f"clean month {seed}: {[one.control for one in months[-1] if one.status == 'found'] or 'nothing raised'}", flush=True)
        for leak in LEAKS:
            for seed in range(1, leak_seeds + 1):
                leaks.append(leaked(leak, seed, calls, Path(name) / f"{leak}-{seed}".replace(" ", "-")))
            print(f"{leak}: {[one.result.status for one in leaks if one.leak == leak]}", flush=True)
    return of_months(months, leaks, calls, date)


def _bills(calls: int, date: str) -> str:
    bills = []
    for world, (faults, file) in WORLDS.items():
        bill = bill_of(own_calls(calls, 1, offer()), offer(), 2, **faults)  # type: ignore[arg-type]
        bills.append((world, *causes(bill, file)))
    return of_bills(bills, calls, date)


Bills = list[tuple[str, list[Score], bool]]


def of_months(months: list[list[Result]], leaks: list[LeakScore], calls: int, date: str) -> str:
    """The head of docs/evaluation-assurance.md, with the clean months and the leaks."""
    wrong = {place: names for place, one in enumerate(months, 1) if (names := [found.control for found in one if found.status == "found"])}
    unseen = sorted({one.control for month in months for one in month if one.status == "not_checked"})
    text = f"""# Evaluation of assurance

Made by `make evaluate`. The simulator makes a month of calls, injects faults and writes the key; controls and reconciliation
([Assurance](assurance.md)) see the tables and the files alone. Every figure is as it fell.

## Clean months

Measured on {date}. {len(months)} months of {calls:,} calls each, priced, posted to the ledger, and with the carrier's bill compared:
{f"{len(wrong)} raised something: {wrong}" if wrong else "no control found anything in any of them"}. Controls that had nothing to look at: {
        ", ".join(f"`{one}`" for one in unseen) or "none"}.

## Leaks

Each is of calls that are worth {SHARE:.2%} of the month's sales, in {len(leaks) // len(LEAKS)} months.

| leak | found | by | calls | found | worth | the control says | others that found it |
| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |
"""
    for leak in LEAKS:
        text += _leak([one for one in leaks if one.leak == leak])
    return text + (
        "\n*the control says*: what it puts the leak at, by its own measure (the purchases of calls that were not sold, the difference of a wrong\n"
        "price), which is not what the calls are worth. Nobody knows the worth of a record that could not be read, or that has no account.\n\n"
    )


def of_bills(bills: Bills, calls: int, date: str) -> str:
    """The section of the causes."""
    text = f"\n\nMeasured on {date}. Bills of {calls:,} calls with every fault. A cause that the files cannot tell from another\n"
    text += "is in the key as both.\n"
    for world, scores, adds_up in bills:
        text += f"\n### Their file has {world}\n\nThe causes add up to the difference, to the nano: {'yes' if adds_up else 'NO'}."
        text += "\n\n| cause | calls | recall | precision | by the key | found |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
        for one in scores:
            cause = one.cause.replace("|", " or ")
            text += f"| {cause} | {one.calls:,} | {one.recall:.4f} | {one.precision:.4f} | {_money(one.nanos)} | {_money(one.found_nanos)} |\n"
    return text


def _leak(found: list[LeakScore]) -> str:
    hit = [one for one in found if one.result.status == "found"]
    others = sorted({name for one in found for name in one.others})
    said = sum(nanos for one in found for nanos in one.result.money.values())
    first = found[0]
    return (
        f"| {first.leak} | {len(hit)} of {len(found)} | `{first.result.control}` | {sum(one.calls for one in found)} | "
        f"{sum(one.result.count for one in found)} | {_money(sum(one.nanos for one in found))} | {_money(said) if said else '-'} | "
        f"{', '.join(f'`{name}`' for name in others) or '-'} |\n"
    )


def _money(nanos: int) -> str:
    return amount(to_decimal(nanos))


if __name__ == "__main__":
    main()
