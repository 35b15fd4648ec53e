"""One message on its way: an e-mail, a webhook signed as Standard Webhooks says, or a line in a chat. Each raises `NotSent`, or returns when it was
accepted."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from core.notify import Notice, Target
from core.text import masked, visible
from services.errors import ServiceError
from services.mailing import Send

TIMEOUT_S = 10.0
TEAMS = ("office.com", "office365.com", "logic.azure.com", "powerplatform.com", "microsoft.com")
"""Hosts of Microsoft Teams, which takes cards and not plain text."""


class NotSent(Exception):
    """It was not accepted; `final`: another attempt would not be either."""

    def __init__(self, why: str, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


Post = Callable[[str, bytes, dict[str, str]], int]
"""(URL, body, headers) -> HTTP status. Raises `NotSent` where there was no answer."""


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Posts JSON. Redirects are not followed: a signed message goes where a person has sent it."""
    import httpx2

    try:
        with httpx2.Client(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
            return client.post(url, content=body, headers={"content-type": "application/json", **headers}).status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {error}"[:200]) from None


def deliver(notice: Notice, target: Target, now_ms: int, mail: Send | None, sender: str, post: Post = post) -> None:
    """Sends a notice to its target."""
    shown = notice if target.whole_numbers else notice._replace(title=masked(notice.title), text=masked(notice.text))
    if target.kind == "email":
        _email(shown, target, now_ms, mail, sender)
        return
    headers: dict[str, str] = {}
    if target.kind == "webhook":
        from standardwebhooks.webhooks import Webhook

        body = msgspec.json.encode(payload(shown))
        at = datetime.fromtimestamp(now_ms // 1000, UTC)
        signature = Webhook(target.secret).sign(notice.id, at, body.decode())
        headers = {"webhook-id": notice.id, "webhook-timestamp": str(now_ms // 1000), "webhook-signature": signature}
    else:
        body = msgspec.json.encode(chat(shown, urlsplit(target.address).hostname or ""))
    status = post(target.address, body, headers)
    if not 200 <= status < 300:
        raise NotSent(f"{urlsplit(target.address).hostname} answers with {status}", final=status == 410)


def payload(notice: Notice) -> dict[str, Any]:
    """The body of a webhook: type, timestamp and data, as Standard Webhooks recommends.

    >>> payload(Notice("msg-1", "ops", "finding-1", "t1", "urgent", "calls", "text", False, 0, 0))["type"]
    'alert.opened'
    """
    kind = notice.about.partition("/")[0]
    others = {"silent": "system.silent", "drift": "detector.drift", "more": "alert.more", "test": "test"}
    type_ = others.get(kind, "alert.escalated" if notice.escalated else "alert.opened")
    data = {name: getattr(notice, name) for name in ("about", "tenant", "severity", "title", "text")}
    return {"type": type_, "timestamp": datetime.fromtimestamp(notice.event_ms / 1000, UTC).isoformat(), "data": data}


def chat(notice: Notice, host: str) -> dict[str, Any]:
    """The body for a chat's incoming webhook: `text` for Slack, Mattermost and others, an Adaptive Card for Teams.

    >>> chat(Notice("msg-1", "ops", "f", "t1", "urgent", "42 calls <b>", "a & b", True, 0, 0), "hooks.slack.com")
    {'text': '[urgent, nobody has taken it] *42 calls &lt;b&gt;*\\na &amp; b'}
    """
    head = f"[{notice.severity}{', nobody has taken it' if notice.escalated else ''}]"
    if any(host == one or host.endswith(f".{one}") for one in TEAMS):
        blocks = [
            {"type": "TextBlock", "text": f"{head} {notice.title}", "weight": "Bolder", "wrap": True},
            {"type": "TextBlock", "text": notice.text, "wrap": True},
        ]
        card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": blocks}
        return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]}
    title, text = (part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for part in (notice.title, notice.text))
    return {"text": f"{head} *{title}*\n{text}"}


def _email(notice: Notice, target: Target, now_ms: int, mail: Send | None, sender: str) -> None:
    if mail is None or not sender:
        raise NotSent("no mail server: set RINGFENCE_SMTP_URL and RINGFENCE_MAIL_FROM")
    made = EmailMessage()
    urgent = "URGENT: " if notice.severity == "urgent" else ""
    made["Subject"] = visible(f"{urgent}{'nobody has taken it: ' if notice.escalated else ''}{notice.title}")[:200]
    try:
        made["From"] = Address(display_name="Ringfence", addr_spec=sender)
        made["To"] = Address(addr_spec=target.address)
        made["Message-ID"] = f"<{notice.id}@ringfence>"
        made["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
        made["Auto-Submitted"] = "auto-generated"
        if notice.severity == "urgent":
            made["Importance"] = "high"
        made.set_content(f"{notice.text}\n")
        mail(made)
    except (OSError, smtplib.SMTPException, ServiceError, ValueError) as refused:
        raise NotSent(f"{type(refused).__name__}: {refused}"[:200]) from None
