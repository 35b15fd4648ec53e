"""Invoices: drafts of all periods that have ended, and what a person does with them.

Order of a run: 1. the packages of the cycles (`services.invoice_packages`); 2. the run, with the posting batch that it reads (a run that is resumed
reads the same); 3. drafts, some hundreds in a transaction, each once by its id; 4. the run is done. A crash within 1: the next start goes on with the
packages; after 2 or within 3: whoever starts the run again makes what is missing. Order of issuing: number, invoice and its transfers, in one
transaction: a crash leaves an approved invoice, and no number is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec

from assurance import invoice as assurance_invoice
from assurance.cycles import midnight_ms
from assurance.invoice import BeyondInvoice, Document
from assurance.rounding import to_minor
from assurance.rounding import to_nanos as minor_to_nanos
from books import Connection, Engine, audit, invoices, leases, ledger, postings, reading, writing
from books.invoices import Invoice
from books.ledger import Account
from core.ids import derived_id
from core.money import to_nanos, to_text
from services import invoice_packages
from services import reading as warehouse_reading
from services.errors import BadArgument, UnknownName
from services.installation import Installation, opened_books, tenant_of
from services.invoice_drafts import Progress, Refused, drafts
from services.payments import prepay, settle_credit

A_TRANSACTION = 200
"""Drafts of one transaction: people and the dispatcher write in between."""
LEASE_MS = 120_000
DAY_MS = 86_400_000


def run(
    installation: Installation, tenant: str, until_day: str, who: str, now_ms: int, report: Callable[[int, int], None] = lambda made, due: None,
    after_commit: Callable[[], None] = lambda: None,
) -> Progress:  # fmt: skip
    """Makes the drafts of all periods that have ended by `until_day` (ISO, local to each agreement), of what is posted now. A run that was begun
    is gone on with, one that is done is shown. `report(made, due)` is called after each transaction."""
    with warehouse_reading.warehouse(installation) as client, opened_books(installation) as engine:
        with reading(engine) as conn:
            tenant = tenant_of(conn, tenant)
            until = _day(until_day)
            if midnight_ms(until, ZoneInfo("UTC")) - 14 * 3_600_000 > now_ms:
                raise BadArgument(f"{until_day} has not begun anywhere yet: an invoice is made of a period that has ended")
            begins = not invoices.has_begun(conn, tenant, until_day)
        applied = _packages(installation, engine, tenant, until, who, now_ms) if begins else []
        with writing(engine) as conn:
            begun = invoices.begin(conn, tenant, until_day, postings.last(conn).number, who, now_ms)
            lease = leases.acquire(conn, f"invoices {begun.id}", derived_id("holder", now_ms, id(client)), LEASE_MS, now_ms)
        if begun.state == "done":
            with reading(engine) as conn:
                return Progress(begun, invoices.every(conn, tenant, run=begun.id), msgspec.json.decode(begun.findings))
        if lease is None:
            raise Refused(f"The run of {until_day} is going on elsewhere: look at it with `ringfence invoices runs`, or wait two minutes.")
        with reading(engine) as conn:
            before = invoices.every(conn, tenant, run=begun.id)  # of whoever began it
            progress = drafts(conn, client, tenant, until, begun.batch, begun.id, who, now_ms)
            progress.packages = applied
        due, made = len(before) + len(progress.drafts), len(before)
        for start in range(0, max(len(progress.drafts), 1), A_TRANSACTION):
            some = progress.drafts[start : start + A_TRANSACTION]
            made += len(some)
            with writing(engine) as conn:
                invoices.add(conn, some)
                found = msgspec.json.encode(progress.findings).decode()
                invoices.progressed(conn, begun.id, due=due, made=made, findings=found, state="done" if made == due else "running")
            after_commit()
            report(made, due)
        with writing(engine) as conn:
            leases.release(conn, lease)
            return Progress(invoices.run_of(conn, begun.id), before + progress.drafts, progress.findings, applied)


def _packages(installation: Installation, engine: Engine, tenant: str, until: date, who: str, now_ms: int) -> list[str]:
    """Applies the packages, by one run at a time, and returns what that changed in words."""
    name, holder, started_s = f"packages {tenant}", derived_id("holder", now_ms, id(engine)), time.monotonic()

    def held() -> leases.Lease:
        with writing(engine) as conn:
            lease = leases.acquire(conn, name, holder, LEASE_MS, now_ms + round(1000 * (time.monotonic() - started_s)))
        if lease is None:
            raise Refused(f"The packages of {tenant} are being applied elsewhere: try again in two minutes.")
        return lease

    def renew(*_: object) -> None:
        held()

    lease = held()
    applied = invoice_packages.apply(installation, tenant, until, who, now_ms, renew, renew)
    with writing(engine) as conn:
        leases.release(conn, lease)
    return [_words(one) for one in applied]


def _words(one: invoice_packages.Applied) -> str:
    change = ", ".join(f"{to_text(nanos)} {currency}" for currency, nanos in one.change) or "as counted before"
    how = f"rating run {one.run}" if one.run else "a rating run will apply it"
    return f"package of {one.agreement}, {one.period.first} to {one.period.last}: {change} ({how})"


def preview(installation: Installation, tenant: str, until_day: str, now_ms: int) -> Progress:
    """What a run would make, of what is posted now; nothing is stored. What packages would change first is in `packages`, and not in the drafts."""
    with warehouse_reading.warehouse(installation) as client, opened_books(installation) as engine, reading(engine) as conn:
        tenant, until = tenant_of(conn, tenant), _day(until_day)
        found = drafts(conn, client, tenant, until, postings.last(conn).number, "", "", now_ms)
        begun = invoices.has_begun(conn, tenant, until_day)
    if not begun:
        found.packages = [_words(one) for one in invoice_packages.preview(installation, tenant, until)]
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadArgument(f"{text!r} is no date: write 2026-12-01") from None


def approve(conn: Connection, tenant: str, names: Iterable[str], who: str, why: str, now_ms: int) -> int:
    """Approves drafts by id; no names = all drafts of the tenant."""
    tenant = tenant_of(conn, tenant)
    wanted = [_found(conn, tenant, name).id for name in names] or [one.id for one in invoices.every(conn, tenant, status=("draft",))]
    return invoices.approve(conn, wanted, who, why, now_ms)


def issue(conn: Connection, tenant: str, names: Iterable[str], who: str, now_ms: int, most: int = A_TRANSACTION) -> list[Invoice]:
    """Issues approved invoices, at most so many of them; no names = all that are approved. Those that are issued already stay as they are. Call it
    until it returns [] (each call a transaction)."""
    tenant = tenant_of(conn, tenant)
    wanted = [_found(conn, tenant, name) for name in names] or invoices.every(conn, tenant, status=("approved",), most=most)
    wanted = list({one.id: one for one in wanted if one.status != "issued"}.values())[:most]
    for one in wanted:  # before a number is taken
        if one.status != "approved":
            raise Refused(f"{one.party}'s invoice until {one.until_day} is {one.status}: approve it first.")
    year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    documents = {one.id: one.read() for one in wanted}
    done: list[Invoice] = []
    for issuer in dict.fromkeys(one.issuer for one in wanted):
        mine = [one for one in wanted if one.issuer == issuer]
        prefix = documents[mine[0].id].issuer.number_prefix
        for one, number in zip(mine, invoices.next_numbers(conn, tenant, issuer, prefix, year, len(mine)), strict=True):
            due_ms = now_ms + documents[one.id].payment_days * DAY_MS
            done.append(one._replace(status="issued", number=number, due_ms=due_ms, issued_at_ms=now_ms))
    if not done:
        return []
    paid = prepay(conn, tenant, done, now_ms)
    done = [one._replace(paid=paid.get(one.id, 0)) for one in done]
    invoices.issue(conn, done)
    ledger.post(conn, [transfer for one in done for transfer in _transfers(one, documents[one.id])], now_ms)
    for one in done:
        if one.kind == "credit_note":
            settle_credit(conn, one, now_ms)
    audit.note(conn, who, "issued invoices", f"{done[0].number} to {done[-1].number}", f"{len(done)} of tenant {tenant}", now_ms)
    return done


def _transfers(one: Invoice, document: Document) -> Iterator[ledger.Transfer]:
    receivable = Account(one.tenant, "receivable", one.currency, one.party)
    for what, nanos in assurance_invoice.postings(document).items():
        kind, _, name = what.partition(":")
        source = {
            "usage": Account(one.tenant, "unbilled", one.currency, one.party, one.agreement),
            "revenue": Account(one.tenant, "revenue", one.currency),
            "tax": Account(one.tenant, "tax", one.currency, name),
            "rounding": Account(one.tenant, "rounding", one.currency),
        }[kind]
        yield from ledger.transfer("invoice", one.id, source, receivable, nanos, what)
    if document.swap is not None:  # the other side of the deal: what we owe beside, or less than, what the calls cost
        unpaid = Account(one.tenant, "unpaid", one.currency, one.party, document.swap.buys)
        cost = Account(one.tenant, "cost", one.currency)
        yield from ledger.transfer("true_up", one.id, unpaid, cost, document.swap.bought.true_up_nanos, "swap")


def _found(conn: Connection, tenant: str, name: str) -> Invoice:
    found = invoices.find(conn, tenant, name)
    if found is None:
        raise UnknownName(f"There is no invoice {name!r} of tenant {tenant}: `ringfence invoices list` shows them.")
    return found


def find(conn: Connection, tenant: str, name: str) -> Invoice:
    """An invoice by its number or id. Raises `UnknownName`."""
    return _found(conn, tenant_of(conn, tenant), name)


def credit(conn: Connection, tenant: str, name: str, amount: str, who: str, why: str, now_ms: int) -> Invoice:
    """A credit note of an issued invoice: of all that is left of it, or of a net `amount` in its currency ("" = all). It is approved, and issued like
    an invoice. The same credit again is the same credit note."""
    tenant = tenant_of(conn, tenant)
    invoice = _found(conn, tenant, name)
    if invoice.kind != "invoice" or invoice.status != "issued":
        raise Refused(f"{name} is {'a credit note' if invoice.kind != 'invoice' else invoice.status}: an issued invoice can be credited.")
    document = invoice.read()
    earlier = invoices.every(conn, tenant, credits=invoice.id)
    try:
        nanos = to_nanos(amount) if amount else None
    except ValueError as wrong:
        raise BadArgument(str(wrong)) from None
    minor = None if nanos is None else to_minor(nanos, document.decimals)
    if minor is not None and minor_to_nanos(minor, document.decimals) != nanos:
        raise BadArgument(f"{amount} has more decimals than {document.currency} has ({document.decimals})")
    credited = -sum(one.net for one in earlier)
    identity = derived_id("invoice", "credit", invoice.id, minor if minor is not None else "all", credited, why)
    for one in earlier:
        if one.who == audit.clean(who) and one.read().why == why and (minor is None or one.net == -minor) and one.status != "issued":
            return one
    try:
        made = assurance_invoice.credit(document, invoice.number, minor, [one.read() for one in earlier], why)
    except BeyondInvoice as wrong:
        raise Refused(str(wrong)) from None
    note = invoice._replace(
        id=identity, place=0, kind="credit_note", status="approved", number="", run="", document=msgspec.json.encode(made).decode(), net=made.net,
        tax=made.tax, total=made.total, credits=invoice.id, who=audit.clean(who), at_ms=now_ms, due_ms=0, issued_at_ms=0,
    )  # fmt: skip
    invoices.add(conn, [note])
    audit.note(conn, who, "credited an invoice", invoice.number, why, now_ms)
    return note


def discard(conn: Connection, tenant: str, name: str, who: str, why: str, now_ms: int) -> None:
    """Removes a draft; the next run makes it again."""
    try:
        invoices.discard(conn, _found(conn, tenant_of(conn, tenant), name), who, why, now_ms)
    except invoices.Refused as refused:
        raise Refused(f"{refused}.") from None
