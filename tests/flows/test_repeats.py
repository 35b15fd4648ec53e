"""One id over several rows, of feeds that count no sequence: which are one call, and how long that is remembered."""

from __future__ import annotations

import json

import msgspec
import pytest

from core.config import Config
from core.message import Message
from core.record import TICK_KEY, Tick, journal_key
from flows.snapshot import freeze, pack, unpack
from flows.step import Outcome, State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck

NOW_MS = 1_772_442_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DECK = read_deck(b"prefix,price_per_min\n43,0.60", "basic", "EUR")
CONTRACTS = compile_contracts(
    Config(version=1, self_register=True, decks={"basic": DECK.deck_id}, default_sell_deck="basic"), {"basic": DECK}
)


def stop(**facts) -> dict:
    """A row of a file that was posted: no boot, no sequence."""
    return {
        "v": 2, "event": "stop", "switch": "files", "at_ms": NOW_MS, "call_id": "c1", "account": "acme", "b_raw": "+431234567",
        "answer_ms": NOW_MS - 60_000, "end_ms": NOW_MS, "duration_ms": 60_000, **facts,
    }  # fmt: skip


class House:
    """One partition, judged as it comes."""

    def __init__(self) -> None:
        self.state, self.offset = State(b"s" * 16), 0

    def post(self, *records: dict, tenant: str = "t1", learned_ms: int = NOW_MS, unique_ids: bool = False) -> list[str]:
        """Posts records, and says what became of each; priced and suspected is "suspected"."""
        messages = [
            Message(0, self.offset + n, learned_ms, journal_key(tenant, record.get("account", ""), ""), json.dumps(record).encode())
            for n, record in enumerate(records)
        ]
        self.offset += len(records)
        found = self._judge(messages, unique_ids).records
        return ["suspected" if twin else fate for fate, twin in found.select("disposition", "suspected_duplicate").iter_rows()]

    def tick(self, at_ms: int) -> Outcome:
        self.offset += 1
        tick = msgspec.json.encode(Tick(at_ms=at_ms, config_version=1))
        outcome = self._judge([Message(0, self.offset - 1, at_ms, TICK_KEY, tick)], False)
        self.state = unpack(pack(freeze(self.state)))  # what is remembered outlives a restart
        return outcome

    def _judge(self, messages: list[Message], unique_ids: bool) -> Outcome:
        return judge(self.state, messages, lambda _: CONTRACTS, unique_ids=unique_ids)


def ended(at_ms: int, **facts) -> dict:
    """The same at another time."""
    return stop(at_ms=at_ms, end_ms=at_ms, answer_ms=at_ms - 60_000, **facts)


OTHERS = [
    {"account": "blue"}, {"b_raw": "+431234568"}, {"duration_ms": 1_800_000}, {"at_ms": NOW_MS + 1000, "end_ms": NOW_MS + 1000},
    {"a_raw": "+436641"}, {"sell_amount": "1", "currency": "EUR"}, {"ingress_trunk": "in-2"}, {"answer_ms": None, "duration_ms": 0},
    {"setup_ms": NOW_MS - 70_000}, {"sip_code": 200}, {"carrier": "blue"},
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("ids", [{"call_id": "c1"}, {"call_id": "", "dialog_id": "d1"}, {"call_id": "c1", "dialog_id": "d1", "from_tag": "t"}])
def test_the_same_id_with_other_content_is_priced_and_suspected_and_with_the_same_a_duplicate(other, ids):
    house = House()
    assert house.post(stop(**ids), stop(**ids, **other), stop(**ids), stop(**ids, **other)) == ["rated", "suspected", "duplicate", "duplicate"]


@pytest.mark.parametrize("other", OTHERS)
def test_where_the_feed_vouches_for_its_ids_other_content_is_a_conflict(other):
    assert House().post(stop(), stop(**other), stop(), unique_ids=True) == ["rated", "conflict", "duplicate"]


def test_attempts_under_one_id_are_bought_one_by_one_and_suspect_nobody():
    house = House()
    assert house.post(*(stop(attempt_no=n) for n in (1, 2, 3)), stop(attempt_no=2)) == ["rated"] * 3 + ["duplicate"]


def test_a_call_that_nobody_answered_and_one_of_ten_minutes_under_one_id():
    house = House()
    rows = (stop(answer_ms=None, duration_ms=0), stop(b_raw="+431234599", duration_ms=600_000))
    assert house.post(*rows) == ["rated", "suspected"]


@pytest.mark.parametrize("change", [{"account": "blue"}, {"b_raw": "+431234599"}])
def test_a_stop_of_another_party_does_not_end_the_call_that_an_answer_opened(change):
    house = House()
    answer = stop(event="answer", at_ms=NOW_MS - 60_000, end_ms=None, duration_ms=None)
    assert house.post(answer, stop(**change), stop()) == ["event", "suspected", "rated"]
    assert house.post(stop(), stop(**change)) == ["duplicate", "duplicate"]


AHEAD = DAY_MS - 6 * 60_000


@pytest.mark.parametrize(
    "stranger",
    [
        {"tenant": "t2", "switch": "other"}, {"tenant": "t2", "switch": "files"}, {"tenant": "t1", "switch": "other"},
        {"tenant": "t1", "switch": "files"}, {"tenant": "t1", "switch": "files", "call_id": ""},
    ],
)  # fmt: skip
def test_a_row_that_is_dated_ahead_makes_nobody_forget(stranger):
    house, rows = House(), [ended(NOW_MS - n * HOUR_MS, call_id=f"c{n}") for n in range(5)]
    nameless = ended(NOW_MS - HOUR_MS, call_id="")
    assert house.post(*rows, nameless) == ["rated"] * 6
    tenant = stranger["tenant"]
    ahead = ended(NOW_MS + AHEAD, **({"call_id": "f"} | {name: value for name, value in stranger.items() if name != "tenant"}))
    assert house.post(ahead, tenant=tenant) == ["rated"]
    house.tick(NOW_MS + 60_000)
    assert house.post(*rows, nameless, learned_ms=NOW_MS + 120_000) == ["duplicate"] * 5 + ["suspected"]


def test_a_month_that_is_posted_again_the_same_day_is_known_and_two_days_later_forgotten():
    house, rows = House(), [ended(NOW_MS - n * DAY_MS, call_id=f"c{n}") for n in range(31)]
    assert house.post(*reversed(rows)) == ["rated"] * 31
    house.tick(NOW_MS + 23 * HOUR_MS)
    assert house.post(*rows, learned_ms=NOW_MS + 23 * HOUR_MS) == ["duplicate"] * 31
    house.tick(NOW_MS + 25 * HOUR_MS)
    assert not house.state.calls[0].closed and house.post(rows[0], learned_ms=NOW_MS + 25 * HOUR_MS) == ["rated"]
