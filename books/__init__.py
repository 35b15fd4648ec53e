"""The database of tenants, decks, config versions, lists, alerts, orders, suppressions, leases and the audit log.

SQLite in WAL with `synchronous=FULL`, or PostgreSQL, by the address; SQL is written in this package alone. Each function takes a connection
first; `writing(engine)` and `reading(engine)` open one, with a transaction.
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
