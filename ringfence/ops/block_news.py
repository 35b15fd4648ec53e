"""What has become of the orders: read from the books, where the dispatcher writes it."""

from __future__ import annotations

from books import BooksError, deliveries, open_books, reading, switches
from core.orders import key_of_entry
from services.status import block_counts
from switches.once import Once

EVERY_MS = 1_000


class Blocks:
    """`counts`: keys that are blocked, by status (`services.status.blocks`)."""

    def __init__(self, books_dsn: str) -> None:
        self._engine = open_books(books_dsn)
        self._read_ms = 0
        self._reported: dict[tuple[str, str], str] | None = None  # None = nothing read yet: what a switch holds already is no news
        self._news: list[str] = []
        self._away = Once(self._news.append)
        self.counts: dict[str, int] = {}

    def read(self, now_ms: int) -> list[str]:
        """News in words; looked for once a second. While the books are away there is that one."""
        if now_ms - self._read_ms < EVERY_MS:
            return []
        self._read_ms = now_ms
        try:
            held = self._look(now_ms)
        except BooksError as error:  # of any kind: whoever watches must not fall with what it watches
            self._away.begins(f"The books are away: {error}. Blocks stay as they are; orders wait in the journal.")
            return self._words()
        self._away.ends("The books answer again.")
        news = self._words()
        if self._reported is not None:
            for (name, key), table in held.items():
                if self._reported.get((name, key)) != table:
                    verb = "refuses" if table == deliveries.BLOCKS else "is in shadow: it would refuse"
                    news.append(f"                 switch {name} {verb} {key}")
            news += [
                f"                 switch {name} lets {key} pass again" for name, key in sorted(self._reported.keys() - held.keys())
            ]
        self._reported = held
        return news

    def _look(self, now_ms: int) -> dict[tuple[str, str], str]:
        """(switch, key) -> the table that holds its entry."""
        with reading(self._engine) as conn:
            self.counts = block_counts(conn, now_ms)
            return {
                (switch.name, key_of_entry(one.name).text()): table
                for switch in switches.every(conn)
                for table in (deliveries.SHADOW, deliveries.BLOCKS)  # an entry on its way from one to the other refuses already
                for one in deliveries.every(conn, switch.name, table)
                if one.value and one.delivered_at_ms is not None and one.until_ms > now_ms
            }

    def _words(self) -> list[str]:
        words, self._news[:] = list(self._news), []
        return words

    def close(self) -> None:
        self._engine.dispose()
