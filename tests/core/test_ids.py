"""Ids that are derived: equal facts, equal ids; keys in memory differ for each installation."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from core.ids import derived_id, hash64

facts = st.lists(st.text(max_size=4), max_size=4)


@given(facts, facts)
def test_an_id_is_that_of_its_facts_alone(one, other):
    assert re.fullmatch(r"order-[0-9a-f]{20}", derived_id("order", *one))
    assert (derived_id("order", *one) == derived_id("order", *other)) is (one == other)


@given(facts, facts)
def test_a_key_in_memory_is_that_of_its_facts_in_their_places(one, other):
    one, other = ([fact.replace("\x1f", "") for fact in some] for some in (one, other))
    assert 0 <= hash64(b"k", *one) < 2**64
    assert (hash64(b"k", *one) == hash64(b"k", *other)) is ("\x1f".join(one) == "\x1f".join(other))


def test_ids_that_are_stored_stay_as_they_are():
    assert derived_id("order", "t1/account:acme", "finding-1", 1) == "order-a93b678c2af2d89ba3ce"
    assert hash64(b"k" * 80, "t1", "a\ud800") == hash64(b"k" * 64, "t1", "a\ud800") != hash64(b"k" * 63, "t1", "a\ud800")
    assert hash64(b"k", "t1", "account", "acme") == 4551181640083683170
