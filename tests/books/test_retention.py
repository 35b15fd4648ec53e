"""Rows that retention removes from the books, and rows that it never removes."""

from __future__ import annotations

import pytest

from books import alerts, audit, migrate, open_books, orders, reading, suppressions, tables, writing
from books.retention import DAY_MS, held, newest_ms, remove_audit, remove_old
from core.decide import Decision
from core.orders import BlockOrder, Finding, Key

NOW_MS = 1_795_000_000_000
ACME = Key(tenant="t1", account="acme")


@pytest.fixture
def engine(books_dsn):
    engine = open_books(books_dsn)
    migrate(engine)
    yield engine
    engine.dispose()


def order(conn, order_id: str, status: str, days_ago: float, **changes) -> None:
    at_ms = NOW_MS - round(days_ago * DAY_MS)
    facts = {"created_at_ms": at_ms, "learned_ms": at_ms, "expires_at_ms": at_ms, "finding_id": "f", "action": "refuse", "reason": "x"} | changes
    orders.write(conn, BlockOrder(order_id=order_id, key=ACME, **facts), Decision(status, "", False, facts["expires_at_ms"]), at_ms, automatic=True)


def alert(conn, finding_id: str, days_ago: float) -> None:
    at_ms = NOW_MS - round(days_ago * DAY_MS)
    facts = dict.fromkeys(Finding.__struct_fields__, 0) | dict.fromkeys(("tenant", "detector", "subject_kind", "subject", "currency", "reason"), "x")
    finding = Finding(**(facts | {"finding_id": finding_id, "example_call_ids": (), "key": None, "score": 1.0}))
    alerts.upsert(conn, finding, at_ms)


def test_old_alerts_and_ended_orders_are_removed_and_live_ones_stay(engine):
    with writing(engine) as conn:
        for n, days_ago in enumerate((500, 401, 399, 0)):
            alert(conn, f"alert-{n}", days_ago)
        for status in ("lifted", "expired", "refused", "stale", "suppressed"):
            order(conn, f"old-{status}", status, 401)
            order(conn, f"new-{status}", status, 399)
        for status in ("standing", "shadow", "waiting"):
            order(conn, f"old-{status}", status, 500)
        order(conn, "over lately", "lifted", 401, expires_at_ms=NOW_MS - DAY_MS)
        suppressions.add(conn, ACME, NOW_MS - 401 * DAY_MS, "ann", "", NOW_MS - 402 * DAY_MS)
        suppressions.add(conn, ACME, NOW_MS + DAY_MS, "ann", "", NOW_MS - 402 * DAY_MS)
    with writing(engine) as conn:
        assert remove_old(conn, NOW_MS, 0, 0) == {}, "0 days is for ever"
        gone = remove_old(conn, NOW_MS, 400, 400)
        assert gone["alerts"] == 2 and gone["suppressions"] == 1
        assert remove_old(conn, NOW_MS, 400, 400) == {}
        left = {row[0] for row in conn.execute(tables.block_orders.select().with_only_columns(tables.block_orders.c.order_id))}
    assert {"old-standing", "old-shadow", "old-waiting", "over lately", *(f"new-{s}" for s in ("lifted", "expired", "refused"))} <= left
    assert not {f"old-{s}" for s in ("expired", "refused", "stale", "suppressed")} & left


@pytest.mark.parametrize("value", ["held", "held;cut", "held;throttle=6"])
def test_an_order_that_a_switch_still_holds_stays(engine, value):
    with writing(engine) as conn:
        order(conn, "held", "lifted", 500)
        numbers = {"until_ms": 1, "due": False, "urgency": 1, "changed_ms": 1}
        conn.execute(tables.deliveries.insert().values(switch="k1", table_name="blocks", name="t1|A|acme||", value=value, **numbers))
        assert remove_old(conn, NOW_MS, 400, 400) == {}


def test_retention_removes_a_limited_number_at_once(engine):
    with writing(engine) as conn:
        for n in range(25):
            alert(conn, f"alert-{n}", 500)
        assert [remove_old(conn, NOW_MS, 400, 400, most=10) for _ in range(4)] == [{"alerts": 10}, {"alerts": 10}, {"alerts": 5}, {}]


def test_removal_of_audit_lines_is_itself_audited(engine):
    with writing(engine) as conn:
        for days_ago in (900, 801, 799, 1):
            audit.note(conn, "ann", "blocked", "acme", "", NOW_MS - days_ago * DAY_MS)
        assert remove_old(conn, NOW_MS, 1, 1) == {}
    with writing(engine) as conn:
        assert remove_audit(conn, NOW_MS, 800, "ann") == 2
        assert remove_audit(conn, NOW_MS, 800, "ann") == 0
    with reading(engine) as conn:
        said = audit.last(conn)
        assert [entry.verb for entry in said] == ["removed", "blocked", "blocked"] and said[0].why.startswith("2 lines older than 800 days, up to ")
        assert held(conn)["audit"].rows == 3 and newest_ms(conn) == NOW_MS
    for change in (tables.audit.delete(), tables.audit.update().values(who="eve")):
        with pytest.raises(Exception, match="the audit is append only"), writing(engine) as conn:
            conn.execute(change)


def test_a_removal_of_the_audit_that_fails_leaves_it_append_only_and_whole(engine):
    with writing(engine) as conn:
        audit.note(conn, "ann", "blocked", "acme", "", NOW_MS - 900 * DAY_MS)

    def cut_off() -> None:
        with writing(engine) as conn:
            remove_audit(conn, NOW_MS, 800, "ann")
            raise RuntimeError("killed before its end")

    with pytest.raises(RuntimeError):
        cut_off()
    with pytest.raises(Exception, match="the audit is append only"), writing(engine) as conn:
        conn.execute(tables.audit.delete())
    with reading(engine) as conn:
        assert len(audit.last(conn)) == 1
