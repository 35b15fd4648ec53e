"""A process for the kill tests: does one thing to a journal, and is killed (SIGKILL) before its n-th touch of the disk."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from journal import Entry, Limits
from journal.files import FileJournal
from journal.repair import check, repair

TOUCHES = ("fsync", "replace", "unlink", "rename", "write", "fdatasync", "ftruncate", "mkdir")
SMALL = Limits(segment_bytes=4096, retention_bytes=8192, retention_ms=None)


def main(home: Path, action: str, step: int) -> None:
    touched = 0

    def killing(act: Callable[..., Any]) -> Callable[..., Any]:
        def touch(*args: Any, **options: Any) -> Any:
            nonlocal touched
            touched += 1
            if touched == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*args, **options)

        return touch

    for name in TOUCHES:
        setattr(os, name, killing(getattr(os, name)))
    if action == "repair":
        for damage in check(home, "calls"):
            repair(home, damage, 1_000)
    elif action == "retain":
        FileJournal(home, SMALL).writer("calls", 0).close()
    elif action == "roll":
        FileJournal(home, SMALL).writer("calls", 0).append([Entry(b"k", b"x" * 3000, 1)])
    elif action == "mark":
        FileJournal(home, SMALL).mark_read("calls", 0, "judge", 40)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
