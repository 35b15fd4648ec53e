"""Backups that are refused, cut off, or damaged: nothing half is left, and nothing that was there is touched."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from books import open_books, orders, reading, suppressions, switches, writing
from core.orders import Key
from journal import Entry, open_journal
from ringfence.cli import app
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import blocks, first_start, manifest
from services.backup import NotBackedUp, backup
from services.homes import RESTORING
from services.portability import local
from services.restore import NotRestored, restore
from switches.tail import POSITION, load_positions, read_batch, store_positions
from warehouse import ask, migrate, open_warehouse

NOW_MS = 1_795_000_000_000
KEY = Key(tenant="t1", account="local", b_range="88213")


def quietly(_: str) -> None:
    pass


def settings_of(home: Path) -> Settings:
    return Settings(home=home, _env_file=None)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation in which nothing runs, with a record, a block, a suppression, a switch, and what a spool has delivered; and a
    backup of it. Tests get copies."""
    where = tmp_path_factory.mktemp("once")
    settings = settings_of(where / "home")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), NOW_MS)
    secrets = load_or_make(settings.state_dir)
    first_start.connect_switch(settings.installation, secrets, "k1", "kamailio", "http://127.0.0.1:1/RPC", True, NOW_MS)
    writer = open_journal(settings.journal_dsn).writer("calls", 0)
    writer.append([Entry(b"t1/local", b"{}", NOW_MS)])
    writer.close()
    with writing(open_books(settings.books_dsn)) as conn:
        blocks.block(conn, KEY, 3_600_000, "ann", "a test", NOW_MS)
        orders.lift(conn, msgspec.structs.replace(KEY, b_range="25090"), "ann", "a test", NOW_MS, 86_400_000)
    client = open_warehouse(settings.warehouse_dsn)
    migrate(client)
    client.command("INSERT INTO retention (table, days, set_ms, who, why) VALUES ('records', 77, 1, 'ann', 'a test')")
    client.close()
    (settings.spool_dir / "rec-1.jl").write_text('\n{"seq":1}\n\n{"seq":2}\n')
    batch = read_batch(settings.spool_dir, {}, max_bytes=1 << 20, torn_after_s=1, now_s=0)
    store_positions(settings.spool_dir / POSITION, batch.positions)
    ported = where / "ported.csv"
    ported.write_text("number,lrn\n43664123456,4369901\n")
    local.import_file(ported, settings.state_dir, "t1", delta=False)
    backup(settings.installation, where / "backup", NOW_MS, quietly)
    return where


@pytest.fixture
def home(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once / "home", tmp_path / "home", symlinks=True))


@pytest.fixture
def made(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once / "backup", tmp_path / "backup"))


def put_back(source: Path, home: Path, *, hold: bool = True) -> list[str]:
    return restore(settings_of(home), source, hold=hold, now_ms=NOW_MS + 1, report=quietly).held


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """A disk that has room for small files alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def content_of(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


# --- there and back ----------------------------------------------------------------------------------------------------------


def test_a_restored_home_is_the_same(once: Path, made: Path, tmp_path: Path):
    assert put_back(made, tmp_path / "new") == ["k1"]
    settings = settings_of(tmp_path / "new")
    reader = open_journal(settings.journal_dsn).reader("calls", 0, 0)
    assert [message.value for message in reader.read()] == [b"{}"]
    reader.close()
    with reading(open_books(settings.books_dsn)) as conn:
        assert [one.key.b_range for one in suppressions.live(conn, NOW_MS)] == ["25090"]
        assert switches.holds(conn)["k1"].who == "restore"
    client = open_warehouse(settings.warehouse_dsn)
    assert ask(client, ("SELECT days FROM retention WHERE who = 'ann'", {})) == [{"days": 77}]
    client.close()
    assert load_or_make(settings.state_dir) == load_or_make(once / "home" / "state")
    assert local.LocalDip(local.path_of(settings.state_dir, "t1")).ask("43664123456") == "4369901"
    assert not (settings.root / RESTORING).exists()


def test_a_backup_and_what_comes_back_are_for_their_owner_alone(made: Path, tmp_path: Path):
    put_back(made, tmp_path / "new")
    assert made.stat().st_mode & 0o077 == 0
    for name in ("state/secrets.json", "books.db"):
        assert (made / name).stat().st_mode & 0o077 == 0
        assert (tmp_path / "new" / name).stat().st_mode & 0o077 == 0


def test_what_the_spool_has_delivered_is_not_delivered_again(made: Path, tmp_path: Path):
    """The files are new ones on another disk: the places name them."""
    put_back(made, tmp_path / "new")
    spool = tmp_path / "new" / "spool"
    batch = read_batch(spool, load_positions(spool / POSITION), max_bytes=1 << 20, torn_after_s=1, now_s=0)
    assert batch.lines == [] and (spool / "rec-1.jl").exists()


def test_a_restored_home_can_be_backed_up_to_the_same_files(made: Path, tmp_path: Path):
    put_back(made, tmp_path / "new", hold=False)
    again = backup(settings_of(tmp_path / "new"), tmp_path / "again", NOW_MS, quietly)
    before = manifest.read(made)
    changing = {"books.db", "spool/position.json"}  # an audit line; the number of a file

    def same(files: dict[str, manifest.File]) -> dict[str, manifest.File]:  # tables made anew have new ids
        return {name: file for name, file in files.items() if name not in changing and not name.startswith("warehouse/")}

    assert same(again.files) == same(before.files)
    assert again.ends == before.ends


def test_without_a_hold_it_is_left_to_the_books(made: Path, tmp_path: Path):
    assert put_back(made, tmp_path / "new", hold=False) == []
    with reading(open_books(settings_of(tmp_path / "new").books_dsn)) as conn:
        assert switches.holds(conn) == {}


def test_parts_elsewhere_are_listed_and_need_not_answer(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """State and secrets are backed up also while the servers are away: they are what only we have."""
    for name, address in {
        "JOURNAL": "kafka://127.0.0.1:1",
        "WAREHOUSE": "http://ringfence:s3cret@127.0.0.1:1",
        "BOOKS": "postgresql://ringfence:s3cret@127.0.0.1:1/books",
    }.items():
        monkeypatch.setenv(f"RINGFENCE_{name}", address)
    printed = CliRunner().invoke(app, ["backup", "--home", str(home), "--out", str(tmp_path / "out")]).output
    assert "Not in it: the journal at kafka://127.0.0.1:1" in printed and "Not in it: the books at postgresql://ringfence@" in printed
    written = manifest.read(tmp_path / "out")
    assert {name.split("/")[0] for name in written.files} == {"state", "spool"}

    found = CliRunner().invoke(app, ["restore", "--from", str(tmp_path / "out"), "--home", str(tmp_path / "new")])
    assert found.exit_code == 0 and "ringfence unblock --all" in found.output
    assert "s3cret" not in printed + found.output + (tmp_path / "out" / "manifest.json").read_text()
    assert load_or_make(tmp_path / "new" / "state") == load_or_make(home / "state")

    monkeypatch.setenv("RINGFENCE_BOOKS", "")
    found = CliRunner().invoke(app, ["restore", "--from", str(tmp_path / "out"), "--home", str(tmp_path / "other")])
    assert found.exit_code == 1 and "set RINGFENCE_BOOKS to it" in found.output


# --- backups that are not made -----------------------------------------------------------------------------------------------


def test_nothing_is_written_over_and_nothing_into_itself(home: Path, tmp_path: Path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    for out, reason in ((tmp_path / "there", "not empty"), (home / "backup", "inside of the home")):
        with pytest.raises(NotBackedUp, match=reason):
            backup(settings_of(home), out, NOW_MS, quietly)
    with pytest.raises(NotBackedUp, match="not a home"):
        backup(settings_of(tmp_path / "nowhere"), tmp_path / "out", NOW_MS, quietly)
    assert not (tmp_path / "nowhere").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "spelling",
    ["link/backup", "link/state/backup", "link", "through/state/backup", "up/../backup", "home/state/../backup", "home/./new/backup", "into-state/b"],
)
def test_no_spelling_leads_a_backup_into_the_home(home: Path, tmp_path: Path, spelling: str):
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "through").symlink_to(tmp_path / "link")  # a link to a link
    (tmp_path / "up").symlink_to(home / "state")  # its .. is the home, not this directory
    (tmp_path / "into-state").symlink_to(home / "state")
    before = sorted(home.rglob("*"))
    with pytest.raises(NotBackedUp, match=r"inside of the home|not empty"):
        backup(settings_of(home), tmp_path / spelling, NOW_MS, quietly)
    assert sorted(home.rglob("*")) == before


def test_a_home_by_way_of_a_link_is_the_same_home(home: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(home)
    for where_home, out in ((tmp_path / "link", home / "backup"), (tmp_path / "link", tmp_path / "link" / "backup"), (home, tmp_path / "link" / "b")):
        with pytest.raises(NotBackedUp, match="inside of the home"):
            backup(settings_of(where_home), out, NOW_MS, quietly)


def test_a_mount_of_the_home_elsewhere_is_the_home(home: Path, tmp_path: Path):
    """A mount shows the same directory under another name; its device and inode identify it."""
    elsewhere = tmp_path / "mounted"
    elsewhere.mkdir()
    for shown in (home, home / "state"):
        if subprocess.run(["mount", "--bind", shown, elsewhere], capture_output=True, check=False).returncode:
            pytest.skip("mounting takes root and its rights")
        try:
            with pytest.raises(NotBackedUp, match="inside of the home"):
                backup(settings_of(home), elsewhere / "backup", NOW_MS, quietly)
        finally:
            subprocess.run(["umount", elsewhere], check=True)


def test_a_journal_that_is_not_in_the_home_takes_no_backup_either(home: Path, tmp_path: Path):
    shutil.move(home / "journal", tmp_path / "disk")
    settings = Settings(home=home, journal=f"files://{tmp_path / 'disk'}", _env_file=None)
    with pytest.raises(NotBackedUp, match="inside of the home"):
        backup(settings.installation, tmp_path / "disk" / "backup", NOW_MS, quietly)


def test_a_cycle_of_links_is_an_error_and_a_link_elsewhere_is_followed(home: Path, tmp_path: Path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(NotBackedUp, match="leads nowhere"):
        backup(settings_of(home), tmp_path / "a" / "backup", NOW_MS, quietly)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    backup(settings_of(home), tmp_path / "link" / "backup", NOW_MS, quietly)
    assert (tmp_path / "disk" / "backup" / "manifest.json").exists()


def test_a_disk_that_gets_full_leaves_nothing(home: Path, tmp_path: Path):
    out = tmp_path / "backups" / "today"
    with no_file_over(30_000):  # the books do not fit
        found = CliRunner().invoke(app, ["backup", "--home", str(home), "--out", str(out)])
    assert found.exit_code == 1 and "No backup was made" in found.output
    assert list((tmp_path / "backups").iterdir()) == []
    assert list((home / "warehouse" / "backups").iterdir()) == []
    assert CliRunner().invoke(app, ["backup", "--home", str(home), "--out", str(out)]).exit_code == 0


# --- restores that are refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda made: (made / "state" / "secrets.json").write_text("{}"), "secrets.json has 2 bytes, not"),
        (lambda made: _flip(made / "books.db"), "books.db has another hash"),
        (lambda made: (made / "warehouse" / ".backup").unlink(), "warehouse/.backup is missing"),
        (lambda made: (made / "journal" / "more").touch(), "was not part of the backup"),
        (lambda made: (made / "manifest.json").unlink(), "is no backup"),
        (lambda made: (made / "manifest.json").write_text('{"format": 2'), "is damaged"),
        (lambda made: (made / "manifest.json").write_text('{"format": 1}'), "has format 1"),
        (lambda made: _change(made, layout=999, ringfence="9.0.0"), "made by Ringfence 9.0.0, which is newer"),
    ],
)
def test_a_backup_that_is_not_what_was_made_is_refused_before_anything_is_written(made: Path, tmp_path: Path, damage, reason: str):
    damage(made)
    with pytest.raises(manifest.WrongBackup, match=reason):
        put_back(made, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    found = CliRunner().invoke(app, ["restore", "--from", str(made), "--home", str(tmp_path / "new")])
    assert (found.exit_code == 1 and found.output.startswith("  hashes\nNot restored: ")) or "Not restored: " in found.output


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


def _change(made: Path, **changes: object) -> None:
    data = msgspec.json.decode((made / "manifest.json").read_bytes())
    (made / "manifest.json").write_bytes(msgspec.json.encode(data | changes))


def test_a_home_that_is_in_use_is_not_touched(made: Path, home: Path):
    before = content_of(home)
    with pytest.raises(NotRestored, match="is not empty"):
        put_back(made, home)
    after = content_of(home)
    after.pop(".ringfence.lock", None)
    assert after == before


def test_a_backup_does_not_go_where_other_addresses_are_set(made: Path, tmp_path: Path):
    settings = settings_of(tmp_path / "new").model_copy(update={"books": "postgresql://ringfence:s3cret@db/books"})
    with pytest.raises(manifest.WrongBackup, match="RINGFENCE_BOOKS names another kind of store") as refused:
        restore(settings.installation, made, hold=True, now_ms=NOW_MS, report=quietly)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "newer",
    [
        pytest.param(lambda home: _sql(home, "update alembic_version set version_num = '9999'"), id="books"),
        pytest.param(lambda home: _newer_warehouse(home), id="warehouse"),
        pytest.param(lambda home: (home / "journal/calls/topic.json").write_text('{"format": 9, "partitions": 4}'), id="journal"),
    ],
)
def test_what_a_newer_release_wrote_is_not_migrated_downwards(home: Path, newer):
    """A downgrade is refused in one line, and changes nothing."""
    newer(home)
    found = CliRunner().invoke(app, ["migrate", "--home", str(home)])
    assert found.exit_code == 1, found.output
    assert "newer" in found.output or "has format 9, this program reads" in found.output
    assert isinstance(found.exception, SystemExit), "told in a line, not with a traceback"


@pytest.mark.parametrize(("revision", "reason"), [("9999", "of a newer release"), ("0004", "books of Ringfence 0.1")])
def test_a_part_does_not_start_on_books_of_another_release(home: Path, revision: str, reason: str):
    _sql(home, f"update alembic_version set version_num = '{revision}'")
    env = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")} | {
        "RINGFENCE_METRICS_PORT": "0"
    }
    flow = [sys.executable, "-m", "ringfence", "flow", "judge", "--home", home]
    found = subprocess.run(flow, env=env, cwd=home.parent, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and reason in found.stderr and "RINGFENCE_HOME" in found.stderr
    assert "Traceback" not in found.stderr


def _sql(home: Path, statement: str) -> None:
    with writing(open_books(settings_of(home).books_dsn)) as conn:
        conn.exec_driver_sql(statement)


def _newer_warehouse(home: Path) -> None:
    client = open_warehouse(settings_of(home).warehouse_dsn)
    client.command("INSERT INTO migrations (version, name, sha256, applied_ms) VALUES (99, '0099_later.sql', 'x', 1)")
    client.close()


def test_a_backup_of_newer_books_leaves_the_home_empty(home: Path, tmp_path: Path):
    _sql(home, "update alembic_version set version_num = '9999'")
    backup(settings_of(home), tmp_path / "newer", NOW_MS, quietly)
    with pytest.raises(NotRestored, match="newer"):
        put_back(tmp_path / "newer", tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {".ringfence", ".ringfence.lock"}


# --- restores that are cut off -----------------------------------------------------------------------------------------------


def test_a_restore_onto_a_full_disk_leaves_the_home_empty(made: Path, tmp_path: Path):
    with no_file_over(30_000), pytest.raises(NotRestored, match="is empty again"):
        put_back(made, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {".ringfence", ".ringfence.lock"}
    assert put_back(made, tmp_path / "new") == ["k1"]


KILLED = """
import os, sys
from services import restore
restore.warehouse_copy.put_back = lambda *_: os._exit(9)
from ringfence.cli import app
app(["restore", "--from", sys.argv[1], "--home", sys.argv[2]])
"""


def test_a_killed_restore_is_detected_and_started_again(made: Path, tmp_path: Path):
    new = tmp_path / "new"
    env = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    died = subprocess.run([sys.executable, "-c", KILLED, made, new], env=env, cwd=tmp_path, capture_output=True, timeout=60)
    assert died.returncode == 9 and (new / RESTORING).exists() and (new / "journal").exists()

    found = CliRunner().invoke(app, ["status", "--home", str(new)])
    assert found.exit_code == 1 and "the home is incomplete" in found.output
    assert put_back(made, new) == ["k1"]
    assert CliRunner().invoke(app, ["orders", "--home", str(new)]).exit_code == 0
