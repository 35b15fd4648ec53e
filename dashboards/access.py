"""Two tokens: one to view, one to act. A viewer's browser has a cookie that only this installation can sign. To act, a person enters the
second token and a name, which the server stores for the session of that page.

>>> cookie = look_cookie("the view token", now_s=1_000)
>>> may_look("the view token", cookie, now_s=1_000 + LOOK_S - 1), may_look("the view token", cookie, now_s=1_000 + LOOK_S)
(True, False)
>>> may_look("another token", cookie, now_s=1_000), may_look("the view token", "9999999999.0", now_s=1_000)
(False, False)
"""

from __future__ import annotations

import hashlib
import hmac

LOOK_S = 12 * 3_600
"""A cookie is valid for one shift."""
MAX_NAME = 64


def same(entered: str, token: str) -> bool:
    """Compare an entered token in constant time. An empty token matches nothing.

    >>> same("s3cret", "s3cret"), same("s3cres", "s3cret"), same("", "")
    (True, False, False)
    """
    return bool(token) and hmac.compare_digest(entered.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))


def look_cookie(token: str, now_s: int) -> str:
    """The cookie of a viewer: its expiry, signed with the view token."""
    until_s = now_s + LOOK_S
    return f"{until_s}.{_signature(token, until_s)}"


def may_look(token: str, cookie: str, now_s: int) -> bool:
    until, _, signature = cookie.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) <= 12):
        return False
    return now_s < int(until) and same(signature, _signature(token, int(until)))


def fault_of_name(name: str) -> str:
    """What is wrong with the name of a person who wants to act, or "". The name is stored in the audit log.

    >>> fault_of_name("anna.huber"), fault_of_name(" ")
    ('', 'Enter your name: it is recorded in the audit log.')
    """
    if not name.strip():
        return "Enter your name: it is recorded in the audit log."
    if len(name) > MAX_NAME or not name.isprintable():
        return f"A name has at most {MAX_NAME} printable characters."
    return ""


def _signature(token: str, until_s: int) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), f"look until {until_s}".encode(), hashlib.sha256).hexdigest()
