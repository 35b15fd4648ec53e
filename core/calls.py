"""From records to calls: what repeats, which call a record belongs to, when the call was answered, and how long it lasted.

`assemble(state, decoded, ...)` walks the records in the order of the log, once, and returns a row of `Work` for each of them
and for each call that a tick accrues or closes. Nothing here knows a price. The state is one object a partition: an account is
local to its partition, so a partition can move to another process with all that it knows.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core import schemas
from core.decode import EARLIEST_MS, MAX_AHEAD_MS, Decoded
from core.record import Tick

RING = 32_768
"""How many sequence numbers of a boot are remembered in a partition, 16 bytes each. What repeats beyond is `unrated`, never dropped."""

BOOTS = 16
"""How many boots of switches a partition remembers; the longest silent one is forgotten first."""

FORGOTTEN = 4096
"""Of how many more boots the highest number is remembered: what one of them sends again up to there is `unrated`, never counted twice."""

LINGER_MS = 120_000
"""How long a closed call of a switch is remembered, by the switch's own clock: longer than SIP resends a BYE (RFC 3261, timer F: 32 s)."""

HORIZON_MS = 24 * 3_600_000
"""The same for feeds without a sequence, in event time; and for a call closed as hung, which its stop may yet correct."""

CLOSED = 1_000_000
"""At most so many closed calls are remembered in a partition; the oldest is forgotten first."""

NO_ANSWER_MS = 600_000
"""A call that rings for longer has lost its stop: it is forgotten, and nothing is owed."""

ACCRUAL_STEP = 1.25
"""A call in flight accrues at a tick once it has grown by a quarter: what detectors know of its money is never a fifth short, and a long
call does not cost a row each five seconds."""

MAX_DURATION_MS = 7 * 24 * 3_600_000

RECORD, ACCRUAL, CLOSING = 0, 1, 2  # kinds of a row of Work

BLOCKABLE = ("e164", "national")
"""Kinds of an a_number that a block may name: never a withheld or an invalid one."""


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
    subject_facts: tuple[str, ...] = ()  # what `subjects` was made of
    subjects: tuple[int, ...] = ()  # the detectors' keys of this call


class Ring(msgspec.Struct):
    """The last sequence numbers of a boot with a hash of each one's content."""

    seqs: array[int]
    hashes: array[int]
    top: int = -1


@dataclass
class Calls:
    """The state of one partition."""

    partition: int
    next_offset: int = 0
    config_version: int = 0
    now_ms: int = 0  # of the last tick
    flights: dict[str, Flight] = field(default_factory=dict)
    hung: dict[str, Flight] = field(default_factory=dict)
    closed: dict[str, tuple[int, int, str, bool]] = field(default_factory=dict)  # key -> (stop's hash, at_ms, switch, sequenced)
    rings: dict[str, Ring] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)  # equal rows without an id: hash -> at_ms
    complete_to_ms: dict[str, int] = field(default_factory=dict)
    latest_ms: int = 0  # of the feeds without a sequence
    forgotten: dict[str, int] = field(default_factory=dict)  # boot -> the highest number of a ring that had to go


@dataclass(frozen=True)
class Work:
    """A row a record, accrual or closing, in the order of the log within each partition. Columns, parallel lists."""

    kind: list[int]
    row: list[int]  # of the record in the decoded frame, else -1
    partition: list[int]
    offset: list[int]
    learned_ms: list[int]
    t_ms: list[int]  # event time
    flight: list[Flight | None]
    event: list[str]
    disposition: list[str]
    reason: list[str]
    priced: list[bool]  # has money to be told
    final: list[bool]  # ends the call
    answered: list[bool]
    duration_ms: list[int]
    source: list[str]
    end_ms: list[int]
    hung: list[bool]
    twin: list[bool]  # suspected duplicate
    # What the call was at this row: a flight changes with later rows of the same batch, and no row may see them.
    call_id: list[str]
    started_ms: list[int]
    account: list[str]
    ingress_trunk: list[str]
    a_number: list[str]  # "" where it is none that a block could name
    b_number: list[str]
    b_kind: list[str]
    carrier: list[str]
    trunk_group: list[str]
    rate_at_ms: list[int]  # of the answer, else of the row
    facts: list[dict[str, Any] | None]  # of a final row: the whole flight

    def __len__(self) -> int:
        return len(self.kind)


Rows = list[tuple[Any, ...]]
"""Rows of Work while they are gathered: a tuple a row in the order of Work's fields, turned into columns once, in C."""


def to_columns(rows: Rows) -> Work:
    """The columns of gathered rows."""
    names = Work.__dataclass_fields__
    return (
        Work(**dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
        if rows
        else Work(**{name: [] for name in names})
    )


COLUMNS = (
    "partition", "offset", "learned_ms", "tenant", "switch", "boot_id", "seq", "event", "at_ms", "setup_boot_id", "dialog_id", "call_id",
    "from_tag", "leg", "account", "auth", "ingress_trunk", "attempt_no", "carrier", "trunk_group", "egress_trunk", "setup_ms",
    "ringing_ms", "answer_ms", "end_ms", "duration_ms", "pdd_ms", "interim_no", "part_no", "last", "sip_code", "q850", "suspected_hung",
    "sell_amount", "buy_amount", "order_id", "delivery", "a_number", "a_kind", "b_number", "b_kind", "a_raw", "b_raw",
)  # fmt: skip
"""What assembly reads of a numbered frame (decoded records with the columns of core.schemas.NUMBERS)."""


def assemble(
    states: dict[int, Calls],
    decoded: Decoded,
    max_call_ms: Callable[[str, str], int],
    *,
    dedupe: bool = True,
) -> Work:
    """Walk the records and ticks. `decoded.records` carries the columns of `COLUMNS`; `max_call_ms(tenant, ingress_trunk)` is the trunk's limit.

    `dedupe=False` exists for one test: it shows that the proof of completeness would notice.
    """
    work: Rows = []
    frame = decoded.records
    ticks: dict[int, list[tuple[int, Tick]]] = {}
    for partition, offset, tick in decoded.ticks:
        ticks.setdefault(partition, []).append((offset, tick))
    for partition, pending in ticks.items():
        states.setdefault(partition, Calls(partition))
        pending.reverse()  # the earliest is popped from the end
    for reject in decoded.rejects:
        place = states.setdefault(reject.partition, Calls(reject.partition))
        place.next_offset = max(place.next_offset, reject.offset + 1)
    columns = [frame.get_column(name).to_list() for name in COLUMNS]
    for row, values in enumerate(zip(*columns, strict=True)):
        partition, offset = values[0], values[1]
        state = states.get(partition)
        if state is None:
            state = states[partition] = Calls(partition)
        pending = ticks.get(partition, [])
        while pending and pending[-1][0] < offset:
            _tick(state, work, *pending.pop(), max_call_ms)
        state.next_offset = max(state.next_offset, offset + 1)
        _record(state, work, row, dedupe, *values)
    for partition, pending in ticks.items():
        state = states[partition]
        while pending:
            _tick(state, work, *pending.pop(), max_call_ms)
    return to_columns(work)


def _emit(
    rows: Rows, state: Calls, kind: int, row: int, offset: int, learned_ms: int, t_ms: int, flight: Flight | None, event: str,
    disposition: str, reason: str = "", *, priced: bool = False, final: bool = False, answered: bool = False, duration_ms: int = 0,
    source: str = "", end_ms: int = 0, hung: bool = False, twin: bool = False,
) -> None:  # fmt: skip
    if flight is None:
        call_id = account = trunk = a_number = b_number = b_kind = carrier = trunk_group = ""
        rate_at_ms = started_ms = t_ms
    else:
        account, trunk, carrier, trunk_group = flight.account, flight.ingress_trunk, flight.carrier, flight.trunk_group
        b_number, b_kind = flight.b_number, flight.b_kind
        a_number = flight.a_number if flight.a_kind in BLOCKABLE else ""
        rate_at_ms = flight.answer_ms if flight.answer_ms is not None else t_ms
        started_ms = flight.setup_ms if flight.setup_ms is not None else rate_at_ms
        call_id = flight.call_id or flight.call_key
    facts = msgspec.structs.asdict(flight) if final and flight is not None else None
    rows.append(
        (
            kind, row, state.partition, offset, learned_ms, t_ms, flight, event, disposition, reason, priced, final, answered, duration_ms,
            source, end_ms, hung, twin, call_id, started_ms, account, trunk, a_number, b_number, b_kind, carrier, trunk_group,
            rate_at_ms, facts,
        )
    )  # fmt: skip


def _record(
    state: Calls, work: Rows, row: int, dedupe: bool,
    partition: int, offset: int, learned_ms: int, tenant: str, switch: str, boot_id: str, seq: int | None, event: str, at_ms: int,
    setup_boot_id: str, dialog_id: str, call_id: str, from_tag: str, leg: str, account: str, auth: str, ingress_trunk: str,
    attempt_no: int, carrier: str, trunk_group: str, egress_trunk: str, setup_ms: int | None, ringing_ms: int | None,
    answer_ms: int | None, end_ms: int | None, duration_ms: int | None, pdd_ms: int | None, interim_no: int, part_no: int, last: bool,
    sip_code: int | None, q850: int | None, suspected_hung: bool, sell_amount: str, buy_amount: str, order_id: str, delivery: int,
    a_number: str, a_kind: str, b_number: str, b_kind: str, a_raw: str, b_raw: str,
) -> None:  # fmt: skip
    def emit(disposition: str, reason: str = "", flight: Flight | None = None, **more: object) -> None:
        _emit(work, state, RECORD, row, offset, learned_ms, at_ms, flight, event, disposition, reason, **more)  # type: ignore[arg-type]

    sequenced = bool(boot_id) and seq is not None
    if sequenced and seq is not None and dedupe:
        verdict = _deliver(state, f"{tenant}\x1f{switch}\x1f{boot_id}", seq, delivery)
        if verdict == schemas.DUPLICATE:
            return emit(schemas.DUPLICATE, f"sequence {seq} of boot {boot_id} was delivered before")
        if verdict == schemas.CONFLICT:
            return emit(schemas.CONFLICT, f"sequence {seq} of boot {boot_id} was delivered before with other content")
        if verdict:
            return emit(schemas.UNRATED, f"sequence {seq} of boot {boot_id} is too old to tell whether it was counted before")
    if not sequenced:
        state.latest_ms = max(state.latest_ms, at_ms)

    if not (call_id or dialog_id):
        if event != "stop":
            return emit(schemas.EVENT)
        twin = dedupe and delivery in state.rows
        state.rows[delivery] = at_ms
        if len(state.rows) > CLOSED:
            del state.rows[next(iter(state.rows))]
        key, call_key = "", hashlib.blake2b(f"{partition}/{offset}/{delivery}".encode(), digest_size=8).hexdigest()
        flight = Flight(
            key=key,
            call_key=call_key,
            partition=partition,
            anchor_offset=offset,
            tenant=tenant,
            switch=switch,
            sequenced=sequenced,
        )
    else:
        twin = False
        key = "\x1f".join((tenant, switch, setup_boot_id or boot_id, dialog_id, call_id, from_tag, leg))
        event_id = f"{event}/{attempt_no}/{interim_no}/{part_no}"
        content = _content(
            at_ms,
            answer_ms,
            end_ms,
            duration_ms,
            sip_code,
            q850,
            a_raw,
            b_raw,
            account,
            carrier,
            egress_trunk,
            sell_amount,
            buy_amount,
        )
        if not sequenced:
            # A row of a file is one attempt, with its own money; the stop of a call that its answer opened ends that call.
            row_key = f"{key}\x1f{attempt_no}"
            if row_key in state.closed or (event == "stop" and not (key in state.flights or key in state.hung or key in state.closed)):
                key = row_key
        found = state.flights.get(key)
        if found is None and dedupe and (past := state.closed.get(key)) is not None:
            if event == "stop":
                if past[0] == content:
                    return emit(schemas.DUPLICATE, "this call was ended before by the same stop")
                return emit(schemas.CONFLICT, "this call was ended before by a stop with other content")
            return emit(schemas.EVENT, "arrived after the call's stop")
        if found is None:
            found = state.hung.get(key)
            if found is not None and event not in ("stop", "partial"):
                # A sign of life after all: the call flies on.
                state.flights[key] = state.hung.pop(key)
        if found is None:
            call_key = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
            found = Flight(
                key=key,
                call_key=call_key,
                partition=partition,
                anchor_offset=-1,
                tenant=tenant,
                switch=switch,
                sequenced=sequenced,
                seen={},
                parts={},
            )
            found.counted = not sequenced and attempt_no > 1  # a later attempt of a call in a file is no further call
            state.flights[key] = found
        flight = found
        before = flight.seen.get(event_id)
        if before is not None and dedupe:
            if before == content:
                return emit(schemas.DUPLICATE, f"this call's {event} was seen before", flight)
            return emit(schemas.CONFLICT, f"this call's {event} was seen before with other content", flight)
        flight.seen[event_id] = content

    # What the caller is, first word wins; who carries it, last word wins.
    flight.call_id = flight.call_id or call_id
    flight.account = flight.account or account
    flight.auth = flight.auth or auth
    flight.ingress_trunk = flight.ingress_trunk or ingress_trunk
    if not flight.a_kind or (flight.a_kind == "withheld" and a_raw):
        flight.a_number, flight.a_kind = a_number, a_kind
    if not flight.b_number and b_raw:
        flight.b_number, flight.b_kind = b_number, b_kind
    if event == "attempt" and attempt_no < flight.attempts:  # an earlier attempt, told late: its fee is its own carrier's
        later = flight.carrier, flight.trunk_group, flight.egress_trunk
    else:
        later = None
    if carrier:
        flight.carrier = carrier
    if trunk_group:
        flight.trunk_group = trunk_group
    if egress_trunk:
        flight.egress_trunk = egress_trunk
    if setup_ms is not None:
        flight.setup_ms = setup_ms
    elif event == "setup":
        flight.setup_ms = at_ms
    if ringing_ms is not None:
        flight.ringing_ms = ringing_ms
    elif event == "ringing" and flight.ringing_ms is None:
        flight.ringing_ms = at_ms
    if pdd_ms is not None:
        flight.pdd_ms = pdd_ms
    if sip_code is not None and event != "attempt":  # a carrier's 503 is not the call's end
        flight.sip_code = sip_code
    if q850 is not None:
        flight.q850 = q850
    flight.last_ms = max(flight.last_ms, at_ms)
    flight.attempts = max(flight.attempts, attempt_no)

    if event == "answer":
        if flight.answer_ms is None:
            flight.answer_ms = answer_ms if _plausible(answer_ms, at_ms) else at_ms
            flight.anchor_offset = offset
        return emit(schemas.EVENT, "", flight, priced=True, answered=True, duration_ms=1, source="accrual")
    if event == "interim":
        said_ms = duration_ms if duration_ms is not None and 0 < duration_ms <= MAX_DURATION_MS else None
        if flight.answer_ms is None:
            _answered_by(flight, answer_ms, at_ms, said_ms, offset)
        so_far = said_ms if said_ms is not None else at_ms - flight.answer_ms if flight.answer_ms is not None else 0
        if flight.accrued_ms < so_far <= MAX_DURATION_MS:
            flight.accrued_ms = so_far
            return emit(schemas.EVENT, "", flight, priced=True, answered=True, duration_ms=so_far, source="accrual")
        return emit(schemas.EVENT, "", flight)
    if event == "attempt":
        flight.failed += 1
        emit(schemas.EVENT, "", flight, priced=True)
        if later is not None:
            flight.carrier, flight.trunk_group, flight.egress_trunk = later
        return None
    if event == "refused":
        state.flights.pop(key, None)
        _close(state, key, 0, at_ms, switch, sequenced)
        return emit(schemas.EVENT, "", flight, final=True)
    if event == "partial":
        if duration_ms is None or not 0 <= duration_ms <= MAX_DURATION_MS:
            return emit(schemas.UNRATED, f"part {part_no} says no duration that can be added up", flight)
        flight.parts[part_no] = duration_ms
        if flight.answer_ms is None:
            _answered_by(flight, answer_ms, at_ms, duration_ms, offset)
        if last:
            flight.last_part = part_no
        missing = flight.last_part < 0 or len(flight.parts) <= flight.last_part
        total = sum(flight.parts.values())
        if missing:
            told_ms = min(total, MAX_DURATION_MS)
            flight.accrued_ms = max(flight.accrued_ms, told_ms)
            return emit(schemas.EVENT, "", flight, priced=True, answered=True, duration_ms=told_ms, source="accrual")
        duration_ms = total
    elif event != "stop":
        return emit(schemas.EVENT, "", flight)

    # The end of a call, and its money.
    ended_ms = end_ms if end_ms is not None else at_ms
    answered_ms = answer_ms if answer_ms is not None else flight.answer_ms
    fault, source, answered, talk_ms = "", "answer_to_end", True, 0
    if duration_ms is not None:
        talk_ms, source, answered = duration_ms, "switch" if sequenced else "file", duration_ms > 0 or answered_ms is not None
        if answered and answered_ms is None:
            answered_ms = ended_ms - duration_ms
        if duration_ms < 0:
            fault = f"duration_ms {duration_ms} is negative"
        elif answered_ms is not None and end_ms is not None and end_ms < answered_ms:
            fault = f"end {end_ms} lies before answer {answered_ms}"
    elif answered_ms is not None:
        talk_ms = ended_ms - answered_ms
        if talk_ms < 0:
            fault = f"end {ended_ms} lies before answer {answered_ms}"
    elif (sip_code or flight.sip_code or 0) >= 300 or (not sequenced and flight.setup_ms is not None):
        answered = False
    else:  # a BYE ends a call that was answered, at a time that no record told us
        fault = "a stop without a start: neither an answer time nor a duration nor a failure code is known"
    if not fault and answered_ms is not None and not EARLIEST_MS <= answered_ms <= at_ms + MAX_AHEAD_MS:
        fault = f"answer_ms {answered_ms} is not a time between 2000 and the stop"
    if not fault and talk_ms > MAX_DURATION_MS:
        fault = f"duration_ms {talk_ms} is longer than seven days"
    if key:
        state.flights.pop(key, None)
        was_hung = state.hung.pop(key, None) is not None
        _close(state, key, content, at_ms, switch, sequenced)
    else:
        was_hung = False
    if flight.anchor_offset < 0:
        flight.anchor_offset = offset
    if fault:
        # Money that was accrued stays told: the detectors' view of an attack must not shrink because its last record is broken.
        return emit(schemas.UNRATED, fault, flight, final=not was_hung)
    flight.answer_ms = answered_ms if answered else None
    flight.revision += 1
    emit(
        schemas.RATED_DISPOSITION, "", flight, priced=True, final=True, answered=answered, duration_ms=talk_ms, source=source,
        end_ms=ended_ms, hung=suspected_hung, twin=twin,
    )  # fmt: skip


def _plausible(answer_ms: int | None, at_ms: int) -> bool:
    return answer_ms is not None and EARLIEST_MS <= answer_ms <= at_ms + MAX_AHEAD_MS


def _answered_by(flight: Flight, answer_ms: int | None, at_ms: int, talked_ms: int | None, offset: int) -> None:
    """A record of talk tells of the answer, whose own record we have not seen: a call that was talked on is never forgotten as unanswered."""
    answered_ms = answer_ms if _plausible(answer_ms, at_ms) else at_ms - talked_ms if talked_ms is not None else None
    if answered_ms is not None and answered_ms >= EARLIEST_MS:
        flight.answer_ms, flight.anchor_offset = answered_ms, offset


def _tick(state: Calls, work: Rows, offset: int, tick: Tick, max_call_ms: Callable[[str, str], int]) -> None:
    state.next_offset = max(state.next_offset, offset + 1)
    state.config_version = tick.config_version
    state.now_ms = max(state.now_ms, tick.at_ms)
    state.complete_to_ms = tick.complete_to_ms
    gone: list[str] = []
    for key, flight in state.flights.items():
        until_ms = min(tick.at_ms, tick.complete_to_ms.get(f"{flight.tenant}/{flight.switch}", 0))
        silent_ms = until_ms - flight.last_ms
        if flight.answer_ms is None:
            if silent_ms > NO_ANSWER_MS:
                gone.append(key)
            continue
        if silent_ms > max_call_ms(flight.tenant, flight.ingress_trunk):
            gone.append(key)
            continue
        so_far = until_ms - flight.answer_ms
        if so_far > flight.accrued_ms:
            flight.accrued_ms = so_far
            _emit(
                work,
                state,
                ACCRUAL,
                -1,
                offset,
                tick.at_ms,
                until_ms,
                flight,
                "tick",
                "",
                priced=True,
                answered=True,
                duration_ms=so_far,
            )
    for key in gone:
        flight = state.flights.pop(key)
        if flight.answer_ms is None:
            if flight.flying:
                _emit(work, state, CLOSING, -1, offset, tick.at_ms, flight.last_ms, flight, "tick", "", final=True)
            continue
        # Closed at its last sign of life: what it talked after that, nobody saw.
        flight.revision += 1
        state.hung[key] = flight
        talk_ms = max(flight.last_ms - flight.answer_ms, 0)
        _emit(
            work, state, CLOSING, -1, offset, tick.at_ms, flight.last_ms, flight, "tick", "", priced=True, final=True, answered=True,
            duration_ms=talk_ms, source="sign_of_life", end_ms=flight.last_ms, hung=True,
        )  # fmt: skip
    _forget(state, tick)


def _deliver(state: Calls, boot: str, seq: int, delivery: int) -> str:
    """ "" = new; else duplicate, conflict, or "old" = beyond what the ring remembers."""
    ring = state.rings.pop(boot, None)
    if ring is None:
        ring = Ring(array("q", [-1]) * RING, array("q", [0]) * RING)
        if len(state.rings) >= BOOTS:
            silent = next(iter(state.rings))
            gone = state.rings.pop(silent).top
            state.forgotten[silent] = max(gone, state.forgotten.pop(silent, -1))
            if len(state.forgotten) > FORGOTTEN:
                del state.forgotten[next(iter(state.forgotten))]
    state.rings[boot] = ring  # the latest heard of stands last
    slot = seq % RING
    if ring.seqs[slot] == seq:
        return schemas.DUPLICATE if ring.hashes[slot] == delivery else schemas.CONFLICT
    if seq <= ring.top - RING or seq <= state.forgotten.get(boot, -1):
        return "old"
    ring.seqs[slot], ring.hashes[slot] = seq, delivery
    ring.top = max(ring.top, seq)
    return ""


def _content(*facts: object) -> int:
    return int.from_bytes(
        hashlib.blake2b(repr(facts).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True
    )


def _close(state: Calls, key: str, content: int, at_ms: int, switch: str, sequenced: bool) -> None:
    state.closed[key] = (content, at_ms, switch, sequenced)
    if len(state.closed) > CLOSED:
        del state.closed[next(iter(state.closed))]


def _forget(state: Calls, tick: Tick) -> None:
    """Closed calls are kept in the order of their closing: forget from the front, each by the clock of its own switch."""
    while state.closed:
        key = next(iter(state.closed))
        _, at_ms, switch, sequenced = state.closed[key]
        if sequenced:
            until_ms = tick.complete_to_ms.get(f"{key.partition(chr(31))[0]}/{switch}", 0) - LINGER_MS
        else:
            until_ms = state.latest_ms - HORIZON_MS
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
        if state.rows[row] >= state.latest_ms - HORIZON_MS:
            break
        del state.rows[row]
