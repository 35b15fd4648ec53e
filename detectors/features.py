"""The frame that detectors read: a row for each step of a call, with the keys of its subjects and the risk of its destination."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import UNPRICED
from core.flight import Flight
from core.ids import hash64
from core.partition import home_of
from core.record import journal_key
from core.schemas import CONFLICT, DUPLICATE
from core.work import Work
from detectors.risk import risk_of

READABLE, NO_RATE, UNREADABLE = 0, 1, 2
UNREADABLE_KINDS = frozenset({"invalid", "alpha", "withheld", ""})
"""Kinds of a b_number that a lenient carrier may connect all the same, and nobody can say where."""
ANSWERED, IN_FLIGHT = 1, 2
"""What was counted of an odd call: bits of the last of its `subjects`."""

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
        "talk_ms": pl.Int64,  # the same, exact
        "calls": pl.Int64,
        "flying": pl.Int64,
        "b_code": pl.Int64,  # an E.164 b_number as an integer: 1 and its digits; 0 = it is none
        "b_kind": pl.String,
        "odd": pl.Int8,  # READABLE, NO_RATE or UNREADABLE
        "odd_answers": pl.Int64,  # of what is odd: 1 on the first answered row of a call
        "odd_flying": pl.Int64,  # and +1, -1 as `flying`
        "k_account": pl.UInt64,
        "k_a_number": pl.UInt64,
        "k_b_range": pl.UInt64,
        "k_range": pl.UInt64,  # the range under the account, whoever of it calls
        "k_destination": pl.UInt64,
        "k_unpriced": pl.UInt64,  # the account's numbers that cannot be read or priced; 0 = this call's can
        "home": pl.UInt64,  # core.partition.home_of: the partition of all of these subjects, however many there are
    }
)


SUBJECTS = 6
"""So many keys has every call; one to a number that cannot be read or priced has two more: the key of that subject, and what was counted."""
PLACED_KINDS = ("e164", "national")


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


def odd_step(flight: Flight, key: tuple[str, str, str], odd: int, *, answered: bool, final: bool, secret: bytes) -> tuple[int, int, int]:
    """Of a row of a call to a number that cannot be read or priced: its subject's key, and what it adds to answered calls and calls in
    flight. What was counted is remembered with the call, so that whatever its later rows say, each +1 has its -1."""
    known = flight.subjects[SUBJECTS:]
    if not odd and not known:
        return 0, 0, 0
    k_unpriced, counted = known or (hash64(secret, key[0], UNPRICED, key[1] or f"trunk:{key[2]}"), 0)
    answers = flying = 0
    if odd and answered and not counted & ANSWERED:
        answers, counted = 1, counted | ANSWERED
    if odd and answered and not final and not counted & IN_FLIGHT:
        flying, counted = 1, counted | IN_FLIGHT
    elif final and counted & IN_FLIGHT:
        flying, counted = -1, counted & ~IN_FLIGHT
    flight.subjects = (*flight.subjects[:SUBJECTS], k_unpriced, counted)
    return k_unpriced, answers, flying


def features(
    work: Work,
    nanos: npt.NDArray[np.int64],
    minutes: npt.NDArray[np.float64],
    calls: npt.NDArray[np.int64],
    flying: npt.NDArray[np.int64],
    currency: Sequence[str],
    no_rate: npt.NDArray[np.bool_],
    secret: bytes,
) -> pl.DataFrame:
    """A frame of FEATURES: rows of calls that moved something. Duplicates and conflicts move nothing.

    `no_rate`: rows whose number no rate of their own deck prices.
    """
    moved = (nanos != 0) | (calls != 0) | (flying != 0) | (minutes != 0)
    rows = [i for i in np.flatnonzero(moved).tolist() if work.flight[i] and work.disposition[i] not in (DUPLICATE, CONFLICT)]
    keys: list[tuple[int, ...]] = []
    tenants: list[str] = []
    n, no_rates = len(rows), no_rate.tolist()
    odds, odd_answers, odd_flying, k_unpriced = np.zeros(n, np.int8), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.uint64)
    for place, i in enumerate(rows):
        flight = work.flight[i]
        assert flight is not None
        facts = (work.account[i], work.ingress_trunk[i], work.a_number[i], work.b_number[i])
        if flight.subject_facts != facts:
            flight.subject_facts, flight.subjects = facts, (*subjects(flight.tenant, *facts, secret), *flight.subjects[SUBJECTS:])
        odd = UNREADABLE if work.b_kind[i] in UNREADABLE_KINDS else NO_RATE if no_rates[i] else READABLE
        if odd or len(flight.subjects) > SUBJECTS:
            of = (flight.tenant, work.account[i], work.ingress_trunk[i])
            step = odd_step(flight, of, odd, answered=work.answered[i], final=work.final[i], secret=secret)
            odds[place], (k_unpriced[place], odd_answers[place], odd_flying[place]) = odd, step
            keys.append(flight.subjects[:SUBJECTS])
        else:
            keys.append(flight.subjects)
        tenants.append(flight.tenant)
    table = np.asarray(keys, np.uint64).reshape(-1, SUBJECTS)
    kinds = [work.b_kind[i] for i in rows]
    # What cannot be read has no place among destinations: it is weighed by itself (detectors.unpriced), unless its feed knows its price.
    risks = [risk_of(work.b_number[i]) for i in rows]
    weights = np.asarray([risk.weight for risk in risks], np.float64)
    for place in np.flatnonzero(odds == UNREADABLE).tolist():
        if not currency[rows[place]]:
            weights[place] = 0.0
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
            "weight": weights,
            "nanos": nanos[at],
            "currency": column(currency),
            "minutes": minutes[at],
            "talk_ms": np.rint(minutes[at] * 60_000).astype(np.int64),
            "calls": calls[at],
            "flying": flying[at],
            "b_code": [int(f"1{work.b_number[i]}") if kind in PLACED_KINDS else 0 for i, kind in zip(rows, kinds, strict=True)],
            "b_kind": kinds,
            "odd": odds,
            "odd_answers": odd_answers,
            "odd_flying": odd_flying,
            "k_account": table[:, 0],
            "k_a_number": table[:, 1],
            "k_b_range": table[:, 2],
            "k_range": table[:, 3],
            "k_destination": table[:, 4],
            "k_unpriced": k_unpriced,
            "home": table[:, 5],
        },
        schema=FEATURES,
    )
