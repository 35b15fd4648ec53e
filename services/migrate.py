"""The stored forms of an installation, brought to this release."""

from __future__ import annotations

import books
import warehouse
from services import first_start
from services.errors import InUse
from services.installation import Installation


def migrate(installation: Installation) -> list[str]:
    """Makes directories and topics, and migrates books and warehouse; the names of the warehouse's migrations that were applied.

    May be repeated: what is at this release is left as it is. Raises `InUse` where a store holds the warehouse.
    """
    first_start.lay(installation)
    books.migrate(installation.books_dsn)
    try:
        client = warehouse.open_warehouse(installation.warehouse_dsn)
    except warehouse.WarehouseHeld as error:
        raise InUse(f"The warehouse is in use: {error}") from error
    try:
        return list(warehouse.migrate(client))
    finally:
        client.close()
