"""The one stateful step: `judge(state, messages)`, a composition of pure stages.

    decode -> number -> assemble -> rate -> accrue -> detect

The same function runs live, in replay, in back-tests and in a notebook. What it says of a record depends on that record and earlier ones
of its partition alone, never on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core import schemas
from core.calls import assemble
from core.decode import Message, decode, decode_tick
from core.flight import Calls
from core.numbers import DialPlan, number
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY
from core.work import Work
from detectors import sums
from detectors.engine import detect
from detectors.protocol import Limits, Settings
from detectors.state import DetectorState
from flows import rows
from rating.accrue import Steps, accrue
from rating.contracts import Contracts
from rating.rate import Bill, rate

ContractsOf = Callable[[int], Contracts]

@dataclass
class State:
    """All that judge remembers. `secret` keys the 64-bit subject hashes of this installation."""

    secret: InitVar[bytes]
    calls: dict[int, Calls] = field(default_factory=dict)
    partitions: int = 0  # of `calls`, over which the accounts of this state are spread; 0 = not known yet
    detectors: DetectorState = field(init=False)

    def __post_init__(self, secret: bytes) -> None:
        self.detectors = DetectorState(secret)


@dataclass(frozen=True)
class Outcome:
    """What a batch leads to, each a frame or values of `core`."""

    judged: pl.DataFrame  # core.schemas.JUDGED: a row for every offset but ticks
    rated: pl.DataFrame  # core.schemas.RATED
    sums: pl.DataFrame  # detectors.sums.SUMS: the epochs that ended
    findings: list[Finding]
    orders: list[BlockOrder]
    places: dict[str, int]  # finding_id -> the partition of its record


def judge(
    state: State, messages: Sequence[Message], contracts_of: ContractsOf, *, dedupe: bool = True, unique_ids: bool = False
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
    """Messages that one config version judges."""

    version: int
    messages: Sequence[Message]


def _pieces(state: State, messages: Sequence[Message]) -> list[Piece]:
    """Cut a batch where a tick changes the config version: at these places in the log, whatever the batch.

    The version of a record is that of the last tick before it in its own partition.
    """
    versions = {partition: calls.config_version for partition, calls in state.calls.items()}
    pieces: list[Piece] = []
    latest: dict[int, list[Message]] = {}  # partition -> the messages of its last piece
    whole = True
    for message in messages:
        partition = message.partition
        version = versions.setdefault(partition, 0)
        if message.key == TICK_KEY:
            versions[partition] = decode_tick(message.value).config_version
        if partition not in latest or versions[partition] != version:
            whole = whole and (partition not in latest)
            latest[partition] = []
            pieces.append(Piece(versions[partition], latest[partition]))
        latest[partition].append(message)
    if whole and len({piece.version for piece in pieces}) == 1:
        return [Piece(pieces[0].version, messages)]
    return pieces


def _judge(state: State, piece: Piece, contracts: Contracts, dedupe: bool, unique_ids: bool) -> Outcome:
    decoded = decode(piece.messages)
    decoded = decoded._replace(records=number(decoded.records, _plans(decoded.records, contracts)))
    work = assemble(state.calls, decoded, contracts.silence, dedupe=dedupe, unique_ids=unique_ids)
    bill = rate(work, decoded.records, contracts)
    steps = accrue(work, bill)
    usage = usage_of(work, bill, steps, decoded.records, contracts)
    detected = detect(state.detectors, usage, decoded.ticks, settings_of(contracts))
    return Outcome(
        judged=rows.judged(work, decoded, contracts.version),
        rated=rows.rated(work, bill, steps, decoded.records, contracts),
        sums=detected.sums,
        findings=detected.findings,
        orders=detected.orders,
        places=detected.places,
    )


def settings_of(contracts: Contracts) -> Settings:
    """What the detectors need of a config version."""
    return Settings(
        policy_of=lambda tenant: contracts.policy,
        protected_of=lambda tenant: contracts.protected,
        currency_of=contracts.currency_of,
        limits=Limits(contracts.caps, contracts.unpriced_caps, contracts.first_seen),
    )


def usage_of(work: Work, bill: Bill, steps: Steps, records: pl.DataFrame, contracts: Contracts) -> pl.DataFrame:
    """A frame of `core.schemas.USAGE`: rows of calls that moved something. Duplicates and conflicts move nothing."""
    moved = (steps.nanos != 0) | (steps.calls != 0) | (steps.flying != 0) | (steps.minutes != 0)
    at = [i for i in np.flatnonzero(moved).tolist() if work.flight[i] and work.disposition[i] not in (schemas.DUPLICATE, schemas.CONFLICT)]
    index = np.asarray(at, np.int64)
    flights = [flight for i in at if (flight := work.flight[i])]
    currencies, raw, own = _currencies(work, bill, contracts), records["b_raw"], work.__dict__
    named = (
        "partition", "offset", "learned_ms", "call_id", "started_ms", "account", "ingress_trunk", "carrier", "trunk_group", "a_number", "b_number",
        "b_kind", "answered", "final",
    )  # fmt: skip
    columns = {name: [own[name][i] for i in at] for name in named} | {
        # A clock that is ahead must not make the rows after it look late: nothing happened after we learned of it.
        "t_ms": [min(work.t_ms[i], work.learned_ms[i]) for i in at],
        "tenant": [flight.tenant for flight in flights],
        "switch": [flight.switch for flight in flights],
        "call_key": [flight.call_key for flight in flights],
        "egress_trunk": [flight.egress_trunk for flight in flights],
        "a_kind": ["e164" if work.a_number[i] else "" for i in at],
        "b_raw": [raw[work.row[i]] if work.row[i] >= 0 else "" for i in at],
        "nanos": steps.nanos[index],
        "currency": [currencies[i] for i in at],
        "talk_ms": np.rint(steps.minutes[index] * 60_000).astype(np.int64),
        "calls": steps.calls[index],
        "flying": steps.flying[index],
        "no_rate": _no_rate(work, bill)[index],
    }
    return pl.DataFrame({name: columns[name] for name in schemas.USAGE}, schema=schemas.USAGE)


def _no_rate(work: Work, bill: Bill) -> npt.NDArray[np.bool_]:
    """Answered rows whose number is in no rate of the deck that would have priced it. Nobody pays for an emergency call."""
    answered = np.asarray(work.answered, bool) & np.asarray([kind != "emergency" for kind in work.b_kind], bool)
    return np.asarray(answered & (((bill.sell_deck >= 0) & (bill.sell_rate < 0)) | ((bill.buy_deck >= 0) & (bill.buy_rate < 0))))


def _currencies(work: Work, bill: Bill, contracts: Contracts) -> list[str]:
    """In which currency each row's money counts; "" where no price is known. A row that moves no money counts in its account's."""
    return [
        "" if fault else sell or buy or (contracts.currency_of(flight.tenant, account) if flight else "")
        for sell, buy, fault, flight, account in zip(
            bill.sell_currency, bill.buy_currency, bill.fault, work.flight, work.account, strict=True
        )
    ]


def _plans(records: pl.DataFrame, contracts: Contracts) -> list[DialPlan]:
    return [contracts.plan_of(*key) for key in zip(records["tenant"].to_list(), records["ingress_trunk"].to_list(), strict=True)]
