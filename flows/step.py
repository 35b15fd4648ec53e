"""The one stateful step: `judge(state, messages)`, a composition of pure stages.

    decode -> number -> assemble -> rate -> accrue -> features -> unpriced -> concentrate -> by account -> by a_number -> by b_range -> by cap
      -> hits -> decide

The same function runs live, in replay, in back-tests and in a notebook. What it says of a record depends on that record and earlier ones
of its partition alone, never on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from core.flight import Calls
from core.work import Work
from rating.rate import Bill, rate

from core import schemas
from core.calls import assemble
from core.decode import decode, decode_tick
from core.facts import UNPRICED
from core.message import Message
from core.numbers import DialPlan, number
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY
from detectors import burst, caps, unpriced
from detectors.columns import Columns
from detectors.features import UNREADABLE_KINDS, features
from detectors.policy import Alert, decide, forget, hits
from detectors.recent import Memory, Recent
from detectors.unpriced import Dialled, DialledSoFar
from flows import rows, sums
from rating.accrue import accrue
from rating.contracts import Terms

TermsOf = Callable[[int], Terms]

@dataclass
class State:
    """All that judge remembers. `secret` keys the 64-bit subject hashes of this installation."""

    secret: bytes
    calls: dict[int, Calls] = field(default_factory=dict)
    burst: dict[str, Columns] = field(default_factory=burst.new_state)
    caps: dict[str, Columns] = field(default_factory=caps.new_state)
    alerts: dict[str, Alert] = field(default_factory=dict)
    recent: Recent = field(default_factory=dict)
    dialled: Dialled = field(default_factory=dict)  # of calls to numbers that cannot be read or priced
    gathered: list[pl.DataFrame] = field(default_factory=list)  # flows.sums.ADDED since the last tick
    partitions: int = 0  # of `calls`, over which the accounts of this state are spread; 0 = nobody has said yet


@dataclass(frozen=True)
class Outcome:
    """What a batch leads to, each a frame or values of `core`."""

    judged: pl.DataFrame  # core.schemas.JUDGED: a row for every offset but ticks
    rated: pl.DataFrame  # core.schemas.RATED
    sums: pl.DataFrame  # flows.sums.SUMS: the epochs that ended
    findings: list[Finding]
    orders: list[BlockOrder]
    places: dict[str, int]  # finding_id -> the partition of its record


def judge(
    state: State, messages: Sequence[Message], contracts_of: TermsOf, *, dedupe: bool = True, unique_ids: bool = False
) -> Outcome:
    """Judge messages of `calls`, in the order of their offsets within each partition; `state` is updated in place.

    One config version judges a batch: where a tick changes it, the batch is cut there. `unique_ids`: as in `core.calls.assemble`.
    """
    outcomes = [_judge(state, piece, contracts_of(piece.version), dedupe, unique_ids) for piece in _pieces(state, messages)]
    if len(outcomes) == 1:
        return outcomes[0]
    return Outcome(
        pl.concat([schemas.empty(schemas.JUDGED), *(o.judged for o in outcomes)]),
        pl.concat([schemas.empty(schemas.RATED), *(o.rated for o in outcomes)]),
        pl.concat([schemas.empty(sums.SUMS), *(o.sums for o in outcomes)]),
        [finding for o in outcomes for finding in o.findings],
        [order for o in outcomes for order in o.orders],
        {finding_id: partition for o in outcomes for finding_id, partition in o.places.items()},
    )


class Piece(NamedTuple):
    """Messages that one config version judges. `hour`: the partition and time of the tick that begins it, where that begins an hour."""

    version: int
    messages: Sequence[Message]
    hour: tuple[int, int] | None = None


HOUR_MS = 3_600_000


def _pieces(state: State, messages: Sequence[Message]) -> list[Piece]:
    """Cut a batch where a tick changes the config version or begins an hour: at these places in the log, whatever the batch.

    The version of a record is that of the last tick before it in its own partition.
    """
    versions = {partition: calls.config_version for partition, calls in state.calls.items()}
    clocks = {partition: calls.now_ms for partition, calls in state.calls.items()}
    pieces: list[Piece] = []
    latest: dict[int, list[Message]] = {}  # partition -> the messages of its last piece
    whole = True
    for message in messages:
        partition = message.partition
        version = versions.setdefault(partition, 0)
        hour = None
        if message.key == TICK_KEY:
            tick = decode_tick(message.value)
            versions[partition] = tick.config_version
            before_ms = clocks.get(partition, 0)
            clocks[partition] = max(before_ms, tick.at_ms)
            if tick.at_ms // HOUR_MS > before_ms // HOUR_MS > 0:
                hour = (partition, tick.at_ms)
        if partition not in latest or versions[partition] != version or hour:
            whole = whole and (partition not in latest) and not hour
            latest[partition] = []
            pieces.append(Piece(versions[partition], latest[partition], hour))
        latest[partition].append(message)
    if whole and len({piece.version for piece in pieces}) == 1:
        return [Piece(pieces[0].version, messages)]
    return pieces


def _judge(state: State, piece: Piece, contracts: Terms, dedupe: bool, unique_ids: bool) -> Outcome:
    if piece.hour:
        burst.forget(state.burst, *piece.hour, contracts.policy)
    decoded = decode(piece.messages)
    decoded = decoded._replace(records=number(decoded.records, _plans(decoded.records, contracts)))
    work = assemble(state.calls, decoded, contracts.silence, dedupe=dedupe, unique_ids=unique_ids)
    bill = rate(work, decoded.records, contracts)
    steps = accrue(work, bill)
    currencies = _currencies(work, bill, contracts)
    frame = features(work, steps.nanos, steps.minutes, steps.calls, steps.flying, currencies, _no_rate(work, bill), state.secret)
    sights: dict[str, burst.Sight] = {}
    frame, apart = unpriced.by_account(state.burst, frame, contracts.policy)
    if apart is not None:
        sights[UNPRICED] = apart
    frame = burst.concentrate(state.burst["range"], frame, contracts.policy)
    for level in burst.LEVELS:
        frame, sights[level] = burst.by_subject(state.burst[level], frame, level, contracts.policy)
    breaches = caps.by_cap(state.caps, frame, contracts.caps, contracts.first_seen)
    breaches += caps.by_unpriced_cap(state.caps[UNPRICED], frame, contracts.unpriced_caps)
    memories = Memory(state.recent, frame), DialledSoFar(state.dialled, _dialled(work, frame, decoded.records))
    verdict = decide(
        state.alerts, hits(frame, breaches), frame, sights, contracts.policy, contracts.protected, *memories, contracts.currency_of
    )
    if decoded.ticks and state.alerts:
        forget(state.alerts, min(calls.now_ms for calls in state.calls.values()) - 2 * 86_400_000)
    state.gathered, ended = sums.gather(state.gathered, work, frame, decoded, contracts.caps)
    return Outcome(
        judged=rows.judged(work, decoded, contracts.version),
        rated=rows.rated(work, bill, steps, decoded.records, contracts),
        sums=ended,
        findings=verdict.findings,
        orders=verdict.orders,
        places=verdict.places,
    )


def _no_rate(work: Work, bill: Bill) -> npt.NDArray[np.bool_]:
    """Answered rows whose number is in no rate of the deck that would have priced it. Nobody pays for an emergency call."""
    answered = np.asarray(work.answered, bool) & np.asarray([kind != "emergency" for kind in work.b_kind], bool)
    return answered & (((bill.sell_deck >= 0) & (bill.sell_rate < 0)) | ((bill.buy_deck >= 0) & (bill.buy_rate < 0)))


def _dialled(work: Work, frame: pl.DataFrame, records: pl.DataFrame) -> list[tuple[int, int, str]]:
    """Of rows of `frame` to numbers that cannot be read or priced: (row, the account's subject, what was dialled)."""
    odd = np.flatnonzero((frame["odd"] != 0).to_numpy())
    if not len(odd):
        return []
    found: list[tuple[int, int, str]] = []
    at, keys, kinds = frame["i"].to_list(), frame["k_unpriced"].to_list(), frame["b_kind"].to_list()
    for row in odd.tolist():
        record = work.row[at[row]]
        if record < 0:  # a tick told of the call, not a record
            continue
        raw = records["b_raw"][record]
        if raw or kinds[row] in UNREADABLE_KINDS - {"invalid", "alpha"}:
            found.append((row, keys[row], raw))
    return found


def _currencies(work: Work, bill: Bill, contracts: Terms) -> list[str]:
    """In which currency each row's money counts; "" where no price is known. A row that moves no money counts in its account's."""
    return [
        "" if fault else sell or buy or (contracts.currency_of(flight.tenant, account) if flight else "")
        for sell, buy, fault, flight, account in zip(
            bill.sell_currency, bill.buy_currency, bill.fault, work.flight, work.account, strict=True
        )
    ]


def _plans(records: pl.DataFrame, contracts: Terms) -> list[DialPlan]:
    return [contracts.plan_of(*key) for key in zip(records["tenant"].to_list(), records["ingress_trunk"].to_list(), strict=True)]
