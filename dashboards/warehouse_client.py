"""A client of the warehouse that connects on demand, and again after an error. For one thread."""

from __future__ import annotations

from typing import Any

from warehouse import Query, Warehouse, ask, open_warehouse

TIMEOUT_S = 5.0


class WarehouseClient:
    """Queries of the warehouse at an address."""

    def __init__(self, dsn: str, timeout_s: float = TIMEOUT_S) -> None:
        self._dsn, self._timeout_s = dsn, timeout_s
        self._client: Warehouse | None = None

    def ask(self, query: Query) -> list[dict[str, Any]]:
        """The rows; after an error the next query uses a new connection. Raises `WarehouseError`."""
        try:
            return ask(self.connected(), query)
        except BaseException:
            client, self._client = self._client, None
            if client is not None:
                client.close()
            raise

    def connected(self) -> Warehouse:
        """The connection, for a service that asks by itself. Raises `WarehouseError`."""
        if self._client is None:
            self._client = open_warehouse(self._dsn, timeout_s=self._timeout_s)
        return self._client
