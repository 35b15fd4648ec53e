"""Who is told of what, and when: a table of rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.notify import (
    HOUR_MS,
    LATE_MS,
    MOST_PER_HOUR,
    RETRY_MS,
    Event,
    SentAt,
    Target,
    days_of,
    due,
    hours_of,
    notice_id,
    plan,
    retry_at,
)

MIN = 60_000


def target(**more) -> Target:
    return Target(**{"name": "ops", "kind": "email", "address": "ops@example.net"} | more)


def event(**more) -> Event:
    return Event(**{"about": "f1", "tenant": "t1", "severity": "urgent", "at_ms": 0, "title": "t", "text": "x"} | more)


@pytest.mark.parametrize(
    ("what", "of_target", "of_event", "now_ms", "told"),
    [
        ("an alert that passes", {}, {}, 1, True),
        ("one that is blocked", {}, {"severity": "normal"}, 1, True),
        ("one that only warns", {}, {"severity": "low"}, 1, False),
        ("one that only warns, to somebody who wants all", {"least": "low"}, {"severity": "low"}, 1, True),
        ("one that somebody has taken", {}, {"handled": True}, 1, False),
        ("another tenant's", {"tenant": "t2"}, {}, 1, False),
        ("the installation's, to one tenant's people", {"tenant": "t1"}, {"tenant": ""}, 1, False),
        ("the installation's, to everybody's", {}, {"tenant": ""}, 1, True),
        ("an escalation too early", {"after_ms": 15 * MIN}, {}, 15 * MIN - 1, False),
        ("an escalation", {"after_ms": 15 * MIN}, {}, 15 * MIN, True),
        ("an escalation of what was taken", {"after_ms": 15 * MIN}, {"handled": True}, 15 * MIN, False),
        ("an alert from before the target was added", {"at_ms": 5}, {}, 6, False),
        ("yesterday's", {}, {}, LATE_MS + 1, False),
    ],
)
def test_who_is_told(what: str, of_target: dict, of_event: dict, now_ms: int, told: bool):
    assert bool(plan([event(**of_event)], [target(**of_target)], (), (), now_ms).send) == told, what


def test_an_episode_is_one_message_per_target_whoever_plans_how_often():
    once = plan([event(), event(text="newer")], [target()], (), (), 1).send
    assert {one.id for one in once} == {notice_id("ops", "f1")}
    assert plan([event()], [target()], {one.id for one in once}, (), 2).send == []


def test_beyond_the_limit_one_message_says_that_there_are_more():
    many = [event(about=f"f{at:03}") for at in range(MOST_PER_HOUR + 20)]
    made = plan(many, [target()], (), (), 1)
    assert len(made.send) == MOST_PER_HOUR + 1 and made.send[-1].about == "more/0/urgent"
    assert [one.about for one in made.beyond] == [f"f{at:03}" for at in range(MOST_PER_HOUR, MOST_PER_HOUR + 20)]


@pytest.mark.parametrize(
    ("what", "sent", "severity", "is_sent"),
    [
        ("an hour ago", SentAt("ops", "urgent", 0), "urgent", True),
        ("within the hour", SentAt("ops", "urgent", 1), "urgent", False),
        ("to somebody else", SentAt("boss", "urgent", 1), "urgent", True),
        ("less urgent ones", SentAt("ops", "normal", 1), "urgent", True),
        ("more urgent ones", SentAt("ops", "urgent", 1), "normal", False),
        ("waiting for the morning", SentAt("ops", "urgent", HOUR_MS + 1), "urgent", True),
    ],
)
def test_sixty_messages_per_hour_of_its_severity_and_above_leave_no_place(what: str, sent: SentAt, severity: str, is_sent: bool):
    found = plan([event(severity=severity, at_ms=HOUR_MS)], [target()], (), [sent] * MOST_PER_HOUR, HOUR_MS)
    assert [one.about for one in found.send] == (["f1"] if is_sent else [f"more/1/{severity}"]), what


def test_what_waits_for_the_morning_is_limited_in_the_morning():
    asleep = target(hours="08:00-18:00")
    night = [event(about=f"f{at:03}", severity="normal") for at in range(MOST_PER_HOUR + 20)]
    found = plan(night, [asleep], (), (), 1)
    assert {one.next_ms for one in found.send} == {8 * HOUR_MS} and found.send[-1].about == "more/8/normal"
    assert [one.about for one in plan([event(about="now")], [asleep], (), [SentAt("ops", "normal", 8 * HOUR_MS)] * 99, 2).send] == ["now"]


@pytest.mark.parametrize(
    ("rules", "severity", "now", "sent"),
    [
        ({"hours": "08:00-18:00"}, "normal", "2026-11-27T19:00", "2026-11-28T08:00"),
        ({"hours": "08:00-18:00"}, "normal", "2026-11-27T12:00", "2026-11-27T12:00"),
        ({"hours": "08:00-18:00", "days": "mon-fri"}, "normal", "2026-11-27T19:00", "2026-11-30T08:00"),
        ({"hours": "08:00-18:00", "days": "mon-fri"}, "urgent", "2026-11-27T19:00", "2026-11-27T19:00"),
        ({"hours": "08:00-18:00", "always": "never"}, "urgent", "2026-11-27T19:00", "2026-11-28T08:00"),
        ({"hours": "22:00-06:00"}, "normal", "2026-11-27T03:00", "2026-11-27T03:00"),
        ({"hours": "22:00-06:00"}, "normal", "2026-11-27T06:00", "2026-11-27T22:00"),
        ({"hours": "08:00-18:00", "time_zone": "Asia/Karachi"}, "normal", "2026-11-27T02:00", "2026-11-27T03:00"),
        ({"hours": "02:15-05:00", "time_zone": "Europe/Vienna"}, "normal", "2026-03-28T23:00", "2026-03-29T01:15"),  # an hour that is skipped
    ],
)
def test_quiet_hours_hold_a_message_back_until_they_end(rules: dict, severity: str, now: str, sent: str):
    def at(text: str) -> int:
        return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)

    found = due(target(**rules), severity, at(now))
    assert datetime.fromtimestamp(found / 1000, UTC).isoformat()[:16] == sent


@pytest.mark.parametrize("text", ["8-18", "08:00", "25:00-26:00", "08:00-18:60"])
def test_hours_that_are_none_are_refused(text: str):
    with pytest.raises(ValueError, match="08:00-18:00"):
        hours_of(text)


def test_days_may_pass_the_week_and_unknown_ones_are_refused():
    assert sorted(days_of("sat-mon")) == [0, 5, 6]
    with pytest.raises(ValueError, match="mon-fri"):
        days_of("monday")


def test_attempts_come_later_each_time_and_end():
    assert [retry_at(at, 0) for at in range(1, len(RETRY_MS) + 1)] == [*RETRY_MS[1:], None]
