"""Posting, run, numbering and mailing are killed at fifty of their steps. Afterwards the ledger is proven, numbers have no gap, nobody is billed or
mailed twice, commitments and swaps are on each invoice once, and what was paid beforehand pays once."""

from __future__ import annotations

import multiprocessing
import random
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from killed_billing import bill

from books import invoices, ledger, open_books, reading
from books import payments as payments_of
from books.ledger import Account
from services import invoice_proof, payments, posting, publishing
from services.installation import Installation, books

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["services.invoice_pdf", "services.e_invoice"])  # not the embedded engine: it does not survive a fork
CUSTOMERS, KILLS, STEPS = 40, 50, 7
SEED = 14
PREPAID = [f"customer-{n}" for n in range(0, CUSTOMERS, 4)]
SIDE = "{committed: 10m, per_minute: 0.2, excess_per_minute: 0.2, shortfall_per_minute: 0.1}"
DEALS = f"""agreements:
  - {{name: deal, role: sell, currency: EUR, plan: [{{deck: retail}}], invoicing: {{commitment: "5"}}}}
  - {{name: theirs, role: buy, currency: EUR, plan: [{{deck: retail}}]}}
  - {{name: swap, role: sell, currency: EUR, plan: [{{deck: retail}}], invoicing: {{swap: {{buys: theirs, they_send: {SIDE}, we_send: {SIDE}}}}}}}
carriers:
  - {{name: customer-1, agreement: theirs}}
"""
NOW = round(datetime(2026, 1, 2, tzinfo=UTC).timestamp() * 1000)


def lay(installation: Installation, charges, tmp_path: Path) -> None:
    """Calls of two months of each customer; the first has a commitment, the second a swap, and each fourth has paid 1.50 beforehand."""
    (tmp_path / "retail.csv").write_text("prefix,destination,price_per_min\n43,Austria,0.01\n")
    names = [f"customer-{n}" for n in range(CUSTOMERS)]
    parties = "\n".join(f"  - {{name: {name}, legal: {{email: {name}@example.com}}}}" for name in names)
    terms = {names[0]: "agreement: deal", names[1]: "agreement: swap"}
    accounts = "\n".join(f"  - {{name: {name}, {terms.get(name, 'sell_deck: retail')}}}" for name in names)
    (tmp_path / "config.yaml").write_text(
        f"tenant: t1\ndecks: {{retail: {{file: retail.csv, currency: EUR}}}}\nparties:\n{parties}\n{DEALS}accounts:\n{accounts}\n"
    )
    with books(installation) as conn:
        publishing.publish(conn, publishing.check(tmp_path / "config.yaml", conn), "ops", "test", NOW)
        for name in PREPAID:
            payments.record(conn, "t1", name, "1.50", "EUR", "beforehand", "", "ops", NOW, prepaid=True)
    rows = []
    for offset in range(2 * CUSTOMERS):
        at_ms = round(datetime(2025, 11 + offset % 2, 15, tzinfo=UTC).timestamp() * 1000)
        party = names[offset // 2]
        rows.append({"offset": offset, "start_ms": at_ms, "party": party, "account": party, "nanos": 10**9 + offset, "destination": "Austria"})
        rows[-1] |= {"agreement": terms[party].removeprefix("agreement: ")} if party in terms else {}
    charges.store(*rows, upto=2 * CUSTOMERS + 10)


@pytest.mark.slow
def test_fifty_kills_bill_and_mail_nobody_twice(installed: Installation, charges, tmp_path: Path):
    lay(installed, charges, tmp_path)
    charges.client.close()
    rng, now_ms, killed = random.Random(SEED), NOW, 0
    for _ in range(KILLS):
        now_ms += 200_000  # the lease of a run that was killed has run out
        kill_at = rng.randint(1, STEPS) + (killed % 5) * STEPS
        child = FORKS.Process(target=bill, args=(str(installed.root), "2026-01-01", now_ms, kill_at), daemon=True)
        child.start()
        child.join(120)
        assert child.exitcode in (0, -signal.SIGKILL)
        killed += child.exitcode == -signal.SIGKILL
    last = FORKS.Process(target=bill, args=(str(installed.root), "2026-01-01", now_ms + 200_000, 0), daemon=True)
    last.start()
    last.join(120)
    assert last.exitcode == 0 and killed >= KILLS - 10
    engine = open_books(installed.books_dsn)
    with reading(engine) as conn:
        issued = invoices.every(conn, "t1")
        assert {one.status for one in issued} == {"issued"} and len(issued) == 2 * CUSTOMERS
        assert len({(one.party, one.from_day) for one in issued}) == 2 * CUSTOMERS, "one invoice of each month"
        assert sorted(int(one.number.rpartition("-")[2]) for one in issued) == list(range(1, 2 * CUSTOMERS + 1))
        assert invoices.gaps(conn) == [] and ledger.faults(conn) == []
        totals = {party: [one.total for one in issued if one.party == party] for party in ("customer-0", "customer-1", "customer-2")}
        assert totals == {"customer-0": [500, 500], "customer-1": [110, 110], "customer-2": [100, 100]}  # 1 x 0.2 + 9 x 0.1 = 1.10
        assert ledger.sums(conn, "true_up", ("unpaid",)) == {Account("t1", "unpaid", "EUR", "customer-1", "theirs"): -2 * 10**9}  # 10 x 0.1 a month
        paid = {name: [one.paid for one in issued if one.party == name] for name in PREPAID}
        assert paid == {name: [150, 0] if name == "customer-0" else [100, 50] for name in PREPAID}
        assert len(payments_of.sources(conn, "t1", PREPAID)) == len(PREPAID)
    engine.dispose()
    assert posting.prove(installed).faults == [] and posting.prove(installed).unposted == 0
    assert invoice_proof.prove(installed).faults == []
    mails = (installed.root / "mails").read_text().splitlines()
    assert len(mails) == len(set(mails)) and set(mails) <= {f"Invoice {one.number}" for one in issued}, "nobody is mailed twice"
