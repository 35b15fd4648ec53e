"""A party's bill against our calls: read their files, compare, keep what was found.

Order: everything is read and computed first, then one transaction stores the reconciliation and how the files were read. A crash before it leaves
nothing; the same files again are the reconciliation that they made.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import polars as pl

from assurance.cycles import period_of
from assurance.invoice import beside
from assurance.reconcile import layout as layouts
from assurance.reconcile.agreed import Agreed
from assurance.reconcile.invoice import Invoice, read_invoice
from assurance.reconcile.layout import Layout
from assurance.reconcile.pdf import open_file
from assurance.reconcile.plan import Plan, plan_of
from assurance.reconcile.read import TheirCalls, read_calls
from assurance.reconcile.result import Reconciled, reconcile
from assurance.reconcile.sides import THEIRS
from books import Connection, configs, reading, reconciliations, writing
from books.reconciliations import CauseSum, FileProfile, Reconciliation, Summary
from core.config import Agreement
from core.money import to_text
from rating.contracts import Terms
from rating.offers.finding import Finding, Findings, OfferError
from services import periods
from services.errors import BadArgument, ServiceError, UnknownName
from services.in_force import from_books
from services.installation import Installation, opened_books, tenant_of
from services.reading import warehouse
from warehouse import sides

Role = Literal["buy", "sell"]
MARGIN_MS = 36 * 3_600_000
"""How far beyond the period our calls are read: a file in the zone of another continent reaches so far."""
NOISE = ("rounding", "within_tolerance")
"""Causes whose calls are not kept one by one where they cost little: every call of a file that rounds has one."""
SMALL_NANOS = 1_000_000
MOST_KEPT = 2_000_000


class Refused(ServiceError):
    """The files cannot be compared as they are; the text says why, and what to do."""


@dataclass(frozen=True)
class ReconcileRequest:
    """`party`: the carrier whose bill it is (`role` buy), or the account that disputes ours (sell). `zone`: of times without one in their
    calls. `names`: their name of a destination -> ours, corrected by hand. "" and None = as kept from their last file, or guessed."""

    party: str
    period: str
    role: Role = "buy"
    invoice: bytes | None = None
    cdrs: bytes | None = None
    zone: str = ""
    tolerance_ms: int = 2_000
    calls_layout: Layout | None = None
    invoice_layout: Layout | None = None
    names: dict[str, str] = field(default_factory=dict)
    guess_again: bool = False
    replace: bool = False  # although another file of the same period was reconciled
    tolerance_nanos: int = 0  # by how much the money of one call may differ


@dataclass(frozen=True)
class Outcome:
    """`stored` None = nothing was kept (a dry run). `known`: the same files had made it before."""

    reconciled: Reconciled
    stored: Reconciliation
    profile: FileProfile
    reasons: tuple[tuple[str, str], ...]
    known: bool = False
    zone: str = "UTC"


def run(installation: Installation, tenant: str, asked: ReconcileRequest, who: str, now_ms: int, keep: bool = True) -> Outcome:
    """Reconciles, and with `keep` stores what was found. Raises `Refused` and `UnknownName`; nothing is stored then."""
    if asked.invoice is None and asked.cdrs is None:
        raise BadArgument("name their --invoice, their --cdrs, or both: there is nothing to compare with")
    with opened_books(installation) as engine:
        with reading(engine) as conn:
            tenant = tenant_of(conn, tenant)
            terms = from_books(engine)(configs.latest(conn))
            known = FileProfile() if asked.guess_again else reconciliations.profile(conn, tenant, asked.role, asked.party)
            everything = reconciliations.every(conn, tenant)
        others = [one for one in everything if (one.role, one.party) == (asked.role, asked.party)]
        shas = _shas(asked)
        plan, zone, agreement = _plan(terms, tenant, asked)
        period = periods.period_ms(asked.period, zone)
        _check_files(everything, asked, shas, period)
        reasons: list[tuple[str, str]] = []
        calls, calls_layout = _calls(asked, known, reasons)
        invoice, invoice_layout = _invoice(asked, known, reasons)
        _check_currency(plan, calls, invoice)
        with warehouse(installation) as client:
            read = sides.bought if asked.role == "buy" else sides.sold
            ours = read(client, tenant, asked.party, period[0] - MARGIN_MS, period[1] + MARGIN_MS)
            fees = sides.attempt_fees(client, tenant, asked.party, *period) if asked.role == "buy" else (0, 0)
        names = {**known.names, **asked.names}
        found = reconcile(ours, calls, invoice, plan, period, tolerance_ms=asked.tolerance_ms, corrected=names, tolerance_nanos=asked.tolerance_nanos,
            beside=_beside(agreement, ours, period))
        if fees[1]:
            words = f"{fees[0]:,} failed attempts cost {to_text(fees[1])} {found.currency} in fees, and are not compared"
            found.findings.add("attempt fees", "note", words, "look for a line of them on the invoice")
        stored = _stored(found, asked, tenant, invoice, period, zone, others, shas, who, now_ms)
        profile = FileProfile(calls=calls_layout or known.calls, invoice=invoice_layout or known.invoice, names=names)
        twin = next((one for one in others if one.id == stored.id), None)
        if twin is None and keep:
            content = _calls_parquet(found)
            with writing(engine) as conn:
                reconciliations.add(conn, stored, content)
                reconciliations.keep_profile(conn, tenant, asked.role, asked.party, profile, who, now_ms)
        return Outcome(found, twin or stored, profile, tuple(reasons), twin is not None, zone)


def between_switches(
    installation: Installation, tenant: str, switches: tuple[str, str], period: str, tolerance_ms: int = 2_000
) -> Reconciled:  # fmt: skip
    """Two switches that carried the same calls: the second one's account of them against the first one's, in seconds of talk. Nothing is stored."""
    span = periods.period_ms(period, "UTC")
    with opened_books(installation) as engine, reading(engine) as conn:
        name = tenant_of(conn, tenant)
    with warehouse(installation) as client:
        ours, other = (sides.of_switch(client, name, switch, span[0] - MARGIN_MS, span[1] + MARGIN_MS) for switch in switches)
    inside = other.filter(pl.col("at_ms").is_between(*span, closed="left"))
    theirs = inside.with_row_index("line", 1).with_columns(pl.lit(None, pl.Int64).alias("charged_s"), pl.lit(None, pl.Int64).alias("per_min_nanos"))
    calls = TheirCalls(theirs.select(*THEIRS).cast(THEIRS), pl.DataFrame(schema={"line": pl.Int64, "digits": pl.Int64}), Findings(), "s",
        theirs.height)
    return reconcile(ours, calls, None, Plan((), "s"), span, tolerance_ms=tolerance_ms, currency="s")


def _beside(agreement: Agreement | None, ours: pl.DataFrame, period: tuple[int, int]) -> list[Agreed]:
    """What the agreement makes of the calls of the period besides them, where the period is one of its cycles."""
    if agreement is None:
        return []
    cycle = period_of(agreement, period[0])
    if (cycle.from_ms, cycle.until_ms) != period:
        return []
    sold = int(ours.filter(pl.col("at_ms").is_between(*period, closed="left"))["nanos"].sum())
    return [Agreed(*one) for one in beside(agreement.invoicing, sold, cycle)]


def _plan(terms: Terms, tenant: str, asked: ReconcileRequest) -> tuple[Plan, str, Agreement | None]:
    if asked.role == "buy":
        if terms.find("carriers", tenant, asked.party) is None:
            raise UnknownName(f"Tenant {tenant} has no carrier {asked.party!r}: `ringfence config show` lists them.")
        charged = terms.bought(tenant, asked.party)
    else:
        if terms.find("accounts", tenant, asked.party) is None:
            raise UnknownName(f"Tenant {tenant} has no account {asked.party!r}: `ringfence config show` lists them.")
        charged = terms.sold(tenant, asked.party)[0]
    plan = plan_of(terms, charged)
    return plan, plan.zone, terms.find("agreements", tenant, charged.agreement) if charged.agreement else None


def _calls(asked: ReconcileRequest, known: FileProfile, reasons: list[tuple[str, str]]) -> tuple[TheirCalls | None, Layout | None]:
    if asked.cdrs is None:
        return None, None
    layout = asked.calls_layout or known.calls
    try:
        layout = _layout("calls", asked.cdrs, layout, reasons)
        if asked.zone:
            layout = msgspec.structs.replace(layout, timezone=asked.zone)
        return read_calls(open_file(asked.cdrs, "calls", layout)[0], layout), layout
    except OfferError as wrong:
        raise _refused("their calls", wrong.findings) from None


def _invoice(asked: ReconcileRequest, known: FileProfile, reasons: list[tuple[str, str]]) -> tuple[Invoice | None, Layout | None]:
    if asked.invoice is None:
        return None, None
    try:
        layout = _layout("invoice", asked.invoice, asked.invoice_layout or known.invoice, reasons)
        found = read_invoice(open_file(asked.invoice, "invoice", layout)[0], layout)
    except OfferError as wrong:
        raise _refused("their invoice", wrong.findings) from None
    if found.findings.has_errors:
        raise _refused("their invoice", tuple(one for one in found.findings if one.level == "error"))
    return found, layout


def _layout(kind: layouts.Kind, content: bytes, known: Layout | None, reasons: list[tuple[str, str]]) -> Layout:
    if known is not None:
        reasons.append((kind, "read as their last file, or as the layout says"))
        return known
    table, edges = open_file(content, kind)
    guessed = layouts.guess(table, kind)
    if guessed.findings.has_errors:
        raise OfferError(*guessed.findings)
    reasons += [(kind, reason) for reason in table.reasons]
    reasons += [(f"{kind}: {name}", reason) for name, reason in guessed.reasons]
    return msgspec.structs.replace(guessed.layout, encoding=table.encoding, delimiter=table.delimiter, sheet=table.sheet, pdf_edges=edges)


def _refused(what: str, findings: tuple[Finding, ...]) -> Refused:
    return Refused("\n".join(f"{what}: {one.text()}".replace("--mapping", "--layout") for one in findings[:20]))


def _check_currency(plan: Plan, calls: TheirCalls | None, invoice: Invoice | None) -> None:
    for what, currency in (("their calls", calls.currency if calls else ""), ("their invoice", invoice.currency if invoice else "")):
        if currency == "several":
            raise Refused(f"{what}: the rows are in several currencies: reconcile one currency at a time, from a file of it")
        if currency and plan.currency and currency != plan.currency:
            todo = f"ask for an invoice in {plan.currency}, or correct the agreement"
            raise Refused(f"{what} is in {currency}, and the agreement in {plan.currency}: {todo}")


def _stored(
    found: Reconciled, asked: ReconcileRequest, tenant: str, invoice: Invoice | None, period: tuple[int, int], zone: str,
    others: list[Reconciliation], shas: tuple[str, str], who: str, now_ms: int,
) -> Reconciliation:  # fmt: skip
    invoice_sha, cdrs_sha = shas
    name = reconciliations.id_of(tenant, asked.role, asked.party, *period, invoice_sha, cdrs_sha)
    _check_others(found.findings, others, name, asked, period, invoice, zone)
    inside = found.ours.filter(pl.col("at_ms").is_between(*period, closed="left"))
    sums = tuple(
        CauseSum(row["cause"], row["parts"], to_text(row["nanos"]), to_text(row["more_nanos"]), to_text(row["less_nanos"]))
        for row in found.causes().iter_rows(named=True)
    )
    summary = Summary(
        causes=sums, clock=tuple(found.clock.words()), findings=tuple(one.text() for one in found.findings if one.level != "note")[:200],
        calls=inside.height, their_calls=found.theirs.height, unreadable=found.unreadable, our_seconds=int(inside["charged_s"].sum()),
        has_calls=found.has_calls,
    )  # fmt: skip
    return Reconciliation(
        id=name, tenant=tenant, role=asked.role, party=asked.party, from_ms=period[0], to_ms=period[1], invoice_no=invoice.number if invoice else "",
        invoice_sha256=invoice_sha, cdrs_sha256=cdrs_sha, currency=found.currency, theirs=to_text(found.theirs_nanos), ours=to_text(found.ours_nanos),
        summary=summary, who=who, at_ms=now_ms,
    )  # fmt: skip


def _shas(asked: ReconcileRequest) -> tuple[str, str]:
    """The hashes of their invoice and their calls, "" = none."""
    invoice, cdrs = (hashlib.sha256(content).hexdigest() if content is not None else "" for content in (asked.invoice, asked.cdrs))
    return invoice, cdrs


def _check_files(everything: list[Reconciliation], asked: ReconcileRequest, shas: tuple[str, str], period: tuple[int, int]) -> None:
    """An invoice that was compared for another period, or a file as somebody else's, was taken for another one. A file of calls may be of several
    periods."""
    for one in everything if not asked.replace else ():
        is_other = (one.role, one.party) != (asked.role, asked.party)
        for what, sha, known, wrong in (
            ("invoice", shas[0], one.invoice_sha256, is_other or (one.from_ms, one.to_ms) != period),
            ("file of calls", shas[1], one.cdrs_sha256, is_other),
        ):
            if sha and sha == known and wrong:
                whose = f"that of {one.party}" if is_other else "for another period"
                raise Refused(f"The same {what} was reconciled as {one.id}, {whose}: check the file; with --replace it is compared as well")


def _check_others(
    findings: Findings, others: list[Reconciliation], name: str, asked: ReconcileRequest, period: tuple[int, int], invoice: Invoice | None, zone: str
) -> None:
    """Two files for one period, periods that overlap, an invoice that says another period: findings, or a refusal."""
    said = invoice.period if invoice else ("", "")
    wanted = periods.days_of(period, zone)
    if said[0] and said != wanted:
        findings.add("period", "warning", f"the invoice says {said[0]} to {said[1]}, and {wanted[0]} to {wanted[1]} is compared",
            "use the period of the invoice")
    for other in others:
        if other.id == name or asked.replace:
            continue
        if (other.from_ms, other.to_ms) == period:
            raise Refused(
                f"Other files of {asked.party} for this period were reconciled as {other.id} (invoice {other.invoice_no or 'without a number'}, "
                f"{other.theirs} {other.currency}): with --replace these are compared as well"
            )
        if other.from_ms < period[1] and period[0] < other.to_ms:
            first, last = periods.days_of((other.from_ms, other.to_ms), zone)
            raise Refused(
                f"The period overlaps that of {other.id} ({first} to {last}, invoice {other.invoice_no or 'without a number'}): calls would be "
                "compared twice; use another --period, or --replace if that one was wrong"
            )


def _calls_parquet(found: Reconciled) -> bytes:
    """The calls that differ, as Parquet: what a dispute is made of."""
    is_noise = pl.col("cause").is_in(NOISE) & (pl.col("difference_nanos").abs() < SMALL_NANOS)
    calls = found.calls().filter(~is_noise).head(MOST_KEPT)
    out = io.BytesIO()
    calls.write_parquet(out, compression="zstd")
    return out.getvalue()


def stored(conn: Connection, tenant: str, name: str) -> Reconciliation:
    """A reconciliation by its id. Raises `UnknownName`."""
    found = reconciliations.find(conn, tenant, name)
    if found is None:
        known = ", ".join(one.id for one in reconciliations.every(conn, tenant)[:12])
        raise UnknownName(f"There is no reconciliation {name!r}; there are: {known or 'none: `ringfence reconcile` makes one'}.")
    return found
