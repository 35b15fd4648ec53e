"""The charges of calls whose deck or agreement has more than a price per minute: through the whole step, as they are stored."""

from __future__ import annotations

import msgspec
import pytest

from core.config import Account, Agreement, Carrier, Config, DeckSpan, FxRate, HolidayList, Trunk
from core.message import Message
from core.money import to_text
from core.record import Record, journal_key
from flows.step import State, judge
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck

SIX_PM_MS = 1_772_472_600_000 - 1_772_472_600_000 % 86_400_000 + 18 * 3_600_000  # 2026-03-02T18:00Z
RETAIL = (
    b"prefix,destination,price_per_min,first_s,next_s,attempt_fee,window,reject,surcharge,jurisdiction\n"
    b"43,Austria,0.60,60,60,0.001,,,0.5,\n43,Austria evening,0.30,60,60,0.001,18:00-,,0.5,\n882,Satellite,,,,,,yes,,\n"
    b"1,USA,0.03,1,1,,,,,\n1,USA interstate,0.01,1,1,,,,,interstate\n1,USA intrastate,0.02,1,1,,,,,intrastate\n"
)
DECKS = {
    "t1/retail": read_deck(RETAIL, "retail", "EUR"),
    "t1/buy": read_deck(b"prefix,price_per_min,attempt_fee\n4,0.20,0.01\n1,0.002,0\n", "buy", "USD"),
}


def terms(**rules: object) -> Terms:
    sell = Agreement(tenant="t1", name="s", role="sell", currency="EUR", plan=(DeckSpan(deck="retail"),))
    config = Config(
        version=1,
        holidays=(HolidayList(tenant="t1", name="at"),),
        fx_rates=(FxRate(tenant="t1", name="USD-EUR", source="ECB", rates={"2026-03-01": "0.9"}),),
        agreements=(
            msgspec.structs.replace(sell, **rules),
            Agreement(tenant="t1", name="b", role="buy", currency="EUR", decimals=4, plan=(DeckSpan(deck="buy"),)),
        ),
        accounts=(Account(tenant="t1", name="acme", agreement="s"),),
        carriers=(Carrier(tenant="t1", name="alpha", agreement="b"),),
        trunks=(Trunk(tenant="t1", name="in", account="acme"),),
    )
    return compile_contracts(config, DECKS)


def end(terms: Terms, **facts: object):
    answer_ms, talk_s = int(facts.pop("answer_ms", SIX_PM_MS - 30_000)), int(facts.pop("talk_s", 90))  # type: ignore[call-overload]
    values = {
        "event": "stop", "switch": "k1", "boot_id": "b", "seq": 1, "dialog_id": "d", "call_id": "c", "account": "acme", "ingress_trunk": "in",
        "b_raw": "4312345678", "at_ms": answer_ms + talk_s * 1000, "answer_ms": answer_ms, "carrier": "alpha", "attempt_no": 1, "sip_code": 200,
    }  # fmt: skip
    record = Record(v=2, **(values | facts))  # type: ignore[arg-type]
    message = Message(0, 0, answer_ms + 10 * 3_600_000, journal_key("t1", "acme", "in"), msgspec.json.encode(record))
    return judge(State(b"s" * 16), [message], lambda _: terms)


def amounts(outcome, role: str) -> list[tuple[str, str]]:
    rows = outcome.charges.filter(role=role).sort("segment").iter_rows(named=True)
    return [(row["destination"], to_text(row["nanos"])) for row in rows]


@pytest.mark.parametrize(
    ("change", "sold"),
    [
        ("call_start", [("Austria", "1.701")]),
        ("increment_start", [("Austria", "1.101"), ("Austria evening", "0.3")]),
        ("split", [("Austria", "0.801"), ("Austria evening", "0.45")]),
    ],
)
def test_a_call_within_which_the_price_changes_has_a_charge_per_price(change, sold):
    """90 s from 30 s before six: two minutes; the surcharge and the attempt fee are the first charge's."""
    outcome = end(terms(price_change=change))
    assert amounts(outcome, "sell") == sold
    rows = outcome.charges.filter(role="sell").sort("segment")
    assert rows["segment"].to_list() == list(range(len(sold))) and rows["charged_s"].sum() == 120
    assert rows["start_ms"][0] == SIX_PM_MS - 30_000
    for row in rows.iter_rows(named=True):
        assert row["nanos"] == row["usage_nanos"] + row["connect_nanos"] + row["attempt_nanos"] + row["surcharge_nanos"]


def test_a_carrier_is_paid_in_the_currency_of_its_agreement_and_the_charge_names_the_rate():
    (row,) = end(terms()).charges.filter(role="buy").iter_rows(named=True)
    assert (to_text(row["nanos"]), row["currency"], row["fx"], row["rounding"]) == ("0.279", "EUR", "USD 0.9 2026-03-01 ECB", "half up to 4 decimals")


@pytest.mark.parametrize(
    ("instant", "answer_ms", "setup_ms", "talk_s", "destination"),
    [
        ("answer", SIX_PM_MS - 1, SIX_PM_MS - 9000, 90, "Austria"), ("answer", SIX_PM_MS, SIX_PM_MS - 9000, 90, "Austria evening"),
        ("setup", SIX_PM_MS, SIX_PM_MS - 9000, 90, "Austria"), ("end", SIX_PM_MS - 1000, SIX_PM_MS - 9000, 90, "Austria evening"),
        ("setup", SIX_PM_MS, None, 90, "Austria evening"),  # no setup is known: the answer
    ],
)  # fmt: skip
def test_the_agreement_names_the_moment_whose_price_list_counts(instant, answer_ms, setup_ms, talk_s, destination):
    outcome = end(terms(rating_instant=instant), answer_ms=answer_ms, setup_ms=setup_ms, talk_s=talk_s)
    assert [name for name, _ in amounts(outcome, "sell")] == [destination]


@pytest.mark.parametrize(
    ("caller", "called", "lrn", "destination"),
    [
        ("12125550123", "13155550123", "", "USA intrastate"), ("12125550123", "12015550123", "", "USA interstate"),
        ("", "12015550123", "", "USA"), ("12125550123", "12015550123", "+13155550199", "USA intrastate"),
    ],
)  # fmt: skip
def test_the_jurisdiction_is_that_of_the_caller_and_of_the_lrn(caller, called, lrn, destination):
    outcome = end(terms(), a_raw=caller, b_raw=called, lrn=lrn)
    assert [name for name, _ in amounts(outcome, "sell")] == [destination] and outcome.calls["lrn"].to_list() == [lrn.lstrip("+")]


def test_a_call_that_the_deck_rejects_is_unrated_with_that_reason():
    outcome = end(terms(), b_raw="88212345678", carrier="")
    (row,) = outcome.records.iter_rows(named=True)
    assert (row["disposition"], row["reason"]) == ("unrated", "sell: deck retail says that no call may go to 88212345678")


@pytest.mark.parametrize(("carrier", "sold"), [("alpha", "0.001"), ("", "0")])
def test_a_customer_pays_for_an_attempt_only_where_the_call_was_sent_to_a_carrier(carrier, sold):
    outcome = end(terms(), answer_ms=SIX_PM_MS - 60_000, talk_s=0, carrier=carrier, sip_code=486, at_ms=SIX_PM_MS - 50_000)
    (row,) = outcome.charges.filter(role="sell").iter_rows(named=True)
    assert to_text(row["attempt_nanos"]) == sold
