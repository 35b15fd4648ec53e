"""What people and files do to the pages that nobody intends: a second tab, a double click, wrong files, odd addresses."""

from __future__ import annotations

import io
import zipfile
from urllib.parse import parse_qsl

import pytest

from books import audit, orders, reading, users, writing
from core.orders import Key
from dashboards import uploads

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
HTML = b"<!doctype html><html><body>Please sign in to download the file</body></html>"
ODD = "%'; --"


def archive() -> bytes:
    """A zip archive that is no workbook."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("notes.txt", "no rates here")
    return file.getvalue()


WRONG = {
    "rates.csv": (b"", "the file is empty"), "logo.csv": (PNG, "this is a picture (PNG)"), "logo.xlsx": (PNG, "this is a picture (PNG)"),
    "page.csv": (HTML, "this is a web page"), "archive.xlsx": (archive(), "the zip archive holds no workbook"),
}  # fmt: skip


@pytest.fixture
def as_(page, house):
    """`as_(role)` opens a tab for a user with this role for t1; once more, a second tab of the same session."""
    house.publish()

    def sign_in(role: str):
        with writing(house.engine) as conn:
            if users.find(conn, "anna") is None:
                users.add(conn, "anna", "", "test", "test", 0)
            users.set_role(conn, "anna", "t1", role, True, "test", "test", 0)
        return page(user="anna")

    return sign_in


def audited(house, verb: str) -> int:
    with reading(house.engine) as conn:
        return len(audit.last(conn, 20, verb))


# --- twice ---


def test_a_block_from_two_tabs_is_one_block(as_, house):
    key = house.attack("expired", 1)
    tabs = [as_("analyst").open("alerts").press("rf_act_block") for _ in range(2)]
    for tab in tabs:
        tab.press("rf_do")
    assert "are refused for 1 h" in tabs[0].text and "Not done: anna has blocked it already" in tabs[1].text
    with reading(house.engine) as conn:
        assert [one.status for one in orders.select(conn) if one.order.key == key and one.order.by == "anna"] == ["standing"]


def test_an_approval_from_two_tabs_is_one_approval(as_, house):
    key: Key = house.attack("waiting", 1)
    tabs = [as_("fraud-lead").open("alerts").press("rf_act_approve") for _ in range(2)]
    for tab in tabs:
        tab.at.text_input(key="rf_why").set_value("seen it")
        tab.press("rf_do")
    assert "1 order approved" in tabs[0].text and "Not done" in tabs[1].text, tabs[1].text
    assert audited(house, "approved") == 1, key


# --- files ---


@pytest.mark.parametrize("path", ["decks", "reconciliation"])
def test_a_wrong_file_is_refused_with_what_it_is(as_, path: str):
    view = as_("tenant-admin").open(path)
    for name, (content, what) in WRONG.items():
        if path == "decks":
            view.at.selectbox(key="rf_deck_carrier").select("alpha")
            view.at.file_uploader(key="rf_deck_file").upload(name, content, "text/csv")
            view.press("rf_deck_do")
        else:
            view.at.selectbox(key="rf_bill_party").select("alpha")
            view.at.text_input(key="rf_bill_period").set_value("2026-10")
            view.at.file_uploader(key="rf_bill_calls").upload(name, content, "text/csv")
            view.press("rf_bill_do")
        assert what in view.text and "rf-message bad" in view.html, (name, view.text)
        assert not {button.key for button in view.at.button} & {"rf_deck_keep", "rf_bill_keep"}, name


def test_a_file_is_kept_in_memory_only_while_its_page_is_open(as_):
    view = as_("tenant-admin").open("decks")
    view.at.selectbox(key="rf_deck_carrier").select("alpha")
    view.at.file_uploader(key="rf_deck_file").upload("rates.csv", b"Code;Destination;Rate\n44;UK;0.02\n1;US;0.01\n", "text/csv")
    view.press("rf_deck_do")
    assert uploads.DECK in view.at.session_state and "What was guessed" in view.text, view.text
    view.open("decks")
    assert uploads.DECK in view.at.session_state
    view.open("invoices")
    assert uploads.DECK not in view.at.session_state


# --- searches ---


ADDRESSES = (
    ("calls?kind=number&of=", "means no number"), ("calls?call=", "is no call"), ("quote?to=", "is no number with a country code"),
    ("cases?case=", "There is no case"), ("rules?change=", "There is no rule change"),
    ("invoices?invoice=", "There is no invoice"), ("decks?deck=", "There is no deck version"), ("disputes?dispute=", "There is no dispute"),
    ("runs?run=", "There is no rating run"), ("waterfall?period=", "is not a period"), ("reconciliation?bill=", "There is no reconciliation"),
)  # fmt: skip


def test_an_address_that_nobody_wrote_is_answered_in_words(as_):
    view = as_("tenant-admin")
    for address, words in ADDRESSES:
        path, _, query = address.partition("?")
        view.at.query_params.clear()
        view.open(path, **dict(parse_qsl(query + ODD, keep_blank_values=True)))
        assert words in view.text and "asks again" not in view.text, (address, view.text)
