"""The shipper runs beside a switch, posts the records of its spool, and goes on only when the collector has acknowledged them.

What a crash leaves after each step:
1. lines are read         - nothing has changed: they are read again
2. lines are posted       - the collector may have them; they are posted again, and judge knows the repeat by boot id and sequence
3. the position is stored - nothing: the batch is delivered
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from core import locks
from core.backoff import backoff
from core.clock import wall_clock_ms
from core.reporting import Report, ignore
from switches.post import Denied, PostError, TooMuch, connect, post_records
from switches.signed_log import SwitchLog
from switches.tail import POSITION, Batch, load_positions, read_batch, remove_spent, store_positions, sync_waiting

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """Rates, sizes and times."""

    batch_bytes: int = 1 << 20
    poll_s: float = 0.05  # between two reads of a spool that has nothing new
    heartbeat_s: float = 2.0  # a post at least so often, also without records: it reports that all of the spool is delivered
    torn_after_s: float = 5.0  # a line without an end that is so old is not completed any more
    slack_ms: int = 1000  # from a record's own time to its line in the spool
    retry_s: float = 0.2  # after a failed post, doubled with each failure in a row ...
    retry_max_s: float = 5.0  # ... up to here
    denied_s: float = 30.0  # after 401 or 403: a person must act first
    keep_s: float | None = 24 * 3600.0  # delivered files are removed after so long; None = never
    keep_bytes: int | None = None  # limit of all delivered files, whatever their age; None = none
    timeout_s: float = 30.0  # of one post


MIN_BATCH_BYTES = 16 << 10


class Shipped(NamedTuple):
    """Reported for each acknowledged post. `complete_to_ms`: all records until then are delivered; None = there are more."""

    records: int
    from_log: int
    complete_to_ms: int | None


class Forged(NamedTuple):
    """Reported for lines of the log that claim to be records and are not signed by the switch."""

    lines: int


class Failed(NamedTuple):
    """Reported for each post that failed."""

    why: str


def ship(
    *,
    home: Path,
    url: str,
    token: str,
    stop: Event,
    log: SwitchLog | None = None,
    pace: Pace = Pace(),
    now_ms: Callable[[], int] = wall_clock_ms,
    report: Report = ignore,
) -> None:
    """Runs until `stop`. `home`: the spool, and the shipper's own `position.json`.

    `log`: the switch's own log, which has the records that its spool did not take. `report` gets `Shipped`, `Failed` and `Forged`.
    """
    if not home.is_dir():
        raise FileNotFoundError(f"there is no spool at {home}: its records cannot be reported as delivered")
    with _alone(home):
        _Shipper(home, url, token, stop, log, pace, now_ms, report).run()


@dataclass
class _Shipper:
    """The arguments of `ship`, and the state between two posts."""

    home: Path
    url: str
    token: str = field(repr=False)
    stop: Event
    log: SwitchLog | None
    pace: Pace
    now_ms: Callable[[], int]
    report: Report

    def __post_init__(self) -> None:
        self._positions = load_positions(self.home / POSITION)
        self._batch_bytes = self.pace.batch_bytes
        self._failures = 0
        self._posted_at_s = -1e9
        self._cleaned_at_s = -1e9

    def run(self) -> None:
        with connect(self.url, self.token, self.pace.timeout_s) as client:
            while not self.stop.is_set():
                # The clock is read before the end of the spool: all that was written before that time is then delivered.
                began_ms = self.now_ms()
                batch = read_batch(
                    self.home,
                    self._positions,
                    max_bytes=self._batch_bytes,
                    torn_after_s=self.pace.torn_after_s,
                    now_s=began_ms / 1000,
                    log=self.log,
                )
                quiet_s = time.monotonic() - self._posted_at_s
                if not batch.lines and not (batch.complete and quiet_s >= self.pace.heartbeat_s):
                    self._advance(batch)
                    self.stop.wait(self.pace.poll_s)
                    continue
                complete_to_ms = began_ms - self.pace.slack_ms if batch.complete else None
                try:
                    accepted = post_records(client, batch.lines, complete_to_ms=complete_to_ms)
                except PostError as error:
                    self._failed(error)
                    continue
                if accepted != len(batch.lines):
                    _log.error("%d lines were posted, the collector counts %d", len(batch.lines), accepted)
                self._delivered(batch)
                self.report(Shipped(accepted, batch.from_log, complete_to_ms))

    def _advance(self, batch: Batch) -> None:
        self._positions = batch.positions
        if batch.forged and self.log:
            self.report(Forged(batch.forged))
            _log.warning("%d lines of %s claim to be records and are not signed by the switch: they are ignored", batch.forged, self.log.path)

    def _delivered(self, batch: Batch) -> None:
        if self._failures:
            _log.warning("the collector accepts posts again, after %d failures", self._failures)
        self._failures = 0
        self._batch_bytes = min(self.pace.batch_bytes, self._batch_bytes * 2)
        self._posted_at_s = time.monotonic()
        self._advance(batch)
        if batch.lines:
            try:
                store_positions(self.home / POSITION, batch.positions)
            except OSError as error:  # a full disk: the shipper goes on; after a restart it posts these lines again
                _log.error("the position cannot be stored: %s", error)
        if self.pace.keep_s is not None and self._posted_at_s - self._cleaned_at_s > 60:
            self._cleaned_at_s = self._posted_at_s
            try:
                if removed := remove_spent(self.home, batch.positions, self.pace.keep_s, self.now_ms() / 1000, self.pace.keep_bytes):
                    _log.info("removed delivered files: %s", ", ".join(removed))
            except OSError as error:
                _log.error("delivered files cannot be removed: %s", error)

    def _failed(self, error: PostError) -> None:
        self._failures += 1
        self.report(Failed(str(error)))
        if isinstance(error, TooMuch) and self._batch_bytes > MIN_BATCH_BYTES:
            self._batch_bytes = max(MIN_BATCH_BYTES, self._batch_bytes // 4)
            return
        pause_s = self.pace.denied_s if isinstance(error, Denied) else backoff(self._failures, self.pace.retry_s, self.pace.retry_max_s)
        pause_s = max(pause_s, error.retry_s) * random.uniform(0.75, 1.25)  # spreads the retries of many shippers
        if self._failures == 1 or isinstance(error, Denied) or self._failures % 20 == 0:
            _log.warning("records wait in the spool of the switch, next try in %.1f s (failure %d): %s", pause_s, self._failures, error)
        try:
            sync_waiting(self.home, self._positions)
        except OSError as fault:
            _log.error("the spool cannot be synced: %s", fault)
        self.stop.wait(pause_s)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two shippers on one spool would post each record twice, and each would overwrite the other's position."""
    try:
        fd = locks.take(home / "shipper.lock")
    except locks.LockTaken:
        raise RuntimeError(f"the spool {home} has a shipper already") from None
    try:
        yield
    finally:
        os.close(fd)
