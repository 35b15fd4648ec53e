"""The rows of the tables `records`, `calls` and `attempts` that a batch leads to."""

from __future__ import annotations

from typing import Any

import polars as pl

from core import schemas
from core.calls import Fate
from core.decode import Reject
from core.schemas import ATTEMPTS, CALLS, JUDGED


def judged(records: pl.DataFrame, fates: list[Fate], rejects: list[Reject], version: int) -> pl.DataFrame:
    """A frame of JUDGED: a row for every record and every reject, each with its one disposition. `records`: with their numbers."""
    names = ("disposition", "reason", "suspected_duplicate", "call_key")
    columns = dict(zip(names, zip(*fates, strict=True), strict=True)) if fates else dict.fromkeys(names, ())
    frame = records.with_columns(
        *(pl.Series(name, columns[name], dtype=JUDGED[name]) for name in names),
        pl.lit(None, dtype=pl.Binary).alias("raw"),
        pl.lit(version, dtype=pl.Int64).alias("config_version"),
    ).select(list(JUDGED))
    if not rejects:
        return frame
    blank: dict[str, Any] = dict.fromkeys(JUDGED) | {name: "" for name, dtype in JUDGED.items() if dtype == pl.String}
    blank |= {
        "attempt_no": 0,
        "interim_no": 0,
        "part_no": 0,
        "last": False,
        "suspected_hung": False,
        "suspected_duplicate": False,
    }
    rows = [
        {
            **blank, "partition": r.partition, "offset": r.offset, "learned_ms": r.learned_ms, "tenant": r.tenant, "at_ms": r.learned_ms,
            "disposition": schemas.REJECT, "reason": r.reason, "raw": r.raw, "config_version": version,
        }
        for r in rejects
    ]  # fmt: skip
    return pl.concat([frame, pl.DataFrame(rows, schema=JUDGED)])


def calls(ended: pl.DataFrame, version: int) -> pl.DataFrame:
    """A frame of CALLS from the steps (core.schemas.STEPS) of calls that ended and could be priced."""
    if ended.is_empty():
        return schemas.empty(CALLS)
    talked = pl.when("answered").then("duration_ms").otherwise(0).alias("duration_ms")
    return ended.with_columns(talked, attempts_made(), pl.lit(version, dtype=pl.Int64).alias("config_version")).select(
        list(CALLS)
    )


def attempts_made() -> pl.Expr:
    """How many attempts a call that ended had: as they were counted, but at least those that failed by themselves and the one that answered."""
    return pl.max_horizontal("attempts", pl.col("failed") + pl.col("answered").cast(pl.Int32)).alias("attempts")


def attempts(steps: pl.DataFrame) -> pl.DataFrame:
    """A frame of ATTEMPTS: what each step of core.schemas.STEPS says of a route attempt that has ended.

    Of a proxy's call its end is that of its last attempt, but for a failed call whose last attempt has a record of its own.
    """
    legs = steps.filter("buys")
    own = steps.filter(
        pl.col("final") & pl.col("sells") & (pl.col("legs") == 0)
        & (pl.col("answered") | (pl.max_horizontal("failed", "failed_no") < pl.col("attempts")))
        & ((pl.col("carrier") != "") | (pl.col("egress_trunk") != ""))
    )  # fmt: skip
    if legs.is_empty() and own.is_empty():
        return schemas.empty(ATTEMPTS)
    position = {"partition": "record_partition", "offset": "record_offset"}
    of_leg = {
        "carrier": "leg_carrier", "trunk_group": "leg_trunk_group", "egress_trunk": "leg_egress_trunk", "at_ms": "leg_at_ms",
        "answered": "leg_answered", "duration_ms": "leg_ms", "pdd_ms": "leg_pdd_ms", "sip_code": "leg_sip_code", "q850": "leg_q850",
    }  # fmt: skip
    of_call: dict[str, pl.Expr] = {
        "attempt_no": attempts_made(),
        "at_ms": pl.coalesce("answer_ms", "t_ms"),
        "duration_ms": pl.when("answered").then("duration_ms").otherwise(0),
    }

    def column(name: str, other: dict[str, str]) -> pl.Expr:
        return pl.col(other.get(name, position.get(name, name))).cast(ATTEMPTS[name]).alias(name)

    return pl.concat(
        [
            legs.select(column(name, of_leg) for name in ATTEMPTS),
            own.select(
                of_call[name].cast(ATTEMPTS[name]).alias(name) if name in of_call else column(name, {}) for name in ATTEMPTS
            ),
        ]
    )
