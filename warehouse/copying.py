"""The embedded warehouse copied and put back, by the engine's own BACKUP and RESTORE.

Only the process that holds the directory can do it. Another one asks it through files in `DIR/backups`, which only who may write
the directory can make; the server for SELECT stays one for SELECT:

    NAME.wanted -> NAME.taken -> NAME.tar, then NAME.done (or NAME.failed, with the reason)

The engine writes nowhere else than there. What a holder that died has left is removed when the next one starts.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from clickhouse_connect.driver.client import Client

from warehouse.errors import WarehouseDown, WarehouseError, WarehouseHeld
from warehouse.faults import explained
from warehouse.lock import holder
from warehouse.opening import DATABASE, PLACE, open_warehouse

LOOK_S = 0.5
ANSWER_S = 20.0
"""A holder that has not taken a request for so long does not answer requests."""

UNCLAIMED_S = 3600.0


def copy(directory: Path, name: str) -> Path:
    """A copy of the whole database as one file below `DIR/backups`, which is the caller's to take away.

    Made here if nobody holds the directory, else by whoever does.
    """
    try:
        client = open_warehouse(f"chdb://{directory}")
    except WarehouseHeld:
        return _ask(directory, name)
    try:
        clear(directory)
        return make(client, directory, name)
    finally:
        client.close()


def make(client: Client, directory: Path, name: str) -> Path:
    """By the process that holds it. Rows that come meanwhile may be in it or not."""
    target = directory.resolve() / PLACE / f"{name}.tar"
    target.parent.mkdir(exist_ok=True, mode=0o700)
    try:
        with explained(client.uri):
            client.command(f"BACKUP DATABASE {DATABASE} TO File({_quoted(target)})")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def put_back(directory: Path, file: Path) -> None:
    """A new warehouse in `directory`, from the file of a copy."""
    place = directory.resolve() / PLACE
    place.mkdir(parents=True, mode=0o700)
    inside = place / "restore.tar"
    _link_or_copy(file, inside)
    client = open_warehouse(f"chdb://{directory}")
    try:
        with explained(client.uri):
            client.command(f"RESTORE DATABASE {DATABASE} FROM File({_quoted(inside)})")
    finally:
        client.close()
        inside.unlink()


def clear(directory: Path) -> None:
    """Removes what a process that held the directory before has left half made."""
    for path in (directory / PLACE).glob("*"):
        if path.is_file() and path.suffix in (".tar", ".taken", ".done", ".failed"):
            path.unlink(missing_ok=True)


def answer(directory: Path, stop: threading.Event) -> None:
    """What the holder does for others until `stop`: makes the copies that they ask for, with a client of its own thread."""
    place = directory / PLACE
    clear(directory)
    while not stop.wait(LOOK_S):
        for path in place.glob("*.done"):
            if time.time() - path.stat().st_mtime > UNCLAIMED_S:  # who asked for it is gone
                path.with_suffix(".tar").unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        for wanted in sorted(place.glob("*.wanted")):
            taken = wanted.with_suffix(".taken")
            try:
                wanted.rename(taken)
            except FileNotFoundError:
                continue  # withdrawn
            try:
                client = open_warehouse(f"chdb://{directory}")
                try:
                    make(client, directory, wanted.stem)
                finally:
                    client.close()
            except (WarehouseError, OSError) as error:
                _say(taken.with_suffix(".failed"), str(error))
            else:
                _say(taken.with_suffix(".done"), "")
            taken.unlink(missing_ok=True)


def _ask(directory: Path, name: str) -> Path:
    base = directory / PLACE / name
    wanted, taken, done, failed = (base.with_suffix(s) for s in (".wanted", ".taken", ".done", ".failed"))
    base.parent.mkdir(exist_ok=True, mode=0o700)
    wanted.touch()
    give_up = time.monotonic() + ANSWER_S
    while True:
        time.sleep(0.1)
        if done.exists():
            done.unlink()
            return base.with_suffix(".tar")
        if failed.exists():
            words = failed.read_text()
            failed.unlink()
            raise WarehouseError(words)
        if not wanted.exists() and not taken.exists() and not done.exists() and not failed.exists():
            raise WarehouseDown(f"whoever held the warehouse in {directory} ended while it made the copy: try again")
        if wanted.exists() and time.monotonic() > give_up:
            wanted.unlink(missing_ok=True)
            raise WarehouseHeld(
                f"the warehouse in {directory} is open in {holder(directory)}, which makes no copies for others "
                "(a notebook, or an older release): stop it, and try again"
            )


def _say(path: Path, words: str) -> None:
    """Whole or not at all: whoever waits reads it the moment it is there."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.write_text(words)
    draft.rename(path)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
