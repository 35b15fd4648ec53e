"""The page's sources: one object per process, shared by all sessions.

State of a person or session is in Streamlit's session state, never here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.clock import wall_clock_ms
from dashboards.page_settings import PageSettings
from dashboards.sources import Sources

_lock = threading.Lock()
_sources: Sources | None = None


def install(settings: PageSettings, clock: Callable[[], int] = wall_clock_ms, cookie: Callable[[], str] | None = None) -> Sources:
    """Make the page show this installation, with this clock. `cookie`: in tests, which have no browser."""
    global _sources
    with _lock:
        before, _sources = _sources, Sources(settings, clock, cookie)
    if before is not None:
        before.close()
    return _sources


def sources() -> Sources:
    if _sources is None:
        raise RuntimeError("the page has no settings: start it with `ringfence up` or `ringfence flow pages`")
    return _sources


def close() -> None:
    global _sources
    with _lock:
        before, _sources = _sources, None
    if before is not None:
        before.close()
