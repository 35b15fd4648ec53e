"""Which connection makes room for a new one while no token has been shown. Pure.

A server cannot know a good caller before it has read the caller's token. So a newcomer is always let in, and at a limit the one that makes
room for it is a connection without a token: a silent one before one that has sent a request, the oldest first, of the source address
that holds the most. Whoever shows a token leaves this list and is never closed for a newcomer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


def source_of(address: str) -> str:
    """What counts as one source: an IPv4 address, also where it is written as an IPv6 one; of IPv6 the network /64, which one line has.

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
    """An address in its one spelling: without a zone, and an IPv4 address as such. What is no address stays as it is.

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
    """The connections that have shown no token. Of one thread, or under a lock of its owner's.

    >>> door = Newcomers[str](most=3, of_source=2, patience_s=10)
    >>> door.arrive("a1", "192.0.2.1", 0), door.arrive("a2", "192.0.2.1", 1), door.arrive("b1", "192.0.2.2", 2)
    (None, None, None)
    >>> door.arrive("a3", "192.0.2.1", 3)   # the source has its two: its own oldest goes
    'a1'
    >>> door.arrive("c1", "192.0.2.3", 4)   # all places are taken: the oldest of the source that holds the most
    'a2'
    >>> door.leave("b1")                    # it has shown a token
    >>> door.overdue(13.0), door.overdue(13.0)
    (['a3'], [])
    """

    def __init__(self, most: int, of_source: int, patience_s: float) -> None:
        self._most, self._of_source, self._patience_s = most, of_source, patience_s
        self._since_s: dict[Name, float] = {}  # the oldest first
        self._source: dict[Name, str] = {}
        self._silent: dict[str, dict[Name, None]] = {}  # of each source, the oldest first
        self._asking: dict[str, dict[Name, None]] = {}

    def __len__(self) -> int:
        return len(self._since_s)

    def arrive(self, name: Name, address: str, now_s: float) -> Name | None:
        """A new connection, and the one that must be closed for it, which is forgotten."""
        self.leave(name)
        source = source_of(address)
        evicted: Name | None = None
        if self._held(source) >= self._of_source:
            evicted = self._oldest(source)
        elif len(self._since_s) >= self._most:
            evicted = self._oldest(max((*self._silent, *self._asking), key=self._held))
        if evicted is not None:
            self.leave(evicted)
        self._since_s[name], self._source[name] = now_s, source
        self._silent.setdefault(source, {})[name] = None
        return evicted

    def ask(self, name: Name) -> None:
        """The connection has sent the whole head of a request: silent ones go before it."""
        source = self._source.get(name)
        if source is not None and name in self._silent.get(source, {}):
            self._drop(self._silent, source, name)
            self._asking.setdefault(source, {})[name] = None

    def leave(self, name: Name) -> None:
        """The connection has shown a token, or has ended."""
        source = self._source.pop(name, None)
        if source is not None:
            del self._since_s[name]
            self._drop(self._silent, source, name)
            self._drop(self._asking, source, name)

    def overdue(self, now_s: float) -> list[Name]:
        """Those that have shown no token for too long. They are forgotten: close them."""
        found = []
        for name, since_s in self._since_s.items():
            if now_s - since_s < self._patience_s:
                break
            found.append(name)
        for name in found:
            self.leave(name)
        return found

    def _held(self, source: str) -> int:
        return len(self._silent.get(source, ())) + len(self._asking.get(source, ()))

    def _oldest(self, source: str) -> Name:
        return next(iter(self._silent.get(source) or self._asking[source]))

    @staticmethod
    def _drop(of_sources: dict[str, dict[Name, None]], source: str, name: Name) -> None:
        names = of_sources.get(source)
        if names is not None:
            names.pop(name, None)
            if not names:
                del of_sources[source]
