"""What can be wrong with the warehouse. The words say what, where, and what a person can do."""

from __future__ import annotations


class WarehouseError(Exception):
    """Something is wrong with the warehouse."""


class WarehouseHeld(WarehouseError):
    """Another process has this directory open: an embedded warehouse belongs to one process at a time."""


class WarehouseDown(WarehouseError):
    """No answer, or an answer that it cannot do the work now. The same call may succeed later."""


class Refused(WarehouseError):
    """A question that is not a plain SELECT. `code` is ClickHouse's number for it."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code
