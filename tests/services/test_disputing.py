"""From a reconciled bill to a credit note that is posted."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from assurance.disputes.life import DAY_MS
from books import Connection, Engine, alerts, disputes, invoices, ledger, open_books, reading, writing
from books.ledger import Account
from core.money import to_nanos
from core.orders import Finding
from ringfence.cli import app
from ringfence.settings import Settings
from services import disputing
from services.disputing import NotNow
from services.errors import BadArgument
from services.installation import Installation
from services.reconciling import ReconcileRequest, run
from services.rehearsal import Leak, make_home
from simulator.billing.faults import bill_of
from simulator.billing.files import cdr_file, invoice_file
from simulator.billing.own import FROM_MS, UNTIL_MS, offer, own_calls

NOW_MS = 1_794_000_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disputed")
    bill = bill_of(own_calls(2_000, 1, offer()), offer(), 2, share=0.005)
    installation = laid(path, bill.ours)
    run(installation, "", ReconcileRequest("alpha", "2026-10", "buy", invoice_file(bill), cdr_file(bill, 3)), "ops", NOW_MS)
    return path


def laid(home: Path, ours: pl.DataFrame, leak: Leak = lambda found: found) -> Installation:
    """A home with these calls."""
    installation = Settings(home=home, tenant="t1", countries="AT").installation
    make_home(installation, ours, NOW_MS, leak)
    return installation


@pytest.fixture
def engine(home: Path):
    engine = open_books(f"sqlite:///{home}/books.db")
    yield engine
    engine.dispose()


def name_of(engine: Engine) -> str:
    with reading(engine) as conn:
        return conn.exec_driver_sql("select id from reconciliations").scalar_one()


def proposed(conn: Connection, engine: Engine, cause: str) -> str:
    (one,) = disputing.propose(conn, "t1", name_of(engine), "ops", NOW_MS, (cause,))
    return one.id


def test_prices_are_always_worth_a_dispute_and_small_volumes_are_not(engine: Engine):
    with writing(engine) as conn:
        made = disputing.propose(conn, "t1", name_of(engine), "ops", NOW_MS)
        again = disputing.propose(conn, "t1", name_of(engine), "ops", NOW_MS + 1)
    assert {one.cause for one in made} >= {"rate", "wrong_destination", "increment", "suspected_hung"}
    assert not {one.cause for one in made} & {"missing_theirs|unreadable", "period_boundary", "tariff_boundary", "time_zone"}
    assert [one.id for one in made] == [one.id for one in again] and {one.state for one in made} == {"quantified"}


def test_the_way_to_a_credit_note_is_kept_and_posted(engine: Engine):
    with writing(engine) as conn:
        name = proposed(conn, engine, "rate")
        one = disputing.of(conn, "t1", name)
        with pytest.raises(NotNow, match="cannot be sent: next can be approve, expire, withdraw"):
            disputing.happen(conn, "t1", name, "send", "ops", "", NOW_MS)
        for event in ("approve", "send", "acknowledge"):
            disputing.happen(conn, "t1", name, event, "ops", "", NOW_MS)
        with pytest.raises(BadArgument, match="what is disputed"):
            disputing.happen(conn, "t1", name, "counter", "ops", "", NOW_MS, amount="99999")
        disputing.happen(conn, "t1", name, "counter", "ops", "", NOW_MS, amount="0.5")
        agreed = disputing.happen(conn, "t1", name, "agree", "ops", "", NOW_MS, amount="1")
        assert agreed.due_ms == NOW_MS + 30 * DAY_MS
        with pytest.raises(BadArgument, match="--credit-note"):
            disputing.happen(conn, "t1", name, "credit", "ops", "", NOW_MS)
        done = disputing.happen(conn, "t1", name, "credit", "ops", "", NOW_MS, credit_note="CN-77")
        assert (done.state, done.credit_note, done.due_ms) == ("credited", "CN-77", 0)
        # What was not won is a cost that we owe.
        assert ledger.balance(conn, Account("t1", "unpaid", "EUR", "alpha", "alpha-buy")) == to_nanos("1") - to_nanos(one.amount)
        events = [event.event for event in disputes.history(conn, name)]
    assert events == ["detect", "quantify", "approve", "send", "acknowledge", "counter", "agree", "credit"]


def test_an_unsent_dispute_expires_with_the_days_of_the_agreement(engine: Engine):
    with writing(engine) as conn:
        name = proposed(conn, engine, "increment")
        with pytest.raises(NotNow, match="may be sent until"):
            disputing.happen(conn, "t1", name, "expire", "ops", "", NOW_MS + 29 * DAY_MS)
        assert name in {one.id for one in disputing.overdue(conn, "t1", NOW_MS + 31 * DAY_MS)}
        assert disputing.happen(conn, "t1", name, "expire", "ops", "", NOW_MS + 31 * DAY_MS).state == "expired"


def test_the_evidence_can_be_checked_alone_and_hides_numbers(engine: Engine):
    with writing(engine) as conn:
        name = proposed(conn, engine, "duplicate")
        content = disputing.pack(conn, "t1", name, masked_digits=4)
        assert content == disputing.pack(conn, "t1", name, masked_digits=4), "the same dispute is the same archive"
        one = disputing.of(conn, "t1", name)
    archive = zipfile.ZipFile(io.BytesIO(content))
    for line in archive.read("SHA256SUMS").decode().splitlines():
        expected, file = line.split("  ")
        assert hashlib.sha256(archive.read(file)).hexdigest() == expected
    csv = archive.read("calls.csv").decode().splitlines()
    assert len(csv) == one.calls + 1 and "xxxx" in csv[1]
    assert archive.read("dispute.pdf").startswith(b"%PDF")
    amounts = [row.split(",")[csv[0].split(",").index("difference")] for row in csv[1:]]
    assert sum(to_nanos(amount) for amount in amounts) == one.nanos


def test_false_answers_join_as_a_statistical_claim_that_only_a_person_makes(engine: Engine):
    def alert(subject: str, nanos: int, first_ms: int = FROM_MS + DAY_MS) -> Finding:
        return Finding(
            finding_id=f"fas-{subject}", tenant="t1", detector="fas", subject_kind="route", subject=subject, detected_at_ms=first_ms,
            first_ms=first_ms, last_ms=first_ms + DAY_MS, calls=412, exposure_nanos=nanos, currency="EUR", score=2.0,
            reason=f"=1+1 {subject}: 61 % of 412 calls are answered, and 38 % over all others", example_call_ids=[],
        )  # fmt: skip

    with writing(engine) as conn:
        name = name_of(engine)
        assert "fas" not in {one.cause for one in disputing.assess(conn, "t1", name)[1]}
        for one in (alert("alpha>20", 7 * 10**9), alert("alpha>53", 5 * 10**9), alert("beta>20", 10**9), alert("alpha>44", 1, UNTIL_MS + DAY_MS)):
            alerts.upsert(conn, one, NOW_MS)
        (claim,) = [one for one in disputing.assess(conn, "t1", name)[1] if one.cause == "fas"]
        assert (claim.nanos, claim.parts, claim.is_worth) == (12 * 10**9, 2, False)
        assert not [one for one in disputing.propose(conn, "t1", name, "ops", NOW_MS) if one.cause == "fas"]
        (made,) = disputing.propose(conn, "t1", name, "ops", NOW_MS, ("fas",))
        archive = zipfile.ZipFile(io.BytesIO(disputing.pack(conn, "t1", made.id)))
    routes = archive.read("routes.csv").decode().splitlines()
    assert all("'=1+1 alpha" in line for line in routes[1:]), "a spreadsheet does not compute what a carrier's name begins with"
    assert len(routes) == 3 and "alpha>20" in routes[1] and "61 % of 412" in routes[1] and archive.read("dispute.pdf").startswith(b"%PDF")
    assert "a statistical claim about the route" in archive.read("facts.json").decode()


def test_a_customers_dispute_ends_with_a_credit_note_of_ours(tmp_path: Path):
    bill = bill_of(own_calls(300, 1, offer()), offer(), 2, share=0.02)
    installation = laid(tmp_path / "home", bill.ours)

    def invoke(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--home", str(tmp_path / "home")])
        assert result.exit_code == 0, result.output
        return result.output

    for words in (("books", "post"), ("invoices", "run"), ("invoices", "approve", "--why", "checked"), ("invoices", "issue")):
        invoke(*words)
    claim = run(installation, "", ReconcileRequest("acme", "2026-10", "sell", cdrs=cdr_file(bill, 3)), "ops", NOW_MS).stored
    engine = open_books(installation.books_dsn)
    with writing(engine) as conn:
        (one,) = disputing.propose(conn, "t1", claim.id, "ops", NOW_MS, ("rate",))
        for event in ("approve", "send", "agree"):
            disputing.happen(conn, "t1", one.id, event, "ops", "", NOW_MS, amount="0.05" if event == "agree" else "")
        with pytest.raises(BadArgument, match="no issued credit note of ours for acme"):
            disputing.happen(conn, "t1", one.id, "credit", "ops", "", NOW_MS, credit_note="CN-77")
        (invoice,) = [row for row in invoices.every(conn, "t1", "acme") if row.from_day == "2026-10-01"]
    invoke("invoices", "credit", invoice.number, "--amount", "0.05", "--why", f"dispute {one.id}")
    invoke("invoices", "approve", "--why", "agreed")
    invoke("invoices", "issue")
    with writing(engine) as conn:
        (note,) = invoices.every(conn, "t1", "acme", credits=invoice.id)
        owed = ledger.balance(conn, Account("t1", "receivable", "EUR", "acme", "acme-sell"))
        done = disputing.happen(conn, "t1", one.id, "credit", "ops", "", NOW_MS, credit_note=note.number)
        assert (done.state, done.credit_note) == ("credited", note.number)
        assert ledger.balance(conn, Account("t1", "receivable", "EUR", "acme", "acme-sell")) == owed, "the note was posted when it was issued"
    engine.dispose()


def test_the_command_follows_a_dispute(home: Path, engine: Engine, tmp_path: Path):
    def invoke(*words: str) -> str:
        result = CliRunner().invoke(app, ["disputes", *words, "--home", str(home)])
        assert result.exit_code == 0, result.output
        return result.output

    name = f"{name_of(engine)}-wrong_destination"
    assert "dispute  wrong_destination" in invoke("assess", name_of(engine))
    assert "quantified" in invoke("propose", name_of(engine), "--cause", "wrong_destination")
    assert "approved" in invoke("approve", name, "--why", "the codes of the price list")
    assert "kB" in invoke("pack", name, "--out", str(tmp_path / "pack.zip"))
    assert "sent" in invoke("mark", name, "send", "--why", "by mail")
    assert "You charge the call as one to another destination." in invoke("show", name)
    assert name in invoke("list", "--party", "alpha")
    refused = CliRunner().invoke(app, ["disputes", "approve", name, "--home", str(home)])
    assert refused.exit_code == 1 and "cannot be approved" in refused.output
