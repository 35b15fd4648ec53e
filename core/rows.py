"""The rows of the tables `records`, `calls` and `attempts` that a batch leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from core import schemas
from core.calls import Fate, LegEnd
from core.decode import Reject
from core.frames import column, of_array, of_columns, of_rows
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


def calls(steps: pl.DataFrame, ended: list[int], version: int) -> pl.DataFrame:
    """A frame of CALLS from the steps (core.schemas.STEPS) of calls that ended and could be priced."""
    if not ended:
        return schemas.empty(CALLS)
    frame = of_columns([name for name in CALLS if name != "config_version"], steps, {})[ended]
    answered = steps.get_column("answered").to_numpy()[ended]
    own = {
        "duration_ms": of_array("duration_ms", np.where(answered, frame.get_column("duration_ms").to_numpy(), 0), pl.Int64),
        "attempts": of_array("attempts", _attempts_made(steps, ended), pl.Int32),
        "config_version": column("config_version", (version,) * len(ended), pl.Int64),
    }
    return of_columns(CALLS, frame, own)


def _attempts_made(steps: pl.DataFrame, rows: list[int]) -> np.ndarray[Any, Any]:
    """How many attempts a call that ended had: as they were counted, but at least those that failed by themselves and the one that answered."""
    attempts, failed, answered = (steps.get_column(name).to_numpy()[rows] for name in ("attempts", "failed", "answered"))
    found: np.ndarray[Any, Any] = np.maximum(attempts, failed + answered)
    return found


_OF_CALL = (
    "record_partition", "record_offset", "revision", "learned_ms", "tenant", "switch", "call_key", "account", "carrier", "trunk_group",
    "egress_trunk", "b_number", "answer_ms", "t_ms", "answered", "duration_ms", "pdd_ms", "sip_code", "q850",
)  # fmt: skip


def attempts(steps: pl.DataFrame, legs: list[LegEnd]) -> pl.DataFrame:
    """A frame of ATTEMPTS: what each step of core.schemas.STEPS says of a route attempt that has ended. `legs`: of the steps that buy.

    Of a proxy's call its end is that of its last attempt, but for a failed call whose last attempt has a record of its own.
    """
    if steps.is_empty():
        return schemas.empty(ATTEMPTS)
    numpy = {name: steps.get_column(name).to_numpy() for name in ("final", "sells", "buys", "legs", "answered", "failed", "failed_no", "attempts")}
    alone = numpy["answered"] | (np.maximum(numpy["failed"], numpy["failed_no"]) < numpy["attempts"])
    own = np.flatnonzero(numpy["final"] & numpy["sells"] & (numpy["legs"] == 0) & alone).tolist()
    bought = np.flatnonzero(numpy["buys"]).tolist()
    if not own and not bought:
        return schemas.empty(ATTEMPTS)
    made = _attempts_made(steps, own).tolist()
    columns = {name: steps.get_column(name).to_list() for name in _OF_CALL}
    places = list(zip(*(columns[name] for name in _OF_CALL[:8]), strict=True))
    rows: list[tuple[Any, ...]] = []
    for i, leg in zip(bought, legs, strict=True):
        number, answered, at_ms, talk_ms, sip_code, q850, pdd_ms, *route = leg
        *head, account = places[i]
        rows.append((*head, number, account, *route, columns["b_number"][i], at_ms, answered, talk_ms, pdd_ms, sip_code, q850))
    for i, number in zip(own, made, strict=True):
        route = [columns[name][i] for name in ("carrier", "trunk_group", "egress_trunk")]
        if not (route[0] or route[2]):
            continue  # nobody was asked to carry it
        *head, account = places[i]
        answered, answer_ms = columns["answered"][i], columns["answer_ms"][i]
        talk_ms, at_ms = columns["duration_ms"][i] if answered else 0, columns["t_ms"][i] if answer_ms is None else answer_ms
        how = columns["pdd_ms"][i], columns["sip_code"][i], columns["q850"][i]
        rows.append((*head, number, account, *route, columns["b_number"][i], at_ms, answered, talk_ms, *how))
    return of_rows(rows, ATTEMPTS)
