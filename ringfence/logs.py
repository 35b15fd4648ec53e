"""How our processes speak: one line an event on stderr, which `up` sends to home/run/NAME.log. No log grows without a bound, and
a disk that is full never stops who speaks."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import structlog

MOST_BYTES = 16 << 20
"""Of a log; then it becomes NAME.log.1, and the one of that name before is gone."""


def speak(level: str) -> None:
    """From now on what is at least of this level is written."""
    number = logging.getLevelNamesMapping()[level.upper()]
    sys.stderr.flush()
    out = Steady(sys.stderr.fileno())
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=out, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(out),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


class Steady:
    """A file to print to that raises nothing: what the disk does not take is counted, and told when it takes something again."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._begun = ""
        self.lost = 0

    def write(self, text: str) -> int:
        with self._lock:
            lines, newline, self._begun = (self._begun + text).rpartition("\n")
            if newline:
                self._put(lines + newline)
        return len(text)

    def flush(self) -> None:
        """A line that has no end yet waits for it."""

    def _put(self, lines: str) -> None:
        word = f"{self.lost} lines of this log are lost: its disk was full\n" if self.lost else ""
        left = (word + lines).encode("utf-8", "replace")
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            self.lost = 0
        except OSError:
            self.lost += lines.count("\n")


def bound(log: Path, most: int = MOST_BYTES) -> bool:
    """Keeps a log that processes hold open (for appending) below its bound: its text is copied to NAME.log.1, and it begins anew.

    What is written between the two is lost; where the copy finds no room, all of it is. True = it was cut.
    """
    try:
        if log.stat().st_size <= most:
            return False
    except FileNotFoundError:
        return False
    old = log.with_name(log.name + ".1")
    try:
        shutil.copyfile(log, old)
    except OSError:
        old.unlink(missing_ok=True)  # half of it, and no room for the other
    os.truncate(log, 0)
    return True


def append(log: Path, text: str) -> None:
    """A line with the time, of somebody who has told it elsewhere as well: a full disk is nothing to raise then."""
    try:
        bound(log)
        with log.open("a", encoding="utf-8") as out:
            out.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text.strip()}\n")
    except OSError:
        pass  # the terminal has it
