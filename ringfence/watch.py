"""What has become of the orders: read from the books, where the dispatcher writes it."""

from __future__ import annotations

from books import deliveries, open_books, orders, reading, switches

EVERY_MS = 1_000


class Blocks:
    """`held`: entries that the switches have acknowledged. `waiting`: orders that wait for a person."""

    def __init__(self, books_dsn: str) -> None:
        self._engine = open_books(books_dsn)
        self._read_ms = 0
        self._told: dict[tuple[str, str], str] | None = None  # None = nothing read yet: what is held already is no news
        self.held = 0
        self.waiting = 0

    def read(self, now_ms: int) -> list[str]:
        """News in words; looked for once a second."""
        if now_ms - self._read_ms < EVERY_MS:
            return []
        self._read_ms = now_ms
        news = []
        with reading(self._engine) as conn:
            self.waiting = orders.counts(conn).get("waiting", 0)
            held = {
                (switch.name, one.key.text()): table
                for switch in switches.every(conn)
                for table in (deliveries.SHADOW, deliveries.BLOCKS)  # an entry on its way from one to the other refuses already
                for one in deliveries.every(conn, switch.name, table)
                if one.order_id and one.delivered_at_ms is not None and one.expires_at_ms > now_ms
            }
        if self._told is not None:
            for (name, key), table in held.items():
                if self._told.get((name, key)) != table:
                    verb = "refuses" if table == deliveries.BLOCKS else "is in shadow: it would refuse"
                    news.append(f"                 switch {name} {verb} {key}")
            news += [
                f"                 switch {name} lets {key} pass again" for name, key in sorted(self._told.keys() - held.keys())
            ]
        self._told = held
        self.held = sum(table == deliveries.BLOCKS for table in held.values())
        return news

    def close(self) -> None:
        self._engine.dispose()
