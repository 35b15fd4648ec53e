"""A config is the sum of its parts: nothing is lost, and what did not change is the same part."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import ROWS, Account, Agreement, Config, Trunk
from core.parts import (
    BUCKETS,
    TYPES,
    ProtectedNames,
    Slot,
    bucket_of,
    decode_part,
    encode_part,
    hash_of,
    join,
    rows_of,
    slot_of,
    split,
)
from core.policy import Policy

names = st.sampled_from(["acme", "blue", "cargo", "b", "88"])
tenants = st.sampled_from(["", "t1", "t2"])
paths = st.sampled_from(["acme", "t1/acme", "t2/acme", "t2/blue"])
policies = st.builds(Policy, episode_ms=st.sampled_from([1, 2, 3_600_000]))
by_name = {"unique_by": lambda row: (row.tenant, row.name), "max_size": 4}
configs = st.builds(
    Config,
    version=st.just(3),
    accounts=st.lists(st.builds(Account, tenant=tenants, name=names, sell_deck=names), **by_name).map(tuple),
    trunks=st.lists(st.builds(Trunk, tenant=tenants, name=names, account=names), **by_name).map(tuple),
    agreements=st.lists(st.builds(Agreement, tenant=tenants, name=names, role=st.just("sell")), **by_name).map(tuple),
    decks=st.dictionaries(paths, st.sampled_from(["3f", "4a"]), max_size=3),
    policies=st.dictionaries(st.sampled_from(["t1", "t2"]), policies, max_size=2),
    policy=policies,
    protected_numbers=st.lists(st.sampled_from(["112", "4314040", "911"]), unique=True).map(tuple),
    protected_accounts=st.lists(paths, unique=True).map(tuple),
    protected_trunks=st.lists(paths, unique=True).map(tuple),
)  # fmt: skip


def in_order(config: Config) -> Config:
    """The same config with its rows and names in the order of tenant and name."""
    rows = {kind: tuple(sorted(getattr(config, kind), key=lambda row: (row.tenant, row.name))) for kind in ROWS}
    protected = {f"protected_{kind}": tuple(sorted(getattr(config, f"protected_{kind}"))) for kind in ("numbers", "accounts", "trunks")}
    return msgspec.structs.replace(config, **rows, **protected)


@settings(max_examples=60)
@given(configs)
def test_a_config_is_the_sum_of_its_parts_also_in_their_stored_form(config):
    parts = split(config)
    stored = {slot: encode_part(content) for slot, content in parts.items()}
    assert join(3, parts) == join(3, {slot: decode_part(slot.kind, data) for slot, data in stored.items()}) == in_order(config)
    assert {slot.kind for slot in parts} <= TYPES.keys()
    assert all(slot.bucket == 0 for slot in parts if slot.kind not in ROWS)
    assert all(slot_of(slot.kind, row) == slot for slot, content in parts.items() if slot.kind in ROWS for row in content)


@settings(max_examples=30)
@given(configs, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_part(config, chance):
    shuffled = {kind: tuple(chance.sample(getattr(config, kind), len(getattr(config, kind)))) for kind in ROWS}
    parts = split(config)
    assert split(msgspec.structs.replace(config, **shuffled)) == parts
    assert all(encode_part(content[::-1]) == encode_part(list(content)) for slot, content in parts.items() if slot.kind in ROWS)


def test_one_change_touches_one_part():
    accounts = [Account(tenant="t1", name=f"account-{n}") for n in range(1999)]
    before, after = (
        split(Config(accounts=(*accounts, Account(tenant="t1", name="account-1999", sell_deck=deck)))) for deck in ("", "retail")
    )
    assert [slot for slot in after if after[slot] != before[slot]] == [Slot("t1", "accounts", bucket_of("account-1999"))]
    assert len(before) == BUCKETS


def test_a_config_of_nothing_has_no_parts():
    assert split(Config()) == split(Config(self_register=True, default_sell_deck="x")) == {}
    assert join(5, {}) == Config(version=5)


def test_what_every_tenant_shares_belongs_to_none():
    config = Config(policy=Policy(episode_ms=1), decks={"retail": "3f"}, protected_numbers=("112",), protected_accounts=("t1/acme",))
    assert split(config) == {
        Slot("", "decks"): {"retail": "3f"}, Slot("", "policy"): Policy(episode_ms=1), Slot("", "protected"): ProtectedNames(numbers=("112",)),
        Slot("t1", "protected"): ProtectedNames(accounts=("acme",)),
    }  # fmt: skip


def test_every_row_is_listed_with_its_kind():
    config = Config(accounts=(Account(tenant="t1", name="b"), Account(tenant="t1", name="a")), trunks=(Trunk(tenant="t1", name="in"),))
    assert [(kind, row.name) for kind, row in rows_of(config)] == [("accounts", "b"), ("accounts", "a"), ("trunks", "in")]


def test_stored_hashes_and_buckets_stay_as_they_are():
    data = encode_part((Account(tenant="t1", name="acme"),))
    assert data == b'[{"tenant":"t1","name":"acme"}]' and hash_of(b"x") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert BUCKETS == 256 and [bucket_of(name) for name in ("acme", "blue", "Zoë")] == [62, 180, 42]


def test_a_part_of_another_kind_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode_part("decks", b"[]")
