"""An unusable journal, books or warehouse as one line: its setting, its address without the password, what is wrong, what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from books import BooksError
from core.causes import causes
from journal import JournalError
from ringfence import options
from ringfence.settings import Settings
from services.errors import ServiceError
from warehouse import WarehouseError

SETTING_OF: dict[type[Exception], str] = {BooksError: "books", JournalError: "journal", WarehouseError: "warehouse"}
"""Error of a store -> the setting with its address."""


@contextmanager
def explained(settings: Settings | None = None) -> Iterator[None]:
    """End the process with one line and exit code 1 on an error of a store; a bug of ours keeps its traceback."""
    try:
        yield
    except Exception as error:
        if message := message_of(error, settings):
            options.give_up(message)
        raise


def message_of(error: BaseException, settings: Settings | None = None) -> str:
    """The line, or "" for a bug of ours.

    >>> message_of(BooksError("postgresql://rf@db:5432/books: the password is refused"))
    'RINGFENCE_BOOKS: postgresql://rf@db:5432/books: the password is refused'
    >>> message_of(ValueError("a bug"))
    ''
    """
    if isinstance(error, ServiceError):
        return str(error)
    links = list(causes(error))
    setting = next((name for link in reversed(links) for kind, name in SETTING_OF.items() if isinstance(link, kind)), "")
    message = next((str(link) for link in links if isinstance(link, _own_errors())), "")
    if not message or not setting:
        return message
    embedded = settings is not None and not getattr(settings, setting)
    return f"RINGFENCE_{'HOME' if embedded else setting.upper()}: {message}"


def _own_errors() -> tuple[type[Exception], ...]:
    # A flow's own error is more specific than its cause. If no flow module is loaded there is none.
    own = (("flows.store", "StoreError"), ("flows.snapshot", "SnapshotError"), ("flows.missed", "MissedError"))
    return (*SETTING_OF, *(getattr(sys.modules[module], name) for module, name in own if module in sys.modules))
