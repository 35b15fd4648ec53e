"""The counters of OpenSIPS' module `fraud_detection`, with its own rules of when they are reset.

As its source has them (modules/fraud_detection, fraud_detection.c and frd_events.c): a counter per user and matched prefix; calls per minute in a
sliding window of 60 s; total, concurrent and consecutive calls; all reset when the day changes or another rule matches. They count at setup,
answered or not. The duration of a call is checked when it ends. Nothing survives a restart (which is not held against it here).

Rules: one per foreign country code, thresholds as in the module's tutorial (calls per minute 5, duration 13,200 s, total 35, concurrent 5,
consecutive 20: critical), each times `scale`. A critical call is refused, as the tutorial's script does; `user` is the account.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from evaluation.verdict import Alert, Verdict
from evaluation.windows import ended
from simulator.episodes import Traffic

CALLS_PER_MINUTE, DURATION_S, TOTAL, CONCURRENT, CONSECUTIVE = 5, 13_200, 35, 5, 20
DAY_MS = 86_400_000


@dataclass
class Stats:
    """What the module holds for one user and prefix."""

    day: int = -1
    total: int = 0
    concurrent: int = 0
    consecutive: int = 0
    interval: int = 0
    last: str = ""
    minute: deque[int] = field(default_factory=deque)
    ends: list[tuple[int, int]] = field(default_factory=list)  # (end, interval) of calls that run


def opensips(traffic: Traffic, scale: float = 1.0, name: str = "OpenSIPS fraud_detection") -> Verdict:
    """The verdict. Calls to the account's most frequent country are not watched."""
    frame = ended(traffic).sort("setup_ms", maintain_order=True)
    home = dict(frame.group_by("account").agg(pl.col("code").mode().first()).iter_rows())
    stats: dict[tuple[str, str, str], Stats] = {}
    refused = np.zeros(frame.height, np.bool_)
    alerts: list[Alert] = []
    columns = ("tenant", "account", "b_number", "code", "setup_ms", "end_ms", "talk_ms", "call_id")
    for row, (tenant, account, b_number, code, setup_ms, end_ms, talk_ms, call_id) in enumerate(frame.select(columns).iter_rows()):
        if code == home.get(account):
            continue
        one = stats.setdefault((tenant, account, code), Stats())
        critical = at_setup(one, b_number, setup_ms, end_ms, scale)
        if not critical and talk_ms is not None and end_ms - setup_ms >= DURATION_S * scale * 1000:
            alerts.append(Alert(end_ms, tenant, f"account {account}", account, detector=name, calls=(call_id,)))
        if critical:
            refused[row] = True
            alerts.append(Alert(setup_ms, tenant, f"account {account}", account, detector=name, calls=(call_id,)))
    order = {call: at for at, call in enumerate(frame["call_id"].to_list())}
    return Verdict(name, alerts, refused[[order[call] for call in traffic.frame["call_id"].to_list()]])


def at_setup(one: Stats, b_number: str, at_ms: int, end_ms: int, scale: float) -> bool:
    """Count a call and return whether a counter is critical. A refused call ends at once.

    >>> stats = Stats()
    >>> [at_setup(stats, f"88{n}", 1000 * n, 10**9, 1.0) for n in range(6)]
    [False, False, False, False, True, True]
    """
    if one.day != at_ms // DAY_MS:
        one.day, one.total, one.concurrent, one.consecutive = at_ms // DAY_MS, 0, 0, 0
        one.interval += 1
        one.minute.clear()
    running = []
    for end, interval in one.ends:
        if end > at_ms:
            running.append((end, interval))
        elif interval == one.interval:
            one.concurrent -= 1
    one.ends = running
    one.consecutive = one.consecutive + 1 if one.last == b_number else 1
    one.last = b_number
    one.total += 1
    while one.minute and one.minute[0] <= at_ms - 60_000:
        one.minute.popleft()
    one.minute.append(at_ms)
    one.concurrent += 1
    critical = (
        len(one.minute) >= CALLS_PER_MINUTE * scale
        or one.total >= TOTAL * scale
        or one.concurrent >= CONCURRENT * scale
        or one.consecutive >= CONSECUTIVE * scale
    )
    if critical:
        one.concurrent -= 1
    else:
        one.ends.append((end_ms, one.interval))
    return critical
