"""Keys as text, keys that meet, and ids that are the same for the same facts."""

from __future__ import annotations

import pytest

from core.ids import derived_id, hash64
from core.orders import BlockOrder, Finding, Key, order_id, overlaps


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key(tenant="t1", account="acme"), "t1/account:acme"),
        (Key(tenant="t1", ingress_trunk="tg7"), "t1/trunk:tg7"),
        (Key(tenant="t1", account="acme", a_number="431"), "t1/account:acme/a:431"),
        (Key(tenant="t1", account="acme", a_number="431", b_range="882"), "t1/account:acme/a:431/b:882"),
    ],
)
def test_a_key_as_a_person_reads_it(key: Key, text: str):
    assert key.text() == text


@pytest.mark.parametrize(
    ("other", "meet"),
    [
        (Key(tenant="t1", account="acme", a_number="431", b_range="882"), True),
        (Key(tenant="t1", account="acme", b_range="8821"), True),
        (Key(tenant="t1", account="acme", b_range="88"), True),
        (Key(tenant="t1", ingress_trunk="tg7"), True),  # a call has both
        (Key(tenant="t2", account="acme", a_number="431", b_range="882"), False),
        (Key(tenant="t1", account="bolt", a_number="431", b_range="882"), False),
        (Key(tenant="t1", account="acme", a_number="432", b_range="882"), False),
        (Key(tenant="t1", account="acme", a_number="431", b_range="883"), False),
    ],
)
def test_keys_meet_where_some_call_is_refused_by_both(other: Key, meet: bool):
    key = Key(tenant="t1", account="acme", a_number="431", b_range="882")
    assert overlaps(key, other) is meet and overlaps(other, key) is meet


def test_an_order_has_one_id_per_finding_and_issue():
    key = Key(tenant="t1", account="acme")
    ids = {order_id(key, "f1", 1), order_id(key, "f1", 2), order_id(key, "f2", 1), order_id(Key(tenant="t1", account="bolt"), "f1", 1)}
    assert len(ids) == 4 and order_id(key, "f1", 1) in ids
    assert order_id(key, "f1", 1) == "order-dd4f9374a62bc81d5375", "a stored id: other digits would make a second order of each"


def test_facts_of_an_id_are_apart():
    assert len({derived_id("x", *facts) for facts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""))}) == 4


def test_a_key_of_state_depends_on_the_installation_and_on_each_fact():
    assert len({hash64(b"k", "t1", "acme"), hash64(b"j", "t1", "acme"), hash64(b"k", "t2", "acme"), hash64(b"k", "t1", "acme", "")}) == 4
    assert hash64(b"k", "\udcff") < 2**64, "what a caller sends need not be UTF-8"
    assert hash64(b"k" * 64 + b"x", "a") == hash64(b"k" * 64, "a"), "64 bytes of a secret are used"


def test_values_that_older_messages_lack():
    assert Finding.__struct_defaults__ == (None, 0, None) and BlockOrder.__struct_defaults__ == ("judge", False, 0, False)
