"""Who may look and who may act: two tokens. To look, a browser shows a cookie that only this installation can sign; to act, a person says
the second token and a name, which are kept on the server for as long as the session of that page lives.

>>> cookie = look_cookie("the token to look", now_s=1_000)
>>> may_look("the token to look", cookie, now_s=1_000 + LOOK_S - 1), may_look("the token to look", cookie, now_s=1_000 + LOOK_S)
(True, False)
>>> may_look("another token", cookie, now_s=1_000), may_look("the token to look", "9999999999.0", now_s=1_000)
(False, False)
"""

from __future__ import annotations

import hashlib
import hmac

LOOK_S = 12 * 3_600
"""A browser is let in for a shift; then the token is asked for again."""
MOST_NAME = 64


def same(said: str, token: str) -> bool:
    """Whether somebody said the token, in a time that tells nothing about it. No token lets nobody in.

    >>> same("s3cret", "s3cret"), same("s3cres", "s3cret"), same("", "")
    (True, False, False)
    """
    return bool(token) and hmac.compare_digest(said.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))


def look_cookie(token: str, now_s: int) -> str:
    """What a browser keeps once its person has said the token to look: until when, signed with the token, from which the token cannot be had."""
    until_s = now_s + LOOK_S
    return f"{until_s}.{_signature(token, until_s)}"


def may_look(token: str, cookie: str, now_s: int) -> bool:
    until, _, signature = cookie.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) <= 12):
        return False
    return now_s < int(until) and same(signature, _signature(token, int(until)))


def fault_of_name(name: str) -> str:
    """What is wrong with the name of a person who wants to act, or "". It stands in the audit for ever.

    >>> fault_of_name("anna.huber"), fault_of_name(" ")
    ('', 'Say who you are: the audit keeps it.')
    """
    if not name.strip():
        return "Say who you are: the audit keeps it."
    if len(name) > MOST_NAME or not name.isprintable():
        return f"A name is at most {MOST_NAME} letters that can be read."
    return ""


def _signature(token: str, until_s: int) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), f"look until {until_s}".encode(), hashlib.sha256).hexdigest()
