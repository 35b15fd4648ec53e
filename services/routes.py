"""Which gateways a call is tried over by what is in force, and why."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from core.numbers import E164_KINDS, DialPlan, normalise
from rating.contracts import Terms
from rating.deck import Call
from rating.routes.choose import Choice, choose
from rating.routes.durations import Durations, observed
from rating.routes.live import Live
from rating.routes.view import View, view_of
from services.errors import BadArgument, NoInstallation, UnknownName
from services.installation import Installation
from services.reading import warehouse
from warehouse import WarehouseError, ask, queries

log = structlog.get_logger(__name__)

OBSERVED_DAYS = 28


class Asked(NamedTuple):
    """A call that somebody asks the routes of; numbers as people write them."""

    account: str
    b_number: str
    a_number: str = ""
    lrn: str = ""
    plan: str = ""  # instead of the account's own
    at_ms: int = 0


class Routes(NamedTuple):
    """The choice, by which view, and whether durations were observed or are the prior's."""

    choice: Choice
    view: View
    call: Call
    is_observed: bool


def explained(terms: Terms, tenant: str, asked: Asked, live: Live, durations: Durations) -> Routes:
    """The candidates of a call. Raises `BadArgument` (no number), `UnknownName` (no account, no plan)."""
    call = Call(digits_of(asked.b_number), digits_of(asked.a_number), digits_of(asked.lrn))
    if not call.b_number:
        raise BadArgument(f"{asked.b_number!r} is no number with a country code: write it as +43 1 234567")
    if terms.find("accounts", tenant, asked.account) is None:
        raise UnknownName(f"There is no account {asked.account!r}: add it and publish a new config version.")
    view = view_of(terms, tenant, asked.account, asked.at_ms, asked.plan)
    if isinstance(view, str):
        raise UnknownName(f"{view[0].upper()}{view[1:]}.")
    return Routes(choose(view, call, live, durations), view, call, bool(durations.profiles))


def digits_of(text: str) -> str:
    """The E.164 digits of a number as people write it; "" = it is none."""
    found = normalise(text, DialPlan())
    return found.digits if found.kind in E164_KINDS else ""


def durations_of(installation: Installation, tenant: str, now_ms: int) -> Durations:
    """What the calls of the last weeks last, by destination; nothing observed where the warehouse does not answer."""
    try:
        with warehouse(installation) as client:
            rows = ask(client, queries.durations(now_ms - OBSERVED_DAYS * 86_400_000, tenant))
    except (WarehouseError, NoInstallation) as error:
        log.warning("the durations of calls cannot be read: those of calls at large count", error=str(error))
        return Durations()
    return observed((row["digits"], row["talk_ms"], row["attempts"]) for row in rows)


def live_of(installation: Installation, tenant: str) -> Live:
    """What is known of carriers and gateways at this moment."""
    return Live()
