"""Stored calls priced again: under the terms that priced them live, the charges that stand come out, row for row."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Account, Agreement, Carrier, Config, DeckSpan, FxRate, Markup, Party, Trunk
from core.message import Message
from core.record import TICK_KEY, Record, Tick, journal_key
from core.schemas import CHARGES
from flows.step import Outcome, State, judge
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck
from rating.rerate import AMOUNTS, Rerater
from simulator.day import day
from simulator.log import messages
from simulator.world import make_world

T0 = 1_772_438_400_000
KEY = ("tenant", "partition", "offset")
PLACE = ["tenant", "partition", "offset", "role", "level", "attempt_no", "segment"]


def amounts_of(records: pl.DataFrame) -> pl.DataFrame:
    """What the records say that their calls cost, as the warehouse is asked for it."""
    says = records.filter((pl.col("sell_amount") != "") | (pl.col("buy_amount") != ""))
    return says.rename({"partition": "record_partition", "offset": "record_offset"}).select(AMOUNTS.names())


def again(outcomes: list[Outcome], terms: Terms, run: int = 0) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The live charges that count, those of pricing again, the calls, and what cannot be priced."""
    calls = pl.concat([o.calls for o in outcomes]).sort("revision").unique(KEY, keep="last", maintain_order=True)
    attempts, live = pl.concat([o.attempts for o in outcomes]), pl.concat([o.charges for o in outcomes])
    amounts = amounts_of(pl.concat([o.records for o in outcomes]))
    rerated = Rerater(terms, run)(calls, attempts, amounts if amounts.height else None)
    stands = live.join(calls.select(*KEY, "revision"), on=[*KEY, "revision"], how="semi")
    return stands.sort(PLACE), rerated.charges.sort(PLACE), calls, rerated.unpriced


def assert_same(outcomes: list[Outcome], terms: Terms) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The charges, and the calls that neither can price."""
    stands, found, calls, unpriced = again(outcomes, terms)
    assert stands.schema == found.schema == CHARGES
    if not stands.equals(found):
        odd = pl.concat([stands.with_columns(side=pl.lit("live")), found.with_columns(side=pl.lit("again"))])
        odd = odd.filter(pl.len().over(CHARGES.names()) == 1)
        raise AssertionError(f"{stands.height} live, {found.height} again:\n" + "\n".join(map(str, odd.sort(PLACE).head(6).to_dicts())))
    priced = stands.select(KEY).unique()
    assert sorted(unpriced.select(KEY).rows()) == sorted(calls.join(priced, on=KEY, how="anti").select(KEY).rows())
    return stands, unpriced


@cache
def of_the_simulator(seed: int) -> tuple[list[Outcome], Terms]:
    place = make_world(seed)
    decks = {name: read_deck(content, name, place.currency) for name, content in place.decks.items()}
    config = place.config
    # Two resellers above every second account, and one carrier that nobody listed: all of it is in the mess.
    parties = (
        Party(tenant="demo", name="top", kinds=("reseller",), sell_deck=config.carriers[0].buy_deck),
        Party(tenant="demo", name="middle", kinds=("reseller",), parent="top", sell_deck=config.carriers[0].buy_deck),
        Party(tenant="demo", name="shop", kinds=("customer",), parent="middle"),
    )
    accounts = tuple(msgspec.structs.replace(a, party="shop") if at % 2 else a for at, a in enumerate(config.accounts))
    gone = config.carriers[-1].name
    trunks = tuple(trunk for trunk in config.trunks if trunk.carrier != gone)
    config = msgspec.structs.replace(config, version=1, parties=parties, accounts=accounts, carriers=config.carriers[:-1], trunks=trunks)
    terms = compile_contracts(config, decks)
    log = list(messages(day(seed, hours=0.2, calls_per_s=1.0, attack=True)[0], "demo", partitions=2))
    state, rng = State(b"s" * 16), Random(seed)
    cuts = [0, *sorted(rng.sample(range(1, len(log)), 20)), len(log)]
    return [judge(state, log[a:b], lambda _: terms) for a, b in pairwise(cuts)], terms


@pytest.mark.parametrize("seed", [3, 8])
def test_the_same_terms_give_the_same_charges_over_messy_traffic(seed):
    charges, unpriced = assert_same(*of_the_simulator(seed))
    assert charges.filter(role="sell", level=2).height and charges.filter(pl.col("attempt_no") > 1).height and unpriced.height
    assert charges.height > 300


# --- calls as a carrier meets them, made by chance ----------------------------------------------------------------------------------

DECKS = {
    "t1/retail": read_deck(
        b"prefix,price_per_min,connect_fee,first_s,next_s\n43,0.0613,0.01,1,1\n436,0.13,0,30,6\n1,0.0077,0,60,60", "retail", "EUR",
    ),
    "t1/retail-2": read_deck(b"prefix,price_per_min,first_s,next_s\n43,0.12,1,1", "retail-2", "EUR"),
    "t1/wholesale": read_deck(b"prefix,price_per_min,connect_fee,first_s,next_s\n43,0.04,0.01,60,60", "wholesale", "EUR"),
    "t1/alpha": read_deck(
        b"prefix,price_per_min,attempt_fee,first_s,next_s,effective_from,effective_to\n43,0.03,0.001,1,1,,2026-03-02T08:10:00Z\n"
        b"43,0.05,0.002,1,1,2026-03-02T08:10:00Z,\n1,0.001,0,1,1,,\n", "alpha", "EUR",
    ),
    "t1/windowed": read_deck(
        b"prefix,destination,price_per_min,connect_fee,first_s,next_s,attempt_fee,window,reject,surcharge,jurisdiction\n"
        b"43,Austria,0.60,0.02,30,6,0.001,,,0.5,\n43,Austria later,0.30,0,60,60,0.002,08:12-08:14,,0.25,\n999,Satellite,,,,,,,yes,,\n"
        b"1,USA,0.03,0,1,1,0.003,,,,\n1,USA interstate,0.01,0,1,1,0.001,,,,interstate\n1,USA intrastate,0.02,0,1,1,0.002,,,,intrastate\n",
        "windowed", "EUR",
    ),
    "t1/abroad": read_deck(
        b"prefix,price_per_min,attempt_fee,connect_fee,window\n4,0.20,0.01,0.003,\n4,0.10,0,0,08:13-\n1,0.002,0,0,\n", "abroad", "USD",
    ),
    "t1/beta": read_deck(b"prefix,price_per_min,attempt_fee\n43,0.04,0.003\n1,150000000,0", "beta", "USD"),
}  # fmt: skip
WINDOWED, ABROAD = (DeckSpan(deck="windowed"),), (DeckSpan(deck="abroad"),)
PLAN = (DeckSpan(deck="retail", until_at_ms=T0 + 600_000), DeckSpan(deck="retail-2", from_at_ms=T0 + 900_000))
TERMS = compile_contracts(
    Config(
        version=1,
        parties=(
            Party(tenant="t1", name="root", kinds=("reseller",), sell_deck="wholesale"),
            Party(tenant="t1", name="shop", kinds=("customer",), parent="root"),
            Party(tenant="t1", name="above", kinds=("reseller",), agreement="dear"),
            Party(tenant="t1", name="below", kinds=("customer",), parent="above"),
        ),
        fx_rates=(FxRate(tenant="t1", name="USD-EUR", source="ECB", rates={"2026-03-01": "0.9137", "2026-03-03": "0.95"}),),
        agreements=(
            Agreement(tenant="t1", name="planned", role="sell", plan=PLAN, currency="EUR", rating_instant="end"),
            Agreement(tenant="t1", name="split", role="sell", plan=WINDOWED, currency="EUR", price_change="split", time_zone="Europe/London"),
            Agreement(
                tenant="t1", name="dear", role="sell", plan=ABROAD, currency="EUR", price_change="increment_start", decimals=4, tax="inclusive",
            ),
            Agreement(tenant="t1", name="raised", role="sell", currency="EUR", markup=Markup(percent_nanos=12_500_000_000), rated_number="lrn"),
            Agreement(tenant="t1", name="abroad", role="buy", plan=ABROAD, currency="EUR", decimals=5, rounding="up", price_change="split"),
            Agreement(tenant="t1", name="early", role="buy", plan=WINDOWED, currency="EUR", rating_instant="setup"),
        ),
        accounts=(
            Account(tenant="t1", name="acme", sell_deck="retail"), Account(tenant="t1", name="shop", party="shop", agreement="planned"),
            Account(tenant="t1", name="fed"), Account(tenant="t1", name="split", agreement="split"),
            Account(tenant="t1", name="below", party="below", agreement="split"),
            Account(tenant="t1", name="raised", party="below", agreement="raised"),
        ),
        carriers=(
            Carrier(tenant="t1", name="alpha", buy_deck="alpha"), Carrier(tenant="t1", name="beta", buy_deck="beta"),
            Carrier(tenant="t1", name="free"), Carrier(tenant="t1", name="abroad", agreement="abroad"),
            Carrier(tenant="t1", name="early", agreement="early"),
        ),
        trunks=(Trunk(tenant="t1", name="in", account="acme", max_call_s=60),),
        decks={name: name for name in DECKS},
    ),
    DECKS,
)  # fmt: skip

NUMBERS = ("432222222", "4366412345", "12025550123", "9991234567", "112", "", "43x")
CARRIERS = ("alpha", "beta", "free", "", "stranger", "abroad", "abroad", "early")

OTHERWISE = ({}, {"lrn": "+12125550188"}, {"a_raw": "13155550111"}, {"setup_ms": T0 + 400_000}, {"setup_ms": T0 + 720_000})
"""What the record of an attempt may report otherwise than its call does in the end: each attempt is bought by its own."""


@st.composite
def dialogs(draw: st.DrawFn, root: str) -> list[dict[str, Any]]:
    """The records of one call, of a proxy or with a record per leg, ended or left hanging."""
    start_ms = T0 + draw(st.integers(500_000, 1_000_000))
    answered, talk_ms = draw(st.booleans()), draw(st.integers(0, 200_000))
    account = draw(st.sampled_from(["acme", "shop", "fed", "nobody", "split", "split", "below", "raised"]))
    base = {
        "account": account, "ingress_trunk": draw(st.sampled_from(["in", "in", "in", "", "odd"])), "b_raw": draw(st.sampled_from(NUMBERS)),
        "a_raw": draw(st.sampled_from(["431111111", "12125550123", ""])), "lrn": draw(st.sampled_from(["", "", "+13155550199"])),
        "setup_ms": draw(st.sampled_from([None, start_ms - 9_000])), "call_id": root, "dialog_id": root,
    }  # fmt: skip
    if draw(st.booleans()):
        base |= {"sell_amount": draw(st.sampled_from(["", "0.5", "1e9", "-2.25"])), "currency": draw(st.sampled_from(["EUR", "EUR", "x"]))}
        base |= {"buy_amount": draw(st.sampled_from(["", "0.125"]))}
    end_ms = start_ms + talk_ms
    stop = {"event": "stop", "at_ms": end_ms + draw(st.integers(0, 5)), "end_ms": end_ms, "sip_code": 200 if answered else 503}
    talk = {"answer_ms": start_ms} if answered else {}
    failures = draw(st.integers(0, 2))
    if draw(st.booleans()):  # a proxy
        found = [
            base | {"event": "attempt", "at_ms": start_ms - 5_000 + no, "attempt_no": no, "carrier": draw(st.sampled_from(CARRIERS)), "sip_code": 503}
            | draw(st.sampled_from(OTHERWISE))
            for no in range(1, failures + 1)
        ]  # fmt: skip
        if answered:
            found.append(base | talk | {"event": "answer", "at_ms": start_ms})
        last = draw(st.sampled_from([0, failures, failures + 1]))
        # An answer is numbered after the attempts that failed: a number that two attempts bear is a fault of the switch.
        last = failures + 1 if answered and failures else last
        found.append(base | talk | stop | {"carrier": draw(st.sampled_from(CARRIERS)), "attempt_no": last})
        keep = draw(st.sampled_from([len(found), len(found), len(found) - 1])) if answered else len(found)
        return found[:keep]
    base |= {"root_id": root}
    legs = []
    for no in range(failures + 1):
        up = answered and no == failures
        carrier = draw(st.sampled_from(["alpha", "beta", "free", "abroad", "early"]))
        own = {"leg": "egress", "dialog_id": f"{root}-{no}", "carrier": carrier, "event": "stop", "attempt_no": no + 1}
        legs.append(base | (talk | stop if up else {"at_ms": start_ms - 3_000 + no, "sip_code": 503}) | own | draw(st.sampled_from(OTHERWISE)))
    ingress = base | talk | stop | {"leg": "ingress", "dialog_id": f"{root}-in", "attempt_no": 0}
    return draw(st.permutations([*legs, ingress]))


@st.composite
def logs(draw: st.DrawFn) -> list[Message]:
    records = [record for n in range(draw(st.integers(1, 6))) for record in draw(dialogs(f"r{n}"))]
    log: list[Message] = []
    for seq, fields in enumerate(records):
        record = msgspec.convert({"v": 2, "switch": "k1", "boot_id": "b", "seq": seq + 1, **fields}, Record)
        key = journal_key("t1", record.account, record.ingress_trunk)
        log.append(Message(0, len(log), T0 + 10**7 + seq, key, msgspec.json.encode(record)))
        if draw(st.integers(0, 4)) == 0:  # what hangs is closed, and what comes later corrects it; what rings is not forgotten yet
            tick = Tick(at_ms=T0 + 10**7 + seq, config_version=1, complete_to_ms={"k1": T0 + 1_090_000})
            log.append(Message(0, len(log), T0 + 10**7 + seq, TICK_KEY, msgspec.json.encode(tick)))
    tick = Tick(at_ms=T0 + 10**7 + 99, config_version=1, complete_to_ms={"k1": T0 + 10**7})
    return [*log, Message(0, len(log), T0 + 10**7 + 99, TICK_KEY, msgspec.json.encode(tick))]


@given(logs())
@settings(max_examples=200, deadline=None)
def test_legs_failed_attempts_hung_calls_plans_resellers_and_amounts_of_a_feed(log):
    assert_same([judge(State(b"s" * 16), log, lambda _: TERMS)], TERMS)


def test_a_charge_per_price_on_both_sides_and_at_each_level_and_the_rate_of_the_day():
    answer_ms = T0 + 720_000 - 30_000  # half a minute before the window of `windowed` begins, and a minute and a half before that of `abroad`
    record = Record(
        v=2, event="stop", switch="k1", boot_id="b", seq=1, dialog_id="d", call_id="c", account="below", ingress_trunk="in", a_raw="431111111",
        b_raw="432222222", answer_ms=answer_ms, at_ms=answer_ms + 180_000, carrier="abroad", attempt_no=1, sip_code=200,
    )  # fmt: skip
    message = Message(0, 0, T0 + 10**7, journal_key("t1", "below", "in"), msgspec.json.encode(record))
    charges, _ = assert_same([judge(State(b"s" * 16), [message], lambda _: TERMS)], TERMS)
    parts = charges.group_by("role", "level", maintain_order=True).agg(pl.len(), pl.col("fx", "rounding").first()).rows()
    fx = "USD 0.9137 2026-03-01 ECB"
    assert sorted(parts) == [
        ("buy", 0, 2, fx, "up to 5 decimals"), ("sell", 0, 3, "", "half up at 1e-9"), ("sell", 1, 2, fx, "half up to 4 decimals"),
    ]  # fmt: skip
