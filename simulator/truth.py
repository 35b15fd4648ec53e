"""The truth about the traffic: stored beside the records, never in them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from core.money import to_decimal
from core.safety import SHORT
from rating.deck import Call as Called
from rating.price import price_one
from simulator.attack import Plan
from simulator.calls import ATTACK, LOOK_ALIKE, Call, answer_ms, reported_ms
from simulator.decks import deck
from simulator.world import World


class Attack(msgspec.Struct, kw_only=True):
    """The planned attack. Its calls and exposure grow while the traffic is made; exposure is the sell price of the real talk time."""

    tenant: str
    account: str
    a_numbers: list[str]
    ranges: list[str]
    start_ms: int
    end_ms: int
    lines: int
    median_talk_s: float
    call_ids: list[str] = []
    refused: int = 0
    exposure: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    currency: str = "EUR"


class LookAlike(msgspec.Struct, kw_only=True):
    """The legitimate account that must not be blocked."""

    tenant: str
    account: str
    start_ms: int
    calls: int = 0
    sold: Decimal = Decimal(0)


class Episode(msgspec.Struct, kw_only=True):
    """An attack of a family (`simulator.episodes`). `loss`: what it costs its victim if nobody stops it."""

    id: str
    family: str
    stealth: int
    slow: bool
    tenant: str
    account: str  # the one that is used, or brings the traffic in
    accounts: list[str]  # all whose calls belong to it, the first 200
    a_numbers: list[str]  # likewise
    carriers: list[str]  # where a carrier does it
    start_ms: int
    end_ms: int
    calls: int
    answered: int
    loss: Decimal = Decimal(0)
    currency: str = "EUR"


class Subject(msgspec.Struct):
    """An honest subject that resembles an attack (`simulator.look_alikes`)."""

    kind: str
    id: str
    tenant: str
    account: str
    start_ms: int
    end_ms: int


class Truth(msgspec.Struct, kw_only=True):
    """The answers. Complete after the last record."""

    seed: int
    start_ms: int
    end_ms: int
    attack: Attack | None = None
    look_alike: LookAlike | None = None
    calls: int = 0
    records: int = 0
    sold: Decimal = Decimal(0)  # of the real talk time, attack included
    told: Decimal = Decimal(0)  # of the talk time in the stops: hung calls until they were detected, calls without a stop not at all
    mess: dict[str, int] = {}
    episodes: list[Episode] = []
    look_alikes: list[Subject] = []

    def json(self) -> bytes:
        """The content of the file `truth.json`."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def of_attack(plan: Plan) -> Attack:
    """The answers about a planned attack."""
    return Attack(
        tenant=plan.subscriber.tenant, account=plan.subscriber.name, a_numbers=[one.number for one in plan.callers],
        ranges=list(plan.ranges), start_ms=plan.start_ms, end_ms=plan.end_ms, lines=plan.lines, median_talk_s=plan.median_talk_s,
    )  # fmt: skip


class Ledger:
    """Prices talk by the decks of the world. A call to a short number, such as an emergency number, costs nothing."""

    def __init__(self, world: World) -> None:
        self._sell = {(one.tenant, one.name): one.sell_deck for one in world.config.accounts}
        self._buy = {(one.tenant, one.name): one.buy_deck for one in world.config.carriers}

    def sell_nanos(self, call: Call, talk_ms: int) -> int:
        """The price for the account."""
        return _nanos(self._sell[call.tenant, call.account], call, talk_ms)

    def buy_nanos(self, call: Call, talk_ms: int) -> int:
        """The price of the answering carrier, without attempt fees."""
        return _nanos(self._buy[call.tenant, call.attempts[-1].carrier], call, talk_ms)

    def attempt_nanos(self, call: Call, carrier: str) -> int:
        """The attempt fee of a carrier."""
        if len(call.b_number) <= SHORT:
            return 0
        priced = price_one(deck(self._buy[call.tenant, carrier]), Called(call.b_number), call.at_ms, 0, False)
        return priced.attempt_nanos


def _nanos(deck_name: str, call: Call, talk_ms: int) -> int:
    if talk_ms <= 0 or len(call.b_number) <= SHORT:
        return 0
    return price_one(deck(deck_name), Called(call.b_number), answer_ms(call), talk_ms, True).nanos


class TruthRecorder:
    """Updates the truth with each call."""

    def __init__(self, truth: Truth, world: World) -> None:
        self.truth = truth
        self._ledger = Ledger(world)

    def add(self, call: Call) -> None:
        """Add a call that was admitted or refused, with the money of its whole duration."""
        self.truth.calls += 1
        attack = self.truth.attack if call.why == ATTACK else None
        if attack:
            attack.call_ids.append(call.facts["call_id"])
            attack.refused += call.refused
        if self.truth.look_alike:
            self.truth.look_alike.calls += call.why == LOOK_ALIKE
        if call.talk_ms and not call.refused:
            self._money(call, call.talk_ms, reported_ms(call), 1)

    def cut_short(self, call: Call, at_ms: int) -> None:
        """An added call ends earlier than planned, or before its answer."""
        if call.talk_ms and not call.refused:
            self._money(call, call.talk_ms, reported_ms(call), -1)
            if call.answered_ms:
                so_far_ms = at_ms - call.answered_ms
                self._money(call, min(so_far_ms, call.talk_ms), so_far_ms, 1)

    def _money(self, call: Call, talk_ms: int, reported_ms: int, sign: int) -> None:
        sold = sign * to_decimal(self._ledger.sell_nanos(call, talk_ms))
        self.truth.sold += sold
        self.truth.told += sign * to_decimal(self._ledger.sell_nanos(call, reported_ms))
        if call.why == ATTACK and self.truth.attack:
            self.truth.attack.exposure += sold
            self.truth.attack.cost += sign * to_decimal(self._ledger.buy_nanos(call, talk_ms))
        elif call.why == LOOK_ALIKE and self.truth.look_alike:
            self.truth.look_alike.sold += sold
