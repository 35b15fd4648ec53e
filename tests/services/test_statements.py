"""A party's account: its statement ends at the ledger's balance, ageing, netting, and commissions that are posted once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from books import ledger
from books.ledger import Account
from services import invoicing, payments, posting, publishing, statements
from services.installation import Installation, books

CONFIG = """
tenant: t1
decks: {retail: {file: retail.csv, currency: EUR}}
parties:
  - {name: north, kinds: [reseller], sell_deck: retail, commission: %s}
  - {name: acme, kinds: [customer, carrier], parent: north}
agreements:
  - {name: home, role: sell, currency: EUR, plan: [{deck: retail}], payment_days: 10}
accounts:
  - {name: acme-pbx, party: acme, agreement: home}
"""
EURO = 10**9


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def call(offset: int, nanos: int, **facts):
    row = {"offset": offset, "start_ms": ms("2025-11-25T12:00"), "party": "acme", "account": "acme-pbx", "agreement": "home", "nanos": nanos}
    return row | facts


def issued(installation: Installation, tmp_path: Path, commission: str) -> str:
    (tmp_path / "retail.csv").write_text("prefix,destination,price_per_min\n43,Austria,0.01\n")
    (tmp_path / "config.yaml").write_text(CONFIG % commission)
    now = ms("2025-12-02")
    with books(installation) as conn:
        publishing.publish(conn, publishing.check(tmp_path / "config.yaml", conn), "ops", "test", now)
    posting.post(installation, now)
    invoicing.run(installation, "", "2025-12-01", "ops", now)
    with books(installation) as conn:
        invoicing.approve(conn, "", [], "ops", "", now)
        return next(one.number for one in invoicing.issue(conn, "", [], "ops", now) if one.party == "acme")


@pytest.mark.parametrize(
    ("commission", "earned"),
    [
        ("{percent: '5'}", EURO // 2),  # of 10 euros
        ("{percent: '50', of: margin}", 3 * EURO),  # less 4 of the carrier
        ("{percent: '100', of: difference}", 2 * EURO),  # less 8 of the reseller's own price
    ],
)
def test_a_commission_is_posted_once(installed: Installation, charges, tmp_path: Path, commission: str, earned: int):
    charges.store(
        call(1, 10 * EURO), call(1, 8 * EURO, party="north", level=1, agreement=""),
        call(1, 4 * EURO, role="buy", party="alpha", agreement="", attempt_no=1),
    )  # fmt: skip
    number = issued(installed, tmp_path, commission)
    now = ms("2025-12-03")
    mine = [one for one in statements.commissions(installed, "", "ops", now) if one.number == number]
    assert [(one.reseller, one.nanos) for one in mine] == [("north", earned)]
    assert statements.commissions(installed, "", "ops", now) == []
    with books(installed) as conn:
        ((account, nanos),) = ledger.balances(conn, "t1", "north", ("commission",))
        assert (account.currency, -nanos) == ("EUR", earned) and ledger.faults(conn) == []


def test_a_commission_on_what_is_paid_waits_for_the_payment(installed: Installation, charges, tmp_path: Path):
    charges.store(call(1, 10 * EURO))
    issued(installed, tmp_path, "{percent: '5', on: paid}")
    now = ms("2025-12-03")
    assert statements.commissions(installed, "", "ops", now) == []
    with books(installed) as conn:
        payments.record(conn, "", "acme", "10", "EUR", "bank 1", "", "ops", now)
    assert [one.nanos for one in statements.commissions(installed, "", "ops", now)] == [EURO // 2]


def test_a_statement_ends_at_the_balance_and_ageing_counts_from_the_due_day(installed: Installation, charges, tmp_path: Path):
    charges.store(call(1, 10 * EURO), call(2, 3 * EURO, role="buy", agreement="", attempt_no=1))
    number = issued(installed, tmp_path, "{percent: '5'}")
    now = ms("2025-12-05")
    with books(installed) as conn:
        payments.record(conn, "", "acme", "4", "EUR", "bank 1", "", "ops", now)
        invoicing.issue(conn, "", [invoicing.credit(conn, "", number, "1", "ops", "ticket", now).id], "ops", now + 1)
        rows = statements.statement(conn, "", "acme", "EUR")
        shown = [(row.what, row.nanos // 10**7, row.balance // 10**7) for row in rows]
        assert shown == [("invoice", 1000, 1000), ("payment", -400, 600), ("credit note", -100, 500)]
        assert rows[-1].balance == ledger.balance(conn, Account("t1", "receivable", "EUR", "acme"))
        (aged,) = statements.ageing(conn, "", ms("2025-12-12"))
        assert aged.amounts == (500, 0, 0, 0, 0)
        assert [one.amounts for one in statements.ageing(conn, "", ms("2026-02-01"))] == [(0, 0, 500, 0, 0)]
        (net,) = statements.netting(conn, "", "acme")
        assert (net.owes_us, net.we_owe, net.net) == (5 * EURO, 3 * EURO, 2 * EURO)
        payments.write_off(conn, "", number, "ops", "insolvent", now + 2)
        assert statements.statement(conn, "", "acme", "EUR")[-1].balance == 0
