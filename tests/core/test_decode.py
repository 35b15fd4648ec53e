"""What is a record, and what a reject says."""

from __future__ import annotations

import msgspec
import pytest

from core.decode import Message, decode
from core.record import Record, foreign_key, journal_key

AT_MS = 1_795_000_000_000


def only_reject(key: bytes, **said: str) -> tuple[str, str]:
    """(tenant, reason) of a record with this key."""
    record = Record(v=2, event="setup", at_ms=AT_MS, **{"switch": "k1", "account": "acme", **said})
    decoded = decode([Message(0, 0, AT_MS, key, msgspec.json.encode(record))])
    (reject,) = decoded.rejects
    assert decoded.records.is_empty() and reject.raw == msgspec.json.encode(record)
    return reject.tenant, reject.reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"tenant": "t9"}, "the credential of switch 'k1' does not speak for tenant 't9'"),
        ({}, "the record names no tenant, and the credential of switch 'k1' speaks for several"),
        ({"switch": "k7", "tenant": "t9"}, "the body says switch 'k7', the credential is 'k1''s"),
    ],
)
def test_a_record_for_which_its_credential_does_not_speak_is_a_reject_of_no_tenant(said: dict[str, str], reason: str) -> None:
    tenant, words = only_reject(foreign_key(journal_key("", "acme", ""), "k1"), **said)
    assert tenant == "" and words.startswith(reason)


def test_a_record_of_another_switch_is_a_reject_of_its_tenant() -> None:
    tenant, words = only_reject(foreign_key(journal_key("t1", "acme", ""), "k1"), switch="k7", tenant="t1")
    assert tenant == "t1" and "'k7'" in words


def test_a_record_has_the_tenant_of_its_key() -> None:
    record = Record(v=2, event="setup", switch="k1", at_ms=AT_MS, account="acme")
    decoded = decode([Message(0, n, AT_MS, journal_key(t, "acme", ""), msgspec.json.encode(record)) for n, t in enumerate(("t1", "t2"))])
    assert decoded.records["tenant"].to_list() == ["t1", "t2"] and not decoded.rejects
