"""From records to calls: what repeats, which call a record belongs to, when the call was answered, and how long it lasted.

`assemble(states, decoded, ...)` walks the records in the order of the log, once, and returns the disposition of each of them and a frame of
steps: one row per record of a call, and one per call that a tick accrues, closes or forgets. What each event does to a call is the table
in `core.life`. Nothing here knows a price. The state is one object per partition: an account is local to its partition, so a partition
can move to another process with all that it knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from core import life, schemas
from core.active import CLOSED, COLUMNS, ActiveCall, Leg, Partition, close, complete_to_ms, forget
from core.decode import EARLIEST_MS, MAX_AHEAD_MS, Decoded, Position
from core.delivery import deliver
from core.frames import Table
from core.record import Record, Tick

NO_ANSWER_MS = 600_000
"""A call that rings for longer has lost its stop: it is forgotten, and nothing is owed."""

ACCRUAL_STEP = 1.25
"""A call in progress accrues at a tick once it has grown by a quarter: what detectors know of its money is never a fifth short, and a long
call does not cost a row each five seconds."""

MAX_DURATION_MS = 7 * 24 * 3_600_000

Silence = Callable[[str, str], tuple[int, bool]]
"""(tenant, ingress trunk) -> how long a call of it may show no sign of life, in ms, and whether that time counts as talk."""

Numbers = tuple[str, str, str, str]
"""a_number, a_kind, b_number, b_kind."""


class Fate(NamedTuple):
    """What became of a record."""

    disposition: str
    reason: str
    suspected_duplicate: bool
    call_key: str


class Assembled(NamedTuple):
    """`fates`: one per record, in their order. `steps`: columns of core.schemas.STEPS, in the order of the log in each partition. `legs`: the
    attempts and egress legs that ended by themselves, one per step that `buys`, in their order."""

    fates: list[Fate]
    steps: Table
    legs: list[LegEnd]


class Talk(NamedTuple):
    """The talk time of a call, from which field of its records, and when it ended."""

    answered: bool
    duration_ms: int
    source: str = "accrual"
    end_ms: int = 0
    hung: bool = False
    twin: bool = False  # a suspected duplicate


class LegEnd(NamedTuple):
    """How an attempt, or an egress leg, ended: a step that `buys`."""

    attempt_no: int
    answered: bool
    at_ms: int  # of its answer, else of its record
    talk_ms: int
    sip_code: int | None
    q850: int | None
    pdd_ms: int | None
    carrier: str
    trunk_group: str
    egress_trunk: str


def assemble(
    states: dict[int, Partition], decoded: Decoded, numbers: list[Numbers], silence: Silence, *, dedupe: bool = True, unique_ids: bool = False
) -> Assembled:
    """Walk the records and ticks of a batch, updating the state of each partition. `numbers`: of each record.

    `dedupe=False` exists for one test: it shows that the proof of completeness would notice.
    `unique_ids`: a feed without a sequence vouches that one id is one call, so a second stop of it with other content is a conflict.
    """
    ticks: dict[int, list[tuple[int, Tick]]] = {}
    for partition, offset, tick in decoded.ticks:
        ticks.setdefault(partition, []).append((offset, tick))
    for pending in ticks.values():
        pending.reverse()  # the earliest is popped from the end
    for partition, offset in [*((r.partition, r.offset) for r in decoded.rejects), *((p, -1) for p in ticks)]:
        state = states.setdefault(partition, Partition(partition))
        state.next_offset = max(state.next_offset, offset + 1)
    assembler = _Assembler(silence, dedupe, unique_ids)
    notes = decoded.notes
    for row, (position, record, numbers_of) in enumerate(zip(decoded.positions, decoded.values, numbers, strict=True)):
        partition, offset = position.partition, position.offset
        state = states.get(partition) or states.setdefault(partition, Partition(partition))
        pending = ticks.get(partition, [])
        while pending and pending[-1][0] < offset:
            assembler.tick(state, *pending.pop())
        state.next_offset = max(state.next_offset, offset + 1)
        assembler.state, assembler.row, assembler.position, assembler.at, assembler.numbers = state, row, position, record, numbers_of
        assembler.note = notes.get((partition, offset), "") if notes else ""
        assembler.record()
    for partition, pending in ticks.items():
        while pending:
            assembler.tick(states[partition], *pending.pop())
    return Assembled(assembler.fates, Table(assembler.steps, schemas.STEPS), assembler.legs)


class _Assembler:
    """One pass over a batch. `state`, `row`, `position`, `at`, `numbers` and `note` are those of the record that is looked at."""

    __slots__ = ("at", "dedupe", "fates", "legs", "note", "numbers", "position", "row", "silence", "state", "steps", "unique_ids")

    state: Partition
    row: int
    position: Position
    at: Record
    numbers: Numbers
    note: str

    def __init__(self, silence: Silence, dedupe: bool, unique_ids: bool) -> None:
        self.silence, self.dedupe, self.unique_ids = silence, dedupe, unique_ids
        self.fates: list[Fate] = []
        self.steps: list[tuple[Any, ...]] = []
        self.legs: list[LegEnd] = []

    # --- what is reported ------------------------------------------------------------------------------------------------------

    def fate(self, disposition: str, reason: str = "", call: ActiveCall | None = None, twin: bool = False) -> None:
        """The record's one disposition. What was noted of the record stands behind the reason."""
        if self.note:
            reason = f"{reason}; {self.note}" if reason else self.note
        self.fates.append(Fate(disposition, reason, twin, call.call_key if call else ""))

    def step(
        self, call: ActiveCall, talk: Talk | None = None, *, final: bool = False, gone: bool = False, leg: LegEnd | None = None
    ) -> None:
        """The record's step of its call."""
        offset, learned_ms, record = self.position.offset, self.position.learned_ms, self.at
        self._step(call, (schemas.RECORD, self.row, record.at_ms, record.event), (offset, learned_ms), talk, final, gone, leg)

    def _step(
        self,
        call: ActiveCall,
        what: tuple[int, int, int, str],
        where: tuple[int, int],
        talk: Talk | None,
        final: bool,
        gone: bool,
        leg: LegEnd | None = None,
    ) -> None:
        answered, duration_ms, source, end_ms, hung, twin = talk or (False, 0, "", 0, False, False)
        self.steps.append(
            (
                *what, final, gone, talk is not None, answered, leg is not None,
                self.state.partition, *where, end_ms, duration_ms, source, hung, twin, *msgspec.structs.astuple(call)[:_COLUMNS],
            )
        )  # fmt: skip
        if leg is not None:
            self.legs.append(leg)

    def so_far(self, call: ActiveCall, talk_ms: int) -> None:
        """An event with the talk time of the call so far: accrued, not billed."""
        self.fate(schemas.EVENT, "", call)
        self.step(call, Talk(True, talk_ms))

    def event(self, call: ActiveCall, reason: str = "") -> None:
        self.fate(schemas.EVENT, reason, call)
        self.step(call)

    # --- one record ------------------------------------------------------------------------------------------------------------

    def record(self) -> None:
        record = self.at
        sequenced = is_sequenced(record)
        if sequenced and self.dedupe and not self._is_new_delivery():
            return
        if not (record.call_id or record.dialog_id or record.root_id):
            if record.event == "stop":
                self._end_of_nameless(sequenced)
            else:
                self.fate(schemas.EVENT)
            return
        content = content_of(record, sequenced)
        found = self._find(content, sequenced)
        if found is None:
            return
        call, state = found
        event = life.EGRESS + record.event if record.leg == "egress" else record.event
        effect = life.LIFE[state, event]
        if effect == life.REVIVE:  # a sign of life after all: it goes on as a call that talks
            self.state.active[call.key] = self.state.hung.pop(call.key)
            effect = life.LIFE[life.TALKING, event]
        if effect == life.LATE:
            self.fate(schemas.EVENT, "arrived after the call's stop", call)
        elif effect == life.REPEAT:
            self.fate(schemas.CONFLICT, "this call was ended before by a stop with other content", call)
        else:
            EFFECTS[effect](self, call, content)

    def _is_new_delivery(self) -> bool:
        """Reports what a repeated delivery is, and whether this one is new."""
        record = self.at
        assert record.seq is not None
        verdict = deliver(self.state.deliveries, f"{record.switch}\x1f{record.boot_id}", record.seq, self.position.delivery)
        if not verdict:
            return True
        number = f"sequence {record.seq} of boot {record.boot_id}"
        if verdict == "leap":  # it may be one faulty number: it is counted, and moves nothing until others follow it
            self.note = "; ".join(filter(None, (self.note, f"{number} is far ahead of every number before it")))
            return True
        if verdict == schemas.DUPLICATE:
            self.fate(schemas.DUPLICATE, f"{number} was delivered before")
        elif verdict == schemas.CONFLICT:
            self.fate(schemas.CONFLICT, f"{number} was delivered before with other content")
        elif verdict == "crowd":
            self.fate(schemas.UNRATED, f"{number} is one of many that are far ahead of this boot and of each other")
        else:
            self.fate(schemas.UNRATED, f"{number} is too old to tell whether it was counted before")
        return False

    def _end_of_nameless(self, sequenced: bool) -> None:
        """A row of a file without an id: a call of its own."""
        position, record = self.position, self.at
        call_key = _digest(f"{position.partition}/{position.offset}/{position.delivery}", 16).hex()
        call = ActiveCall(position.partition, position.offset, 0, position.tenant, record.switch, call_key, sequenced=sequenced)
        self._learn(call)
        self._end(call, 0, record.duration_ms, twin=self._is_twin())

    def _is_twin(self) -> bool:
        """Whether an equal row came before: a suspected duplicate, counted and priced."""
        seen, delivery = self.state.rows, self.position.delivery
        twin = self.dedupe and delivery in seen
        seen[delivery] = self.position.learned_ms
        if len(seen) > CLOSED:
            del seen[next(iter(seen))]
        return twin

    def _find(self, content: int, sequenced: bool) -> tuple[ActiveCall, str] | None:
        """The call that a record belongs to, and its state; None where the record adds nothing to it, which is then reported."""
        record, state = self.at, self.state
        tenant, boot = self.position.tenant, record.setup_boot_id or record.boot_id
        if record.root_id:
            key = "\x1f".join((tenant, record.switch, boot, record.root_id))
        else:
            key = "\x1f".join((tenant, record.switch, boot, record.dialog_id, record.call_id, record.from_tag))
            if not sequenced:
                key = self._own_key(key, content)
        call, stage = state.active.get(key), ""
        if call is not None:
            stage = life.RINGING if call.answer_ms is None else life.TALKING
        elif (call := state.hung.get(key)) is not None:
            stage = life.HUNG
        elif (call := state.lingering.get(key)) is not None:
            stage = life.ENDED
        elif self.dedupe and (past := state.closed.get(key)) is not None:
            if record.event != "stop":
                self.fate(schemas.EVENT, "arrived after the call's stop")
            elif past[0] == content:
                self.fate(schemas.DUPLICATE, "this call was ended before by the same stop")
            else:
                self.fate(schemas.CONFLICT, "this call was ended before by a stop with other content")
            return None
        else:
            call, stage = ActiveCall(
                self.position.partition, -1, 0, tenant, record.switch, _digest(key, 16).hex(), key=key, sequenced=sequenced,
                continues=not sequenced and record.attempt_no > 1, seen={}, parts={}, leg={},
            ), life.RINGING  # fmt: skip
            state.active[key] = call
        event = event_of(record)
        before = call.seen.get(event)
        if before is not None and self.dedupe:
            if before == content:
                self.fate(schemas.DUPLICATE, f"this call's {record.event} was received before", call)
            else:
                self.fate(schemas.CONFLICT, f"this call's {record.event} was received before with other content", call)
            return None
        call.seen[event] = content
        return call, stage

    def _own_key(self, key: str, content: int) -> str:
        """The key of the call that a row of a feed without a sequence belongs to.

        Such feeds write one id into several rows: the legs of a ring group, a transfer, a counter that began anew. So a stop ends the call
        that its answer opened, where both speak of the same call; else it is a call of its own, with its own money. The same id and attempt
        with other content is priced and suspected, under a key of its own; with the same content it is a duplicate.
        """
        record, state = self.at, self.state
        own = f"{key}\x1f{record.attempt_no}"
        if record.event != "stop":
            return own if own in state.closed else key
        opened = state.active.get(key) or state.hung.get(key)
        if opened is not None and own not in state.closed and self._is_of(opened):
            return key
        first = own if own in state.closed or key not in state.closed else key  # key: ended by the stop that its answer waited for
        past = state.closed.get(first)
        if self.unique_ids or (past is None and opened is None) or (past is not None and past[0] == content):
            return first
        return f"{own}{REPEAT}{content}"

    def _is_of(self, call: ActiveCall) -> bool:
        """Whether a stop can end a call: they name the same account and number, as far as both name any."""
        account, b_number = self.at.account, self.numbers[2]
        same_account = not (call.account and account) or call.account == account
        return same_account and (not (call.b_number and b_number) or call.b_number == b_number)

    def _learn(self, call: ActiveCall) -> None:
        """Adds the facts of a record to its call. Who calls: the first record counts. Who carries it: the last one."""
        record = self.at
        a_number, a_kind, b_number, b_kind = self.numbers
        call.call_id = call.call_id or record.call_id
        call.account = call.account or record.account
        call.ingress_trunk = call.ingress_trunk or record.ingress_trunk
        if call.provisional:  # an egress leg came first: the ingress leg has what the caller dialled
            call.provisional, call.a_kind, call.b_number, call.call_id = False, "", "", record.call_id or call.call_id
        if not call.a_kind or (call.a_kind == "withheld" and record.a_raw):
            call.a_number, call.a_kind = a_number, a_kind
        if not call.b_number and record.b_raw:
            call.b_number, call.b_kind = b_number, b_kind
        call.lrn = call.lrn or record.lrn.removeprefix("+")
        if record.leg == "":
            call.carrier = record.carrier or call.carrier
            call.trunk_group = record.trunk_group or call.trunk_group
            call.egress_trunk = record.egress_trunk or call.egress_trunk
        if record.setup_ms is not None:
            call.setup_ms = record.setup_ms
        elif record.event == "setup":
            call.setup_ms = record.at_ms
        if record.ringing_ms is not None:
            call.ringing_ms = record.ringing_ms
        elif record.event == "ringing" and call.ringing_ms is None:
            call.ringing_ms = record.at_ms
        if record.pdd_ms is not None:
            call.pdd_ms = record.pdd_ms
        if record.sip_code is not None and record.event != "attempt":  # a carrier's 503 is not the call's end
            call.sip_code = record.sip_code
        if record.q850 is not None:
            call.q850 = record.q850
        call.last_ms = max(call.last_ms, record.at_ms)
        call.attempts = max(call.attempts, record.attempt_no)

    def _anchor(self, call: ActiveCall) -> None:
        """Where the call's money stands. The partition too: a call may have moved since it began (flows/repartition.py)."""
        call.partition, call.offset = self.position.partition, self.position.offset

    def _answered(self, call: ActiveCall, talked_ms: int | None) -> None:
        """A record of talk implies an answer, also if its record was lost: a call with talk never expires as unanswered."""
        record = self.at
        if call.answer_ms is not None:
            return
        at_ms = record.answer_ms if _plausible(record.answer_ms, record.at_ms) else record.at_ms - talked_ms if talked_ms is not None else None
        if at_ms is not None and at_ms >= EARLIEST_MS:
            call.answer_ms = at_ms
            self._anchor(call)

    # --- effects ---------------------------------------------------------------------------------------------------------------

    def _note(self, call: ActiveCall, content: int) -> None:
        self._learn(call)
        self.event(call)

    def _attempt(self, call: ActiveCall, content: int) -> None:
        """A route attempt that failed: its carrier's fee. One that is reported late must not pass for the carrier of the call."""
        record = self.at
        carried_by = call.carrier, call.trunk_group, call.egress_trunk
        is_late = record.attempt_no < call.attempts
        self._learn(call)
        call.failed, call.failed_no = call.failed + 1, max(call.failed_no, record.attempt_no)
        self.fate(schemas.EVENT, "", call)
        self.step(
            call,
            leg=LegEnd(
                record.attempt_no, False, record.at_ms, 0, record.sip_code, record.q850, record.pdd_ms, call.carrier, call.trunk_group,
                call.egress_trunk,
            ),
        )  # fmt: skip
        if is_late:
            call.carrier, call.trunk_group, call.egress_trunk = carried_by

    def _answer(self, call: ActiveCall, content: int) -> None:
        record = self.at
        self._learn(call)
        if call.answer_ms is None:
            call.answer_ms = record.answer_ms if _plausible(record.answer_ms, record.at_ms) else record.at_ms
            self._anchor(call)
        self.so_far(call, 1)  # the first increment

    def _interim(self, call: ActiveCall, content: int) -> None:
        record = self.at
        self._learn(call)
        stated_ms = record.duration_ms if record.duration_ms is not None and 0 < record.duration_ms <= MAX_DURATION_MS else None
        self._answered(call, stated_ms)
        so_far_ms = stated_ms if stated_ms is not None else record.at_ms - call.answer_ms if call.answer_ms is not None else 0
        if call.accrued_ms < so_far_ms <= MAX_DURATION_MS:
            call.accrued_ms = so_far_ms
            self.so_far(call, so_far_ms)
        else:
            self.event(call)

    def _part(self, call: ActiveCall, content: int) -> None:
        """A slice of a call. The one that completes the set ends the call, whichever comes last."""
        record = self.at
        self._learn(call)
        if record.duration_ms is None or not 0 <= record.duration_ms <= MAX_DURATION_MS:
            self.fate(schemas.UNRATED, f"part {record.part_no} has no duration that can be added up", call)
            return self.step(call)
        call.parts[record.part_no] = record.duration_ms
        self._answered(call, record.duration_ms)
        if record.last:
            call.last_part = record.part_no
        total_ms = sum(call.parts.values())
        if 0 <= call.last_part < len(call.parts):
            return self._end(call, content, total_ms)
        talked_ms = min(total_ms, MAX_DURATION_MS)
        call.accrued_ms = max(call.accrued_ms, talked_ms)
        self.so_far(call, talked_ms)

    def _refuse(self, call: ActiveCall, content: int) -> None:
        self._learn(call)
        self.state.active.pop(call.key, None)
        close(self.state, call.key, 0, self._closed_ms(), call.switch, call.sequenced)
        self.fate(schemas.EVENT, "", call)
        self.step(call, final=True, gone=True)

    def _stop(self, call: ActiveCall, content: int) -> None:
        self._learn(call)
        self._end(call, content, self.at.duration_ms, twin=REPEAT in call.key)

    def _end(self, call: ActiveCall, content: int, duration_ms: int | None, *, twin: bool = False) -> None:
        """The end of a call, and how long it lasted. A stop that comes after we closed the call as hung is its next revision."""
        record, state = self.at, self.state
        talk_ms, answered_ms, source, fault = talk_of(record, call.answer_ms, call.setup_ms, call.sip_code, call.sequenced, duration_ms)
        was_hung, lingers = False, False
        if call.key:
            state.active.pop(call.key, None)
            was_hung = state.hung.pop(call.key, None) is not None
            lingers = bool(record.leg)
            if lingers:
                state.lingering[call.key] = call
            else:
                close(state, call.key, content, self._closed_ms(), record.switch, call.sequenced)
        if call.offset < 0:
            self._anchor(call)
        call.release_side, call.ended_ms = record.release_side, self._closed_ms()
        call.end_ms = record.end_ms if record.end_ms is not None else record.at_ms
        if fault:
            # What was accrued stays: the detectors' view of an attack must not shrink because its last record is broken.
            self.fate(schemas.UNRATED, fault, call)
            return self.step(call, final=not was_hung, gone=not lingers)
        call.answer_ms, call.revision = answered_ms, call.revision + 1
        call.duration_ms, call.duration_source = talk_ms, source
        self.fate(schemas.RATED_DISPOSITION, "", call, twin)
        talk = Talk(answered_ms is not None, talk_ms, source, call.end_ms, record.suspected_hung, twin)
        self.step(call, talk, final=True, gone=not lingers)

    def _closed_ms(self) -> int:
        """When a call was closed, by the clock that decides when it is forgotten: the switch's own, or ours where no switch counts its
        records. What a row says of its time must not decide how long the rows of others are remembered."""
        return self.at.at_ms if is_sequenced(self.at) else self.position.learned_ms

    # --- egress legs -----------------------------------------------------------------------------------------------------------

    def _leg(self, call: ActiveCall) -> Leg:
        """Adds the facts of a record to its egress leg. The call is carried by the leg that answered, else by the last one."""
        record = self.at
        name = leg_of(record)
        leg = call.leg.get(name)
        if leg is None:
            taken = {other.attempt_no for other in call.leg.values()}
            own_no = record.attempt_no if record.attempt_no and record.attempt_no not in taken else max(taken, default=0) + 1
            leg = call.leg[name] = Leg(own_no)
            call.legs, call.attempts = len(call.leg), max(len(call.leg), *taken, own_no)
        leg.carrier = record.carrier or leg.carrier
        leg.trunk_group = record.trunk_group or leg.trunk_group
        leg.egress_trunk = record.egress_trunk or leg.egress_trunk
        if record.pdd_ms is not None:
            leg.pdd_ms = record.pdd_ms
        if leg.answer_ms is None and _plausible(record.answer_ms, record.at_ms):
            leg.answer_ms = record.answer_ms
        if leg.answer_ms is not None or not any(other.answer_ms is not None for other in call.leg.values()):
            call.carrier, call.trunk_group, call.egress_trunk = leg.carrier, leg.trunk_group, leg.egress_trunk
            call.pdd_ms = leg.pdd_ms
        call.account = call.account or record.account
        call.ingress_trunk = call.ingress_trunk or record.ingress_trunk
        if not call.b_number:
            call.a_number, call.a_kind, call.b_number, call.b_kind = self.numbers
            call.call_id, call.provisional = call.call_id or record.call_id, True
        call.last_ms = max(call.last_ms, record.at_ms)
        return leg

    def _leg_noted(self, call: ActiveCall, content: int) -> None:
        self._leg(call)
        self.event(call)

    def _leg_answer(self, call: ActiveCall, content: int) -> None:
        leg = self._leg(call)
        if leg.answer_ms is None:
            leg.answer_ms = self.at.at_ms
        if call.key not in self.state.active:
            return self.event(call)
        if call.answer_ms is None:
            call.answer_ms = leg.answer_ms
            self._anchor(call)
        self.so_far(call, max(1, call.accrued_ms))

    def _leg_ended(self, call: ActiveCall) -> LegEnd | None:
        """How an egress leg ended; None where that cannot be told, which is then reported."""
        record = self.at
        leg = self._leg(call)
        talk_ms, answered_ms, _, fault = 0, None, "", ""
        if record.event == "stop":
            talk_ms, answered_ms, _, fault = talk_of(record, leg.answer_ms, None, None, is_sequenced(record), record.duration_ms)
        if fault:
            self.fate(schemas.UNRATED, f"egress leg: {fault}", call)
            self.step(call)
            return None
        leg.ended, leg.answer_ms = True, answered_ms
        if answered_ms is None:
            call.failed += 1
        return LegEnd(
            leg.attempt_no, answered_ms is not None, answered_ms if answered_ms is not None else record.at_ms, talk_ms, record.sip_code,
            record.q850, leg.pdd_ms, leg.carrier, leg.trunk_group, leg.egress_trunk,
        )  # fmt: skip

    def _leg_end(self, call: ActiveCall, content: int) -> None:
        ended = self._leg_ended(call)
        if ended is None:
            return
        if ended.answered and call.answer_ms is None:  # should the ingress leg never come
            call.answer_ms = ended.at_ms
            self._anchor(call)
        self.fate(schemas.EVENT, "", call)
        self.step(call, leg=ended)

    def _leg_correction(self, call: ActiveCall, content: int) -> None:
        """An egress leg that ended after its call was sold: the next revision, with this leg bought as well."""
        ended = self._leg_ended(call)
        if ended is None:
            return
        if not call.revision:
            self.fate(schemas.EVENT, "arrived after the call's stop, which could not be priced", call)
            return self.step(call, leg=ended)
        call.revision += 1
        self.fate(schemas.RATED_DISPOSITION, "", call)
        talk = Talk(call.answer_ms is not None, call.duration_ms, call.duration_source, call.end_ms, call.key in self.state.hung)
        self.step(call, talk, final=True, leg=ended)

    # --- one tick --------------------------------------------------------------------------------------------------------------

    def tick(self, state: Partition, offset: int, tick: Tick) -> None:
        """Calls in progress accrue, and those that showed no sign of life for too long are closed: both only up to where their switch is
        complete."""
        state.next_offset = max(state.next_offset, offset + 1)
        state.config_version = tick.config_version
        state.now_ms = max(state.now_ms, tick.at_ms)
        self.state, where = state, (offset, tick.at_ms)
        silent: list[ActiveCall] = []
        for call in state.active.values():
            until_ms = min(tick.at_ms, complete_to_ms(tick, call.switch))
            silent_ms = until_ms - call.last_ms
            if call.answer_ms is None:
                if silent_ms > NO_ANSWER_MS:
                    silent.append(call)
            elif silent_ms > self.silence(call.tenant, call.ingress_trunk)[0]:
                silent.append(call)
            elif (so_far_ms := until_ms - call.answer_ms) > call.accrued_ms * ACCRUAL_STEP:
                call.accrued_ms = so_far_ms
                self._step(call, (schemas.ACCRUAL, -1, until_ms, "tick"), where, Talk(True, so_far_ms), False, False)
        for call in silent:
            del state.active[call.key]
            if call.answer_ms is None:
                self._step(call, (schemas.CLOSING, -1, call.last_ms, "tick"), where, None, True, True)
                continue
            # It ended at its last sign of life, or at the session timer that ran from there: as configured for its trunk.
            limit_ms, by_timer = self.silence(call.tenant, call.ingress_trunk)
            call.end_ms = call.last_ms + (limit_ms if by_timer else 0)
            call.duration_ms = max(call.end_ms - call.answer_ms, 0)
            call.duration_source = "session_timer" if by_timer else "sign_of_life"
            call.release_side, call.revision = "switch", call.revision + 1
            state.hung[call.key] = call
            talk = Talk(True, call.duration_ms, call.duration_source, call.end_ms, True)
            self._step(call, (schemas.CLOSING, -1, call.end_ms, "tick"), where, talk, True, False)
        for call in forget(state, tick):
            self._step(call, (schemas.GONE, -1, call.last_ms, "tick"), where, None, False, True)


_COLUMNS = len(COLUMNS)

REPEAT = "\x1f#"
"""In the key of a call that has the id of an earlier one and other content."""

EFFECTS: dict[str, Callable[[_Assembler, ActiveCall, int], None]] = {
    life.NOTE: _Assembler._note,
    life.ATTEMPT: _Assembler._attempt,
    life.ANSWER: _Assembler._answer,
    life.INTERIM: _Assembler._interim,
    life.PART: _Assembler._part,
    life.END: _Assembler._stop,
    life.REFUSE: _Assembler._refuse,
    life.LEG: _Assembler._leg_noted,
    life.LEG_ANSWER: _Assembler._leg_answer,
    life.LEG_END: _Assembler._leg_end,
    life.LEG_CORRECTION: _Assembler._leg_correction,
}


def is_sequenced(record: Record) -> bool:
    """Whether a switch counted this record; a file's rows are not."""
    return bool(record.boot_id) and record.seq is not None


def event_of(record: Record) -> str:
    """What a record reports, as its call remembers it: the same again is a duplicate or a conflict.

    >>> event_of(Record(v=2, event="interim", switch="k1", at_ms=0, interim_no=3))
    'interim/0/3/0'
    """
    if not (record.attempt_no or record.interim_no or record.part_no or record.leg):
        return record.event
    event = f"{record.event}/{record.attempt_no}/{record.interim_no}/{record.part_no}"
    return f"{event}/{leg_of(record)}" if record.leg == "egress" else event


def leg_of(record: Record) -> str:
    """The name of an egress leg within its call: its own dialog, or its number where it has no dialog of its own."""
    if record.dialog_id or record.call_id:
        return "\x1f".join((record.dialog_id, record.call_id, record.from_tag))
    return f"#{record.attempt_no}"


def content_of(record: Record, sequenced: bool) -> int:
    """A hash of the facts of a record about its call: the same event again with other content is a conflict."""
    content: tuple[object, ...] = (
        record.at_ms, record.answer_ms, record.end_ms, record.duration_ms, record.sip_code, record.q850, record.a_raw, record.b_raw,
        record.account, record.carrier, record.egress_trunk, record.sell_amount, record.buy_amount,
    )  # fmt: skip
    if not sequenced:  # no number of the switch tells two rows apart: all that they say of the call does
        content += (record.ingress_trunk, record.setup_ms, record.currency, record.buy_currency)
    digest = hashlib.blake2b(_encode(content), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def talk_of(
    record: Record, answer_ms: int | None, setup_ms: int | None, sip_code: int | None, sequenced: bool, duration_ms: int | None
) -> tuple[int, int | None, str, str]:
    """Talk time, the time of the answer (None = there was none), from which field it is, and what is wrong with it.

    `answer_ms`, `setup_ms`, `sip_code`: from earlier records.
    """
    ended_ms = record.end_ms if record.end_ms is not None else record.at_ms
    answered_ms = record.answer_ms if record.answer_ms is not None else answer_ms
    talk_ms, source, fault = 0, "answer_to_end", ""
    if duration_ms is not None:  # a duration of the feed is charged; its times only order the records
        talk_ms, source = duration_ms, "switch" if sequenced else "file"
        if duration_ms < 0:
            fault = f"duration_ms {duration_ms} is negative"
        elif answered_ms is not None and record.end_ms is not None and record.end_ms < answered_ms:
            fault = f"end {record.end_ms} lies before answer {answered_ms}"
        elif answered_ms is None and duration_ms > 0:
            answered_ms = ended_ms - duration_ms
    elif answered_ms is not None:
        talk_ms = ended_ms - answered_ms
        if talk_ms < 0:
            fault = f"end {ended_ms} lies before answer {answered_ms}"
    elif (record.sip_code or sip_code or 0) < 300 and (sequenced or setup_ms is None):
        # A BYE ends a call that was answered, at a time that no record has.
        fault = "a stop without a start: neither an answer time nor a duration nor a failure code is known"
    elif (record.sip_code or 0) // 100 == 2 and not (record.sell_amount or record.buy_amount):
        fault = f"sip_code {record.sip_code} means that the call was answered, and the record has neither an answer time nor a duration"
    if not fault and answered_ms is not None and not _plausible(answered_ms, record.at_ms):
        fault = f"answer_ms {answered_ms} is not a time between 2000 and the stop"
    if not fault and talk_ms > MAX_DURATION_MS:
        fault = f"duration_ms {talk_ms} is longer than seven days"
    return talk_ms, answered_ms, source, fault


def _plausible(answer_ms: int | None, at_ms: int) -> bool:
    return answer_ms is not None and EARLIEST_MS <= answer_ms <= at_ms + MAX_AHEAD_MS


_encode = msgspec.msgpack.Encoder().encode


def _digest(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()
