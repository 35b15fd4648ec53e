"""Credit: what prepaid, postpaid and hybrid parties have left, and what happens to whoever has used more."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assurance.credit import Exposure
from books import alerts, lists, open_books, orders
from core import schemas
from core.billing import Invoicing
from core.config import Agreement, faults_of
from services import credit, payments, posting, publishing, quotes
from services.in_force import from_books
from services.installation import Installation, books, books_as_they_are
from warehouse import ask, insert

EURO, MINUTE = 10**9, 60_000
NOW = round(datetime(2026, 1, 2, 9, tzinfo=UTC).timestamp() * 1000)
AGREEMENT = "{{name: {name}, role: sell, currency: EUR, plan: [{{deck: retail}}], {terms}}}"


def laid(installation: Installation, tmp_path: Path, **terms: str):
    """Publishes an account per keyword, with an agreement of these terms, and returns the compiled terms."""
    (tmp_path / "retail.csv").write_text("prefix,destination,price_per_min,first_s,next_s\n43,Austria,0.50,1,1\n")
    rows = "\n".join(f"  - {AGREEMENT.format(name=name, terms=text)}" for name, text in terms.items())
    accounts = "\n".join(f"  - {{name: {name}, agreement: {name}}}" for name in terms)
    file = tmp_path / "config.yaml"
    file.write_text(f"tenant: t1\ndecks: {{retail: {{file: retail.csv, currency: EUR}}}}\nagreements:\n{rows}\naccounts:\n{accounts}\n")
    with books(installation) as conn:
        publishing.publish(conn, publishing.check(file, conn), "ops", "test", NOW)


def sold(offset: int, party: str, nanos: int, **more: object):
    at_ms = NOW - 40 * 86_400_000
    return {"offset": offset, "start_ms": at_ms, "party": party, "account": party, "agreement": party, "nanos": nanos} | more


def in_progress(charges, account: str, minutes: float, offset: int) -> None:
    """A call to Austria that was answered so long ago."""
    row = {"partition": 1, "offset": offset, "learned_ms": NOW, "tenant": "t1", "account": account, "event": "answer", "disposition": "event"}
    row |= {"b_number": "43664123456", "answer_ms": NOW - round(minutes * MINUTE), "at_ms": NOW - round(minutes * MINUTE), "call_key": f"c{offset}"}
    blank = {name: "" if kind == pl.String else None for name, kind in schemas.JUDGED.items()}
    insert(charges.client, "records", pl.DataFrame([blank | row], schema=schemas.JUDGED).to_arrow())


def exposures(installation: Installation, client) -> dict[str, Exposure]:
    engine = open_books(installation.books_dsn)
    with books_as_they_are(installation) as conn:
        found = {one.party: one.exposure for one in credit.credits(conn, partial(ask, client), from_books(engine)(2), NOW)}
    engine.dispose()
    return found


def checked(installation: Installation, client, now_ms: int = NOW) -> int:
    engine = open_books(installation.books_dsn)
    found = credit.checker(engine, from_books(engine))(partial(ask, client), now_ms)
    engine.dispose()
    return found


def test_what_is_left_is_the_limit_and_what_was_paid_less_all_that_was_called(installed: Installation, charges, tmp_path: Path):
    hybrid = 'credit_limit: "5", invoicing: {paid: hybrid}'
    laid(installed, tmp_path, pre="invoicing: {paid: prepaid}", post='credit_limit: "20"', both=hybrid, free="")
    charges.store(*(sold(n, party, 10 * EURO) for n, party in enumerate(("pre", "post", "both", "free"))), upto=10)
    posting.post(installed, NOW)
    charges.store(sold(12, "pre", 3 * EURO), upto=20)  # stored, not posted
    in_progress(charges, "pre", 4, 0)
    in_progress(charges, "post", 2, 1)
    with books(installed) as conn:
        for party in ("pre", "both"):
            payments.record(conn, "t1", party, "12", "EUR", "top-up", "2026-01-01", "ops", NOW, prepaid=True)
    found = exposures(installed, charges.client)
    table = {
        # party: receivable, unbilled, unposted, in flight -> left
        "pre": (-12, 10, 3, 2, -3),
        "post": (0, 10, 0, 1, 9),
        "both": (-12, 10, 0, 0, 7),
        "free": (0, 10, 0, 0, None),
    }
    assert {
        party: tuple(
            nanos if nanos is None else nanos // EURO for nanos in (one.receivable, one.unbilled, one.unposted, one.in_flight, one.left)
        )
        for party, one in found.items()
    } == table
    with books(installed) as conn:  # a payment is credit at once
        payments.record(conn, "t1", "pre", "3", "EUR", "top-up 2", "2026-01-02", "ops", NOW, prepaid=True)
    assert exposures(installed, charges.client)["pre"].left == 0


def test_whoever_has_used_more_is_a_finding_and_a_block_where_its_agreement_says_so(installed: Installation, charges, tmp_path: Path):
    prepaid = "invoicing: {paid: prepaid}"
    laid(installed, tmp_path, told=prepaid, stopped=f"over_credit: block, {prepaid}", kept=f"over_credit: block, {prepaid}")
    with books(installed) as conn:
        lists.add(conn, "protected", "account", "kept", "a hospital", "ops", NOW, "t1")
    charges.store(*(sold(n, party, 10 * EURO) for n, party in enumerate(("told", "stopped", "kept"))), upto=10)
    posting.post(installed, NOW)
    assert checked(installed, charges.client) == 3
    assert checked(installed, charges.client) == 3, "again is harmless"
    with books_as_they_are(installed) as conn:
        found = {one.subject: one for one in alerts.last(conn)}
        blocks = {one.order.key.account: (one.status, one.order.reason) for one in orders.select(conn)}
        assert len(orders.select(conn)) == 2
    assert found["told"].key is None and found["told"].exposure_nanos == 10 * EURO
    assert found["told"].reason == (
        "told has used up its credit: it owes 10 EUR and may owe 0, 10 too much (10 not invoiced). Nothing is ordered (`over_credit: alert`)."
    )
    assert blocks["stopped"] == ("shadow", found["stopped"].reason.partition(" Ordered")[0])
    assert blocks["kept"][0] == "refused"
    with books(installed) as conn:
        payments.record(conn, "t1", "stopped", "10", "EUR", "top-up", "2026-01-02", "ops", NOW, prepaid=True)
    assert checked(installed, charges.client, NOW + credit.REISSUE_MS) == 2
    with books_as_they_are(installed) as conn:
        ends = [one.order.expires_at_ms for one in orders.select(conn) if one.order.key.account == "stopped"]
    assert ends == [NOW + credit.TTL_MS], "whoever has paid is not blocked again"


RESELLERS = """
tenant: t1
decks: {retail: {file: retail.csv, currency: EUR}, wholesale: {file: wholesale.csv, currency: EUR}}
parties:
  - {name: north, kinds: [reseller], parent: top, agreement: wholesale}
  - {name: top, kinds: [reseller], agreement: top}
  - {name: shop, parent: north}
  - {name: kiosk, parent: north}
agreements:
  - {name: wholesale, role: sell, currency: EUR, plan: [{deck: wholesale}], over_credit: block, invoicing: {paid: prepaid}}
  - {name: top, role: sell, currency: EUR, plan: [{deck: wholesale}], credit_limit: "99"}
accounts:
  - {name: shop, party: shop, sell_deck: retail}
  - {name: kiosk, party: kiosk, sell_deck: retail}
  - {name: other, sell_deck: retail}
"""


def test_a_reseller_over_its_credit_is_one_alert_and_stops_the_accounts_under_it(installed: Installation, charges, tmp_path: Path, monkeypatch):
    for name, price in (("retail", "0.50"), ("wholesale", "0.20")):
        (tmp_path / f"{name}.csv").write_text(f"prefix,destination,price_per_min,first_s,next_s\n43,Austria,{price},1,1\n")
    (tmp_path / "config.yaml").write_text(RESELLERS)
    with books(installed) as conn:
        publishing.publish(conn, publishing.check(tmp_path / "config.yaml", conn), "ops", "test", NOW)
        payments.record(conn, "t1", "north", "3", "EUR", "top-up", "2026-01-01", "ops", NOW, prepaid=True)
    charges.store(sold(0, "north", 2 * EURO, account="shop", level=1, agreement="wholesale"), upto=10)
    posting.post(installed, NOW)
    for offset, account in enumerate(("shop", "kiosk", "other", "other")):
        in_progress(charges, account, 5, offset)
    priced: list[str] = []
    ask_price = quotes.ask

    def counted(terms, tenant, one):
        priced.append(one.account)
        return ask_price(terms, tenant, one)

    monkeypatch.setattr(quotes, "ask", counted)
    assert checked(installed, charges.client) == 1
    assert sorted(priced) == ["kiosk", "shop"], "calls that nobody with a limit owes for are not priced"
    found = exposures(installed, charges.client)
    north = found["north"]
    assert [nanos // EURO for nanos in (north.receivable, north.unbilled, north.in_flight)] == [-3, 2, 2]  # 2 calls of 5 minutes at 0.20
    assert (found["top"].in_flight, found["top"].limit, found["shop"].limit) == (2 * EURO, 99 * EURO, None)
    with books_as_they_are(installed) as conn:
        (alert,) = alerts.last(conn)
        assert (alert.subject_kind, alert.subject, alert.exposure_nanos) == ("party", "north", EURO)
        assert alert.reason.endswith("refuse new calls of the 2 accounts that it owes for.")
        assert sorted(one.order.key.account for one in orders.select(conn)) == ["kiosk", "shop"]


@pytest.mark.parametrize(
    ("paid", "limit", "over_credit", "field"),
    [
        ("prepaid", 5, "alert", "credit_limit"), ("hybrid", None, "alert", "credit_limit"), ("postpaid", None, "block", "over_credit"),
        ("hybrid", 5, "block", None), ("prepaid", None, "block", None), ("postpaid", 5, "block", None), ("postpaid", None, "alert", None),
    ],
)  # fmt: skip
def test_terms_of_credit_that_contradict_themselves_are_refused(paid: Any, limit: int | None, over_credit: Any, field: str | None):
    row = Agreement(tenant="t1", name="a", role="sell", credit_limit_nanos=limit, over_credit=over_credit, invoicing=Invoicing(paid=paid))
    found = {name for name, _ in faults_of("agreements", row, lambda kind, tenant, name: None)}
    assert found & {"credit_limit", "over_credit"} == ({field} if field else set())
