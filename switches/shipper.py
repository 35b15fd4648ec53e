"""The shipper: stands beside a switch, posts what the switch wrote into its spool, and moves on only when the collector has it.

What a crash leaves behind, step by step:
1. lines are read      - nothing has changed: they are read again
2. lines are posted    - the collector may have them; they are posted again, and the repeat is told apart by boot id and sequence
3. the place is stored - done
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import NamedTuple

from core import locks
from core.clock import wall_clock_ms
from core.reporting import Report, ignore
from switches.post import Denied, PostError, TooMuch, connect, post_records
from switches.signed_log import SwitchLog
from switches.tail import POSITION, Batch, Places, load_places, read_batch, remove_spent, store_places, sync_waiting

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How fast, how much, how long."""

    batch_bytes: int = 1 << 20
    poll_s: float = 0.05  # between two looks at a spool that has nothing new
    sign_of_life_s: float = 2.0  # a post at least so often, also of nothing: it says that everything is delivered
    torn_after_s: float = 5.0  # a line without an end that old will get none
    slack_ms: int = 1000  # from a record's own time to its line in the spool
    retry_s: float = 0.2  # doubled with each failure in a row ...
    retry_max_s: float = 5.0  # ... up to here
    denied_s: float = 30.0  # a token or an address is not allowed: a person must act first
    keep_s: float | None = 24 * 3600.0  # delivered files are kept so long; None = for ever
    keep_bytes: int | None = None  # of delivered files, whatever their age; None = no bound
    timeout_s: float = 30.0  # of one post
    compress: bool = False


MIN_BATCH_BYTES = 16 << 10


class Shipped(NamedTuple):
    """What is told of a post that was acknowledged. `complete_to_ms`: everything until then is delivered; None = there is more."""

    records: int
    from_log: int
    complete_to_ms: int | None


class Forged(NamedTuple):
    """What is told of lines of the log that claim to be records and are not the switch's."""

    lines: int


class Failed(NamedTuple):
    """What is told of a post that was not."""

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
    chance: random.Random | None = None,
    tell: Report = ignore,
) -> None:
    """Runs until `stop`. `home`: the spool, and the shipper's own `position.json`. `chance` spreads the retries of many.

    `log`: the switch's own log, where the records stand that its spool did not take. `tell` hears `Shipped`, `Failed` and `Forged`.
    """
    if not home.is_dir():
        raise FileNotFoundError(f"there is no spool at {home}: nothing can be said to be delivered from there")
    with _alone(home):
        _Shipper(home, url, token, stop, log, pace, now_ms, chance or random.Random(), tell).run()


class _Shipper:
    def __init__(
        self,
        home: Path,
        url: str,
        token: str,
        stop: Event,
        log: SwitchLog | None,
        pace: Pace,
        now_ms: Callable[[], int],
        chance: random.Random,
        tell: Report,
    ) -> None:
        self._home = home
        self._url = url
        self._token = token
        self._stop = stop
        self._log = log
        self._pace = pace
        self._now_ms = now_ms
        self._chance = chance
        self._tell = tell
        self._places: Places = load_places(home / POSITION)
        self._batch_bytes = pace.batch_bytes
        self._failures = 0
        self._posted_at_s = -1e9
        self._cleaned_at_s = -1e9

    def run(self) -> None:
        with connect(self._url, self._token, self._pace.timeout_s) as client:
            while not self._stop.is_set():
                # The clock first, then the end of the spool: what was written before the clock was read is then delivered.
                began_ms = self._now_ms()
                batch = read_batch(
                    self._home,
                    self._places,
                    max_bytes=self._batch_bytes,
                    torn_after_s=self._pace.torn_after_s,
                    now_s=began_ms / 1000,
                    log=self._log,
                )
                quiet_s = time.monotonic() - self._posted_at_s
                if not batch.lines and not (batch.complete and quiet_s >= self._pace.sign_of_life_s):
                    self._passed(batch)
                    self._stop.wait(self._pace.poll_s)
                    continue
                complete_to_ms = began_ms - self._pace.slack_ms if batch.complete else None
                try:
                    accepted = post_records(
                        client,
                        batch.lines,
                        complete_to_ms=complete_to_ms,
                        compress=self._pace.compress and bool(batch.lines),
                    )
                except PostError as error:
                    self._failed(error)
                    continue
                if accepted != len(batch.lines):
                    _log.error("%d lines were posted, the collector counts %d", len(batch.lines), accepted)
                self._delivered(batch)
                self._tell(Shipped(accepted, batch.from_log, complete_to_ms))

    def _passed(self, batch: Batch) -> None:
        self._places = batch.places
        if batch.forged and self._log:
            self._tell(Forged(batch.forged))
            _log.warning("%d lines of %s claim to be records and are not signed by the switch", batch.forged, self._log.path)

    def _delivered(self, batch: Batch) -> None:
        if self._failures:
            _log.warning("the collector is back after %d failures", self._failures)
        self._failures = 0
        self._batch_bytes = min(self._pace.batch_bytes, self._batch_bytes * 2)
        self._posted_at_s = time.monotonic()
        self._passed(batch)
        if batch.lines:
            try:
                store_places(self._home / POSITION, batch.places)
            except OSError as error:  # a full disk: we go on; after a restart these lines are posted once more
                _log.error("the position cannot be stored: %s", error)
        if self._pace.keep_s is not None and self._posted_at_s - self._cleaned_at_s > 60:
            self._cleaned_at_s = self._posted_at_s
            try:
                if gone := remove_spent(self._home, batch.places, self._pace.keep_s, self._now_ms() / 1000, self._pace.keep_bytes):
                    _log.info("removed delivered files: %s", ", ".join(gone))
            except OSError as error:
                _log.error("delivered files cannot be removed: %s", error)

    def _failed(self, error: PostError) -> None:
        self._failures += 1
        self._tell(Failed(str(error)))
        if isinstance(error, TooMuch) and self._batch_bytes > MIN_BATCH_BYTES:
            self._batch_bytes = max(MIN_BATCH_BYTES, self._batch_bytes // 4)
            return
        pause_s = min(self._pace.retry_max_s, self._pace.retry_s * 2 ** min(self._failures - 1, 20))
        if isinstance(error, Denied):
            pause_s = self._pace.denied_s
        pause_s = max(pause_s, error.retry_s) * (0.75 + self._chance.random() / 2)
        if self._failures == 1 or isinstance(error, Denied) or self._failures % 20 == 0:
            _log.warning("records wait in the spool, again in %.1f s (failure %d): %s", pause_s, self._failures, error)
        try:
            sync_waiting(self._home, self._places)
        except OSError as fault:
            _log.error("the spool cannot be synced: %s", fault)
        self._stop.wait(pause_s)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two shippers on one spool would post everything twice, and each would store its own place over the other's."""
    try:
        fd = locks.take(home / "shipper.lock")
    except locks.LockTaken:
        raise RuntimeError(f"the spool {home} has a shipper already") from None
    try:
        yield
    finally:
        os.close(fd)
