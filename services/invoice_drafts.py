"""Drafts: the next invoices of everybody, from what is posted and from the config in force. Nothing is stored here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from assurance import invoice as assurance_invoice
from assurance.cycles import Period, midnight_ms, period_of
from assurance.invoice import Document, Terms, Usage
from assurance.tax import NoTax
from books import Connection, invoices, ledger, postings
from books.invoices import Invoice, Run
from core.billing import LegalEntity, TaxProfile, TaxTable
from core.config import Agreement, Party
from core.posted import Posted
from services.errors import ServiceError
from services.in_force import View
from warehouse import Warehouse, ask, owed
from warehouse.owed import State


class Refused(ServiceError):
    """It cannot be done as things stand; the text says what to do. Nothing was changed."""


@dataclass(frozen=True)
class Chain:
    """Whose invoices follow one another."""

    party: str
    agreement: str
    currency: str


@dataclass
class Progress:
    """What a run has come to. `findings`: what could not be invoiced, and why."""

    run: Run | None = None
    drafts: list[Invoice] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)  # what they change, or have changed, before the drafts


@dataclass(frozen=True)
class _Next:
    """The invoice that a chain has next, as far as it is known before its calls are."""

    chain: Chain
    place: int
    before_batch: int
    before_until_ms: int
    period: Period


def drafts(conn: Connection, client: Warehouse, tenant: str, until: date, batch: int, run: str, who: str, now_ms: int) -> Progress:
    """The drafts of every period that has ended by a day. One query of the warehouse answers for all chains that are in the same state."""
    terms, progress = TermsInForce(conn, tenant), Progress()
    posted = _posted(conn, batch)
    waiting = next_invoices(conn, client, terms, tenant, batch)
    while True:
        due: dict[tuple[int, int, int, int, str], list[_Next]] = {}
        for chain, coming in waiting.items():
            if coming is None or coming.period.until > until:
                continue
            by: str = terms.agreement(chain).invoicing.period_instant
            key = coming.before_batch, coming.before_until_ms, coming.period.from_ms, coming.period.until_ms, by
            due.setdefault(key, []).append(coming)
        if not due:
            return progress
        for (before_batch, before_until_ms, from_ms, until_ms, instant), some in sorted(due.items()):
            before = State(_posted(conn, before_batch), before_until_ms)
            usage = _usage(client, tenant, before, State(posted, until_ms), instant, from_ms, some)
            for one in some:
                swap = terms.agreement(one.chain).invoicing.swap
                bought = _bought(client, tenant, one, swap.buys, before, State(posted, until_ms), instant) if swap else (0, 0)
                document = _document(terms, one, usage.get(one.chain, []), bought, progress.findings)
                following = period_of(terms.agreement(one.chain), one.period.until_ms)
                if document is None:
                    waiting[one.chain] = None
                elif not document.lines:
                    waiting[one.chain] = _Next(one.chain, one.place, one.before_batch, one.before_until_ms, following)
                else:
                    progress.drafts.append(_draft(terms, tenant, one, document, batch, instant, run, who, now_ms))
                    waiting[one.chain] = _Next(one.chain, one.place + 1, batch, one.period.until_ms, following)


def next_invoices(conn: Connection, client: Warehouse, terms: TermsInForce, tenant: str, batch: int) -> dict[Chain, _Next | None]:
    """The next invoice of everybody, whether its period has ended or not; None = there is nothing to invoice yet."""
    last = invoices.last_of_chains(conn, tenant)
    earliest = _earliest(client, tenant, _posted(conn, batch))
    return {
        chain: _first(terms, chain, last, earliest)
        for chain in _chains(conn, terms, tenant)
        if chain_key(chain) not in last or last[chain_key(chain)].batch <= batch  # else its last invoice has read more than this run does
    }


def _posted(conn: Connection, batch: int) -> Posted:
    found = postings.find(conn, batch)
    if found is None:
        raise Refused(f"The books have no posting batch {batch}.")
    return found.posted


def _first(terms: TermsInForce, chain: Chain, last: Mapping[tuple[str, str, str], Invoice], earliest: Mapping[Chain, int]) -> _Next | None:
    """A chain's next invoice: of the period after its last one, or of its first calls or fees."""
    agreement = terms.agreement(chain)
    before = last.get(chain_key(chain))
    if before is not None:
        return _Next(chain, before.place + 1, before.batch, before.until_ms, period_of(agreement, before.until_ms))
    zone = ZoneInfo(agreement.time_zone)
    starts = [earliest[chain]] if chain in earliest else []
    starts += [midnight_ms(date.fromisoformat(fee.from_day), zone) for fee in agreement.invoicing.fees if fee.from_day]
    if not starts and agreement.invoicing.first_day:
        starts = [midnight_ms(date.fromisoformat(agreement.invoicing.first_day), zone)]
    return _Next(chain, 1, 0, 0, period_of(agreement, min(starts))) if starts else None


def chain_key(chain: Chain) -> tuple[str, str, str]:
    return chain.party, chain.agreement, chain.currency


def _chains(conn: Connection, terms: TermsInForce, tenant: str) -> list[Chain]:
    """Whoever was sold calls, or has an agreement with fees."""
    found = {Chain(one.account.party, one.account.agreement, one.account.currency) for one in ledger.balances(conn, tenant, kinds=("unbilled",))}
    for name, agreement in terms.agreements.items():
        if agreement.role == "sell" and (agreement.invoicing.fees or agreement.invoicing.commitment_nanos or agreement.invoicing.swap):
            found |= {Chain(party, name, agreement.currency) for party in terms.parties_of(name)}
    return sorted(found, key=lambda one: (one.party, one.agreement, one.currency))


def _earliest(client: Warehouse, tenant: str, posted: Posted) -> dict[Chain, int]:
    """When the first call of each chain was."""
    columns = "party, agreement, currency, min(instant_ms) AS first_ms"
    sold = "tenant = {tenant:String} AND role = 'sell'"
    query = owed.step(owed.EMPTY, State(posted), columns, "party, agreement, currency", sold, {"tenant": tenant})
    return {Chain(row["party"], row["agreement"], row["currency"]): int(row["first_ms"]) for row in ask(client, query)}


def _usage(
    client: Warehouse, tenant: str, before: State, after: State, instant: str, from_ms: int, some: Iterable[_Next]
) -> dict[Chain, list[Usage]]:
    """The calls of a step, as sums, by chain."""
    wanted = {one.chain for one in some}
    found: dict[Chain, list[Usage]] = {}
    for row in ask(client, owed.lines(before, after, tenant, "sell", {one.agreement for one in wanted}, instant, from_ms)):
        chain = Chain(row["party"], row["agreement"], row["currency"])
        one = Usage(
            row["destination"], int(row["per_min_nanos"]), bool(row["late"]), int(row["calls"]), int(row["charged_s"]), int(row["nanos"]),
            int(row["fees_nanos"]), int(row["charges"]), row["tax"] == "inclusive",
        )  # fmt: skip
        if chain in wanted and (one.nanos or one.calls or one.charged_s):
            found.setdefault(chain, []).append(one)
    return found


def _bought(client: Warehouse, tenant: str, one: _Next, agreement: str, before: State, after: State, instant: str) -> tuple[int, int]:
    """Charged seconds and nanos of what is bought from the party by an agreement in the same period."""
    columns = (
        "toInt64(sum(if(sign > 0 AND instant_ms >= {from_ms:Int64}, charged_s, 0))) AS seconds, "
        "sum(if(sign > 0 AND instant_ms >= {from_ms:Int64}, toInt128(nanos), toInt128(0))) AS money"
    )
    condition = (
        "tenant = {tenant:String} AND role = 'buy' AND party = {party:String} AND agreement = {agreement:String} AND currency = {currency:String}"
    )
    params = {"tenant": tenant, "party": one.chain.party, "agreement": agreement, "currency": one.chain.currency, "from_ms": one.period.from_ms}
    (row,) = ask(client, owed.step(before, after, columns, "", condition, params, instant))
    return int(row["seconds"]), int(row["money"])


def _document(terms: TermsInForce, one: _Next, usage: list[Usage], bought: tuple[int, int], findings: list[str]) -> Document | None:
    """The document of an invoice; None = it cannot be made, and a finding says why."""
    who = one.chain.party + (f", agreement {one.chain.agreement}" if one.chain.agreement else "")
    agreement = terms.agreement(one.chain)
    try:
        mine = terms.of(one.chain)
        if agreement.currency and agreement.currency != one.chain.currency:
            if not usage:
                return assurance_invoice.finished(mine, one.chain.currency, one.period, [])
            fees_apart = msgspec.structs.replace(agreement.invoicing, fees=(), commitment_nanos=None, discounts=(), swap=None)
            mine = Terms(msgspec.structs.replace(agreement, invoicing=fees_apart), mine.party, mine.issuer, mine.profile, mine.tables)
            findings.append(
                f"{who}: calls until {one.period.until} were priced in {one.chain.currency}, and the agreement is in {agreement.currency} now: they "
                "have an invoice of their own; fees and discounts are on the other one"
            )
        document = assurance_invoice.build(mine, one.chain.currency, one.period, usage, bought)
    except (NoTax, ServiceError) as wrong:
        findings.append(f"{who}: no invoice of {one.period.first} to {one.period.last}: {wrong}")
        return None
    return document


def _draft(
    terms: TermsInForce, tenant: str, one: _Next, document: Document, batch: int, instant: str, run: str, who: str, now_ms: int
) -> Invoice:
    chain = one.chain
    return Invoice(
        invoices.invoice_id(tenant, chain.party, chain.agreement, chain.currency, one.place), tenant, chain.party, chain.agreement, chain.currency,
        one.place, "invoice", "draft", document.issuer.name, "", run, one.before_batch, one.before_until_ms, batch, one.period.until_ms, instant,
        document.from_day, document.until_day, msgspec.json.encode(document).decode(), document.net, document.tax, document.total, "", who, now_ms,
        0, 0,
    )  # fmt: skip


DEFAULT_PROFILE = "default"
"""The tax profile of agreements that name none, and of parties without one; where there is no such profile, they have no tax."""


class TermsInForce:
    """The rows of the config in force that invoices are made by."""

    def __init__(self, conn: Connection, tenant: str) -> None:
        self.tenant = tenant
        rows = View(conn).every(("parties", "agreements", "accounts", "carriers", "legal_entities", "tax_tables", "tax_profiles"), [tenant])
        self.agreements: dict[str, Agreement] = {row.name: row for row in rows if isinstance(row, Agreement)}
        self._parties: dict[str, Party] = {row.name: row for row in rows if isinstance(row, Party)}
        self._entities: dict[str, LegalEntity] = {row.name: row for row in rows if isinstance(row, LegalEntity)}
        self._tables = {row.name: row for row in rows if isinstance(row, TaxTable)}
        self._profiles = {row.name: row for row in rows if isinstance(row, TaxProfile)}
        self._of: dict[str, set[str]] = {}
        for row in rows:
            if name := getattr(row, "agreement", ""):
                self._of.setdefault(name, set()).add(getattr(row, "party", "") or row.name)

    def parties_of(self, agreement: str) -> set[str]:
        return self._of.get(agreement, set()) | ({self.agreements[agreement].party} - {""})

    def agreement(self, chain: Chain) -> Agreement:
        """The agreement of a chain; of one that has none, or whose agreement is gone, monthly and without tax."""
        return self.agreements.get(chain.agreement) or Agreement(tenant=self.tenant, name=chain.agreement, role="sell", currency=chain.currency)

    def of(self, chain: Chain) -> Terms:
        agreement = self.agreement(chain)
        party = self._parties.get(chain.party) or Party(tenant=self.tenant, name=chain.party)
        return Terms(agreement, party, self._issuer(agreement), self._profiles.get(agreement.tax_profile or DEFAULT_PROFILE), self._tables)

    def _issuer(self, agreement: Agreement) -> LegalEntity:
        name = agreement.invoicing.issuer
        if name:
            return self._entities[name]
        if len(self._entities) > 1:
            raise Refused(f"which of {', '.join(sorted(self._entities))} issues it? Set `issuer` in the agreement's `invoicing`")
        return next(iter(self._entities.values()), LegalEntity(tenant=self.tenant, name=""))
