"""The embedded warehouse copied and put back, by the engine's own BACKUP and RESTORE.

Only the process that holds the directory can do it. Another one asks it through files in `DIR/backups`, which only who may write
the directory can make; the server for SELECT stays one for SELECT:

    NAME.wanted -> NAME.taken -> NAME.copy, then NAME.done (or NAME.failed, with the reason)

Neither is believed: on a disk that is full the engine (26.9) says BACKUP_CREATED and leaves files cut short. So each file of a copy is held
against the list that the engine makes of them, and what was put back is read with its checksums.

The engine writes nowhere else than there. What a holder that died has left is removed when the next one starts.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
from clickhouse_connect.driver.client import Client

from warehouse import lock
from warehouse.errors import WarehouseDown, WarehouseError, WarehouseHeld
from warehouse.faults import explained
from warehouse.opening import DATABASE, PLACE, open_warehouse

LIST = ".backup"
"""The engine's own list of what is in a copy."""

LOOK_S = 0.5
ANSWER_S = 20.0
"""A holder that has not taken a request for so long does not answer requests."""

UNCLAIMED_S = 3600.0


def copy(directory: Path, name: str) -> Path:
    """A copy of the whole database as a folder below `DIR/backups`, which is the caller's to take away.

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
    target = directory.resolve() / PLACE / f"{name}.copy"
    target.parent.mkdir(exist_ok=True, mode=0o700)
    try:
        with explained(client.uri):
            client.command(f"BACKUP DATABASE {DATABASE} TO File({_quoted(target)})")
        _whole(target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target


def _whole(copy: Path) -> None:
    """Whether every file that the engine lists is there to its last byte. A file that is like another is kept once, under its name."""
    try:
        listed = ElementTree.parse(copy / LIST).iterfind("contents/file")
        sizes = {file.findtext("data_file") or file.findtext("name") or "": int(file.findtext("size") or 0) for file in listed}
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise WarehouseError(f"the engine's copy in {copy} is not whole ({LIST}: {error}): is the disk full?") from error
    for name, size in sizes.items():
        found = (copy / name).stat().st_size if (copy / name).is_file() else 0
        if found != size:
            raise WarehouseError(
                f"the engine's copy in {copy} is not whole ({name} has {found} of {size} bytes): is the disk full?"
            )


def put_back(directory: Path, copy: Path) -> None:
    """A new warehouse in `directory`, from a copy."""
    _whole(copy)
    inside = directory.resolve() / PLACE / "restore.copy"
    inside.parent.mkdir(parents=True, mode=0o700)
    shutil.copytree(copy, inside, copy_function=_link_or_copy)
    client = open_warehouse(f"chdb://{directory}")
    try:
        with explained(client.uri):
            client.command(f"RESTORE DATABASE {DATABASE} FROM File({_quoted(inside)})")
            _check(client)
    finally:
        client.close()
        shutil.rmtree(inside)


def _check(client: Client) -> None:
    """Reads every part of every table with its checksums."""
    tables = client.query(
        "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'",
        parameters={"database": DATABASE},
    ).result_rows
    for (table,) in tables:
        for line in client.raw_query(f"CHECK TABLE {table}", fmt="JSONEachRow").splitlines():
            if not (part := msgspec.json.decode(line))["is_passed"]:
                raise WarehouseError(
                    f"{table} was not put back whole ({part['part_path']}: {part['message']}): is the disk full?"
                )


def clear(directory: Path) -> None:
    """Removes what a process that held the directory before has left half made."""
    for path in (directory / PLACE).glob("*"):
        if path.suffix == ".copy":
            shutil.rmtree(path)
        elif path.suffix in (".taken", ".done", ".failed"):
            path.unlink(missing_ok=True)


def answer(directory: Path, stop: threading.Event) -> None:
    """What the holder does for others until `stop`: makes the copies that they ask for, with a client of its own thread."""
    place = directory / PLACE
    clear(directory)
    while not stop.wait(LOOK_S):
        for path in place.glob("*.done"):
            if time.time() - path.stat().st_mtime > UNCLAIMED_S:  # who asked for it is gone
                shutil.rmtree(path.with_suffix(".copy"), ignore_errors=True)
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
            return base.with_suffix(".copy")
        if failed.exists():
            words = failed.read_text()
            failed.unlink()
            raise WarehouseError(words)
        if not wanted.exists() and not taken.exists() and not done.exists() and not failed.exists():
            raise WarehouseDown(f"whoever held the warehouse in {directory} ended while it made the copy: try again")
        if wanted.exists() and time.monotonic() > give_up:
            wanted.unlink(missing_ok=True)
            raise WarehouseHeld(
                f"the warehouse in {directory} is open in {(directory / lock.NAME).read_text().strip()}, which makes no copies for others "
                "(a notebook, or an older release): stop it, and try again"
            )


def _say(path: Path, words: str) -> None:
    """Whole or not at all: whoever waits reads it the moment it is there."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.write_text(words)
    draft.rename(path)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
