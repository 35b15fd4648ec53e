"""The policy of a tenant: what the detectors take for suspicious, and what is done about it."""

from __future__ import annotations

from typing import Literal

import msgspec


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
