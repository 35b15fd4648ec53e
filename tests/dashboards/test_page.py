"""What the page shows and what a person can do on it, in each state of an installation."""

from __future__ import annotations

import re
import socket
from decimal import Decimal

import pytest

from books import audit, orders, reading
from core.clock import wall_clock_ms
from core.orders import Key
from dashboards import current

ACT = "the-token-to-act-on-it"
SIX = ("rated", "event", "unrated", "reject", "duplicate", "conflict")


def text(html: str) -> str:
    """The text without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def audited(house, verb: str) -> list[tuple[str, str, str]]:
    with reading(house.engine) as conn:
        return [(entry.who, entry.subject, entry.why) for entry in audit.last(conn, 10, verb)]


def act_as(page, name: str = "anna", token: str = ACT):
    page.fill("rf_enter", name, token)
    return page.press("rf_enter_do")


# --- states ---


def test_an_empty_installation_has_empty_states(page):
    html = page().refreshed().html
    shown = text(html)
    assert "No records in the last 15 minutes." in shown and "No alerts yet." in shown
    assert "No active blocks, and none waiting for approval." in shown
    assert "✓ every record is accounted for" in shown and "live" in shown and 'class="rf-problem' not in html


def test_traffic_is_shown_exactly_per_second_and_as_sums(page, house):
    now_ms = wall_clock_ms()
    house.calls(("EUR", "EUR", 3_000_000_001, 1_000_000_000), ("EUR", "USD", 1_000_000_000, 7_000_000_000), ago_ms=9_000)
    house.records(*SIX, "rated", ago_ms=9_000)
    shown = text(page(clock=lambda: now_ms).refreshed().html)
    assert "Sold 0.4000 EUR per second" in shown, "4.000000001 EUR over ten seconds"
    assert "4.00 EUR in 15 min" in shown and "7.00 USD in 15 min" in shown
    assert "2.00 EUR in 15 min, without 1 call bought in another currency" in shown, "there is no margin across currencies"
    money = current.sources().traffic("t1").value.money
    assert sorted(one.sell for one in money.values()) == [Decimal("1"), Decimal("3.000000001")]


def test_dispositions_add_up_and_are_counted_by_day(page, house):
    house.records(*SIX)
    house.records(*SIX, "rated", ago_ms=3 * 86_400_000)
    shown = text(page().refreshed().html)
    six = "rated + 2 events + 2 unrated + 2 rejected + 2 duplicates + 2 conflicts ✓ every record is accounted for"
    assert f"Received 13 = 3 {six}" in shown
    house.records("rated")
    assert f"Received 14 = 4 {six}" in text(page().refreshed().html)


def test_a_record_without_a_disposition_is_shown_in_red(page, house):
    house.records("rated", "mislaid")
    assert "✗ 1 RECORD HAS NO DISPOSITION" in text(page().refreshed().html)


def test_an_alert_and_its_block_are_shown_with_reason_exposure_and_switch(page, house):
    house.attack()
    shown = text(page().refreshed().html)
    assert "blocked 1,234,567.89 EUR" in shown and "1.5 times the threshold" in shown
    assert "account acme, caller +4366••••••67, to +88213001… refused" in shown
    assert re.search(r"k1 refuses, confirmed .*\d\d UTC", shown)


def test_a_block_without_a_switchs_confirmation_is_shown_as_pending(page, house):
    key = house.attack()
    from books import deliveries, writing

    with writing(house.engine) as conn:
        deliveries.make_due(conn, "k1", deliveries.BLOCKS, [one.name for one in deliveries.of_one_key(conn, key)])
    shown = text(page().refreshed().html)
    assert "k1 has not confirmed it yet" in shown and "1" in shown


def test_a_warehouse_that_is_down_leaves_the_last_figures_and_the_blocks(page, house):
    house.records("rated", ago_ms=9_000)
    house.calls(("EUR", "EUR", 5_000_000_000, 1), ago_ms=9_000)
    key = house.attack()
    view = page().refreshed()
    house.server.close()
    shown = text(view.refreshed().html)
    assert "The warehouse does not answer (RINGFENCE_WAREHOUSE)" in shown and re.search(r"below are [\d.]+ \w+ old", shown)
    assert "the-token" not in view.html
    assert "5.00 EUR in 15 min" in shown, "the last good answer stays"
    act_as(view).press(f"rf_unblock_{key.text()}")
    view.fill("rf_decide", why="customer called")
    view.press("rf_do")
    assert [one[0] for one in audited(house, "lifted")] == ["anna"]


def test_a_warehouse_that_hangs_does_not_delay_the_page(page, house):
    key = house.attack()
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        view = page(warehouse=f"http://reader:secret@127.0.0.1:{hanging.getsockname()[1]}")
        assert f"rf_unblock_{key.text()}" in {button.key for button in view.run().at.button}
        assert "1 active" in text(view.html)


def test_unreachable_books_are_shown_with_what_still_works(page, house):
    shown = text(page(books="postgresql://rf:geheim@127.0.0.1:1/books").refreshed().html)
    assert "The books do not answer (RINGFENCE_BOOKS)" in shown and "Nothing was read yet" in shown
    assert "geheim" not in shown


def test_a_part_that_is_down_is_shown_in_red_with_what_still_works(page, part):
    judge, store, gone = part(), part(), part()
    store.why = "the warehouse has refused a batch"
    gone.close()
    view = page(parts={"judge": judge.url, "store": store.url, "dispatcher": gone.url})
    html, shown = view.refreshed().html, text(view.html)
    assert "dispatcher is down: it is not running" in shown and "ringfence unblock --all" in shown
    assert "store is not ready: the warehouse has refused a batch" in shown
    assert 'class="rf-chip green" title="ready"><b>judge</b>' in html and 'class="rf-chip red"' in html
    judge.alive = False
    assert "judge is down: it is running and does not work" in text(view.refreshed().html)


def test_a_switch_on_hold_is_shown(page, house):
    from books import switches, writing

    with writing(house.engine) as conn:
        switches.hold(conn, "k1", "anna", "wrong blocks", 1)
    assert "Switch k1 is held by anna: wrong blocks. No block of ours acts there." in text(page().refreshed().html)


# --- rights ---


def test_numbers_are_masked_until_a_person_may_act(page, house):
    house.attack()
    view = page().refreshed()
    assert "436641234567" not in view.html and "4366••••••67" in view.html and "88213001" in view.html
    act_as(view)
    assert "436641234567" in view.html and "4366••••••67" not in view.html
    view.press("rf_leave")
    assert "436641234567" not in view.html


@pytest.mark.parametrize(
    ("name", "token", "message"), [("anna", "guessed", "token is wrong"), ("", ACT, "Enter your name"), ("a\x00b", ACT, "printable characters")]
)
def test_a_wrong_token_or_no_name_opens_nothing(page, house, name: str, token: str, message: str):
    house.attack()
    view = act_as(page().refreshed(), name, token)
    assert message in text(view.html) and "436641234567" not in view.html
    assert "rf_leave" not in {button.key for button in view.at.button}


def test_a_session_does_not_share_its_rights(page, house):
    house.attack()
    anna = act_as(page().refreshed())
    from streamlit.testing.v1 import AppTest

    from dashboards.serve import PAGE

    other = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert "436641234567" in anna.html
    assert not any("436641234567" in element.proto.body for element in other.get("html"))


# --- actions ---


def test_unblock_acts_in_the_name_of_the_person_and_is_in_the_audit(page, house):
    key = house.attack()
    view = page().refreshed().press(f"rf_unblock_{key.text()}")
    assert "Calls pass again at once" in text(view.html)
    view.fill("rf_decide", "anna", ACT, "customer called, ticket 4711")
    view.press("rf_do")
    assert audited(house, "lifted") == [("anna", key.text(), "customer called, ticket 4711")]
    with reading(house.engine) as conn:
        assert orders.blocked_keys(conn, 0) == [] and orders.find(conn, "order-1").decided_by == "anna"
    shown = text(view.html)
    assert "No active blocks, and none waiting for approval." in shown and "1 order lifted" in shown and "lifted by anna" in shown
    assert "rf_do" not in {button.key for button in view.at.button}, "the dialog is closed"


@pytest.mark.parametrize(("token", "why", "message"), [("guessed", "why", "token is wrong"), (ACT, " ", "Enter a reason")])
def test_nothing_is_done_without_the_token_and_a_reason(page, house, token: str, why: str, message: str):
    key = house.attack()
    view = page().refreshed().press(f"rf_unblock_{key.text()}")
    view.fill("rf_decide", "anna", token, why)
    view.press("rf_do")
    assert message in text(view.html) and audited(house, "lifted") == []
    with reading(house.engine) as conn:
        assert orders.find(conn, "order-1").status == "standing"


def test_a_waiting_order_is_approved_or_denied_by_a_person(page, house):
    first, second = house.attack("waiting", 1), house.attack("waiting", 2, account="blue")
    view = act_as(page().refreshed())
    assert "waits for approval" in text(view.html) and "a limit was reached" in text(view.html)
    view.press(f"rf_approve_{first.text()}").fill("rf_decide", why="confirmed with the customer")
    view.press("rf_do")
    view.press(f"rf_deny_{second.text()}").fill("rf_decide", why="their yearly campaign")
    view.press("rf_do")
    assert audited(house, "approved") == [("anna", first.text(), "confirmed with the customer")]
    assert audited(house, "lifted") == [("anna", second.text(), "denied: their yearly campaign")]
    with reading(house.engine) as conn:
        assert [orders.find(conn, f"order-{n}").status for n in (1, 2)] == ["standing", "lifted"]


def test_a_decision_that_somebody_else_made_first_is_shown(page, house):
    key = house.attack("waiting")
    view = act_as(page().refreshed()).press(f"rf_approve_{key.text()}")
    from books import writing

    with writing(house.engine) as conn:
        orders.deny(conn, "order-1", "ben", "I was first", 1)
    view.fill("rf_decide", why="confirmed")
    view.press("rf_do")
    assert "Not done: order order-1 is not waiting: it is lifted." in text(view.html)


# --- tenants ---


def test_each_tenant_is_shown_alone_or_all_together(page, house):
    from books import tenants, writing

    with writing(house.engine) as conn:
        tenants.add(conn, "t2", 0)
    house.records("rated", "rated", tenant="t1")
    house.records("event", tenant="t2")
    house.calls(("EUR", "EUR", 5_000_000_000, 0), ago_ms=9_000, tenant="t1")
    house.calls(("GBP", "GBP", 6_000_000_000, 0), ago_ms=9_000, tenant="t2")
    house.attack(number=1, account="acme")
    house.attack(number=2, account="blue", tenant="t2")
    view = page().refreshed()
    assert view.at.selectbox(key="tenant").options == ["all tenants", "t1", "t2"]
    assert "acme" in view.html and "blue" in view.html and "GBP" in view.html and "EUR" in view.html
    view.at.selectbox(key="tenant").select("t2")
    view.run().refreshed()
    assert "blue" in view.html and "acme" not in view.html
    assert "GBP" in view.html and "5.00 EUR" not in text(view.html)
    assert "Received 1 = 0 rated + 1 event" in text(view.html)


# --- hostile text ---

HOSTILE = '</p><script>alert(1)</script><img src=x onerror=alert(2)> **bold** [link](https://evil.example) $x$ :red[x] \u202egnp.exe'


def test_hostile_text_is_shown_as_text(page, house):
    from books import alerts, writing
    from core.orders import Finding

    finding = Finding(
        finding_id="finding-9", tenant="t1", detector="<b>burst</b>", subject_kind="account", subject=HOSTILE, detected_at_ms=1, first_ms=1,
        last_ms=1, calls=1, exposure_nanos=1, currency="<i>", score=1.0, reason=HOSTILE, example_call_ids=[], key=None,
    )  # fmt: skip
    with writing(house.engine) as conn:
        alerts.upsert(conn, finding, 1)
        orders.block(conn, Key(tenant="t1", account="acme"), 3_600_000, HOSTILE[:50], HOSTILE, 2_000_000_000_000)
    view = page().refreshed()
    assert "<script" not in view.html and "<img" not in view.html and "<b>burst" not in view.html and "<i>" not in view.html
    assert "&lt;script&gt;alert(1)" in view.html and "\u202e" not in view.html
    assert not view.at.markdown, "no text from outside is rendered as Markdown"


def test_a_hostile_name_of_a_person_is_shown_as_text(page, house):
    view = act_as(page().refreshed(), "<b>anna</b> :red[x]")
    assert [element.value for element in view.at.text] == ["You act as <b>anna</b> :red[x] and see full numbers."]
    assert not view.at.markdown
