"""Faults of a config, each with its field, and the meaning of the short forms."""

from __future__ import annotations

from typing import Any

import pytest

from core.config import (
    FOREVER_MS,
    ROWS,
    Account,
    Agreement,
    Caps,
    Carrier,
    Config,
    DeckSpan,
    Party,
    Range,
    Trunk,
    TrunkGroup,
    agreement_of,
    faults_of,
    limits,
    party_of,
    path,
    resellers,
    split_path,
)  # fmt: skip
from core.known import KnownRange
from core.numbers import DialPlan

T = "t1"
PARTIES = (
    Party(tenant=T, name="group", kinds=("customer", "reseller"), sell_deck="retail"),
    Party(tenant=T, name="top", kinds=("reseller",), agreement="of top"),
    Party(tenant=T, name="middle", kinds=("reseller",), agreement="of top", parent="top"),
    Party(tenant=T, name="shop", kinds=("customer",)),
    Party(tenant=T, name="unpaid", kinds=("reseller",)),
    Party(tenant=T, name="left", kinds=("reseller",), sell_deck="retail", parent="right"),
    Party(tenant=T, name="right", kinds=("reseller",), sell_deck="retail", parent="left"),
    Party(tenant=T, name="under a ghost", parent="ghost"),
)
AGREEMENTS = (
    Agreement(tenant=T, name="sale", role="sell", currency="EUR"),
    Agreement(tenant=T, name="purchase", role="buy", currency="EUR"),
    Agreement(tenant=T, name="of top", role="sell", party="top", currency="EUR"),
)
FOUND: dict[tuple[str, str, str], Any] = {
    **{("parties", T, one.name): one for one in PARTIES},
    **{("agreements", T, one.name): one for one in AGREEMENTS},
    ("accounts", T, "acme"): Account(tenant=T, name="acme"),
    ("carriers", T, "alpha"): Carrier(tenant=T, name="alpha"),
    ("dial_plans", T, "at"): DialPlan(name="at"),
    ("decks", T, "retail"): "EUR",
    ("decks", T, "dollars"): "USD",
    ("decks", T, "draft"): "",
}


def find(kind: str, tenant: str, name: str) -> Any:
    return FOUND.get((kind, tenant, name))


def account(**fields: Any) -> Account:
    return Account(tenant=T, name="acme", **fields)


def carrier(**fields: Any) -> Carrier:
    return Carrier(tenant=T, name="alpha", **fields)


def party(**fields: Any) -> Party:
    return Party(tenant=T, name="new", **fields)


def agreement(*spans: DeckSpan, **fields: Any) -> Agreement:
    return Agreement(tenant=T, name="new", **{"role": "sell", "currency": "EUR", "plan": spans, **fields})


def span(start: int | None, end: int | None, deck: str = "retail") -> DeckSpan:
    return DeckSpan(deck=deck, from_at_ms=start, until_at_ms=end)


@pytest.mark.parametrize(
    ("kind", "row", "fields"),
    [
        ("accounts", account(), []),
        ("accounts", account(sell_deck="retail", party="shop"), []),
        ("accounts", account(agreement="sale"), []),
        ("accounts", account(agreement="of top", party="top"), []),
        ("accounts", account(sell_deck="retail", agreement="sale"), ["sell_deck"]),
        ("accounts", account(sell_deck="none"), ["sell_deck"]),
        ("accounts", account(agreement="none"), ["agreement"]),
        ("accounts", account(agreement="purchase"), ["agreement"]),
        ("accounts", account(agreement="of top"), ["agreement"]),
        ("accounts", account(party="none"), ["party"]),
        ("accounts", account(caps=Caps(calls_per_second=1)), []),
        ("carriers", carrier(buy_deck="retail"), []),
        ("carriers", carrier(agreement="purchase"), []),
        ("carriers", carrier(buy_deck="none"), ["buy_deck"]),
        ("carriers", carrier(buy_deck="retail", agreement="purchase"), ["buy_deck"]),
        ("carriers", carrier(agreement="sale"), ["agreement"]),
        ("carriers", carrier(caps=Caps(calls_per_second=1)), ["caps.calls_per_second"]),
        ("trunk_groups", TrunkGroup(tenant=T, name="tg", caps=Caps(calls_per_second=1)), ["caps.calls_per_second"]),
        ("trunk_groups", TrunkGroup(tenant=T, name="tg", caps=Caps(concurrent_calls=1)), []),
        ("trunks", Trunk(tenant=T, name="in", account="acme", carrier="alpha", dial_plan="at", caps=Caps(calls_per_second=1)), []),
        ("trunks", Trunk(tenant=T, name="in", account="none", carrier="none", dial_plan="none"), ["account", "carrier", "dial_plan"]),
        ("trunks", Trunk(tenant=T, name="in"), []),
        ("trunks", Trunk(tenant="t2", name="in", account="acme"), ["account"]),
        ("ranges", Range(tenant=T, b_range="88", caps=Caps(calls_per_second=1)), []),
        ("parties", party(sell_deck="retail"), []),
        ("parties", party(parent="group"), []),
        ("parties", party(parent="middle"), []),
        ("parties", party(parent="none"), ["parent"]),
        ("parties", party(parent="shop"), ["parent"]),
        ("parties", party(parent="unpaid"), ["parent"]),
        ("parties", party(agreement="none"), ["agreement"]),
        ("parties", party(parent="left"), ["parent"]),
        ("parties", FOUND["parties", T, "left"], ["parent"]),
        ("parties", FOUND["parties", T, "middle"], ["agreement"]),
        ("agreements", agreement(), []),
        ("agreements", agreement(currency=""), []),
        ("agreements", agreement(party="none"), ["party"]),
        ("agreements", agreement(span(None, None)), []),
        ("agreements", agreement(span(None, None), currency=""), ["currency"]),
        ("agreements", agreement(span(None, None, "none")), ["plan[0].deck"]),
        ("agreements", agreement(span(None, None, "draft")), []),
        ("agreements", agreement(span(None, 5), span(5, None, "dollars")), ["plan[1].deck"]),
        ("agreements", agreement(span(5, 9), span(1, 5)), []),
        ("agreements", agreement(span(5, 9), span(1, 6)), ["plan[0]"]),
        ("agreements", agreement(span(None, 6), span(5, None)), ["plan[1]"]),
        ("agreements", agreement(span(5, 5)), ["plan[0].until"]),
        ("agreements", agreement(span(5, 6)), []),
        ("agreements", agreement(span(7, 6)), ["plan[0].until"]),
    ],
)
def test_a_fault_names_its_field(kind, row, fields):
    key = kind, row.tenant, row.name
    assert [field for field, _ in faults_of(kind, row, lambda *asked: row if asked == key else find(*asked))] == fields


@pytest.mark.parametrize(
    ("kind", "row", "fault"),
    [
        ("accounts", account(agreement="purchase"), "'purchase' is a buy agreement: name a sell agreement"),
        ("accounts", account(agreement="of top"), "'of top' is an agreement with party 'top', not with 'acme'"),
        ("parties", party(parent="shop"), "party 'shop' is not a reseller: add reseller to its kinds, or name another parent"),
        ("parties", FOUND["parties", T, "left"], "the resellers form a circle: left > right > left"),
        ("agreements", agreement(span(None, None, "dollars")), "deck 'dollars' is in USD and the agreement in EUR: add a rate USD-EUR to fx_rates"),
    ],
)
def test_a_fault_reports_the_contradiction(kind, row, fault):
    assert [text for _, text in faults_of(kind, row, find)] == [fault]


def test_the_resellers_above_a_party_are_its_parents_the_nearest_first():
    leaf = Party(tenant=T, name="leaf", parent="middle")

    def of(name: str) -> list[str]:
        return [one.name for one in resellers(T, name, lambda *key: leaf if key == ("parties", T, "leaf") else find(*key))]

    assert of("leaf") == ["middle", "top"] and of("top") == of("nobody") == of("under a ghost") == []
    assert of("left") == ["right"], "a circle ends where it would begin again"


def test_a_deck_is_short_for_an_agreement_of_its_own():
    assert agreement_of(account(sell_deck="retail", party="shop"), find) == Agreement(
        tenant=T, name="", role="sell", party="shop", plan=(DeckSpan(deck="retail"),), currency="EUR"
    )
    assert agreement_of(carrier(buy_deck="dollars"), find) == Agreement(
        tenant=T, name="", role="buy", party="alpha", plan=(DeckSpan(deck="dollars"),), currency="USD"
    )
    assert agreement_of(account(agreement="sale"), find) is FOUND["agreements", T, "sale"]
    assert agreement_of(account(), find) is agreement_of(account(sell_deck="none"), find) is agreement_of(account(agreement="none"), find) is None


def test_the_party_of_a_row_is_the_one_it_names_or_its_own_name():
    assert [party_of(row) for row in (account(), account(party="shop"), party(parent="top"))] == ["acme", "shop", "new"]


def test_a_span_without_limits_is_for_ever():
    assert limits(span(None, None)) == (-FOREVER_MS, FOREVER_MS) and limits(span(0, 0)) == (0, 0)


@pytest.mark.parametrize(("tenant", "name"), [("t1", "retail"), ("", "retail"), ("t1", "")])
def test_a_path_is_tenant_and_name(tenant, name):
    assert split_path(path(tenant, name)) == (tenant, name)


def test_every_kind_of_row_is_a_field_of_a_config_and_has_a_tenant_and_a_name():
    assert all(getattr(Config(), kind) == () for kind in ROWS)
    rows = [row(tenant="t1", **({"b_range": "88"} if row in (Range, KnownRange) else {"name": "88"}),
                **({"role": "sell"} if row is Agreement else {}), **({"day": "2026-01-01", "source": "x"} if row is KnownRange else {}))
            for row in ROWS.values()]  # fmt: skip
    assert {(row.tenant, row.name) for row in rows} == {("t1", "88")}


def test_documented_defaults():
    of_agreement, of_trunk = Agreement(tenant=T, name="a", role="sell"), Trunk(tenant=T, name="in")
    assert (of_agreement.payment_days, of_agreement.dispute_days, of_agreement.cycle, of_agreement.rounding) == (30, 30, "monthly", "half_up")
    assert (of_trunk.max_call_s, of_trunk.hung_ends, of_trunk.dial_plan) == (14_400, "sign_of_life", "e164")
    assert not (of_trunk.keepalive or of_trunk.accept_unreadable or account().first_seen_destination or Config().self_register or Config().version)
