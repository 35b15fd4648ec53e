"""From records to calls: what repeats, which call a record belongs to, when the call was answered, and how long it lasted.

`assemble(states, decoded, ...)` walks the records in the order of the log, once, and returns a row of `Work` for each of them
and for each call that a tick accrues or closes. Nothing here knows a price. The state is one object a partition: an account is
local to its partition, so a partition can move to another process with all that it knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from core import schemas
from core.decode import EARLIEST_MS, MAX_AHEAD_MS, Decoded
from core.flight import CLOSED, Calls, Flight, close, complete_to_ms, deliver, forget
from core.record import Tick
from core.work import ACCRUAL, CLOSING, RECORD, Rows, Work, emit, to_columns

NO_ANSWER_MS = 600_000
"""A call that rings for longer has lost its stop: it is forgotten, and nothing is owed."""

ACCRUAL_STEP = 1.25
"""A call in flight accrues at a tick once it has grown by a quarter: what detectors know of its money is never a fifth short, and a long
call does not cost a row each five seconds."""

MAX_DURATION_MS = 7 * 24 * 3_600_000

Silence = Callable[[str, str], tuple[int, bool]]
"""(tenant, ingress trunk) -> how long a call of it may show no sign of life, in ms, and whether that time counts as talk."""


class Row(NamedTuple):
    """What assembly reads of a numbered record (core.schemas.RECORDS, `delivery`, and core.schemas.NUMBERS)."""

    partition: int
    offset: int
    learned_ms: int
    tenant: str
    switch: str
    boot_id: str
    seq: int | None
    event: str
    at_ms: int
    setup_boot_id: str
    dialog_id: str
    call_id: str
    from_tag: str
    leg: str
    account: str
    auth: str
    ingress_trunk: str
    attempt_no: int
    carrier: str
    trunk_group: str
    egress_trunk: str
    setup_ms: int | None
    ringing_ms: int | None
    answer_ms: int | None
    end_ms: int | None
    duration_ms: int | None
    pdd_ms: int | None
    interim_no: int
    part_no: int
    last: bool
    sip_code: int | None
    q850: int | None
    suspected_hung: bool
    sell_amount: str
    buy_amount: str
    currency: str
    buy_currency: str
    delivery: int
    a_number: str
    a_kind: str
    b_number: str
    b_kind: str
    a_raw: str
    b_raw: str

    @property
    def sequenced(self) -> bool:
        """Whether a switch counted this record; a file's rows are not."""
        return bool(self.boot_id) and self.seq is not None

    @property
    def content(self) -> int:
        """A hash of what the record says of its call: the same event again with other content is a conflict."""
        said: tuple[object, ...] = (
            self.at_ms, self.answer_ms, self.end_ms, self.duration_ms, self.sip_code, self.q850, self.a_raw, self.b_raw, self.account,
            self.carrier, self.egress_trunk, self.sell_amount, self.buy_amount,
        )  # fmt: skip
        if not self.sequenced:  # no number of the switch tells two rows apart: all that they say of the call does
            said += (self.ingress_trunk, self.setup_ms, self.currency, self.buy_currency)
        return int.from_bytes(_digest(repr(said)), "little", signed=True)


class Place:
    """Where a record stands: its row, its state, and where its row of Work goes."""

    __slots__ = ("at", "dedupe", "note", "row", "rows", "state", "unique_ids")

    def __init__(self, state: Calls, rows: Rows, at: int, row: Row, note: str, dedupe: bool, unique_ids: bool) -> None:
        self.state, self.rows, self.at, self.row, self.note = state, rows, at, row, note
        self.dedupe, self.unique_ids = dedupe, unique_ids

    def say(self, disposition: str, reason: str = "", flight: Flight | None = None, **more: object) -> None:
        """The record's one row of Work. What was noted of the record stands behind the reason."""
        row = self.row
        if self.note:
            reason = f"{reason}; {self.note}" if reason else self.note
        emit(
            self.rows, self.state, RECORD, self.at, row.offset, row.learned_ms, row.at_ms, flight, row.event, disposition, reason,
            **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def tell(self, flight: Flight, talk_ms: int) -> None:
        """An event that says how long the call has talked so far: accrued, not billed."""
        self.say(schemas.EVENT, "", flight, priced=True, answered=True, duration_ms=talk_ms, source="accrual")


def assemble(
    states: dict[int, Calls], decoded: Decoded, silence: Silence, *, dedupe: bool = True, unique_ids: bool = False
) -> Work:
    """Walk the records and ticks of a batch, updating the state of each partition.

    `decoded.records` carries the columns of `Row`. `dedupe=False` exists for one test: it shows that the proof of completeness would notice.
    `unique_ids`: a feed without a sequence vouches that one id is one call, so a second stop of it with other content is a conflict.
    """
    rows: Rows = []
    ticks: dict[int, list[tuple[int, Tick]]] = {}
    for partition, offset, tick in decoded.ticks:
        ticks.setdefault(partition, []).append((offset, tick))
    for pending in ticks.values():
        pending.reverse()  # the earliest is popped from the end
    for partition, offset in [*((r.partition, r.offset) for r in decoded.rejects), *((p, -1) for p in ticks)]:
        state = states.setdefault(partition, Calls(partition))
        state.next_offset = max(state.next_offset, offset + 1)
    notes = decoded.notes
    columns = [decoded.records.get_column(name).to_list() for name in Row._fields]
    for at, row in enumerate(map(Row._make, zip(*columns, strict=True))):
        state = states.get(row.partition) or states.setdefault(row.partition, Calls(row.partition))
        pending = ticks.get(row.partition, [])
        while pending and pending[-1][0] < row.offset:
            _tick(state, rows, *pending.pop(), silence)
        state.next_offset = max(state.next_offset, row.offset + 1)
        note = notes.get((row.partition, row.offset), "") if notes else ""
        _record(Place(state, rows, at, row, note, dedupe, unique_ids))
    for partition, pending in ticks.items():
        while pending:
            _tick(states[partition], rows, *pending.pop(), silence)
    return to_columns(rows)


def _record(here: Place) -> None:
    row, state = here.row, here.state
    if row.sequenced and here.dedupe and not _is_new_delivery(here):
        return
    if not (row.call_id or row.dialog_id):
        if row.event == "stop":
            _end(here, _nameless(state, row), 0, row.duration_ms, twin=_is_twin(here))
        else:
            here.say(schemas.EVENT)
        return
    content = row.content
    flight = _flight(here, content)
    if flight is None:
        return
    event = row.event
    if event == "attempt":
        return _attempt(here, flight)
    _learn(flight, row)
    if event == "stop":
        _end(here, flight, content, row.duration_ms, twin=REPEAT in flight.key)
    elif event == "answer":
        if flight.answer_ms is None:
            flight.answer_ms = row.answer_ms if _plausible(row.answer_ms, row.at_ms) else row.at_ms
            _anchor(flight, row)
        here.tell(flight, 1)  # the first increment
    elif event == "interim":
        _interim(here, flight)
    elif event == "partial":
        _partial(here, flight, content)
    elif event == "refused":
        state.flights.pop(flight.key, None)
        close(state, flight.key, 0, _closed_ms(row), row.switch, row.sequenced)
        here.say(schemas.EVENT, "", flight, final=True)
    else:
        here.say(schemas.EVENT, "", flight)


def _is_new_delivery(here: Place) -> bool:
    """Says what a repeated delivery is, and whether this one is new."""
    row = here.row
    assert row.seq is not None
    verdict = deliver(here.state, f"{row.tenant}\x1f{row.switch}\x1f{row.boot_id}", row.seq, row.delivery)
    if not verdict:
        return True
    number = f"sequence {row.seq} of boot {row.boot_id}"
    if verdict == "leap":  # it may be one faulty number: it is counted, and moves nothing until others follow it
        here.note = "; ".join(filter(None, (here.note, f"{number} is far ahead of every number before it")))
        return True
    if verdict == schemas.DUPLICATE:
        here.say(schemas.DUPLICATE, f"{number} was delivered before")
    elif verdict == schemas.CONFLICT:
        here.say(schemas.CONFLICT, f"{number} was delivered before with other content")
    elif verdict == "crowd":
        here.say(schemas.UNRATED, f"{number} is one of many that are far ahead of this boot and of each other")
    else:
        here.say(schemas.UNRATED, f"{number} is too old to tell whether it was counted before")
    return False


def _nameless(state: Calls, row: Row) -> Flight:
    """A row of a file without an id: a call of its own."""
    call_key = _digest(f"{row.partition}/{row.offset}/{row.delivery}").hex()
    flight = Flight("", call_key, row.partition, row.offset, row.tenant, row.switch, row.sequenced)
    _learn(flight, row)
    return flight


def _is_twin(here: Place) -> bool:
    """Whether an equal row came before: a suspected duplicate, counted and priced."""
    seen = here.state.rows
    twin = here.dedupe and here.row.delivery in seen
    seen[here.row.delivery] = here.row.learned_ms
    if len(seen) > CLOSED:
        del seen[next(iter(seen))]
    return twin


def _flight(here: Place, content: int) -> Flight | None:
    """The call that a record belongs to; None where the record adds nothing to it, which is then said."""
    row, state = here.row, here.state
    key = "\x1f".join((row.tenant, row.switch, row.setup_boot_id or row.boot_id, row.dialog_id, row.call_id, row.from_tag, row.leg))
    if not row.sequenced:
        key = _own_key(here, key, content)
    flight = state.flights.get(key)
    if flight is None and here.dedupe and (past := state.closed.get(key)) is not None:
        if row.event != "stop":
            here.say(schemas.EVENT, "arrived after the call's stop")
        elif past[0] == content:
            here.say(schemas.DUPLICATE, "this call was ended before by the same stop")
        else:
            here.say(schemas.CONFLICT, "this call was ended before by a stop with other content")
        return None
    if flight is None and (flight := state.hung.get(key)) is not None and row.event not in ("stop", "partial"):
        state.flights[key] = state.hung.pop(key)  # a sign of life after all: the call flies on
    if flight is None:
        call_key = _digest(key).hex()
        flight = Flight(key, call_key, row.partition, -1, row.tenant, row.switch, row.sequenced, seen={}, parts={})
        flight.counted = not row.sequenced and row.attempt_no > 1  # a later attempt of a call in a file is no further call
        state.flights[key] = flight
    event_id = f"{row.event}/{row.attempt_no}/{row.interim_no}/{row.part_no}"
    before = flight.seen.get(event_id)
    if before is not None and here.dedupe:
        if before == content:
            here.say(schemas.DUPLICATE, f"this call's {row.event} was seen before", flight)
        else:
            here.say(schemas.CONFLICT, f"this call's {row.event} was seen before with other content", flight)
        return None
    flight.seen[event_id] = content
    return flight


REPEAT = "\x1f#"
"""In the key of a call that bears the id of an earlier one, and says something else."""


def _own_key(here: Place, key: str, content: int) -> str:
    """The key of the call that a row of a feed without a sequence belongs to.

    Such feeds write one id into several rows: the legs of a ring group, a transfer, a counter that began anew. So a stop ends the call that
    its answer opened, where both speak of the same call; else it is a call of its own, with its own money. The same id and attempt with
    other content is priced and suspected, under a key of its own; with the same content it is a duplicate.
    """
    row, state = here.row, here.state
    own = f"{key}\x1f{row.attempt_no}"
    if row.event != "stop":
        return own if own in state.closed else key
    opened = state.flights.get(key) or state.hung.get(key)
    if opened is not None and own not in state.closed and _is_of(opened, row):
        return key
    first = own if own in state.closed or key not in state.closed else key  # key: ended by the stop that its answer waited for
    past = state.closed.get(first)
    if here.unique_ids or (past is None and opened is None) or (past is not None and past[0] == content):
        return first
    return f"{own}{REPEAT}{content}"


def _is_of(flight: Flight, row: Row) -> bool:
    """Whether a stop can end a call: they name the same account and number, as far as both name any."""
    same_account = not (flight.account and row.account) or flight.account == row.account
    return same_account and (not (flight.b_number and row.b_number) or flight.b_number == row.b_number)


def _closed_ms(row: Row) -> int:
    """When a call was closed, by the clock that says when it is forgotten: the switch's own, or ours where no switch counts its records.

    What a row says of its time must not decide how long the rows of others are remembered."""
    return row.at_ms if row.sequenced else row.learned_ms


def _learn(flight: Flight, row: Row) -> None:
    """What a record says of its call. Who calls: the first word stays. Who carries it: the last word counts."""
    flight.call_id = flight.call_id or row.call_id
    flight.account = flight.account or row.account
    flight.auth = flight.auth or row.auth
    flight.ingress_trunk = flight.ingress_trunk or row.ingress_trunk
    if not flight.a_kind or (flight.a_kind == "withheld" and row.a_raw):
        flight.a_number, flight.a_kind = row.a_number, row.a_kind
    if not flight.b_number and row.b_raw:
        flight.b_number, flight.b_kind = row.b_number, row.b_kind
    flight.carrier = row.carrier or flight.carrier
    flight.trunk_group = row.trunk_group or flight.trunk_group
    flight.egress_trunk = row.egress_trunk or flight.egress_trunk
    if row.setup_ms is not None:
        flight.setup_ms = row.setup_ms
    elif row.event == "setup":
        flight.setup_ms = row.at_ms
    if row.ringing_ms is not None:
        flight.ringing_ms = row.ringing_ms
    elif row.event == "ringing" and flight.ringing_ms is None:
        flight.ringing_ms = row.at_ms
    if row.pdd_ms is not None:
        flight.pdd_ms = row.pdd_ms
    if row.sip_code is not None and row.event != "attempt":  # a carrier's 503 is not the call's end
        flight.sip_code = row.sip_code
    if row.q850 is not None:
        flight.q850 = row.q850
    flight.last_ms = max(flight.last_ms, row.at_ms)
    flight.attempts = max(flight.attempts, row.attempt_no)


def _attempt(here: Place, flight: Flight) -> None:
    """A route attempt that failed: its carrier's fee. One that is told late must not pass for the carrier of the call."""
    carried_by = flight.carrier, flight.trunk_group, flight.egress_trunk
    is_late = here.row.attempt_no < flight.attempts
    _learn(flight, here.row)
    flight.failed += 1
    here.say(schemas.EVENT, "", flight, priced=True)
    if is_late:
        flight.carrier, flight.trunk_group, flight.egress_trunk = carried_by


def _interim(here: Place, flight: Flight) -> None:
    row = here.row
    said_ms = row.duration_ms if row.duration_ms is not None and 0 < row.duration_ms <= MAX_DURATION_MS else None
    _answered_by(flight, row, said_ms)
    so_far_ms = said_ms if said_ms is not None else row.at_ms - flight.answer_ms if flight.answer_ms is not None else 0
    if flight.accrued_ms < so_far_ms <= MAX_DURATION_MS:
        flight.accrued_ms = so_far_ms
        here.tell(flight, so_far_ms)
    else:
        here.say(schemas.EVENT, "", flight)


def _partial(here: Place, flight: Flight, content: int) -> None:
    """A slice of a call. The one that completes the set ends the call, whichever comes last."""
    row = here.row
    if row.duration_ms is None or not 0 <= row.duration_ms <= MAX_DURATION_MS:
        return here.say(schemas.UNRATED, f"part {row.part_no} says no duration that can be added up", flight)
    flight.parts[row.part_no] = row.duration_ms
    _answered_by(flight, row, row.duration_ms)
    if row.last:
        flight.last_part = row.part_no
    total_ms = sum(flight.parts.values())
    if 0 <= flight.last_part < len(flight.parts):
        return _end(here, flight, content, total_ms)
    talked_ms = min(total_ms, MAX_DURATION_MS)
    flight.accrued_ms = max(flight.accrued_ms, talked_ms)
    here.tell(flight, talked_ms)


def _end(here: Place, flight: Flight, content: int, duration_ms: int | None, *, twin: bool = False) -> None:
    """The end of a call, and how long it lasted. A stop that comes after we closed the call as hung is its next revision."""
    row, state = here.row, here.state
    talk_ms, answered_ms, source, fault = _talk(flight, row, duration_ms)
    was_hung = False
    if flight.key:
        state.flights.pop(flight.key, None)
        was_hung = state.hung.pop(flight.key, None) is not None
        close(state, flight.key, content, _closed_ms(row), row.switch, row.sequenced)
    if flight.anchor_offset < 0:
        _anchor(flight, row)
    if fault:
        # What was accrued stays told: the detectors' view of an attack must not shrink because its last record is broken.
        return here.say(schemas.UNRATED, fault, flight, final=not was_hung)
    flight.answer_ms = answered_ms
    flight.revision += 1
    here.say(
        schemas.RATED_DISPOSITION, "", flight, priced=True, final=True, answered=answered_ms is not None, duration_ms=talk_ms, source=source,
        end_ms=row.end_ms if row.end_ms is not None else row.at_ms, hung=row.suspected_hung, twin=twin,
    )  # fmt: skip


def _talk(flight: Flight, row: Row, duration_ms: int | None) -> tuple[int, int | None, str, str]:
    """Talk time, the time of the answer (None = there was none), which of the record's words that is, and what is wrong with it."""
    ended_ms = row.end_ms if row.end_ms is not None else row.at_ms
    answered_ms = row.answer_ms if row.answer_ms is not None else flight.answer_ms
    talk_ms, source, fault = 0, "answer_to_end", ""
    if duration_ms is not None:  # a duration that the feed says is the money, and its times only order
        talk_ms, source = duration_ms, "switch" if row.sequenced else "file"
        if duration_ms < 0:
            fault = f"duration_ms {duration_ms} is negative"
        elif answered_ms is not None and row.end_ms is not None and row.end_ms < answered_ms:
            fault = f"end {row.end_ms} lies before answer {answered_ms}"
        elif answered_ms is None and duration_ms > 0:
            answered_ms = ended_ms - duration_ms
    elif answered_ms is not None:
        talk_ms = ended_ms - answered_ms
        if talk_ms < 0:
            fault = f"end {ended_ms} lies before answer {answered_ms}"
    elif (row.sip_code or flight.sip_code or 0) < 300 and (row.sequenced or flight.setup_ms is None):
        # A BYE ends a call that was answered, at a time that no record told us.
        fault = "a stop without a start: neither an answer time nor a duration nor a failure code is known"
    elif (row.sip_code or 0) // 100 == 2 and not (row.sell_amount or row.buy_amount):
        fault = f"sip_code {row.sip_code} says that the call was answered, and neither an answer time nor a duration says for how long"
    if not fault and answered_ms is not None and not _plausible(answered_ms, row.at_ms):
        fault = f"answer_ms {answered_ms} is not a time between 2000 and the stop"
    if not fault and talk_ms > MAX_DURATION_MS:
        fault = f"duration_ms {talk_ms} is longer than seven days"
    return talk_ms, answered_ms, source, fault


def _answered_by(flight: Flight, row: Row, talked_ms: int | None) -> None:
    """A record of talk tells of an answer that we have not seen: a call that was talked on is never forgotten as unanswered."""
    if flight.answer_ms is not None:
        return
    said_ms = row.answer_ms if _plausible(row.answer_ms, row.at_ms) else row.at_ms - talked_ms if talked_ms is not None else None
    if said_ms is not None and said_ms >= EARLIEST_MS:
        flight.answer_ms = said_ms
        _anchor(flight, row)


def _anchor(flight: Flight, row: Row) -> None:
    """Where the call's money stands. The partition too: a flight may have moved since it began (flows/repartition.py)."""
    flight.partition, flight.anchor_offset = row.partition, row.offset


def _plausible(answer_ms: int | None, at_ms: int) -> bool:
    return answer_ms is not None and EARLIEST_MS <= answer_ms <= at_ms + MAX_AHEAD_MS


def _tick(state: Calls, rows: Rows, offset: int, tick: Tick, silence: Silence) -> None:
    """Calls in flight accrue, and those that nobody heard of for too long are closed: both only up to where their switch is complete."""
    state.next_offset = max(state.next_offset, offset + 1)
    state.config_version = tick.config_version
    state.now_ms = max(state.now_ms, tick.at_ms)
    gone: list[Flight] = []
    for flight in state.flights.values():
        until_ms = min(tick.at_ms, complete_to_ms(tick, flight.switch))
        silent_ms = until_ms - flight.last_ms
        if flight.answer_ms is None:
            if silent_ms > NO_ANSWER_MS:
                gone.append(flight)
        elif silent_ms > silence(flight.tenant, flight.ingress_trunk)[0]:
            gone.append(flight)
        elif (so_far_ms := until_ms - flight.answer_ms) > flight.accrued_ms * ACCRUAL_STEP:
            flight.accrued_ms = so_far_ms
            emit(
                rows, state, ACCRUAL, -1, offset, tick.at_ms, until_ms, flight, "tick", "", priced=True, answered=True,
                duration_ms=so_far_ms,
            )  # fmt: skip
    for flight in gone:
        del state.flights[flight.key]
        if flight.answer_ms is not None:
            # It ended at its last sign of life, or at the session timer that ran from there: as its trunk's profile says.
            limit_ms, by_timer = silence(flight.tenant, flight.ingress_trunk)
            end_ms = flight.last_ms + (limit_ms if by_timer else 0)
            flight.revision += 1
            state.hung[flight.key] = flight
            emit(
                rows, state, CLOSING, -1, offset, tick.at_ms, end_ms, flight, "tick", "", priced=True, final=True, answered=True,
                duration_ms=max(end_ms - flight.answer_ms, 0), source="session_timer" if by_timer else "sign_of_life", end_ms=end_ms,
                hung=True,
            )  # fmt: skip
        elif flight.flying:
            emit(rows, state, CLOSING, -1, offset, tick.at_ms, flight.last_ms, flight, "tick", "", final=True)
    forget(state, tick)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
