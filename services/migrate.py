"""Migrates the stores of an installation to this release.

In this order, with what a crash leaves behind:

1. the pending migrations of every store; a store of a newer release ends it  nothing was written
2. directories and topics                                                     each may be repeated
3. a backup, if a store with content has pending migrations                   an unfinished backup has no name; the next run makes another
4. `HOME/.migrating` with the path of that backup                             the next run goes on from here, without a second backup
5. the warehouse, then the books: each may be repeated                        the next run goes on with what is still pending
6. `.migrating` is removed                                                    done
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import books
import warehouse
from journal.durable import replace_file
from services import first_start
from services.backup import Report, backup
from services.errors import InUse
from services.installation import Installation
from warehouse.migrations import DDL, migrations

MARKER = ".migrating"
"""In a home during a migration: the path of the backup."""


@dataclass(frozen=True)
class Scripts:
    """The directories of the migrations."""

    books: Path = books.MIGRATIONS
    warehouse: Path = DDL


@dataclass(frozen=True)
class Migrated:
    """The migrations that were applied, by name. `backup`: the one made before; None = nothing was stored, or nothing was pending."""

    books: list[str]
    warehouse: list[str]
    backup: Path | None


def migrate(
    installation: Installation,
    now_ms: int,
    report: Report = lambda _: None,
    scripts: Scripts = Scripts(),
    backup_first: bool = True,
) -> Migrated:
    """Migrates books and warehouse, and makes what a first start makes. Repeating it does nothing.

    The backup is made beside the home. Raises `InUse` if a process holds the warehouse, `BooksError` or `WarehouseError` for a store of a
    newer release (nothing was written then), and the errors of `services.backup.backup`.
    """
    directory = warehouse.embedded_directory(installation.warehouse_dsn)
    has_books, has_warehouse = installation.has_books, directory is None or directory.exists()
    engine = books.open_books(installation.books_dsn)
    try:
        for_books = books.pending(engine, scripts.books) if has_books else []
        for_warehouse = _pending_in_warehouse(installation, scripts) if has_warehouse else []
        first_start.lay(installation)
        marker = installation.root / MARKER
        made = Path(marker.read_text()) if marker.exists() else None
        if backup_first and made is None and (for_books or for_warehouse):
            at = datetime.fromtimestamp(now_ms / 1000, UTC)
            made = installation.root.with_name(f"{installation.root.name}-before-{at:%Y%m%dT%H%M%S}")
            backup(installation, made, now_ms, report)
            replace_file(marker, str(made).encode())
        client = _open(installation)
        try:
            applied = warehouse.migrate(client, scripts.warehouse)
        finally:
            client.close()
        for_books = books.pending(engine, scripts.books)
        books.migrate(engine, scripts=scripts.books)
        marker.unlink(missing_ok=True)
        return Migrated(for_books, applied, made)
    finally:
        engine.dispose()


def _open(installation: Installation) -> warehouse.Warehouse:
    try:
        return warehouse.open_warehouse(installation.warehouse_dsn)
    except warehouse.WarehouseHeld as error:
        raise InUse(f"The warehouse is in use: {error}") from error


def _pending_in_warehouse(installation: Installation, scripts: Scripts) -> list[str]:
    """The pending migrations of a warehouse with tables; an empty one needs no backup."""
    client = _open(installation)
    try:
        found = warehouse.pending(client, scripts.warehouse)
        return [] if len(found) == len(migrations(scripts.warehouse)) else [one.name for one in found]
    finally:
        client.close()
