"""Makes the screenshot of the first page for the README: simulated traffic, an attack, its alerts and blocks, in a real Chromium. `make screenshot`.

.venv/bin/python docs/screenshot.py [--minutes 16] [--out docs/images/first-page.png]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))

from chromium import new_page, visit
from running_up import Up

OUT = Path(__file__).parent / "images" / "first-page.png"
ATTACK_S = 180
"""How long the attack has run when the screenshot is taken."""


def take(link: str, minutes: float, out: Path) -> None:
    with new_page(minutes * 60 + 300) as page:
        visit(page, link)
        time.sleep(minutes * 60)
        page.get_by_text("sim1 refuses").first.wait_for()
        page.locator("svg.marks").nth(1).wait_for()
        out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=out)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=16, help="of traffic before the screenshot; the last three are under attack")
    options.add_argument("--out", type=Path, default=OUT)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        attack_after_s = max(5, arguments.minutes * 60 - ATTACK_S)
        up = Up(Path(directory) / "demo", "--simulate", "--attack-after-s", str(attack_after_s))
        try:
            take(up.until_output(r"page +(http\S+)"), arguments.minutes, arguments.out)
        finally:
            up.close()


if __name__ == "__main__":
    main()
