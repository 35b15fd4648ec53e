"""A version in force from a date, and back: one change of the plan of the carrier's agreement, through the one publish path.

The decks of before stay in the plan with their times, so a call that was answered before the date is priced by what was agreed then, however
late its record comes. Order: the config version, then the note of the activation; one transaction, so a crash leaves neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from books import Connection, offers
from core.config import Agreement, DeckSpan, limits
from services import publishing
from services.config_file import Wrong
from services.deck_desk import plans
from services.deck_desk.importing import local_ms
from services.errors import BadArgument, ServiceError
from services.in_force import View

KEPT_DAYS = 100
"""A deck that ended longer ago leaves the plan: calls of then have been invoiced, and earlier config versions still name it."""
DAY_MS = 86_400_000


class Refused(ServiceError):
    """It cannot be activated or rolled back as things stand; the text says what to do."""


@dataclass(frozen=True)
class Activated:
    """`deck` is paid by from `from_at_ms` on, by config version `config_version`. `plan`: the decks and their times in words."""

    deck: str
    before: str
    from_at_ms: int
    config_version: int
    plan: list[str]
    notes: list[str]


def activate(conn: Connection, tenant: str, name: str, at: str, who: str, why: str, now_ms: int) -> Activated:
    """Puts a version in force from `at` on: an ISO date in the agreement's time zone, "" = the version's own date, or now if that has passed."""
    version = plans.version_of(conn, tenant, name)
    view = View(conn)
    plan = plans.plan_of(view, tenant, version.carrier)
    try:
        from_at_ms = local_ms(at, plan.zone) if at else max(version.facts.valid_from_ms or now_ms, now_ms)
    except ValueError as wrong:
        raise BadArgument(str(wrong)) from None
    before, last = plan.spans, plan.last()
    if any(span.deck == name and limits(span)[1] > max(from_at_ms, now_ms) and limits(span)[0] <= from_at_ms for span in before):
        raise Refused(f"{name} is in force from then on already: nothing was changed.")
    _check_base(view, tenant, version, plan)
    spans = (*_until(before, from_at_ms, now_ms), DeckSpan(deck=name, from_at_ms=from_at_ms))
    agreement, *rows = plans.agreement_with(view, plan, spans, version.facts.currency)
    assert isinstance(agreement, Agreement)
    unused = _unused(view, tenant, before, spans, agreement.name)
    named: dict[tuple[str, str], str | None] = {(tenant, name): version.deck_id, **dict.fromkeys(((tenant, one) for one in unused), None)}
    try:
        done = publishing.change(conn, [agreement, *rows], [], who, why, now_ms, named)
    except Wrong as wrong:
        raise Refused("The config would contradict itself: " + "; ".join(wrong.faults)) from None
    offers.activated(conn, tenant, version.carrier, name, from_at_ms, (before, spans), done.version, who, why, now_ms)
    notes = []
    if plan.shared_with:
        what = "they pay" if plan.sells else "they are paid"
        whose = "is that of" if plan.row is None else "is also that of"
        notes.append(f"Agreement {agreement.name} {whose} {', '.join(plan.shared_with)}: {what} by {name}{' as well' * (plan.row is not None)}.")
    if rows and last:
        notes.append(f"{plan.who[0].upper()}{plan.who[1:]} has an agreement {agreement.name} now, with what was its deck {last} before.")
    gone = [span.deck for span in before if limits(span)[0] >= from_at_ms]
    if gone:
        notes.append(f"{', '.join(gone)} was planned from then on, and is not any more.")
    if from_at_ms < now_ms - 1000:
        notes.append("Calls that were charged since then keep their charges until they are rated again.")
    return Activated(name, last, from_at_ms, done.version, words_of(spans, plan.zone), notes)


def rollback(conn: Connection, tenant: str, carrier: str, who: str, why: str, now_ms: int) -> Activated:
    """Takes the last activation of a carrier back: the plan is what it was before, as if it had not been."""
    view = View(conn)
    plan = plans.plan_of(view, tenant, carrier)
    last = next((one for one in offers.activations(conn, tenant, carrier) if not one.rolled_back_at_ms), None)
    if last is None:
        raise Refused(f"No version of {plan.who} was activated here: there is nothing to roll back.")
    if sorted(plan.spans, key=limits) != sorted(last.plan_after, key=limits):
        raise Refused(
            f"The agreement of {carrier} was changed since {last.deck} was activated (config version {last.config_version}): "
            "`ringfence config show --list` says by whom; activate the version that you want."
        )
    if not last.plan_before:
        raise Refused(f"Before {last.deck} {plan.who} had no deck: its calls would have no price. Activate another version instead.")
    known = view.decks(tenant)
    named: dict[tuple[str, str], str | None] = {}
    for span in last.plan_before:
        if span.deck not in known:
            named[tenant, span.deck] = plans.version_of(conn, tenant, span.deck).deck_id
    assert plan.agreement is not None
    agreement = msgspec.structs.replace(plan.agreement, plan=last.plan_before)
    for one in _unused(view, tenant, plan.spans, last.plan_before, agreement.name):
        named[tenant, one] = None
    try:
        done = publishing.change(conn, [agreement], [], who, why, now_ms, named)
    except Wrong as wrong:
        raise Refused("The config would contradict itself: " + "; ".join(wrong.faults)) from None
    offers.rolled_back(conn, last, who, why, now_ms)
    notes = []
    if last.from_at_ms <= now_ms:
        notes.append(f"Calls that {last.deck} has charged keep their charges until they are rated again.")
    now_in_force = plans.Plan(plan.name, plan.row, agreement)
    return Activated(now_in_force.last(), last.deck, now_ms, done.version, words_of(last.plan_before, plan.zone), notes)


def _check_base(view: View, tenant: str, version: offers.Import, plan: plans.Plan) -> None:
    """A version that took rows over from the deck before it is only right behind that deck."""
    last = plan.last()
    if not version.facts.carried or not version.base or any(span.deck == version.name for span in plan.spans):
        return
    if view.decks(tenant).get(last) != version.base_id:
        raise Refused(
            f"{version.name} has {version.facts.carried:,} rows of {version.base}, and {last or 'no deck'} is the last one now: "
            f"import {version.file_name} again, so that it is compared with that."
        )


def _until(spans: tuple[DeckSpan, ...], from_at_ms: int, now_ms: int) -> tuple[DeckSpan, ...]:
    """The spans before a time, the last one ended there; those that ended long ago are left out."""
    found = []
    for span in spans:
        start, end = limits(span)
        if start >= from_at_ms or end < now_ms - KEPT_DAYS * DAY_MS:
            continue
        found.append(span if end <= from_at_ms else msgspec.structs.replace(span, until_at_ms=from_at_ms))
    return tuple(found)


def _unused(view: View, tenant: str, before: tuple[DeckSpan, ...], after: tuple[DeckSpan, ...], agreement: str) -> list[str]:
    """Versions that leave the plan and that nothing else names: their names leave the config; the books keep them."""
    gone = {span.deck for span in before if plans.split_name(span.deck)} - {span.deck for span in after}
    if not gone:
        return []
    for row in view.every(("agreements", "accounts", "carriers", "parties"), {tenant}):
        if row.name != agreement:
            gone -= {span.deck for span in getattr(row, "plan", ())}
        gone -= {getattr(row, "sell_deck", ""), getattr(row, "buy_deck", "")}
    return sorted(gone)


def words_of(spans: tuple[DeckSpan, ...], zone: str) -> list[str]:
    """A plan, a line per deck.

    >>> words_of((DeckSpan(deck="alpha", until_at_ms=0), DeckSpan(deck="alpha@1", from_at_ms=0)), "UTC")
    ['alpha until 1970-01-01', 'alpha@1 from 1970-01-01']
    """
    found = []
    for span in sorted(spans, key=limits):
        words = span.deck
        if span.from_at_ms is not None:
            words += f" from {when(span.from_at_ms, zone)}"
        if span.until_at_ms is not None:
            words += f" until {when(span.until_at_ms, zone)}"
        found.append(words)
    return found


def when(at_ms: int, zone: str = "UTC") -> str:
    """A time in a time zone; a midnight is its date.

    >>> when(0), when(1_796_079_600_000, "Europe/Vienna"), when(1_796_079_600_000)
    ('1970-01-01', '2026-12-01', '2026-11-30 23:00')
    """
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    return f"{local:%Y-%m-%d}" if not (local.hour or local.minute or local.second) else f"{local:%Y-%m-%d %H:%M}"
