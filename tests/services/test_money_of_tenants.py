"""Nobody reaches another tenant's money: every query of the books and every service that takes a tenant is tried with the wrong one."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from books import bank_entries, invoices, ledger, payments, tenants
from books.bank_entries import BankEntry
from books.ledger import Account
from books.payments import Allocation, Payment
from core.config import Account as Row
from core.config import Agreement, Config, Party
from rating.contracts import compile_contracts
from services import bank_files, credit, invoicing, statements
from services import payments as desk
from services.errors import ServiceError
from services.installation import Installation, books

NOW = 1_767_344_400_000


def fill(conn, tenant: str) -> None:
    """An issued invoice, a draft, a payment and a waiting entry of a bank, all of `acme` of a tenant."""
    from test_bank_files import issued

    one = issued(f"{tenant}-1", "acme", 1000)._replace(tenant=tenant, id=f"invoice-{tenant}", run=f"run-{tenant}")
    invoices.add(conn, [one, one._replace(id=f"invoice-{tenant}-draft", number="", status="draft", place=2)])
    receivable, revenue = Account(tenant, "receivable", "EUR", "acme"), Account(tenant, "revenue", "EUR")
    ledger.post(conn, ledger.transfer("invoice", one.id, revenue, receivable, 10 * 10**9), NOW)
    payments.add(conn, Payment(f"payment-{tenant}", tenant, "acme", "EUR", "payment", 10**9, "bank", "", "hand", "ops", NOW))
    payments.allocate(conn, Allocation(f"allocation-{tenant}", tenant, one.id, f"payment-{tenant}", 100, NOW))
    bank_entries.add(conn, BankEntry(f"bank-{tenant}", tenant, "f", "AT", "EUR", "text", "name", "", "2025-12-01", 10**9, "unmatched", "", "", NOW))
    invoices.begin(conn, tenant, "2025-12-01", 0, "ops", NOW)


@pytest.fixture
def conn(tmp_path: Path, new_books, monkeypatch):
    import shutil
    import sys

    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    installation = Installation.embedded(tmp_path)
    shutil.copy(new_books, tmp_path / "books.db")
    with books(installation) as conn:
        for tenant in ("t1", "t2"):
            tenants.add(conn, tenant, 1)
        fill(conn, "t1")
        yield conn


QUERIES = [
    function
    for module in (invoices, payments, bank_entries, ledger)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and not name.startswith("_")
]
READS = [one for one in QUERIES if "tenant" in inspect.signature(one).parameters and one.__name__ not in ("invoice_id", "begin", "next_numbers")]
"""Every query that asks for a tenant; those left out write, or read nothing."""


@pytest.mark.parametrize("query", READS, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_a_query_of_another_tenant_finds_nothing(conn, query):
    others = {"name": "t1-1", "party": "acme", "parties": ["acme"], "until_day": "2025-12-01"}
    arguments = {name: others[name] for name in inspect.signature(query).parameters if name in others}
    assert query(conn, tenant="t1", **arguments), "the tenant's own is found"
    assert not query(conn, tenant="t2", **arguments)


@pytest.mark.parametrize(
    "act",
    [
        lambda conn: invoicing.find(conn, "t2", "t1-1"),
        lambda conn: invoicing.approve(conn, "t2", ["invoice-t1-draft"], "ops", "", NOW),
        lambda conn: invoicing.issue(conn, "t2", ["invoice-t1-draft"], "ops", NOW),
        lambda conn: invoicing.credit(conn, "t2", "t1-1", "", "ops", "", NOW),
        lambda conn: invoicing.discard(conn, "t2", "invoice-t1-draft", "ops", "", NOW),
        lambda conn: desk.record(conn, "t2", "acme", "1", "EUR", "x", "", "ops", NOW, numbers=["t1-1"], prepaid=True),
        lambda conn: desk.refund(conn, "t2", "acme", "1", "EUR", "x", "ops", NOW),
        lambda conn: desk.write_off(conn, "t2", "t1-1", "ops", "", NOW),
        lambda conn: bank_files.assign(conn, "t2", "bank-t1", "acme", "ops", NOW),
    ],
)
def test_nothing_of_another_tenant_can_be_changed(conn, act):
    with pytest.raises(ServiceError):
        act(conn)
    assert {one.status for one in invoices.every(conn, "t1")} == {"draft", "issued"}
    assert ledger.balance(conn, Account("t1", "receivable", "EUR", "acme")) == 10 * 10**9


def test_what_is_shown_is_the_tenants_own(conn):
    assert statements.statement(conn, "t1", "acme", "EUR") and not statements.statement(conn, "t2", "acme", "EUR")
    assert statements.ageing(conn, "t1", NOW) and not statements.ageing(conn, "t2", NOW)
    assert statements.netting(conn, "t1") and not statements.netting(conn, "t2")
    assert invoicing.approve(conn, "t2", [], "ops", "", NOW) == 0 and invoicing.issue(conn, "t2", [], "ops", NOW) == []
    both = ("t1", "t2")
    config = Config(
        parties=tuple(Party(tenant=tenant, name="acme") for tenant in both),
        accounts=tuple(Row(tenant=tenant, name="acme", party="acme", agreement="a") for tenant in both),
        agreements=tuple(Agreement(tenant=tenant, name="a", role="sell", party="acme", currency="EUR") for tenant in both),
    )
    owed = {one.tenant: one.exposure.total for one in credit.credits(conn, lambda _: [], compile_contracts(config, {}), NOW)}
    assert owed == {"t1": 10 * 10**9, "t2": 0}
