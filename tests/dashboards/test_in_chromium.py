"""The page in a real browser, with a running installation: it shows money, an alert and a block, and Unblock lets the calls pass."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from chromium import new_page, visit
from playwright.sync_api import Page, Route, expect
from running_up import Up

TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], None]) -> Iterator[Up]:
    need("chromium")
    running = Up(tmp_path_factory.mktemp("page") / "home", "--simulate", "--attack-after-s", "2", "--calls-per-s", "5")
    yield running
    running.close()


@pytest.fixture
def browser(up: Up) -> Iterator[Page]:
    """A browser with access to this machine only; requests to other hosts and errors fail the test."""
    with new_page(TIMEOUT_MS / 1000) as page:
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
    assert wrong == []


def refreshed_in_place(browser: Page) -> bool:
    """Whether both charts survive a refresh. A dialog that opens, or a slow machine, may redraw them."""
    browser.evaluate("for (const one of document.querySelectorAll('svg.marks')) one.dataset.mine = 'yes'")
    time_before = browser.locator(".rf-live time").inner_text()
    expect(browser.locator(".rf-live time")).not_to_have_text(time_before)
    return browser.evaluate("[...document.querySelectorAll('svg.marks')].map(one => one.dataset.mine)") == ["yes", "yes"]


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
    expect(browser.locator("svg.marks")).to_have_count(2)
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
