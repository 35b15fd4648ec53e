"""Streamlit in this process, behind `AuthMiddleware`, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from starlette.middleware import Middleware
from starlette.responses import FileResponse
from starlette.routing import Route

from dashboards import current
from dashboards.auth import AuthMiddleware, page_path
from dashboards.index_page import IndexPage
from dashboards.oidc import Oidc
from dashboards.page_settings import PageSettings
from dashboards.theme import THEME
from dashboards.uploads import MAX_MB
from dashboards.world import LAND_URL, MAP
from services import portal
from switches.gate import Gate, Server, config

log = structlog.get_logger("ringfence.pages")

PAGE = Path(__file__).parent / "page.py"
BEAT_S = 0.5
LOOPBACK = ("127.0.0.1", "localhost", "::1")

OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,  # no data leaves the network
    "client.allowedOrigins": [],
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "client.disableDataExport": True,
    "global.developmentMode": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "warning",
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # it walks all that is loaded after each drawing: 84 % of the processor time with ten people
    "server.allowRunOnSave": False,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxMessageSize": 20,
    "server.maxUploadSize": MAX_MB,
    "server.showEmailPrompt": False,
    "ui.hideTopBar": True,
}


def serve(settings: PageSettings, beat: Callable[[], None] = lambda: None) -> None:
    """Serve the page at `settings.host` and `settings.port`. The server's loop calls `beat`."""
    from streamlit import App
    from streamlit.web import bootstrap

    from dashboards import desk  # loaded before the first viewer waits for it

    sources = current.install(settings)
    sources.begin("")
    sources.prepare()
    names = frozenset((*LOOPBACK, settings.host.lower(), *(name.lower() for name in settings.names)))
    bootstrap.load_config_options(
        {**OPTIONS, **THEME, "server.port": settings.port, "server.address": settings.host, "server.allowedHosts": sorted(names)}
    )

    @asynccontextmanager
    async def beating(_: App) -> AsyncIterator[None]:
        async def beat_forever() -> None:
            while True:
                beat()
                await asyncio.sleep(BEAT_S)

        task = asyncio.create_task(beat_forever())
        yield
        task.cancel()
        current.close()

    gate = Gate()
    auth = Middleware(
        AuthMiddleware, token=settings.look, key=settings.key, names=names, cookie=settings.cookie, folder=settings.codes,
        trust=lambda scope, for_good: gate.trust(scope, for_good=for_good), check=sources.check_password,
        oidc=Oidc(settings.oidc, settings.key) if settings.oidc else None, known=sources.check_elsewhere,
        brand=lambda host: portal.title_of_host(settings.home, host),
    )  # fmt: skip
    land = Route(LAND_URL, lambda _: FileResponse(MAP / "land.json", headers={"Cache-Control": "private, max-age=86400"}))
    index = Middleware(IndexPage, is_page=page_path, first=desk.PAGES[0].path)
    app = App(PAGE, routes=[land], middleware=[auth, index], lifespan=beating, on_script_error=report_fault)
    gc.collect()
    gc.freeze()  # what was loaded stays: the collections that Python makes by itself need not walk it
    served = config(app, gate, settings.proxies, ws="websockets-sansio", lifespan="on", timeout_graceful_shutdown=2)
    Server(served).run_at(settings.host, settings.port)


def report_fault(error: Exception) -> bool:
    """Log a bug; the browser only shows that there was one."""
    import streamlit as st

    log.error("the page could not be drawn", exc_info=error)
    st.error("The page could not be drawn because of a bug; the traceback is in the log of `pages`. Calls and blocks are not affected.")
    return True
