"""The driver's errors as ours: the fault, what a person can do, and whether it may pass by itself."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Iterator

from clickhouse_connect.driver.exceptions import Error

from warehouse.errors import WarehouseDown, WarehouseError

# The driver also logs each failed connection; its error, which the caller reports, has the same text.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)

_TRANSIENT = {159, 160, 202, 209, 210, 241, 242, 243, 252, 279, 285, 319, 425, 999, 1000}
"""ClickHouse's error numbers that may pass by themselves: time-outs, network, memory, disk, too many parts or queries, Keeper."""

_MEANING = {
    60: "it does not have our tables; `ringfence migrate` makes them",
    81: "it does not have our database; `ringfence migrate` makes it",
    164: "the server, or this user, is read-only; name a user who may write",
    192: "the user or the password is refused; set the right ones",
    193: "the password is refused; set the right one",
    194: "the password is missing; set it",
    202: "it runs as many queries as it may; raise max_concurrent_queries if this continues",
    241: "it is out of memory",
    242: "its table is read-only for now: the replica has lost its Keeper",
    243: "its disk is full; free space there",
    252: "it has more parts than it can merge; it accepts rows again when they are fewer",
    497: "this user does not have the right to do it; docs/servers.md lists the rights",
    516: "the user or the password is refused; set the right ones",
}
"""ClickHouse's error number -> what it means here."""

_CONNECTION: list[tuple[str, str, bool]] = [
    (
        r"Failed to resolve|NameResolutionError|Name or service not known",
        "no machine is known by that name; correct the host, or the name server",
        True,
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|doesn't match|Hostname mismatch",
        "the server's certificate is not accepted; check the host's name, and ca_cert",
        False,
    ),
    (
        r"WRONG_VERSION_NUMBER|UNEXPECTED_EOF|record layer failure|unknown protocol",
        "the server there speaks no TLS; use http, or the port for TLS",
        False,
    ),
    (r"Connection refused", "nobody listens there; start the server, or correct host and port", True),
    (r"timed out|timeout|No route to host|unreachable", "there is no answer; check host, port and firewalls", True),
    (r"Connection aborted|Connection reset|RemoteDisconnected|BadStatusLine|IncompleteRead", "the connection broke", True),
]
"""A pattern of the driver's message, what it means, and whether it may pass by itself: a failed connection has no error number."""


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """The errors of driver and engine as ours: `WarehouseDown` for what may pass by itself, `WarehouseError` for what will not."""
    try:
        yield
    except Error as error:
        raise fault(where, str(error).strip().partition("\n")[0], error.code) from error
    except _of_engine() as error:
        text = str(error).strip().partition("\n")[0]
        number = re.search(r"Code: (\d+)", text)
        raise fault(where, text, int(number[1]) if number else None) from error
    except OSError as error:
        raise fault(where, str(error), None) from error


def _of_engine() -> tuple[type[Exception], ...]:
    """The errors of the embedded engine; none where it is not loaded: it takes 50 MB and half a second, and most processes ask over HTTP."""
    engine = sys.modules.get("chdb._exceptions")
    return (engine.ChdbError,) if engine else ()


def fault(where: str, text: str, code: int | None) -> WarehouseError:
    """The error to raise.

    >>> fault("http://db:8123", "Code: 164. DB::Exception: no", 164)
    WarehouseError('the warehouse at http://db:8123: the server, or this user, is read-only; name a user who may write
    (Code: 164. DB::Exception: no)')
    """
    text = _short(text)
    if code is not None:
        meaning, passes = _MEANING.get(code, ""), code in _TRANSIENT
    else:
        meaning, passes = next(((what, on) for pattern, what, on in _CONNECTION if re.search(pattern, text)), ("", True))
    kind = WarehouseDown if passes else WarehouseError
    return kind(f"the warehouse at {where}: {f'{meaning} ({text})' if meaning else text}")


def _short(text: str) -> str:
    """The message without the driver's additions.

    >>> _short("Error HTTPConnectionPool(host='db'): Max retries exceeded (Caused by X('HTTP: Connection refused')) executing")
    'HTTP: Connection refused'
    >>> _short("Received ClickHouse exception, server response: Code: 60. DB::Exception: no (for url http://db)")
    'Code: 60. DB::Exception: no'
    """
    if cause := re.search(r"\(Caused by \w+\((.*?)\)\)", text):
        return cause[1].strip("\"'")[:600]
    return re.sub(r" \(for url [^)]*\)$", "", text[max(0, text.find("Code: ")) :])[:600]
