"""A record: one event of one call as a switch wrote it, version 2 of the wire schema (`docs/schemas/record.v2.json`).

Values are as the switch reported them, not normalised. Times are UTC epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

VERSION = 2
MAX_BYTES = 64 * 1024
"""A larger record is a reject; a legitimate event of a call is far smaller."""

Event = Literal[
    "setup", "ringing", "early_media", "answer", "interim", "partial", "attempt", "stop", "refused", "auth", "boot"
]
EVENTS: tuple[str, ...] = Event.__args__  # type: ignore[attr-defined]

Text = Annotated[str, msgspec.Meta(max_length=2048)]
Name = Annotated[str, msgspec.Meta(max_length=128)]
Code = Annotated[int, msgspec.Meta(ge=0, le=999)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Ordinal = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Ms = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One event of one call.

    `boot_id` and `seq` identify the delivery: the switch's start and its counter; a feed without a counter leaves both out.
    `setup_boot_id`, `dialog_id`, `call_id` and `from_tag` identify the call: the caller chooses the Call-ID, so it is not enough. A switch that
    writes one record per leg (FreeSWITCH, Asterisk) identifies the call by `root_id`, which all its legs share, and `leg` is the leg's side.

    >>> msgspec.json.decode(b'{"v":2,"event":"stop","switch":"k1","at_ms":1700000000000}', type=Record).event
    'stop'
    """

    v: Literal[2]
    event: Event
    switch: Name
    at_ms: Ms  # when it happened, by the switch's clock
    tenant: Name = ""  # one of those that the credential speaks for; "" = its only one
    boot_id: Name = ""
    seq: Count | None = None
    setup_boot_id: Name = ""  # "" = boot_id: the call was set up in this boot
    dialog_id: Name = ""
    call_id: Text = ""
    from_tag: Text = ""
    root_id: Name = ""  # the switch's id of the call that this leg belongs to
    leg: Literal["", "ingress", "egress"] = ""  # "" = one dialog for both sides, as at a proxy
    account: Name = ""  # the ingress account, as the switch authenticated it
    auth: Literal["", "source", "digest"] = ""  # how
    ingress_trunk: Name = ""
    src_ip: Name = ""
    user_agent: Text = ""
    a_raw: Text = ""
    b_raw: Text = ""
    from_raw: Text = ""
    pai: Text = ""
    diversion: Text = ""
    attestation: Name = ""
    lrn: Name = ""
    attempt_no: Ordinal = 0  # counts from 1; 0 = not reported
    carrier: Name = ""
    trunk_group: Name = ""
    egress_trunk: Name = ""
    sent_number: Text = ""
    setup_ms: Ms | None = None
    ringing_ms: Ms | None = None
    answer_ms: Ms | None = None
    end_ms: Ms | None = None
    duration_ms: Ms | None = None
    pdd_ms: Ms | None = None
    interim_no: Ordinal = 0
    part_no: Ordinal = 0
    last: bool = False
    sip_code: Code | None = None
    q850: Code | None = None
    release_cause_text: Text = ""
    release_side: Literal["", "caller", "callee", "switch"] = ""
    suspected_hung: bool = False
    order_id: Name = ""  # of a refused call: the order that refused it ("shadow:<id>" when it only would have)
    sell_amount: Name = ""  # decimal text: feeds that were rated elsewhere
    buy_amount: Name = ""
    currency: Name = ""
    imei: Name = ""
    imsi: Name = ""
    cell: Name = ""
    buy_currency: Name = ""  # of buy_amount, where it is not `currency`
    route: Name = ""  # of an attempt: the row of the routes at the switch by which its gateway was chosen
    route_rank: Ordinal = 0  # and the gateway's place in it, from 1


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The collector's clock, written into every partition every 5 s.

    `complete_to_ms`: for each switch, the time up to which its shipper has delivered all records. Active calls accrue, and hung calls are
    closed, only up to that time.
    """

    at_ms: int
    config_version: int
    complete_to_ms: dict[str, int] = {}


TICK_KEY = b"\x1ftick"
"""The journal key of a tick. The collector composes every key, so no record can imitate one."""

KEY_SEPARATOR = b"\x1f"


def journal_key(tenant: str, account: str, ingress_trunk: str) -> bytes:
    """The key of a record in `calls`: tenant, then the ingress account, else the trunk.

    >>> journal_key("t1", "acme", "tg7")
    b't1\\x1facme'
    """
    return tenant.encode() + KEY_SEPARATOR + (account or "trunk:" + ingress_trunk).encode()


def line_of(facts: Mapping[str, Any]) -> bytes:
    """The line of a record of which the facts are stored: a row of `core.schemas.RECORDS`.

    >>> line_of({"event": "stop", "switch": "k1", "at_ms": 9, "account": "acme", "sip_code": None, "offset": 4})
    b'{"event":"stop","switch":"k1","at_ms":9,"account":"acme","v":2}'
    """
    own = {name: facts[name] for name in Record.__struct_fields__ if facts.get(name) is not None}
    return msgspec.json.encode(own | {"v": VERSION})


def foreign_key(key: bytes, poster: str) -> bytes:
    """The key of a record that the credential of switch `poster` is not valid for: it becomes a reject. The record names another switch, or a
    tenant that the credential does not have, or (where the credential has several) none; then the tenant of the key is "".

    >>> foreign_key(b"t1\\x1facme", "k2")
    b't1\\x1facme\\x1fk2'
    """
    return key + KEY_SEPARATOR + poster.encode()


def poster_of(key: bytes) -> str:
    """The switch whose credential posted a record that it is not valid for; "" = it is valid.

    >>> poster_of(b"t1\\x1facme\\x1fk2"), poster_of(b"t1\\x1facme")
    ('k2', '')
    """
    parts = key.split(KEY_SEPARATOR, 2)
    return parts[2].decode("utf-8", "replace") if len(parts) == 3 else ""


def tenant_of(key: bytes) -> str:
    """The tenant that the collector assigned, one of the credential's; "" = none."""
    return key.partition(KEY_SEPARATOR)[0].decode("utf-8", "replace")
