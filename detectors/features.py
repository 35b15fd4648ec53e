"""The frame that detectors read: a row for each step of a call, with the keys of its subjects and the risk of its destination."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from core.ids import hash64
from core.partition import home_of
from core.record import journal_key
from core.schemas import CONFLICT, DUPLICATE
from core.work import Work
from detectors.risk import risk_of

BLOCK_DIGITS = 4
"""A b_number range is a block of ten thousand: the number without its last four digits, as ranges are sold."""

FEATURES = pl.Schema(
    {
        "i": pl.Int64,  # the row of Work
        "partition": pl.Int32,
        "t_ms": pl.Int64,
        "learned_ms": pl.Int64,
        "tenant": pl.String,
        "call_id": pl.String,
        "started_ms": pl.Int64,
        "account": pl.String,
        "ingress_trunk": pl.String,
        "a_number": pl.String,  # "" where it is none that a block could name
        "b_range": pl.String,
        "country": pl.String,
        "risk": pl.String,
        "weight": pl.Float64,
        "nanos": pl.Int64,
        "currency": pl.String,
        "minutes": pl.Float64,
        "calls": pl.Int64,
        "flying": pl.Int64,
        "k_account": pl.UInt64,
        "k_a_number": pl.UInt64,
        "k_b_range": pl.UInt64,
        "k_range": pl.UInt64,  # the range under the account, whoever of it calls
        "k_destination": pl.UInt64,
        "home": pl.UInt64,  # core.partition.home_of: the partition of all of these subjects, however many there are
    }
)


def range_of(b_number: str) -> str:
    """The block of numbers around a b_number; "" for short ones.

    >>> range_of("88213123456"), range_of("112")
    ('8821312', '')
    """
    return b_number[:-BLOCK_DIGITS] if len(b_number) >= 9 else ""


def subjects(tenant: str, account: str, trunk: str, a_number: str, b_number: str, secret: bytes) -> tuple[int, ...]:
    """The keys of a call's subjects: account, a_number under it, that pair with the range, the range, and the country under the account;
    last, the home of them all."""
    home = home_of(journal_key(tenant, account, trunk))
    account = account or f"trunk:{trunk}"
    return (
        hash64(secret, tenant, "account", account),
        hash64(secret, tenant, "a_number", account, a_number),
        hash64(secret, tenant, "b_range", account, a_number, range_of(b_number)),
        hash64(secret, tenant, "range", account, range_of(b_number)),
        hash64(secret, tenant, "destination", account, risk_of(b_number).country),
        home,
    )


def features(
    work: Work,
    nanos: npt.NDArray[np.int64],
    minutes: npt.NDArray[np.float64],
    calls: npt.NDArray[np.int64],
    flying: npt.NDArray[np.int64],
    currency: Sequence[str],
    secret: bytes,
) -> pl.DataFrame:
    """A frame of FEATURES: rows of calls that moved something. Duplicates and conflicts move nothing."""
    moved = (nanos != 0) | (calls != 0) | (flying != 0) | (minutes != 0)
    rows = [i for i in np.flatnonzero(moved).tolist() if work.flight[i] and work.disposition[i] not in (DUPLICATE, CONFLICT)]
    keys: list[tuple[int, ...]] = []
    tenants: list[str] = []
    for i in rows:
        flight = work.flight[i]
        assert flight is not None
        facts = (work.account[i], work.ingress_trunk[i], work.a_number[i], work.b_number[i])
        if flight.subject_facts != facts:
            flight.subject_facts, flight.subjects = facts, subjects(flight.tenant, *facts, secret)
        keys.append(flight.subjects)
        tenants.append(flight.tenant)
    table = np.asarray(keys, np.uint64).reshape(-1, 6)
    risks = [risk_of(work.b_number[i]) for i in rows]
    at = np.asarray(rows, np.int64)

    def column(values: Sequence[object]) -> list[object]:
        return [values[i] for i in rows]

    return pl.DataFrame(
        {
            "i": at,
            "partition": column(work.partition),
            # A clock that is ahead must not make the rows after it look late: nothing happened after we learned of it.
            "t_ms": np.minimum(np.asarray(work.t_ms, np.int64), np.asarray(work.learned_ms, np.int64))[at],
            "learned_ms": column(work.learned_ms),
            "tenant": tenants,
            "call_id": column(work.call_id),
            "started_ms": column(work.started_ms),
            "account": column(work.account),
            "ingress_trunk": column(work.ingress_trunk),
            "a_number": column(work.a_number),
            "b_range": [range_of(work.b_number[i]) for i in rows],
            "country": [risk.country for risk in risks],
            "risk": [risk.kind for risk in risks],
            "weight": [risk.weight for risk in risks],
            "nanos": nanos[at],
            "currency": column(currency),
            "minutes": minutes[at],
            "calls": calls[at],
            "flying": flying[at],
            "k_account": table[:, 0],
            "k_a_number": table[:, 1],
            "k_b_range": table[:, 2],
            "k_range": table[:, 3],
            "k_destination": table[:, 4],
            "home": table[:, 5],
        },
        schema=FEATURES,
    )
