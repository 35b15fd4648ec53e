"""What a call costs by the contracts, why, and how long a call some money buys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_cases import CLOCKS_GO_BACK_MS, calls, deck_of, rows, rules

from core.config import Account, Agreement, Carrier, Config, DeckSpan, FxRate, HolidayList, Party
from core.money import to_nanos, to_text
from rating.contracts import ConfigError, Terms, compile_contracts, offer_of
from rating.deck import Call, Calls
from rating.decks import read_deck
from rating.explain import amount_of, explain
from rating.price import Offer, price_by, price_one
from rating.quote import LONGEST_S, quote, seconds_for
from services import quotes

RETAIL = read_deck(
    b"prefix,price_per_min,first_s,next_s,window,origin\n43,0.06,1,1,,\n43,0.03,1,1,18:00-,\n43,0.01,1,1,holiday:at,\n43,0.12,1,1,,1\n",
    "retail", "EUR",
)  # fmt: skip
DOLLARS = read_deck(b"prefix,price_per_min,first_s,next_s\n43,0.02,60,60\n", "alpha", "USD")
CONFIG = Config(
    holidays=(HolidayList(tenant="t1", name="at", dates=("2026-10-26",)),),
    fx_rates=(FxRate(tenant="t1", name="USD-EUR", source="ECB", rates={"2026-11-01": "0.9", "2026-11-02": "0.95"}),),
    parties=(Party(tenant="t1", name="acme"),),
    agreements=(
        Agreement(tenant="t1", name="acme-2026", role="sell", currency="EUR", time_zone="Europe/Vienna", plan=(DeckSpan(deck="retail"),)),
        Agreement(
            tenant="t1", name="cents", role="sell", currency="EUR", decimals=2, rounding="up", duration_rounding="up", plan=(DeckSpan(deck="retail"),)
        ),
        Agreement(tenant="t1", name="alpha-2026", role="buy", currency="EUR", plan=(DeckSpan(deck="alpha"),)),
    ),
    accounts=(Account(tenant="t1", name="acme", agreement="acme-2026"), Account(tenant="t1", name="small", agreement="cents")),
    carriers=(Carrier(tenant="t1", name="alpha", agreement="alpha-2026"),),
    decks={"t1/retail": RETAIL.deck_id, "t1/alpha": DOLLARS.deck_id},
)
TERMS = compile_contracts(CONFIG, {"t1/retail": RETAIL, "t1/alpha": DOLLARS})


def at(text: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("account", "a_number", "answered", "talk_ms", "price"),
    [
        ("acme", "", "2026-11-27T16:59:59+00:00", 60_000, "0.06"),  # 17:59:59 in Vienna
        ("acme", "", "2026-11-27T17:00:00+00:00", 60_000, "0.03"),
        ("acme", "", "2026-07-01T16:00:00+00:00", 60_000, "0.03"),  # summer: 18:00
        ("acme", "", "2026-10-26T09:00:00+00:00", 60_000, "0.06"),  # at noon of the holiday; its window begins no later than "always"
        ("acme", "+1 202 5550123", "2026-11-27T17:00:00+00:00", 60_000, "0.12"),  # the origin comes before the window
        ("small", "", "2026-11-27T12:00:00+00:00", 61_001, "0.07"),  # 62 s, and up to the cent
    ],
)
def test_a_call_by_its_agreement(account, a_number, answered, talk_ms, price):
    found = quote(TERMS, "t1", account, a_number, "+43664123456", at(answered), talk_ms)
    assert (to_text(found.nanos), found.why_not) == (price, "")
    assert found.explanation is not None and amount_of(found.explanation) == found.nanos


@pytest.mark.parametrize(
    ("answered", "price", "fx"),
    [
        ("2026-11-01T23:59:59+00:00", "0.018", "USD 0.9 2026-11-01 ECB"),
        ("2026-11-02T00:00:00+00:00", "0.019", "USD 0.95 2026-11-02 ECB"),
        ("2027-05-01T00:00:00+00:00", "0.019", "USD 0.95 2026-11-02 ECB"),
    ],
)
def test_a_carrier_in_another_currency_is_converted_at_the_rate_of_the_day(answered, price, fx):
    found = quote(TERMS, "t1", "", "", "+43664123456", at(answered), 30_000, carrier="alpha")
    assert found.offer is not None and found.explanation is not None
    assert (to_text(found.nanos), found.offer.currency, found.explanation.fx) == (price, "EUR", fx)


@pytest.mark.parametrize(
    ("account", "carrier", "number", "reason"),
    [
        ("nobody", "", "+43664", "account 'nobody' is not known: add it and publish a new config version"),
        ("", "beta", "+43664", "carrier 'beta' is not known: add it and publish a new config version"),
        ("", "alpha", "+43664123456", "carrier 'alpha' has no deck at this moment"),  # before the first rate of its currency
        ("acme", "", "+49664123456", "no row of the deck fits the number at this moment"),
        ("acme", "", "112", "'112' is no number with a country code"),
        ("acme", "", "", "'' is no number with a country code"),
    ],
)
def test_no_price_has_its_reason(account, carrier, number, reason):
    assert quote(TERMS, "t1", account, "", number, at("2026-10-01T00:00+00:00"), 1000, carrier=carrier).why_not == reason


def test_a_deck_in_a_currency_without_a_rate_is_refused():
    config = Config(
        agreements=(Agreement(tenant="t1", name="a", role="buy", currency="GBP", plan=(DeckSpan(deck="alpha"),)),), decks={"t1/alpha": "x"}
    )
    with pytest.raises(ConfigError, match="deck 'alpha' is in USD and the agreement in GBP: add a rate USD-GBP to fx_rates"):
        compile_contracts(config, {"t1/alpha": DOLLARS})


@given(rows, rules, calls)
@settings(max_examples=200, deadline=None)
def test_the_explanation_alone_gives_the_price(rows, rules, calls):
    deck = offer_of(read_deck(deck_of(rows), "any", "EUR"), rules).deck
    for b_number, a_number, second, talk_s, answered in calls:
        at_ms = CLOCKS_GO_BACK_MS + 1000 * second
        one = price_one(deck, Call(b_number, a_number), at_ms, 1000 * talk_s, answered, rules)
        found = explain(Offer(deck, rules), one, at_ms, 1000 * talk_s, answered)
        assert found.why_not if one.rate < 0 else amount_of(found) == one.nanos + one.attempt_nanos


@given(rows, rules, calls, st.integers(0, 10**11))
@settings(max_examples=150, deadline=None)
def test_money_buys_never_a_second_too_many_and_never_one_too_few(rows, rules, calls, nanos):
    deck = read_deck(deck_of(rows), "any", "EUR")
    for b_number, a_number, second, *_ in calls:
        call, at_ms = Call(b_number, a_number), CLOCKS_GO_BACK_MS + 1000 * second
        seconds = seconds_for(Offer(deck, rules), call, at_ms, nanos)

        def costs(talk_s: int, call: Call = call, at_ms: int = at_ms) -> int:
            one = price_one(deck, call, at_ms, 1000 * talk_s, True, rules)
            return one.nanos + one.attempt_nanos if one.rate >= 0 else nanos + 1

        assert not seconds or costs(seconds) <= nanos
        assert seconds == LONGEST_S or costs(seconds + 1) > nanos


def test_the_answer_to_how_long_does_not_pass_what_a_minimum_costs():
    deck = read_deck(b"prefix,price_per_min,connect_fee,first_s,next_s,grace_s\n43,0.60,0.10,30,6,0\n", "d", "EUR")
    offer = Offer(deck)
    assert [seconds_for(offer, Call("431"), 0, to_nanos(money)) for money in ("0.39", "0.40", "0.45", "0.46")] == [0, 30, 30, 36]


# --- what the agreement names --------------------------------------------------------------------------------------------------------------


def agreed(deck: bytes, **rules: object) -> Terms:
    config = Config(
        agreements=(Agreement(tenant="t1", name="a", role="sell", currency="EUR", plan=(DeckSpan(deck="d"),), **rules),),  # type: ignore[arg-type]
        accounts=(Account(tenant="t1", name="acme", agreement="a"),), decks={"t1/d": "x"},
    )  # fmt: skip
    return compile_contracts(config, {"t1/d": read_deck(deck, "d", "EUR")})


SIX = b"prefix,price_per_min,window\n43,0.60,\n43,0.30,18:00-\n"


@pytest.mark.parametrize(
    ("instant", "setup", "answered", "talk_s", "price"),
    [
        ("answer", "17:59:40", "17:59:50", 60, "0.6"), ("setup", "17:59:40", "18:00:10", 60, "0.6"), ("setup", "", "18:00:10", 60, "0.3"),
        ("end", "17:59:00", "17:59:40", 19, "0.19"), ("end", "17:59:00", "17:59:40", 20, "0.1"),
    ],
)  # fmt: skip
def test_the_price_list_is_that_of_the_moment_that_the_agreement_names(instant, setup, answered, talk_s, price):
    day = "2026-11-27T{}+00:00"
    found = quote(
        agreed(SIX, rating_instant=instant), "t1", "acme", "", "+4312345678", at(day.format(answered)), 1000 * talk_s,
        setup_ms=at(day.format(setup)) if setup else None,
    )  # fmt: skip
    assert to_text(found.nanos) == price and found.explanation is not None and amount_of(found.explanation) == found.nanos


@pytest.mark.parametrize(
    ("money", "seconds"),
    [("0.10", 10), ("0.18", 18), ("0.19", 38), ("0.30", 60)],  # a call that ends at 18:00 costs half: 19 s until then have to be paid for
)
def test_what_money_buys_where_the_end_of_the_call_chooses_the_price_list(money, seconds):
    terms = agreed(SIX, rating_instant="end")
    asked = quotes.QuoteRequest("acme", "+4312345678", at_ms=at("2026-11-27T17:59:40+00:00"))
    assert quotes.buys(terms, "t1", asked, to_nanos(money))[0] == seconds


@pytest.mark.parametrize(
    ("rated_number", "lrn", "price"),
    [("dialled", "", "0.06"), ("dialled", "13155550199", "0.06"), ("lrn", "", "0.06"), ("lrn", "13155550199", "0.02")],
)
def test_a_ported_number_is_priced_as_dialled_or_by_its_lrn(rated_number, lrn, price):
    terms = agreed(b"prefix,price_per_min\n1212,0.06\n1315,0.02\n", rated_number=rated_number)
    found = quote(terms, "t1", "acme", "", "+12125550123", 0, 60_000, lrn=lrn)
    assert to_text(found.nanos) == price
    offer = found.offer
    assert offer is not None
    both, zeros = Calls(["12125550123"] * 2, (), [lrn, ""]), np.zeros(2, np.int64)
    columns, _ = price_by([offer], zeros, both, zeros, np.full(2, 60_000), np.ones(2, bool))
    assert [to_text(int(nanos)) for nanos in columns.nanos] == [price, "0.06"]


def test_a_change_within_the_call_counts_from_its_answer():
    with pytest.raises(ConfigError, match="price_change: split counts from the answer: it goes with rating_instant answer"):
        agreed(SIX, rating_instant="setup", price_change="split")
