"""Files that a person gives to a page: how large they may be, and for how long this process keeps them.

Streamlit keeps each file in memory until its browser is closed. Here a file, and what was read from it, goes when another page is opened, or
when what was read is stored.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

MAX_MB = 64
"""The browser refuses a larger file before it sends it, and the server after as many bytes. The commands take larger ones."""
TYPES = ("csv", "tsv", "txt", "xlsx")
DECK, BILL = "rf_deck_read", "rf_reconciled"
"""Session state: what was read from a file and is not stored yet."""
PAGE = "rf_page"
"""Session state: the page that is open."""


def file_box(label: str, key: str, larger: str) -> Any:
    """Where a file is put. `larger`: the command that reads larger files."""
    help_text = f"CSV, TSV or .xlsx, as it came, up to {MAX_MB} MB. A larger one is read by `{larger}`."
    return st.file_uploader(f"{label}: CSV, TSV or .xlsx, up to {MAX_MB} MB", key=key, type=list(TYPES), help=help_text)


def release() -> None:
    """Keep no file of this browser any more, nor what was read from it."""
    for name in (DECK, BILL):
        st.session_state.pop(name, None)
    context = get_script_run_ctx()
    if context is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)


def open_page(path: str) -> None:
    """The browser shows this page now: what was given to another one is kept no longer."""
    if st.session_state.get(PAGE, path) != path:
        release()
    st.session_state[PAGE] = path
