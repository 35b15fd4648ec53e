"""Books on a server: PostgreSQL 15 or newer, through psycopg 3, with the two guarantees that SQLite has by itself.

*One writer at a time.* A transaction that may write takes an advisory lock before anything else, and holds it to its end. So the rows
that it reads (the orders of the last minute, the newest version's number, the holder of a lease) are still true when it writes, and the order
of row locks does not matter. The isolation is READ COMMITTED on purpose: each statement sees all that was committed before it, and so all
of the previous writer. A REPEATABLE READ snapshot would be as old as the first statement, which is the one that waits for the lock.
The ledger alone has many writers: its transactions (`writing(engine, row_locks=True)`) lock the rows of the accounts that they post to.

*One snapshot for readers.* REPEATABLE READ READ ONLY: the statements of one reading see the same moment and wait for nobody, and the
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
"""The advisory lock of the writer. Locks are per database: two installations on one server do not affect each other."""

LOCK_TIMEOUT_MS = 5_000
"""How long a writer waits for another one before it fails."""

FROZEN_MS = 60_000
"""A process that stops within a transaction (frozen, or its machine lost) keeps others from writing for so long."""

CONNECTIONS, WAIT_S = 5, 10.0
"""Pooled connections of a process, and as many again on demand; how long a thread waits for one."""

READS: dict[str, Any] = {"reads_only": True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Options of a connection that only reads."""

CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "ringfence",
    # A server whose machine is lost is noticed within half a minute, not after the kernel's two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""Connection parameters; those in the address go first."""


def engine_of(url: sa.URL) -> sa.Engine:
    """Connects at the first transaction."""
    if not url.database:
        raise BooksError(f"{where(url)}: the address names no database: postgresql://user:password@host:port/database")
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={name: value for name, value in CONNECTION.items() if name not in url.query},
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_timeout=WAIT_S,
        hide_parameters=True,  # else an error's text could show a control token
        pool_pre_ping=True,  # else the first transaction after a restart of the server fails
    )
    sa.event.listen(engine, "connect", _prepare, insert=True)  # before the dialect asks anything
    sa.event.listen(engine, "begin", _begin)
    return engine


def where(url: sa.URL) -> str:
    """The address without the password."""
    user = f"{url.username}@" if url.username else ""
    hosts = url.host or url.query.get("host", "")
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    return f"postgresql://{user}{host}:{url.port or 5432}/{url.database or ''}"


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """Session settings, in one round trip."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise _Encoding(encoding)
    connection.autocommit = True
    connection.execute(
        "SELECT set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false), "
        # A person's action that was acknowledged must survive a power cut, whatever the server's default is.
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
    if conn.get_execution_options().get("row_locks"):
        return
    conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")


# --- errors ---

_PASSING: dict[str, str] = {
    "40001": "another transaction was faster",
    "40P01": "another transaction was faster",
    "55P03": f"another process has been writing for more than {LOCK_TIMEOUT_MS // 1000} s",
    "57014": "the server gave the statement up",
    "25P03": f"this process stood still for {FROZEN_MS // 1000} s within a transaction",
    "57P01": "the server is being shut down",
    "57P02": "the server has crashed and starts again",
    "57P03": "the server is starting or stopping",
    "57P05": "the server ended a connection that was idle",
    "53100": "the server's disk is full; make room there",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left; raise its max_connections, or give this user its share (docs/servers.md)",
}
"""SQLSTATE -> meaning, of faults that pass by themselves. Class 08 (the connection) passes too."""

_LASTING: dict[str, str] = {
    "28P01": "the password is refused; set the right one",
    "28000": "the server does not let this user in from here; see its pg_hba.conf",
    "3D000": "there is no such database; make it (createdb), or name another",
    "42501": "this user has not the right to do it; make it the owner of the database",
    "42P01": "its tables are not those of this release; `ringfence migrate` brings them there",
    "42703": "its tables are not those of this release; `ringfence migrate` brings them there",
    "3F000": "there is no schema that this user may write to; give it one (GRANT CREATE ON SCHEMA public)",
    "25006": "the server is read-only, perhaps a standby; name the primary, or add target_session_attrs=read-write",
}
"""SQLSTATE -> meaning, of faults that last until a person acts."""

# An error while connecting has no SQLSTATE, only the server's text (English, unless its lc_messages is another language: then the text is shown
# as it is, and the fault counts as one that passes).
_CONNECTING: list[tuple[str, str, bool]] = [
    (r"password authentication failed|no password supplied|authentication failed", _LASTING["28P01"], False),
    (r"no pg_hba\.conf entry|role .* does not exist|is not permitted to log in", _LASTING["28000"], False),
    (r"database .* does not exist", _LASTING["3D000"], False),
    (r"permission denied for database", "this user may not connect to that database; GRANT CONNECT", False),
    (r"failed to resolve host|could not translate host name", "no machine is known by that name; correct the host, or repair the name server", True),
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
"""A pattern of the text, its meaning, and whether the fault passes by itself."""


def fault(url: sa.URL, error: BaseException) -> BooksError | None:
    """The meaning of an error of the driver; None = a bug, which is raised as it is."""
    if isinstance(error, _Encoding):
        return BooksError(f"{where(url)}: the database's encoding is {error}; make one with ENCODING 'UTF8'")
    if isinstance(error, sa.exc.TimeoutError):
        return Unavailable(f"{where(url)}: all {2 * CONNECTIONS} connections of this process have been busy for {WAIT_S:g} s")
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return None
    text = _plain(str(cause))
    if cause.sqlstate in _LASTING:
        return BooksError(f"{where(url)}: {_LASTING[cause.sqlstate]} ({text})")
    if cause.sqlstate is not None:
        passes = cause.sqlstate in _PASSING or cause.sqlstate.startswith("08")
        return Unavailable(f"{where(url)}: {_PASSING.get(cause.sqlstate, 'the connection broke')} ({text})") if passes else None
    if isinstance(cause, psycopg.ProgrammingError) and re.search(r"URI|connection option|conninfo", text):
        return BooksError(f"{where(url)}: the address has an option that is not known ({text})")
    if isinstance(cause, psycopg.OperationalError):
        for pattern, meaning, passes in _CONNECTING:
            if re.search(pattern, text):
                return (Unavailable if passes else BooksError)(f"{where(url)}: {meaning} ({text})")
        return Unavailable(f"{where(url)}: {text}")
    return None


def _plain(text: str) -> str:
    """One line, without the driver's own prefix."""
    return " ".join(text.removeprefix("connection failed: ").split())[:300]
