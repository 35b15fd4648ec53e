"""What each row adds to what is known of its call: money, minutes, a call, a call in flight. A call is told once, in steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.money import MAX_NANOS
from core.schemas import CONFLICT, DUPLICATE, RATED_DISPOSITION, UNRATED
from core.work import Work
from rating.prefixes import Ints
from rating.rate import Bill


@dataclass(frozen=True)
class Steps:
    """A place a row of Work. `nanos`: sell, or buy where nothing is sold: the money at risk."""

    nanos: Ints
    minutes: npt.NDArray[np.float64]
    calls: Ints  # 1 on a call's first row
    flying: Ints  # +1 at the answer, -1 at the end
    fees_nanos: Ints  # all attempt fees of a final row's call
    attempts: Ints


def accrue(work: Work, bill: Bill) -> Steps:
    """Tell each call's progress: the difference to what its earlier rows told, in the order of the rows.

    A call whose money cannot be told becomes `unrated`, with the reason.
    """
    n = len(work)
    nanos, calls, flying, fees, attempts = ([0] * n for _ in range(5))
    minutes = [0.0] * n
    sell, buy, fee = bill.sell_nanos.tolist(), bill.buy_nanos.tolist(), bill.attempt_nanos.tolist()
    for i, flight in enumerate(work.flight):
        if flight is None or work.disposition[i] in (DUPLICATE, CONFLICT):
            continue
        if not flight.counted:
            flight.counted, calls[i] = True, 1
        final, answered = work.final[i], work.answered[i]
        if final and flight.fault and not bill.fault[i]:
            bill.fault[i] = flight.fault
        if (facts := work.facts[i]) is not None:
            # A failed call's last attempt has a record of its own where the switch writes one an attempt: it is not bought twice.
            own = fee[i] if answered or facts["failed"] < facts["attempts"] else 0
            fees[i] = flight.attempt_fees_nanos + own
            attempts[i] = max(facts["attempts"], facts["failed"] + (1 if answered else 0))
            if buy[i] + fees[i] > MAX_NANOS:
                fees[i], bill.fault[i] = 0, bill.fault[i] or "buy: the attempt fees are beyond the range of one call's money"
        if bill.fault[i] and work.disposition[i] == RATED_DISPOSITION:
            work.disposition[i], work.reason[i] = UNRATED, bill.fault[i]
        if work.event[i] == "attempt":
            flight.attempt_fees_nanos = min(flight.attempt_fees_nanos + fee[i], MAX_NANOS)
            if bill.fault[i] and not flight.fault:
                flight.fault = f"an earlier attempt: {bill.fault[i]}"
        elif work.priced[i]:
            # Minutes are told where no price is known, too: a fraud towards a prefix that the deck lacks is still a fraud.
            minutes[i], flight.told_ms = (work.duration_ms[i] - flight.told_ms) / 60_000, work.duration_ms[i]
            if not bill.fault[i]:
                so_far = sell[i] if bill.sell_currency[i] else buy[i]
                # From one end of the range to the other is more than a step can hold.
                nanos[i] = max(-MAX_NANOS, min(so_far - flight.told_nanos, MAX_NANOS))
                flight.told_nanos += nanos[i]
        if answered and not final and not flight.flying:
            flight.flying, flying[i] = True, 1
        elif final and flight.flying:
            flight.flying, flying[i] = False, -1
    return Steps(
        np.asarray(nanos, np.int64), np.asarray(minutes), np.asarray(calls, np.int64), np.asarray(flying, np.int64),
        np.asarray(fees, np.int64), np.asarray(attempts, np.int64),
    )  # fmt: skip
