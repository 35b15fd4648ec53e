"""A client of the warehouse that is opened when it is needed, and anew after an error. For one thread."""

from __future__ import annotations

from typing import Any

from warehouse import Query, Warehouse, ask, open_warehouse

TIMEOUT_S = 5.0


class WarehouseClient:
    """Questions to the warehouse at an address."""

    def __init__(self, dsn: str, timeout_s: float = TIMEOUT_S) -> None:
        self._dsn, self._timeout_s = dsn, timeout_s
        self._client: Warehouse | None = None

    def ask(self, query: Query) -> list[dict[str, Any]]:
        """The rows; raises `WarehouseError`, and the next question tries a new connection."""
        if self._client is None:
            self._client = open_warehouse(self._dsn, timeout_s=self._timeout_s)
        try:
            return ask(self._client, query)
        except BaseException:
            client, self._client = self._client, None
            client.close()
            raise
