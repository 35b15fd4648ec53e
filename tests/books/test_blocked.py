"""The blocked keys as a page shows them: by whom, since when, and at which switches."""

from __future__ import annotations

from pathlib import Path

import pytest

from books import deliveries, migrate, open_books, orders, switches, tenants, writing
from core.decide import Decision
from core.orders import BlockOrder, Key

NOW = 1_795_000_000_000
MINUTE = 60_000


@pytest.fixture
def conn(tmp_path: Path):
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    migrate(engine)
    with writing(engine) as conn:
        for name in ("t1", "t2"):
            tenants.add(conn, name, NOW)
        switches.add(conn, "k1", "loopback", "http://127.0.0.1:1/RPC", "secret", NOW)
        switches.serve(conn, "k1", "t1", NOW)
        yield conn
    engine.dispose()


def issue(conn, number: int, status: str, account: str = "acme", tenant: str = "t1", at_ms: int = NOW, opened_key: bool = False):
    order = BlockOrder(
        order_id=f"order-{number}", key=Key(tenant=tenant, account=account), action="refuse", created_at_ms=at_ms, learned_ms=at_ms,
        expires_at_ms=at_ms + 60 * MINUTE, finding_id="finding-1", reason="talk to a range",
    )  # fmt: skip
    orders.write(conn, order, Decision(status, "", opened_key, order.expires_at_ms), at_ms, automatic=True)
    return order


def test_orders_of_each_minute_are_one_block_since_the_first(conn):
    for number in range(5):
        issue(conn, number, "standing", at_ms=NOW + number * MINUTE)
    (blocked,) = orders.blocked_keys(conn, NOW + 5 * MINUTE)
    assert blocked.newest.order.order_id == "order-4"
    assert (blocked.since_ms, blocked.until_ms) == (NOW, NOW + 64 * MINUTE)
    assert orders.blocked_counts(conn, NOW) == {"standing": 1}


def test_a_long_block_begins_with_the_order_that_opened_its_key(conn):
    issue(conn, 0, "standing", opened_key=True)
    for number in range(1, 180):
        issue(conn, number, "standing", at_ms=NOW + number * MINUTE)
    orders.expire(conn, NOW + 179 * MINUTE)
    (blocked,) = orders.blocked_keys(conn, NOW + 179 * MINUTE)
    assert blocked.since_ms == NOW


def test_a_finding_has_its_newest_live_order(conn):
    issue(conn, 1, "standing")
    issue(conn, 2, "standing", at_ms=NOW + 1)
    assert orders.of_findings(conn, ["finding-1", "finding-2"])["finding-1"].order.order_id == "order-2"
    orders.lift(conn, Key(tenant="t1", account="acme"), "anna", "customer called", NOW + 2)
    assert orders.of_findings(conn, ["finding-1"]) == orders.of_findings(conn, []) == {}


def test_blocked_keys_are_sorted_newest_first_without_expired_ones(conn):
    issue(conn, 1, "standing")
    issue(conn, 2, "waiting", account="blue", at_ms=NOW + 1)
    issue(conn, 3, "shadow", account="acme", tenant="t2", at_ms=NOW + 2)
    issue(conn, 4, "lifted", account="gone")

    def shown(tenant: str = "", now_ms: int = NOW) -> list[tuple[str, str, str]]:
        return [
            (one.newest.order.key.tenant, one.newest.order.key.account, one.newest.status) for one in orders.blocked_keys(conn, now_ms, tenant)
        ]

    assert shown() == [("t2", "acme", "shadow"), ("t1", "blue", "waiting"), ("t1", "acme", "standing")]
    assert shown("t1") == [("t1", "blue", "waiting"), ("t1", "acme", "standing")]
    assert shown(now_ms=NOW + 61 * MINUTE) == []
    assert orders.blocked_counts(conn, NOW, "t1") == {"standing": 1, "waiting": 1}
    assert [one.newest.order.key.account for one in orders.blocked_keys(conn, NOW, count=1)] == ["acme"]


def test_the_newest_order_of_a_key_has_its_status(conn):
    key = issue(conn, 1, "standing").key
    assert orders.newest(conn, key).status == "standing"
    orders.lift(conn, key, "anna", "customer called", NOW + 1)
    assert orders.newest(conn, key).status == "lifted"
    assert orders.newest(conn, Key(tenant="t1", account="nobody")) is None


def test_at_which_switches_a_block_is(conn):
    key = issue(conn, 1, "standing").key
    (row,) = deliveries.of_one_key(conn, key)
    assert (row.switch, row.table, row.due, row.delivered_at_ms) == ("k1", deliveries.SHADOW, True, None)
    deliveries.acknowledge(conn, [row], NOW + 7)
    (row,) = deliveries.of_one_key(conn, key)
    assert (row.due, row.delivered_at_ms) == (False, NOW + 7)


@pytest.mark.parametrize(("who", "why"), [("", "why"), ("anna", ""), (" ", "why"), ("anna", " ")])
def test_an_action_of_a_person_needs_a_name_and_a_reason(conn, who: str, why: str):
    key, waiting = issue(conn, 1, "standing").key, issue(conn, 2, "waiting", account="blue").order_id
    for act in (
        lambda: orders.lift(conn, key, who, why, NOW),
        lambda: orders.approve(conn, waiting, who, why, NOW),
        lambda: orders.deny(conn, waiting, who, why, NOW),
    ):
        with pytest.raises(orders.Refused):
            act()
    assert orders.blocked_counts(conn, NOW) == {"standing": 1, "waiting": 1}
