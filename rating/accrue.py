"""What each step adds to what is known of its call: money, talk, a call, a call in progress. A call is reported once, in differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import polars as pl

from core.frames import Table, column, of_columns
from core.money import MAX_NANOS
from core.numbers import E164_KINDS
from core.record import Record
from core.schemas import GONE, USAGE
from rating.charge import Amounts

WRITTEN = ("b_raw", "src_ip", "attestation", "imei", "imsi", "cell", "release_side")
"""Fields of the record itself."""


class Reported(msgspec.Struct):
    """Of a call in progress: what its earlier steps added."""

    talk_ms: int = 0
    nanos: int = 0
    counted: bool = False  # as a call
    active: bool = False  # as one in progress


@dataclass
class Accrued:
    """Of one partition: what was reported of each call, by its key."""

    of: dict[str, Reported] = field(default_factory=dict)


def accrue(
    states: dict[int, Accrued], steps: Table, amounts: Amounts, values: Sequence[Record], currency_of: Callable[[str, str], str]
) -> pl.DataFrame:
    """A frame of core.schemas.USAGE: each call's progress, the difference to what its earlier steps added, in the order of the steps.

    `values`: the records that `row` of a step points into. `currency_of`: of (tenant, account), for a step that moves no money.
    """
    n = steps.height
    nanos, talk_ms, calls, active = ([0] * n for _ in range(4))
    names = ("record_partition", "call_key", "final", "gone", "sells", "answered", "duration_ms", "continues", "kind")
    sell, buy, sold_in = amounts.sell_nanos.tolist(), amounts.buy_nanos.tolist(), amounts.sell_currency
    moved: list[int] = []
    for i, (partition, key, final, gone, sells, answered, duration_ms, continues, kind) in enumerate(
        zip(*(steps[name] for name in names), strict=True)
    ):
        state = states.get(partition) or states.setdefault(partition, Accrued())
        known = state.of.get(key)
        if known is None:
            if kind == GONE:
                continue
            known = state.of[key] = Reported(counted=continues)
        if kind != GONE:
            if not known.counted:
                known.counted, calls[i] = True, 1
            if sells:
                # Talk is reported where no price is known, too: a fraud towards a prefix that the deck lacks is still a fraud.
                talk_ms[i], known.talk_ms = duration_ms - known.talk_ms, duration_ms
                if not amounts.fault[i]:
                    so_far = sell[i] if sold_in[i] else buy[i]
                    # From one end of the range to the other is more than a difference can hold.
                    nanos[i] = max(-MAX_NANOS, min(so_far - known.nanos, MAX_NANOS))
                    known.nanos += nanos[i]
            if answered and not final and not known.active:
                known.active, active[i] = True, 1
            elif final and known.active:
                known.active, active[i] = False, -1
            if nanos[i] or talk_ms[i] or calls[i] or active[i]:
                moved.append(i)
        if gone:
            del state.of[key]
    if not moved:
        return pl.DataFrame(schema=USAGE)
    t_ms, learned_ms, final_answer, setup_ms = (steps[n] for n in ("t_ms", "learned_ms", "answer_ms", "setup_ms"))
    rows, tenants, accounts, kinds = (steps[n] for n in ("row", "tenant", "account", "a_kind"))
    numbers, call_ids, call_keys = (steps[n] for n in ("a_number", "call_id", "call_key"))
    answered_ms = [t_ms[i] if final_answer[i] is None else final_answer[i] for i in moved]
    values_of: dict[str, list[Any]] = {
        "t_ms": [min(t_ms[i], learned_ms[i]) for i in moved],
        "started_ms": [answer if setup_ms[i] is None else setup_ms[i] for i, answer in zip(moved, answered_ms, strict=True)],
        "a_number": [numbers[i] if kinds[i] in E164_KINDS else "" for i in moved],
        "call_id": [call_ids[i] or call_keys[i] for i in moved],
        **{name: [getattr(values[rows[i]], name) if rows[i] >= 0 else "" for i in moved] for name in WRITTEN},
        "nanos": [nanos[i] for i in moved],
        "currency": [
            "" if amounts.fault[i] else amounts.sell_currency[i] or amounts.buy_currency[i] or currency_of(tenants[i], accounts[i]) for i in moved
        ],
        "talk_ms": [talk_ms[i] for i in moved],
        "calls": [calls[i] for i in moved],
        "active": [active[i] for i in moved],
    }
    own = {name: column(name, found, USAGE[name]) for name, found in values_of.items()}
    own["no_rate"] = pl.Series("no_rate", amounts.no_rate[np.asarray(moved)])
    renamed = {"partition": "record_partition", "offset": "record_offset"}
    as_they_are = [name for name in USAGE if name not in own and name not in renamed]
    own |= {name: column(name, [steps[of][i] for i in moved], USAGE[name]) for name, of in renamed.items()}
    return of_columns(USAGE, pl.DataFrame(steps.rows(as_they_are, moved)), own)
