"""Errors of the warehouse. The message names the fault, the place, and what a person can do."""

from __future__ import annotations


class WarehouseError(Exception):
    """A fault of the warehouse."""


class WarehouseHeld(WarehouseError):
    """Another process has this directory open: an embedded warehouse belongs to one process at a time."""


class WarehouseDown(WarehouseError):
    """No answer, or an answer that it cannot do the work now. The same call may succeed later."""


class Refused(WarehouseError):
    """A request that the read-only server does not answer. `code` is ClickHouse's error number."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code
