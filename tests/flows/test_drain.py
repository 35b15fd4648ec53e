"""The collector was away for twenty minutes of busy traffic; then the spool drains, and calls that ended long ago are still open in
what has arrived so far. Nobody is suspected for talk that never was."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from core.config import Account, Config, Trunk
from core.message import Message
from core.record import TICK_KEY, Record, Tick, journal_key
from flows.step import State, judge
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck

AWAY_FROM_MS = 1_795_000_000_000
AWAY_MS, TALK_MS = 20 * 60_000, 60_000
BACK_MS = AWAY_FROM_MS + AWAY_MS
CALLS, SPACE_MS = 120, 250
KEY = journal_key("t1", "acme", "in")


@pytest.fixture(scope="module")
def contracts() -> Terms:
    config = Config(
        version=1, accounts=(Account(tenant="t1", name="acme", sell_deck="basic"),), trunks=(Trunk(tenant="t1", name="in"),),
        decks={"basic": "x"},
    )  # fmt: skip
    return compile_contracts(config, {"basic": read_deck(b"prefix,price_per_min\n43,0.10", "basic", "EUR")})


def spool() -> list[Record]:
    """Four calls a second, a minute long each, just after the collector went: twenty minutes of each would be a burst."""
    events: list[tuple[int, int, str]] = []
    for n in range(CALLS):
        answer_ms = AWAY_FROM_MS + n * SPACE_MS
        events += [(answer_ms, n, "answer"), (answer_ms + TALK_MS, n, "stop")]
    return [
        Record(
            v=2, event=event, switch="k1", boot_id="b", seq=seq, at_ms=at_ms, dialog_id=str(n), call_id=f"c{n}", account="acme",
            ingress_trunk="in", a_raw="4366012345678", b_raw=f"43123{n % 8}{n:05}", sip_code=200, answer_ms=AWAY_FROM_MS + n * SPACE_MS,
            end_ms=at_ms if event == "stop" else None,
        )
        for seq, (at_ms, n, event) in enumerate(sorted(events), 1)
        if event in ("answer", "stop")
    ]  # fmt: skip


def drained(complete_to_ms: int) -> Iterator[Message]:
    """The spool in pieces of forty, a tick between any two. Everything is learned now, minutes after it happened."""
    now_ms, offset = BACK_MS, 0
    for n, record in enumerate(spool()):
        if n % 40 == 0:
            now_ms += 5_000
            tick = Tick(at_ms=now_ms, config_version=1, complete_to_ms={"k1": complete_to_ms})
            yield Message(0, offset, now_ms, TICK_KEY, msgspec.json.encode(tick))
            offset += 1
        yield Message(0, offset, now_ms, KEY, msgspec.json.encode(record))
        offset += 1


def judged(contracts: Terms, complete_to_ms: int) -> tuple[int, int]:
    """(findings of bursts, nanos sold)."""
    state, bursts, sold = State(b"s" * 16), 0, 0
    for message in drained(complete_to_ms):
        outcome = judge(state, [message], lambda _: contracts)
        bursts += sum(finding.detector == "burst" for finding in outcome.findings)
        sold += outcome.priced["sell_nanos"].sum()
    return bursts, sold


def test_a_spool_that_drains_raises_no_alert_for_calls_that_had_ended(contracts: Terms) -> None:
    assert judged(contracts, complete_to_ms=AWAY_FROM_MS) == (0, CALLS * 100_000_000)


def test_and_without_the_word_of_the_shipper_it_would(contracts: Terms) -> None:
    bursts, sold = judged(contracts, complete_to_ms=BACK_MS)
    assert bursts > 0 and sold == CALLS * 100_000_000
