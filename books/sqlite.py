"""Books in a file: SQLite in WAL. One writer at a time, readers wait for nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from books.errors import BooksError, Unavailable

BUSY_TIMEOUT_MS = 5_000
"""How long a writer waits for another one before it is an error."""

READS: dict[str, Any] = {"reads_only": True}
"""Options of a connection that only reads."""


def engine_of(url: sa.URL) -> sa.Engine:
    """Makes a missing file, readable by its owner alone: it holds the switches' control tokens.

    A file that is there is never opened here: closing any descriptor of it gives up all locks that this process holds on it (POSIX), those of
    another engine's connections too. The next process that closes its last connection would then take the log away from under us:
    what we wrote would be lost, and what we read would be of the past, until the file is damaged (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    if not url.database or url.database == ":memory:":
        raise BooksError(f"{where(url)}: the books are a file, because several processes read them: sqlite:////absolute/file")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise BooksError(f"{where(url)}: the file cannot be made: {error.strerror}; give its owner the right to it") from error
    if path.is_dir() or not os.access(path, os.R_OK | os.W_OK):
        raise BooksError(f"{where(url)}: the file cannot be opened; give its owner the right to read and write it")
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def where(url: sa.URL) -> str:
    return f"sqlite:///{url.database or ''}"


def fault(url: sa.URL, error: BaseException) -> BooksError | None:
    """What an error of the driver means; None = a bug of ours, which is told as it is."""
    if not isinstance(error, sa.exc.DatabaseError):
        return None
    words = str(error.orig)
    if "not a database" in words or "malformed" in words:
        return BooksError(f"{where(url)}: the file is no books, or is damaged ({words}); restore it from a backup")
    if not isinstance(error, sa.exc.OperationalError):
        return None
    if re.match(r"no such (table|column)", words):
        return BooksError(
            f"{where(url)}: its tables are not those of this release ({words}); `ringfence migrate` brings them there"
        )
    if "readonly" in words:
        return BooksError(f"{where(url)}: the file is read-only; give this user the right to write it and its directory")
    if "locked" in words:
        return Unavailable(f"{where(url)}: another process has been writing for more than {BUSY_TIMEOUT_MS // 1000} s ({words})")
    if "full" in words:
        return Unavailable(f"{where(url)}: its disk is full ({words}); make room")
    return Unavailable(f"{where(url)}: {words}")


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own: `_begin` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"pragma {pragma}")


def _begin(conn: sa.Connection) -> None:
    """A transaction that may write takes the write lock first. One that reads and then wants to write would fail at once when
    another has written in between; the busy time-out does not help it."""
    conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("reads_only") else "BEGIN IMMEDIATE")
