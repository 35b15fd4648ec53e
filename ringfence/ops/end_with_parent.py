"""Ends a program together with its parent: `python end_with_parent.py PARENT_PID PROGRAM ARGS...` becomes PROGRAM.

The kernel sends PROGRAM SIGTERM when its parent dies, however that happened, so that no part is left running alone.
Uses only the standard library and runs as a file, so it takes a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Make this process end with `parent`; at once, if that has ended already."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
