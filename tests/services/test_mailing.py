"""Invoices by mail: once to an address, whatever is killed."""

from __future__ import annotations

import socketserver
import threading
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from assurance.invoice import Document, Line
from assurance.tax import TaxLine
from books import invoices, migrate, open_books, tenants, writing
from books.invoices import Invoice
from core.billing import Legal, LegalEntity
from core.config import Party
from services import mailing
from services.errors import BadArgument
from services.installation import Installation

NOW = 1_764_633_600_000


def issued(number: str, email: str) -> Invoice:
    line = Line(kind="calls", text="Austria", amount=1000, exact_nanos="10000000000")
    tax = TaxLine(tax="at", label="USt", percent="20", row="", category="S", base=1000, amount=200, rounding="invoice")
    party = Party(tenant="t1", name="acme", legal=Legal(legal_name="ACME AG", country="AT", email=email))
    issuer = LegalEntity(tenant="t1", name="ring", legal=Legal(legal_name="Ring GmbH", country="AT", vat_number="ATU13585627"))
    document = Document(
        kind="invoice", currency="EUR", decimals=2, issuer=issuer, party=party, agreement="", from_day="2025-11-01", until_day="2025-12-01",
        payment_days=30, lines=(line,), taxes=(tax,), net=1000, tax=200, total=1200,
    )  # fmt: skip
    return Invoice(
        f"invoice-{number}", "t1", "acme", "", "EUR", 1, "invoice", "issued", "ring", number, "", 0, 0, 1, 0, "answer", "2025-11-01", "2025-12-01",
        msgspec.json.encode(document).decode(), 1000, 200, 1200, "", "ops", NOW, NOW, NOW,
    )  # fmt: skip


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation.embedded(tmp_path)
    migrate(made.books_dsn)
    engine = open_books(made.books_dsn)
    with writing(engine) as conn:
        tenants.add(conn, "t1", 1)
        invoices.add(conn, [issued("RF-1", "billing@acme.example"), issued("RF-2", "")])
    engine.dispose()
    return made


def outcomes(installation: Installation, send, **how) -> list[str]:
    done = mailing.mail(installation, "", [], send, "billing@ring.example", NOW, **how)
    return [f"{one.invoice.number} {one.outcome} {one.why}".strip() for one in done]


def test_an_invoice_is_mailed_once_with_its_files(installation: Installation):
    sent: list[EmailMessage] = []
    assert outcomes(installation, sent.append) == ["RF-1 sent", "RF-2 left the party has no email in its `legal`"]
    assert outcomes(installation, sent.append)[0] == "RF-1 known"
    (made,) = sent
    assert (made["To"], made["Subject"]) == ("billing@acme.example", "Invoice RF-1")
    assert [part.get_filename() for part in made.iter_attachments()] == ["RF-1.pdf", "RF-1.ubl.xml"]


def test_what_was_cut_off_is_not_sent_again_by_itself(installation: Installation):
    sent: list[EmailMessage] = []

    def killed_after(made: EmailMessage) -> None:
        sent.append(made)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcomes(installation, killed_after)
    assert outcomes(installation, sent.append)[0] == "RF-1 left its sending was cut off, and it may have arrived: `--again` sends it again"
    assert len(sent) == 1
    assert outcomes(installation, sent.append, again=True)[0] == "RF-1 sent"
    assert sent[0]["Message-ID"] == sent[1]["Message-ID"], "so that the receiver's server can drop the second"


def test_what_a_server_refuses_is_sent_at_the_next_time(installation: Installation):
    def refused(made: EmailMessage) -> None:
        raise OSError("connection refused")

    sent: list[EmailMessage] = []
    assert outcomes(installation, refused)[0] == "RF-1 left connection refused"
    assert outcomes(installation, sent.append)[0] == "RF-1 sent" and len(sent) == 1


@pytest.mark.parametrize("url", ["http://mail", "smtp://", "mail.example"])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(BadArgument, match="RINGFENCE_SMTP_URL must be"):
        mailing.smtp(url)


class Server(socketserver.StreamRequestHandler):
    """As much of a mail server as takes a message."""

    taken: list[bytes] = []  # noqa: RUF012

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        data = False
        for line in self.rfile:
            if data:
                self.taken.append(line)
                if line == b".\r\n":
                    data = False
                    self.wfile.write(b"250 taken\r\n")
                continue
            data = line.upper().startswith(b"DATA")
            self.wfile.write(b"354 go\r\n" if data else b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 fine\r\n")


def test_a_server_takes_the_message(installation: Installation):
    with socketserver.TCPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        assert outcomes(installation, mailing.smtp(f"smtp://127.0.0.1:{port}"))[0] == "RF-1 sent"
        assert any(b"Invoice RF-1" in line for line in Server.taken)
        with_password = mailing.smtp(f"smtp://user:secret@127.0.0.1:{port}")
        assert "not sent in the clear" in outcomes(installation, with_password, again=True)[0]
        server.shutdown()
