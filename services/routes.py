"""Which gateways a call is tried over by what is in force, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import structlog

from books import Engine, alerts, reading, verdicts
from core.numbers import E164_KINDS, DialPlan, normalise
from core.scores import Scores
from detectors.route_tests import DETECTORS
from flows.scores import last_scores
from journal import JournalError, open_journal
from rating.contracts import Terms
from rating.deck import Call
from rating.routes.choose import Choice, choose
from rating.routes.durations import Durations, observed
from rating.routes.live import NOTHING_KNOWN, Live, Standing
from rating.routes.view import View, view_of
from services import lists
from services.errors import BadArgument, NoInstallation, UnknownName
from services.installation import Installation, opened_books
from services.reading import warehouse
from warehouse import WarehouseError, ask, queries

log = structlog.get_logger(__name__)

OBSERVED_DAYS = 28


class RouteRequest(NamedTuple):
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


def explained(terms: Terms, tenant: str, asked: RouteRequest, live: Live, durations: Durations) -> Routes:
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


SUSPECT_MS = 2 * 3_600_000
"""A carrier stands behind the others for so long after the last finding about it."""
TESTED_MS = 3 * 86_400_000
"""The same after the last test call of a finding: they are placed by the day, not all the time."""
TESTED = frozenset(DETECTORS.values())
CARRIER_KINDS = ("carrier", "route")
"""Kinds of a finding's subject that are a carrier, or `carrier>zone`."""


def live_of(installation: Installation, tenant: str, now_ms: int) -> Live:
    """What is known of carriers at this moment, for a program or a person that asks once."""
    journal = open_journal(installation.journal_dsn)
    try:
        found = last_scores(journal)
    except JournalError as error:
        log.warning("the scores of carriers cannot be read: none is known", error=str(error))
        found = None
    with opened_books(installation) as engine:
        return live(found, suspects(engine, tenant, now_ms), tenant, denied(engine, tenant, now_ms))


def denied(engine: Engine, tenant: str, now_ms: int) -> dict[str, str]:
    """Carriers on the deny list, and why."""
    with reading(engine) as conn:
        return lists.denied_carriers(conn, tenant, now_ms)


def live(found: Scores | None, suspected: Mapping[str, str], tenant: str, denied: Mapping[str, str] = {}) -> Live:
    """The standings of a tenant's carriers, from their scores and from what they are suspected of."""
    standings = {
        (one.carrier, one.destination): Standing(one.score, one.asr, one.attempts, suspected.get(one.carrier, ""))
        for one in (found.scores if found else ())
        if one.tenant == tenant
    }
    for carrier, why in suspected.items():
        standings.setdefault((carrier, ""), NOTHING_KNOWN._replace(suspected=why))
    return Live(standings, denied=denied)


def suspects(engine: Engine, tenant: str, now_ms: int) -> dict[str, str]:
    """Carriers about which the detectors have found something in the last hours, or test calls in the last days, and what. A cap of a carrier is
    no suspicion, and nothing is that a person called "not fraud"."""
    with reading(engine) as conn:
        findings = alerts.about(conn, tenant, CARRIER_KINDS, now_ms - TESTED_MS)
        quiet = verdicts.quiet(conn, now_ms, tenant)
    return {
        one.subject.partition(">")[0]: one.reason
        for one in findings
        if not one.detector.startswith("cap_") and verdicts.subject_of(one) not in quiet
        and one.last_ms >= now_ms - (TESTED_MS if one.detector in TESTED else SUSPECT_MS)
    }  # fmt: skip


SCORE_STEP, ASR_STEP = 0.03, 0.05


def steady(before: Live, now: Live) -> Live:
    """The standings now, where one has changed by as much as routes may change for: a score by 0.03, a share of answers by 0.05, or a
    suspicion. Else those before: routes that flutter would be delivered to every switch, for nothing."""
    if before.standings.keys() != now.standings.keys() or before.denied != now.denied:
        return now
    for key, new in now.standings.items():
        old = before.standings[key]
        if bool(new.suspected) != bool(old.suspected) or abs(new.score - old.score) >= SCORE_STEP:
            return now
        if abs((new.asr or 0.0) - (old.asr or 0.0)) >= ASR_STEP:
            return now
    return before
