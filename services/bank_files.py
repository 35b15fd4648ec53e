"""Statements of banks, CAMT.053 (ISO 20022) and MT940 (SWIFT), as entries; and which payment each becomes.

An entry is identified by its account, statement and place, so that a file twice is the same entries. One of the same account, day and amount as
one of another file (the same statement in another format, perhaps) waits. An entry pays the invoice whose number is in its text, else the party that
has the payer's name or an open invoice of exactly this amount, if that is one party alone; else it waits for a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import mt940
from lxml import etree

from assurance.rounding import decimals_of, to_minor
from books import Connection, audit, bank_entries, invoices, payments
from books.bank_entries import BankEntry
from books.invoices import Invoice
from core.billing import is_day
from core.currencies import is_code
from core.delimited import kind_of
from core.ids import derived_id
from core.money import to_nanos
from core.text import visible
from services import payments as desk
from services.errors import BadArgument, ServiceError, UnknownName
from services.installation import tenant_of

MOST_BYTES = 50_000_000
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
OTHER_CAMT = {"BkToCstmrAcctRpt": "a report of a day that goes on (CAMT.052)", "BkToCstmrDbtCdtNtfctn": "a notice of single entries (CAMT.054)"}
"""Messages whose entries the statement has again."""


@dataclass(frozen=True)
class Imported:
    """What of a file became payments, what waits for a person, and how many entries were known already."""

    matched: list[BankEntry]
    unmatched: list[BankEntry]
    known: int


def read(content: bytes, file: str, tenant: str, now_ms: int) -> list[BankEntry]:
    """The entries of a statement that came in; what went out is left out. Raises `BadArgument`, which names what cannot be read."""
    if len(content) > MOST_BYTES:
        raise BadArgument(f"{file} has more than {MOST_BYTES // 10**6} MB: split it.")
    if kind := kind_of(content[:64]):
        raise BadArgument(f"{file} is {kind}: download the statement itself, as CAMT.053 (XML) or MT940.")
    text = content.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not text:
        raise BadArgument(f"{file} is empty.")
    found = list(_camt(text, file) if text.startswith((b"<", *UTF_16)) else _mt940(content, file))
    return [
        BankEntry(
            derived_id("bank", tenant, account, statement, place), tenant, file, account, currency, text, name, iban, day, nanos, "", "", "", now_ms
        )
        for account, statement, place, currency, nanos, text, name, iban, day in found
    ]


def _camt(content: bytes, file: str) -> Iterator[tuple[str, str, str, str, int, str, str, str, str]]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as wrong:
        raise BadArgument(f"{file} is no XML: {wrong.msg}.") from None
    statements = root.findall(".//{*}Stmt")
    if not statements:
        other = next((text for name, text in OTHER_CAMT.items() if root.find(f"{{*}}{name}") is not None), "")
        if other:
            raise BadArgument(f"{file} is {other}: import the statement (CAMT.053), which has its entries again.")
        raise BadArgument(f"{file} is no CAMT.053: it has no statement (Stmt).")

    def at(node: etree._Element, path: str) -> str:
        found = node.find(path)
        return " ".join((found.text or "").split()) if found is not None else ""

    for statement in statements:
        account = at(statement, ".//{*}Acct/{*}Id//{*}IBAN") or at(statement, ".//{*}Acct/{*}Id//{*}Id")
        number = at(statement, "{*}Id")
        if not account:
            raise BadArgument(f"{file}, statement {number}: it names no account (Acct/Id).")
        used: dict[str, int] = {}
        for place, entry in enumerate(statement.findall("{*}Ntry")):
            amount = entry.find("{*}Amt")
            state = at(entry, "{*}Sts/{*}Cd") or at(entry, "{*}Sts") or "BOOK"  # PDNG and INFO: not on the account
            if amount is None or at(entry, "{*}CdtDbtInd") != "CRDT" or at(entry, "{*}RvslInd") == "true" or state != "BOOK":
                continue
            days = (at(entry, f".//{{*}}{kind}/{{*}}{form}") for kind in ("ValDt", "BookgDt") for form in ("Dt", "DtTm"))
            day = next(filter(None, days), "")[:10]  # a date may have a zone, too: 2025-12-15+01:00
            reference = at(entry, "{*}AcctSvcrRef") or str(place)
            used[reference] = used.get(reference, 0) + 1
            reference += f"#{used[reference]}" if used[reference] > 1 else ""
            currency, where = amount.get("Ccy", ""), f"statement {number}, entry {place + 1}"
            whole = _nanos(amount.text or "", file, where)
            if not whole:
                continue
            _check(currency, day, whole, f"{file}, {where}")
            for piece, (nanos, details) in enumerate(_pieces(entry, currency, whole, file, where)):
                texts = [" ".join((one.text or "").split()) for detail in details for one in detail.findall(".//{*}RmtInf//{*}Ustrd")]
                texts += [at(detail, path) for detail in details for path in (".//{*}CdtrRefInf/{*}Ref", ".//{*}EndToEndId")]
                name = at(details[0], ".//{*}RltdPties/{*}Dbtr/{*}Nm") or at(details[0], ".//{*}RltdPties/{*}Dbtr/{*}Pty/{*}Nm")
                iban = at(details[0], ".//{*}DbtrAcct//{*}IBAN")
                name, iban = (name, iban) if len(details) == 1 else ("", "")
                yield account, number, f"{reference}/{piece}", currency, nanos, " ".join(filter(None, texts)), name, iban, day


def _pieces(entry: etree._Element, currency: str, whole: int, file: str, where: str) -> Iterator[tuple[int, list[etree._Element]]]:
    """The payments of an entry, each with its details: one per detail where their amounts come to the entry's, else the entry as one."""
    details = entry.findall(".//{*}TxDtls") or [entry]
    amounts = [found if (found := one.find("{*}Amt")) is not None else one.find("{*}AmtDtls/{*}TxAmt/{*}Amt") for one in details]
    parts = [_nanos(one.text or "", file, where) for one in amounts if one is not None and one.get("Ccy", "") == currency]
    if len(details) > 1 and len(parts) == len(details) and sum(parts) == whole:
        yield from zip(parts, ([one] for one in details), strict=True)
    else:
        yield whole, details


_STATEMENT = re.compile(r"^:20:", re.MULTILINE)
_ENTRY = re.compile(r":61:\d{6}(?:\d{4}|\s{4})?(R?[DC])[A-Z]?\s?\d+,\d*")


def _mt940(content: bytes, file: str) -> Iterator[tuple[str, str, str, str, int, str, str, str, str]]:
    for encoding in ("utf-8", "latin-1"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if ":60F:" not in text and ":60M:" not in text:
        if ":34F:" in text:
            raise BadArgument(f"{file} is a report of a day that goes on (MT942): import the statement (MT940), which has its entries again.")
        raise BadArgument(f"{file} is neither CAMT.053 (XML) nor MT940 (it has no :60F:, the balance at the beginning).")
    for at, line in enumerate(text.splitlines(), 1):
        if line.startswith(":61:") and not _ENTRY.match(line):
            raise BadArgument(f"{file}, line {at}: {visible(line)[:60]!r} is no entry of MT940: date, C or D, and an amount with a comma.")
    begins = [one.start() for one in _STATEMENT.finditer(text)] or [0]
    for start, end in zip(begins, [*begins[1:], len(text)], strict=True):
        yield from _statement(text[start:end], file, text.count("\n", 0, start) + 1)


def _statement(text: str, file: str, line: int) -> Iterator[tuple[str, str, str, str, int, str, str, str, str]]:
    """The entries of one statement of MT940, which begins at a line of the file."""
    try:
        statement = mt940.parse(text)
    except Exception as wrong:  # noqa: BLE001 - the library raises plain exceptions of many kinds, some with pages of text
        raise BadArgument(f"{file}, the statement from line {line}: cannot be read as MT940 ({type(wrong).__name__}).") from None
    account = str(statement.data.get("account_identification") or "")
    if not account:
        raise BadArgument(f"{file}, the statement from line {line}: it names no account (:25:).")
    number = f"{statement.data.get('statement_number') or ''}/{statement.data.get('sequence_number') or ''}"  # begins anew each year
    for place, one in enumerate(statement.transactions):
        data = one.data
        amount: Decimal = data["amount"].amount
        if amount <= 0 or data.get("status") == "RC":  # RC: a credit is taken back
            continue
        details = " ".join(str(data.get(name) or "") for name in ("transaction_details", "purpose", "extra_details", "customer_reference"))
        name = str(data.get("applicant_name") or "")
        nanos = _nanos(str(amount), file, f"the statement from line {line}, entry {place + 1}")
        day = f"{data['date'].year:04d}-{data['date'].month:02d}-{data['date'].day:02d}"
        currency, iban = data["amount"].currency or str(data.get("currency") or ""), str(data.get("applicant_iban") or "")
        _check(currency, day, nanos, f"{file}, the statement from line {line}, entry {place + 1}")
        yield account, f"{number} {day}", str(place), currency, nanos, " ".join(details.split()), name, iban, day


def _check(currency: str, day: str, nanos: int, place: str) -> None:
    """Without these an entry is no payment, and its account, statement and place do not identify it."""
    if not is_code(currency):
        raise BadArgument(f"{place}: {visible(currency)[:20]!r} is no currency.")
    if not is_day(day):
        raise BadArgument(f"{place}: {visible(day)!r} is no value date.")
    if nanos < 0:
        raise BadArgument(f"{place}: an amount is never below 0: credit or debit says whether it came in.")


def _nanos(text: str, file: str, place: str) -> int:
    try:
        return to_nanos(text)
    except ValueError as wrong:
        raise BadArgument(f"{file}, {place}: {wrong}.") from None


def import_file(conn: Connection, tenant: str, content: bytes, file: str, who: str, now_ms: int) -> Imported:
    """Records the entries of a file that are not known yet, each with the payment that it is. All of the file or nothing."""
    tenant = tenant_of(conn, tenant)
    matched, unmatched, known = [], [], 0
    issued = [one for one in invoices.every(conn, tenant, status=("issued",)) if one.kind == "invoice"]
    for entry in read(content, file, tenant, now_ms):
        if bank_entries.find(conn, entry.id) is not None:
            known += 1
            continue
        party, numbers, why = match(conn, entry, issued)
        if (twin := bank_entries.twin(conn, entry)) is not None:
            party, why = "", f"{twin.id} of {twin.file} has the same account, day and amount: assign this one if it is another payment"
        if not party:
            bank_entries.add(conn, entry._replace(state="unmatched", why=why))
            unmatched.append(entry._replace(why=why))
            continue
        done = _paid(conn, entry, party, numbers, who, now_ms)
        if isinstance(done, str):
            bank_entries.add(conn, entry._replace(state="unmatched", why=done))
            unmatched.append(entry._replace(why=done))
        else:
            entry = entry._replace(state="matched", why=why, payment=done.payment.id)
            bank_entries.add(conn, entry)
            matched.append(entry)
    return Imported(matched, unmatched, known)


def assign(conn: Connection, tenant: str, name: str, party: str, who: str, now_ms: int) -> desk.Recorded:
    """Gives an entry that waits to a party."""
    entry = _open(conn, tenant, name)
    done = desk.record(
        conn, entry.tenant, party, _plain(entry.nanos), entry.currency, entry.text[:140] or entry.id, entry.value_day, who, now_ms, source=entry.id
    )
    bank_entries.settle(conn, entry.id, "matched", f"by {who}", done.payment.id)
    return done


def dismiss(conn: Connection, tenant: str, name: str, who: str, why: str, now_ms: int) -> BankEntry:
    """Says that an entry is no payment of a party (interest, a refund of the bank): it waits no more. `assign` takes it back."""
    if not why.strip():
        raise BadArgument("Say why the entry is nobody's payment.")
    entry = _open(conn, tenant, name)
    bank_entries.settle(conn, entry.id, "dismissed", f"by {who}: {why}")
    audit.note(conn, who, "dismissed a bank entry", f"{entry.tenant} {entry.id}", why, now_ms)
    return entry


def _open(conn: Connection, tenant: str, name: str) -> BankEntry:
    """An entry that is no payment."""
    tenant = tenant_of(conn, tenant)
    entry = bank_entries.find(conn, name)
    if entry is None or entry.tenant != tenant:
        raise UnknownName(f"There is no bank entry {name!r}: `ringfence payments waiting` lists them.")
    if entry.state == "matched":
        raise desk.Refused(f"{name} is payment {entry.payment} already.")
    return entry


def _paid(conn: Connection, entry: BankEntry, party: str, numbers: Sequence[str], who: str, now_ms: int) -> desk.Recorded | str:
    try:
        reference = entry.text[:140] or entry.id
        return desk.record(
            conn, entry.tenant, party, _plain(entry.nanos), entry.currency, reference, entry.value_day, who, now_ms, numbers, entry.id
        )
    except ServiceError as refused:
        return str(refused)


def _plain(nanos: int) -> str:
    return str(Decimal(nanos).scaleb(-9))


def match(conn: Connection, entry: BankEntry, issued: Sequence[Invoice]) -> tuple[str, list[str], str]:
    """Party ("" = none), invoice numbers, and why."""
    text = _letters(entry.text)
    named = [one for one in issued if re.search(re.escape(_letters(one.number)) + r"(?!\d)", text)]
    longer = " ".join(_letters(one.number) for one in named)  # a number may end another one: F-2026-000001 and RF-2026-000001
    named = [one for one in named if longer.count(_letters(one.number)) == 1 or text.count(_letters(one.number)) > 1]
    if parties := {one.party for one in named}:
        if len(parties) > 1:
            return "", [], f"its text names invoices of {', '.join(sorted(parties))}"
        numbers = [one.number for one in named if one.currency == entry.currency]
        if not numbers:
            return "", [], f"its text names an invoice in {named[0].currency}, and it is in {entry.currency}"
        return named[0].party, numbers, f"its text names {', '.join(numbers)}"
    if entry.name:
        same = {one.party for one in issued if _letters(entry.name) in (_letters(one.party), _letters(one.read().party.legal.legal_name))}
        if len(same) == 1:
            return same.pop(), [], f"the payer's name is {entry.name}"
    minor = to_minor(entry.nanos, decimals_of(entry.currency))
    open_of = payments.open_amounts(conn, [one.id for one in issued])
    exact = [one for one in issued if one.currency == entry.currency and one.total + open_of.get(one.id, 0) == minor]
    if len(exact) == 1:
        return exact[0].party, [exact[0].number], f"{exact[0].number} alone has this amount open"
    return "", [], "its text names no invoice, and payer and amount fit nobody alone"


def _letters(text: str) -> str:
    """
    >>> _letters("RF-2026/000 001")
    'rf2026000001'
    """
    return re.sub(r"[^0-9a-z\u0080-\uffff]", "", text.lower())
