"""A dispatcher that is killed (SIGKILL, as the kernel would) the n-th time that it reaches a step.

`test_crashes.py` forks it from a process that has imported the most of this already, and holds nothing open.
"""

from __future__ import annotations

import os
import signal
import time

from books import open_books
from core.decide import Limits
from journal import open_journal
from switches.deliver import Pace
from switches.dispatcher import Dispatcher


def dispatch(books: str, journal: str, holder: str, step: str, number: int) -> None:
    left = number

    def fault(reached: str) -> None:
        nonlocal left
        left -= reached == step
        if left == 0 and reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    dispatcher = Dispatcher(
        open_books(books),
        open_journal(journal),
        clock=lambda: time.time_ns() // 1_000_000,
        holder=holder,
        pace=Pace(look_ms=0, compare_ms=0, lease_ms=100, chunk=3),
        limits=Limits(orders_per_minute=10**6, distinct_subjects=10**6),
        fault=fault,
    )
    until = time.monotonic() + 20
    while time.monotonic() < until:
        dispatcher.step()
        time.sleep(0.01)

