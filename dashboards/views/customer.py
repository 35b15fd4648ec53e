"""The pages of the customers' portal: usage as it happens, balance and payments due, own calls, invoices; all of one customer's accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from books import Unavailable, reading, writing
from books.invoices import Invoice
from core.money import to_decimal
from core.text import amount, span
from dashboards.charts import draw, subject_chart
from dashboards.figures import day, minor
from dashboards.layout import again, heading, message, quiet, title
from dashboards.polled import Latest
from dashboards.sources import Sources
from dashboards.subject_questions import past_of
from dashboards.tags import Safe, tag
from dashboards.theme import colours
from dashboards.tiles import table, tile
from services import invoice_files, people, portal, subjects
from services.errors import ServiceError
from services.portal import Balance, Due
from services.subjects import DAY_MS, Traffic
from warehouse import WarehouseError

EVERY_S = 5.0
SHOWN = 100
SINCE = {"24 hours": DAY_MS, "7 days": 7 * DAY_MS, "31 days": 31 * DAY_MS, "92 days": 92 * DAY_MS}
SAVED, PRINTED = "rf_my_calls_file", "rf_my_invoice_file"
"""Session state: files that were prepared."""


@dataclass(frozen=True)
class Customer:
    """Who looks, and at which accounts: a page asks for nothing else."""

    sources: Sources
    name: str
    tenant: str
    party: str
    accounts: tuple[str, ...]

    @property
    def now_ms(self) -> int:
        return self.sources.clock()


def ready(latest: Latest[Any], what: str) -> bool:
    """Whether there is an answer to draw. A customer is not told which of our servers is down."""
    if latest.value is None:
        quiet(f"{what}: being read." if not latest.error else f"{what} cannot be read now. Please try again in a minute.")
        again()
    return latest.value is not None


def account_of(mine: Customer) -> str:
    """The account that is shown; "" = there is none, and the page says so."""
    if not mine.accounts:
        quiet("You have no account any more. Ask us.")
        return ""
    if len(mine.accounts) == 1:
        return mine.accounts[0]
    return str(st.selectbox("Account", mine.accounts, key="account", bind="query-params"))


# --- usage ---


def usage(mine: Customer) -> None:
    title("Usage", "by when calls ended, UTC; amounts without tax")
    balance(mine)
    if account := account_of(mine):
        traffic(mine, account)


def balance(mine: Customer) -> None:
    """What is owed, and what is due when."""

    def read(_: object) -> tuple[list[Balance], list[Due]]:
        with reading(mine.sources.engine()) as conn:
            return portal.balances(conn, mine.tenant, mine.party), portal.due(conn, mine.tenant, mine.party)

    latest = mine.sources.asked(("portal balance", mine.tenant, mine.party), read, fresh_ms=5_000)
    if not ready(latest, "Your balance") or latest.value is None:
        return
    balances, open_invoices = latest.value
    tiles = []
    for one in balances:
        limit = f"; your limit is {amount(to_decimal(one.limit))} {one.currency}" if one.limit is not None else ""
        tiles.append(tile("Invoiced and not paid", amount(to_decimal(one.receivable)), one.currency, "with tax"))
        tiles.append(tile("Since the last invoice", amount(to_decimal(one.unbilled)), one.currency, f"without tax{limit}"))
    if tiles:
        st.html(tag("div", *tiles, cls="rf-tiles"))
    else:
        quiet("Nothing was posted to your account yet.")
    heading("Payments due")
    if not open_invoices:
        quiet("Nothing is due.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (one.invoice.number, when(one.invoice.due_ms, mine.now_ms),
         minor(one.invoice.total, one.invoice.currency), minor(one.open, one.invoice.currency))
        for one in open_invoices[:SHOWN]
    ]
    st.html(table(("invoice", "due", "total with tax", "still open"), rows, numbers_from=2))


def when(due_ms: int, now_ms: int) -> str | Safe:
    return f"{day(due_ms)}" if due_ms >= now_ms else tag("span", f"{day(due_ms)}, {span(now_ms - due_ms)} late", cls="loss")


@st.fragment(run_every=EVERY_S)
def traffic(mine: Customer, account: str) -> None:
    """The last 24 hours, as they happen."""
    key = ("portal day", mine.tenant, mine.party, account)
    of = {"account": account}
    latest = mine.sources.asked(key, lambda ask: subjects.day(ask, of, mine.tenant, mine.now_ms), fresh_ms=5_000)
    before_ms = subjects.day_of(mine.now_ms)
    past = past_of(mine.sources, of, mine.tenant, before_ms)
    heading("The last 24 hours", "per hour; grey: the same hours of the week before, on average")
    if not ready(latest, "Your usage") or latest.value is None:
        return
    found: Traffic = subjects.beside_hours(latest.value, past.value or {})
    calls, answered = (sum(getattr(step, name) for step in found.now) for name in ("calls", "answered"))
    talk_ms = sum(step.talk_ms for step in found.now)
    tiles = [tile("Calls", f"{calls:,}", "", f"{answered:,} answered"), tile("Talk", span(talk_ms) if talk_ms else "0")]
    for currency in found.currencies:
        sold = sum((step.sold(currency) for step in found.now), to_decimal(0))
        if sold:
            tiles.append(tile("Cost", amount(sold), currency, "without tax"))
    st.html(tag("div", *tiles, cls="rf-tiles"))
    # What we buy in is nothing for the customer.
    currency = next((one for one in found.currencies if any(step.sold(one) for step in found.now)), "")
    draw(subject_chart(found, currency, colours(st.context.theme.type)), "rf_my_day", f"{currency or 'Calls'} per hour of the last 24 hours")


# --- calls ---


def calls(mine: Customer) -> None:
    title("Calls", "of your account, the newest first; times are UTC, prices without tax")
    account = account_of(mine)
    if not account:
        return
    number_box, since_box = st.columns([3, 1])
    with number_box:
        typed = st.text_input("From or to", key="number", bind="query-params", max_chars=40, placeholder="every number")
    with since_box:
        since = str(st.selectbox("Of the last", list(SINCE), key="since", bind="query-params"))
    number = ""
    if typed.strip():
        try:
            with reading(mine.sources.engine()) as conn:
                number = subjects.parse(conn, "number", typed)
        except (ServiceError, Unavailable) as wrong:
            message(str(wrong))
            return
    from_ms = mine.now_ms - SINCE.get(since, DAY_MS)
    key = ("portal calls", mine.tenant, mine.party, account, number, since)
    latest = mine.sources.asked(key, lambda ask: portal.calls(ask, mine.tenant, account, number, from_ms, SHOWN), wait_s=3.0)
    if not ready(latest, "Your calls") or latest.value is None:
        return
    if not latest.value:
        quiet("No call fits.")
        return
    rows: list[tuple[str | Safe, ...]] = [_call(row) for row in latest.value]
    head = ("ended", "from", "to", "destination", "talk", "charged", "price")
    st.html(table(head, rows, numbers_from=4))
    if len(rows) == SHOWN:
        quiet(f"The newest {SHOWN}; the file has up to {portal.MOST_CALLS:,}.")
    export(mine, account, number, since, from_ms)


def _call(row: dict[str, Any]) -> tuple[str, ...]:
    price = f"{amount(row['sell'], 4)} {row['sell_currency']}" if row["sell"] is not None else "not priced yet"
    charged = f"{row['billable_s']:,} s" if row["billable_s"] is not None else "–"
    talk = span(row["duration_ms"]) if row["duration_ms"] else "–"
    ended = f"{row['end_at']:%Y-%m-%d %H:%M:%S}" if row["end_at"] else "–"
    return ended, f"+{row['a_number']}" if row["a_number"] else "withheld", f"+{row['b_number']}", row["destination"] or "", talk, charged, price


def export(mine: Customer, account: str, number: str, since: str, from_ms: int) -> None:
    """The calls as a file; taking it is written down."""
    of = (mine.tenant, account, number, since)
    if st.button("Prepare a file of these calls", key="rf_my_calls"):
        try:
            rows = portal.calls(mine.sources.ask, mine.tenant, account, number, from_ms, portal.MOST_CALLS)
            with writing(mine.sources.engine()) as conn:
                people.note_access(conn, mine.name, "exported calls", f"{mine.tenant} {account}", mine.now_ms)
        except (WarehouseError, Unavailable):
            message("The file cannot be made now. Please try again in a minute.")
            return
        st.session_state[SAVED] = of, portal.calls_csv(list(rows)), len(rows)
    saved = st.session_state.get(SAVED)
    if isinstance(saved, tuple) and saved[0] == of:
        st.download_button(f"Save {saved[2]:,} calls as CSV", saved[1], f"{account}-calls.csv", "text/csv", key="rf_my_calls_save")


# --- invoices ---


def invoices(mine: Customer) -> None:
    title("Invoices", "with their credit notes, the newest first")

    def read(_: object) -> list[Invoice]:
        with reading(mine.sources.engine()) as conn:
            return portal.documents(conn, mine.tenant, mine.party)

    latest = mine.sources.asked(("portal invoices", mine.tenant, mine.party), read, fresh_ms=10_000)
    if not ready(latest, "Your invoices") or latest.value is None:
        return
    if not latest.value:
        quiet("There is no invoice yet.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (one.number, one.kind.replace("_", " "), f"{one.from_day} to before {one.until_day}", day(one.issued_at_ms), day(one.due_ms),
         minor(one.net, one.currency), minor(one.total, one.currency))
        for one in latest.value[:SHOWN]
    ]  # fmt: skip
    head = ("number", "what", "period", "issued", "due", "net", "with tax")
    st.html(table(head, rows, numbers_from=5))
    chosen = st.selectbox("Get one as PDF", [one.number for one in latest.value], key="rf_my_invoice", index=None, placeholder="its number")
    if chosen and st.button("Prepare the PDF", key="rf_my_invoice_do"):
        printed(mine, str(chosen))
    saved = st.session_state.get(PRINTED)
    if isinstance(saved, tuple) and saved[0] == (mine.tenant, mine.party, chosen):
        st.download_button(f"Save {chosen} as PDF", saved[1], f"{chosen}.pdf", "application/pdf", key="rf_my_invoice_save")


def printed(mine: Customer, number: str) -> None:
    """The PDF of an invoice, looked up anew among the customer's own."""
    try:
        with reading(mine.sources.engine()) as conn:
            one = portal.document(conn, mine.tenant, mine.party, number)
        if one is None:
            message(f"You have no invoice {number}.")
            return
        with st.spinner("Setting it."):
            content = dict(invoice_files.files(mine.sources.installation, one))[".pdf"]
        with writing(mine.sources.engine()) as conn:
            people.note_access(conn, mine.name, "took an invoice", f"{mine.tenant} {number}", mine.now_ms)
    except (ServiceError, Unavailable):
        message("The PDF cannot be made now. Please ask us for it.")
        return
    st.session_state[PRINTED] = (mine.tenant, mine.party, number), content
