"""How our processes speak: one line an event on stderr, which `up` sends to home/run/NAME.log. No log grows without a bound, a disk that
is full never stops who speaks, and no line tells a whole telephone number, a password or a token."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from ringfence.ops import redaction

MOST_BYTES = 16 << 20
"""Of a log; then it becomes NAME.log.1, and the one of that name before is gone."""


OURS = (
    "core",
    "rating",
    "detectors",
    "journal",
    "warehouse",
    "books",
    "switches",
    "flows",
    "dashboards",
    "simulator",
    "services",
    "ringfence",
)
"""Whose words are heard from the level that is set; a library is heard from its warnings on."""


def speak(level: str, form: str = "text") -> None:
    """From now on what is at least of this level is written: structlog's lines, the standard library's, what is printed to stderr, and the
    last words of a process; all of it masked (`ringfence.ops.redaction`). `form`: text, or json, an object a line."""
    number = logging.getLevelNamesMapping()[level.upper()]
    sys.stderr.flush()
    out = Steady(sys.stderr.fileno())
    handler = _Handler(out)
    handler.setFormatter(_formatter(form))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(True)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[structlog.contextvars.merge_contextvars, *_STAMPS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    sys.stderr = Printed(out, logging.getLogger("stderr") if form == "json" else None)
    if form == "json":
        sys.excepthook = _last_words
        threading.excepthook = lambda fault: _last_words(fault.exc_type, fault.exc_value, fault.exc_traceback)


_STAMPS: tuple[Any, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _formatter(form: str) -> logging.Formatter:
    order = ["timestamp", "level", "event"]
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=order, bool_as_flag=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_STAMPS,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _masked,
            renderer,
        ],
    )


def _masked(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The last thing that happens to a line: nothing is added behind it."""
    first = {name: event.pop(name, None) for name in ("timestamp", "level")}
    return first | redaction.record({name: event[name] for name in ("event", "logger") if name in event} | dict(event))


def _last_words(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A fault that nobody caught, as a line like any other."""
    if issubclass(kind, KeyboardInterrupt):
        return
    fault = (kind, error or kind(), trace)
    logging.getLogger("ringfence").critical("ended by a fault that nobody caught: %s", kind.__name__, exc_info=fault)


_OWN = "ringfence.ops.logs"


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:
        """A line that cannot be formed. The library would print its arguments as they are."""
        kind = sys.exc_info()[0]
        if record.name != _OWN:
            what = "a line of %s, %s:%d, could not be formed: %s"
            logging.getLogger(_OWN).error(what, record.name, record.filename, record.lineno, kind and kind.__name__)


class Printed:
    """What is printed to stderr, a traceback for one: masked, a line at a time."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, out: Steady, logger: logging.Logger | None) -> None:
        self._out, self._logger = out, logger
        self._lock = threading.RLock()
        self._begun = ""

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            if len(self._begun) > redaction.MOST:
                lines, self._begun = [*lines, self._begun], ""
            for line in lines:
                if self._logger is None:
                    self._out.write(redaction.text(line) + "\n")
                elif line.strip():
                    self._logger.error("%s", line)
        return len(text)

    def flush(self) -> None:
        """A line that has no end yet waits for it: half of it would hide half of a number."""

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._out.fileno()


class Steady:
    """A file to print to that raises nothing: what the disk does not take is counted, and reported when it takes something again."""

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

    def fileno(self) -> int:
        return self._fd

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
    """A line with the time, that the terminal shows as well: a full disk is nothing to raise then."""
    try:
        bound(log)
        with log.open("a", encoding="utf-8") as out:
            out.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {redaction.text(text.strip())}\n")
    except OSError:
        pass  # the terminal has it
