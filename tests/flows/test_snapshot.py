"""Judge's state on disk: the last published one survives whatever happens to the next."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from core.flight import Calls
from flows import snapshot
from flows.snapshot import SnapshotError, freeze, of_judge, pack, unpack
from flows.step import State


def state_at(offset: int) -> State:
    return State(b"s" * 16, calls={0: Calls(0, next_offset=offset)})


def publish(snapshots, offset: int) -> None:
    snapshots.publish(freeze(state_at(offset)))
    snapshots.wait()


def test_what_was_published_is_loaded(tmp_path):
    snapshots = of_judge(tmp_path / "judge.state")
    assert snapshots.load() is None
    publish(snapshots, 7)
    publish(snapshots, 9)
    assert of_judge(tmp_path / "judge.state").load().calls[0].next_offset == 9
    assert [path.name for path in tmp_path.iterdir()] == ["judge.state"]


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


def test_another_layout_asks_for_its_migration(tmp_path, monkeypatch):
    snapshots = of_judge(tmp_path / "judge.state")
    monkeypatch.setattr(snapshot, "LAYOUT", snapshot.LAYOUT + 1)
    publish(snapshots, 7)
    monkeypatch.undo()
    with pytest.raises(SnapshotError, match="layout 3, this release reads 2: start the release that wrote it"):
        snapshots.load()


def test_one_process_a_state(tmp_path):
    first, second = of_judge(tmp_path / "judge.state"), of_judge(tmp_path / "judge.state")
    running = r"judge\.state is the state of a process that runs"
    with first.alone(), pytest.raises(SnapshotError, match=running), second.alone():
        pass
    with of_judge(tmp_path / "judge.state").alone():
        pass  # it is free again


def test_a_state_of_layout_1_is_read_and_goes_on():
    """Written by the release before: half of a day with calls in flight and an attack under way."""
    state = unpack(gzip.decompress((Path(__file__).parent / "judge-layout-1.state.gz").read_bytes()))
    assert (state.calls[0].next_offset, len(state.calls[0].flights), len(state.alerts), len(state.burst["account"])) == (2637, 69, 3, 15)
    assert set(state.burst["account"]["home"][:15]) == {-1}, "nobody knows where they live until they call again"
    assert not any(flight.subjects for flight in state.calls[0].flights.values()), "their keys are made anew: there are other ones now"
    assert pack(freeze(unpack(pack(freeze(state))))) == pack(freeze(state))
