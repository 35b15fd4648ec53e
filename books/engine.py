"""Opening and migrating the books."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.pool import ConnectionPoolEntry

Connection: TypeAlias = sa.Connection
Engine: TypeAlias = sa.Engine

Unavailable: TypeAlias = sa.exc.OperationalError
"""The books cannot be read or written now: locked for too long, disk full, server away. Nothing was changed; try again."""

BUSY_TIMEOUT_MS = 5_000
"""How long a writer waits for another one before it is an error."""


def open_books(dsn: str) -> sa.Engine:
    """An engine for `sqlite:////abs/books.db` (or a bare path), or for any other SQLAlchemy address. Makes a missing SQLite
    file, readable by its owner alone: it holds the switches' control tokens.

    >>> import tempfile
    >>> engine = open_books(tempfile.mkdtemp() + "/books.db")
    >>> migrate(engine)
    >>> with reading(engine) as conn:
    ...     conn.exec_driver_sql("pragma journal_mode").scalar(), conn.exec_driver_sql("pragma synchronous").scalar()
    ('wal', 2)
    """
    if "://" not in dsn:
        dsn = f"sqlite:///{Path(dsn).absolute()}"
    url = sa.make_url(dsn)
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url)
    if not url.database or url.database == ":memory:":
        raise ValueError("the books are a file: several processes read them")
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own: `_begin` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"pragma {pragma}")


def _begin(conn: sa.Connection) -> None:
    """A transaction that may write takes the write lock first. One that reads and then wants to write would fail at once when
    another has written in between; the busy time-out does not help it."""
    conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("reads_only") else "BEGIN IMMEDIATE")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction: committed at the end, rolled back by an error."""
    with engine.begin() as conn:
        yield conn


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One view of the books that waits for no writer and changes nothing."""
    with engine.connect().execution_options(reads_only=True) as conn:
        yield conn
        conn.rollback()


def migrate(books: sa.Engine | str, revision: str = "head") -> None:
    """Brings the tables to the newest revision. Harmless when they are there already."""
    engine = open_books(books) if isinstance(books, str) else books
    with writing(engine) as conn:
        command.upgrade(alembic_config(conn), revision)


def alembic_config(conn: sa.Connection | None = None) -> Config:
    """Alembic's settings, from inside the package: there is no ini file to lose."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    return config
