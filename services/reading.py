"""A client that reads the warehouse, through the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services import endpoints
from services.errors import NoInstallation
from services.installation import Installation
from warehouse import Warehouse, WarehouseHeld, embedded_directory, open_warehouse


@contextmanager
def warehouse(installation: Installation) -> Iterator[Warehouse]:
    """A client of the process that holds the embedded warehouse, or of its directory if none does. Raises `NoInstallation`."""
    directory = embedded_directory(installation.warehouse_dsn)
    if directory is not None and not directory.exists():
        raise NoInstallation(f"There is no warehouse in {directory}: start `ringfence up` once, or name the --home.")
    client = _open(installation, directory is not None)
    try:
        yield client
    finally:
        client.close()


def _open(installation: Installation, embedded: bool) -> Warehouse:
    if embedded and endpoints.running(installation.run_dir) is None:
        try:
            return open_warehouse(installation.warehouse_dsn)
        except WarehouseHeld:
            pass  # a `flow store` without `up`: it answers at the port of the settings
    return open_warehouse(reader_dsn(installation))


def reader_dsn(installation: Installation) -> str:
    """The address at which other processes may query the warehouse."""
    if embedded_directory(installation.warehouse_dsn) is None:
        return installation.warehouse_dsn
    running = endpoints.running(installation.run_dir)
    url = running.warehouse_url if running else installation.warehouse_url
    return url.replace("://", f"://ringfence:{installation.warehouse_token()}@")
