"""Invoices from traffic to the issued number: each call on one invoice, totals that add up, numbers without a gap."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from books import invoices, ledger, open_books, reading
from books.ledger import Account
from services import invoice_proof, invoicing, payments, posting, publishing, statements
from services.errors import BadArgument, UnknownName
from services.installation import Installation, books
from services.invoice_drafts import Refused

CONFIG = """
tenant: t1
decks: {retail: {file: retail.csv, currency: EUR}}
legal_entities:
  - name: ring
    number_prefix: RF
    iban: AT611904300234573201
    legal: {legal_name: Ring Telecom GmbH, address: [Ring 1], postcode: "1010", city: Wien, country: AT, vat_number: ATU13585627}
tax_tables:
  - {name: at, label: USt, country: AT, rates: [{percent: "20"}]}
tax_profiles:
  - {name: vat}
parties:
  - {name: acme, kinds: [customer], legal: {legal_name: ACME AG, country: AT}}
  - {name: blue, kinds: [customer], legal: {legal_name: Blue GmbH, country: DE, vat_number: DE136695976}}
agreements:
  - name: home
    role: sell
    currency: EUR
    time_zone: Europe/Vienna
    tax_profile: vat
    plan: [{deck: retail}]
    invoicing: {fees: [{text: SIP trunk, amount: "30", from_day: 2025-11-21}], discounts: [{text: Loyal customer, percent: "10"}]}
  - {name: abroad, role: sell, currency: EUR, time_zone: Europe/Vienna, tax_profile: vat, plan: [{deck: retail}]}
accounts:
  - {name: acme, agreement: home}
  - {name: blue, agreement: abroad}
"""
EURO = 10**9


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = ms("2026-01-02T09:00")


def call(offset: int, at: str, nanos: int, party: str = "acme", destination: str = "Austria", **facts):
    agreement = "home" if party == "acme" else "abroad"
    row = {"offset": offset, "start_ms": ms(at), "party": party, "account": party, "agreement": agreement, "destination": destination}
    return row | {"nanos": nanos, "per_min_nanos": nanos} | facts


@pytest.fixture
def config(installed: Installation, tmp_path: Path) -> Path:
    (tmp_path / "retail.csv").write_text("prefix,destination,price_per_min\n43,Austria,0.01\n49,Germany,0.02\n")
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    publish(installed, file)
    return file


def publish(installation: Installation, file: Path) -> None:
    with books(installation) as conn:
        publishing.publish(conn, publishing.check(file, conn), "ops", "test", NOW)


def made(installation: Installation, day: str, now: int = NOW):
    posting.post(installation, now)
    return invoicing.run(installation, "", day, "ops", now)


def issued(installation: Installation, day: str, now: int = NOW):
    made(installation, day, now)
    with books(installation) as conn:
        invoicing.approve(conn, "", [], "ops", "checked", now)
        return invoicing.issue(conn, "", [], "ops", now)


def shown(drafts) -> list[str]:
    return [f"{one.party} {one.from_day} {one.net} {one.tax} {one.total}" for one in drafts]


def test_from_calls_to_issued_invoices(installed: Installation, charges, config: Path):
    charges.store(
        call(1, "2025-11-25T12:00", 10 * EURO), call(2, "2025-11-30T22:59", EURO), call(3, "2025-11-30T23:30", 5 * EURO),  # in Vienna in December
        call(4, "2025-11-26T12:00", 7 * EURO + 4, "blue", "Germany"),
    )  # fmt: skip
    done = made(installed, "2025-12-01")
    assert done.findings == []
    assert shown(done.drafts) == ["acme 2025-11-01 1990 398 2388", "blue 2025-11-01 700 0 700"]  # 11 less 10 % and a third of 30; reverse charge
    acme = done.drafts[0].read()
    assert [(line.kind, line.text, line.calls, line.amount) for line in acme.lines] == [
        ("calls", "Austria", 1, 100), ("calls", "Austria", 1, 1000), ("discount", "Loyal customer", 0, -110), ("fee", "SIP trunk", 0, 1000),
    ]  # fmt: skip
    (tax,) = acme.taxes
    assert (tax.label, tax.percent, tax.row, tax.rounding, tax.base, tax.amount) == ("USt", "20", "... to ...", "invoice", 1990, 398)
    assert done.drafts[1].read().taxes[0].category == "AE"
    assert shown(made(installed, "2025-12-01").drafts) == shown(done.drafts), "the run again is the same run"
    with books(installed) as conn:
        with pytest.raises(Refused, match="draft: approve it first"):
            invoicing.issue(conn, "", [done.drafts[0].id], "ops", NOW)
        assert invoicing.approve(conn, "", [], "ops", "checked", NOW) == 2
        assert [one.number for one in invoicing.issue(conn, "", [], "ops", NOW)] == ["RF-2026-000001", "RF-2026-000002"]
        assert invoicing.issue(conn, "", [], "ops", NOW) == []
        assert ledger.balance(conn, Account("t1", "receivable", "EUR", "acme")) == 23_880_000_000
        assert ledger.balance(conn, Account("t1", "unbilled", "EUR", "acme", "home")) == 5 * EURO
        assert ledger.faults(conn) == []
    assert invoice_proof.prove(installed).faults == []
    assert posting.prove(installed).faults == []


def test_late_calls_and_corrections_are_on_the_next_invoice(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-25T12:00", 10 * EURO, "blue"), call(2, "2025-12-05T12:00", 3 * EURO, "blue"), upto=50)
    assert shown(issued(installed, "2025-12-01", ms("2025-12-02")))[1:] == ["blue 2025-11-01 1000 0 1000"]
    late = call(3, "2025-11-29T12:00", EURO, "blue", record_offset=60)
    corrected = call(1, "2025-11-25T12:00", 8 * EURO, "blue", record_offset=61, revision=2)
    charges.store(late, corrected, upto=70)
    (second,) = [one for one in made(installed, "2026-01-01").drafts if one.party == "blue"]
    lines = [(line.kind, line.calls, line.amount) for line in second.read().lines]
    assert lines == [("calls", 1, 300), ("late", 1, 100), ("late", 1, 800), ("late", -1, -1000)]
    assert second.read().from_day == "2025-12-01"
    assert invoice_proof.prove(installed).faults == []


def test_a_call_over_midnight_is_in_the_period_of_the_moment_that_its_agreement_names(installed: Installation, charges, config: Path):
    instants = ("setup", "answer", "end")
    abroad = "  - {name: abroad, role: sell, currency: EUR, time_zone: Europe/Vienna, tax_profile: vat, plan: [{deck: retail}]}\n"
    own = [abroad.replace("abroad", one).replace("plan", f"invoicing: {{period_instant: {one}}}, plan") for one in instants]
    text = CONFIG.replace(abroad, abroad + "".join(own)).replace("- {name: vat}", "- {name: vat, kind: none, reason: none}")
    config.write_text(text + "".join(f"  - {{name: {one}, agreement: {one}}}\n" for one in instants))
    publish(installed, config)
    rows = []
    for n, party in enumerate(instants):

        def rung(place: int, setup: str, answer: str, end: str, *parts: tuple[str, int], of: str = party, n: int = n):
            facts = {"setup_ms": ms(setup), "answer_ms": ms(answer), "end_ms": ms(end), "agreement": of, "call_key": f"{of}{place}"}
            return [call(10 * n + place, at, euros * EURO, of, segment=k, **facts) for k, (at, euros) in enumerate(parts)]

        # midnight in Vienna is 23:00 UTC
        rows += rung(1, "2025-11-30T20:00", "2025-11-30T20:01", "2025-11-30T20:09", ("2025-11-30T20:01", 8))
        rows += rung(2, "2025-11-30T22:58", "2025-11-30T22:59", "2025-11-30T23:05", ("2025-11-30T22:59", 2), ("2025-11-30T23:00", 4))
        rows += rung(3, "2025-11-30T22:59", "2025-11-30T23:01", "2025-11-30T23:05", ("2025-11-30T23:01", 1))
    charges.store(*rows, upto=40)
    november = [one for one in issued(installed, "2025-12-01", ms("2025-12-02")) if one.party in instants]
    assert {one.party: one.net for one in november} == {"setup": 1500, "answer": 1400, "end": 800}
    december = [one for one in made(installed, "2026-01-01").drafts if one.party in instants]
    assert {one.party: one.net for one in december} == {"answer": 100, "end": 700}
    assert {line.kind for one in december for line in one.read().lines} == {"calls"}, "they are not late"
    assert invoice_proof.prove(installed).faults == []


def test_a_swap_is_settled_as_a_net_with_a_true_up_on_both_sides(installed: Installation, charges, config: Path):
    side = "{{committed: {}m, per_minute: 0.01, excess_per_minute: 0.02, shortfall_per_minute: 0.005}}"
    swap = f"plan: [{{deck: retail}}], invoicing: {{swap: {{buys: inbound, they_send: {side.format(100)}, we_send: {side.format(50)}}}}}}}"
    inbound = "  - {name: inbound, role: buy, currency: EUR, plan: [{deck: retail}]}\naccounts:\n"
    config.write_text(
        CONFIG.replace("tax_profile: vat, plan: [{deck: retail}]}", f"tax_profile: vat, {swap}").replace("accounts:\n", inbound)
        + "carriers:\n  - {name: blue, agreement: inbound}\n"
    )
    publish(installed, config)
    charges.store(  # they sent 110 of 100 minutes, we 40 of 50
        call(1, "2025-11-25T12:00", 3 * EURO, "blue", charged_s=110 * 60),
        call(2, "2025-11-25T12:00", 2 * EURO, "blue", charged_s=40 * 60, role="buy", agreement="inbound", attempt_no=1),
        call(3, "2025-12-02T12:00", 9 * EURO, "blue", charged_s=600, role="buy", agreement="inbound", attempt_no=1), upto=10,
    )  # fmt: skip
    (one,) = [one for one in issued(installed, "2025-12-01", ms("2025-12-03")) if one.party == "blue"]
    document = one.read()
    # 100 x 0.01 + 10 x 0.02 = 1.20, and by the decks 3; 40 x 0.01 + 10 x 0.005 = 0.45, and by the decks 2
    assert [(line.kind, line.amount) for line in document.lines] == [("calls", 300), ("true_up", -180)]
    assert document.swap is not None and document.swap.net_nanos == 750_000_000
    with books(installed) as conn:
        assert ledger.balance(conn, Account("t1", "receivable", "EUR", "blue")) == 1_200_000_000
        assert ledger.balance(conn, Account("t1", "unpaid", "EUR", "blue", "inbound")) == -9 * EURO - 450_000_000  # December's calls are not settled
        assert [(one.owes_us, one.we_owe) for one in statements.netting(conn, "t1", "blue")] == [(1_200_000_000, 9_450_000_000)]
        assert ledger.faults(conn) == []
    assert posting.prove(installed).faults == [] and invoice_proof.prove(installed).faults == []


def test_a_run_that_is_killed_is_resumed_and_makes_each_draft_once(installed: Installation, charges, config: Path, monkeypatch):
    monkeypatch.setattr(invoicing, "A_TRANSACTION", 1)
    charges.store(call(1, "2025-11-25T12:00", EURO), call(2, "2025-11-25T12:00", EURO, "blue"), upto=10)
    posting.post(installed, NOW)

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invoicing.run(installed, "", "2025-12-01", "ops", NOW, after_commit=killed)
    with pytest.raises(Refused, match="going on elsewhere"):
        invoicing.run(installed, "", "2025-12-01", "another", NOW + 1)
    charges.store(call(15, "2025-11-26T12:00", EURO), upto=20)  # stored meanwhile: the run reads what was posted when it began
    posting.post(installed, NOW)
    done = invoicing.run(installed, "", "2025-12-01", "ops", NOW + 200_000)
    assert (done.run.state, done.run.made, done.run.due) == ("done", 2, 2)
    with reading(open_books(installed.books_dsn)) as conn:
        assert shown(invoices.every(conn, "t1")) == ["acme 2025-11-01 1090 218 1308", "blue 2025-11-01 100 0 100"]
    assert invoice_proof.prove(installed).faults == []


def test_a_credit_note_pays_its_invoice_and_is_never_beyond_it(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-25T12:00", 10 * EURO))
    (invoice,) = [one for one in issued(installed, "2025-12-01") if one.party == "acme"]  # 19.00 net, 3.80 tax
    with books(installed) as conn:
        with pytest.raises(Refused, match="a credit of 1901 cannot be"):
            invoicing.credit(conn, "", invoice.number, "19.01", "ops", "too much", NOW)
        note = invoicing.credit(conn, "", invoice.number, "9", "ops", "ticket 4711", NOW)
        assert invoicing.credit(conn, "", invoice.number, "9", "ops", "ticket 4711", NOW).id == note.id
        assert shown(invoicing.issue(conn, "", [note.id], "ops", NOW)) == ["acme 2025-11-01 -900 -180 -1080"]
        assert ledger.balance(conn, Account("t1", "receivable", "EUR", "acme")) == 12 * EURO
        rest = invoicing.credit(conn, "", invoice.number, "", "ops", "all of it", NOW)
        invoicing.issue(conn, "", [rest.id], "ops", NOW)
        assert payments.open_invoices(conn, "t1", "acme") == []
        with pytest.raises(Refused, match="a credit of 0 cannot be"):
            invoicing.credit(conn, "", invoice.number, "", "ops", "again", NOW)
        with pytest.raises(UnknownName):
            invoicing.credit(conn, "", "RF-2026-999999", "", "ops", "none", NOW)
        assert invoices.gaps(conn) == [] and ledger.faults(conn) == []


def test_a_payment_goes_to_the_oldest_invoice_and_what_is_left_to_the_next(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-25T12:00", 10 * EURO, "blue"), call(2, "2025-12-05T12:00", 3 * EURO, "blue"))
    first, second = [one for one in issued(installed, "2026-01-01") if one.party == "blue"]
    assert [one.total for one in (first, second)] == [1000, 300]
    with books(installed) as conn:
        paid = payments.record(conn, "", "blue", "11", "EUR", "bank 7", "2026-01-02", "ops", NOW)
        assert (paid.allocated, paid.left, paid.new) == ([(first.number, 1000), (second.number, 100)], 0, True)
        assert not payments.record(conn, "", "blue", "11", "EUR", "bank 7", "2026-01-02", "ops", NOW).new
        with pytest.raises(payments.Refused, match="blue owes in EUR, not in USD"):
            payments.record(conn, "", "blue", "11", "USD", "bank 8", "2026-01-02", "ops", NOW)
        with pytest.raises(UnknownName, match="Nothing was ever sold"):
            payments.record(conn, "", "nobody", "11", "EUR", "bank 8", "2026-01-02", "ops", NOW)
        with pytest.raises(BadArgument):
            payments.record(conn, "", "blue", "-1", "EUR", "bank 8", "2026-01-02", "ops", NOW)
        over = payments.record(conn, "", "blue", "5", "EUR", "bank 9", "2026-01-03", "ops", NOW, numbers=[second.number])
        assert (over.allocated, over.left) == ([(second.number, 200)], 300)
        with pytest.raises(payments.Refused, match="3 EUR too much"):
            payments.refund(conn, "", "blue", "3.01", "EUR", "back", "ops", NOW)
        payments.refund(conn, "", "blue", "3", "EUR", "back", "ops", NOW)
        payments.refund(conn, "", "blue", "3", "EUR", "back", "ops", NOW)
        assert ledger.balance(conn, Account("t1", "receivable", "EUR", "blue")) == 0
        assert ledger.faults(conn) == []


def test_what_was_paid_too_much_pays_the_next_invoice_and_what_was_paid_back_pays_none(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-25T12:00", 10 * EURO, "blue"), call(2, "2025-12-05T12:00", 3 * EURO, "blue"))
    with books(installed) as conn:
        payments.record(conn, "", "blue", "14", "EUR", "beforehand", "2025-11-01", "ops", NOW - 9, prepaid=True)
        payments.refund(conn, "", "blue", "2", "EUR", "back", "ops", NOW - 8)
    first, second = [one for one in issued(installed, "2026-01-01") if one.party == "blue"]
    assert [(one.total, one.paid) for one in (first, second)] == [(1000, 1000), (300, 200)]
    with books(installed) as conn:
        assert [(one.number, one.total, one.paid) for one in payments.open_invoices(conn, "", "blue")] == []
        assert [(one.number, one.paid) for one in payments.open_invoices(conn, "t1", "blue")] == [(second.number, 200)]
        aged = [one.amounts for one in statements.ageing(conn, "", NOW) if one.party == "blue"]
        assert aged == [(100, 0, 0, 0, 0)]
        assert ledger.balance(conn, Account("t1", "receivable", "EUR", "blue")) == EURO and ledger.faults(conn) == []
        note = invoicing.credit(conn, "", second.number, "2", "ops", "ticket 1", NOW)
        invoicing.issue(conn, "", [note.id], "ops", NOW + 1)  # one euro of it was open: the other is his
    charges.store(call(3, "2026-01-05T12:00", 5 * EURO, "blue"), upto=200)
    (third,) = [one for one in issued(installed, "2026-02-01", ms("2026-02-01T12:00")) if one.party == "blue"]
    assert (third.total, third.paid) == (500, 100)


NO_PAYMENTS = [  # party, amount, currency, value day, what is wrong
    ("blue", "1.005", "EUR", "", "more decimals than EUR has"),
    ("blue", "1.5", "JPY", "", "more decimals than JPY has"),
    ("blue", "1", "EURO", "", "'EURO' is no currency"),
    ("blue", "1", "EUR", "31.12.2025", "no date"),
    ("blue", "nan", "EUR", "", "nan"),
    ("bleu", "1", "EUR", "", "has no party or account 'bleu'"),
]


def test_a_payment_that_cannot_be_is_refused(installed: Installation, config: Path):
    with books(installed) as conn:
        for party, amount, currency, day, fault in NO_PAYMENTS:
            with pytest.raises((BadArgument, UnknownName), match=fault):
                payments.record(conn, "", party, amount, currency, "x", day, "ops", NOW, prepaid=True)
        assert ledger.balances(conn, "t1") == []


def test_what_nobody_pays_is_written_off_once(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-25T12:00", 10 * EURO, "blue"))
    (invoice,) = [one for one in issued(installed, "2025-12-01") if one.party == "blue"]
    with books(installed) as conn:
        assert payments.write_off(conn, "", invoice.number, "ops", "insolvent", NOW) == 1000
        assert payments.write_off(conn, "", invoice.number, "ops", "insolvent", NOW) == 0
        assert ledger.balance(conn, Account("t1", "written_off", "EUR")) == 10 * EURO


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ('rates: [{percent: "20"}]', 'rates: [{percent: "20", until_day: 2025-07-01}, {percent: "21", from_day: 2025-12-01}]',
         "acme, agreement home: no invoice of 2025-11-01 to 2025-11-30: tax table 'at' has no rate on 2025-11-30 "
         "(its rows: ... to 2025-07-01, 2025-12-01 to ...): add the row that is missing"),
        ("legal: {legal_name: ACME AG, country: AT}", "legal: {legal_name: ACME AG}",
         "acme, agreement home: no invoice of 2025-11-01 to 2025-11-30: VAT needs the country of the party: set `country` in its `legal`"),
    ],
)  # fmt: skip
def test_what_cannot_be_invoiced_is_named_and_the_others_are(installed: Installation, charges, config: Path, before: str, after: str, finding: str):
    config.write_text(CONFIG.replace(before, after))
    publish(installed, config)
    charges.store(call(1, "2025-11-25T12:00", EURO), call(2, "2025-11-25T12:00", EURO, "blue"))
    done = made(installed, "2025-12-01")
    assert done.findings == [finding]
    assert shown(done.drafts) == ["blue 2025-11-01 100 0 100"]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("vat_number: DE136695976", "vat_number: DE136695977",
         "parties[1].legal.vat_number: 'DE136695977' cannot be a VAT number: its check digit is wrong"),
        ('percent: "20"', 'percent: "120"', "tax_tables[0].rates[0].percent: '120' must be 0 to 100"),
        ("from_day: 2025-11-21", "from_day: 31.11.2025", "agreements[0].invoicing.fees[0].from_day: '31.11.2025' is no date: write 2026-12-25"),
        ("tax_profile: vat", "tax_profile: none", "agreements[0].tax_profile: no tax profile 'none'"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_is_refused_with_its_place(installed: Installation, config: Path, before: str, after: str, fault: str):
    config.write_text(CONFIG.replace(before, after, 1))
    with pytest.raises(publishing.Wrong) as wrong:
        publish(installed, config)
    assert fault in wrong.value.faults


def test_an_agreement_that_changes_its_currency_has_an_invoice_of_each(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-05T12:00", EURO), call(2, "2025-11-25T12:00", 9 * EURO, currency="USD"))
    done = made(installed, "2025-12-01")
    assert [(one.currency, one.total) for one in done.drafts] == [("EUR", 1308), ("USD", 1080)]
    assert "acme, agreement home: calls until 2025-12-01 were priced in USD, and the agreement is in EUR now" in done.findings[0]


def test_an_issued_invoice_is_never_changed(installed: Installation, charges, config: Path):
    import sqlalchemy as sa

    charges.store(call(1, "2025-11-25T12:00", 10 * EURO, "blue"))
    (invoice,) = [one for one in issued(installed, "2025-12-01") if one.party == "blue"]
    for statement in ("update invoices set total = 1", "delete from invoices"):
        with pytest.raises(sa.exc.DBAPIError, match="an issued invoice is never changed"), books(installed) as conn:
            conn.exec_driver_sql(statement)
    with pytest.raises(Refused, match="is issued: credit it"), books(installed) as conn:
        invoicing.discard(conn, "", invoice.number, "ops", "wrong", NOW)


def test_a_discarded_draft_is_made_again_of_what_is_posted_then(installed: Installation, charges, config: Path):
    charges.store(call(1, "2025-11-25T12:00", EURO, "blue"), upto=50)
    (draft,) = [one for one in made(installed, "2025-12-01").drafts if one.party == "blue"]
    charges.store(call(60, "2025-11-26T12:00", EURO, "blue"), upto=70)
    with books(installed) as conn:
        invoicing.discard(conn, "", draft.id, "ops", "late calls", NOW)
    assert [one.total for one in made(installed, "2025-12-01", NOW + 200_000).drafts if one.party == "blue"] == [200]


def test_a_period_that_has_not_ended_is_refused(installed: Installation, config: Path, charges):
    with pytest.raises(BadArgument, match="2027-01-01 has not begun anywhere yet"):
        invoicing.run(installed, "", "2027-01-01", "ops", NOW)
    with pytest.raises(BadArgument, match="'soon' is no date"):
        invoicing.run(installed, "", "soon", "ops", NOW)
