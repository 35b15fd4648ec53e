"""The one stateful step: `judge(state, messages)`, a composition of pure stages.

    decode -> number -> assemble -> charge -> accrue -> detect

The same function runs live, in replay, in back-tests and in a notebook. What it says of a record depends on that record and earlier ones
of its partition alone, never on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field, fields
from typing import Any, NamedTuple

import polars as pl

from core import rows
from core.active import Partition
from core.calls import assemble
from core.decode import decode, decode_tick
from core.message import Message
from core.numbers import DialPlan, number
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY
from detectors.engine import Dropped, PlacedTick, detect
from detectors.protocol import Limits, Settings
from detectors.state import DetectorState
from rating.accrue import Accrued, accrue
from rating.charge import Purchases, charge
from rating.contracts import Terms
from rating.priced import priced

TermsOf = Callable[[int], Terms]


@dataclass
class State:
    """All that judge remembers, each stage its own. `secret` keys the 64-bit subject hashes of this installation."""

    secret: InitVar[bytes]
    calls: dict[int, Partition] = field(default_factory=dict)
    purchases: dict[int, Purchases] = field(default_factory=dict)
    accrued: dict[int, Accrued] = field(default_factory=dict)
    partitions: int = 0  # of `calls`, over which the accounts of this state are spread; 0 = not known yet
    detectors: DetectorState = field(init=False)

    def __post_init__(self, secret: bytes) -> None:
        self.detectors = DetectorState(secret)


@dataclass(frozen=True)
class Outcome:
    """What a batch leads to, each a frame or values of `core`."""

    records: pl.DataFrame  # core.schemas.JUDGED: a row for every offset but ticks
    calls: pl.DataFrame  # core.schemas.CALLS, also of calls whose money could not be told: they have no charges
    attempts: pl.DataFrame  # core.schemas.ATTEMPTS
    charges: pl.DataFrame  # core.schemas.CHARGES
    sums: pl.DataFrame  # detectors.sums.SUMS: the epochs that ended
    findings: list[Finding]
    orders: list[BlockOrder]
    places: dict[str, int]  # finding_id -> the partition of its record
    dropped: list[Dropped]  # subjects that the detectors had no room for

    @property
    def priced(self) -> pl.DataFrame:
        """The calls with their money beside their facts (`rating.priced`)."""
        return priced(self.calls, self.charges)

    def table(self, name: str) -> pl.DataFrame:
        """The rows of a table of the warehouse (`core.schemas.TABLES`)."""
        frame: pl.DataFrame = getattr(self, name)
        return frame


def judge(
    state: State, messages: Sequence[Message], terms_of: TermsOf, *, dedupe: bool = True, unique_ids: bool = False
) -> Outcome:
    """Judge messages of `calls`, in the order of their offsets within each partition; `state` is updated in place.

    One config version judges a batch: where a tick changes it, the batch is cut there. `unique_ids`: as in `core.calls.assemble`.
    """
    outcomes = [_judge(state, piece, terms_of(piece.version), dedupe, unique_ids) for piece in _pieces(state, messages)]
    return outcomes[0] if len(outcomes) == 1 else _together(outcomes or [_judge(state, Piece(0, ()), terms_of(0), dedupe, unique_ids)])


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    values: dict[str, Any] = {}
    for one in fields(Outcome):
        parts = [getattr(outcome, one.name) for outcome in outcomes]
        if isinstance(parts[0], pl.DataFrame):
            values[one.name] = pl.concat(parts)
        elif isinstance(parts[0], dict):
            values[one.name] = {key: value for part in parts for key, value in part.items()}
        else:
            values[one.name] = [value for part in parts for value in part]
    return Outcome(**values)


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


class Used(NamedTuple):
    """What the stages before the detectors make of some messages. `usage`: core.schemas.USAGE, what the detectors read, with `ticks`."""

    records: pl.DataFrame
    calls: pl.DataFrame
    attempts: pl.DataFrame
    charges: pl.DataFrame
    usage: pl.DataFrame
    ticks: Sequence[PlacedTick]


def used(state: State, messages: Sequence[Message], terms: Terms, *, dedupe: bool = True, unique_ids: bool = False) -> Used:
    """All stages but the detectors, under one config version; `state` is updated in place."""
    decoded = decode(messages)
    records, numbers = number(decoded.records, _plans(decoded.records, terms))
    assembled = assemble(state.calls, decoded, numbers, terms.silence, dedupe=dedupe, unique_ids=unique_ids)
    outcome = charge(state.purchases, assembled, decoded.values, terms)
    usage = accrue(state.accrued, assembled.steps, outcome.amounts, decoded.values, terms.currency_of)
    return Used(
        records=rows.judged(records, outcome.fates, decoded.rejects, terms.version),
        calls=rows.calls(assembled.steps, sorted([*outcome.ended, *outcome.unpriced]), terms.version),
        attempts=rows.attempts(assembled.steps, assembled.legs, decoded.values),
        charges=outcome.charges,
        usage=usage,
        ticks=decoded.ticks,
    )


def _judge(state: State, piece: Piece, terms: Terms, dedupe: bool, unique_ids: bool) -> Outcome:
    made = used(state, piece.messages, terms, dedupe=dedupe, unique_ids=unique_ids)
    detected = detect(state.detectors, made.usage, made.ticks, settings_of(terms))
    return Outcome(
        records=made.records, calls=made.calls, attempts=made.attempts, charges=made.charges, sums=detected.sums, findings=detected.findings,
        orders=detected.orders, places=detected.places, dropped=detected.dropped,
    )  # fmt: skip


def settings_of(terms: Terms) -> Settings:
    """What the detectors need of a config version."""
    asks = lambda tenant: terms.policy_of(tenant).novelty_alerts_per_day > 0  # noqa: E731
    limits = Limits(terms.caps, terms.unpriced_caps, terms.first_seen, terms.models, asks)
    return Settings(policy_of=terms.policy_of, protected_of=terms.protected_of, currency_of=terms.currency_of, limits=limits, known_of=terms.known_of)


def _plans(records: pl.DataFrame, terms: Terms) -> list[DialPlan]:
    return [terms.plan_of(*key) for key in zip(records["tenant"].to_list(), records["ingress_trunk"].to_list(), strict=True)]
