"""The layout of an entry in a segment file: a header of 28 bytes, the key, the value. Pure.

    crc      u32   CRC-32 of everything after it
    size     u32   bytes of key and value
    offset   i64
    time     i64   UTC epoch ms
    key      u32   bytes of the key; the highest bit: the next frame belongs to the same append; the second highest: the entry at
                   this offset is lost (journal/repair.py), the value holds the reason, and readers skip it

An append is whole when its last frame is: the rest of an append that a crash cut short is removed with it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from core.message import Message
from journal.protocol import Entry

HEADER = 28
MORE = 0x8000_0000
LOST = 0x4000_0000
_HEADER = struct.Struct("<IIqqI")
_CHECKED = struct.Struct("<IqqI")
_CRC = struct.Struct("<I")


def encode(entries: Sequence[Entry], first_offset: int) -> bytes:
    """The frames of one append.

    >>> len(encode([Entry(b"k", b"value", 1)], 7)) == HEADER + 6
    True
    """
    parts: list[bytes] = []
    last = first_offset + len(entries) - 1
    pack, pack_crc = _CHECKED.pack, _CRC.pack
    for offset, (key, value, timestamp_ms) in enumerate(entries, first_offset):
        key_size = len(key)
        more = MORE if offset != last else 0
        checked = pack(key_size + len(value), offset, timestamp_ms, key_size | more) + key + value
        parts.append(pack_crc(crc32(checked)))
        parts.append(checked)
    return b"".join(parts)


def encode_lost(first: int, last: int, why: str, at_ms: int) -> bytes:
    """Frames that stand for the lost offsets from `first` to `last`.

    >>> data = encode_lost(7, 8, "disk", 1) + encode([Entry(b"k", b"next", 2)], 9)
    >>> found = decode(data, 7, 10, 10, 1000)
    >>> found.messages, found.lost
    ([Message(partition=0, offset=9, learned_ms=2, key=b'k', value=b'next')], [(7, 'disk'), (8, 'disk')])
    """
    parts: list[bytes] = []
    value = why.encode()
    for offset in range(first, last + 1):
        checked = _CHECKED.pack(len(value), offset, at_ms, LOST) + value
        parts += (_CRC.pack(crc32(checked)), checked)
    return b"".join(parts)


class Decoded(NamedTuple):
    """The content of a stretch of bytes. `fault` is "" when the bytes simply ended."""

    messages: list[Message]
    used: int  # bytes of whole, sound frames
    need: int  # bytes that the next frame has, when it is known and not all there; else 0
    fault: str
    next_offset: int  # behind the last whole, sound frame
    lost: list[tuple[int, str]]  # offsets whose content is lost, and why


def decode(data: bytes, offset: int, end: int, max_messages: int, max_bytes: int, partition: int = 0) -> Decoded:
    """The messages of a partition from `offset` to below `end`, at least one if a whole one is there.

    >>> data = encode([Entry(b"k", b"one", 1), Entry(b"k", b"two", 2)], 7)
    >>> decode(data, 7, 9, 10, 1000).messages[1]
    Message(partition=0, offset=8, learned_ms=2, key=b'k', value=b'two')
    >>> decode(data[:-1], 7, 9, 10, 1000).used, decode(data[:-1] + b"x", 7, 9, 10, 1000).fault
    (32, 'the checksum is wrong')
    """
    out: list[Message] = []
    lost: list[tuple[int, str]] = []
    add, unpack, message = out.append, _HEADER.unpack_from, Message._make
    at, size, budget = 0, len(data), max_bytes
    with memoryview(data) as view:
        while offset < end and len(out) < max_messages:
            body = at + HEADER
            if body > size:
                break
            crc, length, found, learned_ms, key_size = unpack(data, at)
            stop = body + length
            budget -= length
            if budget < 0 and out:
                break
            if stop > size:
                return Decoded(out, at, stop - at, "", offset, lost)
            if crc32(view[at + 4 : stop]) != crc:
                return Decoded(out, at, 0, "the checksum is wrong", offset, lost)
            if found != offset:
                return Decoded(out, at, 0, f"offset {found} stands where {offset} should", offset, lost)
            if key_size & LOST:
                lost.append((offset, data[body:stop].decode("utf-8", "replace")))
                budget += length
                offset += 1
                at = stop
                continue
            cut = body + (key_size & ~MORE)
            add(message((partition, found, learned_ms, data[body:cut], data[cut:stop])))
            offset += 1
            at = stop
    return Decoded(out, at, 0, "", offset, lost)


class Extent(NamedTuple):
    """How far a segment is sound: bytes and next offset after its last whole append."""

    size: int
    end: int
    fault: str  # why it stops there; "" = that is the end of the file


def extent(data: bytes | memoryview, base: int) -> Extent:
    """Checks every frame of a segment whose first offset is `base`.

    >>> two = encode([Entry(b"", b"a", 1), Entry(b"", b"b", 1)], 0)
    >>> extent(two, 0), extent(two + b"torn", 0).fault
    (Extent(size=58, end=2, fault=''), 'the last frame is not whole')
    >>> extent(two[:29], 0)
    Extent(size=0, end=0, fault='the last append is not whole')
    """
    at, offset, size = 0, base, len(data)
    good = Extent(0, base, "")
    with memoryview(data) as view:
        while at < size:
            if at + HEADER > size:
                return good._replace(fault="the last frame is not whole")
            crc, length, found, _, key_size = _HEADER.unpack_from(view, at)
            stop = at + HEADER + length
            if stop > size:
                return good._replace(fault="the last frame is not whole")
            if crc32(view[at + 4 : stop]) != crc:
                return good._replace(fault="a checksum is wrong")
            if found != offset:
                return good._replace(fault=f"offset {found} stands where {offset} should")
            at, offset = stop, offset + 1
            if not key_size & MORE:
                good = Extent(at, offset, "")
    return good if good.size == size else good._replace(fault="the last append is not whole")


def position_of(data: bytes | memoryview, base: int, offset: int) -> int | None:
    """The byte at which `offset` starts in a segment, or where it would start if it is the next; None when it is not there.

    >>> two = encode([Entry(b"", b"a", 1), Entry(b"", b"b", 1)], 4)
    >>> position_of(two, 4, 5), position_of(two, 4, 6), position_of(two, 4, 7)
    (29, 58, None)
    """
    at, size = 0, len(data)
    for _ in range(base, offset):
        if at + HEADER > size:
            return None
        at += HEADER + int(_HEADER.unpack_from(data, at)[1])
    return at if at <= size else None


class Stretch(NamedTuple):
    """A part of a segment: bytes `at` to `stop`, which hold the offsets `first` to below `end` (`sound`) or should hold them."""

    sound: bool
    at: int
    stop: int
    first: int
    end: int
    fault: str = ""


def stretches(data: bytes | memoryview, base: int, end: int) -> list[Stretch]:
    """All of a segment that should hold the offsets `base` to below `end`, as sound and damaged stretches in turn.

    Behind a damaged stretch the next frame is found by its checksum and by an offset that is possible there. Half an append is sound here:
    below the synced end all of it was acknowledged. A frame at `end` or above does not belong here.

    >>> whole = encode([Entry(b"", b"a", 1), Entry(b"", b"b", 1), Entry(b"", b"c", 1)], 4)
    >>> [(s.sound, s.first, s.end) for s in stretches(whole[:40] + b"!" + whole[41:], 4, 7)]
    [(True, 4, 5), (False, 5, 6), (True, 6, 7)]
    >>> stretches(whole[:29], 4, 7)[1]
    Stretch(sound=False, at=29, stop=29, first=5, end=7, fault='the file ends')
    """
    found: list[Stretch] = []
    at, offset, size = 0, base, len(data)
    with memoryview(data) as view:
        while at < size or offset < end:
            stop, upto, fault = _run(view, at, offset, end)
            if upto > offset:
                found.append(Stretch(True, at, stop, offset, upto))
                at, offset = stop, upto
            if offset >= end:
                break
            resumed = _next_frame(view, at, offset, end)
            stop, upto = resumed if resumed else (size, end)
            found.append(Stretch(False, at, stop, offset, upto, fault or "the file ends"))
            at, offset = stop, upto
            if resumed is None:
                break
    return found


def _run(view: memoryview, at: int, offset: int, end: int) -> tuple[int, int, str]:
    """How far frames follow one another: the byte and the offset behind the last sound one, and what is wrong there."""
    size = len(view)
    while offset < end and at < size:
        if at + HEADER > size:
            return at, offset, "the last frame is not whole"
        crc, length, found, _, _ = _HEADER.unpack_from(view, at)
        stop = at + HEADER + length
        if stop > size or crc32(view[at + 4 : stop]) != crc:
            return at, offset, "a checksum is wrong" if stop <= size else "the last frame is not whole"
        if found != offset:
            return at, offset, f"offset {found} stands where {offset} should"
        at, offset = stop, offset + 1
    return at, offset, ""


def _next_frame(view: memoryview, start: int, above: int, end: int) -> tuple[int, int] | None:
    """Where the next sound frame begins whose offset is `above` or higher and below `end`, and that offset."""
    size = len(view)
    marker = end.to_bytes(8, "little")[5:]  # of the offset's bytes, which end 16 bytes into the frame
    quick = not any(marker)  # below 2**40: all of them are zero
    data = view.obj if quick and isinstance(view.obj, bytes) else bytes(view) if quick else b""
    at = start
    while at + HEADER <= size:
        if quick:
            zeros = data.find(b"\0\0\0", at + 13)
            if zeros < 0:
                return None
            at = zeros - 13
            if at + HEADER > size:
                return None
        crc, length, found, _, _ = _HEADER.unpack_from(view, at)
        stop = at + HEADER + length
        if above <= found < end and stop <= size and crc32(view[at + 4 : stop]) == crc:
            return at, found
        at += 1
    return None
