"""The keys of the journal: whose a record is, and whose it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.record import TICK_KEY, foreign_key, journal_key, poster_of, tenant_of

names = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), max_size=8)


@pytest.mark.parametrize(
    ("tenant", "account", "trunk", "key"),
    [("t1", "acme", "tg7", b"t1\x1facme"), ("t1", "", "tg7", b"t1\x1ftrunk:tg7"), ("t1", "", "", b"t1\x1ftrunk:"), ("", "acme", "", b"\x1facme")],
)
def test_a_key_is_the_tenant_and_the_account_or_else_the_trunk(tenant, account, trunk, key):
    assert journal_key(tenant, account, trunk) == key


@given(names, names, names.filter(bool))
def test_a_key_gives_back_its_tenant_and_a_poster_that_may_not_speak_for_it(tenant, account, poster):
    key = journal_key(tenant, account, "tg7")
    assert (tenant_of(key), poster_of(key)) == (tenant, "")
    assert (tenant_of(foreign_key(key, poster)), poster_of(foreign_key(key, poster))) == (tenant, poster)


def test_a_key_of_broken_bytes_has_a_tenant_all_the_same():
    assert tenant_of(b"t\xff\x1fx") == "t�" and poster_of(b"t\x1fx\x1fk\xff\x1fmore") == "k�\x1fmore" and poster_of(TICK_KEY) == ""
