"""PBX hacking and account takeover: stolen credentials or a voice mailbox with dial-through, at night and over the week end.

Most attacks begin on a Friday evening or before holidays and run until somebody is back (SmartIPX, "Monitoring and responding to fraudulent
activity out of hours", 2014; TransNexus, telecom fraud guide). The attacker registers from another address and often with another device;
through a mailbox the calls come from the exchange itself. 3,000 to 166,000 USD per event (Argyle Data on CFCA 2015; New York Times, 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from simulator.placing import at_random, few, placed, redial, targets, within_budget
from simulator.plan import STEALTHY, Family, Plan
from simulator.town import HOME, OFFICE, Town

LINES = ((10, 30), (4, 9), (2, 4))
MEDIAN_S = (600.0, 400.0, 240.0)
USER_AGENTS = ("PolycomSoundPointIP", "eyeBeam release 1102", "sipcli/v1.8", "Zoiper rv2.10")


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Night after night, from one extension or from all, to a dozen destinations."""
    ranges = targets(rng, town, int(rng.integers(5, 15)))
    setup_ms, talk_ms = redial(rng, plan, int(rng.integers(*LINES[plan.stealth])), MEDIAN_S[plan.stealth], 6.0, 600.0)
    n = len(setup_ms)
    chosen = rng.integers(0, len(ranges), n)
    number = np.choose(chosen, [one.numbers(rng.integers(0, 40, n)) for one in ranges])
    place = np.array([one.place for one in ranges])[chosen]
    callers = at_random(rng, few(rng, town.callers(plan.account), int(rng.choice((1, 4, 60)))), n)
    stolen: dict[str, Any] = {}
    if plan.stealth != STEALTHY and rng.random() < 0.6:
        stolen = {"src_ip": f"203.0.113.{rng.integers(2, 250)}", "user_agent": str(rng.choice(USER_AGENTS))}
    frame = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms, answered=0.9, callers=callers, ring_s=3.0, **stolen)
    return within_budget(frame, town.places.cost[place], plan.budget_eur)


FAMILY = Family("pbx_hacking", (OFFICE, HOME), (7, 9, 10), (15_000, 4000, 800), make, night=True)
