"""Sessions of browsers: a cookie that only this installation can sign, with who signed in, and from when until when.

A session of the view token, or of a one-time code, has no name: it is the built-in operator's, who becomes one with a name by the action token.

>>> key = session_key("the view token", "the action token")
>>> cookie = session_cookie(key, "anna", now_s=1_000)
>>> session_of(key, cookie, now_s=1_000 + SESSION_S - 1)
Session(name='anna', from_s=1000, until_s=44200)
>>> session_of(key, cookie, now_s=1_000 + SESSION_S) is None, session_of(session_key("another", "token"), cookie, now_s=1_000) is None
(True, True)
>>> session_of(key, "YW5uYQ.1.9999999999.0", now_s=1_000) is None
True
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

SESSION_S = 12 * 3_600
"""A session lasts for one shift."""
MAX_NAME = 64


class Session(NamedTuple):
    """`name` "" = the built-in operator."""

    name: str
    from_s: int
    until_s: int


def same(entered: str, token: str) -> bool:
    """Compare an entered token in constant time. An empty token matches nothing.

    >>> same("s3cret", "s3cret"), same("s3cres", "s3cret"), same("", "")
    (True, False, False)
    """
    return bool(token) and hmac.compare_digest(entered.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))


def session_key(look: str, act: str) -> bytes:
    """The key that signs sessions. It takes both tokens: who has the view token alone must not sign a session under another name."""
    return hmac.new(act.encode("utf-8", "surrogatepass"), b"sessions of pages: " + look.encode("utf-8", "surrogatepass"), "sha256").digest()


def session_cookie(key: bytes, name: str, now_s: int) -> str:
    """The cookie of a session that begins now."""
    body = f"{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}.{now_s}.{now_s + SESSION_S}"
    return f"{body}.{_signature(key, body)}"


def session_of(key: bytes, cookie: str, now_s: int) -> Session | None:
    """The session of a cookie; None = it is not ours, or over."""
    body, _, signature = cookie.rpartition(".")
    if not same(signature, _signature(key, body)):
        return None
    name, from_s, until_s = body.split(".")
    try:
        found = Session(base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode(), int(from_s), int(until_s))
    except (binascii.Error, ValueError):
        return None
    return found if now_s < found.until_s else None


def fault_of_name(name: str) -> str:
    """What is wrong with the name of an operator who wants to act, or "". The name is stored in the audit log.

    >>> fault_of_name("anna.huber"), fault_of_name(" ")
    ('', 'Enter your name: it is recorded in the audit log.')
    """
    if not name.strip():
        return "Enter your name: it is recorded in the audit log."
    if len(name) > MAX_NAME or not name.isprintable():
        return f"A name has at most {MAX_NAME} printable characters."
    return ""


def own_path(path: str) -> str:
    """Where to go after signing in: a path of this site, else "/".

    >>> [own_path(path) for path in ("/alerts?tenant=t1", "//evil.example/", "https://evil.example", "/" + chr(92) + "evil.example")]
    ['/alerts?tenant=t1', '/', '/', '/']
    """
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable() and path.isascii()
    return path if plain and len(path) <= 2_000 else "/"


def _signature(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
