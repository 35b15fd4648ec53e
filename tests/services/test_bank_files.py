"""Banks' statements: read, matched, and a file twice is the same payments."""

from __future__ import annotations

import pytest

from books import bank_entries, ledger, open_books, tenants, writing
from books.invoices import Invoice
from books.ledger import Account
from core.config import Party
from services import bank_files, payments
from services.bank_files import import_file, read
from services.errors import BadArgument

NOW = 1_764_633_600_000
CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>2025-12</Id>
<Acct><Id><IBAN>AT611904300234573201</IBAN></Id></Acct>
%s
</Stmt></BkToCstmrStmt></Document>"""
ENTRY = """<Ntry><Amt Ccy="%s">%s</Amt><CdtDbtInd>%s</CdtDbtInd><ValDt><Dt>2025-12-15</Dt></ValDt><AcctSvcrRef>%s</AcctSvcrRef><NtryDtls><TxDtls>
<RltdPties><Dbtr><Nm>%s</Nm></Dbtr></RltdPties><RmtInf><Ustrd>%s</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""
MT940 = """:20:START
:25:AT611904300234573201
:28C:12/1
:60F:C251214EUR1000,00
:61:2512151215C10,00NTRFNONREF//B1
:86:Invoice RF-2025-000001 thank you
:61:2512151215D5,00NTRFNONREF//B2
:86:Bank fee
:62F:C251215EUR1005,00
"""


def camt(*entries: str) -> bytes:
    """Entries written as `currency amount CRDT|DBIT reference | payer | text`."""
    rows = []
    for entry in entries:
        head, name, text = (part.strip() for part in entry.split("|"))
        rows.append(ENTRY % (*head.split(), name, text))
    return (CAMT % "\n".join(rows)).encode()


def issued(number: str, party: str, total: int, currency: str = "EUR") -> Invoice:
    import msgspec

    from assurance.invoice import Document
    from core.billing import Legal, LegalEntity

    document = Document(
        kind="invoice", currency=currency, decimals=2, issuer=LegalEntity(tenant="t1", name="ring"),
        party=Party(tenant="t1", name=party, legal=Legal(legal_name=f"{party.upper()} GmbH")), agreement="", from_day="2025-11-01",
        until_day="2025-12-01", payment_days=30, lines=(), taxes=(), net=total, tax=0, total=total,
    )  # fmt: skip
    return Invoice(
        f"invoice-{number}", "t1", party, "", currency, 1, "invoice", "issued", "ring", number, "", 0, 0, 1, 0, "answer", "2025-11-01", "2025-12-01",
        msgspec.json.encode(document).decode(), total, 0, total, "", "ops", NOW, NOW, NOW,
    )  # fmt: skip


@pytest.fixture
def conn(books_dsn):
    from books import invoices

    engine = open_books(books_dsn)
    with writing(engine) as conn:
        tenants.add(conn, "t1", 1)
        rows = [issued("RF-2025-000001", "acme", 1000), issued("RF-2025-000002", "acme", 500), issued("RF-2025-000003", "blue", 700)]
        invoices.add(conn, rows)
        for one in rows:
            revenue, receivable = Account("t1", "revenue", one.currency), Account("t1", "receivable", one.currency, one.party)
            ledger.post(conn, ledger.transfer("invoice", one.id, revenue, receivable, one.total * 10**7), NOW)
        yield conn
    engine.dispose()


def outcome(conn, content: bytes) -> tuple[list[str], list[str], int]:
    done = import_file(conn, "", content, "statement.xml", "ops", NOW)
    return [one.why for one in done.matched], [one.why for one in done.unmatched], done.known


@pytest.mark.parametrize(
    ("entry", "matched", "unmatched", "left"),
    [
        ("EUR 10.00 CRDT B1 | Somebody | invoice RF-2025-000001", ["its text names RF-2025-000001"], [], ("acme", 5)),
        ("EUR 10.00 CRDT B1 | Somebody | RF 2025 000001", ["its text names RF-2025-000001"], [], ("acme", 5)),
        ("EUR 12.00 CRDT B1 | ACME GmbH | thanks", ["the payer's name is ACME GmbH"], [], ("acme", 3)),
        ("EUR 7.00 CRDT B1 | Somebody | thanks", ["RF-2025-000003 alone has this amount open"], [], ("blue", 0)),
        ("EUR 8.00 CRDT B1 | Somebody | thanks", [], ["its text names no invoice, and payer and amount fit nobody alone"], ("blue", 7)),
        ("USD 10.00 CRDT B1 | Somebody | RF-2025-000001", [], ["its text names an invoice in EUR, and it is in USD"], ("acme", 15)),
        ("USD 10.00 CRDT B1 | ACME GmbH | x", [], ["acme owes in EUR, not in USD: change the money first, or record it as a prepayment."],
         ("acme", 15)),
        ("EUR 10.00 CRDT B1 | x | RF-2025-000001 RF-2025-000003", [], ["its text names invoices of acme, blue"], ("acme", 15)),
        ("EUR 10.00 DBIT B1 | Somebody | RF-2025-000001", [], [], ("acme", 15)),
    ],
)  # fmt: skip
def test_an_entry_is_matched_or_waits_with_the_reason(conn, entry, matched, unmatched, left):
    assert outcome(conn, camt(entry)) == (matched, unmatched, 0)
    party, euros = left
    assert ledger.balance(conn, Account("t1", "receivable", "EUR", party)) == euros * 10**9
    assert outcome(conn, camt(entry)) == ([], [], len(matched) + len(unmatched)), "the file again changes nothing"
    assert ledger.balance(conn, Account("t1", "receivable", "EUR", party)) == euros * 10**9 and ledger.faults(conn) == []


def test_an_entry_that_waits_is_given_to_a_party_by_a_person(conn):
    outcome(conn, camt("EUR 8.00 CRDT B1 | Somebody | thanks"))
    (entry,) = bank_entries.waiting(conn, "t1")
    done = bank_files.assign(conn, "", entry.id, "acme", "ops", NOW)
    assert done.allocated == [("RF-2025-000001", 800)] and bank_entries.waiting(conn, "t1") == []
    with pytest.raises(payments.Refused, match="already"):
        bank_files.assign(conn, "", entry.id, "blue", "ops", NOW)


def test_an_entry_that_is_nobodys_payment_is_dismissed_and_may_be_taken_back(conn):
    outcome(conn, camt("EUR 8.00 CRDT B1 | Bank | interest"))
    (entry,) = bank_entries.waiting(conn, "t1")
    with pytest.raises(BadArgument, match="Say why"):
        bank_files.dismiss(conn, "", entry.id, "ops", " ", NOW)
    bank_files.dismiss(conn, "", entry.id, "ops", "interest", NOW)
    assert bank_entries.waiting(conn, "t1") == []
    assert outcome(conn, camt("EUR 8.00 CRDT B1 | Bank | interest")) == ([], [], 1), "the file again does not bring it back"
    assert bank_files.assign(conn, "", entry.id, "acme", "ops", NOW).allocated == [("RF-2025-000001", 800)]
    with pytest.raises(payments.Refused, match="already"):
        bank_files.dismiss(conn, "", entry.id, "ops", "interest", NOW)


def test_mt940_is_read_as_well(conn):
    assert outcome(conn, MT940.encode()) == (["its text names RF-2025-000001"], [], 0)
    assert outcome(conn, MT940.encode()) == ([], [], 1)


def entries(content: bytes) -> list[str]:
    found = read(content, "statement", "t1", NOW)
    assert len({one.id for one in found}) == len(found)
    return [f"{one.account[-4:]} {one.nanos // 10**9} {one.text}".replace(" NONREF", "") for one in found]


def camt_entry(amount: str, details: str = "", more: str = "", reference: str = "R") -> bytes:
    row = f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>{more}<ValDt><Dt>2025-12-15</Dt></ValDt>'
    return f"{row}<AcctSvcrRef>{reference}</AcctSvcrRef><NtryDtls>{details}</NtryDtls></Ntry>".encode()


def detail(text: str, amount: str = "") -> str:
    return f"<TxDtls>{amount}<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"


TEN, TWENTY = "<AmtDtls><TxAmt><Amt Ccy='EUR'>10</Amt></TxAmt></AmtDtls>", "<AmtDtls><TxAmt><Amt Ccy='EUR'>20</Amt></TxAmt></AmtDtls>"
OTHER = MT940.replace("AT611904300234573201", "AT022050302101023600").replace("C10,00", "C20,00").replace("12/1", "7/1")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        # MT940: a statement begins at :20:, a credit that is taken back came not in, what was taken off and given back did
        (MT940 + "-\n" + OTHER, ["3201 10 Invoice RF-2025-000001 thank you", "3600 20 Invoice RF-2025-000001 thank you"]),
        (MT940.replace("1215C10", "1215RC10"), []),
        (MT940.replace("1215D5", "1215RD5"), ["3201 10 Invoice RF-2025-000001 thank you", "3201 5 Bank fee"]),
        ("\ufeff" + MT940, ["3201 10 Invoice RF-2025-000001 thank you"]),
        # CAMT: a batch is its parts where they come to it, else it is one; what is not booked is not on the account; a reference may repeat
        (camt_entry("30", detail("a", TEN) + detail("b", TWENTY)), ["3201 10 a", "3201 20 b"]),
        (camt_entry("30", detail("a", "<Amt Ccy='EUR'>10</Amt>") + detail("b", "<Amt Ccy='EUR'>20</Amt>")), ["3201 10 a", "3201 20 b"]),
        (camt_entry("30", detail("a") + detail("b")), ["3201 30 a b"]),
        (camt_entry("30", detail("a", TEN) + detail("b", TEN)), ["3201 30 a b"]),
        (camt_entry("30", detail("a"), "<Sts><Cd>PDNG</Cd></Sts>"), []),
        (camt_entry("30", detail("a"), "<Sts>BOOK</Sts>"), ["3201 30 a"]),
        (camt_entry("30", detail("a")) * 2, ["3201 30 a", "3201 30 a"]),
    ],
)
def test_each_payment_of_a_statement_is_one_entry(content, found):
    assert entries(content.encode() if isinstance(content, str) else (CAMT % content.decode()).encode()) == found


def test_utf_16_is_read():
    text = (CAMT % camt_entry("30", detail("Müller")).decode()).replace("UTF-8", "UTF-16")
    assert entries(text.encode("utf-16")) == ["3201 30 Müller"]


def test_statement_12_of_the_next_year_is_another_one(conn):
    assert outcome(conn, MT940.encode())[2] == 0
    assert outcome(conn, MT940.replace(":61:25", ":61:26").replace("C25", "C26").encode())[2] == 0


def test_the_same_statement_in_another_format_waits(conn):
    outcome(conn, MT940.encode())
    done = import_file(conn, "", camt("EUR 10.00 CRDT B1 | Somebody | invoice RF-2025-000001"), "the-same.xml", "ops", NOW)
    assert [one.why.partition(" ")[2] for one in done.unmatched] == [
        "of statement.xml has the same account, day and amount: assign this one if it is another payment"
    ]
    assert ledger.balance(conn, Account("t1", "receivable", "EUR", "acme")) == 5 * 10**9


def test_a_number_that_ends_another_one_is_not_named(conn):
    from books import invoices

    invoices.add(conn, [issued("F-2025-000001", "blue", 1000), issued("RF-2025-00000", "blue", 1000)])
    assert outcome(conn, camt("EUR 10.00 CRDT B1 | Somebody | RF-2025-000001"))[0] == ["its text names RF-2025-000001"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (MT940.replace("C10,00", "C10.x0").encode(), "line 5: .* is no entry of MT940"),
        (MT940.replace(":61:251215", ":61:251345").encode(), "statement from line 1: cannot be read"),
        (b"<Document>", "is no XML"),
        (b"<Document/>", "is no CAMT.053: it has no statement"),
        (b"date,amount\n1,2\n", "is neither CAMT.053 .* nor MT940"),
        (camt("EUR ten CRDT B1 | x | y"), r"statement 2025-12, entry 1: 'ten' is not a decimal amount"),
        (camt("EUR -5.00 CRDT B1 | x | y"), "statement 2025-12, entry 1: an amount is never below 0"),
        (camt("€ 5.00 CRDT B1 | x | y"), "statement 2025-12, entry 1: '€' is no currency"),
        (camt("EUR 5.00 CRDT B1 | x | y").replace(b"2025-12-15", b"2025-13-15"), "statement 2025-12, entry 1: '2025-13-15' is no value date"),
        (camt("EUR 5.00 CRDT B1 | x | y").replace(b"<IBAN>AT611904300234573201</IBAN>", b""), r"statement 2025-12: it names no account \(Acct/Id\)"),
        (MT940.replace(":25:AT611904300234573201\n", "").encode(), r"the statement from line 1: it names no account \(:25:\)"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(content, fault):
    with pytest.raises(BadArgument, match=fault):
        read(content, "statement.xml", "t1", NOW)


def test_an_entity_is_not_expanded():
    bomb = CAMT.replace("<Document", '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]><Document') % (
        ENTRY % ("EUR", "1", "CRDT", "B", "&f;", "&a;")
    )
    (entry,) = read(bomb.encode(), "x", "t1", NOW)
    assert "root" not in entry.name and entry.text == ""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n ", "is empty"),
        (b"\x89PNG\r\n\x1a\n", r"is a picture \(PNG\): download the statement itself"),
        (b"PK\x03\x04\x14", "is a spreadsheet or a zip archive: download"),
        (b"%PDF-1.7", "is a PDF: download"),
        (b"\n<!DOCTYPE html><html><body>Sign in<br></body>", "is a web page, perhaps of a sign-in: download"),
        (b"<Document><BkToCstmrAcctRpt/></Document>", r"is a report of a day that goes on \(CAMT.052\): import the statement \(CAMT.053\)"),
        (b"<d:Document xmlns:d='urn:camt'><d:BkToCstmrDbtCdtNtfctn/></d:Document>", r"is a notice of single entries \(CAMT.054\): import"),
        (MT940.replace(":60F:C251214EUR1000,00", ":34F:EURD0,").encode(), r"is a report of a day that goes on \(MT942\): import"),
        (camt("EUR 5.00 CRDT B1 | x | y")[:-30], "is no XML"),
    ],
)
def test_another_kind_of_file_is_named_for_what_it_is(conn, content, what):
    with pytest.raises(BadArgument, match=f"statement.xml {what}"):
        import_file(conn, "", content, "statement.xml", "ops", NOW)
    assert bank_entries.waiting(conn, "t1") == []


@pytest.mark.parametrize("day", ["<Dt>2025-12-15</Dt>", "<Dt>2025-12-15+01:00</Dt>", "<DtTm>2025-12-15T09:30:00+01:00</DtTm>"])
@pytest.mark.parametrize("of", ["ValDt", "BookgDt"])
def test_a_day_is_read_in_each_form(day, of):
    (entry,) = read(camt("EUR 1.00 CRDT B | x | y").replace(b"<ValDt><Dt>2025-12-15</Dt></ValDt>", f"<{of}>{day}</{of}>".encode()), "x", "t1", NOW)
    assert entry.value_day == "2025-12-15"


def test_a_credit_of_nothing_is_no_payment():
    assert entries(camt("EUR 0.00 CRDT B1 | Bank | interest", "EUR 1.00 CRDT B2 | x | y")) == ["3201 1 y"]
