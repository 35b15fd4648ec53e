"""Disputes, from a reconciliation to a credit note: propose, approve, send with its evidence, follow, agree, credit.

Order of an event: the ledger's transfers, then the dispute's state with its event, in one transaction. A crash leaves all or nothing, and the same
event again is refused by the table of states.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec
import polars as pl

from assurance.disputes import evidence, life
from assurance.disputes.thresholds import Thresholds, Worth, worth
from assurance.reconcile.causes import CAUSES
from books import Connection, alerts, disputes, invoices, ledger, reconciliations
from books.disputes import Dispute
from books.ledger import Account
from books.reconciliations import Reconciliation
from core.config import Agreement, agreement_of, party_of
from core.money import to_nanos, to_text
from core.orders import Finding
from core.spreadsheet import csv_of
from services import periods, reconciling
from services.errors import BadArgument, ServiceError, UnknownName
from services.in_force import View
from services.printing import pdf

SHOWN = 30


class NotNow(ServiceError):
    """The dispute cannot go that way as it stands; the text says what is possible."""


def assess(conn: Connection, tenant: str, name: str, limits: Thresholds = Thresholds()) -> tuple[Reconciliation, list[Worth]]:
    """What of a reconciliation is worth a dispute, and why, with the statistical claims about the carrier's routes. Raises `UnknownName`."""
    found = reconciling.stored(conn, tenant, name)
    causes = [(one.cause, to_nanos(one.amount), one.parts) for one in found.summary.causes]
    verdicts = worth(causes, to_nanos(found.theirs), found.role == "buy", limits)
    if claims := false_answers(conn, tenant, found):
        why = f"a statistical claim: a person decides, `propose --cause {evidence.FALSE_ANSWERS}`"
        verdicts.append(Worth(evidence.FALSE_ANSWERS, sum(one.exposure_nanos for one in claims), len(claims), False, why))
    return found, verdicts


def false_answers(conn: Connection, tenant: str, found: Reconciliation) -> list[Finding]:
    """The alerts of false answers (FAS) on the carrier's routes in the period of a bill."""
    if found.role != "buy":
        return []
    claims = [
        one for one in alerts.about(conn, tenant, ("route",), found.from_ms)
        if one.detector == "fas" and one.subject.partition(">")[0] == found.party and one.first_ms < found.to_ms and one.currency == found.currency
    ]  # fmt: skip
    # Two kinds of one route are about the same calls: their money counts once.
    most = {one.subject: one for one in sorted(claims, key=lambda one: one.exposure_nanos)}
    return [one for one in claims if most[one.subject] is one]


def propose(
    conn: Connection, tenant: str, name: str, who: str, now_ms: int, causes: tuple[str, ...] = (), limits: Thresholds = Thresholds()
) -> list[Dispute]:
    """Makes a dispute of each cause that is worth one (or of `causes`): detected and quantified. Those that exist stay as they are."""
    found, verdicts = assess(conn, tenant, name, limits)
    if unknown := set(causes) - {one.cause for one in verdicts}:
        raise BadArgument(f"{found.id} has no cause {', '.join(sorted(unknown))}; it has {', '.join(one.cause for one in verdicts)}")
    made = []
    for one in verdicts:
        if one.cause not in causes if causes else not one.is_worth:
            continue
        new = Dispute(
            id=f"{found.id}-{one.cause.replace('|', '+')}", tenant=tenant, role=found.role, party=found.party, reconciliation=found.id,
            cause=one.cause,
            state="detected", currency=found.currency, amount=to_text(abs(one.nanos)), agreed="", credit_note="", calls=one.parts,
            due_ms=life.due_ms("detected", found.at_ms, now_ms, dispute_days(View(conn), found)), at_ms=now_ms,
        )  # fmt: skip
        if disputes.add(conn, new, who):
            quantified = msgspec.structs.replace(new, state="quantified")
            disputes.move(conn, new, quantified, "quantify", who, f"{new.calls} calls, {new.amount} {new.currency}")
        made.append(of(conn, tenant, new.id))
    return made


def dispute_days(view: View, found: Reconciliation) -> int:
    """How many days the agreement gives for a dispute."""
    agreement = _agreement(view, found)
    return agreement.dispute_days if agreement is not None else 30


def _agreement(view: View, found: Reconciliation) -> Agreement | None:
    row = view.find("carriers" if found.role == "buy" else "accounts", found.tenant, found.party)
    return agreement_of(row, view.find) if row is not None else None


def of(conn: Connection, tenant: str, name: str) -> Dispute:
    """A dispute by its id. Raises `UnknownName`."""
    found = disputes.find(conn, tenant, name)
    if found is None:
        known = ", ".join(one.id for one in disputes.every(conn, tenant)[:12])
        raise UnknownName(f"There is no dispute {name!r}; there are: {known or 'none: `ringfence disputes propose` makes them'}.")
    return found


def happen(
    conn: Connection, tenant: str, name: str, event: str, who: str, why: str, now_ms: int, amount: str = "", credit_note: str = ""
) -> Dispute:
    """Something happens to a dispute. `amount`: what was offered or agreed on; `credit_note`: its number, with the event `credit`, which posts it.

    Raises `NotNow` where the state does not allow it, `BadArgument` where an amount or a number is missing or too large.
    """
    before = of(conn, tenant, name)
    try:
        state = life.after(before.state, event)
    except life.NotPossible as wrong:
        raise NotNow(f"{name}: {wrong}") from None
    if event == "expire" and now_ms < before.due_ms:
        raise NotNow(f"{name} may be sent until {_day(before.due_ms)}: withdraw it instead")
    agreed = before.agreed
    if event in ("agree", "counter"):
        agreed = _amount(amount or (before.amount if event == "agree" else ""), before)
    if event == "credit" and not credit_note:
        raise BadArgument("a credit note has a number: --credit-note")
    if event == "credit" and before.role == "sell":
        _check_credit_note(conn, before, credit_note)
    found = reconciling.stored(conn, tenant, before.reconciliation)
    after = msgspec.structs.replace(
        before, state=state, agreed=agreed, credit_note=credit_note or before.credit_note, at_ms=now_ms,
        due_ms=life.due_ms(state, found.at_ms, now_ms, dispute_days(View(conn), found)),
    )  # fmt: skip
    if event == "credit" and before.role == "buy":
        ledger.post(conn, _transfers(View(conn), after), now_ms)
    try:
        disputes.move(conn, before, after, event, who, why)
    except ValueError as wrong:
        raise NotNow(str(wrong)) from None
    return after


def _check_credit_note(conn: Connection, before: Dispute, number: str) -> None:
    """A customer's dispute ends with a credit note of ours, which `ringfence invoices credit` made and posted."""
    note = invoices.find(conn, before.tenant, number)
    row = View(conn).find("accounts", before.tenant, before.party)
    party = party_of(row) if row is not None else before.party
    if note is None or note.kind != "credit_note" or note.party != party or note.status != "issued":
        how = "`ringfence invoices credit` makes it"
        raise BadArgument(f"--credit-note {number}: there is no issued credit note of ours for {party} with this number; {how}")


def _amount(text: str, before: Dispute) -> str:
    if not text:
        raise BadArgument("how much do they offer? --amount")
    try:
        nanos = to_nanos(text)
    except ValueError as wrong:
        raise BadArgument(f"--amount: {wrong}") from None
    if not 0 <= nanos <= before.nanos:
        raise BadArgument(f"--amount {text}: it must be 0 to {before.amount} {before.currency}, what is disputed")
    return to_text(nanos)


def _transfers(view: View, one: Dispute) -> list[ledger.Transfer]:
    """What a credit note of a carrier posts. Their invoice asked for the disputed amount beyond our charges: it becomes a cost that we owe, and the
    credit note takes back what was agreed on. What is left is what the dispute did not win."""
    row = view.find("carriers", one.tenant, one.party)
    agreement = agreement_of(row, view.find) if row is not None else None
    party = party_of(row) if row is not None else one.party
    cost = Account(one.tenant, "cost", one.currency)
    unpaid = Account(one.tenant, "unpaid", one.currency, party, agreement.name if agreement else "")
    claimed = ledger.transfer("disputed", one.id, unpaid, cost, one.nanos)
    return [*claimed, *ledger.transfer("credit_note", one.id, cost, unpaid, to_nanos(one.agreed or "0"), one.credit_note)]


def overdue(conn: Connection, tenant: str, now_ms: int) -> list[Dispute]:
    """Open disputes whose next step was due."""
    return [one for one in disputes.every(conn, tenant) if one.is_open and 0 < one.due_ms < now_ms]


def pack(conn: Connection, tenant: str, name: str, masked_digits: int = 3) -> bytes:
    """The evidence of a dispute as an archive: the calls (CSV), a page (PDF), the facts (JSON), and the hashes of all."""
    one = of(conn, tenant, name)
    found = reconciling.stored(conn, tenant, one.reconciliation)
    is_claim = one.cause == evidence.FALSE_ANSWERS
    calls = pl.read_parquet(io.BytesIO(reconciliations.calls_of(conn, tenant, found.id))).filter(pl.col("cause") == one.cause)
    calls = calls.sort(pl.coalesce("their_at_ms", "our_at_ms"), "line")
    claims = false_answers(conn, tenant, found) if is_claim else []
    csv = _routes_csv(claims) if is_claim else evidence.calls_csv(calls.drop("our_attempt_no"), masked_digits)
    agreement = _agreement(View(conn), found)
    period = " to ".join(periods.days_of((found.from_ms, found.to_ms), agreement.time_zone if agreement else "UTC"))
    facts = {
        "dispute": one.id, "party": one.party, "invoice": found.invoice_no, "invoice_sha256": found.invoice_sha256, "calls_sha256": found.cdrs_sha256,
        "period": period, "cause": one.cause, "explained": evidence.explained(one.cause), "amount": one.amount, "currency": one.currency,
        "calls": one.calls if is_claim else calls.height, "difference_of_calls": to_text(int(calls["difference_nanos"].sum() or 0)),
        "masked_digits": masked_digits,
    }  # fmt: skip
    data = _page(one, found, calls, period, masked_digits) | {"claims": [claim.reason for claim in claims]}
    page = pdf("dispute", data)
    return evidence.packed({str(data["file"]): csv, "dispute.pdf": page, "facts.json": json.dumps(facts, indent=1, ensure_ascii=False).encode()})


def _routes_csv(claims: list[Finding]) -> bytes:
    """Route by route, what was measured."""
    rows = [
        {"route": one.subject, "from": _moment(one.first_ms), "to": _moment(one.last_ms), "calls": one.calls, "charged": to_text(one.exposure_nanos),
            "currency": one.currency, "measured": one.reason} for one in claims
    ]  # fmt: skip
    return csv_of(pl.DataFrame(rows))


def _page(one: Dispute, found: Reconciliation, calls: pl.DataFrame, period: str, masked_digits: int) -> dict[str, object]:
    rows = []
    for row in calls.sort(pl.col("difference_nanos").abs(), descending=True).head(SHOWN).iter_rows(named=True):
        at_ms = row["their_at_ms"] if row["their_at_ms"] is not None else row["our_at_ms"]
        number = evidence.mask(row["our_b_number"] or row["their_b_number"] or "", masked_digits)
        seconds = [_or_dash(row[f"{side}_charged_s"]) for side in ("our", "their")]
        money = [_or_dash(row[f"{side}_nanos"], True) for side in ("our", "their")]
        rows.append([_moment(at_ms), number, *seconds, *money, to_text(row["difference_nanos"])])
    return {
        "id": one.id, "party": one.party, "invoice": found.invoice_no or "without a number", "period": period, "raised": _day(one.at_ms),
        "due": _day(one.due_ms) if one.due_ms else "-", "explained": evidence.explained(one.cause), "amount": one.amount, "currency": one.currency,
        "calls": f"{one.calls:,}", "remedy": " or ".join(_ask(name) for name in one.cause.split("|")), "rows": rows,
        "file": "routes.csv" if one.cause == evidence.FALSE_ANSWERS else "calls.csv",
        "masking": f"The last {masked_digits} digits of each number are x." if masked_digits else "",
    }  # fmt: skip


def _ask(cause: str) -> str:
    """What we ask of the other side."""
    asks = {
        "duplicate": "a credit note for the second rows", "missing_ours": "your records of these calls, or a credit note",
        "line_arithmetic": "a corrected invoice", "fas": "test calls of both sides to these destinations, and a credit note for what they show",
        "other_charge": "the clause that this charge is by, or a credit note",
    }  # fmt: skip
    return asks.get(cause, "a credit note by the agreement") if cause in CAUSES or cause in asks else "a credit note"


def _or_dash(value: int | None, is_money: bool = False) -> str:
    return "-" if value is None else to_text(value) if is_money else f"{value:,}"


def _moment(at_ms: int | None) -> str:
    return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"
