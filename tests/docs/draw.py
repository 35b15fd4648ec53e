"""Draws the first Mermaid picture of a page as SVG, in a real browser: for the docs' site, which fetches nothing from elsewhere.

    python tests/docs/draw.py docs/flow.md docs/flow.svg

Mermaid is the one that Streamlit carries. The SVG says in its first line which text it was drawn from: `tests/docs/test_picture.py`
sees one that is old.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

DRAW = """async ([module, source]) => {
    const mermaid = Object.values(await import("/" + module)).map(e => e.default ?? e).find(e => e.initialize && e.render)
    mermaid.initialize({startOnLoad: false, securityLevel: "loose", deterministicIds: true, theme: "neutral"})
    return (await mermaid.render("flow", source)).svg
}"""


def source_of(page: str) -> str:
    """The first Mermaid block of a page."""
    found = re.search(r"```mermaid\n(.*?)```", page, re.DOTALL)
    if not found:
        raise ValueError("the page has no Mermaid block")
    return found[1]


def stamp(source: str) -> str:
    """The first line of an SVG that was drawn from this text."""
    return f"<!-- drawn from {hashlib.sha256(source.encode()).hexdigest()} -->"


def draw(source: str) -> str:
    import streamlit
    from chromium import new_page

    scripts = Path(streamlit.__file__).parent / "static" / "static" / "js"
    (module,) = [path.name for path in scripts.glob("mermaid.core.*.js")]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=scripts))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with new_page() as page:
        page.goto(f"http://127.0.0.1:{server.server_port}/{module}")
        svg = page.evaluate(DRAW, [module, source])
    server.shutdown()
    paper = svg.replace('style="', 'style="background: #fff; ', 1)  # also where the page is dark
    return f"{stamp(source)}\n{paper}\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    text = source_of(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(draw(text))
