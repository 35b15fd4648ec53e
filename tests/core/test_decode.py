"""Which messages are records, and the reasons of rejects."""

from __future__ import annotations

import msgspec
import pytest

from core.decode import EARLIEST_MS, MAX_AHEAD_MS, MAX_REJECT_BYTES, Message, decode
from core.record import MAX_BYTES, VERSION, Record, foreign_key, journal_key

AT_MS = 1_795_000_000_000


def only_reject(key: bytes, **fields: str) -> tuple[str, str]:
    """(tenant, reason) of a record with this key."""
    record = Record(v=2, event="setup", at_ms=AT_MS, **{"switch": "k1", "account": "acme", **fields})
    decoded = decode([Message(0, 0, AT_MS, key, msgspec.json.encode(record))])
    (reject,) = decoded.rejects
    assert decoded.records.is_empty() and reject.raw == msgspec.json.encode(record)
    return reject.tenant, reject.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tenant": "t9"}, "the credential of switch 'k1' does not speak for tenant 't9'"),
        ({}, "the record names no tenant, and the credential of switch 'k1' is for several tenants"),
        ({"switch": "k7", "tenant": "t9"}, "the body has switch 'k7', the credential is 'k1''s"),
    ],
)
def test_a_record_outside_its_credential_is_a_reject_without_a_tenant(fields: dict[str, str], reason: str) -> None:
    tenant, text = only_reject(foreign_key(journal_key("", "acme", ""), "k1"), **fields)
    assert tenant == "" and text.startswith(reason)


def test_a_record_of_another_switch_is_a_reject_of_its_tenant() -> None:
    tenant, text = only_reject(foreign_key(journal_key("t1", "acme", ""), "k1"), switch="k7", tenant="t1")
    assert tenant == "t1" and "'k7'" in text


def test_a_record_has_the_tenant_of_its_key() -> None:
    record = Record(v=2, event="setup", switch="k1", at_ms=AT_MS, account="acme")
    decoded = decode([Message(0, n, AT_MS, journal_key(t, "acme", ""), msgspec.json.encode(record)) for n, t in enumerate(("t1", "t2"))])
    assert decoded.records["tenant"].to_list() == ["t1", "t2"] and not decoded.rejects


def decoded_one(value: bytes, learned_ms: int = AT_MS):
    return decode([Message(3, 7, learned_ms, journal_key("t1", "acme", ""), value)])


def padded(length: int) -> bytes:
    value = msgspec.json.encode(Record(v=2, event="setup", switch="k1", at_ms=AT_MS))
    return value + b" " * (length - len(value))


def test_a_record_has_a_longest_and_a_longer_one_keeps_its_beginning() -> None:
    assert MAX_BYTES == 65_536 and VERSION == 2
    assert decoded_one(padded(MAX_BYTES)).records.height == 1
    (reject,) = decoded_one(padded(MAX_BYTES + 1)).rejects
    assert reject.reason == "65537 bytes, more than the 65536 of a record" and (reject.partition, reject.offset) == (3, 7)
    (huge,) = decoded_one(padded(MAX_REJECT_BYTES + 1)).rejects
    assert len(huge.raw) == MAX_REJECT_BYTES == 262_144


@pytest.mark.parametrize(
    ("at_ms", "plausible"),
    [
        (EARLIEST_MS, True), (EARLIEST_MS - 1, False), (AT_MS + MAX_AHEAD_MS, True), (AT_MS + MAX_AHEAD_MS + 1, False), (2**53, False),
        (-(2**53), False),
    ],
)  # fmt: skip
def test_a_record_is_of_our_time(at_ms: int, plausible: bool) -> None:
    found = decoded_one(msgspec.json.encode(Record(v=2, event="setup", switch="k1", at_ms=at_ms)))
    assert bool(found.records.height) is plausible
    assert plausible or found.rejects[0].reason.endswith("not between 2000 and a day after it arrived; check the switch's clock")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"v":3,"event":"stop","switch":"k1","at_ms":0}', "version 3 is unknown: this release reads version 2"),
        (b'{"v":2,"event":"stop","switch":"k1"}', "not a version 2 record: Object missing required field `at_ms`"),
        (b"[]", "not a version 2 record: Expected `object`, got `array`"),
        (b'{"v":2', "not JSON: Input data was truncated"),
        (b"\xff", "not JSON: JSON is malformed: invalid character (byte 0)"),
        (b"[" * 5000, "not JSON: maximum recursion depth exceeded"),
    ],
)
def test_a_reject_has_its_reason(value: bytes, reason: str) -> None:
    (reject,) = decoded_one(value).rejects
    assert reject.reason.startswith(reason) and reject.raw == value


def test_a_body_of_another_tenant_than_its_key_is_a_reject() -> None:
    (reject,) = decoded_one(msgspec.json.encode(Record(v=2, event="setup", switch="k1", at_ms=AT_MS, tenant="t2"))).rejects
    assert reject.reason.startswith("the body has tenant 't2', its key 't1'")
    assert decoded_one(msgspec.json.encode(Record(v=2, event="setup", switch="k1", at_ms=AT_MS, tenant="t1"))).rejects == []


def test_a_repair_is_noted_and_a_reject_has_no_note() -> None:
    found = decoded_one(b'{"v":2,"event":"stop","switch":"k1","at_ms":%d,"q850":1000}' % AT_MS)
    assert dict(found.notes) == {(3, 7): "q850 1000 was left out"} and found.records["q850"].to_list() == [None]
    found = decoded_one(b'{"v":2,"event":"stop","switch":"k1","at_ms":0,"q850":1000}')
    assert dict(found.notes) == {} and len(found.rejects) == 1
    assert len(decoded_one(b'{"v":2,"event":"stop","switch":"k1","at_ms":%d,"q850":1000,"seq":-1}' % AT_MS).rejects) == 1


def test_a_delivery_is_identified_by_its_bytes() -> None:
    values = [padded(200), padded(200), padded(201)]
    found = decode([Message(0, n, AT_MS, journal_key("t1", "acme", ""), value) for n, value in enumerate(values)])
    one, same, other = (position.delivery for position in found.positions)
    assert one == same != other and all(-(2**63) <= delivery < 2**63 for delivery in (one, other))


def test_a_delivery_fits_a_signed_column() -> None:
    found = decode([Message(0, n, AT_MS, journal_key("t1", "acme", ""), padded(200 + n)) for n in range(40)])
    deliveries = [position.delivery for position in found.positions]
    assert min(deliveries) < 0 < max(deliveries) and all(-(2**63) <= delivery < 2**63 for delivery in deliveries)


@pytest.mark.parametrize(("at_ms", "date"), [(EARLIEST_MS - 1, "1999-12-31"), (2**53, "no date"), (-(2**53), "no date")])
def test_a_reject_shows_the_date_of_a_wrong_clock(at_ms: int, date: str) -> None:
    (reject,) = decoded_one(msgspec.json.encode(Record(v=2, event="setup", switch="k1", at_ms=at_ms))).rejects
    assert reject.reason.startswith(f"at_ms {at_ms} is {date}: ")
