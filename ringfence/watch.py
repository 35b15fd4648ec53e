"""What has become of the orders: read from the books, where the dispatcher writes it."""

from __future__ import annotations

from books import deliveries, open_books, orders, reading, switches

EVERY_MS = 1_000


class Blocks:
    """`held`: entries that the switches have acknowledged. `waiting`: orders that wait for a person."""

    def __init__(self, books_dsn: str) -> None:
        self._engine = open_books(books_dsn)
        self._read_ms = 0
        self._told: set[tuple[str, str]] = set()
        self.held = 0
        self.waiting = 0
        self._first = True

    def read(self, now_ms: int) -> list[str]:
        """News in words; looked for once a second."""
        if now_ms - self._read_ms < EVERY_MS:
            return []
        self._read_ms = now_ms
        news = []
        with reading(self._engine) as conn:
            self.waiting = orders.counts(conn).get("waiting", 0)
            held = {
                (switch.name, one.key.text()): one
                for switch in switches.every(conn)
                for table in (deliveries.BLOCKS, deliveries.SHADOW)
                for one in deliveries.every(conn, switch.name, table)
                if one.order_id and one.delivered_at_ms is not None and one.expires_at_ms > now_ms
            }
        for (switch_name, key), one in held.items():
            if (switch_name, key) not in self._told and not self._first:
                verb = "refuses" if one.table == deliveries.BLOCKS else "is in shadow: it would refuse"
                news.append(f"                 switch {switch_name} {verb} {key}")
        if not self._first:
            news += [f"                 switch {name} lets {key} pass again" for name, key in sorted(self._told - held.keys())]
        self._told, self._first = set(held), False
        self.held = sum(one.table == deliveries.BLOCKS for one in held.values())
        return news

    def close(self) -> None:
        self._engine.dispose()
