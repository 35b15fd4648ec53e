"""Streamlit's one HTML page, told where its server is: without that it tries `/alerts/_stcore/health` before `/_stcore/health`, and the browser
reports an error for each page that is opened by its address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SERVER = "<script>window.__streamlit = {BACKEND_BASE_URL: window.location.origin}</script>"


def index_page() -> str:
    """The page, with the address of the server before its first script."""
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    return html.replace("<head>", f"<head>{SERVER}", 1).replace("<title>Streamlit</title>", "<title>Ringfence</title>", 1)


class IndexPage:
    """ASGI middleware: answers the addresses of pages with the page. `first`: the page at "/", which has no other address in Streamlit."""

    def __init__(self, app: ASGIApp, is_page: Callable[[str], bool], first: str) -> None:
        self._app, self._is_page, self._first, self._html = app, is_page, f"/{first}", index_page()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and self._is_page(scope["path"]):
            if scope["path"] == self._first:
                query = scope["query_string"].decode("latin-1")
                await RedirectResponse(f"/?{query}" if query else "/", 307)(scope, receive, send)
                return
            await HTMLResponse(self._html, headers={"Cache-Control": "no-cache"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)
