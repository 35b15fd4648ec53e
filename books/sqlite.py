"""Books in a file: SQLite in WAL. One writer at a time; readers wait for nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from books.errors import BooksError, Unavailable

BUSY_TIMEOUT_MS = 5_000
"""How long a writer waits for another one before it fails."""

READS: dict[str, Any] = {"reads_only": True}
"""Options of a connection that only reads."""


def engine_of(url: sa.URL) -> sa.Engine:
    """Creates a missing file, readable by its owner alone: it holds the switches' control tokens.

    A file that exists is never opened here: closing any descriptor of it releases all locks that this process holds on it (POSIX), also those
    of another engine's connections. The next process that closes its last connection would then delete the WAL in use: writes would be lost
    and reads would be stale, until the file is damaged (https://sqlite.org/howtocorrupt.html, 2.2).
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
    """The meaning of an error of the driver; None = a bug, which is raised as it is."""
    if not isinstance(error, sa.exc.DatabaseError):
        return None
    text = str(error.orig)
    if "not a database" in text or "malformed" in text:
        return BooksError(f"{where(url)}: the file is not a database of the books, or is damaged ({text}); restore it from a backup")
    if not isinstance(error, sa.exc.OperationalError):
        return None
    if re.match(r"no such (table|column)", text):
        return BooksError(
            f"{where(url)}: its tables are not those of this release ({text}); `ringfence migrate` brings them there"
        )
    if "readonly" in text:
        return BooksError(f"{where(url)}: the file is read-only; give this user the right to write it and its directory")
    if "locked" in text:
        return Unavailable(f"{where(url)}: another process has been writing for more than {BUSY_TIMEOUT_MS // 1000} s ({text})")
    if "full" in text:
        return Unavailable(f"{where(url)}: its disk is full ({text}); make room")
    return Unavailable(f"{where(url)}: {text}")


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # `_begin` starts the transactions, not the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"pragma {pragma}")


def _begin(conn: sa.Connection) -> None:
    """A transaction that may write takes the write lock first. One that reads and then writes would fail at once where another process has
    written in between: the busy time-out does not apply to it."""
    conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("reads_only") else "BEGIN IMMEDIATE")
