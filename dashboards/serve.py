"""Streamlit in this process, behind the door, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from starlette.middleware import Middleware

from dashboards import current
from dashboards.door import Door
from dashboards.page_settings import PageSettings
from switches.gate import Gate, Server, config

log = structlog.get_logger("ringfence.pages")

PAGE = Path(__file__).parent / "page.py"
BEAT_S = 0.5
LOOPBACK = ("127.0.0.1", "localhost", "::1")

OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,  # a closed network, and nobody else's business
    "client.allowedOrigins": [],
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "client.disableDataExport": True,
    "global.developmentMode": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "warning",
    "runner.magicEnabled": False,
    "server.allowRunOnSave": False,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxMessageSize": 20,
    "server.maxUploadSize": 1,
    "server.showEmailPrompt": False,
    "theme.base": "dark",
    "theme.primaryColor": "#2f81f7",
    "theme.backgroundColor": "#0b0f14",
    "theme.secondaryBackgroundColor": "#121922",
    "theme.textColor": "#dde5ee",
    "theme.borderColor": "#243040",
    "theme.baseRadius": "small",
    "ui.hideTopBar": True,
}


def serve(given: PageSettings, beat: Callable[[], None] = lambda: None) -> None:
    """Serves the page at `given.host` and `given.port`. `beat` is called as the server's loop goes round."""
    from streamlit import App
    from streamlit.web import bootstrap

    from dashboards import first_page  # noqa: F401 - now, and not when the first person waits for it

    current.install(given).begin("")
    names = frozenset((*LOOPBACK, given.host.lower(), *(name.lower() for name in given.names)))
    bootstrap.load_config_options(
        {**OPTIONS, "server.port": given.port, "server.address": given.host, "server.allowedHosts": sorted(names)}
    )

    @asynccontextmanager
    async def beating(_: App) -> AsyncIterator[None]:
        async def go_round() -> None:
            while True:
                beat()
                await asyncio.sleep(BEAT_S)

        task = asyncio.create_task(go_round())
        yield
        task.cancel()
        current.close()

    gate = Gate()
    door = Middleware(
        Door, token=given.look, names=names, cookie=f"ringfence_look_{given.port}", folder=given.codes,
        trust=lambda scope, for_good: gate.trust(scope, for_good=for_good),
    )  # fmt: skip
    app = App(PAGE, middleware=[door], lifespan=beating, on_script_error=report_fault)
    served = config(app, gate, given.proxies, ws="websockets-sansio", lifespan="on", timeout_graceful_shutdown=2)
    Server(served).run_at(given.host, given.port)


def report_fault(error: Exception) -> bool:
    """A fault of ours goes into the log; the browser shows that there was one, and no more."""
    import streamlit as st

    log.error("the page could not be made", exc_info=error)
    st.error(
        "The page could not be made: a fault of ours, which is in the log of `pages`. Blocks and calls are not touched by it."
    )
    return True
