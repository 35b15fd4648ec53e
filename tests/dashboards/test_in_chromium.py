"""The page in a real browser, over a whole running installation: it shows money, an alert and a block, and unblock lets the calls pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, Page, Route, expect, sync_playwright

PORTS = ("COLLECTOR", "WAREHOUSE", "CONTROL", "PAGES", "METRICS")
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 60_000


class Up:
    """A running `ringfence up --simulate`, whose attack begins at once."""

    def __init__(self, home: Path) -> None:
        self.out = home.parent / "up.txt"
        env = os.environ | {f"RINGFENCE_{name}_PORT": "0" for name in PORTS} | {"RINGFENCE_HOME": str(home)}
        command = [sys.executable, "-m", "ringfence", "up", "--simulate", "--attack-after-s", "2", "--calls-per-s", "5"]
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=env)

    def said(self, pattern: str, within_s: float = 90.0) -> str:
        """The first group of what it says."""
        end_s = time.monotonic() + within_s
        while not (found := re.search(pattern, self.out.read_text())):
            assert self.process.poll() is None and time.monotonic() < end_s, self.out.read_text()
            time.sleep(0.2)
        return found[1]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], None]) -> Iterator[Up]:
    need("chromium")
    running = Up(tmp_path_factory.mktemp("page") / "home")
    yield running
    running.close()


@pytest.fixture
def browser(up: Up) -> Iterator[Page]:
    """A browser that may speak to this machine alone; what it asked of others, and what went wrong in it, fails the test."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM))
        page = chromium.new_page(viewport={"width": 1440, "height": 1000})
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
        page.set_default_timeout(PATIENCE_MS)
        yield page
        chromium.close()
    assert outside == [], "nothing is fetched from outside"
    assert wrong == []


def refreshed_in_place(browser: Page) -> bool:
    """Whether both charts stay what they are over a refresh. A window that is opened, or a machine that is slow, may draw them anew."""
    browser.evaluate("for (const one of document.querySelectorAll('svg.marks')) one.dataset.mine = 'yes'")
    time_before = browser.locator(".rf-live time").inner_text()
    expect(browser.locator(".rf-live time")).not_to_have_text(time_before)
    return browser.evaluate("[...document.querySelectorAll('svg.marks')].map(one => one.dataset.mine)") == ["yes", "yes"]


@pytest.mark.slow
def test_an_attack_is_seen_and_a_person_unblocks_it(up: Up, browser: Page):
    expect.set_options(timeout=PATIENCE_MS)
    link, act = up.said(r"page +(http\S+)"), up.said(r"whole numbers: (\S+)")
    deadline_s = time.monotonic() + 60
    while True:  # the page is the last part to start
        try:
            browser.goto(link)
            break
        except Error:
            assert time.monotonic() < deadline_s
            time.sleep(0.5)

    # What it shows.
    assert "look=" not in browser.url, "the token does not stay in the address"
    expect(browser.locator(".rf-tile", has_text="Sold").locator("b").first).to_have_text(re.compile(r"^0\.0*[1-9]|^[1-9]"))
    expect(browser.locator(".rf-card.alert").first).to_contain_text("within 30 minutes")
    expect(browser.locator(".rf-pill")).to_contain_text("live")
    block = browser.locator("[class*=st-key-rf_block_]").first
    expect(block).to_contain_text("sim1 refuses, confirmed")
    expect(browser.locator(".rf-fates")).to_contain_text("the sum holds")
    expect(browser.get_by_text("Deploy")).to_have_count(0)
    masked = block.locator("strong").inner_text()
    assert "•" in masked

    # It refreshes in place, and nothing that is being typed is lost.
    time_before = browser.locator(".rf-live time").inner_text()
    expect(browser.locator("svg.marks")).to_have_count(2)
    browser.get_by_text("Act", exact=True).first.click()
    browser.get_by_label("Your name").fill("ann")
    expect(browser.locator(".rf-live time")).not_to_have_text(time_before)
    time.sleep(3)
    browser.get_by_label("Your name").press_sequentially("a")
    expect(browser.get_by_label("Your name")).to_have_value("anna")
    assert any(refreshed_in_place(browser) for _ in range(10)), "a refresh does not draw the charts anew"
    browser.get_by_label("Token to act").fill(act)
    browser.get_by_label("Token to act").press("Enter")
    expect(browser.get_by_text("You may act")).to_be_visible()
    expect(block.locator("strong")).not_to_contain_text("•")

    # Unblock.
    whom = block.locator("strong").inner_text()
    mine = browser.locator("[class*=st-key-rf_block_]", has=browser.locator("strong", has_text=re.compile(f"^{re.escape(whom)}$")))
    mine.get_by_role("button", name="Unblock").click()
    why = browser.get_by_label("Why")
    why.fill("customer called")
    time.sleep(3)
    expect(why).to_have_value("customer called")
    browser.get_by_role("dialog").get_by_role("button", name="Unblock").click()
    expect(browser.locator(".rf-said.good")).to_contain_text("lifted")
    expect(mine).to_have_count(0)
    up.said(r"lets (t1/account:\S+) pass again")
