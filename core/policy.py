"""The policy of a tenant: what the detectors take for suspicious, and what is done about it."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from core.safety import MAX_TTL_MS

UNPRICED_BLOCKS = ("ask", "automatic", "never")


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The lines of the burst detector and of orders; money in units of the sell currency."""

    half_life_s: float = 900.0
    baseline_half_life_s: float = 7 * 86_400.0
    account_floor: float = 120.0  # risk-weighted money in the half-life, under which nobody is suspicious
    a_number_floor: float = 80.0
    b_range_floor: float = 50.0
    unpriced_floor: float = 60.0  # of an account's calls to numbers that cannot be read or priced
    baseline_factor: float = 6.0  # how many times its own long average a subject must reach
    units: dict[str, float] = {}  # how much of a currency makes one unit of the floors: {"IDR": 17500}; a currency that is absent: 1
    unpriced_per_min: float = 0.25  # what a minute counts for where no price is known
    unpriced_risk: float = 6.0  # the risk of a number that cannot be read, as of premium rate: a carrier may connect it anywhere
    # A number that cannot be read cannot be blocked, only who dials it: the order against the account waits for a person (ask),
    # is delivered (automatic), or is not made (never).
    unpriced_blocks: Literal["ask", "automatic", "never"] = "ask"
    episode_ms: int = 3_600_000  # findings closer than this fold into one alert
    order_ttl_ms: int = 3_600_000
    reissue_ms: int = 60_000
    order_score: float = 1.0  # from which score a finding becomes an order


def faults(policy: Policy) -> list[str]:
    """What in a policy would stop the flows or silence a detector: one line per fault, beginning with its field; [] = nothing.

    >>> faults(Policy(half_life_s=0, units={"IDR": -1.0}))
    ['half_life_s: must be > 0', 'units.IDR: must be > 0']
    """
    found = []
    values = {name: getattr(policy, name) for name in policy.__struct_fields__}
    for name, value in values.items():
        if isinstance(value, dict):
            found += [f"{name}.{key}: must be > 0" for key, one in value.items() if not 0 < one < math.inf]
        elif isinstance(value, (int, float)):
            length = name.endswith(("_s", "_ms"))
            if not (math.isfinite(value) and (value > 0 if length else value >= 0)):
                found.append(f"{name}: must be {'> 0' if length else '>= 0'}")
    if policy.order_ttl_ms > MAX_TTL_MS:
        found.append("order_ttl_ms: must be at most 7d: no order lives longer, so each of them would be refused")
    if policy.unpriced_blocks not in UNPRICED_BLOCKS:
        found.append(f"unpriced_blocks: {policy.unpriced_blocks!r} is none of {', '.join(UNPRICED_BLOCKS)}")
    return found
