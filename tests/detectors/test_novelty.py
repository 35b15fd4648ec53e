"""The novelty lane: it warns of what is new, seldom, and never blocks."""

from __future__ import annotations

import random

import msgspec
import polars as pl
import pytest

from core.policy import Policy, faults
from core.safety import Protected
from detectors import half_space
from detectors.half_space import WINDOW, Masses
from detectors.novelty import QUARTER_MS, RECENT, State, detect, forget
from detectors.protocol import Limits, Settings
from detectors.registry import summed
from detectors.sums import SUMS

DAY_MS = 86_400_000
T_MS = 1_790_000_000_000 // DAY_MS * DAY_MS


def rules(per_day: int) -> Settings:
    return Settings(lambda _: Policy(novelty_alerts_per_day=per_day), lambda _: Protected(), lambda *_: "EUR", Limits())


def cut(*rows: dict) -> pl.DataFrame:
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    return pl.DataFrame([zero | {"tenant": "t1", "kind": "novel", "currency": "EUR", "call_id": "c"} | row for row in rows], schema=SUMS)


def quarter(rng: random.Random, account: str, number: int, **strange: int) -> dict:
    """An office's quarter of an hour: 20 to 40 calls of a minute or three."""
    calls = rng.randrange(20, 40)
    answers = calls * rng.randrange(55, 75) // 100
    usual = {"calls": calls, "ends": calls, "answers": answers, "shorts": answers // 12, "talk_ms": answers * rng.randrange(60, 180) * 1000}
    usual |= {"delay_ms": answers * rng.randrange(9, 15) * 1000, "nanos": answers * 5 * 10**7, "sided": answers, "by_callee": answers // 2}
    return {"subject": account, "second_ms": T_MS + number * QUARTER_MS} | usual | strange


STRANGE = {"calls": 400, "ends": 400, "answers": 30, "shorts": 30, "talk_ms": 30_000, "by_callee": 0}


def taught(per_day: int, accounts: int = 8) -> tuple[State, int, list]:
    """A state that has seen as much of offices as it needs, the number of the next quarter, and what it has reported so far."""
    rng, state, found = random.Random(1), State(), []
    quarters = (3 * WINDOW + RECENT) // accounts
    for number in range(quarters):
        found += detect(state, cut(*(quarter(rng, f"a{one}", number) for one in range(accounts))), rules(per_day))[0]
    return state, quarters, found


def strange(state: State, at: int, per_day: int, accounts: list[str]) -> list:
    rng = random.Random(2)
    found, orders = detect(state, cut(*(quarter(rng, one, at, **STRANGE) for one in accounts)), rules(per_day))
    more, more_orders = detect(state, cut(*(quarter(rng, one, at + 1) for one in accounts)), rules(per_day))
    assert orders == more_orders == [], "it never blocks"
    return [*found, *more]


def test_what_is_unlike_the_rest_is_reported_and_not_learned():
    state, at, before = taught(50)
    assert len(before) <= 8, "a quarter in hundreds is a record by chance"
    learned = state.lanes["t1"].masses.learned
    (one,) = strange(state, at, 50, ["a3"])
    assert (one.subject, one.detector, one.key, one.calls) == ("a3", "novelty", None, 400) and "unlike" in one.reason
    assert state.lanes["t1"].masses.learned == learned + 1, "its last quarter before was learned, the strange one was not"


@pytest.mark.parametrize(("per_day", "written"), [(0, 0), (2, 2), (8, 8)])
def test_the_alerts_of_a_day_are_capped(per_day, written):
    state, at, before = taught(per_day)
    today = [one for one in before if one.first_ms // DAY_MS == (T_MS + at * QUARTER_MS) // DAY_MS]
    found = strange(state, at, per_day, [f"a{one}" for one in range(8)])
    assert len(found) + len(today) <= per_day and (found or not per_day or today)
    assert state.lanes["t1"].left_out >= 8 - written - len(today)


def test_the_state_survives_a_snapshot_and_is_forgotten():
    state, at, _ = taught(2)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)
    assert again == state
    assert strange(again, at, 2, ["a1"]) == strange(state, at, 2, ["a1"])
    forget(state, T_MS + 900 * DAY_MS)
    assert state == State()


def test_accounts_are_bounded(monkeypatch):
    monkeypatch.setattr("detectors.novelty.MOST_ACCOUNTS", 10)
    state, rng = State(), random.Random(3)
    for number in range(3):
        detect(state, cut(*(quarter(rng, f"a{one:02}", number) for one in range(40))), rules(1))
        assert list(state.lanes["t1"].accounts) == [f"a{one}" for one in range(30, 40)], "those whose quarter began first are dropped"


def test_only_tenants_that_ask_are_gathered(usage_of):
    usage = usage_of({"tenant": "t1", "account": "acme"}, {"tenant": "t2", "account": "blue"})
    assert summed()["novel"](usage, Limits()) is None
    assert summed()["novel"](usage, Limits(novelty=lambda tenant: tenant == "t2")).to_list() == ["", "blue"]
    assert faults(Policy(novelty_alerts_per_day=-1)) == ["policy.novelty_alerts_per_day: must be >= 0, is -1"]


def test_the_mass_of_a_point_is_that_of_its_nodes():
    """Against an obviously right count: of the reference points, those in the same node."""
    rng = random.Random(4)
    points = [[rng.betavariate(2, 5), rng.random(), rng.betavariate(8, 2)] for _ in range(WINDOW)]
    state = Masses()
    for one in points:
        half_space.learn(state, one)
    for asked in [*points[:5], [0.99, 0.01, 0.01]]:
        total = 0
        for tree in half_space._trees(3):
            path, paths = half_space._path(tree, asked), [half_space._path(tree, one) for one in points]
            for depth, node in enumerate(path):
                inside = sum(one[depth] == node for one in paths)
                if inside < half_space.SMALL or depth == half_space.HEIGHT:
                    total += inside * 2**depth
                    break
        assert half_space.mass(state, asked) == total
