"""The pages of finance: a bill to its dispute, the controls, the waterfall; by role, by tenant, and with bad input."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from until import until

from assurance.controls.protocol import Item, Result
from books import audit, control_results, disputes, invoices, ledger, reading, reconciliations, tenants, users, writing
from books.ledger import Account
from core.clock import wall_clock_ms
from dashboards import current
from dashboards.views.waterfall import bar
from services import posting

HOSTILE = "<script>alert(1)</script>"
DAY_MS = 86_400_000


@pytest.fixture
def as_(page, house):
    """`as_(role)` signs a user with this role for t1 in."""

    def sign_in(role: str = "finance", tenant: str = "t1"):
        with writing(house.engine) as conn:
            tenants.add(conn, "t2", 0)
            users.add(conn, "tom", "", "test", "test", 0)
            users.set_role(conn, "tom", tenant, role, True, "test", "test", 0)
        return page(user="tom")

    return sign_in


@pytest.fixture
def bill(house) -> tuple[str, bytes]:
    """Eight calls over alpha, at 0.12 per minute; the carrier charges 0.24 for each. Returns the period, and the carrier's calls."""
    version = house.publish()
    lines = ["Start;Called;Seconds;Price per minute;Amount EUR"]
    for number in range(8):
        called = f"43664{7_000_000 + number}"
        house.call("acme", "4312345", called, 60, 240_000_000, ago_ms=600_000 + 10_000 * number, config_version=version)
        start = datetime.fromtimestamp(wall_clock_ms() / 1000, UTC) - timedelta(seconds=660 + 10 * number)
        lines.append(f"{start:%Y-%m-%d %H:%M:%S};+{called};60;0.24;0.24")
    days = [datetime.now(UTC) - timedelta(days=ago) for ago in (2, 0)]
    return "..".join(f"{one:%Y-%m-%d}" for one in days), "\n".join(lines).encode()


def test_a_bill_is_compared_kept_disputed_and_credited(as_, house, bill):
    period, calls = bill
    view = as_().open("reconciliation")
    view.at.selectbox(key="rf_bill_party").select("alpha")
    view.at.text_input(key="rf_bill_period").set_value(period)
    view.at.file_uploader(key="rf_bill_calls").upload("alpha.csv", calls, "text/csv")
    view.press("rf_bill_do")
    assert "They charge 1.92 EUR" in view.text and "Our calls cost 0.96 EUR" in view.text and "rate You charge another price" in view.text, view.text
    with reading(house.engine) as conn:
        assert reconciliations.every(conn, "t1") == [], "nothing is stored before a person has seen it"
    view.press("rf_bill_keep")
    assert "dispute: a price: always" in view.text and "8 +0.96 EUR" in view.text and "by tom" in view.text, view.text
    assert "436647" not in view.text, "the numbers of the calls are masked"
    view.press("rf_bill_propose")
    assert "On the board: 1." in view.text
    with reading(house.engine) as conn:
        one = disputes.every(conn, "t1")[0]

    view.open("disputes")
    assert "Open 0.96 EUR 1 dispute, 0 late" in view.text and "quantified" in view.text
    view.open("disputes", dispute=one.id).press("rf_dispute_pack_do")
    for event, fields in (("approve", {}), ("send", {}), ("counter", {"rf_dispute_amount": "9"}), ("counter", {"rf_dispute_amount": "0.1"}),
                          ("agree", {"rf_dispute_amount": "0.4"}), ("credit", {"rf_dispute_note": "CN-7"})):  # fmt: skip
        view.at.selectbox(key="rf_dispute_event").select(event)
        for key, value in fields.items():
            view.at.text_input(key=key).set_value(value)
        view.press("rf_dispute_do")
        if event == "approve":
            view.press("rf_dispute_do")
            assert "Nothing was changed: choose what happened." in view.text, "the step before is not chosen again, nor the first that is possible"
        if fields.get("rf_dispute_amount") == "9":
            assert "it must be 0 to 0.96 EUR" in view.text
            view.at.text_input(key="rf_dispute_amount").set_value("")
    assert "It is closed." in view.text and "CN-7" in view.text
    with reading(house.engine) as conn:
        assert disputes.every(conn, "t1")[0].state == "credited"
        assert [entry.subject for entry in audit.last(conn, 5, "exported evidence")] == [f"t1/{one.id}"]


def test_a_wrong_file_is_refused_with_its_reason(as_, house):
    house.publish()
    view = as_().open("reconciliation")
    view.at.selectbox(key="rf_bill_party").select("alpha")
    for content, period, wrong in (
        (None, "", "Choose whose bill it is"), (None, "2026-10", "there is nothing to compare with"), (b"a;b\n1;2\n", "October", "is not a period"),
        (b"", "2026-10", "rf-message bad"), (b"a;b\n1;2\n", "2026-10", "rf-message bad"), (b"\x00\xff\xfe", "2026-10", "rf-message bad"),
    ):  # fmt: skip
        view.at.text_input(key="rf_bill_period").set_value(period)
        if content is not None:
            view.at.file_uploader(key="rf_bill_calls").upload("bill.csv", content, "text/csv")
        assert wrong in view.press("rf_bill_do").html, (content, period)


def test_a_run_of_invoices_is_approved_issued_opened_down_to_its_calls_paid_and_credited(as_, house):
    version = house.publish()
    for number in (1, 2):
        house.call("acme", "4312345", f"43664123456{number}", 60 * number, 240_000_000 * number, ago_ms=40 * DAY_MS, config_version=version)
    view = as_().open("invoices")
    posting.post(current.sources().installation, wall_clock_ms())
    view.at.text_input(key="rf_invoice_run_until").set_value("the first")
    assert "the first&#x27; is no date" in view.press("rf_invoice_run_do").text
    view.at.text_input(key="rf_invoice_run_until").set_value(f"{datetime.now(UTC):%Y-%m-01}")
    assert "has 1 drafts" in view.press("rf_invoice_run_do").text
    with reading(house.engine) as conn:
        (draft,) = invoices.every(conn, "t1")
    view.open("invoices", invoice=draft.id)
    assert "Austria Mobile 2 3.0 0.24 EUR 0.72 EUR" in view.text, view.text
    view.at.query_params["line"] = "0"
    assert "Calls of Austria Mobile 2 of 2 charges" in view.run().text and "+4366••••••62" in view.text and "436641234562" not in view.text
    assert "120 s 0.48 EUR" in view.text and "60 s 0.24 EUR" in view.text
    view.at.query_params["line"] = "%'; --"
    assert "has no line of calls" in view.run().text
    assert "It is approved." in view.press("rf_invoice_approve").text
    assert "has its number" in view.press("rf_invoice_issue").text
    for amount, said in (("a lot", "Nothing was changed"), ("0.50", "The payment is recorded.")):
        view.at.text_input(key="rf_payment_amount").set_value(amount)
        view.at.text_input(key="rf_payment_reference").set_value("transfer 7")
        assert said in view.press("rf_payment_do").text
    view.at.text_input(key="rf_credit_why").set_value("ticket 4711")
    assert "A credit note is approved" in view.press("rf_credit_do").text
    assert view.press("rf_invoice_calls_do").at.get("download_button")[0].proto.label == "Save 2 calls as CSV"
    with reading(house.engine) as conn:
        assert [(one.kind, one.status) for one in invoices.every(conn, "t1")] == [("invoice", "issued"), ("credit_note", "approved")]
        assert audit.last(conn, 1, "exported calls")
    del view.at.query_params["invoice"]
    assert "Owed" in view.run().text and "0.22 EUR" in view.text


def test_what_resellers_earned_is_shown_and_posted_once(as_, house):
    house.publish()
    with writing(house.engine) as conn:
        owed, cost = Account("t1", "commission", "EUR", "blue"), Account("t1", "cost", "EUR")
        ledger.post(conn, ledger.transfer("commission", "an-invoice blue", owed, cost, 7_500_000_000), 1)
    view = as_().open("invoices")
    assert "reseller owed to it blue 7.50 EUR" in view.text
    assert "No commission is new." in view.press("rf_commissions_do").text


def result(house, tenant: str, status: str, what: str, at_ms: int = 5) -> None:
    found = (Item(what, 3, 7_000_000_000, "EUR"),) if status == "found" else ()
    one = Result(control="unbilled_calls", status=status, checked=10, count=3 * len(found), money={"EUR": 7_000_000_000} if found else {},
        items=found, why_not="" if status != "not_checked" else "no warehouse")  # fmt: skip
    with writing(house.engine) as conn:
        control_results.add(conn, tenant, 0, DAY_MS, [one], at_ms)


def test_a_control_is_green_not_green_or_not_checked_with_its_money_and_what_to_do(as_, house):
    result(house, "t1", "passed", "", 1)
    result(house, "t1", "found", f"account {HOSTILE}: 3 answered calls were sold to nobody", 2)
    result(house, "t2", "found", "of the other tenant", 3)
    view = as_().open("controls")
    assert "Not green 1 of 1" in view.text and "10 3 7.00 EUR" in view.text and "every answered call has a sale" in view.text
    view.open("controls", control="unbilled_calls")
    assert "re-rate them" in view.text and "3 answered calls were sold to nobody" in view.text and "other tenant" not in view.text
    assert "1970-01-01 to 1970-01-01, UTC" in view.text and view.text.count("green") >= 3, "both runs are kept"
    assert "<script" not in view.html
    result(house, "t1", "not_checked", "", 9)
    assert "It could not be checked: no warehouse" in view.refreshed().text
    assert "No run of a control" in view.open("controls", control="nothing").text


def test_controls_are_asked_on_the_page(as_, house):
    house.call("acme", "4312345", "436641234567", 60, 240_000_000)
    view = as_().open("controls")
    view.at.text_input(key="rf_controls_period").set_value(f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}..{datetime.now(UTC):%Y-%m-%d}")
    view.press("rf_controls_do")
    assert "All controls were run." in view.text
    shown = view.run().text
    assert "negative margin" in shown and "not checked" in shown


def test_the_waterfall_names_what_is_lost_and_where_to_look(as_, house):
    house.call("acme", "4312345", "436641234567", 60, 2_000_000_000)
    house.records("reject", "unrated", "duplicate", ago_ms=30_000)
    view = as_()
    view.at.query_params["period"] = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}..{datetime.now(UTC):%Y-%m-%d}"
    shown = view.open("waterfall")
    assert "At the switch 4 " in shown.text and "1 duplicate 1 reject 1 unrated" in shown.text and "Rated, EUR 2.00 EUR" in shown.text
    assert "control=rejected_records" in shown.html and "2.00 EUR not invoiced yet" in shown.text
    shown.at.text_input(key="period").set_value("%'; --")
    assert "is not a period" in shown.run().text


def test_days_are_asked_for_before_anybody_waits_for_them(page, house):
    house.call("acme", "4312345", "436641234567", 60, 2_000_000_000)
    house.records("reject", ago_ms=3 * DAY_MS)
    page()
    sources = current.sources()
    sources.prepare()
    until(lambda: not any(thread.name == "prepare" for thread in threading.enumerate()), 60, "the days are not prepared")
    asked: list[str] = []
    assert sources.recorded.prepare(lambda query: asked.append(query[0]) or sources.ask(query), 0, 5.0)
    assert len(asked) == 2 and all("system.parts" in sql for sql in asked), "only whether anything has changed is asked"


def test_bars_stay_inside():
    assert "width: 100.0%" in bar(3, 2) and "width: 0.0%" in bar(1, 0)


def test_who_only_looks_at_money_settles_nothing(as_, house, bill):
    view = as_("read-only")
    settling = {"rf_bill_do", "rf_controls_do", "rf_dispute_do", "rf_invoice_approve", "rf_commissions_do"}
    for path in ("reconciliation", "disputes", "controls", "invoices"):
        view.open(path)
        assert not {button.key for button in view.at.button} & settling, path


def test_of_another_tenant_nothing_is_shown_by_its_name(as_, house):
    for tenant in ("t1", "t2"):
        result(house, tenant, "found", f"of {tenant}")
    view = as_()
    assert "There is no reconciliation" in view.open("reconciliation", bill="alpha-2026-10-01-000000").text
    assert "There is no dispute" in view.open("disputes", dispute="x").text
    view.at.query_params["tenant"] = "t2"
    assert "of t2" not in view.open("controls", control="unbilled_calls").text
