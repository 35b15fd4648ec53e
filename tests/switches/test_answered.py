"""The calls of the last hour that a block would have refused are counted in memory: the warehouse may hang."""

from __future__ import annotations

import threading
import time

from core.decide import Limits
from core.orders import Key
from switches.answered import OLD_MS, Answered, AnsweredHour, keep_fetching

ROWS = [
    Answered("t1", "acme", "tg1", "43181", "882130", 400),
    Answered("t1", "acme", "tg1", "43182", "4351", 100),
    Answered("t1", "blue", "tg2", "43183", "882130", 500),
    Answered("t2", "acme", "tg1", "43181", "882130", 1),
]


def test_a_call_that_two_keys_refuse_counts_once():
    hour = AnsweredHour()
    hour.take(ROWS, at_ms=0)
    acme = Key(tenant="t1", account="acme")
    assert hour("t1", [acme, Key(tenant="t1", account="acme", b_range="882")], 0) == (500, 1000)
    assert hour("t1", [Key(tenant="t1", account="acme", a_number="43182")], 0) == (100, 1000)
    assert hour("t1", [Key(tenant="t1", ingress_trunk="tg2")], 0) == (500, 1000)
    assert hour("t1", [Key(tenant="t1", account="nobody")], 0) == (0, 1000)


def test_an_order_against_most_of_the_traffic_waits_for_a_person(house):
    hour = AnsweredHour()
    hour.take(ROWS, at_ms=house.clock())
    house.order(Key(tenant="t1", account="acme", b_range="4351"), "little")
    house.order(Key(tenant="t1", account="blue"), "much")
    house.dispatcher(answered=hour, limits=Limits(answered_share=0.3)).step()
    assert house.status("little") == "standing" and house.status("much") == "waiting"


def test_a_warehouse_that_hangs_makes_the_hour_unknown_and_delays_nobody():
    answers = iter([ROWS])
    hanging, stop = threading.Event(), threading.Event()

    def fetch(from_ms, to_ms):
        for rows in answers:
            return rows
        hanging.set()
        stop.wait(20)
        raise TimeoutError

    hour = AnsweredHour()
    thread = keep_fetching(hour, fetch, lambda: 0, stop, every_s=0.001)
    assert hanging.wait(5)
    began = time.monotonic()
    assert hour("t1", [], 0) == (0, 1000) and hour("t1", [], OLD_MS + 1) is None
    assert time.monotonic() - began < 10, "it does not wait for the warehouse, which hangs for 20 s"
    stop.set()
    thread.join(5)
