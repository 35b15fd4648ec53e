"""What is remembered between records: the calls in flight and lately closed, and which deliveries were seen. One object a partition."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import msgspec

from core import schemas
from core.record import Tick

RING = 32_768
"""How many sequence numbers of a boot are remembered in a partition, 16 bytes each. What repeats beyond is `unrated`, never dropped."""

BOOTS = 16
"""How many boots of a switch a partition remembers; the longest silent one of that switch is forgotten first."""

FORGOTTEN = 4096
"""Of how many more boots the highest number is remembered: what one of them sends again up to there is `unrated`, never counted twice."""

LINGER_MS = 120_000
"""How long a closed call of a switch is remembered, by the switch's own clock: longer than SIP resends a BYE (RFC 3261, timer F: 32 s)."""

HORIZON_MS = 24 * 3_600_000
"""The same for feeds without a sequence, from when we learned of it, by our clock; and for a call closed as hung, which its stop may yet
correct."""

CLOSED = 1_000_000
"""At most so many closed calls are remembered in a partition; the oldest is forgotten first."""

LATE_MS = 3_600_000
"""A switch whose shipper never says how far it has delivered is taken to be complete an hour behind the tick."""

FOLLOWERS = 8
"""A sequence number that is more than a ring ahead of its boot's last one moves nothing until so many stand around it: one faulty number
must not make all that follow it too old."""

AHEAD = 64
"""How many such numbers of a boot are remembered."""


class Flight(msgspec.Struct):
    """A call in flight: what its records have said so far."""

    key: str
    call_key: str
    partition: int
    anchor_offset: int  # of the answer: where the call's money stands, whoever ends it
    tenant: str
    switch: str
    sequenced: bool
    call_id: str = ""
    account: str = ""
    auth: str = ""
    ingress_trunk: str = ""
    a_number: str = ""
    a_kind: str = ""
    b_number: str = ""
    b_kind: str = ""
    carrier: str = ""
    trunk_group: str = ""
    egress_trunk: str = ""
    setup_ms: int | None = None
    ringing_ms: int | None = None
    answer_ms: int | None = None
    last_ms: int = 0  # the last sign of life
    pdd_ms: int | None = None
    sip_code: int | None = None
    q850: int | None = None
    attempts: int = 1
    failed: int = 0  # attempts that ended without an answer, each with its own record
    revision: int = 0
    accrued_ms: int = 0
    told_ms: int = 0  # what detectors have been told so far: talk time, and money
    told_nanos: int = 0
    attempt_fees_nanos: int = 0
    fault: str = ""  # of an earlier attempt's price
    counted: bool = False  # as a call, by the detectors
    flying: bool = False  # counted as concurrent by the detectors
    seen: dict[str, int] = {}  # event -> hash of its content
    parts: dict[int, int] = {}  # part_no -> duration_ms
    last_part: int = -1


class Ring(msgspec.Struct):
    """The last sequence numbers of a boot with a hash of each one's content."""

    seqs: array  # type: ignore[type-arg]  # of int64; Python 3.11 knows no array[int] where a snapshot reads it
    hashes: array  # type: ignore[type-arg]
    top: int = -1
    ahead: dict[int, int] = {}  # sequence number -> hash, of numbers far ahead that have no followers yet


@dataclass
class Calls:
    """The state of one partition."""

    partition: int
    next_offset: int = 0
    config_version: int = 0
    now_ms: int = 0  # of the last tick
    flights: dict[str, Flight] = field(default_factory=dict)
    hung: dict[str, Flight] = field(default_factory=dict)
    closed: dict[str, tuple[int, int, str, bool]] = field(default_factory=dict)  # key -> (stop's hash, when, switch, sequenced)
    rings: dict[str, Ring] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)  # equal rows without an id: hash -> when we learned of it
    complete_to_ms: dict[str, int] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)  # boot -> the highest number of a ring that had to go


def complete_to_ms(tick: Tick, switch: str) -> int:
    """Up to when a switch has delivered everything, as a tick knows it."""
    return tick.complete_to_ms.get(switch, tick.at_ms - LATE_MS)


def deliver(state: Calls, boot: str, seq: int, delivery: int) -> str:
    """What a delivery is: new (""), new and far ahead ("leap"), a duplicate, a conflict, older than what is remembered ("old"), or one of
    too many far ahead ("crowd"). `boot`: tenant, switch and boot id, with 0x1f between.

    >>> state = Calls(0)
    >>> [deliver(state, "t1\x1fk1\x1fb1", seq, 7) for seq in (1, 2**40, 2, 2**40, 2)]
    ['', 'leap', '', 'duplicate', 'duplicate']
    """
    ring = state.rings.pop(boot, None)
    if ring is None:
        ring = Ring(array("q", [-1]) * RING, array("q", [0]) * RING, ahead={})
        _make_room(state, boot)
    state.rings[boot] = ring  # the latest heard of stands last
    if 0 <= ring.top < seq - RING:
        return _far_ahead(ring, seq, delivery)
    slot = seq % RING
    if ring.seqs[slot] == seq:
        return schemas.DUPLICATE if ring.hashes[slot] == delivery else schemas.CONFLICT
    if (known := ring.ahead.pop(seq, None)) is not None:  # the boot has come to it by itself
        _put(ring, seq, known)
        return schemas.DUPLICATE if known == delivery else schemas.CONFLICT
    if seq <= ring.top - RING or seq <= state.forgotten.get(boot, -1):
        return "old"
    _put(ring, seq, delivery)
    return ""


def _put(ring: Ring, seq: int, delivery: int) -> None:
    ring.seqs[seq % RING], ring.hashes[seq % RING] = seq, delivery
    ring.top = max(ring.top, seq)


def _far_ahead(ring: Ring, seq: int, delivery: int) -> str:
    if seq in ring.ahead:
        return schemas.DUPLICATE if ring.ahead[seq] == delivery else schemas.CONFLICT
    around = sorted(other for other in ring.ahead if abs(other - seq) < RING // 2)
    if len(around) + 1 >= FOLLOWERS:  # the boot has moved on: what lies between was lost, and its gap is seen in the warehouse
        for other in (*around, seq):
            _put(ring, other, ring.ahead.pop(other, delivery))
        return "leap"
    if len(ring.ahead) >= AHEAD:
        return "crowd"
    ring.ahead[seq] = delivery
    return "leap"


def _make_room(state: Calls, boot: str) -> None:
    """No switch's boots push out another's: of each so many are remembered."""
    switch = boot.rpartition("\x1f")[0] + "\x1f"
    own = [other for other in state.rings if other.startswith(switch)]
    if len(own) < BOOTS:
        return
    gone = state.rings.pop(own[0]).top
    state.forgotten[own[0]] = max(gone, state.forgotten.pop(own[0], -1))
    if len(state.forgotten) > FORGOTTEN:
        del state.forgotten[next(iter(state.forgotten))]


def close(state: Calls, key: str, content: int, at_ms: int, switch: str, sequenced: bool) -> None:
    state.closed[key] = (content, at_ms, switch, sequenced)
    if len(state.closed) > CLOSED:
        del state.closed[next(iter(state.closed))]


def forget(state: Calls, tick: Tick) -> None:
    """Closed calls are kept in the order of their closing: forget from the front, each by the clock of its own switch, and by ours where
    no switch counts its records.

    A switch that has fallen silent holds up the others for a day at most.
    """
    while state.closed:
        key = next(iter(state.closed))
        _, at_ms, switch, sequenced = state.closed[key]
        if sequenced:
            complete_ms = complete_to_ms(tick, switch)
            until_ms = max(complete_ms - LINGER_MS, tick.at_ms - HORIZON_MS)
        else:
            until_ms = tick.at_ms - HORIZON_MS
        if at_ms >= until_ms:
            break
        del state.closed[key]
    while state.hung:
        key, flight = next(iter(state.hung.items()))
        if state.now_ms - flight.last_ms < HORIZON_MS + max(0, flight.accrued_ms):
            break
        del state.hung[key]
    while state.rows:
        row = next(iter(state.rows))
        if state.rows[row] >= tick.at_ms - HORIZON_MS:
            break
        del state.rows[row]
