"""A real Chromium, without background requests of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Error, Page, sync_playwright
from until import until

ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


@contextmanager
def new_page(timeout_s: float = 60.0, width: int = 1440, height: int = 1000, scheme: Literal["light", "dark"] = "dark") -> Iterator[Page]:
    """A page of a new browser without any stored data; `scheme`: what its person prefers."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGS))
        page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
        page.set_default_timeout(1000 * timeout_s)
        yield page
        browser.close()


def visit(page: Page, link: str, within_s: float = 120.0) -> None:
    """Open an address that may not be served yet."""

    def opened() -> bool:
        try:
            page.goto(link)
        except Error:
            return False
        return True

    until(opened, within_s, link)


def settled(page: Page) -> None:
    """Wait until Streamlit, if the page is one of its, has drawn the last answer, charts too: fields of the one before may still stand there."""
    page.locator("[data-testid=stApp]:not([data-test-script-state=notRunning])").wait_for(state="detached")
    page.get_by_text(": being read.").first.wait_for(state="hidden")
    page.get_by_test_id("stSkeleton").first.wait_for(state="hidden")
