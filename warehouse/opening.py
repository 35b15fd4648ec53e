"""One address opens the warehouse: `chdb:///dir` in the one process that inserts, `http://user:token@host:port` elsewhere."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from core.address import without_password
from warehouse import lock
from warehouse.errors import WarehouseError, WarehouseHeld
from warehouse.faults import explained

DATABASE = "ringfence"

BACKUPS = "backups"
"""The only folder in an embedded warehouse's directory to which the engine may write copies."""


def open_warehouse(dsn: str, *, timeout_s: float = 30.0) -> Client:
    """A client of the warehouse at an address; one client per thread. Close it: the last one of a process unlocks the directory.

    `timeout_s`: how long an answer over HTTP may take; the embedded engine has no connection that could hang.

    >>> open_warehouse("mysql://somewhere")
    Traceback (most recent call last):
    ...
    warehouse.errors.WarehouseError: 'mysql://somewhere' is not a warehouse's address: expected chdb:///absolute/directory or http(s)://user:password@host:port
    (with what a password has of : / @ ? # % written as %3A and so on)
    """
    if directory := embedded_directory(dsn):
        return _open_embedded(directory)
    if _is_http(dsn):
        _check_file_of_authority(dsn)
        with explained(without_password(dsn)):
            # The driver takes TLS from the port, not from the scheme: with https and another port than 8443 it would not encrypt.
            client = clickhouse_connect.get_client(
                dsn=dsn, interface=urlsplit(dsn).scheme, connect_timeout=min(10, int(timeout_s) or 1), send_receive_timeout=max(1, int(timeout_s)),
                autogenerate_session_id=False,
            )  # fmt: skip
        client.database = DATABASE
        return client
    raise WarehouseError(
        f"{without_password(dsn)!r} is not a warehouse's address: expected chdb:///absolute/directory or "
        "http(s)://user:password@host:port (with what a password has of : / @ ? # % written as %3A and so on)"
    )


def _is_http(dsn: str) -> bool:
    try:
        parts = urlsplit(dsn)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != -1  # which reads it
    except ValueError:  # its message may hold a part of the password
        return False


def _check_file_of_authority(dsn: str) -> None:
    """The driver reports a missing file as a broken connection."""
    for name, path in parse_qsl(urlsplit(dsn).query):
        if name in ("ca_cert", "client_cert", "client_cert_key") and path != "certifi" and not Path(path).is_file():
            raise WarehouseError(f"the warehouse at {without_password(dsn)}: there is no file {path} for {name}")


def embedded_directory(dsn: str) -> Path | None:
    """The directory of an embedded warehouse's address, or None for one behind HTTP.

    >>> embedded_directory("chdb:///srv/ringfence/warehouse"), embedded_directory("http://127.0.0.1:8123")
    (PosixPath('/srv/ringfence/warehouse'), None)
    """
    parts = urlsplit(dsn)
    plain = dsn.startswith("chdb:///") and not (parts.netloc or parts.query or parts.fragment) and len(parts.path) > 1
    return Path(unquote(parts.path)) if plain else None


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
        options: dict[str, Any] = {"interface": "chdb", "path": str(where), "chdb_options": {"backups.allowed_path": str(where / BACKUPS)}}
        client = clickhouse_connect.get_client(**options)
    except ClickHouseError as error:
        text = str(error)
        if other := re.search(r"already initialized with path '([^']*)'", text):
            raise WarehouseError(
                f"the warehouse in {directory} cannot be opened: this process has the one in {other[1]} open, "
                "and a process can have one embedded engine only. Close every client of that one first"
            ) from error
        if "EmbeddedServer" in text or "lock file" in text:
            raise WarehouseHeld(
                f"the warehouse in {directory} is open in another process, which is not Ringfence: the engine reports {text[:300]}"
            ) from error
        raise WarehouseError(f"the warehouse in {directory} cannot be opened: {text[:600]}") from error
    client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    client.database = DATABASE
    return client
