"""Where promises are kept: tenants, decks, config versions, lists, alerts, orders, suppressions, leases, audit.

Only this package speaks SQL to the books: SQLite in WAL with `synchronous=FULL` now, written so that PostgreSQL can take its
place. Every function takes a connection first; `writing(engine)` and `reading(engine)` open one, and a transaction with it.
"""

from books.engine import Connection, Engine, Unavailable, migrate, open_books, reading, writing

__all__ = ["Connection", "Engine", "Unavailable", "migrate", "open_books", "reading", "writing"]
