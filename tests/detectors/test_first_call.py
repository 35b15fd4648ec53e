"""The first call of an account to a country."""

from __future__ import annotations

import polars as pl
import pytest

from detectors.features import FEATURES
from detectors.first_call import DETECTOR
from detectors.protocol import Case, Hit, Limits

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


def test_it_warns_and_issues_no_order(day_of):
    day = day_of(account=WATCHED)
    day.calls(1, "37120123")
    (finding,) = day.findings
    assert not day.orders and finding.key is None and finding.reason.endswith("Not blocked: a first call to a country only warns.")


def test_an_account_without_the_option_is_not_watched(day_of):
    day = day_of()
    day.calls(1, "37120123")
    assert not day.findings


def rows(*changes: dict) -> pl.DataFrame:
    plain = {name: "" if FEATURES[name] == pl.String else 0 for name in DETECTOR.needs} | {"tenant": "t1", "account": "acme", "calls": 1}
    return pl.DataFrame([plain | one for one in changes], schema={name: FEATURES[name] for name in DETECTOR.needs})


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ([{"k_destination": 7}, {"k_destination": 7}, {"k_destination": 8}], [0, 2]),
        ([{"k_destination": 7, "calls": 0}, {"k_destination": 7}, {"k_destination": 7}], [1]),  # a row that begins no call
        ([{"k_destination": 7, "account": "other"}, {"k_destination": 8}, {"account": "other"}], [1]),  # another account is not watched
        ([{"k_destination": 9, "account": "other"}], []),
    ],
)
def test_the_first_row_that_begins_a_call_to_a_country_is_the_hit(changes, first):
    limits, state = Limits(first_seen={("t1", "acme")}), DETECTOR.new_state()
    frame = DETECTOR.update(state, rows(*changes), None, limits)
    hits = DETECTOR.findings(frame, None, limits)
    assert [hit.row for hit in hits] == first
    assert not first or frame["first_call"].to_list() == [int(row in first) for row in range(len(changes))]
    assert all(hit == Hit(hit.row, "cap_first_seen", "destination", 1.0, "first call", "first_seen", 1, 0) for hit in hits)
    assert not DETECTOR.findings(DETECTOR.update(state, rows(*changes), None, limits), None, limits), "it is known from then on"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"country": "LV", "b_code": 137120123456, "b_kind": "e164"}, ("LV", "Latvia", "371", "3712012", "mobile")),
        ({"country": "001", "b_code": 1881612345678, "b_kind": "e164"}, ("", "satellite", "881", "88161234", "")),
        ({"country": "", "b_code": 0, "b_kind": "invalid"}, ("", "numbers that cannot be read", "", "", "")),
    ],
)
def test_its_facts_have_the_country_or_the_kind_of_number(row, expected):
    case = Case(Hit(0, "cap_first_seen", "destination", 1.0, cap="first_seen", value=1), rows(row).row(0, named=True), {}, "EUR", [])
    facts = DETECTOR.facts(case, None)
    assert (facts.country, facts.country_name, facts.code, facts.b_range, facts.number_kind) == expected
    assert (facts.account, facts.trunk, facts.cap, facts.value, facts.currency) == ("acme", "", "first_seen", 1, "EUR")
    by_trunk = DETECTOR.facts(case._replace(row=case.row | {"account": "", "ingress_trunk": "in"}), None)
    assert (by_trunk.account, by_trunk.trunk) == ("", "in")
