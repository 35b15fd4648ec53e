"""A question is asked once however many look, its last good answer stays while it fails, and nobody waits for it."""

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

    kept = Polled("test", ask, clock, every_s=60)
    assert kept.seen(10).value == 1
    seen = kept.renew(10)
    assert (seen.value, seen.error) == (1, "nobody answers")
    kept.close()


def test_many_viewers_share_one_query():
    asked = []
    kept = Polled("test", lambda: asked.append(1), clock, every_s=60)
    people = [threading.Thread(target=kept.seen, args=(5,)) for _ in range(20)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(asked) == 1
    kept.close()


def test_a_query_that_hangs_delays_nobody_and_is_shown_as_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    answer = threading.Event()
    kept = Polled("test", lambda: answer.wait(60), clock)
    began_s = time.monotonic()
    kept.seen(0.2)
    assert kept.seen().error.startswith("no answer for")
    assert time.monotonic() - began_s < 10
    answer.set()
    kept.close()


def test_a_change_is_in_the_answer_of_the_query_after_it():
    """What was under way when the change was made may have been answered from before it."""
    value, begun, go = ["old"], threading.Event(), threading.Event()

    def ask() -> str:
        found = value[0]
        begun.set()
        go.wait(10)
        return found

    kept = Polled("test", ask, clock, every_s=60)
    kept.seen()
    begun.wait(10)
    value[0] = "new"
    threading.Timer(0.2, go.set).start()
    assert kept.renew(10).value == "new"
    kept.close()


def test_without_viewers_there_are_no_queries_and_the_next_viewer_gets_a_fresh_answer():
    asked = []

    def ask() -> int:
        asked.append(1)
        return len(asked)

    kept = Polled("test", ask, clock, every_s=0.05, idle_s=0.2)
    kept.seen(10)
    until_s = time.monotonic() + 20
    while kept._thread is not None and time.monotonic() < until_s:
        time.sleep(0.05)
    then = len(asked)
    time.sleep(0.3)
    assert len(asked) == then
    assert kept.seen(10).value == then + 1
    kept.close()


def test_a_slow_query_runs_less_often():
    times = []

    def ask() -> None:
        times.append(time.monotonic())
        time.sleep(0.2)

    kept = Polled("test", ask, clock, every_s=0.01, share=0.2)
    kept.seen()
    time.sleep(1.5)
    kept.close()
    assert len(times) <= 2
