"""The buffer writes by its own clock, holds back who gives too fast, and says what went wrong."""

from __future__ import annotations

import threading
import time

import pytest

from flows.flusher import Flusher, Stalled


def eventually(ready, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lone_item_does_not_wait_for_the_next_call():
    written: list[list[str]] = []
    flusher = Flusher(written.append, full_bytes=1000, linger_s=0.1, stall_s=5.0)
    flusher.put(["alone"], 1)
    eventually(lambda: written == [["alone"]])
    flusher.close()


def test_a_full_buffer_does_not_wait_for_the_clock():
    written: list[list[int]] = []
    flusher = Flusher(written.append, full_bytes=10, linger_s=60.0, stall_s=5.0)
    for n in range(4):
        flusher.put([n], 3)
    eventually(lambda: sum(map(len, written)) == 4)
    flusher.close()


def test_flush_returns_when_everything_before_it_is_written():
    written: list[int] = []

    def slow(items: list[int]) -> None:
        time.sleep(0.05)
        written.extend(items)

    flusher = Flusher(slow, full_bytes=5, linger_s=60.0, stall_s=5.0)
    for n in range(40):
        flusher.put([n], 1)
    flusher.flush()
    assert written == list(range(40)), "in order, each once"
    flusher.flush()
    flusher.close()


def test_an_error_is_raised_at_the_next_call_and_at_every_one_after():
    def broken(items: list[int]) -> None:
        raise OSError("no room")

    flusher = Flusher(broken, full_bytes=1, linger_s=0.0, stall_s=5.0)
    flusher.put([1], 1)
    for _ in range(2):
        with pytest.raises(OSError, match="no room"):
            flusher.flush()
    with pytest.raises(OSError, match="no room"):
        flusher.put([2], 1)
    flusher.close()


def test_a_write_that_hangs_holds_back_and_is_then_named():
    release = threading.Event()
    flusher = Flusher(lambda items: release.wait(10), full_bytes=10, linger_s=60.0, stall_s=0.3)
    flusher.put(["under way"], 10)
    time.sleep(0.1)
    flusher.put(["a buffer"], 10)
    flusher.put(["and another"], 10)
    started = time.monotonic()
    with pytest.raises(Stalled, match=r"0\.3 s"):
        flusher.put(["one too many"], 10)
    assert time.monotonic() - started >= 0.29
    with pytest.raises(Stalled):
        flusher.flush()
    assert flusher.close(wait_s=0.05) is False, "the thread is still in the write"
    release.set()
