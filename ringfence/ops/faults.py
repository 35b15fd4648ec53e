"""A part that cannot be reached, in one line: the setting that names it, its address without password, what is wrong, what to do."""

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
"""Whose error it is -> the setting that has its address."""


@contextmanager
def named(settings: Settings | None = None) -> Iterator[None]:
    """Ends the process with one line and exit code 1 where one of the outside parts is at fault; a bug of ours keeps its traceback."""
    try:
        yield
    except Exception as error:
        if words := text_of(error, settings):
            options.give_up(words)
        raise


def text_of(error: BaseException, settings: Settings | None = None) -> str:
    """The line, or "" for a fault that is nobody's but ours.

    >>> text_of(BooksError("postgresql://rf@db:5432/books: the password is refused"))
    'RINGFENCE_BOOKS: postgresql://rf@db:5432/books: the password is refused'
    >>> text_of(ValueError("a bug"))
    ''
    """
    if isinstance(error, ServiceError):
        return str(error)
    links = list(causes(error))
    setting = next((name for link in reversed(links) for kind, name in SETTING_OF.items() if isinstance(link, kind)), "")
    words = next((str(link) for link in links if isinstance(link, _ours())), "")
    if not words or not setting:
        return words
    embedded = settings is not None and not getattr(settings, setting)
    return f"RINGFENCE_{'HOME' if embedded else setting.upper()}: {words}"


def _ours() -> tuple[type[Exception], ...]:
    # A flow's own error says more than what it is made of. Where no flow was loaded there is none.
    own = (("flows.store", "StoreError"), ("flows.snapshot", "SnapshotError"), ("flows.missed", "MissedError"))
    return (*SETTING_OF, *(getattr(sys.modules[module], name) for module, name in own if module in sys.modules))
