"""The first call of an account to a country."""

from __future__ import annotations

STORED = {"destination": {"calls": "int64"}}

WATCHED = {"first_seen_destination": True}


def test_a_first_call_to_a_country_is_reported_once(day_of):
    day = day_of(account=WATCHED)
    day.calls(3, "37120123", talk_s=10)
    day.calls(3, "4312345", talk_s=10)
    day.tick(40 * 86_400_000)
    day.calls(1, "37120123", talk_s=10)
    assert [finding.subject for finding in day.findings] == ["acme>LV", "acme>AT"]
    assert day.findings[0].reason.startswith("acme calls Latvia for the first time: +371 20123…")


def test_it_warns_and_orders_nothing(day_of):
    day = day_of(account=WATCHED)
    day.calls(1, "37120123")
    (finding,) = day.findings
    assert not day.orders and finding.key is None and finding.reason.endswith("Not blocked: a first call to a country only warns.")


def test_an_account_that_nobody_asked_for_is_not_watched(day_of):
    day = day_of()
    day.calls(1, "37120123")
    assert not day.findings
