"""The port of each part for metrics, health and readiness: RINGFENCE_METRICS_PORT plus the part's number."""

from __future__ import annotations

NUMBERS = {
    "collector": 0,
    "store": 1,
    "dispatcher": 2,
    "watch": 3,
    "pages": 4,
    "shipper": 5,
    "kamailio": 6,
    "simulator": 7,
    "router": 8,
    "api": 9,
    "judge": 10,
    "redirect": 90,
    "poster": 92,
    "notify": 91,
}
"""Part -> its number. With several judges: `judge-1` is 10, `judge-2` is 11, ..."""


def number(part: str) -> int:
    """The number of a part.

    >>> number("store"), number("judge"), number("judge-1"), number("judge-3")
    (1, 10, 10, 12)
    """
    kind, _, nth = part.partition("-")
    return NUMBERS[kind] + (int(nth) - 1 if nth else 0)


def port(first: int, part: str) -> int:
    """The port of a part; 0 stays 0: any free one.

    >>> port(8480, "dispatcher"), port(0, "dispatcher")
    (8482, 0)
    """
    return first + number(part) if first else 0


def url(host: str, port: int) -> str:
    """The URL of a port, for clients on this machine.

    >>> url("127.0.0.1", 8480), url("0.0.0.0", 8480), url("::1", 8480)
    ('http://127.0.0.1:8480', 'http://127.0.0.1:8480', 'http://[::1]:8480')
    """
    near = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
