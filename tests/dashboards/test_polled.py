"""A query runs once for all viewers, its last good answer stays while it fails, and nobody waits for it."""

from __future__ import annotations

import threading
import time

import pytest

from dashboards import polled as module
from dashboards.polled import Polled


def clock() -> int:
    return time.time_ns() // 1_000_000


def test_the_last_good_answer_stays_while_the_query_fails():
    answers = iter([1])

    def ask() -> int:
        if (one := next(answers, None)) is None:
            raise OSError("nobody answers")
        return one

    polled = Polled("test", ask, clock, every_s=60)
    assert polled.latest(10).value == 1
    last = polled.renew(10)
    assert (last.value, last.error) == (1, "nobody answers")
    polled.close()


def test_many_viewers_share_one_query():
    asked = []
    polled = Polled("test", lambda: asked.append(1), clock, every_s=60)
    people = [threading.Thread(target=polled.latest, args=(5,)) for _ in range(20)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(asked) == 1
    polled.close()


def test_a_query_that_hangs_delays_nobody_and_is_shown_as_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    answer = threading.Event()
    polled = Polled("test", lambda: answer.wait(60), clock)
    began_s = time.monotonic()
    polled.latest(0.2)
    assert polled.latest().error.startswith("no answer for")
    assert time.monotonic() - began_s < 10
    answer.set()
    polled.close()


def test_a_change_is_in_the_answer_of_the_query_after_it():
    """A query that runs while the change is made may have read before it."""
    value, begun, go = ["old"], threading.Event(), threading.Event()

    def ask() -> str:
        found = value[0]
        begun.set()
        go.wait(10)
        return found

    polled = Polled("test", ask, clock, every_s=60)
    polled.latest()
    begun.wait(10)
    value[0] = "new"
    threading.Timer(0.2, go.set).start()
    assert polled.renew(10).value == "new"
    polled.close()


def test_without_viewers_there_are_no_queries_and_the_next_viewer_gets_a_fresh_answer():
    asked = []

    def ask() -> int:
        asked.append(1)
        return len(asked)

    polled = Polled("test", ask, clock, every_s=0.05, idle_s=0.2)
    polled.latest(10)
    until_s = time.monotonic() + 20
    while polled._thread is not None and time.monotonic() < until_s:
        time.sleep(0.05)
    then = len(asked)
    time.sleep(0.3)
    assert len(asked) == then
    assert polled.latest(10).value == then + 1
    polled.close()


def test_a_slow_query_runs_less_often():
    times = []

    def ask() -> None:
        times.append(time.monotonic())
        time.sleep(0.2)

    polled = Polled("test", ask, clock, every_s=0.01, share=0.2)
    polled.latest()
    time.sleep(1.5)
    polled.close()
    assert len(times) <= 2
