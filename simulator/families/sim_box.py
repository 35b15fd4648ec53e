"""SIM box, naive: international calls leave the box as calls of local SIM cards, and the operator loses the termination fee.

Murynets, Zabarankin, Jover and Panagia ("Analysis and detection of SIMbox fraud in mobility networks", INFOCOM 2014) found: static in one or two
cells, a disproportionate number of outgoing calls, hardly any incoming, many distinct numbers, several SIM cards per device identity. The
termination fee lost is taken as 0.12 EUR per minute, of the order of African and Caribbean mobile rates (Reaves et al., "Boxed out", USENIX 2015).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.callers import cell_name
from simulator.columns import Ints, hashed, taken
from simulator.honest import contacts
from simulator.placing import placed
from simulator.plan import Family, Plan
from simulator.shape import busyness
from simulator.town import SUBSCRIBER, Town

SIMS = (24, 12, 8)
CALLS_PER_DAY = (260, 140, 90)
"""Of one SIM card: a line that is busy most of the day."""
SIMS_PER_IMEI = (12, 4, 1)
CELLS = (1, 1, 2)
LOSS_PER_MIN_EUR = 0.12


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """SIM cards bought together, in one rack, call whomever the transit traffic is for."""
    sims = cards(town, plan, SIMS[plan.stealth])
    n = max(int(len(sims) * CALLS_PER_DAY[plan.stealth] * plan.hours / 24), 40)
    setup_ms = by_hours(rng, plan, n)
    account = sims[rng.integers(0, len(sims), n)]
    place, number = strangers(rng, town, n)
    devices = hashed(np.array([plan.account]), 5)[0] % np.uint64(10**6)
    imei = [f"86710500{int(devices) + one:07d}" for one in range(len(sims))]
    device = np.searchsorted(sims, account) // SIMS_PER_IMEI[plan.stealth]
    cells = [cell_name(int(one)) for one in rng.integers(0, max(len(town.subscribers) // 40, 12), CELLS[plan.stealth])]
    frame = placed(
        rng, town, plan, setup_ms, place, number, median_s=85.0, answered=0.62, account=account,
        imei=taken(imei, device), cell=taken(cells, rng.integers(0, len(cells), n)),
    )  # fmt: skip
    return lost(frame)


def cards(town: Town, plan: Plan, how_many: int) -> Ints:
    """SIM cards with adjacent numbers of subscription: bought together. Never used before: see `fresh` of the family."""
    return np.arange(plan.account, min(plan.account + how_many, len(town.names)))


def by_hours(rng: np.random.Generator, plan: Plan, n: int) -> Ints:
    """Times by the hours at which people call home from abroad."""
    hours = np.arange(plan.start_ms, plan.end_ms, 3_600_000)
    rate = np.array([busyness("callshop", (at / 3_600_000 + 73) % 168) for at in hours])
    start = rng.choice(hours, n, p=rate / rate.sum())
    return np.sort(np.minimum(start + rng.integers(0, 3_600_000, n), plan.end_ms - 1))


def strangers(rng: np.random.Generator, town: Town, n: int) -> tuple[Ints, Ints]:
    """Domestic mobiles, mostly the operator's own, each called once."""
    account = rng.choice(town.accounts(SUBSCRIBER), n)
    place, number = contacts(rng, town, account, rng.integers(2**40, 2**41, n))
    own = rng.random(n) < 0.7
    return np.where(own, town.places.of["AT", "mobile"], place), np.where(own, town.subscribers[rng.integers(0, len(town.subscribers), n)], number)


def lost(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the termination fees that were not received."""
    return frame.with_columns(loss_eur=pl.col("talk_ms").fill_null(0) / 60_000 * LOSS_PER_MIN_EUR)


FAMILY = Family("sim_box", (SUBSCRIBER,), (16, 24, 30), (4000, 2000, 1000), make, slow=True, fresh=True)
