"""What no order may touch. The model beside it is obviously right and obviously slow: it tries every pair."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.orders import BlockOrder, Key, overlaps
from core.safety import MAX_TTL_MS, SHORT, Protected, fault, refusal

few_digits = st.text("0129", min_size=1, max_size=9)  # few, so that they meet
name = st.sampled_from(["", "acme", "bolt"])


def order(key: Key, ttl_ms: int = 3_600_000, action: str = "refuse") -> BlockOrder:
    return BlockOrder(
        order_id="o1",
        key=key,
        action=action,
        created_at_ms=1_000,
        learned_ms=1_000,
        expires_at_ms=1_000 + ttl_ms,
        finding_id="f1",
        reason="r",
    )


def model_meets(numbers: list[str], prefix: str) -> bool:
    """A range meets a number that it contains, or a full number (longer than a short one) that it extends."""
    return any(number.startswith(prefix) or (len(number) > SHORT and prefix.startswith(number)) for number in numbers)


@given(st.lists(few_digits, max_size=12), few_digits)
@example(["911"], "9111")  # 911 protects no part of Delhi
@example(["4318123"], "4318123999")  # a hospital's extensions are protected with it
@example(["112"], "1")
def test_a_range_overlaps_a_protected_number_as_in_the_model(numbers: list[str], prefix: str):
    hit = Protected(numbers=tuple(numbers)).meets(prefix)
    assert bool(hit) == model_meets(numbers, prefix)
    assert hit == "" or hit in numbers


@given(st.lists(few_digits, max_size=8), name, name, few_digits | st.just(""), few_digits | st.just(""), st.booleans())
def test_no_delivered_order_overlaps_a_protected_number(numbers: list[str], account: str, trunk: str, a: str, b: str, automatic: bool):
    key = Key(tenant="t1", account=account, ingress_trunk=trunk, a_number=a, b_range=b)
    protected = Protected(numbers=tuple(numbers), accounts=frozenset({"bolt"}), trunks=frozenset({"bolt"}))
    allowed = refusal(order(key), protected, automatic=automatic) == ""
    expected = (
        bool(account) != bool(trunk)
        and account != "bolt"
        and trunk != "bolt"
        and not (a and model_meets(numbers, a))
        and not (b and model_meets(numbers, b))
        and not a.startswith("0")  # no E.164 number does
        and not b.startswith("0")
        and not (automatic and trunk)
    )
    assert allowed == expected


def why(key: Key, automatic: bool = True, protected: Protected = Protected(), **changes) -> str:
    return refusal(order(key, **changes), protected, automatic=automatic)


def test_a_trunk_is_blocked_only_by_a_person():
    key = Key(tenant="t1", ingress_trunk="tg7")
    assert "without a person" in why(key)
    assert why(key, automatic=False) == ""


def test_an_a_number_alone_is_no_key():
    assert "must name" in why(Key(tenant="t1", a_number="4366412345"))


def test_a_key_names_one_tenant_and_one_of_account_and_trunk():
    assert "no tenant" in why(Key(tenant="", account="acme"))
    assert "one of the two" in why(Key(tenant="t1", account="acme", ingress_trunk="tg7"))


def test_an_invalid_number_or_name_never_reaches_a_table():
    for bad in ("0088213", "0664", "88a", "+88", "8" * 16, "%", "8|8", " 8", "\u0661"):
        assert "not 1 to 15 digits" in fault(Key(tenant="t1", account="acme", b_range=bad))
        assert "not 1 to 15 digits" in fault(Key(tenant="t1", account="acme", a_number=bad))
    for bad in ("a|b", "a b", "a\nb", "ä", "x" * 65, "$var(x)"):
        assert "not a name" in fault(Key(tenant="t1", account=bad))


def test_an_order_ends():
    key = Key(tenant="t1", account="acme")
    assert "time to live" in why(key, ttl_ms=0)
    assert "time to live" in why(key, ttl_ms=-1)
    assert "time to live" in why(key, ttl_ms=MAX_TTL_MS + 1)
    assert why(key, ttl_ms=MAX_TTL_MS) == ""


def test_an_order_refuses_and_nothing_else():
    assert "unknown action" in why(Key(tenant="t1", account="acme"), action="divert")


keys = st.builds(
    Key,
    tenant=st.sampled_from(["t1", "t2"]),
    account=name,
    ingress_trunk=st.sampled_from(["", "tg7"]),
    a_number=st.sampled_from(["", "1", "2"]),
    b_range=st.text("12", max_size=3),
)
calls = st.tuples(
    st.sampled_from(["t1", "t2"]),
    st.sampled_from(["acme", "bolt"]),
    st.sampled_from(["tg7", "tg8"]),
    st.sampled_from(["1", "2"]),
    st.text("12", min_size=3, max_size=4),
)


def refuses(key: Key, call: tuple[str, str, str, str, str]) -> bool:
    tenant, account, trunk, a, b = call
    return (
        key.tenant == tenant
        and key.account in ("", account)
        and key.ingress_trunk in ("", trunk)
        and key.a_number in ("", a)
        and b.startswith(key.b_range)
    )


@given(keys, keys, calls)
def test_keys_that_refuse_one_call_overlap(one: Key, other: Key, call: tuple[str, str, str, str, str]):
    if refuses(one, call) and refuses(other, call):
        assert overlaps(one, other) and overlaps(other, one)


@given(keys, keys)
def test_keys_that_overlap_have_a_call_in_common(one: Key, other: Key):
    if overlaps(one, other):
        call = (
            one.tenant,
            one.account or other.account or "acme",
            one.ingress_trunk or other.ingress_trunk or "tg7",
            one.a_number or other.a_number or "1",
            max(one.b_range, other.b_range, key=len) + "1",
        )
        assert refuses(one, call) and refuses(other, call)


@pytest.mark.parametrize(("tenant", "refused"), [("t1", True), ("t2", False)])
@pytest.mark.parametrize("party", [{"account": "acme"}, {"ingress_trunk": "in"}])
def test_a_tenants_own_name_protects_no_other_tenants(tenant: str, refused: bool, party: dict[str, str]):
    protected = Protected(accounts=frozenset({"t1/acme"}), trunks=frozenset({"t1/in"}))
    key = Key(tenant=tenant, **party)
    order = BlockOrder(
        order_id="o", key=key, action="refuse", created_at_ms=0, learned_ms=0, expires_at_ms=60_000, finding_id="f", reason="r"
    )
    assert ("is protected" in refusal(order, protected, automatic=False)) == refused
    everyones = Protected(accounts=frozenset({"acme"}), trunks=frozenset({"in"}))
    assert "is protected" in refusal(order, everyones, automatic=False)


def test_a_name_has_at_most_64_characters():
    assert fault(Key(tenant="t1", account="x" * 64)) == "" and "not a name" in fault(Key(tenant="t1", account="x" * 65))


@pytest.mark.parametrize(("ttl_ms", "is_refused"), [(0, True), (1, False), (MAX_TTL_MS, False), (MAX_TTL_MS + 1, True)])
def test_an_order_lives_from_1_ms_to_7_days(ttl_ms: int, is_refused: bool):
    order = BlockOrder(
        order_id="o", key=Key(tenant="t1", account="acme"), action="refuse", created_at_ms=5, learned_ms=5, expires_at_ms=5 + ttl_ms,
        finding_id="f", reason="r",
    )  # fmt: skip
    assert bool(refusal(order, Protected(), automatic=True)) is is_refused


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ({"account": "*", "b_range": "2217704"}, True),
        ({"account": "*", "b_range": "221770"}, False),
        ({"account": "*"}, False),
        ({"account": "*", "b_range": "2217704", "a_number": "4366012345"}, False),
        ({"ingress_trunk": "*", "b_range": "2217704"}, False),
    ],
)
def test_every_account_is_kept_from_a_long_range_alone(key: dict, allowed: bool):
    assert (fault(Key(tenant="t", **key)) == "") == allowed
