"""From a posted body to journal entries. Pure.

No line is dropped: one that is not a record becomes an entry too, and `judge` rejects it with the reason.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection

import msgspec

from core.record import KEY_SEPARATOR, foreign_key, journal_key
from journal import Entry, partition_for

NAME_MAX = 128
"""As `core.record.Name`: a record with a longer account or trunk is a reject."""


MOST_MEMBERS = 10_000
"""Of one gzip body. An empty member has 20 bytes and takes as much time as a small one: a body of empty ones would have 200,000."""


class _Who(msgspec.Struct):
    tenant: str = ""
    switch: str = ""
    account: str = ""
    ingress_trunk: str = ""


_decode = msgspec.json.Decoder(_Who).decode
_ACCOUNT = re.compile(rb'"account"\s*:\s*"([^"\\\x00-\x1f]*)"')
_TENANT = re.compile(rb'"tenant"\s*:\s*"([^"\\\x00-\x1f]*)"')
_NOT_PADDING = re.compile(rb"[^\0]")
_TRUNK = re.compile(rb'"ingress_trunk"\s*:\s*"([^"\\\x00-\x1f]*)"')


class NotGzip(ValueError):
    """The body, or a part of it, is not gzip."""


class TooLong(ValueError):
    """Unpacked it is over the limit."""


class TooManyMembers(ValueError):
    """It has more than `MOST_MEMBERS` members."""


def unpacked(body: bytes, limit: int) -> bytes:
    """A gzip body, all of its members (RFC 1952, 2.2), at most `limit` bytes of them together. Zero bytes after a member are padding.

    The work is linear in the length of the body, whatever its content: the rest after a member is never copied as a whole.

    >>> from gzip import compress
    >>> unpacked(compress(b"one\\n") + compress(b"") + compress(b"two\\n") + bytes(512), 8)
    b'one\\ntwo\\n'
    >>> unpacked(compress(b"one\\n") + b"two\\n", 100)
    Traceback (most recent call last):
    ...
    switches.intake.NotGzip: behind member 1 of the gzip body, at byte 24, is something that is no gzip
    """
    plain, at, member = bytearray(), 0, 0
    view = memoryview(body)
    while True:
        if member:  # padding, and perhaps one more member after it
            found = _NOT_PADDING.search(body, at)
            if found is None:
                return bytes(plain)
            at = found.start()
            if not b"\x1f\x8b".startswith(body[at : at + 2]):
                raise NotGzip(f"behind member {member} of the gzip body, at byte {at}, is something that is no gzip")
            if member == MOST_MEMBERS:
                raise TooManyMembers(
                    f"the gzip body has more than {MOST_MEMBERS:,} members: compress several records into one member, or post fewer at once"
                )
        size = 512  # small at first: the rest after the member is copied each time
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            piece = view[at : at + size]
            if not piece:
                raise NotGzip(f"the gzip body is cut off in member {member + 1}")
            try:
                plain += unpacker.decompress(piece, limit + 1 - len(plain))
            except zlib.error as error:
                raise NotGzip(f"the body is not gzip: member {member + 1}: {error}") from error
            if len(plain) > limit:
                raise TooLong(f"the gzip body has more than {limit} bytes, unpacked")
            at += len(piece)
            size = min(size * 2, 1 << 16)
        at -= len(unpacker.unused_data)
        member += 1


def check_tenant(tenant: str) -> None:
    """A tenant's name is in every key: with an empty one a key could equal a tick's.

    >>> check_tenant("")
    Traceback (most recent call last):
    ...
    ValueError: '' cannot be a tenant's name: it must not be empty nor hold the key's separator
    """
    if not tenant or KEY_SEPARATOR.decode() in tenant:
        raise ValueError(f"{tenant!r} cannot be a tenant's name: it must not be empty nor hold the key's separator")


def key_of(tenants: Collection[str], switch: str, line: bytes) -> bytes:
    """The journal key of a line that was posted for a switch: from its fields, or from the readable part of a torn line.

    A record that names one of the credential's `tenants` has that tenant's key; one without a tenant has the key of the only tenant. The key
    of any other record has no tenant, and names the credential's switch: `judge` rejects it. So does the key of a record of another switch.

    >>> key_of(["t1"], "k1", b'{"switch":"k1","account":"acme","ingress_trunk":"tg7"}')
    b't1\\x1facme'
    >>> key_of(["t1", "t2"], "k1", b'{"tenant":"t2","account":"acme"}'), key_of(["t1", "t2"], "k1", b'{"account":"acme"}')
    (b't2\\x1facme', b'\\x1facme\\x1fk1')
    >>> key_of(["t1"], "k2", b'{"switch":"k1","account":"acme"}'), key_of(["t1"], "k1", b'{"ingress_trunk":"tg7","account":"ac')
    (b't1\\x1facme\\x1fk2', b't1\\x1ftrunk:tg7')
    >>> key_of(["t1"], "k1", b'not json'), key_of(["t1"], "k1", b'{"account":7}')
    (b't1\\x1ftrunk:', b't1\\x1ftrunk:')
    """
    try:
        who = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        who = _Who(_found(_TENANT, line), "", _found(_ACCOUNT, line), _found(_TRUNK, line))
    tenant = who.tenant if who.tenant in tenants else "" if who.tenant or len(tenants) > 1 else next(iter(tenants))
    key = journal_key(tenant, who.account[:NAME_MAX], who.ingress_trunk[:NAME_MAX])
    return foreign_key(key, switch) if not tenant or who.switch not in ("", switch) else key


def _found(pattern: re.Pattern[bytes], line: bytes) -> str:
    match = pattern.search(line, 0, 65_536)
    return match[1].decode("utf-8", "replace") if match else ""


def lines_of(body: bytes, line_bytes: int) -> list[bytes]:
    """The lines that are not blank, exactly as posted; one longer than `line_bytes` is cut there.

    That is far above `core.record.MAX_BYTES`: a line that is cut is a reject anyway.

    >>> lines_of(b'\\n{"v":2}\\n\\n  \\n{"v', 100), lines_of(b"abcdef", 4)
    ([b'{"v":2}', b'{"v'], [b'abcd'])
    """
    return [line[:line_bytes] for line in body.split(b"\n") if line and not line.isspace()]


def parted(tenants: Collection[str], switch: str, lines: list[bytes], partitions: int, learned_ms: int) -> dict[int, list[Entry]]:
    """Entries by partition, in the order of the lines.

    >>> parted(["t1"], "k1", [b'{"account":"acme"}'], 4, 5)
    {1: [Entry(key=b't1\\x1facme', value=b'{"account":"acme"}', timestamp_ms=5)]}
    """
    out: dict[int, list[Entry]] = {}
    for line in lines:
        key = key_of(tenants, switch, line)
        out.setdefault(partition_for(key, partitions), []).append(Entry(key, line, learned_ms))
    return out
