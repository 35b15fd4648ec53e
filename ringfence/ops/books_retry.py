"""A part retries while the books are down: it keeps its heartbeat and logs the outage once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from books import Engine, Unavailable, check, open_books
from core.backoff import backoff
from switches.once import Once

log = structlog.get_logger(__name__)

START_S = 30.0
"""At its start a part waits this long for the books, since all parts may start at once. Then it ends with the reason."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0

Value = TypeVar("Value")


def open_when_ready(dsn: str, beat: Callable[[], None]) -> Engine:
    """Open the books and wait until they can be used."""
    engine = open_books(dsn)
    wait_for_books(engine, beat)
    return engine


def wait_for_books(engine: Engine, beat: Callable[[], None]) -> None:
    """Return once the books answer and have the tables of this release. Raises `BooksError` for an error that waiting does not solve."""
    retry(lambda: check(engine), beat, START_S)


def retry(
    work: Callable[[], Value],
    beat: Callable[[], None],
    for_s: float = float("inf"),
    sleep: Callable[[float], None] = time.sleep,
) -> Value:
    """Do the work, and repeat it while the books are down, for at most `for_s`. The work must be safe to repeat."""
    outage, give_up_s, failures = Once(log.warning), time.monotonic() + for_s, 0
    while True:
        beat()
        try:
            value = work()
        except Unavailable as error:
            failures += 1
            pause_s = backoff(failures, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            if time.monotonic() + pause_s > give_up_s:
                raise
            outage.begins(f"waiting for the books: {error}")
            sleep(pause_s)
        else:
            outage.ends("the books answer again")
            return value
