"""Which unauthenticated connection is closed for a new one. Pure.

A server cannot recognise a client before it has read the client's token. So a new connection is always accepted, and at a limit an
unauthenticated one is closed for it: a silent one before one that has sent a request, the oldest first, of the source address with the most
connections. A connection that authenticates is removed from this list and is never closed for a new one.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


def source_of(address: str) -> str:
    """The source that limits apply to: an IPv4 address, also where it is mapped into IPv6; of IPv6 the /64 network, which one subscriber has.

    >>> source_of("192.0.2.7"), source_of("::ffff:192.0.2.7"), source_of("::FFFF:c000:207")
    ('192.0.2.7', '192.0.2.7', '192.0.2.7')
    >>> source_of("2001:db8:1:2:3:4:5:6"), source_of("fe80::1%eth0"), source_of("::1"), source_of("")
    ('2001:db8:1:2::/64', 'fe80::/64', '::1', '')
    """
    plain = plain_address(address)
    try:
        at = ipaddress.ip_address(plain)
    except ValueError:
        return plain
    if at.version == 4 or at.is_loopback:
        return str(at)
    return str(ipaddress.ip_network((int(at), 64), strict=False))


def plain_address(address: str) -> str:
    """An address in its canonical form: without a zone, and a mapped IPv4 address as IPv4. Any other text is returned unchanged.

    >>> plain_address("::ffff:10.0.0.1"), plain_address("0:0:0:0:0:FFFF:0A00:0001"), plain_address("FE80::1%eth0"), plain_address("x")
    ('10.0.0.1', '10.0.0.1', 'fe80::1', 'x')
    """
    try:
        at = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = at.ipv4_mapped if isinstance(at, ipaddress.IPv6Address) else None
    return str(mapped or at)


class Newcomers(Generic[Name]):
    """The unauthenticated connections. Not thread-safe: used by one thread, or under a lock of its owner.

    >>> newcomers = Newcomers[str](most=3, of_source=2, patience_s=10)
    >>> newcomers.arrive("a1", "192.0.2.1", 0), newcomers.arrive("a2", "192.0.2.1", 1), newcomers.arrive("b1", "192.0.2.2", 2)
    (None, None, None)
    >>> newcomers.arrive("a3", "192.0.2.1", 3)   # its source has two already: the older of them is closed
    'a1'
    >>> newcomers.arrive("c1", "192.0.2.3", 4)   # there are three already: the oldest of the source with the most is closed
    'a2'
    >>> newcomers.leave("b1")                    # it has authenticated
    >>> newcomers.overdue(13.0), newcomers.overdue(13.0)
    (['a3'], [])
    """

    def __init__(self, most: int, of_source: int, patience_s: float) -> None:
        self._most, self._of_source, self._patience_s = most, of_source, patience_s
        self._since: dict[Name, tuple[str, float]] = {}  # source and time, the oldest first
        self._asking: set[Name] = set()

    def __len__(self) -> int:
        return len(self._since)

    def arrive(self, name: Name, address: str, now_s: float) -> Name | None:
        """Add a connection. Returns the one that the caller must close for it; that one is removed."""
        self.leave(name)
        source = source_of(address)
        counts = Counter(of for of, _ in self._since.values())
        evicted: Name | None = None
        if counts[source] >= self._of_source:
            evicted = min((one for one, (of, _) in self._since.items() if of == source), key=self._asking.__contains__)
        elif len(self._since) >= self._most:
            evicted = min(self._since, key=lambda one: (-counts[self._since[one][0]], one in self._asking))
        if evicted is not None:
            self.leave(evicted)
        self._since[name] = source, now_s
        return evicted

    def ask(self, name: Name) -> None:
        """The connection has sent the complete head of a request: silent ones are closed before it."""
        if name in self._since:
            self._asking.add(name)

    def leave(self, name: Name) -> None:
        """Remove a connection that has authenticated or ended."""
        self._since.pop(name, None)
        self._asking.discard(name)

    def overdue(self, now_s: float) -> list[Name]:
        """Remove the connections that have not authenticated in time; the caller must close them."""
        found = [name for name, (_, since_s) in self._since.items() if now_s - since_s >= self._patience_s]
        for name in found:
            self.leave(name)
        return found
