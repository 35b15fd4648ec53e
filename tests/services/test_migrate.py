"""An upgrade between two made-up releases: a backup first, finished after a kill at any step, refused downwards."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from books import BooksError, open_books, reading
from journal import JournalError
from services import first_start, manifest
from services.errors import ServiceError
from services.homes import MARKER
from services.installation import Installation
from services.migrate import Scripts, migrate
from warehouse import WarehouseError, ask, open_warehouse
from warehouse.migrations import DDL

NOW_MS = 1_700_000_000_000
HEAD = re.compile(r'^revision = "(\w+)"', re.MULTILINE)
KILLED = """
import os, signal, sys
from pathlib import Path
import books, warehouse
from services import migrate as service
from services.installation import Installation

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr({"books": books, "warehouse": warehouse}[sys.argv[1]], "migrate", die)
service.migrate(Installation.embedded(Path(sys.argv[2])), 1_700_000_000_000, scripts=service.Scripts(Path(sys.argv[3]), Path(sys.argv[4])))
"""


@pytest.fixture
def now_and_next(tmp_path: Path) -> tuple[Scripts, Scripts]:
    """This release's migrations, and those of a made-up release after it: one more for the books, one more for the warehouse."""
    later = Scripts(tmp_path / "later-books", tmp_path / "later-ddl")
    shutil.copytree(Scripts().books, later.books, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(DDL, later.warehouse)
    head = max(HEAD.findall("\n".join(path.read_text() for path in later.books.glob("versions/*.py"))))
    (later.books / "versions" / "next.py").write_text(
        f'from alembic import op\nrevision = "next"\ndown_revision = "{head}"\ndef upgrade():\n    op.execute("create table made_up (id integer)")\n'
    )
    number = len(list(DDL.glob("*.sql"))) + 1
    (later.warehouse / f"{number:04d}_made_up.sql").write_text(
        "CREATE TABLE IF NOT EXISTS made_up (id Int32) ENGINE = MergeTree ORDER BY id;\n"
    )
    return Scripts(), later


@pytest.fixture
def installation(tmp_path: Path, now_and_next: tuple[Scripts, Scripts]) -> Installation:
    """One that this release has made and used."""
    made = Installation.embedded(tmp_path / "home")
    done = migrate(made, NOW_MS)
    assert done.backup is None, "a first start has nothing to lose"
    first_start.open_and_publish(made, first_start.starter("t1"), NOW_MS)
    return made


def is_next(installation: Installation) -> tuple[bool, bool]:
    """Whether the books and the warehouse are of the release after this one."""
    engine = open_books(installation.books_dsn)
    with reading(engine) as conn:
        revision = conn.exec_driver_sql("select version_num from alembic_version").scalar()
    engine.dispose()
    client = open_warehouse(installation.warehouse_dsn)
    try:
        found = ask(client, ("SELECT max(version) AS version FROM migrations", {}))
    finally:
        client.close()
    return revision == "next", found[0]["version"] == len(list(DDL.glob("*.sql"))) + 1


def backups(installation: Installation) -> list[Path]:
    return list(installation.root.parent.glob("home-before-*"))


def test_an_upgrade_makes_a_backup_and_brings_both_stores_on(installation: Installation, now_and_next: tuple[Scripts, Scripts]):
    _, later = now_and_next
    done = migrate(installation, NOW_MS, scripts=later)
    assert done.books == ["next"] and len(done.warehouse) == 1 and is_next(installation) == (True, True)
    assert done.backup is not None and backups(installation) == [done.backup]
    manifest.compare(done.backup, manifest.read(done.backup))
    again = migrate(installation, NOW_MS + 1000, scripts=later)
    assert (again.books, again.warehouse, again.backup) == ([], [], None) and len(backups(installation)) == 1


@pytest.mark.parametrize("step", ["warehouse", "books"])
def test_an_upgrade_that_was_killed_is_finished_by_the_next_one(installation: Installation, now_and_next: tuple[Scripts, Scripts], step: str):
    _, later = now_and_next
    command = [sys.executable, "-c", KILLED, step, str(installation.root), str(later.books), str(later.warehouse)]
    assert subprocess.run(command, timeout=120, check=False).returncode == -signal.SIGKILL
    assert is_next(installation) == (False, step == "books") and len(backups(installation)) == 1
    done = migrate(installation, NOW_MS + 3_600_000, scripts=later)
    assert is_next(installation) == (True, True)
    assert backups(installation) == [done.backup], "the backup is of before the first run, and the only one"


def test_a_release_before_is_refused_and_changes_nothing(installation: Installation, now_and_next: tuple[Scripts, Scripts]):
    now, later = now_and_next
    migrate(installation, NOW_MS, scripts=later)
    with pytest.raises(BooksError, match="of a newer release"):
        migrate(installation, NOW_MS, scripts=now)
    with pytest.raises(WarehouseError, match="written by a newer one"):
        migrate(installation, NOW_MS, scripts=Scripts(later.books, now.warehouse))
    assert is_next(installation) == (True, True) and len(backups(installation)) == 1


def test_a_home_of_release_0_1_is_refused_with_what_to_do(installation: Installation):
    (installation.root / MARKER).write_bytes(b"")
    with pytest.raises(ServiceError, match="home of another release of Ringfence") as refused:
        migrate(installation, NOW_MS)
    assert "move it away, or start that release for it" in str(refused.value)


def test_a_journal_of_release_0_1_is_refused_with_what_to_do(installation: Installation):
    about = installation.root / "journal" / "calls" / "topic.json"
    about.write_text(about.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(JournalError, match=r"is a journal of Ringfence 0\.1, .*: move it away"):
        migrate(installation, NOW_MS)


def test_books_of_release_0_1_are_refused_with_what_to_do(installation: Installation, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("books.engine.OF_0_1", frozenset({"0000"}))
    engine = open_books(installation.books_dsn)
    with engine.begin() as conn:
        conn.exec_driver_sql("update alembic_version set version_num = '0000'")
    engine.dispose()
    with pytest.raises(BooksError, match=r"are books of Ringfence 0\.1, .*: move them away"):
        migrate(installation, NOW_MS)
