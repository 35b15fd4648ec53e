"""The rows of the tables `records`, `calls` and `attempts` that a batch leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from core import schemas
from core.calls import Fate, LegEnd
from core.decode import Reject
from core.frames import Table, column, of_columns, of_rows
from core.record import Record
from core.schemas import ATTEMPTS, CALLS, JUDGED


def judged(records: pl.DataFrame, fates: list[Fate], rejects: list[Reject], version: int) -> pl.DataFrame:
    """A frame of JUDGED: a row for every record and every reject, each with its one disposition. `records`: with their numbers."""
    names = ("disposition", "reason", "suspected_duplicate", "call_key")
    columns: Sequence[Sequence[Any]] = tuple(zip(*fates, strict=True)) if fates else ((),) * len(names)
    own = {name: column(name, values, JUDGED[name]) for name, values in zip(names, columns, strict=True)}
    n = len(fates)
    own |= {"raw": column("raw", (None,) * n, pl.Binary), "config_version": column("config_version", (version,) * n, pl.Int64)}
    frame = of_columns(JUDGED, records, own)
    if not rejects:
        return frame
    blank: dict[str, Any] = dict.fromkeys(JUDGED) | {name: "" for name, dtype in JUDGED.items() if dtype == pl.String}
    blank |= {"attempt_no": 0, "interim_no": 0, "part_no": 0, "last": False, "suspected_hung": False, "suspected_duplicate": False}
    rows = [
        {
            **blank, "partition": r.partition, "offset": r.offset, "learned_ms": r.learned_ms, "tenant": r.tenant, "at_ms": r.learned_ms,
            "disposition": schemas.REJECT, "reason": r.reason, "raw": r.raw, "config_version": version,
        }
        for r in rejects
    ]  # fmt: skip
    return pl.concat([frame, pl.DataFrame(rows, schema=JUDGED)])


def calls(steps: Table, ended: list[int], version: int) -> pl.DataFrame:
    """A frame of CALLS from the steps (core.schemas.STEPS) of calls that ended."""
    if not ended:
        return schemas.empty(CALLS)
    answered, duration_ms = steps["answered"], steps["duration_ms"]
    own = {
        "duration_ms": column("duration_ms", [duration_ms[i] if answered[i] else 0 for i in ended], pl.Int64),
        "attempts": column("attempts", _attempts_made(steps, ended), pl.Int32),
        "config_version": column("config_version", (version,) * len(ended), pl.Int64),
    }
    return of_columns(CALLS, pl.DataFrame(steps.rows([name for name in CALLS if name not in own], ended)), own)


def _attempts_made(steps: Table, rows: list[int]) -> list[int]:
    """How many attempts a call that ended had: as they were counted, but at least those that failed by themselves and the one that answered."""
    attempts, failed, answered = steps["attempts"], steps["failed"], steps["answered"]
    return [max(attempts[i], failed[i] + answered[i]) for i in rows]


def own_attempt_no(attempts: int, failed: int, failed_no: int, answered: bool) -> int:
    """The number of the attempt whose end is the end of its call. A switch that gives every attempt the same number, or whose answering attempt
    is not its last one, must not put two attempts of a call under one key.

    >>> own_attempt_no(attempts=1, failed=0, failed_no=0, answered=True), own_attempt_no(attempts=2, failed=1, failed_no=2, answered=True)
    (1, 3)
    """
    return max(attempts, max(failed, failed_no) + answered)


_NUMBERS = ("a_number", "a_kind", "b_number", "b_kind", "lrn", "setup_ms")
_OF_CALL = ("record_partition", "record_offset", "revision", "learned_ms", "tenant", "switch", "call_key")


def attempts(steps: Table, legs: list[LegEnd], records: Sequence[Record]) -> pl.DataFrame:
    """A frame of ATTEMPTS: the route attempts that ended with each step of core.schemas.STEPS. `legs`: of the steps that buy. `records`: those of
    the batch, to whose places the steps' `row` points.

    Of a proxy's call its end is that of its last attempt, but for a failed call whose last attempt has a record of its own.
    """
    own = [
        i
        for i, (final, sells, of_legs, answered, failed, failed_no, counted, carrier, trunk) in enumerate(
            zip(*(steps[name] for name in _OF_ENDS), strict=True)
        )
        if final and sells and not of_legs and (answered or max(failed, failed_no) < counted) and (carrier or trunk)
    ]
    if not own and not legs:
        return schemas.empty(ATTEMPTS)
    heads, accounts, numbers = [steps[name] for name in _OF_CALL], steps["account"], [steps[name] for name in _NUMBERS]
    place = steps["row"]
    rows: list[tuple[Any, ...]] = []
    for i, leg in zip(np.flatnonzero(steps.array("buys")).tolist() if legs else (), legs, strict=True):
        number, answered, at_ms, talk_ms, sip_code, q850, pdd_ms, *route = leg
        head, facts = [values[i] for values in heads], [values[i] for values in numbers]
        rows.append((*head, number, accounts[i], *route, *facts, at_ms, answered, talk_ms, pdd_ms, sip_code, q850, *_sent(records, place[i])))
    routes, talks = [steps[name] for name in ("carrier", "trunk_group", "egress_trunk")], steps["duration_ms"]
    answers, moments, ends = steps["answer_ms"], steps["t_ms"], [steps[name] for name in ("pdd_ms", "sip_code", "q850")]
    counts = [steps[name] for name in ("attempts", "failed", "failed_no", "answered")]
    for i in own:
        number = own_attempt_no(*(values[i] for values in counts))
        answered, at_ms = steps["answered"][i], moments[i] if answers[i] is None else answers[i]
        head, route, how = [values[i] for values in heads], [values[i] for values in routes], [values[i] for values in ends]
        facts = [values[i] for values in numbers]
        rows.append((*head, number, accounts[i], *route, *facts, at_ms, answered, talks[i] if answered else 0, *how, *_sent(records, place[i])))
    return of_rows(rows, ATTEMPTS)


_NOT_SAID = ("", "", 0)
"""Of a call that a tick closed."""


def _sent(records: Sequence[Record], row: int) -> tuple[str, str, int]:
    if row < 0:
        return _NOT_SAID
    record = records[row]
    return record.sent_number, record.route, record.route_rank


_OF_ENDS = ("final", "sells", "legs", "answered", "failed", "failed_no", "attempts", "carrier", "egress_trunk")
