"""Another config version into a Kamailio that runs: its sources and dial plans, without a restart and between two calls.

What a crash leaves behind: some rows of the new version beside those of the old one. The same again makes it whole, and a start
writes all of it anyway.
"""

from __future__ import annotations

from switches.control import CTL, JsonRpcControl
from switches.kamailio.tables import Table

RELOADED = ("dialplan", "sources")
"""Tables that a running switch takes, in this order: a source names a dial plan. `carriers` are read from the configuration alone."""


class TableControl(JsonRpcControl):
    """The control port, for the tables that are compiled."""

    def put(self, table: str, key: str, value: str) -> None:
        self._call("htable.sets", table, key, value)


def reload(control: TableControl, old: dict[str, Table], new: dict[str, Table]) -> int:
    """Brings the switch from `old` to `new` (as `tables.tables` compiles them); returns how many rows changed.

    What is new is there before what is old goes, so that no address is without its trunk that has one before and after.
    """
    changed = 0
    for table in RELOADED:
        for key, value in new[table].items():
            if old[table].get(key) != value:
                control.put(table, key, value)
                changed += 1
    for key in ("lengths4", "lengths6"):
        if old[CTL].get(key) != new[CTL][key]:
            control.put(CTL, key, new[CTL][key] or "none")
    for table in reversed(RELOADED):
        for key in old[table].keys() - new[table].keys():
            control.remove_block(key, table)
            changed += 1
    if changed:
        control.put(CTL, "tables", new[CTL]["tables"])
    return changed
