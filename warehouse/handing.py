"""Rows for the embedded warehouse from another process than the one that holds it.

Only the holder can insert. Another process hands it files in `DIR/handed`, which only who may write the directory can make; the server for
SELECT stays one for SELECT:

    NAME.rows (Arrow IPC, the table's name in its metadata) -> inserted -> NAME.done, or NAME.failed with the reason

A file is whole or not there. What a holder that died has not inserted, the next one does, and what was inserted twice collapses: so whoever hands
rows over must bear that they are stored after it has gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from core.clock import wall_clock_ms
from warehouse import lock
from warehouse.errors import WarehouseDown, WarehouseError, WarehouseHeld
from warehouse.opening import embedded_directory, open_warehouse
from warehouse.rows import insert

PLACE = "handed"
LOOK_S = 0.05
ANSWER_S = 60.0
"""A holder that has not inserted a file for so long takes none."""

TABLE = b"ringfence.table"

Insert = Callable[[str, pa.Table], None]


@contextmanager
def inserting(dsn: str) -> Iterator[Insert]:
    """How rows are inserted at an address: by this process where nobody else holds the warehouse, or it is a server; else by its holder. The
    rows of a call are durable when it returns."""
    try:
        client = open_warehouse(dsn)
    except WarehouseHeld:
        directory = embedded_directory(dsn)
        assert directory is not None
        yield lambda table, rows: _hand(directory, table, rows)
        return
    try:
        yield lambda table, rows: (insert(client, table, rows), None)[1]
    finally:
        client.close()


def _hand(directory: Path, table: str, rows: pa.Table) -> None:
    place = directory / PLACE
    place.mkdir(exist_ok=True, mode=0o700)
    base = place / f"{wall_clock_ms()}-{threading.get_native_id()}"
    draft, ready, done, failed = (base.with_suffix(one) for one in (".new", ".rows", ".done", ".failed"))
    with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, rows.schema.with_metadata({TABLE: table.encode()})) as writer:
        writer.write_table(rows.replace_schema_metadata({TABLE: table.encode()}))
    draft.rename(ready)
    give_up = time.monotonic() + ANSWER_S
    while True:
        if done.exists():
            done.unlink()
            return
        if failed.exists():
            words = failed.read_text()
            failed.unlink()
            raise WarehouseError(words)
        if time.monotonic() > give_up:
            ready.unlink(missing_ok=True)
            holder = (directory / lock.NAME).read_text().strip()
            raise WarehouseDown(
                f"the warehouse in {directory} is open in {holder}, which has taken no rows of others for {ANSWER_S:g} s: look into its log, "
                "or stop it, and try again"
            )
        time.sleep(LOOK_S)


def take(directory: Path, stop: threading.Event) -> None:
    """What the holder does for others until `stop`: inserts the files that they hand over, with a client of its own thread."""
    place = directory / PLACE
    for draft in place.glob("*.new"):  # of a process that died
        draft.unlink(missing_ok=True)
    while not stop.wait(LOOK_S):
        for ready in sorted(place.glob("*.rows")):
            try:
                with pa.OSFile(str(ready), "rb") as source:
                    rows = pa.ipc.open_file(source).read_all()
                table = (rows.schema.metadata or {}).get(TABLE, b"").decode()
                client = open_warehouse(f"chdb://{directory}")
                try:
                    insert(client, table, rows.replace_schema_metadata(None))
                finally:
                    client.close()
            except FileNotFoundError:
                continue  # withdrawn
            except (WarehouseError, OSError, pa.ArrowInvalid) as error:
                draft = ready.with_suffix(".word")
                draft.write_text(str(error))
                draft.rename(ready.with_suffix(".failed"))
                ready.unlink(missing_ok=True)
            else:
                ready.rename(ready.with_suffix(".done"))
