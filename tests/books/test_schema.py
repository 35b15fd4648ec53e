"""The migrations create the tables of the code, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
from contextlib import suppress

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from books import BooksError, audit, migrate, open_books, reading, writing
from books.engine import alembic_config
from books.tables import METADATA


@pytest.fixture
def engine(books_dsn):
    engine = open_books(books_dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def file(tmp_path):
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    migrate(engine)
    yield engine
    engine.dispose()


def test_the_migrations_create_the_tables_of_the_code(engine):
    with writing(engine) as conn:
        assert compare_metadata(MigrationContext.configure(conn), METADATA) == []


def test_migrating_twice_is_harmless(engine):
    migrate(engine)


def test_the_books_survive_a_power_cut_and_are_private(file, tmp_path):
    with reading(file) as conn:
        assert conn.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert conn.exec_driver_sql("pragma synchronous").scalar() == 2  # FULL
    assert (tmp_path / "books.db").stat().st_mode & 0o077 == 0


def test_a_reader_waits_for_no_writer(engine):
    with writing(engine) as writer:
        audit.note(writer, "ops", "tried", "it", "", 1)
        with reading(engine) as reader:
            assert audit.last(reader) == []
    with reading(engine) as reader:
        assert len(audit.last(reader)) == 1


def test_the_audit_cannot_be_changed(engine):
    with writing(engine) as conn:
        audit.note(conn, "ops", "blocked", "t1/account:acme", "fraud", 1)
    statements = ["update audit set who='nobody'", "delete from audit"]
    for statement in statements + ["truncate audit"] * (engine.dialect.name == "postgresql"):
        with pytest.raises(sa.exc.DBAPIError, match="append only"), writing(engine) as conn:
            conn.exec_driver_sql(statement)
    with reading(engine) as conn:
        assert audit.last(conn)[0].who == "ops"


def test_a_reading_is_read_only_and_sees_one_snapshot(engine):
    with reading(engine) as reader:
        before = audit.last(reader)
        with writing(engine) as writer:
            audit.note(writer, "ops", "tried", "it", "", 1)
        assert audit.last(reader) == before == []
    with suppress(BooksError), reading(engine) as reader:  # SQLite lets it write, and nothing stays
        audit.note(reader, "ops", "wrote", "in a reading", "", 2)
    with reading(engine) as reader:
        assert [entry.verb for entry in audit.last(reader)] == ["tried"]


def test_the_migrations_can_be_printed_for_a_database_administrator():
    out = io.StringIO()
    config = alembic_config()
    config.attributes["dialect"] = "postgresql"
    config.output_buffer = out
    command.upgrade(config, "head", sql=True)
    script = out.getvalue()
    assert "CREATE TABLE block_orders" in script and "audit_is_append_only" in script
    assert "DEFAULT false" in script and "DEFAULT 0 NOT NULL" not in script.split("automatic")[1][:60]
    for table in METADATA.sorted_tables:
        assert f"CREATE TABLE {table.name}" in script
        CreateTable(table).compile(dialect=postgresql.dialect())


def test_opening_the_books_again_releases_no_lock_of_this_process(file, tmp_path):
    """Closing any descriptor of the file would release them: another process would delete the WAL, and later writes would be lost."""
    path = tmp_path / "books.db"
    other = "import sys; from books import audit, open_books, writing\nengine = open_books(sys.argv[1])\n"
    other += "with writing(engine) as conn: audit.note(conn, 'other', 'wrote', 'it', '', 1)\nengine.dispose()"
    with writing(file) as conn:
        audit.note(conn, "first", "wrote", "it", "", 1)
    for turn in range(3):
        open_books(f"sqlite:///{path}").dispose()
        subprocess.run([sys.executable, "-c", other, str(path)], check=True)
        with reading(file) as conn:
            assert len(audit.last(conn)) == 2 * turn + 2, "what another process wrote is seen"
        with writing(file) as conn:
            audit.note(conn, "first", "wrote", "again", "", 1)
    with sqlite3.connect(path) as fresh:
        assert fresh.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert fresh.execute("select count(*) from audit").fetchone() == (7,)
