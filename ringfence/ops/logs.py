"""Logs of our processes: one line per event on stderr, which `up` sends to HOME/run/NAME.log. Logs are bounded in size, a full disk never stops
a process, and no line contains a whole telephone number, a password or a token."""

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

MAX_BYTES = 16 << 20
"""Of a log; then it becomes NAME.log.1, which replaces the one before."""

OUR_PACKAGES = (
    "core", "rating", "detectors", "journal", "warehouse", "books", "switches", "flows", "dashboards", "simulator", "services", "ringfence",
)  # fmt: skip
"""Logged from the configured level on; libraries from warnings on."""


def configure(level: str, form: str = "text") -> None:
    """Send structlog, the standard library's logging, stderr and uncaught exceptions to one masked log (`ringfence.ops.redaction`).
    `form`: text, or json, one object per line."""
    number = logging.getLevelNamesMapping()[level.upper()]
    sys.stderr.flush()
    out = LossyStream(sys.stderr.fileno())
    handler = _Handler(out)
    handler.setFormatter(_formatter(form))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))
    for name in OUR_PACKAGES:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(True)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[structlog.contextvars.merge_contextvars, *_STAMPS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    sys.stderr = MaskedStderr(out, logging.getLogger("stderr") if form == "json" else None)
    if form == "json":
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda fault: _log_uncaught(fault.exc_type, fault.exc_value, fault.exc_traceback)


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
            structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info, _masked, renderer,
        ],
    )  # fmt: skip


def _masked(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The last processor before the renderer, so that nothing is added unmasked."""
    first = {name: event.pop(name, None) for name in ("timestamp", "level")}
    return first | redaction.record({name: event[name] for name in ("event", "logger") if name in event} | dict(event))


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log an uncaught exception as a line like any other."""
    if issubclass(kind, KeyboardInterrupt):
        return
    fault = (kind, error or kind(), trace)
    logging.getLogger("ringfence").critical("ended by an uncaught exception: %s", kind.__name__, exc_info=fault)


_OWN = "ringfence.ops.logs"


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Report a line that cannot be formatted; the library would print its arguments unmasked."""
        kind = sys.exc_info()[0]
        if record.name != _OWN:
            text = "a log line of %s, %s:%d, could not be formatted: %s"
            logging.getLogger(_OWN).error(text, record.name, record.filename, record.lineno, kind and kind.__name__)


class MaskedStderr:
    """What is printed to stderr, for example a traceback: masked line by line."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, out: LossyStream, logger: logging.Logger | None) -> None:
        self._out, self._logger = out, logger
        self._lock = threading.RLock()
        self._partial = ""

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._partial = (self._partial + text).split("\n")
            if len(self._partial) > redaction.MAX_CHARS:
                lines, self._partial = [*lines, self._partial], ""
            for line in lines:
                if self._logger is None:
                    self._out.write(redaction.text(line) + "\n")
                elif line.strip():
                    self._logger.error("%s", line)
        return len(text)

    def flush(self) -> None:
        """A partial line is not written: masking half a line would mask half a number."""

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._out.fileno()


class LossyStream:
    """A file to write to that never raises: lines that the disk does not take are counted, and reported once it takes some again."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._partial = ""
        self.lost = 0

    def write(self, text: str) -> int:
        with self._lock:
            lines, newline, self._partial = (self._partial + text).rpartition("\n")
            if newline:
                self._put(lines + newline)
        return len(text)

    def flush(self) -> None:
        """A partial line waits for its end."""

    def fileno(self) -> int:
        return self._fd

    def _put(self, lines: str) -> None:
        notice = f"{self.lost} lines of this log are lost: its disk was full\n" if self.lost else ""
        left = (notice + lines).encode("utf-8", "replace")
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            self.lost = 0
        except OSError:
            self.lost += lines.count("\n")


def rotate(log: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Copy a log above its limit to NAME.log.1 and truncate it: processes have it open for appending. True = it was truncated.

    Lines written between the two steps are lost, and the whole log where there is no room for the copy.
    """
    try:
        if log.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    old = log.with_name(log.name + ".1")
    try:
        shutil.copyfile(log, old)
    except OSError:
        old.unlink(missing_ok=True)  # a partial copy: there is no room for the rest
    os.truncate(log, 0)
    return True


def append(log: Path, text: str) -> None:
    """Append a line with the time. The terminal shows it as well, so a full disk is no error here."""
    try:
        rotate(log)
        with log.open("a", encoding="utf-8") as out:
            out.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {redaction.text(text.strip())}\n")
    except OSError:
        pass  # the terminal shows it
