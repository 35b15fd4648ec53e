"""Bytes to records, rejects and ticks. Never raises for what came over the wire: a bad record is a reject with its bytes and a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import polars as pl

from core.frames import column
from core.mend import mended
from core.message import Message
from core.record import MAX_BYTES, TICK_KEY, VERSION, Record, Tick, poster_of, tenant_of
from core.schemas import RECORDS

MAX_REJECT_BYTES = 256 * 1024
"""How much of a huge reject stands in its row; the whole is in the journal at its offset."""

EARLIEST_MS = 946_684_800_000  # 2000-01-01: no switch that we read is older
MAX_AHEAD_MS = 24 * 3_600_000  # a clock that far ahead of ours is wrong

_decode = msgspec.json.Decoder(Record).decode
decode_tick = msgspec.json.Decoder(Tick).decode
_decode_any = msgspec.json.Decoder().decode


class Reject(NamedTuple):
    """What is not a record: where it stands, its bytes, and a reason that a person can act on."""

    partition: int
    offset: int
    learned_ms: int
    tenant: str
    reason: str
    raw: bytes


class Position(NamedTuple):
    """Where a record stands, whose it is, and a hash of its bytes as they were delivered."""

    partition: int
    offset: int
    learned_ms: int
    tenant: str
    delivery: int


class Decoded(NamedTuple):
    """`records`: core.schemas.RECORDS, in the order of the messages. `values` and `positions` are the same rows, for stages that take them one by
    one."""

    records: pl.DataFrame
    values: list[Record]
    positions: list[Position]
    rejects: list[Reject]
    ticks: list[tuple[int, int, Tick]]  # partition, offset, tick
    notes: Mapping[tuple[int, int], str] = MappingProxyType({})  # partition, offset -> which fields of a record were dropped (core.mend)


def decode(messages: Sequence[Message]) -> Decoded:
    """Sort messages into records, rejects and ticks.

    >>> good = b'{"v":2,"event":"setup","switch":"k1","at_ms":1700000000000,"b_raw":"+431234567"}'
    >>> out = decode([Message(0, 7, 1700000000100, b"t1\\x1facme", good), Message(0, 8, 1700000000100, b"t1\\x1facme", good[:20])])
    >>> out.records["b_raw"].to_list(), [(r.offset, r.reason) for r in out.rejects]
    (['+431234567'], [(8, 'not JSON: Input data was truncated')])
    """
    positions: list[Position] = []
    records: list[Record] = []
    rejects: list[Reject] = []
    ticks: list[tuple[int, int, Tick]] = []
    notes: dict[tuple[int, int], str] = {}
    for partition, offset, learned_ms, key, value in messages:
        if key == TICK_KEY:
            ticks.append((partition, offset, decode_tick(value)))
            continue
        tenant = tenant_of(key)
        fault = ""
        if len(value) > MAX_BYTES:
            fault = f"{len(value)} bytes, more than the {MAX_BYTES} of a record"
        else:
            try:
                record = _decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:  # ValidationError is a DecodeError
                repaired = _mended(value)
                if repaired is None:
                    fault = _explain(value, wrong)
                else:
                    record, notes[partition, offset] = repaired
            fault = fault or _implausible(record, tenant, key, learned_ms)
        if fault:
            notes.pop((partition, offset), None)
            rejects.append(Reject(partition, offset, learned_ms, tenant, fault, value[:MAX_REJECT_BYTES]))
            continue
        records.append(record)
        digest = hashlib.blake2b(value, digest_size=8).digest()
        positions.append(Position(partition, offset, learned_ms, tenant, int.from_bytes(digest, "little", signed=True)))
    return Decoded(_frame(positions, records), records, positions, rejects, ticks, notes)


def _mended(value: bytes) -> tuple[Record, str] | None:
    """The record without its invalid fields that are not money, and a note of them; None if that does not make it valid."""
    try:
        loose = _decode_any(value)
        if not isinstance(loose, dict):
            return None
        record, notes = mended(loose)
        return (msgspec.convert(record, Record), "; ".join(notes)) if notes else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _explain(value: bytes, wrong: Exception) -> str:
    try:
        loose = _decode_any(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        return f"not JSON: {broken}"
    if isinstance(loose, dict) and "v" in loose and loose["v"] != VERSION:
        return f"version {loose['v']!r} is unknown: this release reads version {VERSION}"
    return f"not a version {VERSION} record: {wrong}"


FOREIGN = ("the body has switch ", "the credential of switch ", "the record names no tenant")
"""How the reasons begin of what a credential was not valid for: its bytes may be a good record, and are never read again."""


def _implausible(record: Record, tenant: str, key: bytes, learned_ms: int) -> str:
    if (poster := poster_of(key)) and poster != record.switch:
        return f"the body has switch {record.switch!r}, the credential is {poster!r}'s: post it with the switch's own credential"
    if poster and record.tenant:
        return f"the credential of switch {poster!r} does not speak for tenant {record.tenant!r}: add one that does (`ringfence credential add`)"
    if poster:
        return f"the record names no tenant, and the credential of switch {poster!r} is for several tenants: the switch must name the call's tenant"
    if record.tenant and record.tenant != tenant:  # read from a torn line, and mended into another
        return f"the body has tenant {record.tenant!r}, its key {tenant!r}: write it as plain text, once"
    if record.leg and not record.root_id:
        return f"leg {record.leg!r} without a root_id: which call it belongs to is not known"
    if record.leg == "egress" and not (record.account or record.ingress_trunk):
        return "an egress leg must name the account or ingress trunk of its call: they decide where the call is judged"
    if not EARLIEST_MS <= record.at_ms <= learned_ms + MAX_AHEAD_MS:
        return f"at_ms {record.at_ms} is {_date(record.at_ms)}: not between 2000 and a day after it arrived; check the switch's clock"
    return ""


def _date(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return "no date"


def _frame(positions: list[Position], records: list[Record]) -> pl.DataFrame:
    # Rows are turned into columns by zip, in C: reading 48 attributes of each record costs more than decoding it.
    columns: dict[str, Any] = {}
    if records:
        columns = dict(zip(Record.__struct_fields__, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True))
        columns |= dict(zip(Position._fields, zip(*positions, strict=True), strict=True))
    return pl.DataFrame([column(name, columns.get(name, ()), dtype) for name, dtype in RECORDS.items()])
