"""The picture of the first page in the README: simulated traffic, an attack, its alerts and blocks, in a real Chromium. `make screenshot`.

.venv/bin/python docs/screenshot.py [--minutes 16] [--out docs/images/first-page.png]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

OUT = Path(__file__).parent / "images" / "first-page.png"
PORTS = ("COLLECTOR", "WAREHOUSE", "CONTROL", "PAGES", "METRICS")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
ATTACK_S = 180
"""How long the attack has lasted when the picture is taken."""


def start(home: Path, log: Path, minutes: float) -> subprocess.Popen[bytes]:
    env = os.environ | {f"RINGFENCE_{name}_PORT": "0" for name in PORTS} | {"RINGFENCE_HOME": str(home)}
    command = [sys.executable, "-m", "ringfence", "up", "--simulate", "--attack-after-s", str(max(5, minutes * 60 - ATTACK_S))]
    with log.open("wb") as out:
        return subprocess.Popen(command, env=env, stdout=out, stderr=out)


def link_in(log: Path) -> str:
    for _ in range(240):
        if found := re.search(r"page +(http\S+)", log.read_text()):
            return found[1]
        time.sleep(0.5)
    raise SystemExit(f"`up` has not said where the page is:\n{log.read_text()}")


def visit(page: Page, link: str) -> None:
    """Opens the page, which is the last part to start."""
    for _ in range(240):
        try:
            page.goto(link)
            return
        except Error:
            time.sleep(0.5)
    raise SystemExit("the page is not served")


def take(link: str, minutes: float, out: Path) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout((minutes * 60 + 300) * 1000)
        visit(page, link)
        time.sleep(minutes * 60)
        page.get_by_text("sim1 refuses").first.wait_for()
        page.locator("svg.marks").nth(1).wait_for()
        out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=16, help="of traffic before the picture; the last three are under attack")
    options.add_argument("--out", type=Path, default=OUT)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home, log = Path(place) / "demo", Path(place) / "up.txt"
        up = start(home, log, given.minutes)
        try:
            take(link_in(log), given.minutes, given.out)
        finally:
            up.terminate()
            try:
                up.wait(60)
            finally:
                up.kill()


if __name__ == "__main__":
    main()
