"""Books on a server: PostgreSQL 15 or newer, through psycopg 3. It keeps the two promises that SQLite gave for nothing.

*One writer at a time.* A transaction that may write takes an advisory lock before anything else, and holds it to its end. So what
it reads (the orders of the last minute, the newest version's number, who holds a lease) is still true when it writes, and nobody
needs to think of the order of row locks. The isolation is READ COMMITTED on purpose: each statement sees what was committed before
it, and so everything of the writer before. In REPEATABLE READ the view would be as old as the first statement, which is the one
that waits for the lock.

*One view for readers.* REPEATABLE READ READ ONLY: every statement of one reading sees the same moment, waits for nobody, and the
server refuses a write.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from books.errors import BooksError, Unavailable

WRITER = 0x52464E43
"""The advisory lock of whoever writes. Locks are by database, so two installations on one server do not meet."""

LOCK_TIMEOUT_MS = 5_000
"""How long a writer waits for another one before it is an error."""

FROZEN_MS = 60_000
"""A process that stops in the middle of a transaction (frozen, or its machine gone) keeps others from writing for so long."""

CONNECTIONS, WAIT_S = 5, 10.0
"""Of a process, kept open; as many again for a moment. How long a thread waits for one."""

READS: dict[str, Any] = {"reads_only": True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Options of a connection that only reads."""

LINE: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "ringfence",
    # A server whose machine is gone is noticed within half a minute, not after the kernel's two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""What an address need not say. What it says itself goes before."""


def engine_of(url: sa.URL) -> sa.Engine:
    """Nothing is connected yet: the first transaction does that."""
    if not url.database:
        raise BooksError(f"{where(url)}: the address names no database: postgresql://user:password@host:port/database")
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={name: value for name, value in LINE.items() if name not in url.query},
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_timeout=WAIT_S,
        hide_parameters=True,  # a control token is no part of an error's text
        pool_pre_ping=True,  # a restart of the server is no error of the next transaction
    )
    sa.event.listen(engine, "connect", _prepare, insert=True)  # before the dialect asks anything
    sa.event.listen(engine, "begin", _begin)
    return engine


def where(url: sa.URL) -> str:
    """The address as it may be shown."""
    user = f"{url.username}@" if url.username else ""
    hosts = url.host or url.query.get("host", "")
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    return f"postgresql://{user}{host}:{url.port or 5432}/{url.database or ''}"


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """What holds for the whole session, in one round trip."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise _Encoding(encoding)
    connection.autocommit = True
    connection.execute(
        "SELECT set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false), "
        # A person's word that was answered must survive a power cut, whatever the server's default is.
        "CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END",
        (str(LOCK_TIMEOUT_MS), str(FROZEN_MS)),
    )
    connection.autocommit = False


class _Encoding(Exception):
    """The database's encoding, which is not UTF8."""


def _begin(conn: sa.Connection) -> None:
    if conn.get_execution_options().get("reads_only"):
        return
    if wait_ms := conn.get_execution_options().get("wait_ms"):
        conn.exec_driver_sql(f"SET LOCAL lock_timeout = {int(wait_ms)}")
    conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")


# --- what went wrong ---

_PASSING: dict[str, str] = {
    "40001": "another transaction was faster",
    "40P01": "another transaction was faster",
    "55P03": f"another process has been writing for more than {LOCK_TIMEOUT_MS // 1000} s",
    "57014": "the server gave the statement up",
    "25P03": f"this process stood still for {FROZEN_MS // 1000} s in the middle of a transaction",
    "57P01": "the server is being shut down",
    "57P02": "the server has crashed and starts again",
    "57P03": "the server is starting or stopping",
    "57P05": "the server ended a connection that was idle",
    "53100": "the server's disk is full; make room there",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left; raise its max_connections, or give this user its share (docs/servers.md)",
}
"""SQLSTATE -> in words, of what passes by itself. Class 08 (the line) passes too."""

_LASTING: dict[str, str] = {
    "28P01": "the password is refused; set the right one",
    "28000": "the server lets this user in from here in no way; see its pg_hba.conf",
    "3D000": "there is no such database; make it (createdb), or name another",
    "42501": "this user has not the right to do it; make it the owner of the database",
    "42P01": "its tables are not those of this release; `ringfence migrate` brings them there",
    "42703": "its tables are not those of this release; `ringfence migrate` brings them there",
    "3F000": "there is no schema that this user may write to; give it one (GRANT CREATE ON SCHEMA public)",
    "25006": "the server is read-only, perhaps a standby; name the primary, or add target_session_attrs=read-write",
}
"""SQLSTATE -> in words, of what stays until a person does something."""

# At the door there is no SQLSTATE, only the server's words (in English, unless its lc_messages says otherwise: then they are shown
# as they are, and taken for something that passes).
_AT_THE_DOOR: list[tuple[str, str, bool]] = [
    (
        r"password authentication failed|no password supplied|authentication failed",
        "the password is refused; set the right one",
        False,
    ),
    (r"no pg_hba\.conf entry|role .* does not exist|is not permitted to log in", _LASTING["28000"], False),
    (r"database .* does not exist", _LASTING["3D000"], False),
    (r"permission denied for database", "this user may not connect to that database; GRANT CONNECT", False),
    (
        r"failed to resolve host|could not translate host name",
        "no machine is known by that name; mend the host, or the name server",
        True,
    ),
    (
        r"certificate verify failed|does not match host name|root certificate file|could not read certificate|SSL error.*certificate",
        "the server's certificate is not what was asked for; see sslmode, sslrootcert and the host's name",
        False,
    ),
    (r"server does not support SSL", "the server speaks no TLS, and the address asks for it; see sslmode", False),
    (r"too many clients|too many connections|remaining connection slots", _PASSING["53300"], True),
    (r"starting up|shutting down|in recovery mode|not yet accepting", "the server is starting or stopping", True),
    (r"session is not read-write|session is read-only", _LASTING["25006"], True),
    (r"Connection refused", "nobody listens there; start the server, or mend host and port", True),
    (r"No such file or directory", "there is no socket there; start the server, or mend the path", True),
    (r"timeout expired|timed out|No route to host|unreachable", "there is no answer; see host, port and firewalls", True),
]
"""A pattern of the words, what it means, and whether it passes by itself."""


def fault(url: sa.URL, error: BaseException) -> BooksError | None:
    """What an error of the driver means; None = a bug of ours, which is told as it is."""
    if isinstance(error, _Encoding):
        return BooksError(f"{where(url)}: the database's encoding is {error}; make one with ENCODING 'UTF8'")
    if isinstance(error, sa.exc.TimeoutError):
        return Unavailable(f"{where(url)}: all {2 * CONNECTIONS} connections of this process have been busy for {WAIT_S:g} s")
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return None
    words = _plain(str(cause))
    if cause.sqlstate in _LASTING:
        return BooksError(f"{where(url)}: {_LASTING[cause.sqlstate]} ({words})")
    if cause.sqlstate is not None:
        passes = cause.sqlstate in _PASSING or cause.sqlstate.startswith("08")
        return Unavailable(f"{where(url)}: {_PASSING.get(cause.sqlstate, 'the line broke')} ({words})") if passes else None
    if isinstance(cause, psycopg.ProgrammingError) and re.search(r"URI|connection option|conninfo", words):
        return BooksError(f"{where(url)}: the address says something that is not understood ({words})")
    if isinstance(cause, psycopg.OperationalError):
        for pattern, meaning, passes in _AT_THE_DOOR:
            if re.search(pattern, words):
                return (Unavailable if passes else BooksError)(f"{where(url)}: {meaning} ({words})")
        return Unavailable(f"{where(url)}: {words}")
    return None


def _plain(words: str) -> str:
    """One line, without what the driver says around it."""
    return " ".join(words.removeprefix("connection failed: ").split())[:300]
