"""How an entry lies in a segment file: a header of 28 bytes, the key, the value. Pure.

    crc      u32   CRC-32 of everything after it
    size     u32   bytes of key and value
    offset   i64
    time     i64   UTC epoch ms
    key      u32   bytes of the key; the highest bit says that the next frame belongs to the same append

An append is whole when its last frame is: what a crash left of half an append is cut away with it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from journal.protocol import Entry, Message

HEADER = 28
MORE = 0x8000_0000
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


class Decoded(NamedTuple):
    """What a stretch of bytes held. `fault` is "" when the bytes only came to their end."""

    messages: list[Message]
    used: int  # bytes of whole, sound frames
    need: int  # bytes that the next frame has, when it is known and not all there; else 0
    fault: str


def decode(data: bytes, offset: int, end: int, max_messages: int, max_bytes: int) -> Decoded:
    """The messages from `offset` to below `end`, at least one if a whole one is there.

    >>> data = encode([Entry(b"k", b"one", 1), Entry(b"k", b"two", 2)], 7)
    >>> decode(data, 7, 9, 10, 1000).messages[1]
    Message(offset=8, timestamp_ms=2, key=b'k', value=b'two')
    >>> decode(data[:-1], 7, 9, 10, 1000).used, decode(data[:-1] + b"x", 7, 9, 10, 1000).fault
    (32, 'the checksum is wrong')
    """
    out: list[Message] = []
    add, unpack, message = out.append, _HEADER.unpack_from, Message._make
    at, size, budget = 0, len(data), max_bytes
    with memoryview(data) as view:
        while offset < end and len(out) < max_messages:
            body = at + HEADER
            if body > size:
                break
            crc, length, found, timestamp_ms, key_size = unpack(data, at)
            stop = body + length
            budget -= length
            if budget < 0 and out:
                break
            if stop > size:
                return Decoded(out, at, stop - at, "")
            if crc32(view[at + 4 : stop]) != crc:
                return Decoded(out, at, 0, "the checksum is wrong")
            if found != offset:
                return Decoded(out, at, 0, f"offset {found} stands where {offset} should")
            cut = body + (key_size & ~MORE)
            add(message((found, timestamp_ms, data[body:cut], data[cut:stop])))
            offset += 1
            at = stop
    return Decoded(out, at, 0, "")


class Extent(NamedTuple):
    """How far a segment is sound: bytes and next offset after its last whole append."""

    size: int
    end: int
    fault: str  # why it stops there; "" = that is the end of the file


def extent(data: bytes | memoryview, base: int) -> Extent:
    """Walks a segment whose first offset is `base`, checking every frame.

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
