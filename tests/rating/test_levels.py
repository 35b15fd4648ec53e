"""A call is sold at every level: to the customer, and to each reseller above."""

from __future__ import annotations

import msgspec

from core.config import Account, Agreement, Carrier, Config, DeckSpan, Party, Trunk
from core.message import Message
from core.money import to_text
from core.record import Record, journal_key
from flows.step import State, judge
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck

T0 = 1_772_438_400_000
HOUR_MS = 3_600_000
DECKS = {
    "t1/retail": read_deck(b"prefix,price_per_min,first_s,next_s\n43,0.06,1,1", "retail", "EUR"),
    "t1/retail-2": read_deck(b"prefix,price_per_min,first_s,next_s\n43,0.12,1,1", "retail-2", "EUR"),
    "t1/wholesale": read_deck(b"prefix,price_per_min,connect_fee,first_s,next_s\n43,0.04,0.01,60,60", "wholesale", "EUR"),
    "t1/root": read_deck(b"prefix,price_per_min,first_s,next_s\n4,0.03,30,6", "root", "USD"),
    "t1/buy": read_deck(b"prefix,price_per_min,attempt_fee\n43,0.02,0.001", "buy", "EUR"),
}


def terms() -> Terms:
    plan = (DeckSpan(deck="retail", until_at_ms=T0 + HOUR_MS), DeckSpan(deck="retail-2", from_at_ms=T0 + HOUR_MS))
    config = Config(
        version=1,
        parties=(
            Party(tenant="t1", name="root", kinds=("reseller",), sell_deck="root"),
            Party(tenant="t1", name="middle", kinds=("reseller",), parent="root", sell_deck="wholesale"),
            Party(tenant="t1", name="shop", kinds=("customer",), parent="middle"),
        ),
        agreements=(Agreement(tenant="t1", name="shop-2026", role="sell", party="shop", plan=plan, currency="EUR"),),
        accounts=(Account(tenant="t1", name="acme", party="shop", agreement="shop-2026"),),
        carriers=(Carrier(tenant="t1", name="alpha", buy_deck="buy"),),
        trunks=(Trunk(tenant="t1", name="in", account="acme"),),
    )
    return compile_contracts(config, DECKS)


def charges(at_ms: int, talk_s: int = 61):
    record = Record(
        v=2, event="stop", switch="k1", boot_id="b", seq=1, dialog_id="d", call_id="c", account="acme", ingress_trunk="in", b_raw="4312345678",
        at_ms=at_ms + talk_s * 1000, answer_ms=at_ms, carrier="alpha", attempt_no=1, sip_code=200,
    )  # fmt: skip
    message = Message(0, 0, at_ms + HOUR_MS, journal_key("t1", "acme", "in"), msgspec.json.encode(record))
    outcome = judge(State(b"s" * 16), [message], lambda _: terms())
    assert outcome.records["disposition"].to_list() == ["rated"], outcome.records["reason"].to_list()
    return outcome.charges.sort("role", "level", descending=[True, False])


def test_one_charge_per_level_each_by_its_own_agreement_and_in_its_own_currency():
    found = charges(T0).select("role", "level", "party", "agreement", "deck", "charged_s", "nanos", "currency").rows()
    assert [(*row[:6], to_text(row[6]), row[7]) for row in found] == [
        ("sell", 0, "shop", "shop-2026", "retail", 61, "0.061", "EUR"),
        ("sell", 1, "middle", "", "wholesale", 120, "0.09", "EUR"),
        ("sell", 2, "root", "", "root", 66, "0.033", "USD"),
        ("buy", 0, "alpha", "", "buy", 61, "0.021333333", "EUR"),
    ]


def test_the_plan_of_an_agreement_has_the_deck_of_the_moment_of_the_answer():
    prices = {at_ms: charges(at_ms).filter(role="sell", level=0).row(0, named=True) for at_ms in (T0 + HOUR_MS - 1, T0 + HOUR_MS)}
    assert [(row["deck"], to_text(row["nanos"])) for row in prices.values()] == [("retail", "0.061"), ("retail-2", "0.122")]


def test_a_charge_is_the_sum_of_its_parts_and_names_the_version_of_its_deck():
    for row in charges(T0).iter_rows(named=True):
        assert row["nanos"] == row["usage_nanos"] + row["connect_nanos"] + row["attempt_nanos"] + row["surcharge_nanos"]
        assert row["deck_id"] == DECKS[f"t1/{row['deck']}"].deck_id and row["rounding"] and row["config_version"] == 1
        assert (row["account"], row["run"], row["segment"]) == ("acme", 0, 0)
