"""Who is told of what, and when: a table of rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.notify import LATE_MS, MOST_AN_HOUR, RETRY_MS, Event, Target, days_of, due, hours_of, notice_id, plan, retry_at

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
    assert bool(plan([event(**of_event)], [target(**of_target)], (), {}, now_ms)) == told, what


def test_an_episode_is_one_message_per_target_whoever_plans_how_often():
    once = plan([event(), event(text="newer")], [target()], (), {}, 1)
    assert {one.id for one in once} == {notice_id("ops", "f1")}
    assert plan([event()], [target()], {one.id for one in once}, {}, 2) == []


def test_beyond_the_limit_one_message_says_that_there_are_more():
    many = [event(about=f"f{at}") for at in range(MOST_AN_HOUR + 20)]
    made = plan(many, [target()], (), {}, 1)
    assert len(made) == MOST_AN_HOUR + 1 and made[-1].about == "more/0"
    again = plan(many, [target()], {one.id for one in made}, {"ops": MOST_AN_HOUR}, 2)
    assert again == []


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
