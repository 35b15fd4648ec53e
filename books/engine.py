"""Opening and migrating the books: SQLite in a file, or PostgreSQL, by the address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from books import postgresql, sqlite
from books.errors import BooksError
from core.address import without_password

Connection: TypeAlias = sa.Connection
Engine: TypeAlias = sa.Engine

KINDS: dict[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgresql}

MIGRATIONS = Path(__file__).parent / "migrations"
OF_0_1 = frozenset({"0001", "0002", "0003", "0004"})
"""Revisions of release 0.1."""

MIGRATION_MS = 300_000
"""How long a migration waits for another process that migrates."""


def open_books(dsn: str) -> sa.Engine:
    """An engine for `sqlite:////abs/books.db` (or a bare path), or for `postgresql://user:password@host:port/database`.

    >>> import tempfile
    >>> engine = open_books(tempfile.mkdtemp() + "/books.db")
    >>> migrate(engine)
    >>> with reading(engine) as conn:
    ...     conn.exec_driver_sql("pragma journal_mode").scalar(), conn.exec_driver_sql("pragma synchronous").scalar()
    ('wal', 2)
    >>> open_books("mysql://root:secret@db/books")
    Traceback (most recent call last):
    ...
    books.errors.BooksError: mysql://root@db/books: not an address of books: expected sqlite:////absolute/file or postgresql://user:password@host:port/database
    """
    if re.match(r"[\w+.-]+:(?!//)", dsn):
        raise _no_address(dsn)
    if "://" not in dsn:
        dsn = f"sqlite:///{Path(dsn).absolute()}"
    try:
        url = sa.make_url(dsn)
    except (sa.exc.ArgumentError, ValueError):
        raise _no_address(dsn) from None  # the error's text has the password
    if url.get_backend_name() not in KINDS:
        raise _no_address(dsn)
    engine: sa.Engine = KINDS[url.get_backend_name()].engine_of(url)
    return engine


def _no_address(dsn: str) -> BooksError:
    return BooksError(
        f"{without_password(dsn)}: not an address of books: expected sqlite:////absolute/file or "
        "postgresql://user:password@host:port/database"
    )


@contextmanager
def writing(engine: sa.Engine, **options: Any) -> Iterator[sa.Connection]:
    """One transaction: committed at the end, rolled back by an error. There is one writer at a time: rows that are read in it do not change
    before it ends."""
    with _explained(engine), engine.execution_options(**options).begin() as conn:
        yield conn


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A read-only snapshot of the books that waits for no writer."""
    with _explained(engine), engine.connect().execution_options(**_kind(engine).READS) as conn:
        yield conn
        conn.rollback()


def where(engine: sa.Engine) -> str:
    """The address of the books without the password."""
    return str(_kind(engine).where(engine.url))


def check(engine: sa.Engine) -> None:
    """Raises `BooksError` where this release cannot use the books, `Unavailable` where they are away."""
    scripts = ScriptDirectory.from_config(alembic_config())
    with reading(engine) as conn:
        found = conn.exec_driver_sql("select version_num from alembic_version").scalar()
    if found == scripts.get_current_head():
        return
    _refuse_other(engine, found, scripts)
    raise BooksError(
        f"{where(engine)}: its tables are of an older release ({found}); `ringfence migrate` brings them to this one"
    )


def _refuse_other(engine: sa.Engine, found: str | None, scripts: ScriptDirectory) -> None:
    """Raises `BooksError` for tables that this release can neither use nor migrate."""
    if found in {None, *(script.revision for script in scripts.walk_revisions())}:
        return
    if found in OF_0_1:
        raise BooksError(
            f"{where(engine)}: these are books of Ringfence 0.1, which this release does not read: move them away, or start Ringfence 0.1 for them"
        )
    raise BooksError(
        f"{where(engine)}: its tables are of a newer release ({found}); start that one, or restore a backup from before"
    )


def pending(engine: sa.Engine, scripts: Path = MIGRATIONS) -> list[str]:
    """Revisions that these books lack, oldest first; [] for books without tables. Raises `BooksError` for those of a newer release, or of 0.1."""
    directory = ScriptDirectory.from_config(alembic_config(scripts=scripts))
    with reading(engine) as conn:
        found = MigrationContext.configure(conn).get_current_revision()
    _refuse_other(engine, found, directory)
    return [script.revision for script in directory.iterate_revisions("head", found)][::-1] if found else []


def migrate(books: sa.Engine | str, scripts: Path = MIGRATIONS) -> None:
    """Brings the tables to the newest revision, in one transaction that keeps others from writing. Harmless where they have it already, and
    when several processes migrate at once: the second one finds it done."""
    engine = open_books(books) if isinstance(books, str) else books
    directory = ScriptDirectory.from_config(alembic_config(scripts=scripts))
    with writing(engine, wait_ms=MIGRATION_MS) as conn:
        _refuse_other(engine, MigrationContext.configure(conn).get_current_revision(), directory)
        command.upgrade(alembic_config(conn, scripts), "head")


def alembic_config(conn: sa.Connection | None = None, scripts: Path = MIGRATIONS) -> Config:
    """Alembic's settings, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["connection"] = conn
    return config


def _kind(engine: sa.Engine) -> ModuleType:
    return KINDS[engine.dialect.name]


@contextmanager
def _explained(engine: sa.Engine) -> Iterator[None]:
    """Translates errors of the driver that concern the books as a whole into `BooksError`."""
    try:
        yield
    except Exception as error:
        found: BooksError | None = _kind(engine).fault(engine.url, error)
        if found is None:
            raise
        raise found from error
