"""Which deck a carrier is paid by, and when: the plan of his agreement, whether he has one or its short form."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from books import Connection, offers
from books import decks as deck_versions
from books.decks import DeckVersion
from core.config import Agreement, Carrier, DeckSpan, agreement_of, limits, party_of
from rating.deck import Deck
from rating.decks import read_deck
from services.deck_desk.collector import paused_collector
from services.errors import UnknownName
from services.in_force import View


@dataclass(frozen=True)
class Plan:
    """What is in force of a carrier. `agreement` None = he has no deck yet; its name "" = the short form, `buy_deck`."""

    carrier: Carrier
    agreement: Agreement | None
    shared_with: tuple[str, ...] = ()  # other carriers under the same agreement

    @property
    def spans(self) -> tuple[DeckSpan, ...]:
        """The decks and their times, in order."""
        return tuple(sorted(self.agreement.plan, key=limits)) if self.agreement else ()

    @property
    def zone(self) -> str:
        """The time zone of dates without one."""
        return self.agreement.time_zone if self.agreement else "UTC"

    @property
    def currency(self) -> str:
        """Of the carrier's decks; "" = not known."""
        return self.agreement.currency if self.agreement else ""

    def at(self, at_ms: int) -> str:
        """The name of the deck that is in force at a time; "" = none is."""
        return next((span.deck for span in self.spans if limits(span)[0] <= at_ms < limits(span)[1]), "")

    def last(self) -> str:
        """The name of the deck that comes last: the one in force when all that is planned has happened."""
        return self.spans[-1].deck if self.spans else ""


def plan_of(view: View, tenant: str, carrier: str) -> Plan:
    """What is in force of a carrier. Raises `UnknownName`."""
    row: Carrier | None = view.find("carriers", tenant, carrier)
    if row is None:
        known = sorted(one.name for one in view.every(("carriers",), {tenant}))
        raise UnknownName(f"Tenant {tenant} has no carrier {carrier!r}; there are: {', '.join(known) or 'none'}. The config file names them.")
    agreement = agreement_of(row, view.find)
    shared = ()
    if row.agreement:
        shared = tuple(sorted(one.name for one in view.every(("carriers",), {tenant}) if one.agreement == row.agreement and one.name != carrier))
    return Plan(row, agreement, shared)


def agreement_with(view: View, plan: Plan, spans: tuple[DeckSpan, ...], currency: str) -> tuple[Agreement, Carrier]:
    """The rows that put a plan in force. The short form becomes an agreement of the carrier's name, or the nearest free one."""
    carrier = plan.carrier
    if plan.agreement is not None and plan.agreement.name:
        return msgspec.structs.replace(plan.agreement, plan=spans, currency=currency), carrier
    name, number = carrier.name, 1
    while view.find("agreements", carrier.tenant, name) is not None:
        number += 1
        name = f"{carrier.name[:58]}-{number}"
    party = party_of(carrier) if carrier.party else ""
    agreement = Agreement(tenant=carrier.tenant, name=name, role="buy", party=party, plan=spans, currency=currency)
    return agreement, msgspec.structs.replace(carrier, agreement=name, buy_deck="")


def split_name(name: str) -> tuple[str, int] | None:
    """The carrier and number of a version; None = the name of a deck that was not imported here.

    >>> split_name("alpha@3"), split_name("retail")
    (('alpha', 3), None)
    """
    carrier, at, number = name.rpartition("@")
    return (carrier, int(number)) if at and carrier and number.isascii() and number.isdigit() and len(number) < 10 else None


def version_of(conn: Connection, tenant: str, name: str) -> offers.Import:
    """An imported version by its name. Raises `UnknownName`."""
    found = split_name(name)
    version = offers.find(conn, tenant, *found) if found else None
    if version is None:
        known = [one.name for one in offers.every(conn, tenant, found[0] if found else "")]
        raise UnknownName(f"There is no deck version {name!r}; there are: {', '.join(known[:12]) or 'none: `ringfence decks import` makes one'}.")
    return version


def stored(conn: Connection, view: View, tenant: str, name: str) -> DeckVersion:
    """The content of a deck by its name in the config, or of an imported version. Raises `UnknownName`."""
    deck_id = view.decks(tenant).get(name)
    if deck_id is None:
        deck_id = version_of(conn, tenant, name).deck_id
    return deck_versions.content(conn, deck_id)


def read(conn: Connection, view: View, tenant: str, name: str) -> Deck:
    """A deck by its name in the config, or an imported version. Raises `UnknownName`."""
    found = stored(conn, view, tenant, name)
    with paused_collector():
        return read_deck(found.csv, name, found.currency)
