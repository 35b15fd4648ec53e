"""One address opens the warehouse: `chdb:///dir` in the one process that inserts, `http://user:token@host:port` elsewhere."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from warehouse import lock
from warehouse.errors import WarehouseDown, WarehouseError, WarehouseHeld

DATABASE = "ringfence"

PLACE = "backups"
"""The folder in an embedded warehouse's directory to which the engine may write copies, and the only one."""

_TRANSIENT = {159, 160, 202, 209, 210, 241, 242, 243, 252, 279, 285, 319, 425, 999, 1000}
"""ClickHouse's numbers for what may pass by itself: time-outs, network, memory, no space, too many parts or queries, Keeper."""


def open_warehouse(dsn: str, *, timeout_s: float = 30.0) -> Client:
    """A client of the warehouse at an address; one client a thread. Close it: the last one of a process gives the directory free.

    `timeout_s` is how long an answer over HTTP may take; the embedded engine has no line that could hang.

    >>> open_warehouse("mysql://somewhere")
    Traceback (most recent call last):
    ...
    warehouse.errors.WarehouseError: 'mysql://somewhere' is not a warehouse's address: expected chdb:///absolute/directory or http(s)://host:port
    """
    parts = urlsplit(dsn)
    if directory := embedded_directory(dsn):
        return _open_embedded(directory)
    if parts.scheme in ("http", "https") and parts.hostname:
        with explained(without_password(dsn)):
            client = clickhouse_connect.get_client(
                dsn=dsn, connect_timeout=min(10, int(timeout_s) or 1), send_receive_timeout=max(1, int(timeout_s)),
                autogenerate_session_id=False,
            )  # fmt: skip
        client.database = DATABASE
        return client
    raise WarehouseError(
        f"{without_password(dsn)!r} is not a warehouse's address: expected chdb:///absolute/directory or http(s)://host:port"
    )


def embedded_directory(dsn: str) -> Path | None:
    """The directory of an embedded warehouse's address, or None for one behind HTTP.

    >>> embedded_directory("chdb:///srv/ringfence/warehouse"), embedded_directory("http://127.0.0.1:8123")
    (PosixPath('/srv/ringfence/warehouse'), None)
    """
    parts = urlsplit(dsn)
    plain = dsn.startswith("chdb:///") and not (parts.netloc or parts.query or parts.fragment) and len(parts.path) > 1
    return Path(unquote(parts.path)) if plain else None


def without_password(dsn: str) -> str:
    """An address as it may be shown.

    >>> without_password("http://reader:secret@127.0.0.1:8124/")
    'http://127.0.0.1:8124/'
    """
    parts = urlsplit(dsn)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """The driver's errors as ours: `WarehouseDown` for what may pass by itself, `WarehouseError` for what will not."""
    try:
        yield
    except Error as error:
        words = str(error).strip().partition("\n")[0][:600]
        # No number from the engine = the line itself failed.
        kind = WarehouseDown if error.code is None or error.code in _TRANSIENT else WarehouseError
        raise kind(f"the warehouse at {where}: {words}") from error
    except OSError as error:
        raise WarehouseDown(f"the warehouse at {where}: {error}") from error


def _open_embedded(directory: Path) -> Client:
    try:
        lock.hold(directory)
    except OSError as error:
        raise WarehouseError(f"the warehouse in {directory} cannot be opened: {error}") from error
    try:
        client = _engine(directory)
    except BaseException:
        lock.release(directory)
        raise
    finish = weakref.finalize(client, lock.release, directory)
    close = client.close

    def close_and_release() -> None:
        close()
        finish()

    client.close = close_and_release  # type: ignore[method-assign]
    return client


def _engine(directory: Path) -> Client:
    try:
        where = directory.resolve()
        options: dict[str, Any] = {"interface": "chdb", "path": str(where), "chdb_options": {"backups.allowed_path": str(where / PLACE)}}
        client = clickhouse_connect.get_client(**options)
    except ClickHouseError as error:
        words = str(error)
        if other := re.search(r"already initialized with path '([^']*)'", words):
            raise WarehouseError(
                f"the warehouse in {directory} cannot be opened: this process has the one in {other[1]} open, "
                "and a process has one embedded engine. Close every client of that one first"
            ) from error
        if "EmbeddedServer" in words or "lock file" in words:
            raise WarehouseHeld(
                f"the warehouse in {directory} is open in another process, one that is not ours: the engine says {words[:300]}"
            ) from error
        raise WarehouseError(f"the warehouse in {directory} cannot be opened: {words[:600]}") from error
    client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    client.database = DATABASE
    return client
