"""Keeps processes running: starts each in a group of its own, restarts what dies (waiting longer each time), stops them all.

One thread only: whoever supervises calls `check` several times a second. The clock is an argument.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringfence.ops import end_with_parent, logs
from ringfence.ops.heartbeat import HANGS_S

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
STEADY_S = 60.0
"""A process that ran for so long was well: its next restart waits as short as the first."""
TERM_S = 10.0
"""From SIGTERM to SIGKILL."""
SILENT_S = HANGS_S
"""A process without a heartbeat for so long is reported, and left to a person, who may look before it is killed."""


def wait_s(failures: int) -> float:
    """How long to wait before the next start, after so many failures in a row.

    >>> [wait_s(n) for n in (1, 2, 3, 8)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return float(min(FIRST_WAIT_S * 2 ** (failures - 1), LONGEST_WAIT_S))


@dataclass
class Child:
    """One process that should run. `beat`: the file that it touches while it works; without one, being alive is enough."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str]
    beat: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    failures: int = 0
    start_at_s: float = 0.0
    beaten_ns: int = 0  # of the last heartbeat, and when it was found
    beaten_s: float = 0.0
    silent: bool = False

    def start(self, now_s: float) -> None:
        logs.bound(self.log)
        command = [sys.executable, "-I", "-S", end_with_parent.__file__, str(os.getpid()), *self.argv]
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops the others in order.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.env), start_new_session=True
            )
        self.started_s = self.beaten_s = now_s
        self.silent = False

    def look_for_heartbeat(self, now_s: float) -> None:
        """Looks for its heartbeat. What counts is that the file changed, by our own clock: a clock that is set hangs nobody."""
        if self.beat is None:
            return
        try:
            beaten_ns = self.beat.stat().st_mtime_ns
        except FileNotFoundError:
            beaten_ns = 0
        if beaten_ns != self.beaten_ns:
            self.beaten_ns, self.beaten_s = beaten_ns, now_s
        self.silent = now_s - self.beaten_s > SILENT_S

    def signal(self, what: signal.Signals) -> None:
        """To the process and all that it has started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, what)
            except ProcessLookupError:
                pass  # all of the group are gone: what was asked for

    def last_words(self, lines: int = 3) -> str:
        """The end of its log, for a message."""
        with open(self.log, "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            text = log.read().decode("utf-8", "replace")
        said = [line for line in text.splitlines() if line.strip()][-lines:]
        return " Its last words:\n" + "\n".join(said) if said else ""


@dataclass
class Supervisor:
    """Its children, in the order in which they are started; they are stopped in the opposite order."""

    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)

    def start(self, child: Child) -> None:
        self.children.append(child)
        child.start(time.monotonic())

    def check(self, now_s: float) -> None:
        """Restarts what has died, when its wait is over; reports what hangs; keeps the logs below their bound."""
        for child in self.children:
            process = child.process
            logs.bound(child.log)
            if process is None:
                if now_s >= child.start_at_s:
                    child.start(now_s)
                    self.say(f"{child.name}: started again")
            elif (code := process.poll()) is not None:
                child.signal(signal.SIGKILL)  # what it has left behind
                child.failures = 1 if now_s - child.started_s > STEADY_S else child.failures + 1
                wait = wait_s(child.failures)
                child.process, child.start_at_s = None, now_s + wait
                self.say(f"{child.name} ended ({ended(code)}); again in {wait:g} s.{child.last_words()}")
            else:
                was = child.silent
                child.look_for_heartbeat(now_s)
                if child.silent and not was:
                    self.say(
                        f"{child.name} hangs: alive, and no heartbeat for {SILENT_S:g} s. To have it started anew, which loses "
                        f"nothing: kill -9 {process.pid}.{child.last_words()}"
                    )
                elif was and not child.silent:
                    self.say(f"{child.name} is at work again")

    def silent(self) -> list[str]:
        """Those that hang."""
        return [child.name for child in self.children if child.silent]

    def running(self) -> dict[str, bool]:
        return {child.name: child.process is not None and child.process.poll() is None for child in self.children}

    def stop(self) -> None:
        """SIGTERM to each, the last started first; SIGKILL to what is still there after `TERM_S`. Returns when all are gone."""
        for child in reversed(self.children):
            if child.process is None:
                continue
            child.signal(signal.SIGTERM)
            try:
                child.process.wait(TERM_S)
            except subprocess.TimeoutExpired:
                self.say(f"{child.name} does not end by itself: killed")
            child.signal(signal.SIGKILL)
            child.process.wait()
            child.process = None


def ended(code: int) -> str:
    """A return code in words.

    >>> ended(1), ended(-9)
    ('exit code 1', 'SIGKILL')
    """
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
