"""The facts of a finding: what is not set is unknown."""

from __future__ import annotations

import msgspec

from core.facts import Facts, Share


def test_a_fact_that_is_not_set_is_unknown():
    values = msgspec.structs.asdict(Facts(subject_kind="account"))
    assert {name for name, value in values.items() if value} == {"subject_kind", "shares_are_money"}
    assert msgspec.json.encode(Facts(subject_kind="account")) == b'{"subject_kind":"account"}'


def test_facts_are_stored_and_read_again():
    facts = Facts(subject_kind="range", b_range="882", shares=[Share("acme", 5)], dialled=["1#2"], action="block")
    assert msgspec.json.decode(msgspec.json.encode(facts), type=Facts) == facts
