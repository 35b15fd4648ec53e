"""The answers of the SIP redirect: as `services.asking` has them, for an account that is known by its source address or by its switch."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from rating.contracts import Terms
from services.asking import AskedRoute, Asking
from switches.redirect import Call, Contact, RouteAnswer


@dataclass(eq=False)
class Redirecting:
    """Finds the account of a call, and asks."""

    asking: Asking
    _made_of: Terms | None = None
    _sources: list[tuple[Any, str, str]] = field(default_factory=list)

    def ask(self, call: Call) -> RouteAnswer:
        """The routes of a call."""
        tenant, account = self._account(call)
        if not account:
            return RouteAnswer((), "no_plan", f"{call.source} is no account's address")
        asked = AskedRoute(account=account, b_number=call.b_number, a_number=call.a_number, lrn=call.lrn)
        source = self.asking.lrn_of(tenant, asked)
        number = call.b_number.lstrip("+")
        found = self.asking.route(tenant, asked, source.ask(number)) if source else self.asking.route(tenant, asked)
        contacts = tuple(Contact(hop.gateway, hop.address, hop.number) for hop in found.routes)
        return RouteAnswer(contacts, found.cause, found.why, found.view, found.lrn)

    def _account(self, call: Call) -> tuple[str, str]:
        if call.account:
            tenant, _, account = call.account.partition("/")
            return tenant, account
        self.asking.refresh()
        terms = self.asking.terms
        if terms is not None and terms is not self._made_of:
            found = []
            for tenant, name in terms.trunks:
                trunk = terms.trunks[tenant, name]
                found += [(ipaddress.ip_network(source), tenant, trunk.account) for source in trunk.sources if trunk.account]
            self._sources = sorted(found, key=lambda one: -one[0].prefixlen)
            self._made_of = terms
        address = ipaddress.ip_address(call.source)
        return next(((tenant, account) for network, tenant, account in self._sources if address in network), ("", ""))
