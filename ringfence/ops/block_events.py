"""What becomes of block orders, read from the books, where the dispatcher writes it."""

from __future__ import annotations

from books import BooksError, deliveries, open_books, reading, switches
from core.orders import key_of_entry
from services.status import block_counts
from switches.once import Once

EVERY_MS = 1_000


class BlockEvents:
    """`counts`: blocked keys by status (`services.status.block_counts`)."""

    def __init__(self, books_dsn: str) -> None:
        self._engine = open_books(books_dsn)
        self._read_ms = 0
        self._reported: dict[tuple[str, str], str] | None = None  # None = nothing read yet: blocks from before are not reported
        self._outages: list[str] = []
        self._outage = Once(self._outages.append)
        self.counts: dict[str, int] = {}

    def read(self, now_ms: int) -> list[str]:
        """Lines about changes since the last call; read at most once per second. An outage of the books is one line."""
        if now_ms - self._read_ms < EVERY_MS:
            return []
        self._read_ms = now_ms
        try:
            held = self._read_switches(now_ms)
        except BooksError as error:  # of any kind: `up` must not end with the books
            self._outage.begins(f"The books are down: {error}. Switches keep their blocks; orders wait in the journal.")
            return self._take_outages()
        self._outage.ends("The books answer again.")
        events = self._take_outages()
        if self._reported is not None:
            for (name, key), table in held.items():
                if self._reported.get((name, key)) != table:
                    verb = "refuses" if table == deliveries.BLOCKS else "is in shadow and would refuse"
                    events.append(f"                 switch {name} {verb} {key}")
            events += [
                f"                 switch {name} lets {key} pass again" for name, key in sorted(self._reported.keys() - held.keys())
            ]
        self._reported = held
        return events

    def _read_switches(self, now_ms: int) -> dict[tuple[str, str], str]:
        """(switch, key) -> the table that holds its entry."""
        with reading(self._engine) as conn:
            self.counts = block_counts(conn, now_ms)
            return {
                (switch.name, key_of_entry(one.name).text()): table
                for switch in switches.every(conn)
                for table in (deliveries.SHADOW, deliveries.BLOCKS)  # in this order: an entry that is being moved refuses already
                for one in deliveries.every(conn, switch.name, table)
                if one.value and one.delivered_at_ms is not None and one.until_ms > now_ms
            }

    def _take_outages(self) -> list[str]:
        lines, self._outages[:] = list(self._outages), []
        return lines

    def close(self) -> None:
        self._engine.dispose()
