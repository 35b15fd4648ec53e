"""Supervises processes: starts each in a session of its own, restarts those that die (with growing pauses), and stops them all.

Single-threaded: the caller calls `check` several times per second. The clock is an argument.
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
"""After a process has run this long, its next restart waits only `FIRST_WAIT_S` again."""
TERM_S = 10.0
"""From SIGTERM to SIGKILL."""


def wait_s(failures: int) -> float:
    """The pause before the next start, after this many failures in a row.

    >>> [wait_s(n) for n in (1, 2, 3, 8)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return float(min(FIRST_WAIT_S * 2 ** (failures - 1), LONGEST_WAIT_S))


@dataclass
class Child:
    """A supervised process. `beat`: its heartbeat file; without one, the process only has to be alive."""

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
        logs.rotate(self.log)
        command = [sys.executable, "-I", "-S", end_with_parent.__file__, str(os.getpid()), *self.argv]
        with open(self.log, "ab") as log:
            # In a session of its own: Ctrl-C in the terminal reaches only the supervisor, which stops the others in order.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.env), start_new_session=True
            )
        self.started_s = self.beaten_s = now_s
        self.silent = False

    def check_heartbeat(self, now_s: float) -> None:
        """Update `silent`. A change of the file counts, timed by our monotonic clock: setting the wall clock changes nothing."""
        if self.beat is None:
            return
        try:
            beaten_ns = self.beat.stat().st_mtime_ns
        except FileNotFoundError:
            beaten_ns = 0
        if beaten_ns != self.beaten_ns:
            self.beaten_ns, self.beaten_s = beaten_ns, now_s
        self.silent = now_s - self.beaten_s > HANGS_S

    def signal(self, what: signal.Signals) -> None:
        """Send a signal to the process and all that it has started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, what)
            except ProcessLookupError:
                pass  # the whole group has ended already

    def log_end(self, lines: int = 3) -> str:
        """The end of its log, for a message."""
        with open(self.log, "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            text = log.read().decode("utf-8", "replace")
        end = [line for line in text.splitlines() if line.strip()][-lines:]
        return " The end of its log:\n" + "\n".join(end) if end else ""


@dataclass
class Supervisor:
    """Its children, in the order of their start; they are stopped in reverse order."""

    report: Callable[[str], None]
    children: list[Child] = field(default_factory=list)

    def start(self, child: Child) -> None:
        self.children.append(child)
        child.start(time.monotonic())

    def check(self, now_s: float) -> None:
        """Restart what has died, after its pause; report what hangs; rotate the logs."""
        for child in self.children:
            process = child.process
            logs.rotate(child.log)
            if process is None:
                if now_s >= child.start_at_s:
                    child.start(now_s)
                    self.report(f"{child.name} was restarted")
            elif (code := process.poll()) is not None:
                child.signal(signal.SIGKILL)  # to processes that it has left behind
                child.failures = 1 if now_s - child.started_s > STEADY_S else child.failures + 1
                wait = wait_s(child.failures)
                child.process, child.start_at_s = None, now_s + wait
                self.report(f"{child.name} ended ({ended(code)}); restart in {wait:g} s.{child.log_end()}")
            else:
                was_silent = child.silent
                child.check_heartbeat(now_s)
                if child.silent and not was_silent:
                    self.report(
                        f"{child.name} hangs: alive, but no heartbeat for {HANGS_S:g} s. To restart it, which loses "
                        f"nothing: kill -9 {process.pid}.{child.log_end()}"
                    )
                elif was_silent and not child.silent:
                    self.report(f"{child.name} works again")

    def silent(self) -> list[str]:
        """The names of those that hang."""
        return [child.name for child in self.children if child.silent]

    def running(self) -> dict[str, bool]:
        return {child.name: child.process is not None and child.process.poll() is None for child in self.children}

    def stop(self) -> None:
        """Send SIGTERM to each, the last started first, and SIGKILL after `TERM_S`. Returns when all have ended."""
        for child in reversed(self.children):
            if child.process is None:
                continue
            child.signal(signal.SIGTERM)
            try:
                child.process.wait(TERM_S)
            except subprocess.TimeoutExpired:
                self.report(f"{child.name} did not end within {TERM_S:g} s of SIGTERM: killed")
            child.signal(signal.SIGKILL)
            child.process.wait()
            child.process = None


def ended(code: int) -> str:
    """A return code in words.

    >>> ended(1), ended(-9)
    ('exit code 1', 'SIGKILL')
    """
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
