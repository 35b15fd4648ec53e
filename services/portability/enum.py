"""A dip by ENUM (RFC 6116): the digits reversed under a zone, and the routing number in the tel URI of its NAPTR record (RFC 4769)."""

from __future__ import annotations

import re

import dns.exception
import dns.rdatatype
import dns.resolver

from services.portability.dip import DipError

_RN = re.compile(r";rn=\+?([0-9]{2,18})")


class EnumDip:
    """One zone at one server (HOST:PORT; "" = the machine's own)."""

    def __init__(self, zone: str, server: str, timeout_ms: int) -> None:
        self._zone, self._timeout_ms = zone.strip("."), timeout_ms
        self._resolver = dns.resolver.Resolver(configure=not server)
        if server:
            host, _, port = server.rpartition(":")
            self._resolver.nameservers = [host.strip("[]")]
            self._resolver.port = int(port)

    def ask(self, number: str) -> str:
        """As `services.portability.dip.Dip`."""
        name = f"{'.'.join(reversed(number))}.{self._zone}."
        try:
            found = self._resolver.resolve(name, "NAPTR", lifetime=self._timeout_ms / 1000, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ""
        except dns.exception.Timeout:
            raise DipError(f"the name server did not answer within {self._timeout_ms} ms") from None
        except (dns.exception.DNSException, OSError) as error:
            raise DipError(f"the name server cannot be asked: {error}") from None
        return routing_number([(row.order, row.preference, row.service, row.regexp) for row in found])


def routing_number(rows: list[tuple[int, int, bytes, bytes]]) -> str:
    """The routing number of NAPTR records (order, preference, service, regexp): of the first that is for the PSTN and has one.

    >>> routing_number([(10, 20, b"E2U+pstn:tel", b"!^.*$!tel:+43664123456;npdi;rn=+4369911!"), (10, 10, b"E2U+sip", b"!^.*$!sip:x@y!")])
    '4369911'
    """
    for _, _, service, regexp in sorted(rows):
        if b"pstn" in service.lower() and (found := _RN.search(regexp.decode("utf-8", "replace"))):
            return found[1]
    return ""
