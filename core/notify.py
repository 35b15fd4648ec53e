"""Who is told of what, and when: pure decisions about notifications.

A *target* is an address with its rules. An *event* is what somebody should know: an alert, or a part that has gone silent. `plan` gives the
notices that are new; each has an id derived from target and event, so that planning again is harmless, and one episode is one message per target.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from core.ids import derived_id

Kind = Literal["email", "webhook", "chat"]
SEVERITIES = ("low", "normal", "urgent")
"""low: it only warns. normal: a block refuses the calls. urgent: calls pass and nobody has decided, or a part of ours is silent."""
NEVER = "never"

RETRY_MS = (0, 5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 18_000_000)
"""Pauses before the attempts; after the last one the notice has failed."""
MOST_AN_HOUR = 60
"""Messages per target in an hour; what comes on top is in the books and on the pages, and one message says how many there are."""
LATE_MS = 24 * 3_600_000
"""An event that is older is told to nobody."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Target(NamedTuple):
    """Where messages go. `after_ms`: only where nobody has taken the event for so long (escalation). `hours`, `days`: when; "" = at all times.
    Outside of them only events of `always` severity or above are sent at once (`never`: none); others wait for the next hours."""

    name: str
    kind: Kind
    address: str  # an e-mail address or a URL
    secret: str = ""  # of a webhook: whsec_...
    tenant: str = ""  # "" = every tenant's events
    least: str = "normal"
    after_ms: int = 0
    hours: str = ""  # 08:00-18:00
    days: str = ""  # mon-fri
    time_zone: str = "UTC"
    always: str = "urgent"
    whole_numbers: bool = False  # subscribers' numbers are not masked
    who: str = ""
    at_ms: int = 0


class Event(NamedTuple):
    """What somebody should know. `about`: the alert's id, or of a silence `silent/WHAT/SINCE`. `handled`: somebody has taken it, or it is over."""

    about: str
    tenant: str  # "" = of the installation
    severity: str
    at_ms: int
    title: str
    text: str
    handled: bool = False


class Notice(NamedTuple):
    """A message to one target. `id` is the webhook-id, and part of an e-mail's Message-ID."""

    id: str
    target: str
    about: str
    tenant: str
    severity: str
    title: str
    text: str
    escalated: bool
    event_ms: int
    next_ms: int  # when it is due


def plan(events: Iterable[Event], targets: Iterable[Target], known: Collection[str], sent_lately: dict[str, int], now_ms: int) -> list[Notice]:
    """The notices that are due now and not known yet. `sent_lately`: messages of the last hour by target.

    >>> ops = Target("ops", "email", "ops@example.net"); boss = Target("boss", "email", "boss@example.net", after_ms=900_000)
    >>> event = Event("finding-1", "t1", "urgent", 0, "calls to Latvia", "...")
    >>> [one.target for one in plan([event], [ops, boss], (), {}, 1_000)], [one.target for one in plan([event], [ops, boss], (), {}, 900_000)]
    (['ops'], ['ops', 'boss'])
    >>> plan([event._replace(handled=True)], [ops, boss], (), {}, 900_000), plan([event], [ops], [notice_id("ops", "finding-1")], {}, 1_000)
    ([], [])
    """
    found: list[Notice] = []
    wanted = list(targets)
    counts = dict(sent_lately)
    for event in sorted(events, key=lambda one: (-SEVERITIES.index(one.severity), one.at_ms, one.about)):
        for target in wanted:
            if not _concerns(target, event, now_ms) or (notice := notice_id(target.name, event.about)) in known:
                continue
            due_ms = due(target, event.severity, now_ms)
            if counts.get(target.name, 0) >= MOST_AN_HOUR:
                found += _more(target, event, known, found, now_ms)
                continue
            counts[target.name] = counts.get(target.name, 0) + 1
            found.append(_notice(notice, target, event, due_ms))
    return found


def notice_id(target: str, about: str) -> str:
    """The id of the message about an event to a target."""
    return derived_id("msg", target, about)


def _concerns(target: Target, event: Event, now_ms: int) -> bool:
    if event.handled or target.tenant not in ("", event.tenant) or event.at_ms < target.at_ms or now_ms - event.at_ms > LATE_MS:
        return False
    return SEVERITIES.index(event.severity) >= SEVERITIES.index(target.least) and now_ms - event.at_ms >= target.after_ms


def _notice(notice: str, target: Target, event: Event, due_ms: int) -> Notice:
    return Notice(
        notice, target.name, event.about, event.tenant, event.severity, event.title, event.text, target.after_ms > 0, event.at_ms, due_ms
    )


def _more(target: Target, event: Event, known: Collection[str], found: list[Notice], now_ms: int) -> list[Notice]:
    """One message per hour that says that there are more."""
    hour = now_ms // 3_600_000
    about = f"more/{hour}"
    notice = notice_id(target.name, about)
    if notice in known or any(one.id == notice for one in found):
        return []
    text = (
        f"More than {MOST_AN_HOUR} messages in an hour: further ones of this hour are not sent to this address. The alerts are on the pages; "
        "`ringfence notify log` lists what was sent."
    )
    title = f"More alerts than {MOST_AN_HOUR} an hour"
    return [Notice(notice, target.name, about, target.tenant, event.severity, title, text, False, now_ms, now_ms)]


def due(target: Target, severity: str, now_ms: int) -> int:
    """When a message may be sent: now, or at the beginning of the target's next hours.

    >>> office = Target("o", "email", "o@example.net", hours="08:00-18:00", days="mon-fri", time_zone="Europe/Vienna")
    >>> friday_evening = round(datetime(2026, 11, 27, 19, 0, tzinfo=UTC).timestamp() * 1000)
    >>> datetime.fromtimestamp(due(office, "normal", friday_evening) / 1000, UTC).isoformat()
    '2026-11-30T07:00:00+00:00'
    >>> due(office, "urgent", friday_evening) == friday_evening
    True
    """
    if target.always != NEVER and SEVERITIES.index(severity) >= SEVERITIES.index(target.always):
        return now_ms
    zone = ZoneInfo(target.time_zone)
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    first, last = hours_of(target.hours)
    days = days_of(target.days)
    for ahead in range(-1, 9):  # hours that began yesterday may go on after midnight
        day = now.date() + timedelta(days=ahead)
        if day.weekday() not in days:
            continue
        begin = datetime.combine(day, datetime.min.time(), zone) + timedelta(minutes=first)
        end = datetime.combine(day, datetime.min.time(), zone) + timedelta(minutes=last)
        if now < end:
            return max(now_ms, round(begin.timestamp() * 1000))
    return now_ms


def hours_of(text: str) -> tuple[int, int]:
    """First and last minute of a day; hours that pass midnight end after 24:00. Raises `ValueError`.

    >>> hours_of("08:00-18:30"), hours_of("22:00-06:00"), hours_of("")
    ((480, 1110), (1320, 1800), (0, 1440))
    """
    if not text:
        return 0, 24 * 60
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", text)
    if not found:
        raise ValueError(f"{text!r} are no hours such as 08:00-18:00")
    first, last = 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    return first, last + (24 * 60 if last <= first else 0)


def days_of(text: str) -> frozenset[int]:
    """Days of the week, 0 = Monday. Raises `ValueError`.

    >>> sorted(days_of("mon-fri")), sorted(days_of("sat,sun")), len(days_of(""))
    ([0, 1, 2, 3, 4], [5, 6], 7)
    """
    found: set[int] = set()
    for part in text.lower().split(",") if text else ("mon-sun",):
        first, _, last = part.strip().partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"{text!r} are no days such as mon-fri or sat,sun")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {at % 7 for at in range(begin, end + 1 + (7 if end < begin else 0))}
    return frozenset(found)


def retry_at(attempts: int, now_ms: int) -> int | None:
    """When a notice is tried again after so many failed attempts; None = never.

    >>> retry_at(1, 0), retry_at(len(RETRY_MS), 0)
    (5000, None)
    """
    return now_ms + RETRY_MS[attempts] if attempts < len(RETRY_MS) else None
