"""Twenty simulated days: attacks are found, and no honest account is blocked."""

from __future__ import annotations

import msgspec
import pytest

from flows.step import State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck
from simulator.day import attacked, day
from simulator.log import messages
from simulator.world import make_world

SEEDS = range(1, 21)
BATCH = 6000


def blocked_accounts(seed: int) -> tuple[set[str], str]:
    """The accounts that a day's orders name, and the one that was attacked ("" = none). Stops at the first order where an attack is."""
    place = make_world(seed)
    deliveries, truth = day(seed, hours=2.0, world=place)
    decks = {name: read_deck(content, name, place.currency) for name, content in place.decks.items()}
    contracts = compile_contracts(msgspec.structs.replace(place.config, version=1), decks)
    state, blocked, batch = State(b"s" * 16), set(), []
    guilty = truth.attack.account if truth.attack else ""
    for message in messages(deliveries, "demo"):
        batch.append(message)
        if len(batch) == BATCH:
            blocked |= {order.key.account for order in judge(state, batch, lambda _: contracts).orders}
            batch = []
            if guilty in blocked:
                return blocked, guilty
    return blocked | {order.key.account for order in judge(state, batch, lambda _: contracts).orders}, guilty


@pytest.mark.slow
def test_at_least_nine_of_ten_attacks_are_blocked_and_no_honest_account_is():
    found, missed, wrong = [], [], {}
    for seed in SEEDS:
        blocked, guilty = blocked_accounts(seed)
        assert bool(guilty) == attacked(seed)
        if guilty:
            (found if guilty in blocked else missed).append(seed)
        if blocked - {guilty}:
            wrong[seed] = blocked - {guilty}
    assert not wrong
    assert len(found) >= 0.9 * (len(found) + len(missed)), f"missed in seeds {missed}"
