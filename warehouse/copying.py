"""Copies and restores the embedded warehouse, by the engine's own BACKUP and RESTORE.

Only the process that holds the directory can do it. Another process asks it through files in `DIR/backups`, which only a user with write
access to the directory can make; the read-only server stays read-only:

    NAME.wanted -> NAME.taken -> NAME.copy, then NAME.done (or NAME.failed, with the reason)

The engine's success is not trusted: on a full disk it (26.9) reports BACKUP_CREATED and leaves truncated files. So each file of a copy is
compared with the engine's own list, and restored tables are read with their checksums.

The engine writes only there. What a holder that died has left is removed when the next one starts.
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
from warehouse.opening import BACKUPS, DATABASE, open_warehouse

LIST = ".backup"
"""The engine's own list of the files in a copy."""

LOOK_S = 0.5
ANSWER_S = 20.0
"""A holder that has not taken a request for so long does not answer requests."""

UNCLAIMED_S = 3600.0


def copy(directory: Path, name: str) -> Path:
    """A copy of the whole database as a folder below `DIR/backups`; the caller moves it away.

    Made by this process if no other holds the directory, else by the holder.
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
    """Makes the copy, in the process that holds the directory. Rows that are stored meanwhile may be in it or not."""
    target = directory.resolve() / BACKUPS / f"{name}.copy"
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
    """Raises unless every file of the engine's list is there in full size. Identical files are stored once, under one name."""
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
    inside = directory.resolve() / BACKUPS / "restore.copy"
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
    """Removes unfinished copies of a previous holder."""
    for path in (directory / BACKUPS).glob("*"):
        if path.suffix == ".copy":
            shutil.rmtree(path)
        elif path.suffix in (".taken", ".done", ".failed"):
            path.unlink(missing_ok=True)


def answer(directory: Path, stop: threading.Event) -> None:
    """Makes the copies that other processes ask for, until `stop`. For a thread of the holder, with a client of its own."""
    folder = directory / BACKUPS
    clear(directory)
    while not stop.wait(LOOK_S):
        for path in folder.glob("*.done"):
            if time.time() - path.stat().st_mtime > UNCLAIMED_S:  # the process that asked for it is gone
                shutil.rmtree(path.with_suffix(".copy"), ignore_errors=True)
                path.unlink(missing_ok=True)
        for wanted in sorted(folder.glob("*.wanted")):
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
                _put(taken.with_suffix(".failed"), str(error))
            else:
                _put(taken.with_suffix(".done"), "")
            taken.unlink(missing_ok=True)


def _ask(directory: Path, name: str) -> Path:
    base = directory / BACKUPS / name
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
            text = failed.read_text()
            failed.unlink()
            raise WarehouseError(text)
        if not any(path.exists() for path in (wanted, taken, done, failed)):
            raise WarehouseDown(f"the process that held the warehouse in {directory} ended while it made the copy: try again")
        if wanted.exists() and time.monotonic() > give_up:
            wanted.unlink(missing_ok=True)
            raise WarehouseHeld(
                f"the warehouse in {directory} is open in {(directory / lock.NAME).read_text().strip()}, which makes no copies for others "
                "(a notebook, or an older release): stop it, and try again"
            )


def _put(path: Path, text: str) -> None:
    """Writes the file whole or not at all: the waiting process reads it as soon as it exists."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.write_text(text)
    draft.rename(path)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
