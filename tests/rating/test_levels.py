"""A call is sold at every level: to the customer, and to each reseller above."""

from __future__ import annotations

import re

import msgspec
import pytest

from core.config import Account, Agreement, Carrier, Config, DeckSpan, FxRate, Markup, Party, Trunk
from core.message import Message
from core.money import to_text
from core.record import Record, journal_key
from flows.step import State, judge
from rating.contracts import ConfigError, Terms, compile_contracts
from rating.decks import read_deck
from rating.explain import amount_of
from rating.quote import Quote
from services import quotes

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


def judged(at_ms: int, talk_s: int, terms: Terms):
    record = Record(
        v=2, event="stop", switch="k1", boot_id="b", seq=1, dialog_id="d", call_id="c", account="acme", ingress_trunk="in", b_raw="4312345678",
        at_ms=at_ms + talk_s * 1000, answer_ms=at_ms, carrier="alpha", attempt_no=1, sip_code=200,
    )  # fmt: skip
    message = Message(0, 0, at_ms + HOUR_MS, journal_key("t1", "acme", "in"), msgspec.json.encode(record))
    return judge(State(b"s" * 16), [message], lambda _: terms)


def charges(at_ms: int, talk_s: int = 61, of: Terms | None = None):
    outcome = judged(at_ms, talk_s, of or terms())
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


# --- resellers whose price is a mark-up ------------------------------------------------------------------------------------------------


def reseller(name: str, parent: str = "", agreement: str = "", **more: object) -> Party:
    return Party(tenant="t1", name=name, kinds=("reseller",), parent=parent, agreement=agreement, **more)  # type: ignore[arg-type]


def sells(name: str, **more: object) -> Agreement:
    return Agreement(tenant="t1", name=name, role="sell", currency="EUR", **more)  # type: ignore[arg-type]


def marked_up(**more: object) -> Config:
    """root pays wholesale; north 10 % more than root, to 4 decimals; the shop a cent a minute more than north, in dollars with `shop`."""
    shop = {"currency": "EUR", "markup": Markup(per_minute_nanos=10_000_000)} | more
    return Config(
        version=1,
        fx_rates=(FxRate(tenant="t1", name="EUR-USD", source="ECB", rates={"2026-01-01": "1.1"}),),
        parties=(
            reseller("root", agreement="root"), reseller("north", "root", "north"), Party(tenant="t1", name="shop", parent="north"),
        ),
        agreements=(
            sells("root", plan=(DeckSpan(deck="wholesale", until_at_ms=T0 + HOUR_MS), DeckSpan(deck="retail", from_at_ms=T0 + HOUR_MS))),
            sells("north", markup=Markup(percent_nanos=12_500_000_000, decimals=4, rounding="down"), tax="inclusive"),
            msgspec.structs.replace(sells("shop"), **shop),
        ),
        accounts=(Account(tenant="t1", name="acme", party="shop", agreement="shop"),),
        carriers=(Carrier(tenant="t1", name="alpha", buy_deck="buy"),),
        trunks=(Trunk(tenant="t1", name="in", account="acme"),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at_ms", "talk_s", "paid"),
    [
        # wholesale: 0.04 a minute and 0.01 to connect, in minutes. 12.5 % more is 0.045 and 0.01125, cut to 0.0112; a cent a minute more is 0.055.
        (T0, 61, {"shop": "0.1212", "north": "0.1012", "root": "0.09"}),
        # retail, from then on: 0.06 by the second, 0.0675, 0.0775
        (T0 + HOUR_MS, 61, {"shop": "0.078791667", "north": "0.068625", "root": "0.061"}),
        (T0 + HOUR_MS, 3, {"shop": "0.003875", "north": "0.003375", "root": "0.003"}),
    ],
)
def test_a_mark_up_raises_the_deck_of_the_level_above_at_every_time_of_its_plan(at_ms, talk_s, paid):
    found = charges(at_ms, talk_s, compile_contracts(marked_up(), DECKS)).filter(role="sell")
    assert {row["party"]: to_text(row["nanos"]) for row in found.iter_rows(named=True)} == paid
    assert found.sort("level")["tax"].to_list() == ["", "inclusive", ""]
    levels = levels_of(marked_up(), at_ms, talk_s)
    assert {one.party: to_text(one.nanos) for one in levels} == paid and [one.level for one in levels] == [0, 1, 2]
    for one in levels:
        assert one.explanation is not None and amount_of(one.explanation) == one.nanos
    assert [len(one.explanation.markups) for one in levels] == [2, 1, 0]


def levels_of(config: Config, at_ms: int, talk_s: int) -> list[Quote]:
    terms = compile_contracts(config, DECKS)
    asked = quotes.QuoteRequest("acme", "+43 12345678", at_ms=at_ms, talk_ms=1000 * talk_s)
    return [quotes.ask(terms, "t1", asked), *quotes.resellers(terms, "t1", asked)]


def test_what_each_level_keeps():
    assert [to_text(nanos) for nanos in quotes.margins(levels_of(marked_up(), T0, 61))] == ["0.02", "0.0112"]
    dollars = levels_of(marked_up(currency="USD", markup=Markup(percent_nanos=10**10)), T0, 60)
    assert [(to_text(one.nanos), one.offer.currency) for one in dollars] == [("0.068002", "USD"), ("0.0562", "EUR"), ("0.05", "EUR")]
    assert quotes.margins(dollars)[0] is None


def test_a_call_that_a_reseller_has_no_price_for_is_unrated_and_says_whose():
    config = marked_up()
    dear = msgspec.structs.replace(config.parties[0], agreement="", sell_deck="far")
    agreements = config.agreements[1], sells("shop", plan=(DeckSpan(deck="retail"),))
    terms = compile_contracts(
        msgspec.structs.replace(config, parties=(dear, *config.parties[1:]), agreements=agreements),
        DECKS | {"t1/far": read_deck(b"prefix,price_per_min\n1,1", "far", "EUR")},
    )
    outcome = judged(T0, 60, terms)
    assert outcome.records["reason"].to_list() == ["reseller 'north': sell: no rate for 4312345678 in deck far"] and not outcome.charges.height


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"parties": (Party(tenant="t1", name="shop"),)}, "accounts t1/acme: agreement: 'shop' is a mark-up over the deck of a reseller, and party "
         "'shop' has no reseller above it: set its parent"),
        ({"parties": ()}, "no party 'shop'"),
        ({"parties": (reseller("root", "north", "root"), reseller("north", "root", "north"), Party(tenant="t1", name="shop", parent="north"))},
         "the resellers form a circle: root > north > root"),
        ({"parties": (Party(tenant="t1", name="shop", parent="nowhere"),)}, "parties t1/shop: parent: no party 'nowhere'"),
        ({"agreements": (*marked_up().agreements[:2], sells("shop", markup=Markup(), plan=(DeckSpan(deck="retail"),)))},
         "agreements t1/shop: markup: raises the decks of the reseller above: set it or `plan`, not both"),
        ({"agreements": (*marked_up().agreements[:2], msgspec.structs.replace(sells("shop", markup=Markup(per_minute_nanos=1)), currency="USD"))},
         "its markup.per_minute would be in EUR; set a percentage alone, or agree in EUR"),
        ({"fx_rates": (), "agreements": (*marked_up().agreements[:2], msgspec.structs.replace(sells("shop", markup=Markup()), currency="USD"))},
         "add a rate EUR-USD to fx_rates"),
    ],
)  # fmt: skip
def test_levels_that_cannot_be_priced_are_refused_before_they_are_published(changed, fault):
    with pytest.raises(ConfigError, match=re.escape(fault)):
        compile_contracts(msgspec.structs.replace(marked_up(), **changed), DECKS)
