"""The call state of a partition: active calls, calls that a later record may still correct, and the keys of calls that have ended.

Plain fields, and no nested objects but the legs: a compiled loop over record arrays can replace them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from core.delivery import Deliveries
from core.record import Tick

LINGER_MS = 120_000
"""How long the end of a call is remembered, by its switch's own clock: longer than SIP resends a BYE (RFC 3261, timer F: 32 s)."""

LEG_LINGER_MS = 600_000
"""How long a call that has ended waits for the records of its egress legs. A leg that has answered and not ended is waited for until it ends,
at most `HORIZON_MS` after the end of its call."""

HORIZON_MS = 24 * 3_600_000
"""The same for feeds without a sequence, counted by our clock from when the record arrived; and for a call closed as hung, which its stop may
still correct."""

CLOSED = 1_000_000
"""The most ended calls that a partition remembers; the oldest is forgotten first."""

LINGERING = 200_000
"""The most calls of a partition that wait for the records of their egress legs; the oldest is forgotten first."""

LATE_MS = 3_600_000
"""A switch whose shipper never reports how far it has delivered is taken to be complete an hour behind the tick."""


class Leg(msgspec.Struct):
    """An egress leg that has records of its own."""

    attempt_no: int
    carrier: str = ""
    trunk_group: str = ""
    egress_trunk: str = ""
    answer_ms: int | None = None
    pdd_ms: int | None = None
    ended: bool = False


class ActiveCall(msgspec.Struct):
    """The facts of a call from its records so far. The first fields, up to `continues`, are columns of `core.schemas.STEPS`."""

    partition: int
    offset: int  # of the answer, and of the call's rows, whichever record ends it; -1 = not known yet
    revision: int
    tenant: str
    switch: str
    call_key: str
    call_id: str = ""
    account: str = ""
    ingress_trunk: str = ""
    carrier: str = ""
    trunk_group: str = ""
    egress_trunk: str = ""
    a_number: str = ""
    a_kind: str = ""
    b_number: str = ""
    b_kind: str = ""
    lrn: str = ""
    setup_ms: int | None = None
    ringing_ms: int | None = None
    answer_ms: int | None = None
    attempts: int = 1
    pdd_ms: int | None = None
    sip_code: int | None = None
    q850: int | None = None
    release_side: str = ""
    failed: int = 0  # attempts that ended without an answer, each with its own record
    failed_no: int = 0  # the highest number of such an attempt
    legs: int = 0  # egress legs that have records of their own
    continues: bool = False  # a later attempt of a call, in a file that writes one row per attempt
    # Internal state.
    key: str = ""
    sequenced: bool = False
    last_ms: int = 0  # the last sign of life
    accrued_ms: int = 0
    seen: dict[str, int] = {}  # event -> hash of its content
    parts: dict[int, int] = {}  # part_no -> duration_ms
    last_part: int = -1
    leg: dict[str, Leg] = {}  # by the leg's own dialog
    provisional: bool = False  # its numbers are those of an egress leg: no record of the ingress leg has arrived
    # The end of the call, for the revision that a later record of an egress leg makes.
    end_ms: int = 0
    duration_ms: int = 0
    duration_source: str = ""
    ended_ms: int = 0  # by the clock that decides when it is forgotten

    @property
    def waits(self) -> bool:
        """Whether one of its egress legs has answered and not ended."""
        return any(leg.answer_ms is not None and not leg.ended for leg in self.leg.values())


COLUMNS = ActiveCall.__struct_fields__[: ActiveCall.__struct_fields__.index("continues") + 1]
"""The fields that are columns of `core.schemas.STEPS`, in their order."""


@dataclass
class Partition:
    """The calls and the deliveries of one partition of the topic."""

    partition: int
    next_offset: int = 0
    config_version: int = 0
    now_ms: int = 0  # of the last tick
    active: dict[str, ActiveCall] = field(default_factory=dict)
    hung: dict[str, ActiveCall] = field(default_factory=dict)  # closed as hung: a late stop corrects them
    lingering: dict[str, ActiveCall] = field(default_factory=dict)  # ended: a late record of an egress leg corrects them
    closed: dict[str, tuple[int, int, str, bool]] = field(default_factory=dict)  # key -> (hash of the stop, time, switch, sequenced)
    rows: dict[int, int] = field(default_factory=dict)  # rows without an id: hash -> when it arrived
    deliveries: Deliveries = field(default_factory=Deliveries)

    @property
    def calls(self) -> Iterator[ActiveCall]:
        """Every call of which more is stored than its end."""
        for held in (self.active, self.hung, self.lingering):
            yield from held.values()


def complete_to_ms(tick: Tick, switch: str) -> int:
    """The time up to which a switch has delivered all its records, as of a tick.

    >>> complete_to_ms(Tick(at_ms=10_000_000, config_version=1, complete_to_ms={"k1": 9_000_000}), "k1")
    9000000
    """
    return tick.complete_to_ms.get(switch, tick.at_ms - LATE_MS)


def close(state: Partition, key: str, content: int, at_ms: int, switch: str, sequenced: bool) -> None:
    """Remember the end of a call and the hash of its stop."""
    state.closed[key] = (content, at_ms, switch, sequenced)
    if len(state.closed) > CLOSED:
        del state.closed[next(iter(state.closed))]


def forget(state: Partition, tick: Tick) -> list[ActiveCall]:
    """Forget what no record can correct any more; returns the calls that were removed.

    Ends are stored in the order of their arrival and removed from the front: each by the clock of its own switch, or by ours for a feed
    without a sequence. A switch that delivers nothing delays the others by a day at most.
    """
    while state.closed:
        key = next(iter(state.closed))
        _, at_ms, switch, sequenced = state.closed[key]
        until_ms = tick.at_ms - HORIZON_MS
        if sequenced:
            until_ms = max(complete_to_ms(tick, switch) - LINGER_MS, until_ms)
        if at_ms >= until_ms:
            break
        del state.closed[key]
    gone: list[ActiveCall] = []
    while state.hung:
        key, call = next(iter(state.hung.items()))
        if state.now_ms - call.last_ms < HORIZON_MS + max(0, call.accrued_ms):
            break
        gone.append(state.hung.pop(key))
    while state.lingering:
        key, call = next(iter(state.lingering.items()))
        until_ms = tick.at_ms - HORIZON_MS
        if call.sequenced:
            until_ms = max(complete_to_ms(tick, call.switch) - LEG_LINGER_MS, until_ms)
        crowded = len(state.lingering) > LINGERING
        if call.ended_ms >= until_ms and not crowded:
            break
        del state.lingering[key]
        if call.waits and not crowded and until_ms - call.end_ms < HORIZON_MS:
            call.ended_ms = max(until_ms, call.ended_ms)  # its leg still talks: it waits again, behind the others
            state.lingering[key] = call
            continue
        gone.append(call)
    while state.rows:
        row = next(iter(state.rows))
        if state.rows[row] >= tick.at_ms - HORIZON_MS:
            break
        del state.rows[row]
    return gone
