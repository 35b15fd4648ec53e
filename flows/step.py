"""The one stateful step: `judge(state, messages)`, a composition of pure stages.

    decode -> number -> assemble -> rate -> accrue -> features -> concentrate -> by account -> by a_number -> by b_range -> by cap -> hits -> decide

The same function runs live, in replay, in back-tests and in a notebook. What it says of a record depends on that record and earlier ones
of its partition alone, never on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from core import schemas
from core.calls import assemble
from core.config import Caps
from core.decode import Decoded, Message, decode, decode_tick
from core.flight import Calls
from core.numbers import DialPlan, number
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY
from core.work import RECORD, Work
from detectors import burst, caps
from detectors.columns import Columns
from detectors.features import features
from detectors.policy import Alert, decide, forget, hits
from detectors.recent import Memory, Recent
from rating.accrue import Steps, accrue
from rating.contracts import Contracts
from rating.rate import Bill, rate

ContractsOf = Callable[[int], Contracts]

SUMS = pl.Schema(
    {
        "partition": pl.Int32,
        "first_offset": pl.Int64,  # of the rows that were summed: a reader knows a repeat by it
        "last_offset": pl.Int64,
        "tenant": pl.String,
        "kind": pl.String,  # carrier | trunk_group | b_range
        "subject": pl.String,
        "second_ms": pl.Int64,  # event time
        "nanos": pl.Int64,
        "currency": pl.String,
        "talk_ms": pl.Int64,
        "calls": pl.Int64,
        "ended": pl.Int64,
        "answered": pl.Int64,
    }
)
"""What a second added to a carrier, a trunk group and a range over all accounts of a partition."""


@dataclass
class State:
    """All that judge remembers. `secret` keys the 64-bit subject hashes of this installation."""

    secret: bytes
    calls: dict[int, Calls] = field(default_factory=dict)
    burst: dict[str, Columns] = field(default_factory=burst.new_state)
    caps: dict[str, Columns] = field(default_factory=caps.new_state)
    alerts: dict[str, Alert] = field(default_factory=dict)
    recent: Recent = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a batch leads to, each a frame or values of `core`."""

    judged: pl.DataFrame  # core.schemas.JUDGED: a row for every offset but ticks
    rated: pl.DataFrame  # core.schemas.RATED
    sums: pl.DataFrame  # SUMS
    findings: list[Finding]
    orders: list[BlockOrder]


def judge(state: State, messages: Sequence[Message], contracts_of: ContractsOf, *, dedupe: bool = True) -> Outcome:
    """Judge messages of `calls`, in the order of their offsets within each partition; `state` is updated in place.

    One config version judges a batch: where a tick changes it, the batch is cut there.
    """
    outcomes = [_judge(state, piece, contracts_of(piece.version), dedupe) for piece in _pieces(state, messages)]
    if len(outcomes) == 1:
        return outcomes[0]
    return Outcome(
        pl.concat([schemas.empty(schemas.JUDGED), *(o.judged for o in outcomes)]),
        pl.concat([schemas.empty(schemas.RATED), *(o.rated for o in outcomes)]),
        pl.concat([schemas.empty(SUMS), *(o.sums for o in outcomes)]),
        [finding for o in outcomes for finding in o.findings],
        [order for o in outcomes for order in o.orders],
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


def _judge(state: State, piece: Piece, contracts: Contracts, dedupe: bool) -> Outcome:
    if piece.hour:
        burst.forget(state.burst, *piece.hour, contracts.policy)
    decoded = decode(piece.messages)
    decoded = decoded._replace(records=number(decoded.records, _plans(decoded.records, contracts)))
    work = assemble(state.calls, decoded, contracts.silence, dedupe=dedupe)
    bill = rate(work, decoded.records, contracts)
    steps = accrue(work, bill)
    currency = [
        "" if fault else sell or buy for sell, buy, fault in zip(bill.sell_currency, bill.buy_currency, bill.fault, strict=True)
    ]
    frame = features(work, steps.nanos, steps.minutes, steps.calls, steps.flying, currency, state.secret)
    frame = burst.concentrate(state.burst["range"], frame, contracts.policy)
    for level in burst.LEVELS:
        frame = burst.by_subject(state.burst[level], frame, level, contracts.policy)
    found = hits(frame, caps.by_cap(state.caps, frame, *_caps(contracts)))
    verdict = decide(state.alerts, found, frame, contracts.policy, contracts.protected, Memory(state.recent, frame))
    if decoded.ticks and state.alerts:
        forget(state.alerts, min(calls.now_ms for calls in state.calls.values()) - 2 * 86_400_000)
    return Outcome(
        judged=_judged(work, decoded, contracts.version),
        rated=_rated(work, bill, steps, decoded.records, contracts),
        sums=_sums(work, steps, frame),
        findings=verdict.findings,
        orders=verdict.orders,
    )


def _plans(records: pl.DataFrame, contracts: Contracts) -> list[DialPlan]:
    return [contracts.plan_of(*key) for key in zip(records["tenant"].to_list(), records["ingress_trunk"].to_list(), strict=True)]


def _caps(contracts: Contracts) -> tuple[dict[str, dict[tuple[str, str], Caps]], frozenset[tuple[str, str]]]:
    none = Caps()
    return (
        {
            "account": {key: a.caps for key, a in contracts.accounts.items() if a.caps != none},
            "trunk": {key: t.caps for key, t in contracts.trunks.items() if t.caps != none},
            "destination": {key: a.destination_caps for key, a in contracts.accounts.items() if a.destination_caps != none},
        },
        frozenset(key for key, a in contracts.accounts.items() if a.first_seen_destination),
    )


def _judged(work: Work, decoded: Decoded, version: int) -> pl.DataFrame:
    at = [i for i, kind in enumerate(work.kind) if kind == RECORD]  # as many as records, in their order
    flights = [work.flight[i] for i in at]
    frame = decoded.records.drop("delivery").with_columns(
        pl.Series("disposition", [work.disposition[i] for i in at], dtype=pl.String),
        pl.Series("reason", [work.reason[i] for i in at], dtype=pl.String),
        pl.Series("suspected_duplicate", [work.twin[i] for i in at], dtype=pl.Boolean),
        pl.lit(None, dtype=pl.Binary).alias("raw"),
        pl.Series("call_key", [f.call_key if f else "" for f in flights], dtype=pl.String),
        pl.lit(version, dtype=pl.Int64).alias("config_version"),
    )
    columns = list(schemas.JUDGED)
    if not decoded.rejects:
        return frame.select(columns)
    blank: dict[str, Any] = dict.fromkeys(columns) | {name: "" for name, dtype in schemas.JUDGED.items() if dtype == pl.String}
    blank |= {"attempt_no": 0, "interim_no": 0, "part_no": 0, "last": False, "suspected_hung": False, "suspected_duplicate": False}
    rows = [
        {
            **blank, "partition": r.partition, "offset": r.offset, "learned_ms": r.learned_ms, "tenant": r.tenant, "at_ms": r.learned_ms,
            "disposition": schemas.REJECT, "reason": r.reason, "raw": r.raw, "config_version": version,
        }
        for r in decoded.rejects
    ]  # fmt: skip
    return pl.concat([frame.select(columns), pl.DataFrame(rows, schema=schemas.JUDGED)])


def _rated(work: Work, bill: Bill, steps: Steps, records: pl.DataFrame, contracts: Contracts) -> pl.DataFrame:
    at = [
        i
        for i, facts in enumerate(work.facts)
        if facts is not None and work.priced[i] and not bill.fault[i] and work.disposition[i] in (schemas.RATED_DISPOSITION, "")
    ]
    if not at:
        return schemas.empty(schemas.RATED)
    sides: dict[str, list[str]] = {f"{side}_{part}": [] for side in ("sell", "buy") for part in ("deck", "prefix", "destination")}
    for i in at:
        for side, place, of in (("sell", bill.sell_deck[i], bill.sell_rate[i]), ("buy", bill.buy_deck[i], bill.buy_rate[i])):
            deck = contracts.decks[place] if place >= 0 else None
            sides[f"{side}_deck"].append(deck.name if deck else "")
            sides[f"{side}_prefix"].append(deck.prefixes[of] if deck and of >= 0 else "")
            sides[f"{side}_destination"].append(deck.destinations[of] if deck and of >= 0 else "")
    places = np.asarray(at, np.int64)
    release_side = records["release_side"].to_list()
    own: dict[str, Any] = {
        "offset": [facts["anchor_offset"] for i in at if (facts := work.facts[i])],
        "record_partition": [work.partition[i] for i in at],
        "record_offset": [work.offset[i] for i in at],
        "learned_ms": [work.learned_ms[i] for i in at],
        "end_ms": [work.end_ms[i] for i in at],
        "duration_ms": [work.duration_ms[i] if work.answered[i] else 0 for i in at],
        "duration_source": [work.source[i] for i in at],
        "billable_s": bill.charged_s[places],
        "attempts": steps.attempts[places],
        "release_side": [release_side[work.row[i]] if work.row[i] >= 0 else "switch" for i in at],
        "sell_nanos": bill.sell_nanos[places],
        "sell_currency": [bill.sell_currency[i] for i in at],
        "buy_nanos": bill.buy_nanos[places] + steps.fees_nanos[places],
        "buy_attempt_fees_nanos": steps.fees_nanos[places],
        "buy_currency": [bill.buy_currency[i] for i in at],
        "suspected_hung": [work.hung[i] for i in at],
        "suspected_duplicate": [work.twin[i] for i in at],
        "config_version": [contracts.version] * len(at),
        **sides,
    }
    frame = {name: own[name] if name in own else [facts[name] for i in at if (facts := work.facts[i])] for name in schemas.RATED}
    return pl.DataFrame(frame, schema=schemas.RATED)


def _sums(work: Work, steps: Steps, frame: pl.DataFrame) -> pl.DataFrame:
    if frame.is_empty():
        return schemas.empty(SUMS)
    rows = frame["i"].to_list()
    base = frame.select("partition", "tenant", "t_ms", "nanos", "currency", "minutes", "calls", "b_range").with_columns(
        pl.Series("offset", [work.offset[i] for i in rows], dtype=pl.Int64),
        pl.Series("carrier", [work.carrier[i] for i in rows], dtype=pl.String),
        pl.Series("trunk_group", [work.trunk_group[i] for i in rows], dtype=pl.String),
        pl.Series("ended", [int(work.final[i]) for i in rows], dtype=pl.Int64),
        pl.Series("answered", [int(work.final[i] and work.answered[i]) for i in rows], dtype=pl.Int64),
        (pl.col("t_ms") // 1000 * 1000).alias("second_ms"),
    )
    kinds = [base.with_columns(pl.lit(kind).alias("kind"), pl.col(kind).alias("subject")) for kind in ("carrier", "trunk_group", "b_range")]
    return (
        pl.concat(kinds)
        .filter(pl.col("subject") != "")
        .group_by("partition", "tenant", "kind", "subject", "second_ms", "currency", maintain_order=True)
        .agg(
            pl.col("offset").min().alias("first_offset"),
            pl.col("offset").max().alias("last_offset"),
            pl.col("nanos").sum(),
            (pl.col("minutes") * 60_000).round().cast(pl.Int64).sum().alias("talk_ms"),
            pl.col("calls").sum(),
            pl.col("ended").sum(),
            pl.col("answered").sum(),
        )
        .select(list(SUMS))
    )
