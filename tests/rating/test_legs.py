"""A switch that writes a record per leg: the call is sold once and each of its egress legs is bought once, whatever comes first, late or never."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import rows
from core.active import LEG_LINGER_MS, Partition
from core.calls import assemble
from core.config import Account, Carrier, Config, Trunk
from core.decode import decode
from core.message import Message
from core.money import to_text
from core.numbers import number
from core.record import TICK_KEY, Record, Tick, journal_key
from rating.accrue import Accrued, accrue
from rating.charge import Purchases, charge
from rating.contracts import compile_contracts
from rating.decks import read_deck

T0 = 1_772_438_400_000
SELL = read_deck(b"prefix,price_per_min,first_s,next_s\n43,0.06,1,1", "retail", "EUR")
BUY = read_deck(b"prefix,price_per_min,attempt_fee,first_s,next_s\n43,0.03,0.001,1,1", "alpha", "EUR")
DEAR = read_deck(b"prefix,price_per_min,attempt_fee,first_s,next_s\n43,0.04,0.002,1,1", "beta", "EUR")
TERMS = compile_contracts(
    Config(
        version=1,
        accounts=(Account(tenant="t1", name="acme", sell_deck="retail"),),
        carriers=(Carrier(tenant="t1", name="alpha", buy_deck="alpha"), Carrier(tenant="t1", name="beta", buy_deck="beta")),
        trunks=(Trunk(tenant="t1", name="in", account="acme"),),
        decks={"retail": "r", "alpha": "a", "beta": "b"},
    ),
    {"retail": SELL, "alpha": BUY, "beta": DEAR},
)


class Book:
    """Records in, what they lead to out. The stages stand as judge has them."""

    def __init__(self) -> None:
        self.calls: dict[int, Partition] = {}
        self.purchases: dict[int, Purchases] = {}
        self.accrued: dict[int, Accrued] = {}
        self.offset = 0
        self.fates: list[str] = []
        self.ended: list[pl.DataFrame] = []
        self.charges: list[pl.DataFrame] = []
        self.attempts: list[pl.DataFrame] = []
        self.usage: list[pl.DataFrame] = []

    def take(self, *messages: tuple[bytes, bytes], learned_ms: int = T0 + 10**6) -> None:
        batch = []
        for key, value in messages:
            batch.append(Message(0, self.offset, learned_ms, key, value))
            self.offset += 1
        decoded = decode(batch)
        assert not decoded.rejects, decoded.rejects
        _, numbers = number(decoded.records, [TERMS.plan_of("t1", "in")] * len(decoded.values))
        assembled = assemble(self.calls, decoded, numbers, TERMS.silence)
        priced = charge(self.purchases, assembled, decoded.values, TERMS)
        self.usage.append(accrue(self.accrued, assembled.steps, priced.amounts, decoded.values, TERMS.currency_of))
        self.fates += [fate.disposition for fate in priced.fates]
        self.ended.append(rows.calls(assembled.steps, priced.ended, 1))
        self.charges.append(priced.charges)
        self.attempts.append(rows.attempts(assembled.steps, assembled.legs, decoded.values))

    def tick(self, at_ms: int, complete_ms: int | None = None) -> None:
        tick = Tick(at_ms=at_ms, config_version=1, complete_to_ms={"fs1": at_ms if complete_ms is None else complete_ms})
        self.take((TICK_KEY, msgspec.json.encode(tick)), learned_ms=at_ms)

    def money(self) -> dict[str, str]:
        """Of the highest revision: what the call is sold for, and what each carrier gets."""
        charges = pl.concat(self.charges)
        last = charges.filter(pl.col("revision") == pl.col("revision").max())
        found: dict[str, int] = {}
        for role, party, nanos in last.select("role", "party", "nanos").iter_rows():
            found[f"{role} {party}"] = found.get(f"{role} {party}", 0) + nanos
        return {name: to_text(nanos) for name, nanos in found.items()}

    def revisions(self) -> list[int]:
        return pl.concat(self.ended)["revision"].to_list()


def record(seq: int, leg: str, event: str, at_s: float, **more: Any) -> tuple[bytes, bytes]:
    own = {"dialog_id": f"{leg}-{more.pop('dialog', '')}", "call_id": f"{leg}-{more.get('carrier', '')}"}
    fields = {
        "v": 2, "event": event, "switch": "fs1", "boot_id": "b", "seq": seq, "root_id": "root-1", "leg": leg, "account": "acme",
        "ingress_trunk": "in", "a_raw": "431111111", "b_raw": "432222222", "at_ms": T0 + round(at_s * 1000), **own, **more,
    }  # fmt: skip
    return journal_key("t1", "acme", "in"), msgspec.json.encode(msgspec.convert(fields, Record))


def ingress(seq: int, talk_s: float, end_s: float) -> tuple[bytes, bytes]:
    return record(seq, "ingress", "stop", end_s, answer_ms=T0 + round((end_s - talk_s) * 1000), end_ms=T0 + round(end_s * 1000), sip_code=200)


def egress(seq: int, carrier: str, talk_s: float, end_s: float, sip_code: int = 200) -> tuple[bytes, bytes]:
    answered = {"answer_ms": T0 + round((end_s - talk_s) * 1000), "end_ms": T0 + round(end_s * 1000)} if sip_code == 200 else {}
    return record(seq, "egress", "stop", end_s, carrier=carrier, sip_code=sip_code, dialog=f"{carrier}{seq}", **answered)


TWO_LEGS = (ingress(1, 60, 70), egress(2, "alpha", 61, 70))
SOLD_AND_BOUGHT = {"sell acme": "0.06", "buy alpha": "0.0315"}  # 60 s at 0.06; 61 s at 0.03 and the attempt fee


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_leg_records_are_sold_once_and_bought_once_in_either_order(order: Sequence[int]):
    book = Book()
    for at in order:
        book.take(TWO_LEGS[at])
    assert book.money() == SOLD_AND_BOUGHT
    assert book.revisions() == ([1] if order == (1, 0) else [1, 2]), "a leg that comes after the sale is the next revision of the same call"
    assert sum(frame["calls"].sum() for frame in book.usage) == 1


def test_an_egress_leg_that_never_comes_leaves_a_sale_alone():
    book = Book()
    book.take(TWO_LEGS[0])
    assert book.money() == {"sell acme": "0.06"} and book.revisions() == [1]


def test_an_ingress_leg_that_never_comes_is_closed_as_hung_and_sold_by_what_its_egress_leg_told():
    book = Book()
    book.take(TWO_LEGS[1])
    book.tick(T0 + 5 * 3_600_000)
    assert book.money() == {"sell acme": "0.061", "buy alpha": "0.0315"}
    ended = pl.concat(book.ended)
    assert ended["suspected_hung"].to_list() == [True] and ended["duration_source"].to_list() == ["sign_of_life"]
    book.take(TWO_LEGS[0])  # it does come, hours later
    assert book.money() == SOLD_AND_BOUGHT and book.revisions() == [1, 2]


def test_three_legs_after_a_transfer_are_each_bought():
    book = Book()
    book.take(egress(1, "alpha", 30, 40), egress(2, "beta", 30, 72), ingress(3, 60, 70))
    assert book.money() == {"sell acme": "0.06", "buy alpha": "0.016", "buy beta": "0.022"}
    assert book.revisions() == [1]
    attempts = pl.concat(book.attempts)
    assert attempts.select("carrier", "answered", "duration_ms").rows() == [("alpha", True, 30_000), ("beta", True, 30_000)]


def test_a_leg_that_outlives_the_call_is_waited_for_and_bought_for_all_of_its_time():
    book = Book()
    book.take(record(1, "egress", "answer", 10, carrier="alpha", dialog="alpha9"))
    book.take(ingress(2, 60, 70))
    assert book.money() == {"sell acme": "0.06"}
    for minute in range(2, 61):  # far longer than an idle call waits
        book.tick(T0 + minute * 60_000)
    end_s = 3600.0
    assert end_s * 1000 > LEG_LINGER_MS
    book.take(record(9, "egress", "stop", end_s, carrier="alpha", dialog="alpha9", end_ms=T0 + round(end_s * 1000), sip_code=200))
    assert book.money() == {"sell acme": "0.06", "buy alpha": to_text(round(0.03 / 60 * 3590 * 10**9) + 1_000_000)}


def test_the_failed_attempts_of_a_call_cost_their_fees_whoever_reports_them():
    book = Book()
    book.take(egress(1, "beta", 0, 5, sip_code=503), egress(2, "alpha", 60, 70), ingress(3, 60, 70))
    assert book.money() == {"sell acme": "0.06", "buy beta": "0.002", "buy alpha": "0.031"}


@pytest.mark.parametrize(
    ("failed", "own"),
    [((), 1), ((1,), 1), ((1,), 2), ((2,), 1), ((2,), 2), ((1, 2), 1), ((1, 2), 3), ((1, 3), 2), ((3,), 3), ((0, 1), 0)],
)
def test_no_two_attempts_of_a_call_have_one_key_however_their_switch_numbers_them(failed, own):
    book, proxy = Book(), {"root_id": "", "dialog_id": "d", "call_id": "c"}
    book.take(
        *(record(n, "", "attempt", n, carrier="beta", attempt_no=no, sip_code=503, **proxy) for n, no in enumerate(failed, start=1)),
        record(9, "", "stop", 70, carrier="alpha", attempt_no=own, answer_ms=T0 + 10_000, end_ms=T0 + 70_000, **proxy),
    )
    bought = pl.concat(book.charges).filter(pl.col("role") == "buy")
    assert sorted(bought["party"].to_list()) == ["alpha", *["beta"] * len(failed)]
    for frame in (bought, pl.concat(book.attempts)):
        assert frame["attempt_no"].n_unique() == len(failed) + 1, frame


def test_the_same_leg_again_is_a_duplicate_and_with_other_content_a_conflict():
    book = Book()
    book.take(*TWO_LEGS)
    again = msgspec.json.decode(TWO_LEGS[1][1]) | {"seq": 3}
    book.take((TWO_LEGS[1][0], msgspec.json.encode(again)))
    book.take((TWO_LEGS[1][0], msgspec.json.encode(again | {"seq": 4, "sip_code": 486})))
    book.take(ingress(5, 66, 76))
    assert book.fates == ["rated", "rated", "duplicate", "conflict", "conflict"]
    assert book.money() == SOLD_AND_BOUGHT


def test_a_leg_without_a_root_belongs_to_no_call():
    key, value = TWO_LEGS[0]
    bad = msgspec.json.encode(msgspec.json.decode(value) | {"root_id": ""})
    (reject,) = decode([Message(0, 0, T0, key, bad)]).rejects
    assert "without a root_id" in reject.reason


def test_an_egress_leg_that_names_nobody_would_be_judged_elsewhere():
    key, value = TWO_LEGS[1]
    bad = msgspec.json.encode(msgspec.json.decode(value) | {"account": "", "ingress_trunk": ""})
    (reject,) = decode([Message(0, 0, T0, key, bad)]).rejects
    assert "must name the account" in reject.reason


def test_nothing_is_remembered_of_a_call_whose_legs_are_all_through():
    book = Book()
    book.take(*TWO_LEGS)
    book.tick(T0 + 70_000 + LEG_LINGER_MS + 60_000)
    assert not book.calls[0].lingering and not book.purchases[0].of and not book.accrued[0].of


LEGS = [
    egress(1, "beta", 0, 5, sip_code=503), egress(2, "alpha", 20, 30), egress(3, "beta", 40, 71), ingress(4, 60, 70),
]  # fmt: skip


@given(st.permutations(LEGS), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_order_and_the_cut_change_no_money(order: Sequence[tuple[bytes, bytes]], cuts: Iterable[bool]):
    book, batch = Book(), []
    for message, cut in zip(order, cuts, strict=True):
        batch.append(message)
        if cut:
            book.take(*batch)
            batch = []
    book.take(*batch)
    book.tick(T0 + 2 * LEG_LINGER_MS)
    assert book.money() == {"sell acme": "0.06", "buy alpha": "0.011", "buy beta": "0.030666667"}
    assert len(book.fates) == 4 and book.fates.count("rated") >= 1
