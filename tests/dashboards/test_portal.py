"""The customers' portal: what a customer sees, under which brand, and that it is nobody else's."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient
from streamlit.util import calc_hash

from books import audit, reading, tenants, users, writing
from dashboards import current
from dashboards.auth import AuthMiddleware
from dashboards.desk import PAGES
from dashboards.portal import PAGES as OWN
from services import people, portal
from services.errors import ServiceError


@pytest.fixture
def customer(page, house):
    """`customer(party)` signs a user of this customer in, who has no role."""

    def sign_in(party: str = "acme", tenant: str = "t1"):
        house.publish()
        with writing(house.engine) as conn:
            tenants.add(conn, "t2", 0)
            users.add(conn, "zoe", "", "test", "test", 0)
            users.set_party(conn, "zoe", tenant, party, True, "test", "test", 0)
        return page(user="zoe")

    return sign_in


def brand(house, name: str = "blue", **fields: object) -> None:
    folder = house.home / "brands" / name
    folder.mkdir(parents=True)
    (folder / "brand.json").write_text(json.dumps(fields))


def at(view, path: str, **query: str):
    """Go to a page of the portal, as a person who types its address."""
    view.at._page_hash = "" if path == OWN[0][0] else calc_hash(path)
    for name, value in query.items():
        view.at.query_params[name] = value
    return view.run()


def test_a_customer_sees_the_own_usage_and_calls_with_whole_numbers_and_no_purchase(customer, house):
    house.call("acme", "4312345", "436641234567", 60, 2_000_000_000)
    house.call("other", "4399999", "436647654321", 60, 7_000_000_000)
    house.call("acme", "4312345", "436640000000", 60, 9_000_000_000, tenant="t2")
    view = customer()
    assert "Calls 1 1 answered" in view.text and "Cost 2.00 EUR without tax" in view.text and "Nothing is due." in view.text
    at(view, "my-calls")
    assert "+436641234567 Austria Mobile 1 min 60 s 2.0000 EUR" in view.text, view.text
    assert "436647654321" not in view.html and "436640000000" not in view.html
    assert "alpha" not in view.html and "1.00 EUR" not in view.text, "neither the carrier nor what the call was bought for"
    view.press("rf_my_calls")
    content = view.at.session_state["rf_my_calls_file"][1].decode()
    assert content.splitlines()[0].startswith("ended,a_number") and "+436641234567" in content and "alpha" not in content
    with reading(house.engine) as conn:
        assert [(one.who, one.subject) for one in audit.last(conn, 5, "exported calls")] == [("zoe", "t1 acme")]
    view.at.text_input(key="number").set_value("%'; --")
    assert "means no number" in view.run().text
    assert "There is no invoice yet." in at(view, "my-invoices").text


def test_no_page_of_the_desk_opens_for_a_customer(customer, house):
    house.attack(account="blue")
    view = customer()
    for entry in PAGES:
        shown = view.open(entry.path).html
        assert "blue" not in shown and "rf-brand" in shown and "Wall" not in shown, entry.path


def test_another_customers_account_in_the_address_shows_the_own_one(customer, house):
    house.call("other", "4399999", "436647654321", 60, 7_000_000_000)
    view = customer()
    at(view, "my-calls", account="other", customer="other")
    assert "436647654321" not in view.html and "No call fits." in view.text


def test_a_portal_that_was_closed_shows_nothing_more(customer, house):
    house.call("acme", "4312345", "436641234567", 60, 2_000_000_000)
    view = customer()
    with writing(house.engine) as conn:
        users.set_party(conn, "zoe", "t1", "acme", False, "test", "left", 0)
    shown = view.refreshed()
    assert "2.00 EUR" not in shown.text and "This page needs a role" in shown.text


def test_a_host_name_has_its_brand_and_never_the_desk(customer, page, house):
    brand(house, title="Blue Voice <b>", primary="#123456", hosts=["portal.blue.example"], logo="logo.svg")
    (house.home / "brands" / "blue" / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    view = customer()
    current.sources().host = lambda: "portal.blue.example"
    shown = view.refreshed().html
    assert 'alt="Blue Voice &lt;b&gt;"' in shown and "data:image/svg+xml;base64," in shown and "#123456" in shown
    desk = page()  # an operator with the view token
    current.sources().host = lambda: "portal.blue.example"
    assert "This address is for customers" in desk.refreshed().text and not desk.at.selectbox
    assert portal.title_of_host(str(house.home), "desk.example") == ""


def test_the_form_of_a_brands_host_has_its_name_and_no_token(house):
    brand(house, title="Blue Voice", hosts=["portal.blue.example"])
    names = frozenset({"portal.blue.example", "testserver"})
    guard = AuthMiddleware(None, "token", b"key", names, "c", brand=lambda host: portal.title_of_host(str(house.home), host))  # type: ignore[arg-type]
    own = TestClient(guard, base_url="http://portal.blue.example").get("/enter").text
    assert "<h1>Blue Voice</h1>" in own and "Ringfence" not in own and "view token" not in own.lower()
    assert "<h1>Ringfence</h1>" in TestClient(guard).get("/enter").text


def test_a_portal_opens_for_a_customer_that_there_is(house):
    house.publish()
    with writing(house.engine) as conn:
        users.add(conn, "zoe", "", "test", "test", 0)
        assert people.set_party(conn, "zoe", "t1", "acme", True, "anna", "buys from us", 1)
        assert not people.set_party(conn, "zoe", "t1", "acme", True, "anna", "again", 2)
        with pytest.raises(ServiceError, match="no account of a party 'nobody'"):
            people.set_party(conn, "zoe", "t1", "nobody", True, "anna", "x", 3)
        assert users.find(conn, "zoe").parties == (("t1", "acme"),)
