"""What the page was given, and what it knows: one of each a process, whoever looks.

Nothing here belongs to a person or to a session: those keep theirs in Streamlit's session state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.clock import wall_clock_ms
from dashboards.page_settings import PageSettings
from dashboards.sources import Sources

_lock = threading.Lock()
_sources: Sources | None = None


def install(given: PageSettings, clock: Callable[[], int] = wall_clock_ms) -> Sources:
    """From now on the page shows this installation, by this clock."""
    global _sources
    with _lock:
        before, _sources = _sources, Sources(given, clock)
    if before is not None:
        before.close()
    return _sources


def sources() -> Sources:
    if _sources is None:
        raise RuntimeError("the page was given nothing: it is started by `ringfence up` or `ringfence flow pages`")
    return _sources


def close() -> None:
    global _sources
    with _lock:
        before, _sources = _sources, None
    if before is not None:
        before.close()
