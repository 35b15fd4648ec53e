"""The pages in a real browser, with a running installation: the first start's tokens, and an analyst's day from the sign-in to the block."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import new_page, visit
from looks import faults
from playwright.sync_api import Page, Route, expect
from running_up import Up

from books import open_books, users, writing

TIMEOUT_MS = 60_000
PASSWORD = "correct horse battery"
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PAGES = {
    "alerts": "Alerts", "rules": "Rule lab", "blocks": "Blocks and lists", "subject?kind=account&of=print-works": "Subject", "calls": "Calls",
    "quote?to=%2B43664123456": "Quote", "decks": "Decks", "health": "Health",
}  # fmt: skip


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], None]) -> Iterator[Up]:
    need("chromium")
    running = Up(tmp_path_factory.mktemp("page") / "home", "--simulate", "--attack-after-s", "2", "--calls-per-s", "5")
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
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        yield page
    assert outside == [], "nothing is fetched from outside"
    assert wrong == [], "\n".join(wrong)


def refreshed_in_place(browser: Page) -> bool:
    """Whether both charts (the map is the third) survive a refresh. A dialog that opens, or a slow machine, may redraw them."""
    browser.evaluate("for (const one of document.querySelectorAll('svg.marks')) one.dataset.mine = 'yes'")
    time_before = browser.locator(".rf-live time").inner_text()
    expect(browser.locator(".rf-live time")).not_to_have_text(time_before)
    return browser.evaluate("[...document.querySelectorAll('svg.marks')].slice(0, 2).map(one => one.dataset.mine)") == ["yes", "yes"]


@pytest.mark.slow
def test_an_attack_is_detected_and_a_person_unblocks_it(up: Up, browser: Page):
    expect.set_options(timeout=TIMEOUT_MS)
    link, act = up.until_output(r"page +(http\S+)"), up.until_output(r"whole numbers: (\S+)")
    visit(browser, link)

    # Content.
    assert "look=" not in browser.url, "the token does not stay in the address"
    expect(browser.locator(".rf-tile", has_text="Sold").locator("b").first).to_have_text(re.compile(r"^0\.0*[1-9]|^[1-9]"))
    expect(browser.locator(".rf-card.alert").first).to_contain_text("is sending")
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
    assert any(refreshed_in_place(browser) for _ in range(10)), "a refresh does not redraw the charts"
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


def add_user(up: Up, name: str) -> None:
    """A tenant admin of every tenant, unless another test has added the name."""
    engine = open_books(f"sqlite:///{up.home}/books.db")
    with writing(engine) as conn:
        if users.find(conn, name) is None:
            users.add(conn, name, PASSWORD, "test", "test", 0)
            users.set_role(conn, name, "", "tenant-admin", True, "test", "test", 0)
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
    assert "/alerts?tenant=t1" in browser.url

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
        expect(browser.get_by_text(": being read.")).to_have_count(0)
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
