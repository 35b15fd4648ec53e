"""Figures that the parts report of themselves, read from their `/metrics`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx2

TIMEOUT_S = 1.5
_LINE = re.compile(r"^(ringfence_\w+)(\{[^}]*\})? (\S+)", re.MULTILINE)


def read(parts: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, float]:
    """The wanted metrics: name -> part. Of one with labels the largest; of a part that does not answer none. `parts`: name -> base URL.

    >>> read({"judge": "http://127.0.0.1:1"}, {"ringfence_snapshot_age_seconds": "judge"})
    {}
    """
    found: dict[str, float] = {}
    with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        for part in sorted(set(wanted.values())):
            for name, value in _of(client, parts.get(part, "")).items():
                if wanted.get(name) == part:
                    found[name] = value
    return found


def _of(client: httpx2.Client, url: str) -> dict[str, float]:
    if not url:
        return {}
    try:
        text = client.get(f"{url}/metrics").text
    except httpx2.HTTPError:
        return {}
    return parsed(text)


def parsed(text: str) -> dict[str, float]:
    """The largest value of each metric.

    >>> parsed('# HELP x y\\nringfence_lag_messages{topic="calls"} 3\\nringfence_lag_messages{topic="sums"} 1e1\\nprocess_x 1')
    {'ringfence_lag_messages': 10.0}
    """
    found: dict[str, float] = {}
    for name, _, value in _LINE.findall(text):
        found[name] = max(found.get(name, float("-inf")), float(value))
    return found
