"""The docs' site: it builds, every link leads somewhere, and a reader's browser is sent nowhere else."""

from __future__ import annotations

import html
import html.parser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from detectors import registry
from detectors.protocol import NoParameters

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAV = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]


class Page(html.parser.HTMLParser):
    """What a built page points at, and what can be pointed at in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.loads.append(str(given["src"]))
        if tag == "link" and given.get("href") and given.get("rel") != "canonical":
            self.loads.append(str(given["href"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does, elsewhere."""
    home = tmp_path_factory.mktemp("docs")
    shutil.copy(ROOT / "mkdocs.yml", home)
    shutil.copytree(DOCS, home / "docs")
    detector_list()["write"](home)
    run_path(str(Path(__file__).with_name("control_list.py")))["write"](home)
    zensical = Path(sys.executable).parent / "zensical"
    done = subprocess.run(
        [zensical, "build", "--strict", "-f", home / "mkdocs.yml"], cwd=home, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home / "build" / "site"


def detector_list() -> dict[str, Any]:
    return run_path(str(Path(__file__).with_name("detector_list.py")))


def pages_of(nav: list[object]) -> list[str]:
    found: list[str] = []
    for entry in nav:
        values = entry.values() if isinstance(entry, dict) else [entry]
        for value in values:
            found += pages_of(value) if isinstance(value, list) else [str(value)]
    return found


def test_every_page_can_be_found(site: Path):
    """From the navigation or, a decision, from the list of them."""
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    named = set(pages_of(NAV))
    assert named == {page for page in written if not page.startswith("decisions/")} | {"decisions/index.md"}, (
        "mkdocs.yml names the pages"
    )


def test_the_list_of_decisions_is_whole():
    made = run_path(str(Path(__file__).with_name("decisions.py")))["listed"]()
    assert (DOCS / "decisions" / "index.md").read_text() == made, "make docs"


def test_the_page_of_detectors_lists_each_with_its_parameters(site: Path):
    page = (site / "detectors.html").read_text()
    for detector in (*registry.detectors(), *registry.spanning()):
        assert f'id="{detector.name}"' in page and html.escape(detector.about, quote=False) in page
        for parameter in getattr(detector, "parameters", NoParameters).__struct_fields__:
            assert f"<code>{parameter}</code>" in page


def test_every_link_leads_somewhere(site: Path):
    built = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(built) >= len(pages_of(NAV))
    for path, page in built.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in built:
                assert unquote(parts.fragment) in built[target].ids, f"{path.name}: {link}"


def test_nothing_is_fetched_from_elsewhere(site: Path):
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert not [load for load in Page(path).loads if urlsplit(load).netloc], path
        assert 'class="mermaid"' not in text, f"{path}: the theme fetches what draws this; put a picture there"
    for path in site.rglob("*.css"):
        assert not re.findall(r"url\(\s*['\"]?https?:|@import\s+['\"]?https?:", path.read_text()), path


def test_links_of_the_first_page_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert urlsplit(link).scheme or (ROOT / link).exists(), link
