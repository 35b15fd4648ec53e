"""The tests of the switch protocol, for the simulated switch and for a real Kamailio."""

from __future__ import annotations

import time

import msgspec
import pytest
from ports import free_port

from books import configs, deliveries, leases, lists, orders, reading, switches, writing
from books.switches import Switch
from core.config import Config, Trunk
from core.numbers import DialPlan
from core.orders import Key
from switches import hold
from switches.control import Change, ControlError, Fenced
from switches.deliver import Pace
from switches.desired import Source
from switches.kinds import DRIVERS

RANGE = Key(tenant="t1", account="acme", b_range="88213")
ENTRY = "t1|A|acme||88213"
TTL_MS = 600_000
FAST = Pace(look_ms=0, compare_ms=0, retry_ms=0)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class OurOwn:
    kind = "loopback"

    def __init__(self, house):
        self.url = house.served.url
        house.switch._clock = time.time
        self.restart = house.switch.restart

    def close(self):
        pass


class Kamailio:
    kind = "kamailio"

    def __init__(self, house):
        from switches.kamailio.process import start
        from switches.kamailio.settings import Settings

        self._start = start
        self._settings = Settings(
            switch="k1",
            spool_dir=house.home / "spool",
            run_dir=house.home / "run",
            control_token=house.token,
            secret="a-secret-of-the-tests",
            sip_port=free_port(),
            control_port=free_port(),
            workers=1,
            shm_mb=64,
        )
        self._running = start(self._settings)
        self.url = self._running.control_url

    def restart(self):
        self._running.kill()
        self._running = self._start(self._settings)

    def close(self):
        self._running.kill()


def block(switch, name, table="blocks"):
    """The order that an entry names now, "" = there is none: an expired one may be listed until it is swept."""
    found = switch.control.compare(table, {})
    return switch.control.entries(table)[name] if name in found.surplus else ""


@pytest.fixture(params=[OurOwn, pytest.param(Kamailio, marks=pytest.mark.kamailio)])
def switch(request, house, need):
    if request.param is Kamailio:
        need("kamailio")
    switch = request.param(house)
    house.clock = now_ms
    with writing(house.engine) as conn:
        switches.add(conn, "k1", switch.kind, switch.url, house.token, now_ms())
    switch.control = DRIVERS[switch.kind](switch.url, house.token)
    yield switch
    switch.control.close()
    switch.close()


def test_a_block_is_delivered_restored_after_a_restart_and_removed_when_lifted(house, switch):
    dispatcher = house.dispatcher(pace=FAST)
    house.order(RANGE, "one")
    dispatcher.step()
    assert switch.control.entries("blocks") == {ENTRY: "one"}
    switch.restart()
    assert block(switch, ENTRY) == ""
    for _ in range(3):  # the kept connection is found broken first
        dispatcher.step()
    assert block(switch, ENTRY) == "one"
    with writing(house.engine) as conn:
        orders.lift(conn, RANGE, "ann", "a mistake", now_ms())
    dispatcher.step()
    assert block(switch, ENTRY) == "" and switch.control.entries("blocks") == {}


def test_shadow_entries_are_in_the_other_table(house, switch):
    with writing(house.engine) as conn:
        switches.set_enforcing(conn, "k1", "t1", False, "ann", "watching", now_ms())
    house.order(RANGE, "one")
    house.dispatcher(pace=FAST).step()
    assert block(switch, ENTRY) == "" and block(switch, ENTRY, "shadow") == "one"


def test_drift_is_repaired(house, switch):
    dispatcher = house.dispatcher(pace=FAST)
    house.order(RANGE, "one")
    dispatcher.step()
    switch.control.apply([Change("blocks", ENTRY, "", 0), Change("blocks", "t1|A|honest||", "stranger", 600)])
    dispatcher.step()
    dispatcher.step()
    assert switch.control.entries("blocks") == {ENTRY: "one"}


def test_a_block_ends_by_itself(house, switch):
    house.order(RANGE, "one", expires_at_ms=now_ms() + 1_500)
    house.dispatcher(pace=FAST).step()
    assert block(switch, ENTRY) == "one"
    time.sleep(2.6)
    assert block(switch, ENTRY) == ""


def test_hold_outlives_a_restart_and_nothing_is_delivered_until_it_is_cleared(house, switch):
    dispatcher = house.dispatcher(pace=FAST)
    dispatcher.step()
    assert hold.hold_all(house.engine, "ann", "an outage", now_ms()).ok
    switch.restart()
    assert switch.control.hold()
    house.order(RANGE, "one")
    for _ in range(3):
        dispatcher.step()
    assert block(switch, ENTRY) == ""
    assert hold.clear(house.engine, "ann", "over", now_ms()).ok
    dispatcher.step()
    assert block(switch, ENTRY) == "one" and not switch.control.hold()


def test_protected_numbers_arrive_before_blocks_whatever_their_reason_says(house, switch):
    with writing(house.engine) as conn:
        lists.add(conn, "protected", "number", "4315000000", 'our "own" hospital \\ §', "ann", now_ms())
        lists.add(conn, "protected", "trunk", "tg-own", "our own", "ann", now_ms())
    house.order(RANGE, "one")
    house.dispatcher(pace=FAST).step()
    there = switch.control.entries("protected")
    assert {"112", "116123", "4315000000", "T|tg-own"} <= there.keys() and block(switch, ENTRY) == "one"


def test_many_blocks_are_compared_exactly_and_restored_newest_first(house, switch):
    dispatcher = house.dispatcher(pace=FAST)
    with writing(house.engine) as conn:
        for n in range(1_000):
            key = Key(tenant="t1", account="acme", b_range=str(880_000 + n))
            orders.block(conn, key, TTL_MS, "ann", "many", now_ms() - 1_000 + n)
    dispatcher.step()
    wanted = switch.control.entries("blocks")
    assert len(wanted) == 1_000
    one, other, third = sorted(wanted)[:3]
    changes = [(one, "", 0), ("t1|A|honest||", wanted[one], 600), (other, wanted[third], 600)]  # the count is right, and so is the order
    switch.control.apply([Change("blocks", *change) for change in changes])
    dispatcher.step()
    assert set(wanted) - {one, other} <= switch.control.entries("blocks").keys(), "nobody else's block is taken away meanwhile"
    dispatcher.step()
    assert switch.control.entries("blocks") == wanted
    with reading(house.engine) as conn:
        state = switches.state(conn, "k1")
    assert (state.missing, state.strangers) == (2, 1)
    switch.restart()
    house.dispatcher(holder="d0", pace=Pace(look_ms=0, compare_ms=0, retry_ms=0, chunk=200), fault=stop_after_one_chunk).step()
    first = set(switch.control.entries("blocks"))
    assert first == {entry for entry in wanted if int(entry[-6:]) >= 880_800}
    dispatcher.step()
    assert switch.control.entries("blocks") == wanted


def stop_after_one_chunk(step):
    if step == "acknowledged":
        raise ControlError("enough for this test")


def test_of_two_dispatchers_only_one_writes_whichever_is_frozen_when(house, switch):
    """Each believes for a while that it has the lease; the switch accepts commands of the newer one alone."""
    lease_ms, ahead_ms = 60_000, 0

    def clock() -> int:
        """The clock of the switch, with jumps where a lease must expire: on a slow machine none expires by itself."""
        return now_ms() + ahead_ms

    house.clock = clock
    pace = Pace(look_ms=0, compare_ms=0, retry_ms=0, lease_ms=lease_ms)
    slow_to_send = {"d0": True, "d1": False}

    def frozen(step):
        nonlocal ahead_ms
        if step == "sent" and slow_to_send["d0"]:
            slow_to_send["d0"] = False
            ahead_ms += lease_ms + 1  # its lease runs out between two commands
            house.order(Key(tenant="t1", account="blue"), "two")
            second.step()

    second = house.dispatcher(pace=pace, holder="d1")
    first = house.dispatcher(pace=pace, holder="d0", fault=frozen)
    house.order(RANGE, "one")
    first.step()
    newest = second._deliverers[Switch("k1", switch.kind, switch.url, house.token)].control.fence
    with reading(house.engine) as conn:
        assert leases.acquire(conn, "switch k1", "d0", lease_ms, clock()) is None
    assert switch.control.entries("blocks") == {ENTRY: "one", "t1|A|blue||": "two"}
    ghost = DRIVERS[switch.kind](switch.url, house.token)
    ghost.fence = newest - 1
    with pytest.raises(Fenced):
        ghost.apply([Change("blocks", "t1|A|honest||", "ghost", 60)])
    ghost.close()
    first.deliver_once()
    assert first.deliver_once()["k1"].result == "another holds the lease"
    ahead_ms += lease_ms + 1
    house.order(Key(tenant="t1", account="red"), "three")
    first.step()
    assert block(switch, "t1|A|red||") == "three" and first.deliver_once()["k1"].result == ""
    ghost = DRIVERS[switch.kind](switch.url, house.token)
    ghost.fence = newest  # of the second, which is not the newest any more
    with pytest.raises(Fenced):
        ghost.apply([Change("blocks", "t1|A|honest||", "ghost", 60)])
    ghost.close()


def test_an_entry_lives_as_long_as_the_last_live_order_of_its_key_and_expires_without_a_dispatcher(house, switch):
    dispatcher = house.dispatcher(pace=FAST)
    began = time.time()
    house.order(RANGE, "long", expires_at_ms=now_ms() + 3_500)
    house.order(RANGE, "short", expires_at_ms=now_ms() + 1_000)
    dispatcher.step()
    dispatcher.close()  # nobody of ours is there any more
    gone_after_s = 0.0
    while block(switch, ENTRY) == "long" and gone_after_s < 8:
        time.sleep(0.05)
        gone_after_s = time.time() - began
    assert 3.4 <= gone_after_s <= 4.7


def test_a_protected_number_that_the_switch_lost_is_set_again_and_its_own_stay(house, switch):
    dispatcher = house.dispatcher(pace=FAST)
    with writing(house.engine) as conn:
        lists.add(conn, "protected", "number", "4315000000", "hospital", "ann", now_ms())
    dispatcher.step()
    switch.control.apply([Change("protected", "4399999999", "by a person", 0)])
    there = switch.control.entries("protected")
    assert there["4315000000"] == "hospital"
    switch.control.apply([Change("protected", name, "", 0) for name in ("4315000000", "116123", "112")])
    switch.control.apply([Change("protected", "911", "another word", 0)])
    dispatcher.step()  # it finds what is missing
    dispatcher.step()
    assert switch.control.entries("protected") == there
    with reading(house.engine) as conn:
        assert switches.state(conn, "k1").missing == 4
    dispatcher.step()
    with reading(house.engine) as conn:
        assert switches.state(conn, "k1").missing == 4


def test_a_new_config_version_reaches_a_running_switch_and_survives_its_restart(house, switch):
    def publish(*trunks: Trunk, plans: tuple[DialPlan, ...] = (DialPlan(),)) -> None:
        with writing(house.engine) as conn:
            configs.publish(conn, Config(version=0, trunks=trunks, dial_plans=plans), "ann", "a test", now_ms())

    def names(table: str) -> set[str]:
        return set(switch.control.entries(table))

    dispatcher = house.dispatcher(pace=FAST, next_hops={"k1": "127.0.0.1:5999"})
    acme = Trunk(tenant="t1", name="in", account="acme", sources=("192.0.2.7",))
    publish(acme, Trunk(tenant="t2", name="in", account="blue", sources=("192.0.2.8",)))
    dispatcher.step()
    assert names("sources") == {"192.0.2.7/32"}, "the switch carries t1 alone"
    assert names("carriers") == {"|1", "t1|1"} and names("dialplan") == {"e164"}
    out = Trunk(tenant="t1", name="out", carrier="blue", address="192.0.2.99:5060")
    green = Trunk(tenant="t1", name="v6", account="green", sources=("2001:db8::/32",), dial_plan="at")
    publish(green, out, msgspec.structs.replace(out, name="out-2"), plans=(DialPlan(), DialPlan("at", country_code="43")))
    with writing(house.engine) as conn:
        switches.serve(conn, "k1", "t2", now_ms())
    for restarted in (False, True):
        if restarted:
            switch.restart()
            for _ in range(2):  # the kept connection is found broken first
                dispatcher.step()
        dispatcher.step()
        assert len(names("sources")) == 1 and "192.0.2.7/32" not in names("sources")
        assert names("carriers") == {"|1", "|2", "t1|1", "t1|2", "t2|1"} and names("dialplan") == {"e164", "at"}
        with reading(house.engine) as conn:
            assert deliveries.due_count(conn, "k1") == 0
            assert (switches.state(conn, "k1").missing, switches.state(conn, "k1").strangers) == (0, 0)
    switch.control.apply([Change("sources", "198.51.100.0/24", json(Source("t1", "nobody")), 0), Change("dialplan", "at", "", 0)])
    for _ in range(2):
        dispatcher.step()
    assert len(names("sources")) == 1 and names("dialplan") == {"e164", "at"}


def test_a_row_that_a_switch_refuses_does_not_delay_others(house, switch):
    bad = Trunk(tenant="t1", name="in", account="a|b", sources=("192.0.2.7",))
    good = Trunk(tenant="t1", name="in-2", account="acme", sources=("192.0.2.8",))
    with writing(house.engine) as conn:
        configs.publish(conn, Config(version=0, trunks=(bad, good)), "ann", "a test", now_ms())
    house.order(RANGE, "one")
    dispatcher = house.dispatcher(pace=FAST)
    for _ in range(3):
        dispatcher.step()
    refused = [] if switch.kind == "loopback" else ["192.0.2.7/32"]  # our own switch holds any text
    assert set(switch.control.entries("sources")) == {"192.0.2.7/32", "192.0.2.8/32"} - set(refused) and block(switch, ENTRY) == "one"
    with reading(house.engine) as conn:
        assert [row.name for row in deliveries.due(conn, "k1", 9)] == refused
        assert ("account 'a|b'" in switches.state(conn, "k1").error) == bool(refused)


def json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
