"""Our detectors on simulated traffic: the same step as live, with every block applied to the calls that follow it.

The records of a span are judged together, with a tick each 15 s (live: 5 s); a span is a minute, or longer (at most ten) until it has
`SPAN_EVENTS` records. An order takes effect `DELIVERY_MS` after its deciding record; a call that it refuses writes no further records. Calls that a
span's own orders refuse have been judged with their span: the detectors may have seen up to a span of calls that a switch would have refused. Orders
that wait for a person, or that a safety rule refuses, block nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set

import msgspec
import numpy as np
import polars as pl

from core.message import Message
from core.numbers import DialPlan, Number
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY, Tick, journal_key
from core.safety import Protected, refusal
from detectors.registry import spanning
from evaluation.verdict import Alert, Mask, Verdict
from flows.refused import Tally
from flows.step import State, judge, settings_of
from rating.contracts import compile_contracts
from simulator.decks import OFFERS, deck
from simulator.episodes import Traffic
from simulator.record_lines import ANSWER, SETUP, STOP, SWITCH, Events, events, lines

MINUTE_MS, TICK_MS, DELIVERY_MS = 60_000, 15_000, 1_000
SPAN_EVENTS, SPAN_MINUTES = 200, 10
FEEDS = {"all": (SETUP, ANSWER, STOP), "answers": (ANSWER, STOP), "stops": (STOP,)}
"""What the switch reports: every event; answers and ends; or a record at the end alone."""


def ours(traffic: Traffic, feed: str = "answers", name: str = "Ringfence") -> Verdict:
    """The verdict of all detectors with their default policy."""
    terms = compile_contracts(traffic.config, {one: deck(one) for one in OFFERS})
    state, table = State(b"evaluation"), Table(traffic.frame, terms.plan_of)
    totals = {detector.name: detector.state() for detector in spanning()}
    settings = settings_of(terms)
    findings: dict[str, Finding] = {}
    cards: dict[tuple[str, str], int] = {}
    offset, boot_id = 0, f"{traffic.start_ms // 1000}.000000"
    for begin_ms, end_ms, part in spans(events(traffic.frame, FEEDS[feed])):
        part = table.admitted(part)
        messages: list[Message] = []
        ticks = iter(range(begin_ms, end_ms, TICK_MS))
        due_ms = next(ticks)
        for at_ms, (tenant, account, line) in zip(part.at_ms.tolist(), lines(traffic.frame, part, boot_id, offset + 1), strict=True):
            while due_ms <= at_ms:
                messages.append(_tick(len(messages) + offset, due_ms, terms.version))
                due_ms = next(ticks, 2**62)
            messages.append(Message(0, len(messages) + offset, at_ms, journal_key(tenant, account, ""), line))
        if due_ms < 2**62:
            messages.append(_tick(len(messages) + offset, due_ms, terms.version))
        offset += len(messages)
        outcome = judge(state, messages, lambda _: terms)
        orders = list(outcome.orders)
        found = list(outcome.findings)
        for detector in spanning():
            wide, wide_orders = detector.detect(totals[detector.name], outcome.sums, settings)
            found += wide
            orders += wide_orders
            detector.forget(totals[detector.name], end_ms)
        for finding in found:
            findings.setdefault(finding.finding_id, finding)
            if finding.detector == "sim_box" and finding.facts:
                for card in finding.facts.shares:
                    cards.setdefault((finding.tenant, card.account), finding.last_ms)
        table.apply(orders)
    accounts, carriers = set(traffic.frame["account"].unique()), set(traffic.frame["carrier"].unique())
    return Verdict(name, [alert_of(one, accounts, carriers) for one in findings.values()], table.refused, cards)


def spans(found: Events) -> Iterator[tuple[int, int, Events]]:
    """Begin, end and events of each span; a span without any as well, because ticks come then too.

    >>> import numpy as np
    >>> at = np.array([0, 61_000, 1_300_000])
    >>> [(begin, end, len(part.at_ms)) for begin, end, part in spans(Events(at, at, at))]
    [(0, 600000, 2), (600000, 1200000, 0), (1200000, 1320000, 1)]
    """
    first, last = int(found.at_ms[0]) // MINUTE_MS, int(found.at_ms[-1]) // MINUTE_MS
    borders = np.searchsorted(found.at_ms, np.arange(first, last + 2) * MINUTE_MS)
    begin = 0
    for end in range(1, last - first + 2):
        many = borders[end] - borders[begin]
        if many >= SPAN_EVENTS or end - begin == SPAN_MINUTES or end == last - first + 1:
            part = slice(borders[begin], borders[end])
            yield (first + begin) * MINUTE_MS, (first + end) * MINUTE_MS, Events(found.at_ms[part], found.call[part], found.kind[part])
            begin = end


def _tick(offset: int, at_ms: int, version: int) -> Message:
    tick = Tick(at_ms=at_ms, config_version=version, complete_to_ms={SWITCH: at_ms})
    return Message(0, offset, at_ms, TICK_KEY, msgspec.json.encode(tick))


class Table:
    """A switch's block table over the calls of a traffic: which order a call meets, and what that does to it, says `flows.refused.Tally`. A throttle
    counts a call again that is decided on again."""

    def __init__(self, frame: pl.DataFrame, plan_of: Callable[[str, str], DialPlan] = lambda tenant, trunk: DialPlan()) -> None:
        self._rows = frame.select("tenant", "account", "ingress_trunk", "setup_ms", "a_number", "b_number")
        self._setup_ms = frame["setup_ms"].to_numpy()
        self._decided = 0  # calls before this one have been admitted or refused
        self._orders = Tally(plan_of)
        self._known: dict[str, int] = {}  # entry -> until when an order is in force
        self.refused: Mask = np.zeros(frame.height, np.bool_)

    def admitted(self, part: Events) -> Events:
        """The events without those of refused calls, after the calls that are set up by then were decided on."""
        last_ms = int(part.at_ms[-1]) if len(part.at_ms) else -1
        upto = int(np.searchsorted(self._setup_ms, last_ms, "right"))
        self._decide(self._decided, upto)
        self._decided = max(self._decided, upto)
        passes = ~self.refused[part.call]
        return Events(part.at_ms[passes], part.call[passes], part.kind[passes])

    def apply(self, orders: Sequence[BlockOrder]) -> None:
        """Orders take effect; calls that were set up after them, in the minute that is being judged, are refused now."""
        earliest = 2**62
        for order in orders:
            if order.ask or refusal(order, Protected(), automatic=True):
                continue
            entry, from_ms = order.key.entry(), order.created_at_ms + DELIVERY_MS
            if self._known.get(entry, 0) < from_ms:
                earliest = min(earliest, from_ms)
            self._known[entry] = max(order.expires_at_ms, self._known.get(entry, 0))
            self._orders.order([msgspec.structs.replace(order, created_at_ms=from_ms)], {})
        if earliest < 2**62:
            self._decide(int(np.searchsorted(self._setup_ms, earliest)), self._decided)

    def _decide(self, first: int, end: int) -> None:
        if end <= first or not self._known:
            return
        for row, (tenant, account, trunk, setup_ms, a_number, b_number) in enumerate(self._rows[first:end].iter_rows(), first):
            if not self.refused[row]:
                found = self._orders.refusing(tenant, account, trunk, setup_ms, a_number, Number(b_number, "e164"))
                self.refused[row] = found is not None


def alert_of(finding: Finding, accounts: Set[str], carriers: Set[str]) -> Alert:
    """A finding as an alert: its account is that of its block, else the first account that its subject names; likewise its carrier."""
    words = re.split(r"[/ >|]", finding.subject)
    account = finding.key.account if finding.key else next((word for word in words if word in accounts), "")
    return Alert(
        finding.detected_at_ms, finding.tenant, f"{finding.subject_kind} {finding.subject}", account,
        "" if account else next((word for word in words if word in carriers), ""), finding.detector, tuple(finding.example_call_ids),
    )  # fmt: skip
