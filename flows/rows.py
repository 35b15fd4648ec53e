"""What judge writes of a batch: rows of the tables `records` and `rated_calls`."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from core.work import RECORD, Work
from rating.rate import Bill

from core import schemas
from core.decode import Decoded
from rating.accrue import Steps
from rating.contracts import Terms


def judged(work: Work, decoded: Decoded, version: int) -> pl.DataFrame:
    """A frame of JUDGED: a row for every record and every reject, each with its one disposition."""
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


def rated(work: Work, bill: Bill, steps: Steps, records: pl.DataFrame, contracts: Terms) -> pl.DataFrame:
    """A frame of RATED: a row for each call that ended and whose money could be told."""
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
