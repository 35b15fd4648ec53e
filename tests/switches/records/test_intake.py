"""The work of unpacking a gzip body is linear in its length, whatever its content. Work is counted, not timed."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switches import intake
from switches.intake import MOST_MEMBERS, NotGzip, TooLong, TooManyMembers, unpacked

EMPTY = gzip.compress(b"", mtime=0)
LIMIT = 4 << 20


class Counted(bytes):
    """A body that counts the bytes that are copied out of it."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.copied += len(found) if isinstance(found, bytes) else 1
        return found

    def lstrip(self, *_: Any) -> bytes:
        raise AssertionError("copies all of the body")


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the inputs of zlib, which copies the part that it does not use."""
    sizes: list[int] = []
    made = zlib.decompressobj

    class Unpacker:
        def __init__(self, wbits: int) -> None:
            self._made = made(wbits=wbits)

        def decompress(self, piece: memoryview, most: int) -> bytes:
            sizes.append(len(piece))
            return self._made.decompress(piece, most)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._made, name)

    monkeypatch.setattr(intake.zlib, "decompressobj", Unpacker)
    return sizes


@pytest.mark.parametrize(
    "body",
    [
        (EMPTY + b"\0") * MOST_MEMBERS,
        (EMPTY + bytes(100)) * MOST_MEMBERS,
        EMPTY * MOST_MEMBERS,
        EMPTY + bytes(4 << 20),
        (EMPTY + bytes(400)) * (MOST_MEMBERS - 1) + EMPTY,
        (gzip.compress(b"x" * 600, mtime=0) + b"\0\0") * 5_000,
        bytes(EMPTY[:-1]) + b"\0" + EMPTY * 100,
    ],
    ids=["a zero byte each", "a hundred each", "none", "padding alone", "much padding", "members of text", "a last byte of zero"],
)
def test_the_work_is_linear_in_the_length_of_the_body(body: bytes, fed: list[int]) -> None:
    counted = Counted(body)
    members = body.count(b"\x1f\x8b\x08")
    unpacked(counted, LIMIT)
    assert counted.copied <= 2 * members
    assert len(fed) <= members + len(body) // 512 and sum(fed) <= 512 * members + 2 * len(body)


@pytest.mark.parametrize("between", [b"", b"\0", bytes(20)])
@pytest.mark.parametrize("content", [b"", b"\n"])
def test_the_number_of_members_is_limited(between: bytes, content: bytes) -> None:
    one = gzip.compress(content, mtime=0) + between
    assert unpacked(one * MOST_MEMBERS, LIMIT) == content * MOST_MEMBERS
    with pytest.raises(TooManyMembers, match=r"more than 10,000 members: compress several records into one"):
        unpacked(one * (MOST_MEMBERS + 1), LIMIT)
    with pytest.raises(NotGzip, match="behind member 10000"):
        unpacked(one * MOST_MEMBERS + b"rest", LIMIT)


@given(parts=st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 9), st.integers(0, 700)), min_size=1, max_size=20))
def test_unpacking_restores_what_was_packed(parts: list[tuple[bytes, int, int]]) -> None:
    body = b"".join(gzip.compress(data, level, mtime=0) + bytes(padding) for data, level, padding in parts)
    plain = b"".join(data for data, _, _ in parts)
    assert unpacked(body, len(plain)) == plain
    if plain:
        with pytest.raises(TooLong):
            unpacked(body, len(plain) - 1)
