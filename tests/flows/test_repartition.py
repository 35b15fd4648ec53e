"""More partitions, other processes: an account's past goes where its next call comes in."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core import topics
from core.message import Message
from core.partition import partition_for
from core.record import TICK_KEY, Tick
from detectors.state import BY_HOME
from flows import judge as flow
from flows import repartition
from flows.batches import from_value
from flows.repartition import check_states, merge, partitions_of_judge, spread
from flows.snapshot import SnapshotError, of_judge
from flows.step import State, judge
from journal import Entry, create_topics, open_journal
from rating.contracts import compile_contracts
from rating.decks import read_deck
from simulator.day import day
from simulator.log import messages
from simulator.world import make_world

SECRET = b"s" * 16


@pytest.fixture(scope="module")
def busy():
    """A third of a busy hour with an attack, over four partitions, and what prices it."""
    place = make_world(9)
    log = list(messages(day(9, hours=0.35, calls_per_s=0.8, attack=True, world=place)[0], "demo", partitions=4))
    decks = {name: read_deck(content, name, place.currency) for name, content in place.decks.items()}
    agreed = compile_contracts(msgspec.structs.replace(place.config, version=1), decks)
    return log, (lambda _: agreed)


def over(log: list[Message], partitions: int, offsets: dict[int, int]) -> list[Message]:
    """What the collector would have written of these messages with so many partitions."""
    out, at = [], dict(offsets)

    def add(partition: int, m: Message) -> None:
        out.append(m._replace(partition=partition, offset=at.get(partition, 0)))
        at[partition] = at.get(partition, 0) + 1

    for m in log:
        if m.key != TICK_KEY:
            add(partition_for(m.key, partitions), m)
        elif m.partition == 0:
            for partition in range(partitions):
                add(partition, m)
    return out


def ends_of(log: list[Message]) -> dict[int, int]:
    return {partition: max(m.offset for m in log if m.partition == partition) + 1 for partition in {m.partition for m in log}}


def sayings(outcomes):
    """What was found, ordered and priced, wherever it stands in the log."""
    judged = pl.concat([o.records for o in outcomes]).drop("partition", "offset")
    rated = pl.concat([o.priced for o in outcomes]).drop("partition", "offset", "record_partition", "record_offset")
    findings = sorted(msgspec.json.encode(f) for o in outcomes for f in o.findings)
    orders = sorted(msgspec.json.encode(order) for o in outcomes for order in o.orders)
    return judged.sort("seq", "event", "call_key"), rated.sort("call_key", "revision"), findings, orders


@pytest.mark.parametrize(("partitions", "judges"), [(4, 3), (8, 1), (7, 3)])
def test_the_second_half_of_a_day_is_judged_as_if_nothing_had_moved(busy, partitions, judges):
    log, contracts_of = busy
    half = len(log) // 2
    stays = State(SECRET, partitions=4)
    judge(stays, log[:half], contracts_of)
    moves = State(SECRET, partitions=4)
    judge(moves, log[:half], contracts_of)
    expected = sayings([judge(stays, log[half:], contracts_of)])
    assert expected[2] and expected[3], "the attack is seen in the second half"

    states = spread(moves, partitions, judges)
    later = over(log[half:], partitions, ends_of(log[:half]))
    outcomes = []
    for number, state in enumerate(states, 1):
        mine = partitions_of_judge(number, judges, partitions)
        outcomes.append(judge(state, [m for m in later if m.partition in mine], contracts_of))
    for one, other in zip(expected, sayings(outcomes), strict=True):
        assert one.equals(other) if isinstance(one, pl.DataFrame) else one == other


def test_a_record_that_comes_again_by_another_partition_is_still_a_duplicate(busy):
    log, contracts_of = busy
    state = State(SECRET, partitions=4)
    judge(state, log, contracts_of)
    states = spread(state, 9, 2)
    again = over([m for m in log if m.key != TICK_KEY], 9, dict.fromkeys(range(9), 10**6))[-200:]
    said = [
        judge(one, [m for m in again if m.partition in partitions_of_judge(n, 2, 9)], contracts_of).records
        for n, one in enumerate(states, 1)
    ]
    assert {d for frame in said for d in frame["disposition"]} <= {"duplicate", "unrated", "conflict", "reject"}
    assert sum(frame.filter(disposition="duplicate").height for frame in said) > 150


def test_merging_what_was_spread_gives_the_same_state(busy):
    log, contracts_of = busy
    state = State(SECRET, partitions=4)
    judge(state, log[: len(log) // 2], contracts_of)
    states = spread(state, 4, 3)
    whole = merge(states, SECRET)
    assert {p: (c.next_offset, set(c.active)) for p, c in whole.calls.items()} == {
        p: (c.next_offset, set(c.active)) for p, c in state.calls.items()
    }
    for name in (*BY_HOME, "clocks"):
        assert getattr(whole.detectors, name) == getattr(state.detectors, name)
    for one, other in zip(state.detectors.columns(), whole.detectors.columns(), strict=True):
        assert {key: [one[name][one.find(key)] for name in one.dtypes] for key in one.known()} == {
            key: [other[name][other.find(key)] for name in other.dtypes] for key in other.known()
        }


# --- with files ---


class Home:
    """A journal and the states of its judges."""

    def __init__(self, root, log, contracts_of):
        self.root, self.log, self.contracts_of = root, log, contracts_of
        self.journal = open_journal(f"files://{root / 'journal'}")
        create_topics(self.journal, 4)
        self.write(log)

    def write(self, log):
        for partition in {m.partition for m in log}:
            writer = self.journal.writer(topics.CALLS, partition)
            writer.append([Entry(m.key, m.value, m.learned_ms) for m in log if m.partition == partition])
            writer.close()

    def files(self, judges: int):
        return [self.root / "state" / f"judge-{n}-of-{judges}.state" for n in range(1, judges + 1)]

    def drain(self, old):
        def judge_to_the_end(number: int, partitions: int) -> None:
            mine = partitions_of_judge(number, len(old), partitions)
            settings = flow.Settings(mine, old[number - 1], SECRET, calls_partitions=partitions, until_idle=True)
            flow.run(self.journal, self.contracts_of, settings)

        return judge_to_the_end

    def move(self, partitions: int, old: int, new: int, drain=None):
        files = self.files(old), self.files(new)
        return repartition.repartition(
            self.journal, self.root / "state", SECRET, partitions, *files, drain or self.drain(files[0])
        )


@pytest.fixture
def home(tmp_path, busy):
    log, contracts_of = busy
    (tmp_path / "state").mkdir()
    return Home(tmp_path, log[: len(log) // 2], contracts_of)


def test_what_is_left_in_the_journal_is_judged_before_anything_moves(home):
    moved = home.move(8, 1, 3)
    assert (moved.partitions, moved.judges) == (8, 3) and moved.active > 10
    assert {t: home.journal.partitions(t) for t in topics.TOPICS} == topics.partitions_of(8)
    assert sorted(p.name for p in (home.root / "state").glob("*.state")) == [f.name for f in home.files(3)]
    states = [of_judge(path).load() for path in home.files(3)]
    assert [sorted(s.calls) for s in states] == [[0, 3, 6], [1, 4, 7], [2, 5]]
    received = sum(1 for m in home.log if m.key != TICK_KEY)
    rows = 0
    for partition in range(8):
        for m in home.journal.reader(topics.JUDGED, partition, 0).read():
            if m.key == b"records":
                rows += from_value(m.value).height
    assert rows == received
    # And the new processes go on.
    tick = msgspec.json.encode(Tick(at_ms=home.log[-1].learned_ms + 5_000, config_version=1))
    home.write([Message(p, 0, home.log[-1].learned_ms + 5_000, TICK_KEY, tick) for p in range(8)])
    for number, path in enumerate(home.files(3), 1):
        flow.run(home.journal, home.contracts_of, flow.Settings(partitions_of_judge(number, 3, 8), path, SECRET, until_idle=True))


@pytest.mark.parametrize("step", ["merge", "grow", "spread"])
def test_a_move_that_was_cut_off_is_finished_by_the_next_one(home, step, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    def after_the_first(path, content, write=repartition.replace_file):
        write(path, content)
        if step == "merge" or (step == "spread" and path in home.files(3)):
            raise Killed

    with monkeypatch.context() as patch:
        if step == "grow":
            patch.setattr(home.journal, "grow", killed)
        patch.setattr(repartition, "replace_file", after_the_first)
        with pytest.raises(Killed):
            home.move(8, 1, 3)
    with pytest.raises(SnapshotError, match=r"repartition was cut off. Run `ringfence repartition` again"):
        check_states(home.root / "state", home.files(3))
    moved = home.move(8, 1, 3, drain=lambda *_: pytest.fail("all was judged before"))
    assert moved.judges == 3
    check_states(home.root / "state", home.files(3))
    assert sorted(p.name for p in (home.root / "state").glob("*.state")) == [f.name for f in home.files(3)]


def test_partitions_become_more_and_never_fewer(home):
    with pytest.raises(SnapshotError, match="calls has 4 partitions; they can become more, never fewer"):
        home.move(3, 1, 1)


def test_a_topic_that_gained_partitions_is_refused_until_the_state_has_moved(home):
    """Somebody altered the topic by hand."""
    one = home.files(1)[0]
    home.drain([one])(1, 4)
    for topic, number in topics.partitions_of(6).items():
        home.journal.grow(topic, number)
    with pytest.raises(
        SnapshotError, match=r"calls has 6 partitions, and the state in .* was made over 4.*ringfence repartition"
    ):
        flow.run(home.journal, home.contracts_of, flow.Settings(tuple(range(6)), one, SECRET, until_idle=True))
    home.move(6, 1, 1)
    flow.run(home.journal, home.contracts_of, flow.Settings(tuple(range(6)), one, SECRET, until_idle=True))


def test_another_number_of_processes_than_the_states_is_refused(home):
    home.drain(home.files(1))(1, 4)
    with pytest.raises(SnapshotError, match=r"judge-1-of-1.state: the state of other judge processes.*RINGFENCE_JUDGES"):
        check_states(home.root / "state", home.files(3))
    first = home.files(1)[0]
    with pytest.raises(SnapshotError, match=r"that of partitions \[1, 2, 3\] too"):
        flow.run(home.journal, home.contracts_of, flow.Settings((0,), first, SECRET, until_idle=True))
