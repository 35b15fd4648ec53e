"""A simulated switch: it takes calls by time and writes records as a real one would.

An event heap without a clock: the caller advances it to a time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from core.record import Record
from simulator.calls import Call, Event, events

LookUp = Callable[[str, str, str, str, str], str]
"""tenant, account, trunk, a_number, b_number -> the order that refuses the call, "shadow:<id>" if it only would refuse it, "" = admitted."""


class Written(NamedTuple):
    """An event of a call, to be written, without its sequence number."""

    at_ms: int
    call: Call
    event: str
    fields: dict[str, Any]


def no_blocks(tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> str:
    """The look-up of a switch without blocks."""
    return ""


class Exchange:
    """Calls in, events out, by time. `calls` must be sorted by time; time only advances.

    `skews_ms`: how far the clock of each switch is ahead. `cut`: the switches that write long calls in slices.
    """

    def __init__(
        self, calls: Iterator[Call], skews_ms: dict[str, int], look_up: LookUp = no_blocks, cut: frozenset[str] = frozenset()
    ) -> None:
        self.calls = calls
        self.skews_ms = skews_ms
        self.look_up = look_up
        self.cut = cut
        self.active: dict[Call, None] = {}  # the oldest first
        self.counts: Counter[str] = Counter()
        self._heap: list[tuple[int, int, Call, Event]] = []
        self._number = 0
        self._next = next(calls, None)

    def advance(self, to_ms: int) -> Iterator[Written]:
        """The events up to `to_ms`, by time."""
        while True:
            due = self._heap[0][0] if self._heap else None
            if self._next is not None and (due is None or self._next.at_ms <= due):
                if self._next.at_ms > to_ms:
                    return
                call, self._next = self._next, next(self.calls, None)
                yield self._invite(call)
            elif due is not None and due <= to_ms:
                at_ms, _, call, event = heapq.heappop(self._heap)
                if event.event in ("stop", "gone") or event.fields.get("last"):
                    self.active.pop(call, None)
                if event.event == "gone":
                    self.counts["never stopped"] += 1
                    continue
                if event.event == "answer":
                    call.answered_ms = at_ms
                    call.route = event.fields
                self.counts[event.event] += 1
                yield Written(at_ms, call, event.event, event.fields)
            else:
                return

    def advance_all(self) -> Iterator[Written]:
        """The events of all calls to their end."""
        return self.advance(2**62)

    def hang_up(self, now_ms: int) -> Iterator[Written]:
        """End all active calls now: an orderly shutdown of the switch."""
        self._next, self._heap = None, []
        for call in list(self.active):
            skew = self.skews_ms[call.switch]
            fields: dict[str, Any] = {
                "setup_ms": call.at_ms + skew, "end_ms": now_ms + skew, "sip_code": 200 if call.route else 487, "q850": 31,
                "release_cause_text": "Switch going down", "release_side": "switch",
            }  # fmt: skip
            if call.route:
                fields = call.route | fields | {"duration_ms": now_ms - call.answered_ms}
            yield Written(now_ms, call, "stop", fields)
        self.active.clear()

    def _invite(self, call: Call) -> Written:
        """Admit or refuse an incoming call: the block table is looked up first."""
        skew = self.skews_ms[call.switch]
        self.counts["calls"] += 1
        order_id = self.look_up(call.tenant, call.account, call.trunk, call.a_number, call.b_number)
        call.order_id = order_id
        setup: dict[str, Any] = {"setup_ms": call.at_ms + skew}
        if order_id and not order_id.startswith("shadow:"):
            call.refused = True
            self.counts["refused"] += 1
            refusal = {"end_ms": call.at_ms + skew, "order_id": order_id, "sip_code": 603, "q850": 21, "release_side": "switch"}
            return Written(call.at_ms, call, "refused", setup | refusal)
        if order_id:
            setup["order_id"] = order_id
        call.parts = call.switch in self.cut
        self._note(call)
        self.active[call] = None
        for event in events(call, skew):
            self._number += 1
            heapq.heappush(self._heap, (event.at_ms, self._number, call, event))
        return Written(call.at_ms, call, "setup", setup)

    def _note(self, call: Call) -> None:
        for name, true in (
            ("answered calls", call.talk_ms is not None),
            ("failover", len(call.attempts) > 1),
            ("early media without answer", call.early_media),
            ("stop lost, found hung", call.lost_stop == "hung"),
            ("second stop", bool(call.second_stop_ms)),
            ("reused Call-ID", call.reused_call_id),
            ("no number as caller", not call.a_number),
        ):
            self.counts[name] += true


class RecordWriter:
    """Makes the records of one switch, with its boot id and sequence numbers."""

    def __init__(self, switch: str, boot_id: str, skew_ms: int = 0) -> None:
        self.switch, self.boot_id, self.skew_ms, self.seq = switch, boot_id, skew_ms, 0

    def boot(self, at_ms: int) -> Record:
        """The first record after a start."""
        self.seq = 1
        return Record(v=2, event="boot", switch=self.switch, at_ms=at_ms + self.skew_ms, boot_id=self.boot_id, seq=1)

    def write(self, one: Written) -> Record:
        """The record of an event, with the next sequence number."""
        self.seq += 1
        call = one.call
        if not call.boot_id:
            call.boot_id = self.boot_id
        fields: dict[str, Any] = call.facts | one.fields
        fields |= {"event": one.event, "at_ms": one.at_ms + self.skew_ms, "boot_id": self.boot_id, "seq": self.seq}
        if call.boot_id != self.boot_id:
            fields["setup_boot_id"] = call.boot_id
        return Record(v=2, switch=self.switch, **fields)
