"""A carrier's bill, from its files to what is kept of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner

from books import open_books, reading, reconciliations
from core.billing import Discount, Fee, Invoicing
from ringfence.cli import app
from ringfence.settings import Settings
from services.errors import ServiceError
from services.installation import Installation
from services.reconciling import ReconcileRequest, Refused, run
from services.rehearsal import Leak, config, make_home
from simulator.billing.faults import CarrierBill, bill_of
from simulator.billing.files import cdr_file, invoice_file
from simulator.billing.own import FROM_MS, UNTIL_MS, offer, own_calls

NOW_MS = 1_794_000_000_000
Tables = dict[str, pl.DataFrame]
CALLS = 1_500
SWAPPED = b"Setup time;Answer time;Called No;Talk (s);Amount\n" + b"2026-10-02 08:00:09;2026-10-02 08:00:01;4311234567;61;0.0123\n" * 9


def laid(home: Path, ours: pl.DataFrame, leak: Leak = lambda found: found) -> Installation:
    """A home with these calls."""
    installation = Settings(home=home, tenant="t1", countries="AT").installation
    make_home(installation, ours, NOW_MS, leak)
    return installation


@pytest.fixture(scope="module")
def bill() -> CarrierBill:
    return bill_of(own_calls(CALLS, 1, offer()), offer(), 2, share=0.005)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, bill: CarrierBill) -> Path:
    path = tmp_path_factory.mktemp("billed")
    laid(path, bill.ours)
    return path


@pytest.fixture
def installation(home: Path) -> Installation:
    return Installation.embedded(home)


def asked(bill: CarrierBill, **more: object) -> ReconcileRequest:
    facts = {"party": "alpha", "period": "2026-10", "invoice": invoice_file(bill), "cdrs": cdr_file(bill, 3), "guess_again": True}
    return ReconcileRequest(**(facts | more))  # type: ignore[arg-type]


def test_the_causes_add_up_and_the_same_files_again_are_the_same_reconciliation(installation: Installation, bill: CarrierBill):
    first = run(installation, "", asked(bill), "ops", NOW_MS)
    found = first.reconciled
    assert found.entries["nanos"].sum() == found.theirs_nanos - found.ours_nanos
    again = run(installation, "t1", asked(bill), "ops", NOW_MS + 1)
    assert again.known and again.stored == first.stored
    engine = open_books(installation.books_dsn)
    with reading(engine) as conn:
        assert [one.id for one in reconciliations.every(conn, "t1")] == [first.stored.id]
        assert reconciliations.profile(conn, "t1", "buy", "alpha").calls is not None
    engine.dispose()


def test_other_files_for_the_period_and_overlapping_periods_are_refused(installation: Installation, bill: CarrierBill):
    run(installation, "", asked(bill), "ops", NOW_MS)
    with pytest.raises(Refused, match="--replace"):
        run(installation, "", asked(bill, cdrs=None), "ops", NOW_MS)
    with pytest.raises(Refused, match="overlaps"):
        run(installation, "", asked(bill, period="2026-10-20..2026-11-05", invoice=invoice_file(bill, 5_000_000), cdrs=None), "ops", NOW_MS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"invoice": b"Currency;USD\nDestination;Calls;Minutes;Amount\nAustria;1;1.00;0.0121\n"},
            "their invoice is in USD, and the agreement in EUR"),
        ({"invoice": b"Destination;Calls;Minutes;Amount\nAustria;1;1.00;none\n"}, "Amount"),
        ({"cdrs": SWAPPED}, "swapped"),
        ({"cdrs": b"Call Start;Called No;Talk (s);Amount\n" + b"2026-10-02 08:00:09;x;y;z\n" * 9}, "was found among"),
        ({"period": "2026-13"}, "is not a period"),
        ({"party": "nobody"}, "has no carrier 'nobody'"),
        ({"invoice": None, "cdrs": None}, "nothing to compare"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_the_reason(installation: Installation, bill: CarrierBill, wrong: dict[str, object], said: str):
    with pytest.raises(ServiceError, match=said):
        run(installation, "", asked(bill, **({"cdrs": None} | wrong)), "ops", NOW_MS, keep=False)


def test_a_total_that_is_not_the_sum_and_a_negative_line_are_findings_and_add_up(installation: Installation):
    text = b"Invoice;A-7\nDestination;Calls;Minutes;Amount\nAustria;10;100.00;1.21\nCredit;;;-5.00\nTotal;;;6.21\n"
    found = run(installation, "", ReconcileRequest("alpha", "2026-11-05", invoice=text, guess_again=True), "ops", NOW_MS, keep=False).reconciled
    kinds = {one.kind for one in found.findings}
    assert {"total", "negative line"} <= kinds
    causes = dict(found.causes().select("cause", "nanos").iter_rows())
    assert causes["line_arithmetic"] == 10_000_000_000 and causes["other_charge"] == -5_000_000_000
    assert sum(causes.values()) == found.difference_nanos == 6_210_000_000


def test_local_time_over_a_change_of_the_clocks_is_told(installation: Installation):
    lines = [f"25.10.2026 {hour:02d}:{minute:02d}:00;43112345{minute:02d};61;0.0123" for hour in (1, 2, 3) for minute in range(0, 60, 5)]
    text = ("Call Start;Called No;Talk (s);Amount\n" + "\n".join(lines)).encode()
    one = ReconcileRequest("alpha", "2026-10-25", cdrs=text, zone="Europe/Vienna", guess_again=True, replace=True)
    done = run(installation, "", one, "ops", NOW_MS, keep=False)
    assert [one.kind for one in done.reconciled.findings if "twice" in one.what] == ["repeated hour"]


def test_a_file_with_broken_lines_is_compared_and_each_of_them_is_named(installation: Installation, bill: CarrierBill):
    lines = cdr_file(bill, 3).split(b"\n")
    broken = {place for place in range(40, len(lines) - 1) if place % 20 == 0}
    text = b"\n".join(b"#####;" + line[:9] if place in broken else line for place, line in enumerate(lines))
    found = run(installation, "", asked(bill, cdrs=text, replace=True), "ops", NOW_MS, keep=False).reconciled
    assert found.unreadable >= len(broken) > 0.04 * len(lines) and found.entries["nanos"].sum() == found.difference_nanos
    assert sum(1 for one in found.findings if one.kind == "unreadable row" and one.row) == 50, "the others are counted"
    causes = dict(found.causes().select("cause", "parts").iter_rows())
    assert not [cause for cause in causes if cause == "missing_theirs"], "a call that may be in a broken row is not said to be missing"


def test_a_file_of_calls_that_is_there_twice_has_duplicates(installation: Installation, bill: CarrierBill):
    head, _, body = cdr_file(bill, 3).rstrip(b"\n").partition(b"\n")
    once, twice = (run(installation, "", asked(bill, cdrs=head + b"\n" + text, replace=True), "ops", NOW_MS, keep=False).reconciled
        for text in (body, body + b"\n" + body))  # fmt: skip
    parts = [dict(found.causes().select("cause", "parts").iter_rows())["duplicate"] for found in (once, twice)]
    assert parts[1] - parts[0] > 0.95 * once.theirs.height and twice.entries["nanos"].sum() == twice.difference_nanos


@pytest.mark.parametrize("other", [{"period": "2026-11"}, {"party": "acme", "role": "sell"}])
def test_the_same_file_for_another_period_or_party_is_refused(installation: Installation, bill: CarrierBill, other: dict[str, object]):
    run(installation, "", asked(bill), "ops", NOW_MS)
    with pytest.raises(Refused, match="The same invoice was reconciled as alpha-2026-10-01"):
        run(installation, "", asked(bill, **other), "ops", NOW_MS)


def test_what_is_refused_leaves_nothing_behind(installation: Installation, bill: CarrierBill):
    def rows() -> tuple[object, ...]:
        engine = open_books(installation.books_dsn)
        with reading(engine) as conn:
            found = [one.id for one in reconciliations.every(conn, "t1")], reconciliations.profile(conn, "t1", "buy", "alpha")
        engine.dispose()
        return found

    before = rows()
    dollars = b"Destination;Calls;Minutes;Amount USD\nAustria;1;1.00;1.00\n"
    for wrong in ({"cdrs": SWAPPED}, {"invoice": dollars}, {"period": "2026-10-20..2026-11-03"}):
        with pytest.raises(ServiceError):
            run(installation, "", asked(bill, **wrong), "ops", NOW_MS)
    assert rows() == before


def test_a_tolerance_of_money_takes_small_differences_together(installation: Installation, bill: CarrierBill):
    exact, lenient = (run(installation, "", asked(bill, tolerance_nanos=nanos), "ops", NOW_MS, keep=False).reconciled for nanos in (0, 10_000_000))
    assert lenient.difference_nanos == exact.difference_nanos == lenient.entries["nanos"].sum()
    before, after = (dict(found.causes().select("cause", "parts").iter_rows()) for found in (exact, lenient))
    assert after["within_tolerance"] > before.get("within_tolerance", 0) and after["rate"] < before["rate"]
    assert after["suspected_hung"] == before["suspected_hung"] and after["missing_ours"] == before["missing_ours"]


def test_fees_and_a_discount_that_were_agreed_on_are_no_difference(tmp_path: Path):
    bill = bill_of(own_calls(300, 1, offer()), offer(), 2, share=0.01)
    how = Invoicing(fees=(Fee(text="Port fee", amount_nanos=50 * 10**9),), discounts=(Discount(text="volume", percent="10"),))
    plain = config("t1")
    agreements = tuple(msgspec.structs.replace(one, invoicing=how) if one.role == "buy" else one for one in plain.agreements)
    made = Settings(home=tmp_path / "home", tenant="t1", countries="AT").installation
    make_home(made, bill.ours, NOW_MS, agreed=msgspec.structs.replace(plain, agreements=agreements))
    text = invoice_file(bill).decode().replace("Total;", "Port fee;;;50.00\nPaper;;;3.00\nTotal;")
    found = run(made, "", asked(bill, invoice=text.encode()), "ops", NOW_MS, keep=False).reconciled
    causes = dict(found.causes().select("cause", "nanos").iter_rows())
    calls = int(found.ours.filter(pl.col("at_ms").is_between(*found.period, closed="left"))["nanos"].sum())
    assert sum(causes.values()) == found.difference_nanos
    assert (causes["other_charge"], causes["discount"], "fee" in causes) == (3 * 10**9, (calls + 5) // 10, False)
    assert found.ours_nanos == calls - (calls + 5) // 10 + 50 * 10**9


def test_a_customer_disputes_our_invoice_by_the_same_engine(installation: Installation, bill: CarrierBill):
    done = run(installation, "", asked(bill, party="acme", role="sell", invoice=None, replace=True), "ops", NOW_MS, keep=False)
    found = done.reconciled
    causes = dict(found.causes().select("cause", "nanos").iter_rows())
    assert causes and sum(causes.values()) == found.difference_nanos
    assert causes["rate|fx"] < 0 or causes["rate"] < 0, "the customer's claim is by the wholesale price"


def test_the_command_shows_causes_that_add_up_and_writes_the_calls(home: Path, bill: CarrierBill, tmp_path: Path):
    (tmp_path / "invoice.csv").write_bytes(invoice_file(bill))
    (tmp_path / "calls.csv").write_bytes(cdr_file(bill, 3))
    arguments = ["reconcile", "--carrier", "alpha", "--period", "2026-10", "--invoice", str(tmp_path / "invoice.csv"), "--cdrs",
        str(tmp_path / "calls.csv")]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out"), "--dry-run", "--home", str(home)])
    assert result.exit_code == 0, result.output
    assert "They charge" in result.output and "suspected_hung" in result.output and "together" in result.output
    assert (tmp_path / "out" / "calls.csv").read_text().startswith("cause,difference_nanos,line,our_call_key")
    as_json = CliRunner().invoke(app, [*arguments, "--json", "--dry-run", "--home", str(home)])
    assert '"causes":[' in as_json.stdout
    layout = CliRunner().invoke(app, [*arguments, "--write-layout", str(tmp_path / "alpha.yaml"), "--home", str(home)])
    assert layout.exit_code == 0 and "b_number: Called No" in (tmp_path / "alpha.yaml").read_text()
    by_hand = CliRunner().invoke(app, [*arguments, "--layout", str(tmp_path / "alpha.yaml"), "--dry-run", "--home", str(home)])
    assert by_hand.exit_code == 0, by_hand.output


def test_two_switches_that_carried_the_same_calls_are_compared_in_seconds(tmp_path: Path):
    calls = own_calls(400, 3, offer()).filter(pl.col("at_ms").is_between(FROM_MS, UNTIL_MS, closed="left"))

    def second_switch(tables: Tables) -> Tables:
        """The same calls at k2, 3 s ahead; the first is missing, the second 60 s longer."""
        facts = tables["calls"].sort("answer_ms")
        place, ahead = pl.int_range(pl.len()), [(pl.col(name) + 3_000) for name in ("answer_ms", "end_ms")]
        other = facts.with_columns(
            pl.lit("k2").alias("switch"), pl.lit(1, pl.Int32).alias("partition"), ("e" + pl.col("call_key").str.slice(1)).alias("call_key"), *ahead,
            (pl.col("duration_ms") + pl.when(place == 1).then(60_000).otherwise(0)).alias("duration_ms"),
        )  # fmt: skip
        return tables | {"calls": pl.concat([facts, other.slice(1).select(facts.columns)])}

    laid(tmp_path / "home", calls, second_switch)
    arguments = ["reconcile", "--switch", "k1", "--switch", "k2", "--period", "2026-10", "--home", str(tmp_path / "home")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "Their clock is 3.0 s ahead of ours" in result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.output.splitlines() if line.split()}
    assert rows["minutes"] == ["1", "60.0000"] and rows["missing_theirs"][0] == "1"
