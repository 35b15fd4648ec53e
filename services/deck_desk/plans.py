"""Which deck a carrier is paid by, or a customer pays by, and when: the plan of the agreement, whether there is one or its short form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from books import Connection, offers
from books import decks as deck_versions
from books.decks import DeckVersion
from core.config import Account, Agreement, Carrier, DeckSpan, Party, Role, agreement_of, chain_of, limits, party_of
from rating.deck import Deck
from rating.decks import read_deck
from services.deck_desk.collector import paused_collector
from services.errors import BadArgument, UnknownName
from services.in_force import View


@dataclass(frozen=True)
class Plan:
    """What is in force of a carrier, or of somebody that is sold to. `agreement` None = there is no deck yet; its name "" = the short form,
    `buy_deck` or `sell_deck` of `row`. `row` None = versions belong to the agreement itself, `name` is the agreement's."""

    name: str
    row: Carrier | Account | Party | None
    agreement: Agreement | None
    shared_with: tuple[str, ...] = ()  # others under the same agreement

    @property
    def sells(self) -> bool:
        """Whether calls are sold by it, rather than bought."""
        return not isinstance(self.row, Carrier)

    @property
    def who(self) -> str:
        """Whose deck it is, for a person."""
        kind = {Carrier: "carrier", Account: "account", Party: "reseller"}.get(type(self.row), "agreement")  # type: ignore[arg-type]
        return f"{kind} {self.name}"

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
        """Of its amounts; "" = not known."""
        return self.agreement.currency if self.agreement else ""

    def at(self, at_ms: int) -> str:
        """The name of the deck that is in force at a time; "" = none is."""
        return next((span.deck for span in self.spans if limits(span)[0] <= at_ms < limits(span)[1]), "")

    def last(self) -> str:
        """The name of the deck that comes last: the one in force when all that is planned has happened."""
        return self.spans[-1].deck if self.spans else ""


def plan_of(view: View, tenant: str, name: str) -> Plan:
    """What is in force of a carrier, of a sell agreement, or of an account or reseller without an agreement, by its name. Raises `UnknownName`."""
    row = view.find("carriers", tenant, name)
    if row is not None:
        return Plan(name, row, agreement_of(row, view.find), _shared(view, "carriers", row))
    agreement: Agreement | None = view.find("agreements", tenant, name)
    if agreement is not None and agreement.role == "sell":
        shared = (one for kind in ("accounts", "parties") for one in view.every((kind,), {tenant}) if one.agreement == name)
        return Plan(name, None, agreement, tuple(sorted(one.name for one in shared)))
    for kind in ("accounts", "parties"):
        row = view.find(kind, tenant, name)
        if row is not None and not row.agreement:
            return Plan(name, row, agreement_of(row, view.find))
    known = sorted(one.name for one in view.every(("carriers",), {tenant}))
    raise UnknownName(f"Tenant {tenant} has no carrier {name!r}; there are: {', '.join(known) or 'none'}. The config file names them.")


def _shared(view: View, kind: str, row: Any) -> tuple[str, ...]:
    if not row.agreement:
        return ()
    others = (one.name for one in view.every((kind,), {row.tenant}) if one.agreement == row.agreement and one.name != row.name)
    return tuple(sorted(others))


def sold_to(view: View, tenant: str, name: str) -> str:
    """Under which name versions of a sell deck are kept: the agreement of an account or reseller, or the agreement of that name itself, or an
    account or reseller that has none. Raises `UnknownName`, `BadArgument`."""
    rows = [row for kind in ("accounts", "parties") if (row := view.find(kind, tenant, name)) is not None]
    found: str = next((row.agreement for row in rows if row.agreement), name)
    agreement: Agreement | None = view.find("agreements", tenant, found)
    if agreement is None and not rows:
        raise UnknownName(f"Tenant {tenant} has no account, reseller or agreement {name!r}. The config file names them.")
    if agreement is not None and agreement.role != "sell":
        raise BadArgument(f"Agreement {found} is a buy agreement: name the carrier with --carrier.")
    if agreement is not None and agreement.markup is not None:
        raise BadArgument(f"Agreement {found} is a mark-up over the decks of the reseller above: import the deck of that one.")
    if view.find("carriers", tenant, found) is not None:
        raise BadArgument(f"A carrier is called {found} as well, and versions are called by that name: give the agreement another one.")
    return found


def accounts_under(view: View, tenant: str, plan: Plan) -> list[str]:
    """The accounts whose calls are charged by a sell plan, at whatever level."""

    def is_its(row: Account | Party) -> bool:
        if plan.row is not None:
            return row == plan.row
        return bool(row.agreement) and row.agreement == plan.name

    return sorted(one.name for one in view.every(("accounts",), {tenant}) if any(map(is_its, chain_of(one, view.find))))


def agreement_with(view: View, plan: Plan, spans: tuple[DeckSpan, ...], currency: str) -> list[Agreement | Carrier | Account | Party]:
    """The rows that put a plan in force, the agreement first. The short form becomes an agreement of the row's name, or the nearest free one."""
    if plan.agreement is not None and plan.agreement.name:
        return [msgspec.structs.replace(plan.agreement, plan=spans, currency=plan.agreement.currency or currency)]
    row = plan.row
    assert row is not None
    name, number = row.name, 1
    while view.find("agreements", row.tenant, name) is not None:
        number += 1
        name = f"{row.name[:58]}-{number}"
    party = party_of(row) if not isinstance(row, Party) and row.party else ""
    role: Role = "sell" if plan.sells else "buy"
    agreement = Agreement(tenant=row.tenant, name=name, role=role, party=party, plan=spans, currency=plan.currency or currency)
    short = {"sell_deck" if plan.sells else "buy_deck": ""}
    return [agreement, msgspec.structs.replace(row, agreement=name, **short)]


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
