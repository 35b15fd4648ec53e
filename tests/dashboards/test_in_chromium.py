"""The pages in a real browser, with a running installation that has two months behind it: the first start's tokens, an analyst's day from the sign-in
to the block, a finance person's day from the run of invoices to the carrier's credit note, a customer's portal; every page in both sizes."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import new_page, settled, visit
from looks import faults
from playwright.sync_api import Error, Page, Route, expect
from running_up import Up
from until import until

from books import audit, open_books, users, writing
from books import reading as books_reading
from ringfence.settings import Settings
from services import reading
from warehouse import ask

log = logging.getLogger(__name__)

TIMEOUT_MS = 60_000
PASSWORD = "correct horse battery"
PAST_DAYS = 28
"""History begins at the first of the month in which that day is, so the month before this one is whole, or nearly."""
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PAGES = {
    "alerts": "Alerts", "cases": "Cases", "rules": "Rule lab", "blocks": "Blocks and lists", "subject?kind=account&of=print-works": "Subject",
    "calls": "Calls", "routes": "Routes and margin", "quote?to=%2B43664123456": "Quote", "decks": "Decks", "invoices": "Invoices",
    "reconciliation": "Reconciliation", "disputes": "Disputes", "controls": "Controls", "waterfall": "Waterfall", "runs": "Rating runs",
    "health": "Health", "people": "People",
}  # fmt: skip


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], None]) -> Iterator[Up]:
    need("chromium")
    home = tmp_path_factory.mktemp("page") / "home"
    past = [sys.executable, "-m", "ringfence", "simulate", "--past-days", f"{PAST_DAYS}", "--calls-per-s", "0.002", "--home", str(home)]
    subprocess.run(past, check=True, capture_output=True, timeout=240)
    running = Up(home, "--simulate", "--attack-after-s", "2", "--calls-per-s", "5")
    running.until_output(r"received [1-9][\d,]* .*lag \d{1,2}\s", 600)  # what is past is stored
    running.ask("books", "post")
    yield running
    running.close()


@pytest.fixture
def browser(up: Up, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser with access to this machine only; requests to other hosts and errors fail the test."""
    with new_page(TIMEOUT_MS / 1000, **getattr(request, "param", {})) as page:
        outside: list[str] = []
        wrong: list[str] = []

        def only_here(route: Route) -> None:
            if urlsplit(route.request.url).hostname in ("127.0.0.1", None):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        page.route("**/*", only_here)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(f"{message.text} {message.location['url']}") if message.type == "error" else None)
        yield page
        log.warning("at the end: %s\n%s", page.url, page.locator("body").inner_text()[:2_000])  # pytest shows it of a test that failed
    assert outside == [], "nothing is fetched from outside"
    assert wrong == [], "\n".join(wrong)


def refreshed_in_place(browser: Page) -> list[str]:
    """Of both charts and the map: "yes" for each that new numbers leave where it is. Another grid line, a dialog or a slow machine redraws it."""
    browser.evaluate("for (const one of document.querySelectorAll('svg.marks')) one.dataset.mine = 'yes'")
    time.sleep(6)  # the map is asked for every 5 s
    return browser.evaluate("[...document.querySelectorAll('svg.marks')].map(one => one.dataset.mine || '')")


@pytest.mark.slow
def test_an_attack_is_detected_and_a_person_unblocks_it(up: Up, browser: Page):
    expect.set_options(timeout=TIMEOUT_MS)
    link, act = up.until_output(r"page +(http\S+)"), up.until_output(r"whole numbers: (\S+)")
    visit(browser, link)

    # Content.
    assert "look=" not in browser.url, "the token does not stay in the address"
    expect(browser.locator(".rf-tile", has_text="Sold").locator("b").first).to_have_text(re.compile(r"^0\.0*[1-9]|^[1-9]"))
    expect(browser.locator(".rf-card.alert").first).to_contain_text(re.compile("(is|are) sending"))  # withheld callers are
    expect(browser.locator(".rf-pill")).to_contain_text("live")
    block = browser.locator("[class*=st-key-rf_block_]").first
    expect(block).to_contain_text("sim1 refuses, confirmed")
    expect(browser.locator(".rf-dispositions")).to_contain_text("accounted for")
    expect(browser.get_by_text("Deploy")).to_have_count(0)
    masked = block.locator("strong").inner_text()
    assert "•" in masked

    # It refreshes in place, and nothing typed is lost.
    time_before = browser.locator(".rf-live time").inner_text()
    expect(browser.locator("svg.marks").nth(1)).to_be_visible()
    browser.get_by_text("Sign in", exact=True).first.click()
    browser.get_by_label("Your name").fill("ann")
    expect(browser.locator(".rf-live time")).not_to_have_text(time_before)
    time.sleep(3)
    browser.get_by_label("Your name").press_sequentially("a")
    expect(browser.get_by_label("Your name")).to_have_value("anna")
    found = [refreshed_in_place(browser) for _ in range(5)]
    assert ["yes"] * 3 in found, f"{found}: new numbers leave the charts where they are"
    browser.get_by_label("Action token").fill(act)
    browser.get_by_label("Action token").press("Enter")
    expect(browser.get_by_text("Signed in")).to_be_visible()
    expect(block.locator("strong")).not_to_contain_text("•")

    # Unblock.
    whom = block.locator("strong").inner_text()
    mine = browser.locator("[class*=st-key-rf_block_]", has=browser.locator("strong", has_text=re.compile(f"^{re.escape(whom)}$")))
    mine.get_by_role("button", name="Unblock").click()
    why = browser.get_by_label("Reason")
    why.fill("customer called")
    time.sleep(3)
    expect(why).to_have_value("customer called")
    browser.get_by_role("dialog").get_by_role("button", name="Unblock").click()
    expect(browser.locator(".rf-message.good")).to_contain_text("lifted")
    expect(mine).to_have_count(0)
    up.until_output(r"lets (t1/account:\S+) pass again")


def add_user(up: Up, name: str, role: str = "tenant-admin", party: str = "") -> None:
    """A user with a role for every tenant, or of a customer, unless another test has added the name."""
    engine = open_books(f"sqlite:///{up.home}/books.db")
    with writing(engine) as conn:
        if users.find(conn, name) is None:
            users.add(conn, name, PASSWORD, "test", "test", 0)
            if party:
                users.set_party(conn, name, "t1", party, True, "test", "test", 0)
            else:
                users.set_role(conn, name, "", role, True, "test", "test", 0)
    engine.dispose()


SIZES = [
    {"width": 1440, "height": 900, "scheme": "dark"},
    {"width": 390, "height": 844, "scheme": "light"},
]


@pytest.mark.slow
@pytest.mark.parametrize("browser", SIZES, indirect=True, ids=lambda size: f"{size['width']}-{size['scheme']}")
def test_an_analysts_day_from_the_sign_in_to_the_block(up: Up, browser: Page, request: pytest.FixtureRequest):
    expect.set_options(timeout=TIMEOUT_MS)
    size = request.node.callspec.id
    home = up.until_output(r"page +(http://[^/]+)/")
    up.until_output(r"blocks [1-9]")
    add_user(up, "anna")
    visit(browser, f"{home}/alerts?tenant=t1")
    wrong = faults(browser, SHOTS / f"{size}-sign-in.png")

    # The sign-in leads to the address that was asked for. By keyboard alone.
    browser.get_by_label("Name").press_sequentially("anna")
    browser.keyboard.press("Tab")
    browser.keyboard.type(PASSWORD)
    browser.keyboard.press("Enter")
    expect(browser.locator("h2.rf-page")).to_contain_text("Alerts")
    assert urlsplit(browser.url).path == "/alerts"  # the only tenant is the default, and not in the address

    # What passes is first. One press opens the dialog, one confirms; and back.
    expect(browser.locator(".rf-card.opened")).to_be_visible()
    expect(browser.get_by_role("button", name=re.compile("^Block"))).to_be_visible()
    browser.keyboard.press("b")
    expect(browser.get_by_role("dialog")).to_be_visible()
    time.sleep(1)
    wrong += faults(browser, SHOTS / f"{size}-block.png")
    browser.keyboard.press("Enter")
    expect(browser.locator(".rf-message.good")).to_contain_text("are refused for 1 h")
    expect(browser.get_by_role("dialog")).to_have_count(0)
    blocked = re.search(r"Block, t1/account:([^/:]+)", browser.locator(".rf-message.good").inner_text())
    assert blocked is not None
    browser.goto(f"{home}/blocks?tenant=t1&of_kind=account&of_block={blocked[1]}")
    mine = browser.locator("[class*=st-key-rf_block_]", has_text="ordered by anna")
    expect(mine).to_contain_text("sim1 refuses, confirmed")
    mine.get_by_role("button", name="Unblock").click()
    browser.get_by_label("Reason").fill("customer called")
    browser.get_by_label("Reason").press("Enter")
    expect(browser.locator(".rf-message.good")).to_contain_text("lifted")
    expect(mine).to_have_count(0)

    # Every page.
    for path, title in PAGES.items():
        browser.goto(f"{home}/{path}{'&' if '?' in path else '?'}tenant=t1")
        expect(browser.locator("h2.rf-page")).to_contain_text(title)
        time.sleep(2)
        wrong += faults(browser, SHOTS / f"{size}-{path.split('?')[0]}.png")
    browser.goto(home)
    expect(browser.locator(".rf-tile", has_text="Saved so far")).to_be_visible()
    expect(browser.get_by_test_id("stVegaLiteChart")).to_have_count(3)
    time.sleep(2)
    wrong += faults(browser, SHOTS / f"{size}-wall.png")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.slow
def test_a_second_tab_goes_on_and_a_session_that_is_over_leads_to_the_sign_in(up: Up, browser: Page):
    expect.set_options(timeout=TIMEOUT_MS)
    home = up.until_output(r"page +(http://[^/]+)/")
    add_user(up, "ben")
    visit(browser, f"{home}/enter")
    browser.get_by_label("Name").fill("ben")
    browser.get_by_label("Password").fill(PASSWORD)
    browser.keyboard.press("Enter")
    expect(browser.locator(".rf-tile").first).to_be_visible()
    expect(browser.locator("svg.marks").nth(2)).to_be_visible()  # after the sign-out nothing more can be fetched
    tab = browser.context.new_page()
    tab.goto(f"{home}/health")
    expect(tab.locator("h2.rf-page")).to_contain_text("Health")
    engine = open_books(f"sqlite:///{up.home}/books.db")
    with writing(engine) as conn:
        users.set_disabled(conn, "ben", True, "test", "left", int(time.time() * 1000) + 2_000)
    engine.dispose()
    tab.goto(f"{home}/calls")
    expect(tab.get_by_text("Your session has ended")).to_be_visible()
    tab.get_by_role("link", name="Sign in").click()
    expect(tab.get_by_label("Password")).to_be_visible()
    tab.goto(f"{home}/calls")
    expect(tab.get_by_label("Password")).to_be_visible()


# --- finance ---


def sign_in(browser: Page, home: str, name: str, path: str) -> None:
    visit(browser, f"{home}/enter?next=/{path}")
    browser.get_by_label("Name").press_sequentially(name)
    browser.keyboard.press("Tab")
    browser.keyboard.type(PASSWORD)
    browser.keyboard.press("Enter")
    expect(browser.locator("h2.rf-page")).to_be_visible()


def recorded(up: Up, reference: str) -> int:
    """How often a payment was recorded."""
    engine = open_books(f"sqlite:///{up.home}/books.db")
    with books_reading(engine) as conn:
        found = [entry for entry in audit.last(conn, 50, "recorded a payment") if reference in entry.why]
    engine.dispose()
    return len(found)


def by_keyboard(browser: Page, label: str) -> None:
    """Tabs to a button and presses it, as a person without a mouse does."""
    expect(browser.get_by_role("button", name=label, exact=True)).to_be_visible()
    for _ in range(120):
        browser.keyboard.press("Tab")
        if browser.evaluate("document.activeElement.innerText").strip() == label:
            browser.keyboard.press("Enter")
            return
    raise AssertionError(f"no Tab leads to {label!r}")


def choose(browser: Page, label: str, value: str) -> None:
    """Types into a list, and takes what it then shows. An answer that comes meanwhile, as after a download, closes the list: then again."""
    box = browser.get_by_role("combobox", name=re.compile(label)).last

    def chosen() -> bool:
        settled(browser)
        box.click()
        box.fill(value)
        try:
            browser.get_by_role("option", name=value, exact=True).click(timeout=3_000)
        except Error:
            return False
        settled(browser)
        return box.input_value() == value

    until(chosen, TIMEOUT_MS / 1000, f"{value!r} is chosen as {label!r}")


def bill_of(up: Up, carrier: str, period: str) -> bytes:
    """What a carrier sends for a month: our calls, every tenth at twice the price."""
    query = (
        "SELECT calls.answer_ms AS at_ms, b_number, charged_s, per_min_nanos, nanos FROM charges JOIN calls USING (partition, offset) "
        "WHERE role = 'buy' AND charges.carrier = {carrier:String} "
        "AND formatDateTime(fromUnixTimestamp64Milli(calls.answer_ms), '%Y-%m', 'UTC') = {period:String} ORDER BY at_ms"
    )
    with reading.warehouse(Settings(home=up.home).installation) as client:
        rows = ask(client, (query, {"carrier": carrier, "period": period}))
    assert len(rows) > 20, (carrier, period)
    lines = ["Start;Called;Seconds;Price per minute;Amount EUR"]
    for number, row in enumerate(rows):
        times = 2 if number % 10 == 0 else 1
        at = datetime.fromtimestamp(row["at_ms"] / 1000, UTC)
        price, amount = (f"{times * row[name] / 1e9:.9f}" for name in ("per_min_nanos", "nanos"))
        lines.append(f"{at:%Y-%m-%d %H:%M:%S};+{row['b_number']};{row['charged_s']};{price};{amount}")
    return "\n".join(lines).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("browser", "carrier"), [(SIZES[0], "alpha"), (SIZES[1], "bravo")], indirect=["browser"], ids=["1440-dark", "390-light"]
)  # fmt: skip
def test_a_finance_persons_day_from_the_run_of_invoices_to_the_credit_note(
    up: Up, browser: Page, carrier: str, tmp_path: Path, request: pytest.FixtureRequest
):
    expect.set_options(timeout=TIMEOUT_MS)
    size = request.node.callspec.id
    home = up.until_output(r"page +(http://[^/]+)/")
    first = datetime.now(UTC).replace(day=1)
    period = f"{first - timedelta(days=1):%Y-%m}"
    add_user(up, "tom", "finance")
    sign_in(browser, home, "tom", "invoices")
    wrong: list[str] = []

    # The run; a draft, its lines down to the calls, approved and issued by keyboard alone.
    expect(browser.get_by_text("The ledger's newest batch is")).to_be_visible()
    browser.get_by_role("button", name="Make the drafts").click()
    browser.get_by_role("button", name="Make the drafts").last.click()
    expect(browser.locator(".rf-message.good")).to_contain_text("drafts")
    browser.goto(f"{home}/invoices?show=draft")
    browser.locator(".rf-table a").first.click()
    browser.get_by_role("tab", name="Printed page").click()
    expect(browser.get_by_test_id("stImage")).to_be_visible()
    time.sleep(1)
    wrong += faults(browser, SHOTS / f"{size}-invoice.png")
    by_keyboard(browser, "Approve")
    expect(browser.locator(".rf-message.good")).to_contain_text("It is approved.")
    by_keyboard(browser, "Issue")
    expect(browser.locator(".rf-message.good")).to_contain_text("has its number")
    address = browser.url
    browser.get_by_role("tab", name="Lines").click()
    browser.locator(".rf-table a").first.click()
    expect(browser.get_by_role("heading", name=re.compile("^Calls of "))).to_be_visible()
    expect(browser.locator(".rf-table", has_text="charged by")).to_contain_text(re.compile(r"\+\d+•+\d\d"))  # masked
    time.sleep(1)
    wrong += faults(browser, SHOTS / f"{size}-invoice-calls.png")

    # A payment, and the document as its customer gets it.
    browser.goto(address)
    browser.get_by_role("button", name="Record a payment").click()
    browser.get_by_label(re.compile("^Amount in")).fill("1.00")
    reference = f"transfer {time.time_ns()}"  # of this try: a second one finds what the first has recorded
    browser.get_by_label("Reference of the bank").fill(reference)
    browser.get_by_role("button", name="Record", exact=True).dblclick()
    expect(browser.locator(".rf-message.good")).to_contain_text("The payment is recorded.")
    assert recorded(up, reference) == 1, "a double click is one payment"
    browser.get_by_role("button", name="Prepare the PDF").click()
    with browser.expect_download() as saved:
        browser.get_by_role("button", name="Save the PDF").click()
    assert saved.value.path().read_bytes().startswith(b"%PDF")

    # The carrier's bill, its causes, a dispute, the evidence, the credit note.
    browser.goto(f"{home}/reconciliation")
    browser.get_by_text("Compare a bill").click()
    choose(browser, "Whose", carrier)
    with (tmp_path / "a-year.csv").open("wb") as file:
        file.truncate(200 << 20)
    browser.locator("input[type=file]").last.set_input_files(tmp_path / "a-year.csv")
    expect(browser.get_by_text(re.compile(r"File must be 64(\.0)?MB or smaller"))).to_be_visible()
    browser.locator("input[type=file]").last.set_input_files({"name": "bill.csv", "mimeType": "text/csv", "buffer": bill_of(up, carrier, period)})
    expect(browser.get_by_text("bill.csv")).to_be_visible()
    browser.get_by_label(re.compile("^Period")).fill(period)
    browser.get_by_role("button", name="Compare", exact=True).click()
    expect(browser.get_by_role("heading", name="Causes")).to_be_visible()
    browser.get_by_role("button", name="Keep").click()
    browser.get_by_role("button", name=re.compile("Dispute what is worth it")).click()
    expect(browser.locator(".rf-message.good")).to_contain_text("On the board")
    time.sleep(1)
    wrong += faults(browser, SHOTS / f"{size}-bill.png")
    browser.goto(f"{home}/disputes")
    browser.locator(".rf-table a", has_text=carrier).first.click()
    browser.get_by_role("button", name="Prepare the evidence").click()
    with browser.expect_download() as saved:
        browser.get_by_role("button", name=re.compile("Save the evidence")).click()
    assert saved.value.path().read_bytes().startswith(b"PK")
    for step, state, fields in (
        ("Approve", "approved", {}), ("It was sent", "sent", {}), ("They agree", "agreed", {"Amount in EUR": "0.01"}),
        ("Their credit note came", "credited", {"Number of the credit note": "CN-7"}),
    ):  # fmt: skip
        choose(browser, "What happened", step)
        for label, value in fields.items():
            browser.get_by_label(label).fill(value)
        browser.get_by_role("button", name="Record", exact=True).click()
        expect(browser.get_by_role("heading", name=re.compile(f"{state}, {carrier}"))).to_be_visible()
    expect(browser.get_by_text("It is closed.")).to_be_visible()
    time.sleep(1)
    wrong += faults(browser, SHOTS / f"{size}-dispute.png")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("browser", SIZES, indirect=True, ids=lambda size: f"{size['width']}-{size['scheme']}")
def test_a_customer_sees_the_own_usage_calls_and_invoices(up: Up, browser: Page, request: pytest.FixtureRequest):
    expect.set_options(timeout=TIMEOUT_MS)
    home = up.until_output(r"page +(http://[^/]+)/")
    add_user(up, "zoe", party="print-works")
    sign_in(browser, home, "zoe", "")
    wrong: list[str] = []
    for path, title in (("", "Usage"), ("my-calls?since=92+days", "Calls"), ("my-invoices", "Invoices")):
        browser.goto(f"{home}/{path}")
        expect(browser.locator("h2.rf-page")).to_contain_text(title)
        time.sleep(1)
        wrong += faults(browser, SHOTS / f"{request.node.callspec.id}-portal-{title.lower()}.png")
    assert wrong == [], "\n".join(wrong)
