"""One process opens an embedded warehouse; the error of a second one names the holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from warehouse import WarehouseDown, WarehouseError, WarehouseHeld, migrate, open_warehouse
from warehouse.migrations import DDL

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, time
from warehouse import open_warehouse
client = open_warehouse(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(directory: Path):
    child = subprocess.Popen([sys.executable, "-c", HOLD, f"chdb://{directory}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "open\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_the_error_of_a_second_process_names_the_holder(directory, holder):
    with pytest.raises(WarehouseHeld) as refusal:
        open_warehouse(f"chdb://{directory}")
    message = str(refusal.value)
    assert f"process {holder.pid} " in message and str(directory) in message and "http" in message


def test_a_killed_holder_leaves_nothing_behind(directory, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    open_warehouse(f"chdb://{directory}").close()


def test_clients_of_one_process_share_it_and_the_last_gives_it_free(directory):
    first = open_warehouse(f"chdb://{directory}")
    second = open_warehouse(f"chdb://{directory}/")
    first.close()
    assert second.query("SELECT 1").first_row == (1,)
    assert is_refused_elsewhere(directory)
    second.close()
    second.close()
    assert not is_refused_elsewhere(directory)


def is_refused_elsewhere(directory: Path) -> bool:
    program = "import sys; from warehouse import open_warehouse; open_warehouse(sys.argv[1]).close()"
    done = subprocess.run(
        [sys.executable, "-c", program, f"chdb://{directory}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        assert f"process {os.getpid()} " in done.stderr
    return bool(done.returncode)


def test_a_client_a_thread(client):
    found = []

    def read() -> None:
        mine = open_warehouse(client.uri)
        found.append(mine.query("SELECT count() FROM records").first_row)
        mine.close()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [(0,)] * 4


def test_a_process_has_one_embedded_warehouse(client, tmp_path):
    with pytest.raises(WarehouseError, match=r"this process has the one in .* open"):
        open_warehouse(f"chdb://{tmp_path}/another")
    assert client.query("SELECT 1").first_row == (1,)


def test_the_error_of_an_address_without_an_answer_has_no_password():
    with pytest.raises(WarehouseDown) as down:
        open_warehouse("http://reader:secret@127.0.0.1:9", timeout_s=2)
    assert "127.0.0.1:9" in str(down.value) and "secret" not in str(down.value)


@pytest.mark.parametrize("dsn", ["", "chdb://", "chdb:relative", "postgres://x", "http://", "chdb:///x?y=1"])
def test_what_is_no_address_is_refused(dsn):
    with pytest.raises(WarehouseError, match="not a warehouse's address"):
        open_warehouse(dsn)


def test_a_directory_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match="cannot be opened"):
        open_warehouse(f"chdb://{tmp_path}/file/warehouse")


def test_migrations_are_applied_once(client):
    assert migrate(client) == []
    names = client.query("SELECT name FROM migrations ORDER BY version").result_columns[0]
    assert list(names) == sorted(path.name for path in DDL.glob("*.sql"))


def test_a_migration_cut_off_in_the_middle_is_taken_up_again(directory):
    client = open_warehouse(f"chdb://{directory}")
    real, left = client.command, iter(range(7))

    def command(*args, **kwargs):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    client.command = command
    with pytest.raises(KeyboardInterrupt):
        migrate(client)
    client.command = real
    applied = migrate(client)
    assert applied and applied[-1] == max(path.name for path in DDL.glob("*.sql"))
    client.close()


def test_a_changed_migration_and_a_newer_warehouse_are_refused(client, tmp_path):
    for path in DDL.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0001_records.sql").write_text("SELECT 1;")
    with pytest.raises(WarehouseError, match=r"0001_records\.sql was changed"):
        migrate(client, tmp_path)
    client.insert("migrations", [[99, "0099_future.sql", "x", 0]], column_names=["version", "name", "sha256", "applied_ms"])
    with pytest.raises(WarehouseError, match="written by a newer one"):
        migrate(client)
