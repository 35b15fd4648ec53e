"""Judge's state on disk: the last published one survives whatever happens to the next."""

from __future__ import annotations

import random

import msgspec
import polars as pl
import pytest

from core.active import ActiveCall, Leg, Partition
from core.record import Tick
from core.schemas import USAGE
from detectors.latest import Latest
from detectors.protocol import Limits
from detectors.sums import gather
from flows import snapshot, watch
from flows.snapshot import SnapshotError, freeze, of_judge, pack, previous_of, unpack, unsealed
from flows.step import State
from flows.watch import Stored, of_watch
from rating.accrue import Accrued, Reported
from rating.charge import Purchase, Purchases


def state_at(offset: int) -> State:
    return State(b"s" * 16, calls={0: Partition(0, next_offset=offset)})


def publish(snapshots, offset: int) -> None:
    snapshots.publish(freeze(state_at(offset)))
    snapshots.wait()


def test_what_was_published_is_loaded(tmp_path):
    snapshots = of_judge(tmp_path / "judge.state")
    assert snapshots.load() is None
    publish(snapshots, 7)
    publish(snapshots, 9)
    assert of_judge(tmp_path / "judge.state").load().calls[0].next_offset == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judge.state", "judge.state.previous"]


def test_a_full_disk_is_a_clear_error_and_the_last_state_stays(tmp_path):
    snapshots = of_judge(tmp_path / "judge.state")
    publish(snapshots, 7)
    (tmp_path / ".judge.state.new").symlink_to("/dev/full")  # the kernel's own ENOSPC
    with pytest.raises(SnapshotError, match=r"judge\.state cannot be written.*No space left.*free the disk and start again"):
        publish(snapshots, 9)
    assert snapshots.load().calls[0].next_offset == 7
    (tmp_path / ".judge.state.new").unlink(missing_ok=True)
    publish(snapshots, 10)
    assert snapshots.load().calls[0].next_offset == 10


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_damaged_file_names_itself_and_the_way_out(tmp_path, keep):
    snapshots = of_judge(tmp_path / "judge.state")
    publish(snapshots, 7)
    snapshots.path.write_bytes(snapshots.path.read_bytes()[:keep])
    with pytest.raises(SnapshotError, match=r"judge\.state cannot be read .*move it away to read the journal again"):
        snapshots.load()


def some_state(offset: int) -> State:
    """With something in most of its parts."""
    calls = Partition(1, next_offset=offset, config_version=3, now_ms=1_764_000_000_000)
    calls.active["a"] = ActiveCall(1, -1, 0, "t1", "k1", "0" * 32, leg={"b": Leg(1, "alpha")})
    calls.closed = {f"t1/k1/b/{n}": (n, n, "r", False) for n in range(60)}
    bought = {"0" * 32: [Purchase(1, "alpha", "", attempt_nanos=7)]}
    state = State(b"s" * 16, {1: calls}, {1: Purchases(bought)}, {1: Accrued({"0" * 32: Reported(talk_ms=5, counted=True)})}, partitions=4)
    state.detectors.examples[7] = Latest(3, [("4312345", 9)])
    return state


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


@pytest.mark.parametrize("of", ["judge", "watch"])
def test_a_flipped_bit_anywhere_is_noticed(tmp_path, of):
    if of == "judge":
        snapshots, value = of_judge(tmp_path / "judge.state"), freeze(some_state(7))
    else:
        kept = Stored({p: 7 + p for p in range(40)}, dict.fromkeys(range(40), 9))
        snapshots, value = of_watch(tmp_path / "watch.state"), watch.freeze(watch.State(40, kept))
    snapshots.publish(value)
    snapshots.wait()
    whole = snapshots.path.read_bytes()
    places = [(at, bit) for at in range(len(whole)) for bit in range(8)]
    chosen = [*places[: 8 * 16], *random.Random(3).sample(places, min(len(places), 600)), *places[-8 * 40 :]]
    for at, bit in chosen:
        snapshots.path.write_bytes(flipped(whole, at, bit))
        with pytest.raises(SnapshotError, match=rf"{of}\.state cannot be read \(.*\); move it away to read the journal again"):
            snapshots.load()
    snapshots.path.write_bytes(whole)
    assert snapshots.load() is not None


@pytest.mark.parametrize(
    "damaged",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:7],
        lambda data: data[8:],
        lambda data: data[8:-32],
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: bytes(len(data)),
        lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
        lambda data: b"\xff" * 100,
    ],
    ids=["empty", "cut", "the first bytes", "without the first bytes", "bare", "longer", "twice", "zeros", "half zeros", "noise"],
)
def test_where_the_last_one_is_damaged_the_one_before_is_used_with_a_word(tmp_path, damaged, caplog):
    snapshots = of_judge(tmp_path / "judge.state")
    publish(snapshots, 7)
    publish(snapshots, 9)
    whole = snapshots.path.read_bytes()
    snapshots.path.write_bytes(damaged(whole))
    again = of_judge(tmp_path / "judge.state")
    assert again.load().calls[0].next_offset == 7
    assert "judge.state cannot be read" in caplog.text and "the one before it is used, and what came since is read again" in caplog.text
    publish(again, 11)
    assert unpack(unsealed(previous_of(snapshots.path).read_bytes())).calls[0].next_offset == 7, "what is damaged never becomes the one before"
    publish(again, 12)
    assert unpack(unsealed(previous_of(snapshots.path).read_bytes())).calls[0].next_offset == 11
    snapshots.path.write_bytes(b"x")
    previous_of(snapshots.path).write_bytes(b"y")
    with pytest.raises(SnapshotError, match=r"judge\.state cannot be read .*, and .*judge\.state\.previous cannot be read .*; move both away"):
        of_judge(tmp_path / "judge.state").load()


def test_a_state_that_was_moved_away_is_away(tmp_path):
    snapshots = of_judge(tmp_path / "judge.state")
    publish(snapshots, 7)
    publish(snapshots, 9)
    snapshots.path.unlink()
    assert of_judge(tmp_path / "judge.state").load() is None
    fresh = of_judge(tmp_path / "judge.state")
    publish(fresh, 1)
    assert not previous_of(fresh.path).exists(), "what was moved away is no fallback for what came after it"


def test_retention_is_told_the_offsets_of_the_one_before(tmp_path):
    told = []
    snapshots = of_judge(tmp_path / "judge.state", lambda offsets: told.append(dict(offsets)))
    for offset in (7, 9, 12, 12, 30):
        publish(snapshots, offset)
        assert all(offsets[0] <= unpack(unsealed(previous_of(snapshots.path).read_bytes())).calls[0].next_offset for offsets in told)
    assert told == [{0: 7}, {0: 9}, {0: 12}, {0: 12}]


def test_another_layout_asks_for_its_migration(tmp_path, monkeypatch):
    snapshots = of_judge(tmp_path / "judge.state")
    monkeypatch.setattr(snapshot, "LAYOUT", snapshot.LAYOUT + 1)
    publish(snapshots, 7)
    monkeypatch.undo()
    with pytest.raises(SnapshotError, match=f"layout {snapshot.LAYOUT + 1}, this release reads {snapshot.LAYOUT}: start the release that wrote it"):
        snapshots.load()


def test_the_sums_of_layout_1_end_with_the_same_tick():
    """Layout 1 had them by partition and key."""
    others = ("rings", "answers", "shorts", "delay_ms", "early", "sided", "by_callee", "briefs", "brief_s", "brief_s2")
    one = {"nanos": -7, "calls": 2, "active": 1, "learned_ms": 9, "call_id": "c2", "ends": 1, "talk_ms": 60_000, **dict.fromkeys(others, 0)}
    image = msgspec.msgpack.decode(pack(freeze(State(b"secret"))), type=snapshot._Image)
    *whole, detectors = msgspec.msgpack.decode(image.encoded)
    detectors["gathered"] = {3: {("t1", "carrier", "alpha", "", 1_790_000_000_000, "EUR"): one}}
    image.layout, image.encoded = 1, msgspec.msgpack.encode((*whole, detectors))
    state = unpack(msgspec.msgpack.encode(image))
    epoch = gather(state.detectors.gathered, pl.DataFrame(schema=USAGE), [(3, 5, Tick(at_ms=1, config_version=1))], Limits())
    found = epoch.row(0, named=True)
    assert {name: found[name] for name in one} == one
    assert (found["partition"], found["tick_offset"], found["kind"], found["subject"], epoch.height) == (3, 5, "carrier", "alpha", 2)


def test_one_process_a_state(tmp_path):
    first, second = of_judge(tmp_path / "judge.state"), of_judge(tmp_path / "judge.state")
    running = r"judge\.state is the state of a process that runs"
    with first.alone(), pytest.raises(SnapshotError, match=running), second.alone():
        pass
    with of_judge(tmp_path / "judge.state").alone():
        pass  # it is free again
