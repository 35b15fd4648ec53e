"""A damaged journal: what is lost is recorded and moved aside, what is sound is read, and the partition goes on."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.message import Message
from journal import Entry, Gap, JournalError, Limits, Locked, Torn, frames
from journal.copying import copy_topic
from journal.files import FileJournal
from journal.repair import ASIDE, LOSSES, check, losses, repair, set_noted, without_about

SMALL = Limits(segment_bytes=4096, retention_ms=None)
COUNT = 60


def filled(home: Path, count: int = COUNT, groups: int = 3) -> list[Message]:
    """A partition of several segments; what it holds."""
    journal = FileJournal(home, SMALL)
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    chance = random.Random(5)
    for first in range(0, count, groups):
        writer.append([Entry(b"k%d" % n, b'{"n":%d,"x":"' % n + b"y" * chance.randrange(400) + b'"}', 1 + n) for n in range(first, first + groups)])
    writer.close()
    return read(home)[0]


def read(home: Path, offset: int | None = None) -> tuple[list[Message], list[Gap]]:
    journal = FileJournal(home, SMALL)
    reader = journal.reader("calls", 0, journal.first_offset("calls", 0) if offset is None else offset)
    out: list[Message] = []
    while got := reader.read(max_messages=7):
        out += got
    reader.close()
    return out, reader.gaps


def segments(home: Path) -> list[Path]:
    return sorted((home / "calls" / "0").glob("*.log"))


def mend(home: Path) -> list[int]:
    """Repairs all damage; returns the lost offsets. A second check finds nothing."""
    lost = [loss for damage in check(home, "calls") for loss in repair(home, damage, 1_000)]
    assert check(home, "calls") == []
    return [offset for loss in lost for offset in range(loss.first, loss.last + 1)]


def goes_on(home: Path, sound: list[Message], end: int) -> None:
    """The partition opens, appends at its end, and gives what is sound and nothing else."""
    journal = FileJournal(home, SMALL)
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    assert writer.append([Entry(b"k", b"next", 1)]) == end
    writer.close()
    got, _ = read(home)
    assert got[:-1] == sound and got[-1].offset == end


def flip(data: bytearray, at: int) -> bytearray:
    data[at] ^= 0x10
    return data


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytes]] = {
    "one bit": lambda data, chance: flip(data, chance.randrange(len(data))),
    "the first byte": lambda data, _: flip(data, 0),
    "the last byte": lambda data, _: flip(data, len(data) - 1),
    "a sector of zeros": lambda data, chance: data[: (at := chance.randrange(len(data) - 600))] + bytes(512) + data[at + 512 :],
    "noise": lambda data, chance: data[: (at := chance.randrange(len(data) - 100))] + chance.randbytes(90) + data[at + 90 :],
    "bytes cut out": lambda data, chance: data[: (at := chance.randrange(len(data) - 100))] + data[at + 33 :],
    "bytes put in": lambda data, chance: data[: (at := chance.randrange(len(data)))] + b"\0\0\0\0?" + data[at:],
    "the end cut off": lambda data, chance: data[: chance.randrange(len(data))],
    "nothing left": lambda data, _: b"",
    "all of it noise": lambda data, chance: chance.randbytes(len(data)),
    "something behind it": lambda data, _: data + b"a line of an editor\n",
    "two halves swapped": lambda data, _: data[len(data) // 2 :] + data[: len(data) // 2],
}


@pytest.mark.parametrize("which", [0, 2, -1], ids=["oldest", "middle", "newest"])
@pytest.mark.parametrize("kind", DAMAGES)
def test_every_kind_of_damage_is_reported_and_skipped(tmp_path: Path, kind: str, which: int) -> None:
    before = filled(tmp_path)
    path = segments(tmp_path)[which]
    content = path.read_bytes()
    path.write_bytes(DAMAGES[kind](bytearray(content), random.Random(kind)))
    found = check(tmp_path, "calls")
    if kind == "something behind it" and which == -1:
        assert not found, "behind the synced end: the writer cuts it, as ever"
        return
    assert str(path) in found[0].lines()[0] and "at byte" in found[0].lines()[0]
    lost = mend(tmp_path)
    sound, gaps = read(tmp_path)
    assert sorted([*lost, *(m.offset for m in sound)]) == list(range(COUNT)), "every offset is read or named"
    assert sound == [m for m in before if m.offset not in lost]
    assert [offset for gap in gaps for offset in range(gap.first, gap.last + 1)] == lost
    if kind in ("one bit", "the first byte", "the last byte"):
        assert len(lost) == 1
    aside = b"".join(p.read_bytes() for p in (tmp_path / "calls" / "0" / ASIDE).glob("*.byte-*"))
    assert aside or kind in ("nothing left", "bytes cut out", "the end cut off")
    goes_on(tmp_path, sound, COUNT)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_what_is_read_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    home = tmp_path_factory.mktemp("journal")
    before = filled(home)
    chance = random.Random(data.draw(st.integers(0, 2**32), "seed"))
    for _ in range(data.draw(st.integers(1, 4), "damages")):
        path = chance.choice(segments(home))
        if content := bytearray(path.read_bytes()):
            path.write_bytes(DAMAGES[data.draw(st.sampled_from(sorted(DAMAGES)), "kind")](content, chance) if len(content) > 700 else b"")
    lost = mend(home)
    sound, _ = read(home)
    assert sorted([*lost, *(m.offset for m in sound)]) == list(range(COUNT))
    assert sound == [m for m in before if m.offset not in lost]
    goes_on(home, sound, COUNT)
    shutil.rmtree(home)


@pytest.mark.parametrize("which", [1, 3, -1])
def test_a_segment_that_is_missing_is_a_gap(tmp_path: Path, which: int) -> None:
    before = filled(tmp_path)
    bases = [int(path.name[:20]) for path in segments(tmp_path)] + [COUNT]
    segments(tmp_path)[which].unlink()
    lost = mend(tmp_path)
    assert lost == (list(range(bases[which], bases[which + 1])) if which > 0 else list(range(bases[-2], COUNT)))
    goes_on(tmp_path, [m for m in before if m.offset not in lost], COUNT)


@pytest.mark.parametrize("then", ["nothing", "a start that failed", "an empty file in the middle"])
@pytest.mark.parametrize("end", [COUNT, 5_000_000])
def test_a_partition_that_has_lost_all_its_segments_goes_on_at_its_end(tmp_path: Path, then: str, end: int) -> None:
    filled(tmp_path)
    part = tmp_path / "calls" / "0"
    for path in segments(tmp_path):
        path.unlink()
    (part / "synced").write_bytes(end.to_bytes(8, "little"))
    if then == "a start that failed":
        with pytest.raises(Torn, match="ringfence journal repair"):
            FileJournal(tmp_path, SMALL).writer("calls", 0)
    if then == "an empty file in the middle":
        (part / f"{31:020d}.log").touch()
    lost = [loss for damage in check(tmp_path, "calls") for loss in repair(tmp_path, damage, 1_000)]
    assert [(loss.last, loss.why) for loss in lost] == [(end - 1, "all segments are missing")] and check(tmp_path, "calls") == []
    assert FileJournal(tmp_path, SMALL).first_offset("calls", 0) == end
    goes_on(tmp_path, [], end)


def test_an_end_that_a_reader_has_reached_is_plausible(tmp_path: Path) -> None:
    before = filled(tmp_path)
    FileJournal(tmp_path).mark_read("calls", 0, "judge", 4_000_000)
    (tmp_path / "calls" / "0" / "synced").write_bytes((5_000_000).to_bytes(8, "little"))
    (damage,) = check(tmp_path, "calls")
    assert not damage.repairable and "offsets 60 to 4999999 are missing" in damage.lines()[-1]
    FileJournal(tmp_path).mark_read("calls", 0, "judge", 60)
    assert mend(tmp_path) == []
    goes_on(tmp_path, before, COUNT)


def test_the_error_of_a_reader_at_damage_names_the_command(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[1]
    path.write_bytes(flip(bytearray(path.read_bytes()), 50))
    with pytest.raises(Torn, match=r"at byte 0: the checksum is wrong. `ringfence journal check` shows what is damaged, `ringfence journal repair`"):
        read(tmp_path)
    with pytest.raises(Torn, match="ringfence journal repair"):
        copy_topic(tmp_path, "calls", tmp_path / "copy")


def test_a_loss_is_recorded_once_and_has_a_line_for_people(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[1]
    path.write_bytes(flip(bytearray(path.read_bytes()), 50))
    (damage,) = check(tmp_path, "calls")
    repair(tmp_path, damage, 1_000)
    repair(tmp_path, damage, 2_000)
    (loss,) = losses(tmp_path)
    assert loss.at_ms == 1_000 and loss.first == loss.last == int(path.name[:20]) and not loss.noted
    assert Path(loss.kept).stat().st_size == loss.bytes
    set_noted(tmp_path, [loss])
    assert [one.noted for one in losses(tmp_path)] == [True]
    copy_topic(tmp_path, "calls", tmp_path / "copy")
    assert [one.first for one in losses(tmp_path / "copy")] == [loss.first], "a backup knows of it, too"


def test_a_repair_needs_the_writer_to_be_stopped(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[1]
    path.write_bytes(b"")
    writer = FileJournal(tmp_path, SMALL).writer("calls", 0)
    (damage,) = check(tmp_path, "calls")
    with pytest.raises(Locked, match="calls/0 has a writer already: process"):
        repair(tmp_path, damage, 1_000)
    assert path.read_bytes() == b"" and not (tmp_path / "calls" / "0" / ASIDE).exists()
    writer.close()
    assert repair(tmp_path, damage, 1_000)


def test_a_reader_gives_no_more_than_was_asked_for_behind_a_gap(tmp_path: Path) -> None:
    filled(tmp_path)
    for path in segments(tmp_path)[1:3]:
        path.write_bytes(b"")
    lost = mend(tmp_path)
    reader = FileJournal(tmp_path, SMALL).reader("calls", 0, lost[0] - 1)
    assert [m.offset for m in reader.read(max_messages=1)] == [lost[0] - 1]
    assert [m.offset for m in reader.read(max_messages=2)] == [lost[-1] + 1, lost[-1] + 2]
    assert [m.offset for m in FileJournal(tmp_path, SMALL).reader("calls", 0, lost[3]).read(max_messages=1)] == [lost[-1] + 1]


# --- synced ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"x" * 7, b"x" * 8, b"\xff" * 8, (2**40).to_bytes(8, "little"), b"nine bytes"], ids=lambda c: c[:4].hex() + f"-{len(c)}"
)
def test_an_implausible_synced_is_made_anew(tmp_path: Path, content: bytes) -> None:
    before = filled(tmp_path)
    (tmp_path / "calls" / "0" / "synced").write_bytes(content)
    if len(content) < 8:
        with pytest.raises(JournalError, match=r"holds the synced end of calls/0: .*`ringfence journal repair` makes it anew"):
            FileJournal(tmp_path, SMALL).end_offset("calls", 0)
    if content == b"nine bytes":
        content = content[:8]
    if int.from_bytes(content.ljust(8), "little", signed=True) != COUNT:
        assert "by its segments that is offset 60" in check(tmp_path, "calls")[0].lines()[-1]
    assert mend(tmp_path) == []
    assert FileJournal(tmp_path, SMALL).end_offset("calls", 0) == COUNT
    goes_on(tmp_path, before, COUNT)


# --- files that do not belong there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["abc.log", "99999.log", "0000000000000000006.log", "copy of 1.log", "00000000000000000006 (1).log", "-1.log"])
def test_a_stray_log_is_refused_with_its_path(tmp_path: Path, name: str) -> None:
    before = filled(tmp_path)
    stray = tmp_path / "calls" / "0" / name
    stray.write_bytes(b"")
    journal = FileJournal(tmp_path, SMALL)
    for act in (lambda: journal.writer("calls", 0), lambda: journal.first_offset("calls", 0), lambda: journal.create("calls", 1)):
        with pytest.raises(JournalError, match=r"is no segment of this partition .*: move it out of the journal") as refused:
            act()
        assert str(stray) in str(refused.value)
    assert str(stray) in check(tmp_path, "calls")[0].lines()[0]
    stray.unlink()
    goes_on(tmp_path, before, COUNT)


@pytest.mark.parametrize(
    "name", ["00000000000000000000.log~", ".00000000000000000000.log.swp", "#1.log#", "notes.txt", "00000000000000000006.log.bak", "core"]
)
def test_other_stray_files_change_nothing_and_are_reported(tmp_path: Path, name: str) -> None:
    before = filled(tmp_path)
    (tmp_path / "calls" / "0" / name).write_bytes(b"x")
    (tmp_path / "calls" / "0" / "folder").mkdir()
    assert f"{name} is none of the journal's files" in "\n".join(check(tmp_path, "calls")[0].lines())
    goes_on(tmp_path, before, COUNT)


@pytest.mark.parametrize("where", ["00000000000000099999.log", "00000000000000000060.log.d/../00000000000000000200.log"])
def test_a_directory_with_the_name_of_a_segment_is_refused(tmp_path: Path, where: str) -> None:
    filled(tmp_path)
    (tmp_path / "calls" / "0" / Path(where).name).mkdir()
    with pytest.raises(JournalError, match="is no segment of this partition"):
        FileJournal(tmp_path, SMALL).writer("calls", 0)


@pytest.mark.parametrize(
    "content", [b"", frames.encode([Entry(b"", b"of another journal", 1)], 99999), b"garbage"], ids=["empty", "another's", "garbage"]
)
def test_a_stray_segment_never_moves_the_writer(tmp_path: Path, content: bytes) -> None:
    before = filled(tmp_path)
    stray = tmp_path / "calls" / "0" / f"{99999:020d}.log"
    stray.write_bytes(content)
    with pytest.raises(JournalError, match=r"00099999\.log begins at offset 99999, and .* before it ends at offset 60\. If the newer file"):
        FileJournal(tmp_path, SMALL).writer("calls", 0)
    assert mend(tmp_path) == []
    assert (tmp_path / "calls" / "0" / ASIDE / stray.name).read_bytes() == content
    goes_on(tmp_path, before, COUNT)


def test_a_stray_segment_inside_another_is_put_aside_and_costs_nothing(tmp_path: Path) -> None:
    before = filled(tmp_path)
    middle = int(segments(tmp_path)[1].name[:20]) + 1
    (tmp_path / "calls" / "0" / f"{middle:020d}.log").write_bytes(b"garbage")
    assert mend(tmp_path) == []
    goes_on(tmp_path, before, COUNT)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format":2}', b'{"format":2,"partitions":"4"}', b'{"format":2,"partitions":0}',
     b'{"format":2,"partitions":true}',
     b'{"format":2,"partitions":1e9}', b'{"partitions":1}', b"[" * 100_000],
    ids=lambda c: c[:30].decode("latin1"),
)  # fmt: skip
def test_an_unreadable_topic_json_is_refused_with_what_to_write(tmp_path: Path, content: bytes) -> None:
    before = filled(tmp_path)
    path = tmp_path / "calls" / "topic.json"
    good = path.read_bytes()
    path.write_bytes(content)
    journal = FileJournal(tmp_path, SMALL)
    for act in (lambda: journal.partitions("calls"), lambda: journal.create("calls", 1), lambda: check(tmp_path, "calls")):
        with pytest.raises(JournalError) as refused:
            act()
        assert str(path) in str(refused.value) and good.decode() in str(refused.value)
    path.write_bytes(good)
    goes_on(tmp_path, before, COUNT)


def test_an_unreadable_losses_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "calls" / "0" / ASIDE).mkdir()
    (tmp_path / "calls" / "0" / ASIDE / LOSSES).write_bytes(b"{")
    segments(tmp_path)[1].write_bytes(b"")
    (damage,) = check(tmp_path, "calls")
    with pytest.raises(JournalError, match=r"losses\.json cannot be read"):
        repair(tmp_path, damage, 1)


# --- what is said, and what a repair does not promise ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flips", "text"),
    [
        ([0], r"at byte 0 \(a checksum is wrong\): offset 0 was"),
        ([4], r"at byte 116 \(a checksum is wrong\): offset 4 was"),
        ([9], r"at byte 261 \(a checksum is wrong\): offset 9 was"),
        ([2, 3], r"at byte 58 \(a checksum is wrong\): offsets 2 to 3 were"),
        ([1, 4], r"at byte 29 \(a checksum is wrong\): offsets 1 and 4 were"),
        ([0, 2, 3, 7], r"at byte 0 \(a checksum is wrong\): offsets 0, 2 to 3 and 7 were"),
    ],
)
def test_a_writers_error_lists_the_lost_offsets_and_no_others(tmp_path: Path, flips: list[int], text: str) -> None:
    """All of them are of one append, of which the sound records stay."""
    journal = FileJournal(tmp_path, SMALL)
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    writer.append([Entry(b"", b"%d" % n, 1) for n in range(10)])
    writer.close()
    data = bytearray(segments(tmp_path)[0].read_bytes())
    for n in flips:
        flip(data, 29 * n + 28)
    segments(tmp_path)[0].write_bytes(data)
    with pytest.raises(Torn, match=text + " acknowledged and cannot be read"):
        journal.writer("calls", 0)
    with pytest.raises(Torn, match=text):
        copy_topic(tmp_path, "calls", tmp_path / "copy")
    assert mend(tmp_path) == flips


def remove_directory(part: Path) -> None:
    shutil.rmtree(part)


def put_a_file(part: Path) -> None:
    shutil.rmtree(part)
    part.write_bytes(b"")


def put_a_link_to_nowhere(part: Path) -> None:
    shutil.rmtree(part)
    part.symlink_to(part.parent / "gone")


def empty_directory(part: Path) -> None:
    shutil.rmtree(part)
    part.mkdir()


def keep_the_lock(part: Path) -> None:
    empty_directory(part)
    (part / "lock").write_bytes(b"7")


def keep_strays(part: Path) -> None:
    empty_directory(part)
    (part / "readers").mkdir()
    (part / "readers" / "NOTES").write_bytes(b"")


@pytest.mark.parametrize("harm", [remove_directory, put_a_file, put_a_link_to_nowhere, empty_directory, keep_the_lock, keep_strays])
def test_a_partition_beyond_repair_is_an_error_with_what_to_do_and_never_made_empty(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    filled(tmp_path)
    harm(tmp_path / "calls" / "0")
    (damage,) = check(tmp_path, "calls")
    assert not damage.repairable
    assert any("put the directory back from a backup (`ringfence restore`)" in line and "new --home" in line for line in damage.lines())
    journal = FileJournal(tmp_path, SMALL)
    for ask in (lambda: journal.create("calls", 1), lambda: journal.writer("calls", 0), lambda: journal.reader("calls", 0, 0)):
        with pytest.raises(JournalError) as raised:
            ask()
        message = str(raised.value)
        assert "repair` makes it anew" not in message and ("restore" in message or "`ringfence journal check`" in message)
    if (tmp_path / "calls" / "0").is_dir():
        assert repair(tmp_path, damage, 1) == []
    else:
        with pytest.raises(JournalError, match="put the directory back from a backup"):
            repair(tmp_path, damage, 1)
    assert check(tmp_path, "calls"), "it is damaged still"


@pytest.mark.parametrize("gone", ["segments and synced", "the newest segment and synced", "synced"])
@pytest.mark.parametrize("read_to", [1, 17, COUNT])
def test_where_synced_is_gone_what_a_reader_has_read_was_acknowledged(tmp_path: Path, gone: str, read_to: int) -> None:
    before = filled(tmp_path)
    FileJournal(tmp_path).mark_read("calls", 0, "judge", read_to)
    (tmp_path / "calls" / "0" / "synced").unlink()
    bases = [int(path.name[:20]) for path in segments(tmp_path)]
    for path in {"segments and synced": segments(tmp_path), "the newest segment and synced": segments(tmp_path)[-1:]}.get(gone, []):
        path.unlink()
    there = {"segments and synced": 0, "the newest segment and synced": bases[-1]}.get(gone, COUNT)
    assert mend(tmp_path) == list(range(there, read_to))
    goes_on(tmp_path, before[:there], max(there, read_to))


def test_a_missing_topic_json_is_reported(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "calls" / "topic.json").unlink()
    (line,) = without_about(tmp_path)
    assert "topic.json is gone: put it back from a backup, or write {\"format\": 2, \"partitions\": 1} into it" in line
    (tmp_path / "calls" / "topic.json").write_text('{"format": 2, "partitions": 1}')
    assert without_about(tmp_path) == [] and len(read(tmp_path)[0]) == COUNT


def test_a_reader_that_met_a_missing_segment_names_the_same_place_again(tmp_path: Path) -> None:
    filled(tmp_path)
    segments(tmp_path)[1].unlink()
    reader = FileJournal(tmp_path, SMALL).reader("calls", 0, 0)
    there = int(next(iter(segments(tmp_path)[1:])).name[:20])
    with suppress(Torn):
        while reader.offset < there:
            reader.read()
    texts = []
    for _ in range(3):
        with pytest.raises(Torn) as torn:
            reader.read()
        texts.append(str(torn.value))
    assert len(set(texts)) == 1 and f"at byte {segments(tmp_path)[0].stat().st_size}: the file ends" in texts[0]
