"""Addresses for logs, messages and pages: never with a password."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(?i)([?&][^=&#]*(?:password|passwd|secret|token|credential|sslkey)[^=&#]*=)[^&#]*")


def without_password(address: str) -> str:
    """The address with its user and without its password, also where the password contains characters that should have been escaped.

    >>> without_password("postgresql://ringfence:s3cret@db.example:5432/books?sslmode=verify-full")
    'postgresql://ringfence@db.example:5432/books?sslmode=verify-full'
    >>> without_password("postgresql://ringfence:a/b@c?d@db.example/books"), without_password("postgresql://db/books?password=s3cret")
    ('postgresql://ringfence@db.example/books', 'postgresql://db/books?password=...')
    >>> without_password("sqlite:////srv/books.db")
    'sqlite:////srv/books.db'
    """
    # Greedy to the last @: a password may contain an @ that should have been escaped.
    shown = re.sub(r"^([\w+.-]*:/+)([^:@/?#]*)(?::.*)?@", _user, address, flags=re.DOTALL)
    return _SECRET.sub(r"\1...", shown)


def _user(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}@" if found[2] else found[1]
