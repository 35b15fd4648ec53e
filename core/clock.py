"""The wall clock. Functions of ours take a time or a clock as an argument; whoever starts a process hands this one in."""

from __future__ import annotations

import time


def wall_clock_ms() -> int:
    """Milliseconds of UTC since 1970."""
    return time.time_ns() // 1_000_000
