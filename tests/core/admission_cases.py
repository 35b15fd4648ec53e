"""The cases of `tests/vectors/admission.jsonl`, for Python, the loopback switch and Kamailio alike.

Each line is a world (lists, blocks, shadow, protected) and calls in their order: from whom, caller, number as dialled, the code of a refusal
(0 = passes) and the number that is sent on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.numbers import DialPlan

PLANS = {
    "e164": DialPlan(),
    "at": DialPlan(name="at", country_code="43", trunk_prefix="0", emergency=("112", "133", "144")),
    "gb": DialPlan(name="gb", country_code="44", trunk_prefix="0", emergency=("112", "999")),
    "us": DialPlan(name="us", country_code="1", international_prefix="011", trunk_prefix="1", bare_is_e164=False, emergency=("911",)),
}


@dataclass(frozen=True)
class Party:
    """Who calls: an account with a trunk of its own, behind an address of its own."""

    account: str
    address: str
    plan: str = "e164"
    caller_ranges: tuple[str, ...] = ()
    accept_unreadable: bool = False

    @property
    def trunk(self) -> str:
        return f"in-{self.account}" if self.account else ""


PARTIES = {
    "acme": Party("acme", "127.0.0.2"),
    "blue": Party("blue", "127.0.0.3"),
    "at": Party("at", "127.0.0.4", "at"),
    "gb": Party("gb", "127.0.0.5", "gb"),
    "us": Party("us", "127.0.0.6", "us"),
    "lax": Party("lax", "127.0.0.7", accept_unreadable=True),
    "hospital": Party("hospital", "127.0.0.8", caller_ranges=("4314040",)),
    "stranger": Party("", "127.0.0.9"),
}

CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parents[1] / "vectors" / "admission.jsonl").read_text().splitlines()
]
