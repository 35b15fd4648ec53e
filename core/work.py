"""What assembly says of a batch: a row a record, and a row for each call that a tick accrues or closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from core.flight import Calls, Flight

RECORD, ACCRUAL, CLOSING = 0, 1, 2  # kinds of a row

BLOCKABLE = ("e164", "national")
"""Kinds of an a_number that a block may name: never a withheld or an invalid one."""


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
    if not rows:
        return Work(**{name: [] for name in names})
    return Work(**dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def emit(
    rows: Rows, state: Calls, kind: int, row: int, offset: int, learned_ms: int, t_ms: int, flight: Flight | None, event: str,
    disposition: str, reason: str = "", *, priced: bool = False, final: bool = False, answered: bool = False, duration_ms: int = 0,
    source: str = "", end_ms: int = 0, hung: bool = False, twin: bool = False,
) -> None:  # fmt: skip
    """Add a row, with what its call is at this moment."""
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
