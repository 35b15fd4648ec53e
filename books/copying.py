"""A consistent copy of an SQLite file while other processes write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa


class CopyFailed(Exception):
    """The file could not be copied; the message names the file and the reason."""


def sqlite_file(dsn: str) -> Path | None:
    """The file of books in SQLite, or None for books that are elsewhere.

    >>> sqlite_file("sqlite:////srv/ringfence/books.db"), sqlite_file("postgresql://rf@db/books")
    (PosixPath('/srv/ringfence/books.db'), None)
    """
    url = sa.make_url(dsn)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def copy(source: Path, target: Path) -> None:
    """SQLite's online backup: a snapshot that makes no writer wait. The copy is checked.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> with closing(sqlite3.connect(home / "one.db")) as one:
    ...     _ = one.execute("create table t (n)"), one.execute("insert into t values (7)"), one.commit()
    ...     copy(home / "one.db", home / "two.db")
    >>> with closing(sqlite3.connect(home / "two.db")) as two:
    ...     two.execute("select n from t").fetchall()
    [(7,)]
    """
    target.touch(mode=0o600)
    try:
        uri = f"file:{quote(str(source))}?mode=rw"  # a missing file is not created
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            found = new.execute("pragma integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise CopyFailed(f"{source} could not be copied: {error}") from error
    if found != "ok":
        raise CopyFailed(f"{source} is damaged: {found}")
