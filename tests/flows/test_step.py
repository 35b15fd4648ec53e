"""What judge says of a record depends on it and earlier ones, never on how the stream was cut."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import polars as pl
import pytest

from core import schemas
from core.message import Message
from flows.snapshot import freeze, pack, unpack
from flows.step import Outcome, State, judge
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck
from simulator.day import day
from simulator.log import messages
from simulator.world import make_world

SECRET = b"s" * 16


@cache
def contracts_of_world(seed: int) -> dict[int, Terms]:
    place = make_world(seed)
    decks = {name: read_deck(content, name, place.currency) for name, content in place.decks.items()}
    stricter = msgspec.structs.replace(place.config.policy, detectors={"burst": {"b_range_floor": 20.0}})
    return {
        0: compile_contracts(msgspec.structs.replace(place.config, version=0, accounts=(), carriers=(), trunks=()), decks),
        1: compile_contracts(msgspec.structs.replace(place.config, version=1), decks),
        2: compile_contracts(msgspec.structs.replace(place.config, version=2, policy=stricter), decks),
    }


@cache
def log_of(seed: int, partitions: int = 3) -> list[Message]:
    """A third of a busy hour with an attack, over several partitions; the second half under another config version."""
    log = list(messages(day(seed, hours=0.35, calls_per_s=0.8, attack=True, world=make_world(seed))[0], "demo", partitions=partitions))
    later = list(messages(day(seed, hours=0.35, calls_per_s=0.8, attack=True, world=make_world(seed))[0], "demo", 2, partitions=partitions))
    half = log[len(log) // 2].learned_ms
    return [late if late.learned_ms > half else early for early, late in zip(log, later, strict=True)]


def judge_cut(log, contracts, cuts, restarts=frozenset()) -> tuple[list[Outcome], State]:
    state, outcomes = State(SECRET), []
    for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        if start in restarts:
            state = unpack(pack(freeze(state)))
        outcomes.append(judge(state, log[start:end], contracts.__getitem__))
    return outcomes, state


def facts(outcomes: list[Outcome]) -> tuple[pl.DataFrame, pl.DataFrame, list[bytes], list[bytes]]:
    judged = pl.concat([o.records for o in outcomes]).sort("partition", "offset")
    rated = pl.concat([o.priced for o in outcomes]).sort("partition", "offset", "revision")
    findings = sorted(msgspec.json.encode(f) for o in outcomes for f in o.findings)
    orders = sorted(msgspec.json.encode(order) for o in outcomes for order in o.orders)
    return judged, rated, findings, orders


@pytest.mark.parametrize("seed", [3, 9])
def test_no_cut_and_no_restart_changes_a_row_a_finding_or_an_order(seed):
    log, contracts = log_of(seed), contracts_of_world(seed)
    whole = facts(judge_cut(log, contracts, [])[0])
    assert whole[2] and whole[3], "the attack is seen"
    rng = random.Random(seed)
    for pieces in (7, 60):
        cuts = sorted(rng.sample(range(1, len(log)), pieces))
        outcomes, _ = judge_cut(log, contracts, cuts, frozenset(cuts[::3]))
        for expected, found in zip(whole, facts(outcomes), strict=True):
            if isinstance(expected, pl.DataFrame):
                assert expected.equals(found)
            else:
                assert expected == found


def test_state_after_a_restart_is_the_same_to_the_byte():
    log, contracts = log_of(3), contracts_of_world(3)
    _, state = judge_cut(log, contracts, [1000, 2000])
    once = pack(freeze(state))
    assert pack(freeze(unpack(once))) == once


def test_every_offset_but_ticks_has_exactly_one_disposition():
    log, contracts = log_of(9), contracts_of_world(9)
    judged, rated, _, _ = facts(judge_cut(log, contracts, [500])[0])
    records = sorted((m.partition, m.offset) for m in log if m.key != b"\x1ftick")
    assert list(judged.select("partition", "offset").iter_rows()) == records
    assert set(judged["disposition"].unique()) <= set(schemas.DISPOSITIONS)
    # Money stands in rated rows alone: one a rated record, and one a call that a tick closed.
    ended = judged.filter(pl.col("disposition") == schemas.RATED_DISPOSITION).height
    assert rated.height == ended + rated.filter(pl.col("duration_source") == "sign_of_life").height


def test_without_dedupe_the_books_would_not_balance():
    log, contracts = log_of(3), contracts_of_world(3)
    again = [m._replace(offset=len(log) + m.offset) for m in log if m.key != b"\x1ftick"]
    careful, careless = State(SECRET), State(SECRET)
    money = {}
    for name, state, dedupe in (("careful", careful, True), ("careless", careless, False)):
        first = judge(state, log, contracts.__getitem__, dedupe=dedupe)
        second = judge(state, again, contracts.__getitem__, dedupe=dedupe)
        money[name] = (first.priced["sell_nanos"].sum(), second.priced["sell_nanos"].sum())
    assert money["careful"][1] == 0
    assert money["careless"][1] > 0
