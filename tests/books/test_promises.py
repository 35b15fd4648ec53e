"""Config versions, decks, credentials, tenants, lists, leases and progress in the books."""

from __future__ import annotations

import re

import msgspec
import phonenumbers
import pytest
import sqlalchemy as sa

from books import (
    alerts,
    configs,
    credentials,
    decks,
    deliveries,
    leases,
    lists,
    open_books,
    orders,
    progress,
    switches,
    tables,
    tenants,
    writing,
)
from books.emergency import CRISIS_LINES, EU, countries, emergency_numbers, lifelines
from core.config import Account, Config
from core.facts import Facts
from core.orders import Finding, Key
from core.parts import BUCKETS

NOW = 1_795_000_000_000


@pytest.fixture
def conn(books_dsn):
    engine = open_books(books_dsn)
    with writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
        yield conn
    engine.dispose()


def test_a_config_version_is_numbered_and_never_changes(conn):
    deck = decks.add(conn, b"prefix,rate\n43,0.01\n", "EUR", "ann", NOW)
    first = Config(accounts=(Account(tenant="t1", name="acme", sell_deck="retail"),), decks={"t1/retail": deck})
    assert configs.latest(conn) == 0
    assert configs.publish(conn, first, "ann", "first prices", NOW) == 1
    assert configs.publish(conn, Config(), "ann", "none", NOW + 1) == 2
    assert configs.load(conn, 1) == msgspec.structs.replace(first, version=1)
    with pytest.raises(KeyError):
        configs.load(conn, 3)


def test_a_part_that_two_versions_have_is_stored_once(conn):
    accounts = tuple(Account(tenant="t1", name=f"account-{n}") for n in range(2_000))
    configs.publish(conn, Config(accounts=accounts), "ann", "first", NOW)
    changed = (*accounts[:-1], msgspec.structs.replace(accounts[-1], first_seen_destination=True))
    configs.publish(conn, Config(accounts=changed), "ann", "one account", NOW + 1)
    one, other = (set(configs.parts(conn, version).values()) for version in (1, 2))
    assert len(one) == len(other) == BUCKETS and len(other - one) == 1
    assert conn.execute(sa.select(sa.func.count()).select_from(tables.config_parts)).scalar() == BUCKETS + 1


def test_a_config_that_names_an_unknown_deck_is_refused(conn):
    with pytest.raises(ValueError, match="do not have"):
        configs.publish(conn, Config(decks={"t1/retail": "0" * 64}), "ann", "typo", NOW)


def test_equal_price_lists_are_one_version_under_any_name(conn):
    csv = b"prefix,rate\n43,0.01\n"
    one = decks.add(conn, csv, "EUR", "ann", NOW)
    assert decks.add(conn, csv, "EUR", "bob", NOW + 1) == one
    assert decks.content(conn, one) == ("EUR", csv)
    assert decks.add(conn, csv, "USD", "ann", NOW) != one


def test_a_token_stands_for_its_tenants_until_it_is_revoked(conn):
    credentials.add(conn, ["t2", "t1"], "k1", "a-long-enough-token", ["127.0.0.0/8"], NOW)
    found = credentials.find(conn, "a-long-enough-token")
    assert found and (found.tenants, found.switch) == (("t1", "t2"), "k1")
    assert found.allows("127.0.0.1") and not found.allows("192.0.2.1")
    assert credentials.find(conn, "another-token-here") is None
    token_id = credentials.id_of("a-long-enough-token")
    assert credentials.revoke(conn, token_id, NOW + 1) and not credentials.revoke(conn, token_id, NOW + 2)
    with pytest.raises(ValueError, match="at least one tenant"):
        credentials.add(conn, [], "k1", "a-long-enough-token", [], NOW)
    assert credentials.find(conn, "a-long-enough-token") is None


@pytest.mark.parametrize("name", ["", "a|b", "a b", "x" * 65, "a/b", "ä"])
def test_a_tenants_name_cannot_break_a_blocks_entry(conn, name):
    with pytest.raises(ValueError, match="no tenant's name"):
        tenants.add(conn, name, NOW)


def test_shadow_is_the_default_for_every_switch_and_tenant(conn):
    tenants.add(conn, "t2", NOW)
    switches.add(conn, "k1", "kamailio", "http://127.0.0.1:1/RPC", "token", NOW)
    switches.serve(conn, "k1", "t1", NOW)
    assert not switches.enforcing(conn, "k1", "t1")
    switches.set_enforcing(conn, "k1", "t1", True, "ann", "we have watched it for a week", NOW)
    switches.serve(conn, "k1", "t1", NOW)  # again: nothing changes
    assert switches.enforcing(conn, "k1", "t1") and not switches.enforcing(conn, "k1", "t2")


def test_seeding_emergency_numbers_keeps_a_persons_reason(conn):
    lists.add(conn, "protected", "number", "112", "our own word", "ann", NOW)
    assert lists.seed_emergency(conn, ["AT", "US"], NOW) > 5
    assert lists.seed_emergency(conn, ["AT", "US"], NOW) == 0
    protected = lists.protected(conn)
    assert {"112", "122", "133", "144", "911", "116123", "142", "988"} <= set(protected.numbers)
    assert [row.why for row in lists.every(conn, "protected") if row.value == "112"] == ["our own word"]


def test_every_country_has_its_emergency_numbers():
    assert len(countries()) > 230
    assert {"110", "119"} == set(emergency_numbers("JP")) and "999" in emergency_numbers("GB")
    assert {"112", "911"} <= set(lifelines([]))
    without = [country for country in countries() if not emergency_numbers(country)]
    assert len(without) < 3, without


def test_crisis_lines_are_numbers_of_their_country():
    unknown = {("IN", "14416"), ("BR", "188"), ("HK", "18111"), ("KR", "109")}  # younger than the metadata
    for country, digits, what in CRISIS_LINES:
        assert 2 < len(digits) <= 6 and what
        known_in = [
            c
            for c in (EU if country == "EU" else [country])
            if (m := phonenumbers.PhoneMetadata.short_metadata_for_region(c))
            and re.fullmatch(m.short_code.national_number_pattern, digits)
        ]
        assert known_in or (country, digits) in unknown, (country, digits)


def test_a_protected_name_may_be_of_one_tenant_and_a_number_is_of_all(conn):
    lists.add(conn, "protected", "trunk", "own", "our own line", "ann", NOW)
    assert lists.protected(conn).trunks == {"own"}
    lists.add(conn, "protected", "account", "acme", "ours", "ann", NOW, "t1")
    assert lists.protected(conn).accounts == {"t1/acme"}
    with pytest.raises(ValueError, match="for every tenant"):
        lists.add(conn, "protected", "number", "4314040", "a hospital", "ann", NOW, "t1")
    assert lists.remove(conn, "protected", "trunk", "own", "sold", "ann", NOW)
    assert not lists.protected(conn).trunks
    assert lists.remove(conn, "protected", "account", "acme", "sold", "ann", NOW, "t1")
    assert not lists.protected(conn).accounts


def test_a_later_message_of_a_finding_replaces_the_earlier(conn):
    def finding(calls: int, **more: object) -> Finding:
        return Finding(
            finding_id="finding-1", tenant="t1", detector="burst", subject_kind="account", subject="acme", detected_at_ms=NOW,
            first_ms=NOW, last_ms=NOW + calls, calls=calls, exposure_nanos=10**12, currency="EUR", score=1.5, reason="a burst",
            example_call_ids=["c1"], key=Key(tenant="t1", account="acme"), **more,
        )  # fmt: skip

    alerts.upsert(conn, finding(10), NOW)
    alerts.upsert(conn, finding(20), NOW + 1)
    assert alerts.count(conn) == 1 and alerts.find(conn, "finding-1") == finding(20)
    for facts in (Facts(subject_kind="unpriced", account="acme", dialled=["1#2\x00", "”"], usual_nanos=0), None):
        alerts.upsert(conn, finding(21, facts=facts), NOW + 2)
        assert alerts.find(conn, "finding-1") == finding(21, facts=facts)
    alerts.upsert(conn, finding(22, facts=Facts(subject_kind="account", account="a" * 9_000)), NOW + 3)
    assert alerts.find(conn, "finding-1") == finding(22), "more than any of ours has: the reason stands for it"


def test_a_lease_has_one_holder_and_its_number_only_rises(conn):
    first = leases.acquire(conn, "switch k1", "a", 10_000, NOW)
    assert first and leases.acquire(conn, "switch k1", "b", 10_000, NOW + 9_999) is None
    again = leases.acquire(conn, "switch k1", "a", 10_000, NOW + 5_000)
    assert again and again.fence == first.fence
    second = leases.acquire(conn, "switch k1", "b", 10_000, NOW + 15_000)
    assert second and second.fence == max(first.fence + 1, NOW + 15_000), "beyond what any older books gave out"
    leases.release(conn, second)
    third = leases.acquire(conn, "switch k1", "a", 10_000, NOW + 15_001)
    assert third and third.fence == second.fence + 1


def test_progress_is_stored_by_reader_topic_and_partition(conn):
    assert progress.load(conn, "dispatcher", "findings", 0) is None
    progress.store(conn, "dispatcher", "findings", 0, 7)
    progress.store(conn, "dispatcher", "findings", 1, 8)
    assert progress.load(conn, "dispatcher", "findings", 0) == 7


def test_queries_of_each_order_use_an_index(conn):
    asked = []
    sa.event.listen(conn, "before_cursor_execute", lambda _c, _u, text, values, _x, _m: asked.append((text, values)))
    key = Key(tenant="t1", account="acme", b_range="88213")
    deliveries.touch(conn, key, NOW)
    orders.standing_of(conn, key, NOW)
    orders.find(conn, "order-1")
    on_server = conn.dialect.name == "postgresql"
    if on_server:  # it scans what is empty, unless it is told not to
        conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain, step_at, scans = ("EXPLAIN ", 0, "Seq Scan") if on_server else ("explain query plan ", 3, "SCAN")
    assert len(asked) > 4
    for text, values in asked[: len(asked) - on_server]:
        plan = [row[step_at] for row in conn.exec_driver_sql(explain + text, values)]
        assert not [step for step in plan if scans in step and "switch" not in step], (text, plan)
