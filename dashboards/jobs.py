"""Work that takes minutes, in a background thread: the page shows how far it is, and may be left meanwhile. One job per key, and one at a time in
all: it takes a whole core."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

Progress = Callable[[int, int], None]


@dataclass
class Job:
    """`done` of `total` (0 = not known yet); `over`: it has ended, with an `error` or without."""

    done: int = 0
    total: int = 0
    over: bool = False
    error: str = ""
    started: bool = False


_lock, _turn = threading.Lock(), threading.Lock()
_jobs: dict[Hashable, Job] = {}


def start(key: Hashable, work: Callable[[Progress], object]) -> bool:
    """Begins a job; False = one of this key is running."""
    with _lock:
        known = _jobs.get(key)
        if known is not None and not known.over:
            return False
        job = _jobs[key] = Job()
    threading.Thread(target=_run, args=(job, work), name="page job", daemon=True).start()
    return True


def of(key: Hashable) -> Job | None:
    """The last job of a key."""
    with _lock:
        return _jobs.get(key)


def forget(key: Hashable) -> None:
    """After its end was shown."""
    with _lock:
        if key in _jobs and _jobs[key].over:
            del _jobs[key]


def _run(job: Job, work: Callable[[Progress], object]) -> None:
    def progress(done: int, total: int) -> None:
        job.done, job.total = done, total

    try:
        with _turn:
            job.started = True
            work(progress)
    except Exception as fault:  # noqa: BLE001 - the page shows any error
        job.error = f"{fault}" or type(fault).__name__
    finally:
        job.over = True
