"""What spans partitions: the same findings however the log was cut, and from one judge as from three."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import msgspec
import polars as pl
import pytest

from core.config import Account, Caps, Carrier, Config, Range, TrunkGroup
from core.message import Message
from core.partition import partition_for
from core.policy import Policy
from core.record import TICK_KEY, Record, Tick, journal_key
from detectors.sums import EPOCH, TICK
from flows import watch as flow
from flows.batches import from_value, to_values
from flows.repartition import partitions_of_judge
from flows.step import State, judge
from flows.watch import PATIENCE_MS, Stored, watch
from rating.contracts import Terms, compile_contracts
from rating.decks import read_deck

PARTITIONS = 4
START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
ACCOUNTS = [f"acct{n}" for n in range(12)]
RANGES = [f"8821{n:02d}" for n in range(40)]
GROUPS = [f"group{n}" for n in range(40)]
CARRIERS = [f"carrier{n}" for n in range(40)]

COLUMNS = b"prefix,destination,price_per_min,connect_fee,attempt_fee,first_s,next_s,effective_from,effective_to\n"
DECK = read_deck(COLUMNS + b"8821,premium,1.20,0,0,60,60,,\n", "basic", "EUR")


def contracts(money_hour: int = 20) -> Terms:
    """Everyone may spend what he likes; all together at most 20 EUR an hour in a range, over a group, or over a carrier."""
    caps = Caps(money_hour_nanos=money_hour * 10**9)
    config = Config(
        version=1,
        accounts=tuple(Account(tenant="t1", name=name, sell_deck="basic") for name in ACCOUNTS),
        carriers=tuple(Carrier(tenant="t1", name=name, caps=caps) for name in CARRIERS),
        trunk_groups=tuple(TrunkGroup(tenant="t1", name=name, caps=caps) for name in GROUPS),
        ranges=tuple(Range(tenant="t1", b_range=name, caps=caps) for name in RANGES),
        decks={"basic": "1"},
        policy=Policy(detectors={"burst": {"account_floor": 1e9, "a_number_floor": 1e9, "b_range_floor": 1e9}}),
    )
    return compile_contracts(config, {"basic": DECK})


def traffic(seed: int, calls: int = 800) -> list[Message]:
    """Short dear calls into forty ranges, over forty groups and carriers, within ten minutes, ticks between. Each of these gets five calls
    from each partition, of 1.20 or 2.40: at most 12 from one partition, and at least 24 in all."""
    rng = random.Random(seed)
    of = {p: [name for name in ACCOUNTS if partition_for(journal_key("t1", name, ""), PARTITIONS) == p] for p in range(PARTITIONS)}
    events = []
    for call in range(calls):
        at_ms = START_MS + rng.randrange(600_000)
        which, partition = call % 40, call // 40 % PARTITIONS
        facts = {
            "account": rng.choice(of[partition]), "b_raw": f"+{RANGES[which]}{rng.randrange(10**6):06d}", "a_raw": "+4366012345678",
            "carrier": CARRIERS[(which + call // 160) % 40], "trunk_group": GROUPS[(which + call // 160 * 7) % 40],
            "call_id": f"c{call}", "dialog_id": str(call),
        }  # fmt: skip
        talk_ms = rng.randrange(1_000, 90_000)
        events += [(at_ms, "answer", facts), (at_ms + talk_ms, "stop", facts)]
    offsets, out, next_tick = [0] * PARTITIONS, list[Message](), START_MS

    def add(partition: int, at_ms: int, key: bytes, value: bytes) -> None:
        out.append(Message(partition, offsets[partition], at_ms, key, value))
        offsets[partition] += 1

    for seq, (at_ms, event, facts) in enumerate(sorted(events, key=lambda e: e[0])):
        while next_tick <= at_ms:
            tick = msgspec.json.encode(Tick(at_ms=next_tick, config_version=1, complete_to_ms={"k1": next_tick}))
            for partition in range(PARTITIONS):
                add(partition, next_tick, TICK_KEY, tick)
            next_tick += 5_000
        record = Record(v=2, event=event, switch="k1", boot_id="b", seq=seq, at_ms=at_ms, sip_code=200, **facts)
        key = journal_key("t1", record.account, "")
        add(partition_for(key, PARTITIONS), at_ms, key, msgspec.json.encode(record))
    for _ in range(2):
        for partition in range(PARTITIONS):
            tick = msgspec.json.encode(Tick(at_ms=next_tick, config_version=1, complete_to_ms={"k1": next_tick}))
            add(partition, next_tick, TICK_KEY, tick)
        next_tick += 5_000
    return out


def sums_of(log: Iterable[Message], judges: int, rng: random.Random, agreed: Terms) -> list[Message]:
    """What so many judges write to `sums`, each in batches of its own size; a value may hold a few rows only."""
    offsets, out = [0] * PARTITIONS, list[Message]()
    for number in range(1, judges + 1):
        mine = partitions_of_judge(number, judges, PARTITIONS)
        state, own, at = State(b"s" * 16), [m for m in log if m.partition in mine], 0
        while at < len(own):
            size = rng.choice([5, 60, 700])
            sums = judge(state, own[at : at + size], lambda _: agreed).sums
            at += size
            for (partition,), part in sums.partition_by("partition", as_dict=True, maintain_order=True).items():
                step = rng.choice([25, 10_000])
                for piece in part.iter_slices(step):
                    for value in to_values(piece):
                        out.append(Message(partition, offsets[partition], 0, EPOCH, value))
                        offsets[partition] += 1
    return out


def shuffled(messages: list[Message], rng: random.Random) -> list[list[Message]]:
    """Batches in which each partition keeps its order, and nothing else is certain."""
    queues = [[m for m in messages if m.partition == partition] for partition in range(PARTITIONS)]
    batches = []
    while any(queues):
        queue = rng.choice([q for q in queues if q])
        n = rng.randrange(1, 120)
        batches.append(queue[:n])
        del queue[:n]
    return batches


def watched(batches: list[list[Message]], agreed: Terms, crashes: random.Random | None = None):
    """All that watch says. With `crashes` it dies now and then, and reads on from its last snapshot."""
    state, said, kept, read = flow.State(PARTITIONS), [], flow.freeze(flow.State(PARTITIONS)), []
    for batch in batches:
        said.append(watch(state, batch, lambda _: agreed, START_MS))
        read.append(batch)
        if crashes and crashes.random() < 0.2:
            kept = flow.freeze(state)
        elif crashes and crashes.random() < 0.2:
            state = flow.State(PARTITIONS, flow.thaw(kept))
            at = state.stored.next_offset
            again = [m for b in read for m in b if m.offset >= at.get(m.partition, 0)]
            said.append(watch(state, again, lambda _: agreed, START_MS))
    said.append(watch(state, [], lambda _: agreed, START_MS, last=True))
    findings = {msgspec.json.encode(f) for one in said for f in one.findings}
    return findings, {msgspec.json.encode(order) for one in said for order in one.orders}


@pytest.fixture(scope="module")
def from_one():
    agreed, rng = contracts(), random.Random(1)
    log = traffic(5)
    return log, watched([sums_of(log, 1, rng, agreed)], agreed)


@pytest.mark.parametrize("judges", [1, 3])
def test_findings_are_the_same_from_one_judge_and_from_three(from_one, judges):
    log, (findings, orders) = from_one
    agreed, rng = contracts(), random.Random(judges)
    found = watched(shuffled(sums_of(log, judges, rng, agreed), rng), agreed)
    ids = {msgspec.json.decode(f)["finding_id"] for f in findings}
    assert len(ids) >= 100
    assert found == (findings, orders)


def test_each_cap_was_crossed_by_the_sum_over_partitions_alone(from_one):
    """Asked of each partition by itself, nothing at all would be found."""
    log, _ = from_one
    agreed = contracts()
    for partition in range(PARTITIONS):
        alone = [
            m._replace(partition=0) for m in sums_of([m for m in log if m.partition == partition], 1, random.Random(0), agreed)
        ]
        state = flow.State(1)
        assert not watch(state, alone, lambda _: agreed, START_MS, last=True).findings


def test_a_crash_of_watch_changes_nothing_that_it_says(from_one):
    log, expected = from_one
    agreed, rng = contracts(), random.Random(3)
    assert watched(shuffled(sums_of(log, 3, rng, agreed), rng), agreed, crashes=rng) == expected


@pytest.mark.parametrize("late", [False, True], ids=["", "appended late"])
def test_a_judge_that_died_tells_its_epoch_again_and_it_counts_once(from_one, late):
    """Half an epoch was written, then the whole of it, and some epochs a second time. On Apache Kafka the rest of the half may come
    `late`, between what the next judge tells."""
    log, expected = from_one
    agreed, rng = contracts(), random.Random(4)
    sums, told, broken = sums_of(log, 1, random.Random(7), agreed), list[Message](), 0
    for partition in range(PARTITIONS):
        mine, at, coming = [m for m in sums if m.partition == partition], 0, list[Message]()
        while at < len(mine):
            n = rng.randrange(1, 30)
            for message in mine[at : at + n]:
                told.append(message)
                if coming and rng.random() < 0.3:
                    told.append(coming.pop(0))
            at = min(at + n, len(mine))
            if rng.random() < 0.3:  # killed: it goes back to the beginning of an epoch
                if late:
                    coming = mine[at : at + rng.randrange(1, 12)]
                    broken += bool(coming) and not ends(mine[at - 1])
                at = max(0, at - rng.randrange(1, 20))
                while at and not ends(mine[at - 1]):
                    at -= 1
    offsets = [0] * PARTITIONS
    for place, message in enumerate(told):
        told[place] = message._replace(offset=offsets[message.partition])
        offsets[message.partition] += 1
    assert len(told) > len(sums) and bool(broken) == late
    assert watched(shuffled(told, rng), agreed) == expected


def ends(message: Message) -> bool:
    """Whether an epoch ends with this message."""
    return bool(from_value(message.value)["kind"][-1] == TICK)


def test_epochs_do_not_depend_on_how_the_log_was_cut(from_one):
    log, _ = from_one
    agreed = contracts()

    def rows(seed: int) -> pl.DataFrame:
        frame = pl.concat([from_value(m.value) for m in sums_of(log, 1, random.Random(seed), agreed)])
        return frame.sort(frame.columns)

    assert rows(1).equals(rows(2))


def test_a_partition_that_is_silent_holds_up_the_others_only_for_a_while(from_one):
    log, (findings, _) = from_one
    agreed = contracts()
    sums = sums_of(log, 3, random.Random(2), agreed)
    dead, alive = [m for m in sums if m.partition == 1], [m for m in sums if m.partition != 1]
    state = flow.State(PARTITIONS)
    assert not watch(state, alive, lambda _: agreed, START_MS).findings
    found = watch(state, [], lambda _: agreed, START_MS + PATIENCE_MS).findings
    assert found, "three of four partitions are enough for some caps"
    found += watch(state, dead, lambda _: agreed, START_MS + PATIENCE_MS + 1).findings
    found += watch(state, [], lambda _: agreed, START_MS + 2 * PATIENCE_MS + 1).findings
    whole = {msgspec.json.decode(f)["finding_id"] for f in findings}
    assert {f.finding_id for f in found} == whole, "what it tells when it is back is added"


def test_an_order_names_the_accounts_that_fill_the_range(from_one):
    _, (findings, orders) = from_one
    of_ranges = [f for f in map(msgspec.json.decode, findings) if f["subject_kind"] == "range"]
    assert {order["key"]["b_range"] for order in map(msgspec.json.decode, orders)} == {f["subject"] for f in of_ranges}
    assert all(order["key"]["account"] and order["by"] == "watch" for order in map(msgspec.json.decode, orders))
    assert all(re.match(r"All accounts together have spent \d+\.\d\d EUR this hour on calls to \+", f["reason"]) for f in of_ranges)
    assert all("; the cap is 20.00 EUR. The most: " in f["reason"] and ": refuse new calls of " in f["reason"] for f in of_ranges)
    # Carriers and groups warn: nobody there can be told to stop.
    assert {f["subject_kind"] for f in map(msgspec.json.decode, findings)} == {"range", "carrier", "trunk_group"}


def test_what_watch_keeps_survives_its_file(tmp_path):
    snapshots = flow.of_watch(tmp_path / "watch.state")
    assert snapshots.load() is None
    snapshots.publish(flow.freeze(flow.State(2, Stored({0: 7}, {0: 9}))))
    snapshots.wait()
    assert flow.of_watch(tmp_path / "watch.state").load() == Stored({0: 7}, {0: 9})
