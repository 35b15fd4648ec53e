"""Invoices by mail: the PDF to the party's address, once.

Order: 1. the row that says it is being sent, with the message's id, in a transaction of its own; 2. the mail; 3. the row says that it was accepted,
or refused. A crash between 2 and 3 leaves a row that may or may not have been sent: it is not sent again, a person sees it and decides (`again`). So
nobody is mailed twice by us.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from books import invoices, reading, writing
from books.invoices import Invoice, Mail
from core.ids import derived_id
from core.text import visible
from services import invoice_files
from services.errors import BadArgument, ServiceError
from services.installation import Installation, opened_books, tenant_of
from services.invoicing import find

TIMEOUT_S = 30.0
Send = Callable[[EmailMessage], None]
"""Hands a message to a server, and returns when it was accepted."""


@dataclass(frozen=True)
class Mailed:
    """What became of an invoice: sent, known (it was sent before), or left, with the reason."""

    invoice: Invoice
    address: str
    outcome: str
    why: str = ""


def mail(installation: Installation, tenant: str, names: Sequence[str], send: Send, sender: str, now_ms: int, again: bool = False) -> list[Mailed]:
    """Mails issued invoices (no names = all of them) that were not mailed yet. One that is refused does not keep the others."""
    done = []
    with opened_books(installation) as engine:
        with reading(engine) as conn:
            tenant = tenant_of(conn, tenant)
            wanted = [find(conn, tenant, name) for name in names] or invoices.every(conn, tenant, status=("issued",))
        for one in wanted:
            document = one.read()
            address = document.party.legal.email
            if one.status != "issued" or not address:
                done.append(Mailed(one, address, "left", "it is not issued" if one.status != "issued" else "the party has no email in its `legal`"))
                continue
            with writing(engine) as conn:
                known = invoices.mail_of(conn, one.id, address)
                if known is not None and not again and known.state != "failed":
                    why = "" if known.state == "sent" else "its sending was cut off, and it may have arrived: `--again` sends it again"
                    done.append(Mailed(one, address, "known" if known.state == "sent" else "left", why))
                    continue
                row = Mail(one.id, address, f"<{derived_id('mail', one.id, address)}@ringfence>", "sending", "", now_ms)
                invoices.mailed(conn, row)
            try:
                send(message(installation, one, sender, address, row.message_id, now_ms))
                row = row._replace(state="sent")
            except (OSError, smtplib.SMTPException, ServiceError, ValueError) as refused:
                row = row._replace(state="failed", error=visible(str(refused))[:500])
            with writing(engine) as conn:
                invoices.mailed(conn, row)
            done.append(Mailed(one, address, "sent" if row.state == "sent" else "left", row.error))
    return done


def message(installation: Installation, one: Invoice, sender: str, address: str, message_id: str, now_ms: int) -> EmailMessage:
    """The message with the PDF. Raises `ValueError` for an address that cannot be one."""
    document = one.read()
    made = EmailMessage()
    what = "Credit note" if one.kind == "credit_note" else "Invoice"
    made["Subject"] = f"{what} {one.number}"
    made["From"] = Address(display_name=visible(document.issuer.legal.legal_name or document.issuer.name), addr_spec=sender)
    made["To"] = Address(addr_spec=address)
    made["Message-ID"] = message_id
    made["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    made.set_content(f"{what} {one.number} of {document.from_day} is attached.\n")
    for suffix, content in invoice_files.files(installation, one):
        kind = ("application", "pdf") if suffix == ".pdf" else ("application", "xml")
        made.add_attachment(content, maintype=kind[0], subtype=kind[1], filename=f"{one.number}{suffix}")
    return made


def smtp(url: str) -> Send:
    """Sends by `smtp://user:password@host:587` (STARTTLS where the server has it; `smtps://` TLS from the start). Raises `BadArgument`."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise BadArgument("RINGFENCE_SMTP_URL must be smtp://user:password@host:587 or smtps://user:password@host:465.")
    host, port = parts.hostname, parts.port or (465 if parts.scheme == "smtps" else 587)

    def send(made: EmailMessage) -> None:
        context = ssl.create_default_context()
        tls = parts.scheme == "smtps"
        with smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context) if tls else smtplib.SMTP(host, port, timeout=TIMEOUT_S) as server:
            server.ehlo()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
            if parts.username:
                if parts.scheme == "smtp" and not isinstance(server.sock, ssl.SSLSocket):
                    raise smtplib.SMTPException("the server has no STARTTLS: the password is not sent in the clear")
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(made)

    return send
