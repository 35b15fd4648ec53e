"""What detectors read of a row besides `core.schemas.USAGE`: the keys of its subjects, the risk of its destination, what cannot be priced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import UNPRICED
from core.ids import hash64
from core.numbers import E164_KINDS
from core.partition import home_of
from core.record import journal_key
from core.schemas import USAGE
from detectors.destination import code_of
from detectors.risk import risk_of

READABLE, NO_RATE, UNREADABLE = 0, 1, 2
UNREADABLE_KINDS = frozenset({"invalid", "alpha", "withheld", ""})
"""Kinds of a b_number that a lenient carrier may connect all the same, and nobody can say where."""

BLOCK_DIGITS = 4
"""A b_number range is a block of ten thousand: the number without its last four digits, as ranges are sold."""

ADDED = pl.Schema(
    {
        "b_range": pl.String,
        "country": pl.String,
        "zone": pl.String,  # `zone_of` the b_number
        "weight": pl.Float64,  # risk of the destination
        "b_code": pl.Int64,  # an E.164 b_number as an integer: 1 and its digits; 0 = it is none
        "odd": pl.Int8,  # READABLE, NO_RATE or UNREADABLE
        "odd_answers": pl.Int64,  # of what is odd: 1 on the first answered row of a call
        "odd_active": pl.Int64,  # and +1, -1 as `active`
        "k_account": pl.UInt64,
        "k_a_number": pl.UInt64,  # under the account
        "k_b_range": pl.UInt64,  # under the a_number
        "k_account_range": pl.UInt64,  # the range under the account, whoever of it calls
        "k_destination": pl.UInt64,  # the country under the account
        "k_account_zone": pl.UInt64,  # the zone under the account
        "k_a_range": pl.UInt64,  # the block of numbers around the a_number under the account
        "k_unpriced": pl.UInt64,  # the account's numbers that cannot be read or priced; 0 = this call's can
        "home": pl.Int64,  # core.partition.home_of: the partition of all of these subjects, however many there are
        "money": pl.Float64,  # in the policy's units (`detectors.engine` adds it and those that follow)
        "watched_ms": pl.Int64,  # how long the row's partition has been watched
        "unit": pl.Float64,  # what a unit of the row's currency is in the policy's
        "known_points": pl.Float64,  # of a range known for fraud (`detectors.known`)
        "known_days": pl.Float64,
    }
)

FEATURES = pl.Schema({**USAGE, **ADDED})
"""The frame that detectors read. `a_number` is "" where it is none that a block could name."""


class OddCall(msgspec.Struct):
    """What was counted of a call in flight to a number that cannot be read or priced, so that each +1 has its -1 whatever its later rows
    bring."""

    key: int  # of the account's numbers that cannot be read or priced
    home: int
    answered: bool = False
    active: bool = False
    ended_ms: int = 0  # by a tick: its stop may yet come, and is no second answer


MOST_ODD_CALLS = 262_144
"""At most so many are remembered; the oldest goes first."""
ENDED_MS = 2 * 86_400_000
"""How long one that a tick ended is remembered; its stop comes within a day or is no revision any more."""

LEAST_DIGITS = 9
"""A number of fewer digits is a short one: it has no range and no zone."""

AREA_DIGITS = {"1": 3, "7": 1, "44": 1}
"""How many digits after a calling code name a country or an area, where countries share the code: +1 264 is Anguilla."""

KEYS = ("account", "a_number", "b_range", "account_range", "destination", "account_zone", "a_range")
"""Kinds of subject that every row has, each with its key in the column `k_<kind>`."""

MEMO = 65_536
"""Calls whose subjects are remembered: most calls have several rows, and five keyed hashes cost 6 us."""


def range_of(b_number: str) -> str:
    """The block of numbers around a b_number; "" for short ones.

    >>> range_of("88213123456"), range_of("112")
    ('8821312', '')
    """
    return b_number[:-BLOCK_DIGITS] if len(b_number) >= LEAST_DIGITS else ""


def zone_of(b_number: str) -> str:
    """The digits that a zone begins with: the country calling code and what usually tells mobile from fixed and premium numbers, one digit;
    after +1 the area. A zone is a key of a block, so it is a prefix. "" for short numbers.

    >>> zone_of("37190012345"), zone_of("18765551234"), zone_of("447911123456"), zone_of("25261123456"), zone_of("112")
    ('3719', '1876', '447', '2526', '')
    """
    if len(b_number) < LEAST_DIGITS:
        return ""
    code = code_of(b_number) or b_number[:2]
    return b_number[: len(code) + AREA_DIGITS.get(code, 1)]


@lru_cache(maxsize=65_536)
def _zone_key(secret: bytes, tenant: str, account: str, zone: str) -> int:
    return hash64(secret, tenant, "account_zone", account, zone)


@lru_cache(maxsize=16_384)
def _account_key(secret: bytes, tenant: str, account: str, trunk: str) -> tuple[str, int, int]:
    """The account, or the trunk that stands for it; its key; the home of all that is under it."""
    named = account or f"trunk:{trunk}"
    return named, hash64(secret, tenant, "account", named), home_of(journal_key(tenant, account, trunk))


@lru_cache(maxsize=65_536)
def _destination_key(secret: bytes, tenant: str, account: str, country: str) -> int:
    return hash64(secret, tenant, "destination", account, country)


@lru_cache(maxsize=MEMO)
def subjects(secret: bytes, tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> tuple[Any, ...]:
    """Of a call: the keys of `KEYS`, their home, then range, country, risk weight and zone.

    >>> subjects(b"k", "t1", "acme", "in", "4366", "881612345678")[7:]
    (1645371153, '88161234', '001', 4.0, '8816')
    """
    named, k_account, home = _account_key(secret, tenant, account, trunk)
    b_range, zone, risk = range_of(b_number), zone_of(b_number), risk_of(b_number)
    return (
        k_account,
        hash64(secret, tenant, "a_number", named, a_number),
        hash64(secret, tenant, "b_range", named, a_number, b_range),
        hash64(secret, tenant, "range", named, b_range),
        _destination_key(secret, tenant, named, risk.country),
        _zone_key(secret, tenant, named, zone),
        hash64(secret, tenant, "a_range", named, a_number[:-BLOCK_DIGITS]),
        home,
        b_range,
        risk.country,
        risk.weight,
        zone,
    )


def features(usage: pl.DataFrame, odd_calls: dict[str, OddCall], ticks: Collection[tuple[int, int]], secret: bytes) -> pl.DataFrame:
    """Rows of USAGE with the columns of ADDED but the last five. `odd_calls` is updated in place: by `call_key`.

    `ticks`: partition and offset of the rows' ticks. A row that a tick made is told from a record's by them.
    """
    tenants, accounts, trunks, a_numbers, a_kinds, b_numbers, kinds, currencies = (
        usage[name].to_list() for name in ("tenant", "account", "ingress_trunk", "a_number", "a_kind", "b_number", "b_kind", "currency")
    )
    a_numbers = [number if kind in E164_KINDS else "" for number, kind in zip(a_numbers, a_kinds, strict=True)]
    found = list(map(subjects, repeat(secret), tenants, accounts, trunks, a_numbers, b_numbers))
    n = len(KEYS)
    keys = np.asarray([one[:n] for one in found], np.uint64).reshape(-1, n)
    homes = np.asarray([one[n] for one in found], np.int64)
    weights = np.asarray([one[n + 3] for one in found], np.float64)
    odd = np.where(usage["no_rate"].to_numpy(), np.int8(NO_RATE), np.int8(READABLE))
    odd[np.asarray([kind in UNREADABLE_KINDS for kind in kinds], np.bool_)] = UNREADABLE
    k_unpriced, answers, active = _count_odd(usage, odd, homes, odd_calls, ticks, secret)
    # What cannot be read has no place among destinations: it is weighed by itself (`detectors.burst`), unless its feed knows its price.
    weights[(odd == UNREADABLE) & np.asarray([currency == "" for currency in currencies], np.bool_)] = 0.0
    codes = [int(f"1{b_number}") if kind in E164_KINDS else 0 for b_number, kind in zip(b_numbers, kinds, strict=True)]
    added = [
        pl.Series("b_range", [one[n + 1] for one in found], pl.String),
        pl.Series("country", [one[n + 2] for one in found], pl.String),
        pl.Series("zone", [one[n + 4] for one in found], pl.String),
        pl.Series("weight", weights),
        pl.Series("b_code", codes, pl.Int64),
        pl.Series("odd", odd),
        pl.Series("odd_answers", answers),
        pl.Series("odd_active", active),
        *(pl.Series(f"k_{name}", keys[:, at]) for at, name in enumerate(KEYS)),
        pl.Series("k_unpriced", k_unpriced),
        pl.Series("home", homes),
    ]
    # Eager, a column at a time: an expression costs half a millisecond per batch, however few rows it has.
    return usage.clone().replace_column(usage.get_column_index("a_number"), pl.Series("a_number", a_numbers, pl.String)).hstack(added)


Ints = npt.NDArray[np.int64]


def _count_odd(
    usage: pl.DataFrame, odd: npt.NDArray[np.int8], homes: Ints, calls: dict[str, OddCall], ticks: Collection[tuple[int, int]], secret: bytes
) -> tuple[npt.NDArray[np.uint64], Ints, Ints]:
    """Of rows of calls that are odd, or were: the key of their subject, and what they add to answered calls and calls in flight."""
    n = usage.height
    keys, answers, active = np.zeros(n, np.uint64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    call_keys = usage["call_key"].to_list()
    strange = {call_keys[at] for at in np.flatnonzero(odd).tolist()}
    rows = [at for at, key in enumerate(call_keys) if key in strange or key in calls] if strange or calls else []
    by = ("partition", "offset", "tenant", "account", "ingress_trunk", "answered", "final", "t_ms")
    for at, (partition, offset, tenant, account, trunk, answered, final, t_ms) in zip(rows, values_of(usage, by, rows), strict=True):
        if (call := calls.get(call_keys[at])) is None:
            if odd[at] == READABLE:
                continue  # not odd yet, or an earlier row of this frame ended it
            key = hash64(secret, tenant, UNPRICED, account or f"trunk:{trunk}")
            call = calls[call_keys[at]] = OddCall(key, int(homes[at]))
            if len(calls) > MOST_ODD_CALLS:
                del calls[next(iter(calls))]
        keys[at] = call.key
        if odd[at] and answered and not call.answered:
            answers[at], call.answered = 1, True
        if odd[at] and answered and not final and not call.active:
            active[at], call.active = 1, True
        elif final and call.active:
            active[at], call.active = -1, False
        if final and (partition, offset) in ticks:
            call.ended_ms = t_ms
        elif final:
            del calls[call_keys[at]]
    return keys, answers, active


def values_of(frame: pl.DataFrame, names: Sequence[str], rows: Sequence[int]) -> list[tuple[Any, ...]]:
    """The values of some columns in a few rows.

    >>> values_of(pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}), ("b", "a"), [2, 0])
    [('z', 3), ('x', 1)]
    """
    columns = [frame[name].to_list() for name in names] if len(rows) else []
    return [tuple(column[row] for column in columns) for row in rows]


def forget_odd_calls(calls: dict[str, OddCall], at_ms: int) -> None:
    """Drop those that a tick ended long ago."""
    for key in [key for key, call in calls.items() if 0 < call.ended_ms < at_ms - ENDED_MS]:
        del calls[key]
