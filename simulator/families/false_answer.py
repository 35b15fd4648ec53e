"""False answer supervision: a carrier bills time in which nobody talked. Three kinds, each by one carrier to one destination.

Early: the answer is signalled when it begins to ring; late: the call is held after the called party hung up; recorded: calls that nobody
answered are answered by a recording of a ring tone or an announcement (Vonage support, "What is false answer supervision"; Meucci Solutions;
US patent application 2011/0033032: short answered calls, and too little time between alerting and answer). Carriers do it to some of the calls
only. The loss is the price of the false seconds.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.columns import Array, Ints
from simulator.outcomes import conversation_ms
from simulator.placing import moments, placed
from simulator.plan import Family, Make, Plan
from simulator.town import CARRIERS, WHOLESALE, Town

CALLS_PER_HOUR = (60, 40, 25)
SHARE = (0.8, 0.4, 0.15)
"""Of the calls that the carrier gets to this destination."""


def _make(kind: str) -> Make:
    def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
        """Calls of all wholesale accounts to a destination through one carrier; some of them answered falsely."""
        n = int(plan.hours * CALLS_PER_HOUR[plan.stealth])
        regions = ("NG", "PK", "BD", "ET", "GH", "IQ", "YE", "SN")
        place = town.places.of[str(rng.choice(regions)), "mobile"]
        number = town.places.numbers(np.full(n, place), rng.integers(0, 2**62, n).astype(np.uint64))
        carrier = np.full(n, int(rng.integers(0, len(CARRIERS))))
        account = rng.choice(town.accounts(WHOLESALE), n)
        answered, talk_ms = town.places.answered[place], conversation_ms(rng, n, 80.0)
        frame = placed(rng, town, plan, moments(rng, plan, n), place, number, talk_ms=talk_ms, answered=answered, account=account, carrier=carrier)
        false_ms, frame = falsified(rng, kind, frame, rng.random(n) < SHARE[plan.stealth])
        return frame.with_columns(loss_eur=pl.Series(false_ms / 60_000 * town.places.cost[place]))

    return make


def falsified(rng: np.random.Generator, kind: str, frame: pl.DataFrame, chosen: Array) -> tuple[Ints, pl.DataFrame]:
    """The false milliseconds of each call, and the frame with them."""
    n = frame.height
    talks = frame["talk_ms"].is_not_null().to_numpy()
    ring_ms, talk_ms = frame["ring_ms"].to_numpy(), frame["talk_ms"].fill_null(0).to_numpy()
    if kind == "early":
        hit = chosen & (talks | (ring_ms > 0))
        instant = rng.integers(20, 400, n)
        false = np.where(hit, ring_ms - np.minimum(instant, ring_ms), 0)
        ring = np.where(hit, np.minimum(instant, ring_ms), ring_ms)
    elif kind == "late":
        hit = chosen & talks
        false, ring = np.where(hit, (1000 * rng.lognormal(np.log(14), 0.5, n)).astype(np.int64), 0), ring_ms
    else:
        hit = chosen & ~talks
        false = np.where(hit, (1000 * rng.lognormal(np.log(22), 0.5, n)).astype(np.int64), 0)
        ring = np.where(hit, rng.integers(500, 3000, n), ring_ms)
    talk = np.where(talks | hit, talk_ms + false, -1)
    answered = pl.Series(talk >= 0)
    return false, frame.with_columns(
        talk_ms=pl.when(answered).then(pl.Series(talk)), ring_ms=pl.Series(ring),
        sip_code=pl.when(answered).then(200).otherwise("sip_code").cast(pl.Int32),
        q850=pl.when(answered).then(16).otherwise("q850").cast(pl.Int32),
        release_side=pl.when(pl.Series(hit)).then(pl.lit("caller")).otherwise("release_side"),
    )  # fmt: skip


FAMILIES = tuple(
    Family(f"fas_{kind}", (WHOLESALE,), (8, 16, 24), (0, 0, 0), _make(kind), slow=True, by_carrier=True) for kind in ("early", "late", "recorded")
)
