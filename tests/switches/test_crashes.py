"""The dispatcher is killed at each step of a delivery. Afterwards the switch holds exactly the rows of the books."""

from __future__ import annotations

import multiprocessing
import signal
import time

import pytest
from crashing_dispatcher import dispatch

from books import deliveries, orders, reading, switches, writing
from core.decide import LIVE
from core.orders import Key
from switches.deliver import Pace

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["books", "journal", "switches.dispatcher"])

KILLS = [
    *[("read", 1), ("written", 1), ("committed", 1), ("lease", 1), ("hold", 1), ("resync", 1), ("send", 1), ("send", 5)],
    *[("sent", 1), ("sent", 4), ("acknowledge", 1), ("acknowledge", 2), ("acknowledged", 1), ("resync", 1), ("compare", 1)],
    *[("send", 3), ("sent", 7), ("acknowledged", 2), ("resync", 1), ("sent", 2)],
]


def key(number: int) -> Key:
    return Key(tenant="t1", account=f"a{number % 7}", b_range=f"88{number}")


@pytest.mark.slow
def test_killed_at_each_step_of_a_delivery(house):
    house.switch._clock = time.time

    def now_ms() -> int:
        return time.time_ns() // 1_000_000

    house.clock = now_ms
    for number, (step, nth) in enumerate(KILLS):
        for n in range(4 * number, 4 * number + 4):
            house.order(key(n), f"order-{n}", created_at_ms=now_ms(), learned_ms=now_ms(), expires_at_ms=now_ms() + 3_600_000)
        with writing(house.engine) as conn:
            if number % 3 == 2:
                orders.lift(conn, key(4 * number - 2), "ann", "a mistake", now_ms())
            orders.block(conn, Key(tenant="t1", account=f"by-hand-{number}"), 3_600_000, "ann", "fraud", now_ms())
        if step == "resync" or number % 5 == 4:
            house.switch.restart()
        child = FORKS.Process(
            target=dispatch, args=(house.books_dsn, f"files://{house.home}/journal", f"child-{number}", step, nth), daemon=True
        )
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL, (step, nth)
        time.sleep(0.11)  # its lease runs out

    last = house.dispatcher(clock=now_ms, pace=Pace(look_ms=0, compare_ms=0))
    for _ in range(3):
        last.step()
    with reading(house.engine) as conn:
        live = orders.select(conn, statuses=LIVE)
        counts = orders.counts(conn)
        assert deliveries.due_count(conn, "k1") == 0 and not switches.holds(conn)
    wanted = {kept.order.key.entry(): kept.order.order_id for kept in live}
    assert house.switch.live() == wanted
    assert counts["standing"] == len(wanted) > 80 and sum(counts.values()) == 5 * len(KILLS), (
        "no order is lost, none is there twice"
    )
