"""Where promises are kept: tenants, decks, config versions, lists, alerts, orders, suppressions, leases, audit.

Only this package speaks SQL to the books: SQLite in WAL with `synchronous=FULL`, or PostgreSQL, by their address. Every function
takes a connection first; `writing(engine)` and `reading(engine)` open one, and a transaction with it.
"""

from books.engine import MIGRATIONS, Connection, Engine, check, migrate, open_books, pending, reading, where, writing
from books.errors import BooksError, Unavailable

__all__ = [
    "MIGRATIONS",
    "BooksError",
    "Connection",
    "Engine",
    "Unavailable",
    "check",
    "migrate",
    "open_books",
    "pending",
    "reading",
    "where",
    "writing",
]
