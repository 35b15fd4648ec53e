"""Which receiver gets which message, and when: pure decisions about notifications.

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
MOST_PER_HOUR = 60
"""Messages per target and hour, not counting less urgent ones: those never crowd out an urgent one. What comes on top is on the pages, is never sent
by itself (hours later it would hide what is new), and one message says so."""
HOUR_MS = 3_600_000
LATE_MS = 24 * 3_600_000
"""No message is sent about an event that is older."""

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
    """What somebody should know. `about`: the alert's id; of a silence `silent/WHAT/SINCE`; of a detector that is right less often
    `drift/TENANT/DETECTOR/WHEN`. `handled`: somebody has taken it, or it is over."""

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


class Plan(NamedTuple):
    """The notices that are new: those to send, and those beyond the limit of an hour, which are stored and not sent."""

    send: list[Notice]
    beyond: list[Notice]


class SentAt(NamedTuple):
    """When a message was sent, or is to be sent."""

    target: str
    severity: str
    at_ms: int


def plan(events: Iterable[Event], targets: Iterable[Target], known: Collection[str], sent: Iterable[SentAt], now_ms: int) -> Plan:
    """The notices that are due now and not known yet. `sent`: messages of the last hour, and those that wait.

    >>> ops = Target("ops", "email", "ops@example.net"); boss = Target("boss", "email", "boss@example.net", after_ms=900_000)
    >>> event = Event("finding-1", "t1", "urgent", 0, "calls to Latvia", "...")
    >>> [[one.target for one in plan([event], [ops, boss], (), (), at_ms).send] for at_ms in (1_000, 900_000)]
    [['ops'], ['ops', 'boss']]
    >>> plan([event._replace(handled=True)], [ops], (), (), 1_000).send, plan([event], [ops], [notice_id("ops", "finding-1")], (), 1_000).send
    ([], [])
    """
    found = Plan([], [])
    wanted, times = list(targets), list(sent)
    for event in sorted(events, key=lambda one: (-SEVERITIES.index(one.severity), one.at_ms, one.about)):
        for target in wanted:
            if not _concerns(target, event, now_ms) or (notice := notice_id(target.name, event.about)) in known:
                continue
            due_ms = due(target, event.severity, now_ms)
            planned = _notice(notice, target, event, due_ms)
            if _in_hour(times, target, event.severity, due_ms) < MOST_PER_HOUR:
                times.append(SentAt(target.name, event.severity, due_ms))
                found.send.append(planned)
                continue
            found.beyond.append(planned)
            more = _more(target, event, due_ms)
            if more.id not in known and all(one.id != more.id for one in found.send):
                found.send.append(more)
    return found


def _in_hour(times: Iterable[SentAt], target: Target, severity: str, due_ms: int) -> int:
    """The messages of this severity and above in the hour up to the time at which one more is due."""
    least = SEVERITIES.index(severity)
    return sum(
        one.target == target.name and due_ms - HOUR_MS < one.at_ms <= due_ms and SEVERITIES.index(one.severity) >= least for one in times
    )


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


def _more(target: Target, event: Event, due_ms: int) -> Notice:
    """The message, one per hour and severity, that there are more."""
    about = f"more/{due_ms // HOUR_MS}/{event.severity}"
    text = (
        f"There are more than {MOST_PER_HOUR} messages of severity {event.severity} or above in an hour: the further ones are not sent to this "
        "address. All alerts are on the pages; `ringfence notify log` lists what was sent and what was not."
    )
    title = f"More than {MOST_PER_HOUR} alerts per hour"
    notice = notice_id(target.name, about)
    return Notice(notice, target.name, about, target.tenant, event.severity, title, text, False, due_ms, due_ms)


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
