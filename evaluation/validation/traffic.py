"""The calls of the validation simulator."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from core.config import Account, Carrier, Config
from core.money import to_decimal
from evaluation.validation.specs import ATTACKS, HONEST_ODDITIES, Limits, Spec
from simulator.columns import Floats, Ints, calls
from simulator.decks import OFFERS, deck
from simulator.destinations import table
from simulator.episodes import Traffic
from simulator.prices import priced
from simulator.truth import Episode, Subject

START_MS = 1_790_553_600_000
"""Monday, 28 September 2026, midnight UTC."""
HOUR_MS = 3_600_000
HOME = "351"
CARRIERS = ("sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu")
ACCOUNTS_PER_CALL = {"hosted": 1 / 90, "transit": 1 / 2500, "cellular": 1 / 9}
SHARES = {"hosted": 0.35, "transit": 0.35, "cellular": 0.3}
FIRST_ATTACK = 0.3
HOURS = {
    "hosted": [1, 1, 1, 1, 1, 2, 6, 20, 50, 80, 95, 90, 70, 80, 95, 90, 80, 55, 25, 12, 8, 5, 3, 2],
    "transit": [20, 15, 12, 10, 10, 12, 18, 30, 45, 55, 60, 60, 58, 60, 62, 65, 70, 75, 80, 80, 75, 60, 45, 30],
    "cellular": [8, 4, 3, 2, 2, 4, 12, 30, 50, 60, 65, 70, 75, 70, 68, 70, 80, 95, 100, 95, 80, 60, 35, 18],
}


@lru_cache(maxsize=1)
def prefixes() -> dict[str, tuple[str, ...]]:
    """Prefixes by what they are to a caller in Portugal."""
    europe = ("ES", "FR", "DE", "GB", "IT", "NL", "CH", "LU", "BE")
    far = ("AO", "BR", "MZ", "CV", "GW", "US", "CA", "IN", "CN", "UA", "MD", "VE", "ZA")
    rows = table()
    return {
        "home": tuple(row.prefix for row in rows if row.region == "PT" and row.kind in ("mobile",)) or (HOME + "9",),
        "europe": tuple(row.prefix for row in rows if row.region in europe and row.kind in ("mobile", "fixed")),
        "far": tuple(row.prefix for row in rows if row.region in far and row.kind in ("mobile", "fixed")),
        "premium": tuple(row.prefix for row in rows if row.kind in ("premium", "satellite") and row.cost > 1),
        "exotic": tuple(row.prefix for row in rows if row.kind == "mobile" and row.cost > 0.35),
        "gap": tuple(row.prefix for row in rows if row.kind == "fixed" and row.cost > 0.3),
    }


def traffic(seed: int, n: int, days: float = 2.0) -> Traffic:
    """About `n` honest calls, an attack of each kind, and honest oddities: half as many as business accounts."""
    rng = np.random.default_rng([seed, 20_231_127])
    end_ms = START_MS + int(days * 24 * HOUR_MS)
    names = {one: _names(one, max(int(n * SHARES[one] / days * ACCOUNTS_PER_CALL[one]), 12)) for one in SHARES}
    frames = [_people(rng, tenant, names[tenant], int(n * SHARES[tenant]), end_ms) for tenant in SHARES]
    episodes: list[tuple[str, str, Spec, str]] = []
    for at, (family, spec) in enumerate(ATTACKS.items()):
        account = f"{spec.where[0]}new{at:03d}" if family in ("credit_burst",) or spec.sims[1] > 1 else str(rng.choice(names[spec.where]))
        frames.append(_bouts(rng, spec, account, end_ms, FIRST_ATTACK).with_columns(episode=pl.lit(family)))
        episodes.append((family, family, spec, account))
    for family, spec in (("wangiri", ATTACKS["flash_calls"]), ("call_looping", ATTACKS["refiling"])):
        account = str(rng.choice(names["transit"]))
        make = _wangiri if family == "wangiri" else _loop
        frames.append(make(rng, names["cellular"], account, end_ms).with_columns(episode=pl.lit(family)))
        episodes.append((family, family, spec._replace(slow=False, carrier=""), account))
    oddities = []
    for at in range(max(len(names["hosted"]) // 2, len(HONEST_ODDITIES))):
        kind = list(HONEST_ODDITIES)[at % len(HONEST_ODDITIES)]
        spec = HONEST_ODDITIES[kind]
        account = f"tnew{at:03d}" if kind == "new reseller" else str(rng.choice(names[spec.where]))
        frames.append(_bouts(rng, spec, account, end_ms, 0.0).with_columns(look_alike=pl.lit(f"{kind} {at}")))
        oddities.append(Subject(kind, f"{kind} {at}", spec.where, account, START_MS, end_ms))
    frame = pl.concat(frames).filter(pl.col("setup_ms") < end_ms).sort("setup_ms", maintain_order=True)
    prices = _config(names)
    frame = priced(frame, prices).with_columns(call_id=pl.lit(f"v{seed}-") + pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.String))
    parts = {key[0]: part for key, part in frame.filter(pl.col("episode") != "").partition_by("episode", as_dict=True).items()}
    found = [_episode(*one, parts[one[0]]) for one in episodes if one[0] in parts]
    return Traffic(seed, START_MS, end_ms, prices, frame, found, oddities)


def _names(tenant: str, n: int) -> list[str]:
    return [f"{tenant[0]}{number:06d}" for number in range(500_000, 500_000 + n)]


def _config(names: dict[str, list[str]]) -> Config:
    sold = {"hosted": "sell-business", "transit": "sell-wholesale"}
    return Config(
        version=1, self_register=True, default_sell_deck="sell-retail", decks={name: deck(name).deck_id for name in OFFERS},
        accounts=tuple(Account(tenant=tenant, name=name, sell_deck=sold[tenant]) for tenant in sold for name in names[tenant]),
        carriers=tuple(
            Carrier(tenant=tenant, name=name, buy_deck=("buy-alpha", "buy-bravo", "buy-charlie")[at % 3])
            for tenant in names for at, name in enumerate(CARRIERS)
        ),
    )  # fmt: skip


def _log_uniform(rng: np.random.Generator, limits: Limits) -> float:
    low, high = limits
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) if low > 0 and high > low else low


def _numbers(rng: np.random.Generator, kinds: tuple[str, ...], pool: int, block: bool = False) -> Ints:
    """Numbers of a pool: spread over prefixes, or in one block."""
    every = [one for kind in kinds for one in prefixes()[kind]]
    heads = rng.choice(every, 1 if block else min(pool, 400))
    width = np.array([max(12 - len(one), 5) for one in heads])
    base = np.array([int(one) for one in heads])
    which = rng.integers(0, len(heads), pool)
    tails = (rng.random(pool) * 10 ** width[which]).astype(np.int64)
    if block:
        tails = tails[:1] // 10**4 * 10**4 + np.arange(pool)
    found: Ints = base[which] * 10 ** width[which] + tails
    return found


def _talk_ms(rng: np.random.Generator, n: int, median_s: float, shape: float = 1.9) -> Ints:
    """Log-logistic talk times."""
    u = rng.random(n).clip(1e-6, 1 - 1e-6)
    found: Ints = (1000 * np.minimum(median_s * (u / (1 - u)) ** (1 / shape), 4 * 3600)).astype(np.int64).clip(400)
    return found


def _bursty(rng: np.random.Generator, tenant: str, n: int, end_ms: int) -> Ints:
    """Times of one agent population: bouts of calls whose gaps have a heavy tail, by the hours of the day."""
    hours = np.arange(START_MS, end_ms, HOUR_MS)
    rate = np.array([HOURS[tenant][int(at // HOUR_MS) % 24] * (0.35 if (at // (24 * HOUR_MS) + 3) % 7 >= 5 else 1.0) for at in hours])
    seeds = max(n // 3, 1)
    start = rng.choice(hours, seeds, p=rate / rate.sum()) + rng.integers(0, HOUR_MS, seeds)
    which = rng.integers(0, seeds, n)
    found: Ints = start[which] + (1000 * 30 * (rng.pareto(1.1, n))).astype(np.int64).clip(0, 2 * HOUR_MS)
    return found


def _people(rng: np.random.Generator, tenant: str, names: list[str], n: int, end_ms: int) -> pl.DataFrame:
    """Honest calls: accounts of Zipf activity, callers and contacts by rank."""
    rank = np.arange(1, len(names) + 1)
    activity = rank**-0.6 / (rank**-0.6).sum()
    account = rng.choice(len(names), n, p=activity)
    callers = {"hosted": 25, "transit": 1500, "cellular": 1}[tenant]
    caller = account * callers + (callers * rng.random(n) ** 2).astype(np.int64)
    contact = np.minimum(rng.zipf(1.7, n), 400)
    key = caller * 401 + contact
    draw = np.random.default_rng(7).permutation(50_021)[key % 50_021] / 50_021
    kinds = np.where(draw < {"hosted": 0.84, "transit": 0.25, "cellular": 0.9}[tenant], 0, np.where(draw < 0.95, 1, 2))
    kinds = np.where(draw > 0.9965, 3, kinds)
    pools = [_numbers(np.random.default_rng(one), (kind,), 30_000) for one, kind in enumerate(("home", "europe", "far", "exotic"))]
    number = np.choose(kinds, [pool[key * 7919 % 30_000] for pool in pools])
    talk = _talk_ms(rng, n, {"hosted": 65.0, "transit": 85.0, "cellular": 45.0}[tenant])
    shown = int(HOME + "210000000") + caller if tenant != "cellular" else int(HOME + "910000000") + account
    return _calls(rng, tenant, [names[one] for one in account], _bursty(rng, tenant, n, end_ms), number, shown, talk, 0.58, 7.0)


def _calls(
    rng: np.random.Generator, tenant: str, account: list[str], setup_ms: Ints, number: Ints, shown: Any, talk: Ints, answered: float | Floats,
    ring_s: float, **others: Any,
) -> pl.DataFrame:  # fmt: skip
    n = len(setup_ms)
    talks = rng.random(n) < answered
    carrier = (number // 10**6 % 8 + (rng.random(n) < 0.2)) % 8
    names = pl.Series(account)
    columns: dict[str, Any] = {
        "tenant": tenant, "account": names, "ingress_trunk": pl.Series("t", ["in-"] * n) + names, "src_ip": "198.51.100.7", "b_number": number,
        "a_number": pl.Series(np.broadcast_to(shown, (n,))).cast(pl.String), "setup_ms": setup_ms, "talk_ms": np.where(talks, talk, -1),
        "pdd_ms": (rng.gamma(3, 400, n)).astype(np.int64) + 200, "ring_ms": (1000 * rng.gamma(2, ring_s / 2, n)).astype(np.int64) + 100,
        "carrier": pl.Series(CARRIERS).gather(pl.Series(carrier.astype(np.uint32))), "sip_code": np.where(talks, 200, 487),
        "egress_trunk": "out", "q850": 16, "release_side": "caller",
    }  # fmt: skip
    if tenant == "cellular":
        columns |= {"imsi": pl.Series("i", ["26803"] * n) + names, "imei": pl.Series("e", ["3569381"] * n) + names, "cell": pl.Series(
            [f"268-03-{one:04d}" for one in rng.integers(0, 300, n).tolist()])}
    return calls(n, **(columns | others))


def _bouts(rng: np.random.Generator, spec: Spec, account: str, end_ms: int, earliest: float) -> pl.DataFrame:
    """The calls of a spec: bouts and pauses, each figure drawn once."""
    span = end_ms - START_MS
    length = min(_log_uniform(rng, spec.hours) * HOUR_MS, 0.65 * span)
    begin = START_MS + earliest * span + rng.random() * max((1 - earliest) * span - length, 1)
    sims = round(_log_uniform(rng, spec.sims))
    rate = _log_uniform(rng, spec.calls_h) * sims
    n = max(int(rng.poisson(rate * length / HOUR_MS)), 6)
    on, off = _log_uniform(rng, spec.on_min) * 60_000, _log_uniform(rng, spec.off_min) * 60_000
    worked = np.sort(rng.random(n)) * length * on / (on + off)
    setup_ms = (begin + worked + worked // on * off).astype(np.int64)
    pool = min(int(_log_uniform(rng, spec.pool_b)), n * 3)
    numbers = _numbers(rng, spec.to, max(pool, 1), block=spec.pool_b == (200, 4000))
    number = numbers[np.arange(n) % pool] if spec.pool_b == (200, 4000) else numbers[rng.integers(0, len(numbers), n)]
    shown = int(HOME + "220000000") + rng.integers(0, 10**6) + rng.integers(0, max(int(_log_uniform(rng, spec.pool_a)), 1), n)
    talk = _talk_ms(rng, n, max(_log_uniform(rng, spec.talk_s), 0.5), 3.0)
    who, others = [account] * n, dict[str, Any]()
    if sims > 1:
        card = rng.integers(0, sims, n)
        who, shown = [f"{account}-{one:02d}" for one in card.tolist()], shown[0] + card
        others = {"cell": f"268-03-{rng.integers(0, 300):04d}", "imei": f"8600000{rng.integers(10**7, 10**8):08d}"}
    if spec.carrier:
        others["carrier"] = str(rng.choice(CARRIERS))
    found = _calls(rng, spec.where, who, setup_ms, number, shown, talk, _log_uniform(rng, spec.answered), spec.ring_s, **others)
    if spec.carrier:
        return _false(rng, spec.carrier, found)
    if spec.loss_per_min is not None:
        return found.with_columns(loss_eur=pl.col("talk_ms").fill_null(0) / 60_000 * spec.loss_per_min)
    return found


def _false(rng: np.random.Generator, kind: str, found: pl.DataFrame) -> pl.DataFrame:
    """Half of a carrier's calls: ringing is billed as talk, or nobody's silence is."""
    n = found.height
    chosen = pl.Series(rng.random(n) < rng.uniform(0.2, 0.8))
    hit = chosen & (found["talk_ms"].is_null() if kind == "recorded" else pl.Series([True] * n))
    extra = pl.Series(rng.integers(6000, 40_000, n)) if kind == "recorded" else found["ring_ms"]
    return found.with_columns(
        talk_ms=pl.when(hit).then(pl.col("talk_ms").fill_null(0) + extra).otherwise("talk_ms"),
        ring_ms=pl.when(hit).then(pl.lit(60)).otherwise("ring_ms"), sip_code=pl.when(hit).then(200).otherwise("sip_code").cast(pl.Int32),
        loss_eur=pl.when(hit).then(extra / 60_000 * 0.2).otherwise(0.0),
    )  # fmt: skip


def _wangiri(rng: np.random.Generator, subscribers: list[str], account: str, end_ms: int) -> pl.DataFrame:
    """Rings from a few foreign numbers, and calls back by one in thirty to one in ten."""
    n = int(_log_uniform(rng, (400, 4000)))
    begin = START_MS + rng.uniform(FIRST_ATTACK, 0.8) * (end_ms - START_MS)
    setup_ms = (begin + np.sort(rng.random(n)) * _log_uniform(rng, (0.3, 6)) * HOUR_MS).astype(np.int64)
    pool = _numbers(rng, ("exotic", "gap"), int(_log_uniform(rng, (1, 80))), block=True)
    shown = pool[rng.integers(0, len(pool), n)]
    people = rng.integers(0, len(subscribers), n)
    number = int(HOME + "910000000") + people
    rings = _calls(rng, "transit", [account] * n, setup_ms, number, shown, np.zeros(n, np.int64), 0.0, 1.0, loss_eur=0.0)
    back = np.flatnonzero(rng.random(n) < rng.uniform(0.03, 0.1))
    later = setup_ms[back] + (1000 * rng.exponential(2400, len(back))).astype(np.int64) + 4000
    talk = _talk_ms(rng, len(back), rng.uniform(20, 200))
    callers = [subscribers[one] for one in people[back].tolist()]
    return pl.concat([rings, _calls(rng, "cellular", callers, later, shown[back], number[back], talk, 0.95, 2.0)])


def _loop(rng: np.random.Generator, subscribers: list[str], account: str, end_ms: int) -> pl.DataFrame:
    """Calls that come back in several times, each passage a little later than the one before it."""
    n, times = int(_log_uniform(rng, (30, 300))), int(_log_uniform(rng, (3, 25)))
    begin = START_MS + rng.uniform(FIRST_ATTACK, 0.9) * (end_ms - START_MS)
    first = (begin + rng.random(n) * _log_uniform(rng, (0.5, 6)) * HOUR_MS).astype(np.int64)
    setup_ms = (first[:, None] + np.arange(times) * rng.integers(200, 1500)).ravel()
    number = np.repeat(_numbers(rng, ("far",), n), times)
    shown = np.repeat(int(HOME + "220000000") + rng.integers(0, 10**6, n), times)
    talk = np.repeat(_talk_ms(rng, n, 45.0), times)
    return _calls(rng, "transit", [account] * n * times, setup_ms, number, shown, talk, 0.97, 6.0)


def _episode(name: str, family: str, spec: Spec, account: str, mine: pl.DataFrame) -> Episode:
    return Episode(
        id=name, family=family, stealth=1, slow=spec.slow, tenant=spec.where, account=account if spec.sims == (1, 1) else f"{account}-00",
        accounts=sorted(mine["account"].unique().to_list())[:200], a_numbers=sorted(mine["a_number"].unique().to_list())[:200],
        carriers=sorted(mine["carrier"].unique().to_list()) if spec.carrier else [], start_ms=mine["setup_ms"].min(),  # type: ignore[arg-type]
        end_ms=mine["setup_ms"].max(), calls=mine.height, answered=mine["talk_ms"].count(),  # type: ignore[arg-type]
        loss=to_decimal(int(mine["loss_nanos"].sum())),
    )  # fmt: skip
