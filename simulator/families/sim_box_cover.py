"""SIM box with human-like cover: the box moves its SIM cards between racks, limits each card, repeats numbers and calls its own cards.

"Human behaviour simulation" of commercial boxes and SIM servers: rotation of cards, changes of device identity and of cell, family lists, calls
and messages between own cards so that there is incoming traffic (A. Kouam, A. Viana and A. Tchana, "SIMBox bypass frauds in cellular
networks: strategies, evolution, detection, and future directions", IEEE COMST 23(4), 2021; Reaves et al., USENIX 2015).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.callers import cell_name
from simulator.columns import taken
from simulator.families.sim_box import by_hours, cards, lost, strangers
from simulator.placing import placed
from simulator.plan import Family, Plan
from simulator.town import SUBSCRIBER, Town, identity

SIMS = (24, 20, 16)
CALLS_PER_DAY = (70, 40, 22)
REPEATED = (0.15, 0.3, 0.45)
BETWEEN_OWN = (0.08, 0.15, 0.25)
CELLS = (4, 6, 10)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """As the naive box, with the figures of a person for each card."""
    sims = cards(town, plan, SIMS[plan.stealth])
    n = max(int(len(sims) * CALLS_PER_DAY[plan.stealth] * plan.hours / 24), 40)
    setup_ms = by_hours(rng, plan, n)
    which = rng.integers(0, len(sims), n)
    place, number = strangers(rng, town, n)
    family = town.subscribers[rng.integers(0, len(town.subscribers), (len(sims), 6))]
    number = np.where(rng.random(n) < REPEATED[plan.stealth], family[which, rng.integers(0, 6, n)], number)
    own = rng.random(n) < BETWEEN_OWN[plan.stealth]
    number = np.where(own, town.number[town.first[sims[rng.integers(0, len(sims), n)]]], number)
    place = np.where(own, town.places.of["AT", "mobile"], place)
    cells = [cell_name(int(one)) for one in rng.integers(0, max(len(town.subscribers) // 40, 12), CELLS[plan.stealth])]
    day = (setup_ms // 14_400_000 + which) % len(cells)  # a card changes its rack every four hours
    imei = identity(town, sims, town.seed)["imei"]
    frame = placed(
        rng, town, plan, setup_ms, place, number, median_s=75.0, answered=0.65, account=sims[which],
        imei=taken([str(one) for one in imei], which), cell=taken(cells, day),
    )  # fmt: skip
    return lost(frame).with_columns(loss_eur=pl.when(pl.Series(own)).then(0.0).otherwise("loss_eur"))


FAMILY = Family("sim_box_cover", (SUBSCRIBER,), (24, 36, 40), (3000, 1500, 800), make, slow=True, fresh=True)
