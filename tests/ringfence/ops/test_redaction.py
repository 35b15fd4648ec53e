"""No log contains a whole telephone number, a password or a token; other digits stay."""

from __future__ import annotations

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.orders import Key
from core.record import Record, journal_key
from ringfence.ops import redaction

HIDDEN = [
    ("a sentence", "the caller 436641234567 is gone", "the caller 43664******* is gone"),
    ("its end", "gone: 436641234567.", "gone: 43664*******."),
    ("seven digits", "0664123 4567 1234567", "0664*** 4567 1234***"),
    ("E.164", "+436641234567 and +43 664 123-45 67", "+43664******* and +43 664 ***-** **"),
    ("a SIP URI", "<sip:+436641234567@192.0.2.7:5060;user=phone>", "<sip:+43664*******@192.0.2.7:5060;user=phone>"),
    ("a SIPS URI with words", "sips:acme.436641234567@example.org", "sips:acme.43664*******@example.org"),
    ("a star dialled behind it", '"b_raw":"sip:8821312345*99@h"', '"b_raw":"sip:88213******99@h"'),
    ("a tel URI", "tel:+1-202-555-0123;phone-context=x", "tel:+1-202-5**-****;phone-context=x"),
    ("JSON", '{"a_number":"436641234567","seq":12345678}', '{"a_number":"43664*******","seq":12345678}'),
    ("few digits under a personal key", '{"b_number": "12345"}', '{"b_number": "1234*"}'),
    ("a repr", "Call(b_number='436641234567', at_ms=1700000000000)", "Call(b_number='43664*******', at_ms=1700000000000)"),
    ("a block's key", "t1/account:acme/a:436641234567/b:88213", "t1/account:acme/a:43664*******/b:88213"),
    ("a switch's entry", "t1|A|acme|436641234567|8821312345", "t1|A|acme|43664*******|88213*****"),
    ("a journal key", r"key b't1\x1f436641234567'", r"key b't1\x1f43664*******'"),
    ("an escape in JSON", r"t1\u001f436641234567", r"t1\u001f43664*******"),
    ("an address of the web", "GET /calls?to=%2B436641234567", "GET /calls?to=%2B43664*******"),
    ("a password in an address", "postgresql://rf:s3cret@db:5432/x", "postgresql://rf:***@db:5432/x"),
    ("one with an @", "http://rf:p@ss:w0rd@db/x", "http://rf:***@db/x"),
    ("a bearer's token", "Authorization: Bearer abc-DEF_123", "Authorization: Bearer ***"),
    ("a header", "X-Ringfence-Token: abc", "X-Ringfence-Token: ***"),
    ("JSON with a token", '{"collector_token":"abc","n":1}', '{"collector_token":"***","n":1}'),
    ("a number that could not be read", "dialled as “1234#88 213-12 345”, “1#2”", "dialled as “1234#8* ***-** ***”, “1#2”"),
    ("one that looks like money", "dialled as “1234567.89”", "dialled as “1234***.**”"),
    ("one in parts", "dialled as “664 12 34 56 7”", "dialled as “664 12 ** ** *”"),
    ("a caller in an alert", "Caller +436641234567 of acme is sending", "Caller +43664******* of acme is sending"),
    ("a word of configuration", "password=hunter2 user=rf", "password=*** user=rf"),
]
KEPT = [
    "2026-11-24T13:33:34.265499Z level=info",
    "tick at 1700000000000, written 1700000000000123",
    "offsets 12345678 to 23456789 are not in the journal any more",
    "judged/3 was to be read on from offset 1234567890",
    '{"at_ms":1700000000,"partition":3,"next_offset":123456789,"sell_nanos":98765432100}',
    "size_bytes=123456789 pid=12345678 port=54321",
    "123456789 bytes wait to be written already",
    "12345678 records wait in the spool",
    "1234567.89 EUR at stake",
    "boot 1700000000.123000: 4 lost",
    "order-12345678901234567890 of finding-aa3defea84e449ad695a",
    "query 550e8400-e29b-41d4-a716-446655440000",
    "/srv/rf/journal/calls/3/00000000000001234567.log",
    "http://127.0.0.1:8471/?query_id=5",
    "kafka://192.168.100.200:9092",
    "sip:192.168.100.200:5060",
    "emergency lines 112, 911 and 116123",
    "towards 882131",
    "commit f3a91c2b7d4e5f60718293a4b5c6d7e8f9012345",
    "the password is refused: mend the secret file",
]


@pytest.mark.parametrize(("line", "masked"), [case[1:] for case in HIDDEN], ids=[case[0] for case in HIDDEN])
def test_personal_data_and_secrets_are_masked(line: str, masked: str):
    assert redaction.text(line) == masked


@pytest.mark.parametrize("line", KEPT)
def test_other_digits_stay(line: str):
    assert redaction.text(line) == line


def test_of_a_record_only_the_length_is_logged():
    record = Record(v=2, event="stop", switch="k1", at_ms=1, account="acme", a_raw="436641234567", from_raw='"Zoe" <sip:1@x>')
    encoded = msgspec.json.encode(record)
    for line in (
        f"reject: {encoded!r}",
        f"reject: {encoded.decode()}",
        f"reject: {json.dumps(encoded.decode())}",
        f"cut: {encoded[:-30].decode()}",
    ):
        masked = redaction.text(line)
        assert "acme" not in masked and "Zoe" not in masked and "43664" not in masked, masked
        assert "characters of a record" in masked


def test_by_key():
    event = {
        "event": "an order", "timestamp": "2026-11-24T13:33:34Z", "key": "t1/account:x/a:436641234567", "at_ms": 1700000000000,
        "boot_id": "1700000000", "offset": "12345678", "raw": b"\x00" * 9, "record": "{}", "control_token": "abc", "caller": 436641234567,
        "error": ValueError("of 436641234567"), "rows": [{"b_raw": "43664123", "n": 7}], "flags": {"ready": True, "why": None},
        "far": 2**70, "part": 1.5,
    }  # fmt: skip
    assert redaction.record(event) == {
        "event": "an order", "timestamp": "2026-11-24T13:33:34Z", "key": "t1/account:x/a:43664*******", "at_ms": 1700000000000,
        "boot_id": "1700000000", "offset": "12345678", "raw": "9 bytes", "record": "2 bytes", "control_token": "***", "caller": "43664*******",
        "error": "of 43664*******", "rows": [{"b_raw": "4366****", "n": 7}], "flags": {"ready": True, "why": None}, "far": str(2**70),
        "part": 1.5,
    }  # fmt: skip


# Not 13 digits that read as a moment of these years: "1" is a country of eleven.
numbers = st.from_regex(r"[2-9][0-9]{6,14}", fullmatch=True)


@given(number=numbers, other=numbers)
def test_a_number_is_masked_in_every_context(number: str, other: str):
    record = Record(
        v=2, event="stop", switch="k1", at_ms=1, account=number, a_raw=number, b_raw=f"sip:+{other}@h", call_id=f"{number}@pbx"
    )
    key = Key(tenant="t1", account=number, a_number=other, b_range=number)
    lines = [
        f"{number} calls {other}",
        f"({number}), [{other}]; {number}: {other}\n{number}",
        f"<sip:{number}@h>;tag=1 tel:+{other} sip:0{number};x=1@h",
        msgspec.json.encode(record).decode(),
        repr(record),
        repr(msgspec.to_builtins(record)),
        key.text(),
        repr(key),
        msgspec.json.encode(key).decode(),
        repr(journal_key("t1", number, "")),
        json.dumps(journal_key("t1", number, "").decode()),
        "/x?a=" + quote(f"+{number}&{other}"),
        f"t1|A||{number}|{other}",
        f"account:{number}/trunk:{other}",
        f"number {number}, number={other}",
        f"Traceback: KeyError: '{number}'",
    ]
    for line in lines:
        masked = redaction.text(line)
        assert number not in masked and other not in masked, (line, masked)
        assert redaction.text(masked) == masked, "masked again, nothing more is hidden"


@given(st.text(max_size=300))
def test_masking_keeps_the_length(line: str):
    masked = redaction.text(line)
    assert isinstance(masked, str)
    assert not redaction._LOOK.search(masked) or len(masked) <= len(line) + 30


def test_an_endless_text_is_cut_and_takes_no_time():
    for long in (
        "a_" * 200_000,
        "sip:" * 100_000,
        "a://b:" * 60_000,
        "{" * 400_000,
        "+1 " * 100_000,
        "9" * 400_000,
        "password" * 40_000,
    ):
        masked = redaction.text(long)
        assert len(masked) < redaction.MAX_CHARS + 100 and masked.endswith("characters")
