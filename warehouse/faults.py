"""The driver's errors in words: what is wrong with the warehouse as a whole, what a person can do, and whether it passes by itself."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

from chdb._exceptions import ChdbError
from clickhouse_connect.driver.exceptions import Error

from warehouse.errors import WarehouseDown, WarehouseError

# What the driver has to say about a line that failed comes with its error, which is told by whoever gets it.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)

_TRANSIENT = {159, 160, 202, 209, 210, 241, 242, 243, 252, 279, 285, 319, 425, 999, 1000}
"""ClickHouse's numbers for what may pass by itself: time-outs, network, memory, no space, too many parts or queries, Keeper."""

_MEANING = {
    60: "it has not our tables; `ringfence migrate` makes them",
    81: "it has not our database; `ringfence migrate` makes it",
    164: "the server, or this user, is read-only; name a user who may write",
    192: "the user or the password is refused; set the right ones",
    193: "the password is refused; set the right one",
    194: "the password is missing; set it",
    202: "it has as many questions under way as it takes; raise max_concurrent_queries if that stays so",
    241: "it is out of memory",
    242: "its table is read-only for now: the replica has lost its Keeper",
    243: "its disk is full; make room there",
    252: "it has more parts than it can merge; it takes rows again when they are fewer",
    497: "this user has not the right to do it; docs/servers.md has the rights that are needed",
    516: "the user or the password is refused; set the right ones",
}
"""ClickHouse's number of an error -> what it means here."""

_LINE: list[tuple[str, str, bool]] = [
    (r"Failed to resolve|NameResolutionError|Name or service not known", "no machine is known by that name; mend the host, or the name server", True),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|doesn't match|Hostname mismatch",
        "the server's certificate is not what was asked for; see the host's name, and ca_cert",
        False,
    ),
    (
        r"WRONG_VERSION_NUMBER|UNEXPECTED_EOF|record layer failure|unknown protocol",
        "what listens there speaks no TLS; use http, or the port for TLS",
        False,
    ),
    (r"Connection refused", "nobody listens there; start the server, or mend host and port", True),
    (r"timed out|timeout|No route to host|unreachable", "there is no answer; see host, port and firewalls", True),
    (r"Connection aborted|Connection reset|RemoteDisconnected|BadStatusLine|IncompleteRead", "the line broke off", True),
]
"""A pattern of the driver's words, what it means, and whether it passes by itself: there is no number where the line failed."""


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """The errors of driver and engine as ours: `WarehouseDown` for what may pass by itself, `WarehouseError` for what will not."""
    try:
        yield
    except Error as error:
        raise fault(where, str(error).strip().partition("\n")[0], error.code) from error
    except ChdbError as error:
        words = str(error).strip().partition("\n")[0]
        number = re.search(r"Code: (\d+)", words)
        raise fault(where, words, int(number[1]) if number else None) from error
    except OSError as error:
        raise fault(where, str(error), None) from error


def fault(where: str, words: str, code: int | None) -> WarehouseError:
    """The error to raise.

    >>> fault("http://db:8123", "Code: 164. DB::Exception: no", 164)
    WarehouseError('the warehouse at http://db:8123: the server, or this user, is read-only; name a user who may write
    (Code: 164. DB::Exception: no)')
    """
    words = _short(words)
    if code is not None:
        meaning, passes = _MEANING.get(code, ""), code in _TRANSIENT
    else:
        meaning, passes = next(((what, on) for pattern, what, on in _LINE if re.search(pattern, words)), ("", True))
    kind = WarehouseDown if passes else WarehouseError
    return kind(f"the warehouse at {where}: {f'{meaning} ({words})' if meaning else words}")


def _short(words: str) -> str:
    """Without what the driver wraps around them.

    >>> _short("Error HTTPConnectionPool(host='db'): Max retries exceeded (Caused by X('HTTP: Connection refused')) executing")
    'HTTP: Connection refused'
    >>> _short("Received ClickHouse exception, server response: Code: 60. DB::Exception: no (for url http://db)")
    'Code: 60. DB::Exception: no'
    """
    if cause := re.search(r"\(Caused by \w+\((.*?)\)\)", words):
        return cause[1].strip("\"'")[:600]
    return re.sub(r" \(for url [^)]*\)$", "", words[max(0, words.find("Code: ")) :])[:600]
