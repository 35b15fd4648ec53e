"""What a part does while the books are away: it waits, keeps its heartbeat going, and logs one line."""

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
"""At its start a part waits so long for books that are away, because all parts may start at once. Then it ends, with the reason."""

FIRST_S, MOST_S = 0.2, 2.0

Value = TypeVar("Value")


def opened(dsn: str, beat: Callable[[], None]) -> Engine:
    """The books, once they can be used."""
    engine = open_books(dsn)
    wait_for(engine, beat)
    return engine


def wait_for(engine: Engine, beat: Callable[[], None], for_s: float = START_S) -> None:
    """Returns once the books answer and have the tables of this release. Raises `BooksError` where no waiting helps."""
    patiently(lambda: check(engine), beat, for_s)


def patiently(
    work: Callable[[], Value],
    beat: Callable[[], None],
    for_s: float = float("inf"),
    sleep: Callable[[float], None] = time.sleep,
) -> Value:
    """Does the work, and repeats it while the books are away, for so long. The work must bear to be done twice."""
    once, give_up_s, failures = Once(log.warning), time.monotonic() + for_s, 0
    while True:
        beat()
        try:
            value = work()
        except Unavailable as error:
            failures += 1
            pause_s = backoff(failures, FIRST_S, MOST_S)
            if time.monotonic() + pause_s > give_up_s:
                raise
            once.begins(f"waiting for the books: {error}")
            sleep(pause_s)
        else:
            once.ends("the books answer again")
            return value
