"""Rejects that can be read after a fix of the decoder: their calls are assembled with the stored events, priced, and charged once."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from books.runs import Spec
from core.decode import FOREIGN
from core.message import Message
from core.record import KEY_SEPARATOR, line_of
from core.schemas import ATTEMPTS, CALLS, CHARGES, JUDGED, REJECT, empty
from flows.step import Outcome, State, judge
from rating.contracts import Terms
from rating.rerate import UNPRICED
from services.errors import BadArgument
from warehouse import Warehouse, mending

_AT = ["partition", "offset"]
_SECRET = b"any sixteen byte"  # of the hashes of detectors, whose findings are not looked at


class Mended(NamedTuple):
    """What rejects become. `records`: core.schemas.JUDGED with their next `revision`; `calls`, `attempts`, `charges`: of the calls that they end;
    `unpriced`: rating.rerate.UNPRICED, of those that still have no price or are left alone."""

    records: pl.DataFrame
    calls: pl.DataFrame
    attempts: pl.DataFrame
    charges: pl.DataFrame
    unpriced: pl.DataFrame


def mended(client: Warehouse, spec: Spec, terms: Terms, run: int) -> Mended:
    """Reads the rejects that arrived in the period of a run once more. Those that still are no records are left as they are, and so are records of
    calls that ended otherwise, and what a credential was not valid for. Raises `BadArgument` where there are too many."""
    found = mending.rejects(client, spec.from_ms, spec.to_ms, spec.tenant)
    if found.height > mending.MOST_REJECTS:
        raise BadArgument(f"more than {mending.MOST_REJECTS:,} rejects arrived in this period: take a shorter one")
    if spec.reason:
        found = found.filter(pl.col("reason").str.to_lowercase().str.contains(spec.reason.lower(), literal=True))
    found = found.filter(~pl.any_horizontal(pl.col("reason").str.starts_with(words) for words in FOREIGN))
    messages = [
        Message(partition, offset, learned_ms, tenant.encode() + KEY_SEPARATOR, raw)
        for tenant, partition, offset, learned_ms, raw in found.select("tenant", *_AT, "learned_ms", "raw").iter_rows()
    ]
    first = _judged(messages, terms)
    read = first.records.filter(pl.col("disposition") != REJECT)
    if not read.height:
        return Mended(_records(empty(JUDGED), found, run), empty(CALLS), empty(ATTEMPTS), empty(CHARGES), empty(UNPRICED))
    keys = read.filter(pl.col("call_key") != "")["call_key"].unique().sort().to_list()
    ends = mending.ends(client, keys).rename({"record_partition": "partition", "record_offset": "offset"})
    otherwise = ends.join(read, on=_AT, how="anti")["call_key"].unique()
    messages += [
        Message(partition, offset, learned_ms, tenant.encode() + KEY_SEPARATOR, line_of(facts))
        for tenant, partition, offset, learned_ms, facts in _facts(mending.events(client, keys))
    ]
    outcome = _judged(sorted(messages, key=lambda one: one[:2]), terms)
    good = ~pl.col("call_key").is_in(otherwise.implode())
    records = outcome.records.filter(good, pl.col("disposition") != REJECT).join(found, on=_AT, how="semi")
    calls, charges = outcome.calls.filter(good), outcome.charges.filter(good).with_columns(run=pl.lit(run, pl.Int64))
    words = pl.when(pl.col("call_key").is_in(otherwise.implode())).then(pl.lit("its call ended otherwise, and is left as it is")).otherwise("reason")
    left = outcome.records.join(found, on=_AT, how="semi").filter(~good | (pl.col("disposition") == "unrated"))
    unpriced = left.with_columns(reason=words, revision=pl.lit(1, pl.Int32)).select(UNPRICED.names())
    return Mended(_records(records, found, run), calls, outcome.attempts.filter(good), charges, unpriced.cast(UNPRICED))


def _judged(messages: list[Message], terms: Terms) -> Outcome:
    return judge(State(_SECRET), messages, lambda _: terms)


def _records(records: pl.DataFrame, found: pl.DataFrame, run: int) -> pl.DataFrame:
    """The next revisions: their bytes stay, so that the run can be taken back."""
    was = found.select(*_AT, "raw", "revision", was="reason")
    joined = records.drop("raw").join(was, on=_AT, how="inner", maintain_order="left")
    reason = pl.format("{}{}", pl.lit(begins(run)), "was") + pl.when(pl.col("reason") == "").then(pl.lit("")).otherwise(pl.format("; {}", "reason"))
    return joined.with_columns(revision=pl.col("revision") + 1, reason=reason).select(*JUDGED, "revision").cast(
        pl.Schema([*JUDGED.items(), ("revision", pl.Int32())])
    )


def begins(run: int) -> str:
    """How the reason of a record begins that a run has read again."""
    return f"read again by rating run {run}; was: "


def _facts(events: pl.DataFrame) -> list[tuple[str, int, int, int, dict[str, object]]]:
    return [(row["tenant"], row["partition"], row["offset"], row["learned_ms"], row) for row in events.iter_rows(named=True)]

