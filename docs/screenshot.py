"""Makes the pictures of the README: the wall under a simulated attack, an alert beside its own past, an invoice and its lines; in a real Chromium.
`make screenshot`.

.venv/bin/python docs/screenshot.py [--minutes 16] [--out docs/images]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))

from chromium import new_page, visit
from playwright.sync_api import Page
from running_up import Up

OUT = Path(__file__).parent / "images"
PAST_DAYS = 28
ATTACK_S = 180
"""How long the attack has run when the screenshot is taken."""


def take(link: str, minutes: float, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    home = link.partition("/enter")[0]
    with new_page(minutes * 60 + 300) as page:
        visit(page, link)
        time.sleep(minutes * 60)
        page.get_by_text("sim1 refuses").first.wait_for()
        page.locator("svg.marks").nth(1).wait_for()
        page.screenshot(path=out / "first-page.png")
        page.goto(f"{home}/alerts?tenant=t1")
        page.locator("svg.marks").first.wait_for()
        settled(page, out / "alert.png")
        page.goto(f"{home}/invoices?tenant=t1")
        page.locator(".rf-table a").first.click()
        page.locator(".rf-facts").wait_for()
        settled(page, out / "invoice.png")


def settled(page: Page, file: Path) -> None:
    """A picture of what does not move any more."""
    time.sleep(5)
    page.screenshot(path=file)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=16, help="of traffic before the screenshot; the last three are under attack")
    options.add_argument("--out", type=Path, default=OUT)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        attack_after_s = max(5, arguments.minutes * 60 - ATTACK_S)
        home = Path(directory) / "demo"
        past = ["simulate", "--past-days", f"{PAST_DAYS}", "--calls-per-s", "0.01", "--home", str(home)]
        subprocess.run([sys.executable, "-m", "ringfence", *past], check=True)
        up = Up(home, "--simulate", "--attack-after-s", str(attack_after_s))
        try:
            up.until_output(r"received [1-9].* lag \d\b", 600)  # what is past is stored
            up.ask("books", "post")
            up.ask("invoices", "run", "--until", f"{datetime.now(UTC):%Y-%m-01}")
            take(up.until_output(r"page +(http\S+)"), arguments.minutes, arguments.out)
        finally:
            up.close()


if __name__ == "__main__":
    main()
