"""How calls go: which carrier, how long it takes, whether someone answers, how long they talk, who hangs up. Alike for honest and attack calls.

Holding times are mixtures of lognormals (V. Bolotin, "Modeling call holding time distributions for CCS network design and performance
analysis", IEEE JSAC 12(3), 1994): short calls (mailboxes, wrong numbers) beside conversations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.columns import Array, Floats, Ints, hashed, share, taken
from simulator.town import CARRIER_ANSWERS, CARRIER_PDD_MS, CARRIERS

SHORT_SHARE, SHORT_S, SHORT_SIGMA = 0.14, 6.0, 0.7
LONGEST_S = 3 * 3600

UNANSWERED = np.array([(487, 19), (486, 17), (480, 18), (404, 1), (603, 21), (484, 28), (503, 34)])
"""SIP code and Q.850 cause: given up, busy, no answer, unallocated, rejected, incomplete, no circuit."""
UNANSWERED_SHARES = np.array([0.37, 0.24, 0.15, 0.10, 0.05, 0.02, 0.07])
RINGS = np.array([True, False, True, False, True, False, False])


def conversation_ms(rng: np.random.Generator, n: int, median_s: float | Floats, sigma: float = 1.15) -> Ints:
    """Talk times of answered calls.

    >>> bool(20_000 < np.median(conversation_ms(np.random.default_rng(1), 9999, 60.0)) < 60_000)
    True
    """
    talk_s = np.minimum(rng.lognormal(np.log(median_s), sigma, n), LONGEST_S)
    short_s = rng.lognormal(np.log(SHORT_S), SHORT_SIGMA, n)
    found: Ints = (1000 * np.maximum(np.where(rng.random(n) < SHORT_SHARE, short_s, talk_s), 1)).astype(np.int64)
    return found


def carriers(rng: np.random.Generator, place: Array) -> Ints:
    """The carrier of each call: every destination has a first choice, and calls overflow to a second and third."""
    n = len(place)
    first = (hashed(place, 5) % np.uint64(len(CARRIERS))).astype(np.int64)
    return (first + np.searchsorted([0.72, 0.92], rng.random(n))) % len(CARRIERS)


def outcomes(
    rng: np.random.Generator, answered: Floats | float, talk_ms: Ints, carrier: Ints, ring_s: float = 6.5
) -> dict[str, Any]:
    """Columns of the calls' course: `answered` is the share of answers before the carrier's quality, `talk_ms` the talk if it is answered."""
    n = len(talk_ms)
    talks = rng.random(n) < np.minimum(answered * CARRIER_ANSWERS[carrier], 0.99)
    why = np.searchsorted(np.cumsum(UNANSWERED_SHARES), rng.random(n)).clip(0, len(UNANSWERED) - 1)
    ring_ms = (1000 * rng.lognormal(np.log(ring_s), 0.65, n)).clip(300, 60_000)
    waits_ms = (1000 * rng.lognormal(np.log(21.0), 0.5, n)).clip(1000, 60_000)
    side = np.where(rng.random(n) < 0.6, 0, 1)
    return {
        "pdd_ms": (CARRIER_PDD_MS[carrier] * rng.lognormal(0, 0.45, n)).astype(np.int64),
        "ring_ms": np.where(talks, ring_ms, np.where(RINGS[why], waits_ms, 0)).astype(np.int64),
        "talk_ms": np.where(talks, talk_ms, -1),
        "sip_code": np.where(talks, 200, UNANSWERED[why, 0]),
        "q850": np.where(talks, 16, UNANSWERED[why, 1]),
        "release_side": taken(["caller", "callee"], np.where(talks, side, np.where(why == 0, 0, 1))),
        "carrier": taken(CARRIERS, carrier),
        "egress_trunk": taken([f"out-{name}" for name in CARRIERS], carrier),
    }


def picks(bits: Array, n: int) -> Ints:
    """Hashes as places 0 to n - 1, the first ones more often."""
    found: Ints = (share(bits) ** 2 * n).astype(np.int64)
    return found
