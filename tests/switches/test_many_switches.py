"""Several switches and tenants: each pair enforces or is in shadow by its own setting, which is changed while the parts run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from until import until

from books import orders, switches, writing
from core.decide import Limits
from core.orders import Key
from core.topics import BLOCK_ORDERS
from journal import Entry
from switches.deliver import Pace
from switches.loopback import Loopback

HOUR_MS = 3_600_000
PLENTY = Limits(orders_per_minute=10**6, distinct_subjects=10**6)
QUICK = Pace(look_ms=50, compare_ms=200)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def running(house) -> Iterator[Callable[..., None]]:
    """A dispatcher that runs until the test ends."""
    house.clock, house.switch._clock = now_ms, time.time
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def run(**changes: object) -> None:
        dispatcher = house.dispatcher(clock=now_ms, limits=PLENTY, pace=QUICK, **changes)
        threads.append(threading.Thread(target=dispatcher.run, args=(stop,)))
        threads[-1].start()

    yield run
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_each_switch_and_tenant_by_its_own_setting_while_everything_runs(house, running):
    west, east = house.switch, Loopback()
    served = east.serve(0, house.token)
    with writing(house.engine) as conn:
        switches.add(conn, "k2", "loopback", served.url, house.token, now_ms())
        for switch, tenant in (("k1", "t2"), ("k2", "t1"), ("k2", "t2")):
            switches.serve(conn, switch, tenant, now_ms())
        switches.set_enforcing(conn, "k2", "t2", True, "ann", "watched long enough", now_ms())
    keys = {tenant: Key(tenant=tenant, account="acme") for tenant in ("t1", "t2")}

    def said(switch: Loopback, tenant: str) -> str:
        """r(efused), s(hadow) or p(asses), and the order's number."""
        refused, order_id = switch.verdict(tenant, "acme", "", "", "8821312345")
        return "r" + order_id if refused else "s" + order_id.removeprefix("shadow:") if order_id else "p"

    def all_say(*wanted: str) -> bool:
        return until(lambda: [said(switch, tenant) for switch in (west, east) for tenant in ("t1", "t2")] == list(wanted), 5)

    def set_enforcing(switch: str, tenant: str, on: bool) -> None:
        with writing(house.engine) as conn:
            switches.set_enforcing(conn, switch, tenant, on, "ann", "changed my mind", now_ms())

    try:
        running()
        house.order(keys["t1"], "1")
        house.order(keys["t2"], "2")
        assert all_say("r1", "s2", "s1", "r2")
        assert house.status("1") == house.status("2") == "standing"
        set_enforcing("k1", "t2", True)
        set_enforcing("k2", "t2", False)
        assert all_say("r1", "r2", "s1", "s2")
        set_enforcing("k1", "t1", False)
        assert all_say("s1", "r2", "s1", "s2") and house.status("1") == "shadow"
        for switch, n in ((west, 1), (east, 2)):
            switch.restart()  # the settings are the books', not the switch's
            set_enforcing(f"k{n}", "t1", True)
        assert all_say("r1", "r2", "r1", "s2")
        with writing(house.engine) as conn:
            orders.lift(conn, keys["t1"], "ann", "a mistake", now_ms())
        assert all_say("p", "r2", "p", "s2")
        assert east.live() == {} and set(east.live("shadow")) == {"t2|A|acme||"} and west.live("shadow") == {}
    finally:
        served.close()


def test_a_person_can_write_during_a_flood_of_orders(house, running):
    """With 5,000 orders at once, each action of a person is in the books and at the switch in time."""
    running()
    with writing(house.engine) as conn:
        for n in range(10):
            orders.block(conn, Key(tenant="t1", account=f"innocent{n}"), HOUR_MS, "ann", "a mistake to come", now_ms())
    until(lambda: len(house.switch.live()) == 10, 5)
    first = house.order(Key(tenant="t1", account="acme", b_range="880000"), "flood-0")
    others = [
        msgspec.structs.replace(first, order_id=f"flood-{n}", key=Key(tenant="t1", account="acme", b_range=str(880_000 + n)))
        for n in range(1, 5_000)
    ]
    house.writers[BLOCK_ORDERS].append([Entry(b"key", msgspec.json.encode(order), now_ms()) for order in others])
    waits_s = []
    for n in range(10):
        began = time.monotonic()
        with writing(house.engine) as conn:
            orders.lift(conn, Key(tenant="t1", account=f"innocent{n}"), "ann", "no fraud", now_ms())
        waits_s.append(time.monotonic() - began)
        entry = f"t1|A|innocent{n}||"
        until(lambda: entry not in house.switch.live(), 30, "newest first: it does not wait behind the flood")  # noqa: B023
        time.sleep(0.1)
        assert house.status("flood-4999") == "", "they still come in"
    until(lambda: house.status("flood-4999") == "standing", 60)
    assert max(waits_s) < 10, "the dispatcher lets a person's transaction between its own"
