"""What the dispatcher reports: what it has read, how long an order took, and drift."""

from __future__ import annotations

import re

from books import orders, switches, writing
from core.orders import Key
from ringfence.ops.telemetry.dispatcher import Dispatcher as DispatcherTelemetry
from switches.deliver import Acknowledged, Drifted, Reached
from switches.dispatcher import Read

KEY = Key(tenant="t1", account="acme", b_range="88213")


def test_the_latency_of_an_order_is_reported_once(house):
    reported = []
    dispatcher = house.dispatcher(report=reported.append)
    first = house.order(KEY)
    house.clock.now_ms += 400
    dispatcher.step()
    assert [value for value in reported if isinstance(value, Acknowledged)] == [Acknowledged("blocks", [0.4])]
    assert Reached("k1") in reported

    reported.clear()
    house.switch.restart()  # everything is sent again: that is no order's way
    house.clock.now_ms += 60_000
    dispatcher.step()
    assert house.due() == 0 and not any(isinstance(value, Acknowledged) for value in reported)
    with writing(house.engine) as conn:
        switches.set_enforcing(conn, "k1", "t1", False, "ann", "to shadow", house.clock())
    dispatcher.step()
    assert not any(isinstance(value, Acknowledged) for value in reported), "moved to the other table"

    house.clock.now_ms += 1_000
    house.order(KEY, order_id="order-again", expires_at_ms=first.expires_at_ms + 120_000)
    house.clock.now_ms += 250
    dispatcher.step()
    assert [value for value in reported if isinstance(value, Acknowledged)] == [Acknowledged("shadow", [0.25])]


def test_a_persons_order_is_not_timed(house):
    reported = []
    dispatcher = house.dispatcher(report=reported.append)
    with writing(house.engine) as conn:
        orders.block(conn, KEY, 3_600_000, "ann", "ticket 7", house.clock())
    dispatcher.step()
    assert house.due() == 0 and not any(isinstance(value, Acknowledged) for value in reported)


def test_the_figures_of_a_dispatcher(house):
    part = DispatcherTelemetry(f"files://{house.home}/journal", house.engine, house.clock)
    part._books._fresh_s = 0
    dispatcher = house.dispatcher(report=part.report)
    dispatcher.journal = part.positions.of(house.journal)
    house.order(KEY)
    house.write(b"no order")
    read = dispatcher.step()
    part.report(read)
    assert isinstance(read, Read)
    counted = {(s.name, *s.labels.values()): s.value for family in part.metrics.collect() for s in family.samples}
    assert counted["ringfence_orders_read_total", "standing"] == 1 and counted["ringfence_orders_read_total", "malformed"] == 1
    assert counted["ringfence_block_latency_seconds_count", "blocks"] == 1
    looked = {(sample.metric.name, *sample.labels): sample.value for sample in part.samples()}
    assert looked["ringfence_orders", "standing"] == 1 and looked["ringfence_orders", "lifted"] == 0
    assert looked["ringfence_blocks_held", "k1", "blocks"] == 1 and looked["ringfence_blocks_held", "k1", "shadow"] == 0
    assert looked["ringfence_blocks_due", "k1"] == 0 and looked["ringfence_switch_on_hold", "k1"] == 0
    assert looked["ringfence_lag_messages", "block_orders", "0"] == 0
    assert 0 <= looked["ringfence_switch_answer_age_seconds", "k1"] < 30
    assert part.not_ready_reason() == ""
    with writing(house.engine) as conn:
        switches.hold(conn, "k1", "ann", "a test", house.clock())
    assert {(s.metric.name, *s.labels): s.value for s in part.samples()}["ringfence_switch_on_hold", "k1"] == 1


def test_drift_is_reported_with_each_comparison(house):
    reported = []
    dispatcher = house.dispatcher(report=reported.append)
    house.order(KEY)
    dispatcher.step()
    reported.clear()
    house.clock.now_ms += 1
    dispatcher.step()
    assert Drifted("k1", 0, 0) in reported


def test_a_switch_that_is_silent_makes_its_dispatcher_not_ready(house, monkeypatch):
    part = DispatcherTelemetry(f"files://{house.home}/journal", house.engine, house.clock)
    dispatcher = house.dispatcher(report=part.report)
    house.served.close()
    dispatcher.deliver_once()
    assert part.not_ready_reason() == "it has not started to read", "it has some seconds to come up"
    monkeypatch.setattr("ringfence.ops.telemetry.dispatcher.SILENT_S", -1.0)
    assert re.fullmatch(r"switch k1 has not answered for \d+ s: .*nothing answers at its control address.*", part.not_ready_reason())
