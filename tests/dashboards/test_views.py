"""What each page shows and does: as an analyst, a carrier manager and a finance person use it, and with bad input."""

from __future__ import annotations

import time
from html import unescape

import pytest

from books import audit, orders, reading, route_tests, runs, takes, tenants, users, verdicts, writing
from core.clock import wall_clock_ms
from core.orders import Key
from core.route_tests import RouteTest
from dashboards import jobs
from dashboards.desk import PAGES
from flows.warehouse_server import serve
from services.backtest import policy_in_force


def wait_until(done) -> None:
    until_s = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until_s, "it is not done after a minute"
        time.sleep(0.1)


IN_THE_BOOKS = ("cases", "blocks", "rules", "quote", "decks", "invoices", "reconciliation", "disputes", "controls", "runs", "people")
"""Pages that need no warehouse."""
LOOK = "the-token-to-look-at-it"
HOSTILE = "<script>alert(1)</script> **bold** :red[x]"


@pytest.fixture
def as_(page, house):
    """`as_(role)` signs a user with this role for t1 in."""

    def sign_in(role: str = "tenant-admin"):
        with writing(house.engine) as conn:
            users.add(conn, "anna", "", "test", "test", 0)
            users.set_role(conn, "anna", "t1", role, True, "test", "test", 0)
        return page(user="anna")

    return sign_in


def statuses(house, key: Key) -> list[tuple[str, str]]:
    with reading(house.engine) as conn:
        return [(one.order.by, one.status) for one in orders.select(conn) if one.order.key == key]


# --- alerts ---


def test_what_still_passes_comes_first_and_is_blocked_in_two_presses(as_, house):
    house.attack("standing", 1, account="blocked")
    key = house.attack("expired", 2, account="passing")
    view = as_("analyst").open("alerts")
    assert view.html.index("passing") < view.html.index("blocked"), "what a person must decide comes first"
    view.press("rf_act_block")
    assert view.at.text_input(key="rf_why").value.startswith("alert: "), "the reason is prefilled: the second press confirms"
    view.press("rf_do")
    assert ("anna", "standing") in statuses(house, key) and "its new calls are refused for 1 h" in view.text


def test_a_second_block_of_the_same_calls_is_refused_with_who_was_first(as_, house):
    key = house.attack("expired", 1)
    view = as_("analyst").open("alerts").press("rf_act_block")
    with writing(house.engine) as conn:
        orders.block(conn, key, 3_600_000, "ben", "I was first", wall_clock_ms())
    view.press("rf_do")
    assert "Not done: ben has blocked it already" in view.text
    assert [by for by, _ in statuses(house, key) if by in ("anna", "ben")] == ["ben"]


def test_a_verdict_is_two_presses_and_is_shown_with_who_gave_it(as_, house):
    house.attack("standing", 1)
    view = as_("analyst").open("alerts").press("rf_verdict_not_fraud")
    assert view.at.selectbox(key="rf_for").value == "7 days"
    view.press("rf_do")
    assert "not fraud. 1 order is lifted. “burst of money” is quiet about it for 7d." in view.text
    with reading(house.engine) as conn:
        assert [(one.verdict, one.who) for one in verdicts.every(conn, "t1")] == [("not fraud", "anna")]
    assert "anna said" in view.refreshed().text


def test_of_two_analysts_one_has_the_alert_and_the_other_sees_who(as_, house):
    house.attack(number=1)
    view = as_("analyst").open("alerts")
    with writing(house.engine) as conn:
        takes.take(conn, "finding-1", "ben", False, 1)
    view.press("rf_take")
    assert "ben was quicker" in view.text
    view.run()
    assert "ben works on it since" in view.text and "Take over" in view.labels()
    view.press("rf_take").run()
    assert "anna works on it since" in view.text and "Give back" in view.labels()
    with reading(house.engine) as conn:
        assert [one.who for one in audit.last(conn, 10, "took an alert over")] == ["anna"]


def test_the_next_alert_is_one_key_away_and_the_address_names_it(as_, house):
    house.attack(number=1, account="one")
    house.attack(number=2, account="two")
    view = as_("analyst").open("alerts")
    assert view.at.query_params.get("alert") is None
    view.press("rf_next")
    assert view.at.query_params["alert"] == "finding-2"
    view.press("rf_next")
    assert view.at.query_params["alert"] == "finding-1"


def test_an_alert_shows_its_last_hour_and_its_calls(as_, house):
    house.attack(number=1)
    place = house.call("acme", "436641234567", "88213001777", 90, 5_000_000_000, call_id="call-1")
    view = as_("analyst").open("alerts")
    assert f'href="/calls?call={place}&amp;tenant=t1"' in view.html and "4366••••••67" in view.html and "436641234567" not in view.html
    assert len(view.at.get("vega_lite_chart")) == 1 and "EUR per minute" in view.text


# --- the rule lab ---


def test_a_rule_is_tried_in_the_background_and_goes_its_way_by_two_people(as_, page, house):
    house.publish()
    house.records("event", "event")
    view = as_("analyst").open("rules", rf_rule_detector="burst")
    view.at.selectbox(key="rf_rule_detector").set_value("burst")
    view.run()
    view.at.text_input(key="rf_rule_burst_account_floor").set_value("lots")
    view.at.text_input(key="rf_rule_why").set_value("too many alerts")
    view.press("rf_rule_try")
    assert "policy.detectors.burst.account_floor: 'lots' is not a number" in unescape(view.text)
    view.at.text_input(key="rf_rule_burst_account_floor").set_value("240")
    view.press("rf_rule_try")
    wait_until(lambda: (job := jobs.of(("try", "t1"))) is None or job.over)
    view.run().run()
    assert "detectors.burst.account_floor = 240" in view.refreshed().text, view.text
    view.open("rules", change="1")
    for step in ("shadow", "asked"):
        view.at.text_input(key="rf_rule_step_why").set_value("agreed")
        view.press(f"rf_rule_to_{step}")
    assert "rf_rule_to_promoted" not in {button.key for button in view.at.button}, "an analyst does not promote"
    with writing(house.engine) as conn:
        users.add(conn, "ben", "", "test", "test", 0)
        users.set_role(conn, "ben", "t1", "fraud-lead", True, "test", "test", 0)
    lead = page(user="ben").open("rules", change="1")
    lead.at.text_input(key="rf_rule_step_why").set_value("looks right")
    lead.press("rf_rule_to_promoted")
    with reading(house.engine) as conn:
        assert policy_in_force(conn, "t1").detectors == {"burst": {"account_floor": 240.0}}
    assert "promoted, by ben" in lead.refreshed().text


# --- blocks and lists ---


def test_blocks_say_what_they_caught_and_where_they_stand(as_, house):
    house.attack(number=1)
    house.refused("order-1", 3)
    house.refused("shadow:order-1", 2)
    house.refused("unknown-order", 7)
    shown = as_("read-only").open("blocks").text
    assert "refused 3 calls and would have refused 2 calls in the last 7 days" in shown and "k1 refuses, confirmed" in shown


def test_a_new_block_is_weighed_against_yesterday_before_anybody_orders_it(as_, house):
    house.publish()
    house.call("acme", "436641234567", "88213001777", 60, 2_000_000_000)
    house.call("acme", "436641234568", "88213001778", 60, 3_000_000_000)
    house.call("acme", "436641234568", "4369911", 60, 9_000_000_000)
    house.call("other", "436641234568", "88213001778", 60, 9_000_000_000)
    view = as_("analyst").open("blocks")
    view.at.text_input(key="rf_new_name").set_value("acme")
    view.at.text_input(key="rf_new_range").set_value("+88213")
    view.press("rf_new_ask")
    assert "it would have refused 2 answered calls of 2 callers to 2 numbers: 2 min, sold for 5.00 EUR" in view.text
    view.press("rf_new_do")
    view.at.text_input(key="rf_why").set_value("pumped range")
    view.press("rf_do")
    assert statuses(house, Key(tenant="t1", account="acme", b_range="88213")) == [("anna", "standing")]


@pytest.mark.parametrize(("name", "called", "wrong"), [("a b|c", "", "is not a name"), ("acme", "%'; --", "no digits"), ("acme", "112", "")])
def test_a_key_that_cannot_be_blocked_is_named(as_, house, name: str, called: str, wrong: str):
    view = as_("analyst").open("blocks")
    view.at.text_input(key="rf_new_name").set_value(name)
    view.at.text_input(key="rf_new_range").set_value(called)
    view.press("rf_new_ask")
    assert ("rf-message bad" in view.html) == bool(wrong), view.text


def test_a_list_is_changed_by_who_may_and_with_a_reason(as_, house):
    view = as_("fraud-lead").open("blocks")

    def change(value: str, why: str) -> str:
        view.at.selectbox(key="rf_list_name").select("allow")
        view.at.selectbox(key="rf_list_kind").select("account")
        view.at.text_input(key="rf_list_value").set_value(value)
        view.at.text_input(key="rf_list_why").set_value(why)
        return view.press("rf_list_do").text

    assert "Enter a reason" in change("hospital", " ")
    assert "account hospital is on the list allow" in change("hospital", "calls everywhere")
    view.at.selectbox(key="rf_list_name").select("protected")
    view.at.selectbox(key="rf_list_kind").select("number")
    view.at.text_input(key="rf_list_value").set_value("4314040")
    view.at.text_input(key="rf_list_why").set_value("general hospital")
    assert "you may not do this for every tenant" in view.press("rf_list_do").text, "a protected number holds for every tenant"


# --- subject ---


def test_a_subject_is_summed_exactly_with_its_partners_and_its_fraud(as_, house):
    house.attack(number=1)
    house.call("acme", "436641234567", "88213001777", 60, 1_000_000_001)
    house.call("acme", "436641234567", "43699111", 30, 2_000_000_000, carrier="bravo", destination="Austria")
    house.call("other", "4366499", "43699111", 30, 7_000_000_000)
    house.call("acme", "436641234567", "43699111", 30, 9_000_000_000, tenant="t2")
    shown = as_("analyst").open("subject", kind="account", of="acme").text
    assert "Calls 2 in 24 h 100 % answered" in shown and "Sold 3.00 EUR in 24 h bought for 1.50 EUR" in shown
    assert "alpha 1 100 % 1 min" in shown and "bravo" in shown and "refused" in shown
    assert "other" not in shown


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [
        ("number", "%'; --", "means no number"), ("range", "abc", "means no range"), ("account", "%'; DROP TABLE calls; --", "Calls 0 in 24 h"),
        ("account", HOSTILE, "Calls 0 in 24 h"), ("number", "+43 664 1234567", "Calls 1 in 24 h"), ("range", "+43664", "Calls 0 in 24 h"),
        ("carrier", "alpha", "Calls 1 in 24 h"), ("trunk", "nowhere", "Calls 0 in 24 h"), ("number", "9" * 60, "means no number"),
    ],
)  # fmt: skip
def test_any_text_may_be_looked_up(as_, house, kind: str, typed: str, expected: str):
    house.call("acme", "436641234567", "88213001777", 60, 1_000_000_000)
    view = as_("analyst").open("subject", kind=kind, of=typed)
    assert expected in view.text and "<script" not in view.html and not view.at.markdown


# --- calls ---


def test_a_call_is_shown_with_its_records_attempts_and_the_derivation_of_its_price(as_, house):
    version = house.publish()
    place = house.call("acme", "436641234567", "436649876543", 90, 180_000_000, config_version=version)
    view = as_("analyst").open("calls", kind="account", of="acme")
    assert f"call={place}" in view.html and "0.18 EUR" in view.text
    shown = view.open("calls", call=place).text
    assert "account acme pays 0.18 EUR ✓ the derivation gives the same amount" in shown
    assert "90 x 1 s = 90 s at 0.12 per minute" in shown and "alpha is paid 0.09 EUR one of several parts" in shown
    assert "stop" in shown and "1 min 30 s" in shown


@pytest.mark.parametrize("call", ["0-999999", "9-1", "x", "1-", "../../etc", "1-2-3", "99999999999-1"])
def test_a_call_that_is_not_there_is_said_to_be_so(as_, house, call: str):
    shown = as_("analyst").open("calls", call=call).text
    assert "There is no call" in shown or "is no call" in shown


# --- quote, decks, health ---


def test_a_quote_is_derived_line_by_line(as_, house):
    house.publish()
    view = as_("finance").open("quote", to="+43 1 234567", talk="61s")
    assert "account acme: 0.066 EUR for 61 s" in view.text and "prefix 43 Austria" in view.text
    view.at.text_input(key="to").set_value("%'; --")
    assert "is no number with a country code" in view.run().text
    view.at.text_input(key="talk").set_value("a fortnight")
    assert "rf-message bad" in view.run().html


def test_routes_show_what_test_calls_say_of_a_carrier(as_, house):
    house.publish()
    with writing(house.engine) as conn:
        one = RouteTest("t1", "", 0, "alpha", "43664123456", "447700900123", "+447911123456", True, True, True, True, None, None)
        route_tests.store(conn, [one._replace(test_id=f"test-{at}", at_ms=at) for at in range(12)])
    shown = as_("carrier-manager").open("routes").text
    assert "showed a mobile number of the called country" in shown and "12 of 12" in shown


def test_routes_show_what_loses_money_and_why(as_, house):
    house.call("acme", "436641234567", "4312345", 60, 2_000_000_000, destination="Austria")
    shown = as_("carrier-manager").open("routes").text
    assert "Austria alpha 1 2.00 EUR 1.00 EUR 1.00 EUR" in shown and "alpha 1 100.0 % 1 min" in shown


def test_a_rating_run_is_shown_to_its_tenant_alone(as_, house):
    found = runs.RunTotals(
        calls=2, charges=2, before="b", after="a", unpriced=(runs.Unpriced("no row of the deck fits", 1, "0-1"),),
        lines=(runs.Line("account", HOSTILE, "sell", 0, "EUR", 2, "3000000000", "2500000000", (("price", 2, "-500000000"),)),),
    )  # fmt: skip
    with writing(house.engine) as conn:
        tenants.add(conn, "t2", 0)
        mine = runs.add(conn, "rerate", runs.Spec(from_ms=0, to_ms=86_400_000, tenant="t1", config_version=1), found, 0, "ben", "new offer", 1)
        other = runs.add(conn, "rerate", runs.Spec(from_ms=0, to_ms=1, tenant="t2", config_version=1), found, 0, "ben", "of t2", 1)
    view = as_("finance").open("runs")
    assert "new offer" in view.text and "of t2" not in view.text
    view.open("runs", run=f"{mine}")
    assert "3.00 EUR 2.50 EUR −0.50 EUR" in view.text and "price (2)" in view.text and "<script" not in view.html
    assert f"There is no rating run {other} here" in view.open("runs", run=f"{other}").text


def test_health_shows_rejects_with_masked_bytes(as_, house):
    house.reject(b'{"b_raw": "436641234567", <b>', "the record is no JSON: <i>")
    shown = as_("read-only").open("health")
    assert "the record is no JSON" in shown.text and "4366••••••67" in shown.html and "436641234567" not in shown.html
    assert "<i>" not in shown.html and "&lt;b&gt;" in shown.html
    assert "none that is known here" in shown.text and "partition 3" in shown.text


def test_decks_are_listed_and_a_hostile_name_is_text(as_, house):
    house.publish()
    view = as_("carrier-manager").open("decks")
    assert "alpha-deck" in view.text and "in force" in view.text
    assert "There is no deck version" in view.open("decks", deck=HOSTILE).text and "<script" not in view.html


# --- everything down ---


def test_every_page_says_so_while_the_warehouse_is_down_and_recovers(as_, house):
    house.publish()
    house.attack(number=1)
    view = as_()
    house.server.close()
    for entry in PAGES:
        shown = view.open(entry.path, kind="account", of="acme", to="+4312345").refreshed().text
        if entry.path not in IN_THE_BOOKS:
            assert "cannot be read now" in shown or "does not answer" in shown, (entry.path, shown)
    assert "Block" in view.open("alerts").labels() or "Unblock" in view.labels(), "acting needs no warehouse"
    house.server = serve(house.home / "warehouse", "127.0.0.1", house.server.port, LOOK)
    for path in ("wall", "subject", "calls", "waterfall", "health"):
        shown = view.open(path).refreshed().text
        assert "cannot be read now" not in shown and "warehouse does not answer" not in shown, (path, shown)


def test_an_account_with_html_in_its_name_is_text_on_every_page(as_, house):
    house.publish()
    house.call(HOSTILE, "436641234567", "88213001777", 60, 1_000_000_000, carrier=HOSTILE)
    with writing(house.engine) as conn:
        tenants.add(conn, "t3", 0)
    view = as_()
    for entry in PAGES:
        view.open(entry.path, kind="number", of="+436641234567")
        assert "<script" not in view.html and not view.at.markdown, entry.path
    assert "&lt;script&gt;alert(1)" in view.open("subject", kind="number", of="+436641234567").html
