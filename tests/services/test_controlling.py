"""The controls over a month in the tables: nothing where nothing is wrong, each leak by its control, *not checked* where it could not look."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from assurance.controls.protocol import Result
from assurance.controls.registry import controls
from books import control_results, open_books, reading
from ringfence.cli import app
from ringfence.settings import Settings
from services import controlling, periods, posting
from services.installation import Installation
from services.rehearsal import Leak, make_home
from simulator.billing.leaks import LEAKS, Tables, leaking
from simulator.billing.own import offer, own_calls

NOW_MS = 1_794_000_000_000
MONTH = periods.period_ms("2026-10", "UTC")
MONEY = tuple(sorted({leak.control for leak in LEAKS.values()} | {"views_against_base"}))
CALLS = 1_500


def laid(home: Path, ours: pl.DataFrame, leak: Leak = lambda found: found) -> Installation:
    """A home with these calls."""
    installation = Settings(home=home, tenant="t1", countries="AT").installation
    make_home(installation, ours, NOW_MS, leak)
    return installation


@pytest.fixture(scope="module")
def calls() -> pl.DataFrame:
    return own_calls(CALLS, 1, offer())


def ask(installation: Installation, only: tuple[str, ...] = ()) -> dict[str, Result]:
    return {one.control: one for one in controlling.run(installation, "", MONTH, NOW_MS, only)}


def test_a_clean_month_raises_nothing_and_what_was_not_checked_is_not_green(tmp_path: Path, calls: pl.DataFrame):
    installation = laid(tmp_path / "home", calls)
    posting.post(installation, NOW_MS)
    found = ask(installation)
    assert {name for name, one in found.items() if one.status == "found"} == {"carriers_reconciled"}  # no bill was compared yet
    assert {name for name in MONEY if found[name].status != "passed"} == set()
    assert found["ledger_proof"].status == "passed" and found["rating_verification"].checked > CALLS
    assert found["rejected_records"].status == "passed"
    assert found["traffic_by_hour"].status == found["disputes_in_time"].status == "not_checked"
    engine = open_books(installation.books_dsn)
    with reading(engine) as conn:
        assert len(control_results.latest(conn, "t1", *MONTH)) == len(controls())
    engine.dispose()
    shown = CliRunner().invoke(app, ["controls", "--period", "2026-10", "--home", str(tmp_path / "home")])
    assert shown.exit_code == 1 and "not checked" in shown.output and "no bill for this period was compared" in shown.output
    again = CliRunner().invoke(app, ["controls", "--history", "ledger_proof", "--home", str(tmp_path / "home")])
    assert again.output.count("passed") == 2


def test_each_leak_is_found_by_its_control_and_no_other_calls_are(tmp_path: Path, calls: pl.DataFrame):
    keys: dict[str, pl.DataFrame] = {}

    def all_of_them(tables: Tables) -> Tables:
        for seed, leak in enumerate(LEAKS):
            tables, keys[leak] = leaking(tables, leak, 0.002, seed)
        return tables

    found = ask(laid(tmp_path / "home", calls, leak=all_of_them), MONEY)
    silent = {leak for leak, one in LEAKS.items() if found[one.control].status != "found"}
    assert not silent, found
    without_money = {name for name, one in found.items() if one.status == "found" and not one.money}
    assert without_money == {"orphans", "rejected_records"}, "nobody knows what a record was worth that could not be read"
    assert found["late_records"].count <= keys["records that came late"].height and found["orphans"].count == keys["ends without an account"].height


def test_without_a_warehouse_nothing_is_green(tmp_path: Path, calls: pl.DataFrame):
    installation = laid(tmp_path / "home", calls)
    (tmp_path / "home" / "warehouse").rename(tmp_path / "elsewhere")
    found = ask(installation)
    assert {one.status for one in found.values()} == {"not_checked"}
    assert "There is no warehouse" in found["unbilled_calls"].why_not


def test_every_control_is_written_down():
    for one in controls():
        assert all((one.asks, one.formula, one.tolerance, one.money, one.remedy, one.needs)), one.name
