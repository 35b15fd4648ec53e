"""Decisions on block orders: which rule wins, and how the orders of a batch affect those after them."""

from __future__ import annotations

import msgspec
import pytest

from core.decide import (
    AHEAD_MS,
    STALE_MS,
    Limits,
    Listed,
    OrderFacts,
    Suppression,
    TenantFacts,
    decide,
    decide_all,
    limit_reached,
    subject,
)
from core.orders import BlockOrder, Key
from core.safety import Protected

NOW_MS, HOUR_MS = 1_795_000_000_000, 3_600_000
ACME = Key(tenant="t1", account="acme", b_range="88213")
ALLOWED = (Listed("allow", "account", "t1", "acme", "our largest customer", "ann", 0),)
DENIED = (Listed("deny", "account", "", "acme", "known", "ann", 0),)
LIFTED = (Suppression(1, Key(tenant="t1", account="acme"), NOW_MS + 1, "ann", "a mistake"),)
NO_MORE = Limits(orders_per_minute=0)
PROTECTED = Protected(accounts=frozenset({"acme"}))


def order(key: Key = ACME, order_id: str = "o", **changes: object) -> BlockOrder:
    facts = {"created_at_ms": NOW_MS, "learned_ms": NOW_MS, "expires_at_ms": NOW_MS + HOUR_MS, "finding_id": "f", "reason": "a burst"}
    return BlockOrder(order_id=order_id, key=key, action="refuse", **(facts | changes))  # type: ignore[arg-type]


def facts(**changes: object) -> OrderFacts:
    return OrderFacts(**({"now_ms": NOW_MS, "tenants": {"t1": TenantFacts("standing")}} | changes))  # type: ignore[arg-type]


def mostly(tenant: str, keys: object, now_ms: int) -> tuple[int, int]:
    return 400, 1000


OLD, FUTURE = {"learned_ms": NOW_MS - STALE_MS - 1}, {"learned_ms": NOW_MS + AHEAD_MS + 1}


@pytest.mark.parametrize(
    ("fields", "known", "status", "opened"),
    [
        ({}, {}, "standing", True),
        ({}, {"tenants": {"t1": TenantFacts()}}, "shadow", True),
        ({}, {"protected": PROTECTED, "denied": DENIED}, "refused", False),
        ({}, {"tenants": {"t2": TenantFacts()}}, "refused", False),
        (OLD, {"denied": DENIED}, "stale", False),
        ({"learned_ms": NOW_MS - STALE_MS}, {}, "standing", True),
        (FUTURE, {"denied": DENIED}, "refused", False),
        ({"learned_ms": NOW_MS + AHEAD_MS}, {}, "standing", True),
        ({"created_at_ms": NOW_MS - HOUR_MS, "learned_ms": NOW_MS - 1, "expires_at_ms": NOW_MS}, {}, "expired", False),
        ({"created_at_ms": NOW_MS, "learned_ms": NOW_MS - 1_000, "expires_at_ms": NOW_MS + 1_000}, {}, "expired", False),
        ({}, {"suppressed": LIFTED, "blocked": {ACME: True}}, "suppressed", False),
        ({}, {"blocked": {ACME: True}, "allowed": ALLOWED, "limits": NO_MORE}, "standing", False),
        ({}, {"blocked": {ACME: False}, "allowed": ALLOWED}, "waiting", False),
        ({}, {"allowed": ALLOWED, "denied": DENIED}, "waiting", False),
        ({}, {"blocked": {ACME: False}, "limits": NO_MORE}, "standing", False),
        ({"ask": True}, {"blocked": {ACME: False}}, "standing", False),
        ({"ask": True}, {"denied": DENIED}, "standing", True),
        ({"ask": True}, {}, "waiting", False),
        ({}, {"denied": DENIED, "limits": NO_MORE}, "standing", True),
        ({}, {"limits": NO_MORE}, "waiting", False),
        ({}, {"answered": mostly}, "waiting", False),
        ({}, {"answered": lambda *_: None}, "standing", True),
        ({}, {"automatic": False, "suppressed": LIFTED, "allowed": ALLOWED, "limits": NO_MORE}, "standing", False),
        ({}, {"automatic": False, "protected": PROTECTED}, "refused", False),
    ],
)
def test_which_rule_comes_first(fields: dict[str, object], known: dict[str, object], status: str, opened: bool) -> None:
    decision = decide(order(**fields), facts(**known))
    assert (decision.status, decision.opened_key) == (status, opened), decision.why
    assert decision.why


def test_the_limits_count_what_a_batch_has_blocked_so_far() -> None:
    keys = [Key(tenant="t1", account=f"a{n}") for n in range(3)]
    orders = [order(key, f"o{n}") for n, key in enumerate(keys)] + [order(keys[0], "again"), order(keys[0], "o0")]
    at = facts(limits=Limits(orders_per_minute=2))
    assert [one.status for one in decide_all(orders, at)] == ["standing", "standing", "waiting", "standing", "repeated"]
    assert at == facts(limits=Limits(orders_per_minute=2)), "what was read stays as it was read"
    one_caller = facts(limits=Limits(distinct_subjects=1), tenants={"t1": TenantFacts("standing", 0, {subject(keys[0])})})
    assert [one.status for one in decide_all(orders[:2], one_caller)] == ["standing", "waiting"]


def test_the_share_of_answered_calls_is_asked_for_every_key_that_is_blocked_by_then() -> None:
    asked = []

    def answered(tenant: str, keys: list[Key], now_ms: int) -> tuple[int, int]:
        asked.append((tenant, set(keys), now_ms))
        return 0, 1000

    other, third = Key(tenant="t1", account="blue"), Key(tenant="t1", account="red")
    decide_all([order(ACME, "o1"), order(other, "o2")], facts(answered=answered, tenants={"t1": TenantFacts("standing", keys={third})}))
    assert asked == [("t1", {third, ACME}, NOW_MS), ("t1", {third, ACME, other}, NOW_MS)]


@pytest.mark.parametrize(("refused", "answered", "waits"), [(300, 1000, False), (301, 1000, True), (499, 499, False), (500, 500, True)])
def test_a_share_of_answered_calls_at_its_limit_is_allowed_and_one_of_few_calls_does_not_count(refused: int, answered: int, waits: bool) -> None:
    key = Key(tenant="t1", account="acme")
    assert bool(limit_reached(Limits(), key, 0, set(), (refused, answered))) == waits


def test_an_order_that_the_books_have_is_repeated_and_another_with_its_id_is_a_conflict() -> None:
    known = facts(known={"o": order()})
    assert decide(order(ask=True), known).status == "repeated"
    assert decide(order(reason="another"), known).status == "conflict"


def test_an_order_expires_by_our_clock() -> None:
    in_2100 = 4_102_444_800_000
    wrong = msgspec.structs.replace(order(), created_at_ms=in_2100, expires_at_ms=in_2100 + HOUR_MS)
    assert decide(wrong, facts()).expires_at_ms == NOW_MS + HOUR_MS


def test_documented_limits() -> None:
    assert (STALE_MS, AHEAD_MS) == (300_000, 60_000)
    assert Limits() == Limits(orders_per_minute=30, distinct_subjects=100, answered_share=0.3, answered_at_least=500)
    assert TenantFacts() == TenantFacts("shadow", 0, frozenset(), frozenset())
