"""Addresses: of next hops, checked; and for logs, messages and pages, never with a password."""

from __future__ import annotations

import ipaddress
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


_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def host_and_port(text: str, *, names: bool = True) -> tuple[str, int]:
    """The two parts of HOST:PORT: an IPv4 address, an IPv6 address in brackets, or (`names`) a DNS name; the port is 1 to 65535. A `ValueError`
    says what is wrong.

    >>> host_and_port("192.0.2.1:5060"), host_and_port("[2001:db8::1]:5060"), host_and_port("gw.example:5061")
    (('192.0.2.1', 5060), ('2001:db8::1', 5060), ('gw.example', 5061))
    >>> host_and_port("192.0.2.1")
    Traceback (most recent call last):
    ...
    ValueError: '192.0.2.1' has no port: write HOST:PORT, as 192.0.2.1:5060 or [2001:db8::1]:5060
    """
    host, colon, port = text.rpartition(":")
    if not colon or host.endswith(":") or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r} has no port: write HOST:PORT, as 192.0.2.1:5060 or [2001:db8::1]:5060")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} has no port from 1 to 65535 behind its last colon")
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if re.fullmatch(r"[0-9.]+", host):
        return str(ipaddress.IPv4Address(host)), int(port)
    labels = host.removesuffix(".").split(".")
    if not names or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        what = "an address or a name" if names else "an IP address"
        raise ValueError(f"{host!r} in {text!r} is not {what}: write HOST:PORT, as 192.0.2.1:5060 or [2001:db8::1]:5060")
    return host, int(port)


def _user(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}@" if found[2] else found[1]
