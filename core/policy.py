"""The policy of a tenant: the parameters of its detectors, and how findings become alerts and block orders."""

from __future__ import annotations

import math
import re
from typing import Literal, get_args

import msgspec

from core.orders import Action
from core.safety import MAX_TTL_MS, MOST_PER_MINUTE

UnpricedBlocks = Literal["ask", "automatic", "never"]
REDRESS = r"[A-Za-z0-9 .,:;/?&=+@_~%-]{1,200}"
"""What a refusal may say in its Reason header: it is inside quotes."""


MOST_DOUBT = 2.0
"""How many times the doubt that `block_probability` allows a large loss may have (`is_worth_it`)."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a tenant's detectors and orders.

    >>> Policy(detectors={"burst": {"account_floor": 60.0}}).order_score
    1.0
    """

    detectors: dict[str, dict[str, int | float | str | bool]] = {}
    """Detector -> parameter -> value; an absent parameter has the detector's default. `detectors.registry.faults` checks names and ranges."""
    off: tuple[str, ...] = ()  # detectors that report nothing; they go on learning what is normal
    units: dict[str, float] = {}  # how much of a currency is one unit of the detectors' floors: {"IDR": 17500}; absent = 1
    # A number that cannot be read cannot be blocked, only the account that dials it: the order against the account waits for a person
    # (ask), is delivered (automatic), or is not made (never).
    unpriced_blocks: UnpricedBlocks = "ask"
    # SIM cards that are proven to be of a box are refused at once (automatic; the others wait for a person), all wait (ask), or none is ordered.
    sim_box_blocks: UnpricedBlocks = "automatic"
    # Likewise numbers into which traffic is pumped, where that is fraud and no dispute: for whoever calls them.
    pumping_blocks: UnpricedBlocks = "automatic"
    episode_ms: int = 3_600_000  # findings closer than this are one alert
    order_ttl_ms: int = 3_600_000
    reissue_ms: int = 60_000
    order_score: float = 1.0  # the lowest score at which a finding becomes an order
    # What automatic orders do: refuse the calls of their key; those abroad; those above `throttle_per_min`; or only mark them.
    order_action: Action = "refuse"
    throttle_per_min: int = 6
    # Calls in progress are ended with an automatic block into a range that a person has confirmed as fraud, or never without a person.
    cut_calls: Literal["confirmed", "never"] = "confirmed"
    # Where the law asks for it (603+ of ATIS-1000099): who is refused reads this, as url=https://...;tel=+1...; "" = a plain 603.
    redress: str = ""
    # A block must save money: the expected loss of the next 15 minutes against this, and against the honest calls that it would refuse if
    # it is wrong. In the units of the detectors' floors.
    block_probability: float = 0.9  # below it a finding is an alert only; where more than `firm_loss` burns, a little less will do (`is_worth_it`)
    block_loss: float = 0.5
    refused_call_cost: float = 0.5  # what refusing one honest call costs: its margin, and the customer's trouble
    # The first block of an account to an ordinary destination (not premium, satellite, unallocated or known for fraud) is for one range, for
    # `order_ttl_ms`, and makes no later one longer, wider or likelier, unless so much would be lost in the next 15 minutes. A block that covers a
    # country needs as much.
    firm_loss: float = 10.0
    # A fraud that comes back after its block, or moves on, is refused so many times as long as before, up to `longest_ttl_ms`.
    repeat_factor: float = 6.0
    longest_ttl_ms: int = 24 * 3_600_000
    novelty_alerts_per_day: int = 0  # of `detectors.novelty`, which knows only that something is new; 0 = it is off
    # What verdicts say of the weights (`detectors.corrector`): on = it may keep a finding from becoming a block. The numbers are learned.
    corrector: Literal["off", "on"] = "off"
    corrections: dict[str, float] = {}  # kind of evidence -> what is added to the log-odds per `detectors.corrector.SCALE` points of it
    corrected_by: int = 0  # from how many verdicts they were learned


def is_worth_it(policy: Policy, probability: float, loss: float, good_calls: float) -> str:
    """Why a block does not pay, a code of `core.alert_text.NO_BLOCK`; "" = it does.

    What waiting costs grows with the loss, what a mistake costs does not: the doubt that `block_probability` allows is allowed for a loss up to
    `firm_loss`, and in proportion for a larger one, at most `MOST_DOUBT` times as much.

    >>> is_worth_it(Policy(), 0.95, 8.0, 2.0), is_worth_it(Policy(), 0.9, 8.0, 400.0)
    ('', 'cost')
    >>> [is_worth_it(Policy(), 0.85, loss, 0.0) for loss in (8.0, 14.0, 15.0)], is_worth_it(Policy(), 0.79, 800.0, 0.0)
    (['uncertain', 'uncertain', ''], 'uncertain')
    """
    doubt = (1 - policy.block_probability) * min(max(loss / max(policy.firm_loss, 1e-9), 1.0), MOST_DOUBT)
    if round(probability + doubt, 12) < 1:
        return "uncertain"
    return "" if loss >= policy.block_loss + (1 - probability) * good_calls * policy.refused_call_cost else "cost"


def faults(policy: Policy) -> list[str]:
    """Values of a policy that would stop the flows or suppress orders, each with its field. Parameters: `detectors.registry.faults`.

    >>> faults(Policy(reissue_ms=0, units={"IDR": 0}))
    ['policy.reissue_ms: must be > 0, is 0', 'policy.units.IDR: must be > 0, is 0']
    """
    found = []
    for name in ("episode_ms", "order_ttl_ms", "reissue_ms", "longest_ttl_ms"):
        if getattr(policy, name) <= 0:
            found.append(f"policy.{name}: must be > 0, is {getattr(policy, name)}")
    for name in ("order_ttl_ms", "longest_ttl_ms"):
        if getattr(policy, name) > MAX_TTL_MS:
            found.append(f"policy.{name}: must be at most 7 days: no order lives longer, so each of them would be refused")
    if not 1 <= policy.repeat_factor < math.inf:
        found.append(f"policy.repeat_factor: must be a number >= 1, is {policy.repeat_factor}")
    if not 0 <= policy.order_score < math.inf:
        found.append(f"policy.order_score: must be a number >= 0, is {policy.order_score}")
    if not 0 <= policy.block_probability <= 1:
        found.append(f"policy.block_probability: must be a number from 0 to 1, is {policy.block_probability}")
    for name in ("block_loss", "refused_call_cost", "firm_loss"):
        if not 0 <= getattr(policy, name) < math.inf:
            found.append(f"policy.{name}: must be a number >= 0, is {getattr(policy, name)}")
    if policy.order_action not in get_args(Action):
        found.append(f"policy.order_action: {policy.order_action!r} is none of {', '.join(get_args(Action))}")
    if not 1 <= policy.throttle_per_min <= MOST_PER_MINUTE:
        found.append(f"policy.throttle_per_min: must be 1 to {MOST_PER_MINUTE:,}, is {policy.throttle_per_min}")
    if policy.redress and not re.fullmatch(REDRESS, policy.redress):
        found.append("policy.redress: at most 200 letters, digits and . , : ; / ? & = + @ _ ~ % - : it is a part of a SIP header")
    for name in ("unpriced_blocks", "sim_box_blocks", "pumping_blocks"):
        if getattr(policy, name) not in get_args(UnpricedBlocks):
            found.append(f"policy.{name}: {getattr(policy, name)!r} is none of {', '.join(get_args(UnpricedBlocks))}")
    if policy.novelty_alerts_per_day < 0:
        found.append(f"policy.novelty_alerts_per_day: must be >= 0, is {policy.novelty_alerts_per_day}")
    if policy.corrector not in ("off", "on"):
        found.append(f"policy.corrector: {policy.corrector!r} is none of off, on")
    for code, weight in policy.corrections.items():
        if not abs(weight) < math.inf:
            found.append(f"policy.corrections.{code}: must be a finite number, is {weight}")
    for currency, unit in policy.units.items():
        if not 0 < unit < math.inf:
            found.append(f"policy.units.{currency}: must be > 0, is {unit}")
    return found
