"""Ties a program to the process that starts it: `python end_with_parent.py PARENT_PID PROGRAM ARGS...` becomes PROGRAM.

The kernel sends it SIGTERM when its parent dies, however the parent died, so that nothing of ours is ever left running alone.
Uses the standard library only and is run as a file, so that it costs a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """From now on this process ends with `parent`; at once, where that is gone already."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
