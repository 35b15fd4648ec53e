"""The wall clock. Functions take a time or a clock as an argument; only the start of a process passes this one."""

from __future__ import annotations

import time


def wall_clock_ms() -> int:
    """Milliseconds of UTC since 1970."""
    return time.time_ns() // 1_000_000
