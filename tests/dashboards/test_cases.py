"""Cases: from alerts to the evidence, by two people, two tenants, and with bad input."""

from __future__ import annotations

import io
import zipfile
from functools import partial

import pytest

from books import audit, cases, reading, tenants, users, writing
from services import cases as cases_service
from warehouse import ask

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def as_(page, house):
    def sign_in(role: str = "fraud-lead", tenant: str = "t1", name: str = "anna"):
        with writing(house.engine) as conn:
            tenants.add(conn, "t2", 0)
            users.add(conn, name, "", "test", "test", 0)
            users.set_role(conn, name, tenant, role, True, "test", "test", 0)
        return page(user=name)

    return sign_in


def opened(view, title: str, *alerts: str):
    view.open("cases")
    view.at.multiselect(key="rf_case_alerts").set_value(list(alerts))
    view.at.text_input(key="rf_case_title").set_value(title)
    return view.press("rf_case_do")


def test_a_case_groups_alerts_is_noted_changed_closed_and_given_away(as_, house):
    house.attack("standing", 1)
    house.attack("expired", 2, b_range="88213002")
    house.attack("expired", 3, account="other", b_range="88213003")
    house.refused("order-1", 4)
    house.call("acme", "436641234567", "88213001777", 60, 2_000_000_000)
    view = as_()
    assert "Enter a title" in opened(view, " ", "finding-1").text and "at least one alert" in opened(view, "pumped ranges").text
    opened(view, f"pumped ranges {HOSTILE}", "finding-1")
    assert "Lost 1,234,567.89 EUR" in view.text and "4 refused calls" in view.text and "<script" not in view.html
    assert "first call" in view.text and "block order" in view.text and "436641234567" not in view.html, "numbers stay masked"
    view.at.text_area(key="rf_case_text").set_value("called the customer on 436641234567")
    view.press("rf_case_note_do")
    assert "called the customer" in view.text and "436641234567" not in view.html
    view.at.multiselect(key="rf_case_add").set_value(["finding-2"])
    assert "finding-3" not in view.at.multiselect(key="rf_case_add").options, "an alert of another account is not of this case"
    view.press("rf_case_more_do")
    assert "Lost 2,469,135.78 EUR" in view.text, "two ranges of an account are two losses"
    view.press("rf_case_pack_do")
    ready = view.at.session_state["rf_case_pack"][1].content
    archive = zipfile.ZipFile(io.BytesIO(ready))
    assert archive.namelist() == ["calls.csv", "alerts.csv", "timeline.csv", "facts.json", "SHA256SUMS"]
    assert "88213001xxx" in archive.read("calls.csv").decode() and all(b"436641234567" not in archive.read(name) for name in archive.namelist())
    view.at.text_input(key="rf_case_why").set_value("the customer mended the PBX")
    view.press("rf_case_end_do")
    with reading(house.engine) as conn:
        one = cases.every(conn, "t1")[0]
        assert one.state == "closed" and {event.event for event in cases.history(conn, one.id)} == {"opened", "alert", "note", "closed"}
        assert [entry.subject for entry in audit.last(conn, 3, "exported evidence")] == [f"t1/{one.id}"]


def test_newer_calls_take_no_place_of_the_calls_of_an_alert_in_its_evidence(house, monkeypatch):
    monkeypatch.setattr(cases_service, "MOST_CALLS", 1)
    house.attack("standing", 1)
    house.call("acme", "436641234567", "88213001777", 60)
    house.call("acme", "436641234567", "88213001888", 60, ago_ms=-2 * 3_600_000)
    with writing(house.engine) as conn:
        one = cases_service.open_case(conn, "t1", "pumped", ["finding-1"], "anna", 1)
        whole = cases_service.case_file(conn, "t1", one.id)
    archive = zipfile.ZipFile(io.BytesIO(cases_service.pack(partial(ask, house.warehouse), whole, 0)))
    assert "88213001777" in archive.read("calls.csv").decode()


def test_an_alert_is_in_one_case_and_the_same_alerts_again_are_the_same_case(as_, house):
    house.attack("standing", 1)
    house.attack("standing", 2, account="other")
    view = opened(as_(), "mine", "finding-1")
    view.at.query_params.pop("case")
    view.run()
    other = view.open("cases")
    with writing(house.engine) as conn:  # somebody else takes the second alert while the form is open
        theirs = cases.Case("case-x", "t1", "theirs", "open", "ben", 1)
        cases.add(conn, theirs)
        cases.put(conn, theirs, "finding-2", "ben", 1)
    other.at.multiselect(key="rf_case_alerts").set_value(["finding-2"])
    other.at.text_input(key="rf_case_title").set_value("also mine")
    assert "is in the case “theirs” already" in other.press("rf_case_do").text
    with reading(house.engine) as conn:
        assert {one.title for one in cases.every(conn, "t1")} == {"mine", "theirs"}, "nothing half done"


def test_cases_are_their_tenants_and_readers_only_read(as_, house):
    house.attack("standing", 1)
    house.attack("standing", 2, tenant="t2", account="blue")
    with writing(house.engine) as conn:
        tenants.add(conn, "t2", 0)
        for tenant, number in (("t1", 1), ("t2", 2)):
            one = cases.Case(f"case-{tenant}", tenant, f"of {tenant}", "open", "ben", 1)
            cases.add(conn, one)
            cases.put(conn, one, f"finding-{number}", "ben", 1)
    view = as_("read-only").open("cases")
    assert "of t1" in view.text and "of t2" not in view.text
    assert "There is no case 'case-t2' here" in view.open("cases", case="case-t2").text.replace("&#x27;", "'")
    view.open("cases", case="case-t1")
    assert "of t1" in view.text and not {"rf_case_note_do", "rf_case_pack_do", "rf_case_end_do"} & {one.key for one in view.at.button}
