"""Who sees and may do what: every page by every role, tenants apart, sessions that end."""

from __future__ import annotations

import re

import pytest

from books import audit, orders, reading, tenants, users, writing
from core.roles import ROLES
from dashboards.desk import PAGES
from services import people

PASSWORD = "correct horse battery"


def add(house, name: str, *roles: tuple[str, str]) -> None:
    with writing(house.engine) as conn:
        tenants.add(conn, "t2", 0)
        users.add(conn, name, "", "test", "test", 0)
        for tenant, role in roles:
            users.set_role(conn, name, tenant, role, True, "test", "test", 0)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("role", ROLES)
def test_each_page_opens_for_the_roles_that_may_and_refuses_the_others(page, house, role: str):
    house.attack()
    add(house, "anna", ("t1", role))
    view = page(user="anna")
    for entry in PAGES:
        shown = text(view.open(entry.path).html)
        refused = f"This page needs a role with the right “{entry.right}” for t1" in shown
        assert refused == (entry.right not in ROLES[role]), (entry.path, shown)
        if refused:
            assert "acme" not in shown and "88213" not in shown, "a refused page shows nothing else"


def test_a_person_sees_the_tenants_of_the_roles_alone(page, house):
    house.attack(number=1, account="acme")
    add(house, "anna", ("t2", "analyst"))
    house.attack(number=2, account="blue", tenant="t2")
    house.calls(("EUR", "EUR", 5_000_000_000, 0), ago_ms=9_000, tenant="t1")
    view = page(user="anna").refreshed()
    assert view.at.selectbox(key="tenant").options == ["t2"]
    for entry in PAGES:
        view.open(entry.path).refreshed()
        assert "acme" not in view.html and "5.00 EUR" not in text(view.html) and "t1" not in text(view.html), entry.path
    assert "blue" in view.open("wall").html
    asked = page(user="anna").open("wall", tenant="t1").refreshed()
    assert "acme" not in asked.html, "an address with another tenant shows the own one"


def test_numbers_are_whole_for_who_may_and_asked_and_that_is_written_down(page, house):
    house.attack()
    add(house, "anna", ("t1", "analyst"))
    add(house, "ron", ("t1", "read-only"))
    view = page(user="anna").refreshed()
    assert "4366••••••67" in view.html and "436641234567" not in view.html
    view.press("rf_reveal")
    assert "436641234567" in view.html
    with reading(house.engine) as conn:
        assert [(one.who, one.subject) for one in audit.last(conn, 10, "revealed numbers")] == [("anna", "t1")]
    view.press("rf_mask")
    assert "436641234567" not in view.html
    reader = page(user="ron").refreshed()
    assert "436641234567" not in reader.html and "rf_reveal" not in {button.key for button in reader.at.button}


@pytest.mark.parametrize(("role", "verbs"), [("read-only", set()), ("analyst", {"unblock"}), ("fraud-lead", {"unblock", "approve", "deny"})])
def test_buttons_are_those_of_the_role(page, house, role: str, verbs: set[str]):
    house.attack(number=1)
    house.attack("waiting", 2, account="blue")
    add(house, "anna", ("t1", role))
    keys = {button.key for button in page(user="anna").refreshed().at.button}
    assert {verb for verb in ("unblock", "approve", "deny") if any(key.startswith(f"rf_{verb}_") for key in keys)} == verbs


def test_a_user_unblocks_under_the_own_name(page, house):
    key = house.attack()
    add(house, "anna", ("t1", "analyst"))
    view = page(user="anna").refreshed().press(f"rf_unblock_{key.text()}")
    assert not [field.key for field in view.at.text_input if field.key and field.key.endswith("_token")], "no token is asked for"
    view.fill("rf_decide", why="customer called")
    view.press("rf_do")
    with reading(house.engine) as conn:
        assert orders.find(conn, "order-1").decided_by == "anna"


def test_a_role_that_was_taken_while_the_dialog_was_open_does_nothing(page, house):
    key = house.attack()
    add(house, "anna", ("t1", "analyst"))
    view = page(user="anna").refreshed().press(f"rf_unblock_{key.text()}")
    with writing(house.engine) as conn:
        users.set_role(conn, "anna", "t1", "analyst", False, "test", "test", 0)
        users.set_role(conn, "anna", "t1", "read-only", True, "test", "test", 0)
    view.refreshed()
    view.fill("rf_decide", why="customer called")
    view.press("rf_do")
    assert "you may not do this for t1" in text(view.html)
    with reading(house.engine) as conn:
        assert orders.find(conn, "order-1").status == "standing"


@pytest.mark.parametrize("how", ["expired", "disabled", "new password", "unknown"])
def test_a_session_that_is_over_shows_nothing(page, house, how: str):
    house.attack()
    add(house, "anna", ("t1", "analyst"))
    view = page(user="anna").refreshed()
    assert "acme" in view.html
    now_ms = 1_000 * view.session_s + 5_000
    if how == "expired":
        view.session_s -= 12 * 3_600
    elif how == "unknown":
        view.user = "ben"
    else:
        with writing(house.engine) as conn:
            if how == "disabled":
                users.set_disabled(conn, "anna", True, "test", "left", now_ms)
            else:
                users.set_password(conn, "anna", PASSWORD, "test", "forgotten", now_ms)
    shown = view.refreshed().html
    assert "Your session has ended" in shown and "acme" not in shown


def test_a_user_without_a_role_is_told_whom_to_ask(page, house):
    add(house, "anna")
    shown = text(page(user="anna").html)
    assert "This page needs a role" in shown and "ringfence user role" in shown


def test_while_the_books_are_down_a_user_is_told_so_and_an_operator_sees_the_numbers(page, house):
    down = "postgresql://rf:geheim@127.0.0.1:1/books"
    assert "your roles are not known" in page(user="anna", books=down).html
    assert "The books do not answer" in page(books=down).refreshed().html


# --- administration ---


def administer(view, why: str = "new in the team", **fields: str):
    for key, value in fields.items():
        (view.at.selectbox(key=key).select if key.endswith(("role", "change_name")) else view.at.text_input(key=key).set_value)(value)
    view.at.text_input(key="rf_person_why" if "rf_person_name" in fields else "rf_change_why").set_value(why)
    return view


def test_an_admin_adds_a_person_gives_and_takes_roles_resets_and_disables(page, house):
    add(house, "anna", ("t1", "tenant-admin"))
    view = page(user="anna").open("people")
    administer(view, " ", rf_person_name="ben", rf_person_role="analyst")
    assert "Enter a reason" in view.press("rf_person_do").text
    shown = administer(view, rf_person_name="ben", rf_person_role="analyst").press("rf_person_do").text
    password = re.search(r"password (\S{20}) :", shown)
    assert password and people.sign_in(house.engine, "ben", password[1], 9)
    view.open("people").at.selectbox(key="rf_change_name").select("ben")
    view.run()
    administer(view, rf_change_role="fraud-lead").press("rf_change_give")
    administer(view, rf_change_role="analyst").press("rf_change_take")
    administer(view).press("rf_change_reset")
    assert not people.sign_in(house.engine, "ben", password[1], 9)
    administer(view).press("rf_change_disable")
    with reading(house.engine) as conn:
        ben = users.find(conn, "ben")
        assert ben.roles == (("t1", "fraud-lead"),) and ben.disabled_at_ms is not None
        assert {one.who for one in audit.last(conn, 10, "gave a role") if one.subject.startswith("ben: fraud-lead")} == {"anna"}


def test_an_admin_of_one_tenant_neither_sees_nor_takes_over_people_of_another(page, house):
    add(house, "anna", ("t1", "tenant-admin"))
    add(house, "both", ("t1", "analyst"), ("t2", "tenant-admin"))
    add(house, "other", ("t2", "finance"))
    add(house, "nobody")
    view = page(user="anna").open("people")
    assert "both" in view.text and "analyst for t1" in view.text
    assert "t2" not in view.text and "other" not in view.text.replace("another", "") and "nobody" not in view.text
    view.at.selectbox(key="rf_change_name").select("both")
    assert "This person has roles of other tenants too" in view.run().text and "rf_change_reset" not in {one.key for one in view.at.button}
    view.at.selectbox(key="rf_change_name").select("anna")
    view.run()
    administer(view, rf_change_role="tenant-admin").press("rf_change_take")
    assert "another admin takes your own roles" in view.text
