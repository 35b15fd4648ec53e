"""A fixed mix for benchmarks: 38 fields per record, 8 decks of 30,000 prefixes, 200,000 subjects, 30 % answered, 1.3 attempts per call.

It has no attacks and no habits. The same seed gives the same bytes.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from random import Random

import numpy as np

from core.config import Account, Carrier, Config, Trunk
from rating.decks import COLUMNS
from simulator.destinations import table

TENANT, SWITCH = "bench", "bench1"
ACCOUNTS, A_NUMBERS = 2_000, 100  # each account has so many a_numbers: 200,000 subjects
PREFIXES = 30_000
SELL_DECKS, BUY_DECKS = 4, 4
FIELDS = 38
ANSWERED, FAILOVERS, CALLS_PER_S = 0.3, 0.3, 100.0
RECORDS_PER_CALL = 3.3  # setup, the failed attempts, answer of 30 %, stop
START_MS = 1_772_438_400_000


@lru_cache(maxsize=1)
def prefixes() -> tuple[tuple[str, str, float], ...]:
    """Prefix, destination and cost: the table of destinations, cut finer until there are 30,000."""
    found = {one.prefix: (one.name, one.cost) for one in table()}
    coarse = [one for one in table() if one.kind in ("mobile", "fixed")]
    depth = 1
    while len(found) < PREFIXES:
        for one in coarse:
            for end in range(10**depth):
                found.setdefault(f"{one.prefix}{end:0{depth}d}", (one.name, one.cost))
                if len(found) >= PREFIXES:
                    break
            if len(found) >= PREFIXES:
                break
        depth += 1
    return tuple((prefix, *found[prefix]) for prefix in sorted(found))


@lru_cache(maxsize=1)
def bench_config() -> tuple[Config, dict[str, bytes]]:
    """The config of the mix and its decks (name -> CSV, in EUR)."""
    decks = {}
    for no in range(SELL_DECKS + BUY_DECKS):
        sell = no < SELL_DECKS
        noise = Random(f"bench deck {no}")
        rows = [",".join(COLUMNS)]
        for prefix, name, cost in prefixes():
            price = cost * (1.3 if sell else 1.0) * noise.uniform(0.95, 1.05)
            rows.append(f'{prefix},"{name}",{price:.5f},,{"" if sell else "0.0001"},{noise.choice(("1,1", "60,1", "30,6"))},,')
        decks[f"{'sell' if sell else 'buy'}-{no % SELL_DECKS}"] = ("\n".join(rows) + "\n").encode()
    accounts = [f"account-{no:04d}" for no in range(ACCOUNTS)]
    carriers = [f"carrier-{no}" for no in range(BUY_DECKS)]
    config = Config(
        version=1,
        accounts=tuple(
            Account(tenant=TENANT, name=name, sell_deck=f"sell-{no % SELL_DECKS}") for no, name in enumerate(accounts)
        ),
        carriers=tuple(Carrier(tenant=TENANT, name=name, buy_deck=f"buy-{no}") for no, name in enumerate(carriers)),
        trunks=tuple(
            [Trunk(tenant=TENANT, name=f"in-{name}", account=name) for name in accounts]
            + [Trunk(tenant=TENANT, name=f"out-{name}", carrier=name) for name in carriers]
        ),
        decks={name: hashlib.sha256(content).hexdigest() for name, content in decks.items()},
    )
    return config, decks


_ROUTE = '"setup_ms":%d,"attempt_no":%d,"carrier":"%s","trunk_group":"tg-%s","egress_trunk":"out-%s",'
_HANDSET = '"imei":"356938035643809","cell":"232-01-4711-0815"'
_SETUP = (
    _ROUTE + '"sip_code":100,"currency":"EUR","interim_no":0,"part_no":0,"last":false,"suspected_hung":false,' + _HANDSET + "}"
)
_ATTEMPT = _ROUTE + '"ringing_ms":%d,"pdd_ms":%d,"sip_code":%d,"q850":%d,"end_ms":%d,"release_side":"callee",' + _HANDSET + "}"
_ANSWER = _ROUTE + '"ringing_ms":%d,"pdd_ms":%d,"answer_ms":%d,"sip_code":200,"q850":0,"currency":"EUR",' + _HANDSET + "}"
_STOP = _ROUTE + '"ringing_ms":%d,"pdd_ms":%d,"sip_code":%d,"q850":%d,%s,"end_ms":%d,"duration_ms":%d,"release_side":"caller"}'
"""The 13 fields that are an event's own, beside 7 of the delivery and 18 of the call."""


def bench_mix(n_records: int, seed: int = 1) -> list[bytes]:
    """Records of the mix, as a switch would post them, in order of time.

    >>> lines = bench_mix(1000)
    >>> import msgspec
    >>> len(lines), {len(msgspec.json.decode(line)) for line in lines} == {FIELDS}
    (1000, True)
    """
    rng = np.random.default_rng(seed)
    calls = int(n_records / (RECORDS_PER_CALL * 0.94)) + 200
    setup = START_MS + np.cumsum(rng.exponential(1000 / CALLS_PER_S, calls)).astype(np.int64)
    answered = rng.random(calls) < ANSWERED
    failed = (rng.random(calls) < FAILOVERS).astype(np.int64)  # attempts that failed before the last one
    pdd = rng.integers(200, 3000, calls)
    ring = rng.integers(1000, 20_000, calls)
    u = rng.random(calls).clip(1e-6, 1 - 1e-6)
    talk = np.minimum(45_000 * (u / (1 - u)) ** (1 / 1.7), 7_200_000).astype(np.int64) + 500
    ringing = setup + failed * 300 + pdd
    answer = ringing + ring
    end = np.where(answered, answer + talk, answer)

    # Setup, failed route, last route or answer, stop: who, what, when.
    everyone = np.arange(calls)
    vain = np.flatnonzero(failed)
    who = np.concatenate([everyone, vain, everyone, everyone])
    what = np.repeat([0, 1, 2, 3], [calls, len(vain), calls, calls])
    when = np.concatenate([setup, setup[vain] + 300, answer, end])
    order = np.lexsort((what, when))[:n_records]

    same = _call_fields(rng, calls)
    carrier = rng.integers(0, BUY_DECKS, calls)
    columns = [one.tolist() for one in (setup, ringing, answer, end, pdd, answered, carrier, failed)]
    lines: list[bytes] = []
    boot = f'{{"v":2,"switch":"{SWITCH}","tenant":"{TENANT}","boot_id":"{START_MS // 1000}.000000",'
    head = boot + '"seq":%d,"event":"%s","at_ms":%d,'
    for seq, (i, kind, at) in enumerate(zip(who[order].tolist(), what[order].tolist(), when[order].tolist(), strict=True), 1):
        setup_ms, ringing_ms, answer_ms, end_ms, pdd_ms, talked, route, tried = (column[i] for column in columns)
        if kind == 0:
            name = f"carrier-{(route + tried) % BUY_DECKS}"
            event, tail = "setup", _SETUP % (setup_ms, 1, name, name, name)
        elif kind == 1:
            name = f"carrier-{(route + 1) % BUY_DECKS}"
            event, tail = "attempt", _ATTEMPT % (setup_ms, 1, name, name, name, setup_ms + 300, 300, 503, 34, at)
        else:
            name = f"carrier-{route}"
            if kind == 3:
                code, q850, talk_ms = (200, 16, end_ms - answer_ms) if talked else (487, 19, 0)
                how = f'"answer_ms":{answer_ms}' if talked else '"release_cause_text":"Request Terminated"'
                route_of = (setup_ms, tried + 1, name, name, name, ringing_ms, pdd_ms)
                event, tail = "stop", _STOP % (*route_of, code, q850, how, end_ms, talk_ms)
            elif talked:
                event, tail = "answer", _ANSWER % (setup_ms, tried + 1, name, name, name, ringing_ms, pdd_ms, answer_ms)
            else:
                event, tail = "attempt", _ATTEMPT % (setup_ms, tried + 1, name, name, name, ringing_ms, pdd_ms, 487, 19, at)
        lines.append((head % (seq, event, at) + same[i] + tail).encode())
    return lines


def _call_fields(rng: np.random.Generator, calls: int) -> list[str]:
    """The 18 fields that all records of a call share."""
    subject = rng.permutation(ACCOUNTS * A_NUMBERS)
    which = subject[np.arange(calls) % len(subject)].tolist()
    heads = prefixes()
    prefix = rng.integers(0, len(heads), calls).tolist()
    tails = rng.integers(10**7, 10**8, calls).tolist()
    tags = rng.integers(0, 2**62, calls).tolist()
    found = []
    for i, (one, at, tail, tag) in enumerate(zip(which, prefix, tails, tags, strict=True)):
        account = f"account-{one // A_NUMBERS:04d}"
        a_number = f"4366{one:08d}"
        b_number = (heads[at][0] + str(tail))[:15]
        ip = f"10.{one >> 16 & 255}.{one >> 8 & 255}.{one & 255}"
        found.append(
            f'"setup_boot_id":"{START_MS // 1000}.000000","dialog_id":"{i & 4095}:{i}",'
            f'"call_id":"{tag:016x}@{ip}","from_tag":"as{tag & 0xFFFFFFFF:08x}",'
            f'"account":"{account}","auth":"digest","ingress_trunk":"in-{account}",'
            f'"src_ip":"{ip}","user_agent":"Asterisk PBX 18.9",'
            f'"a_raw":"+{a_number}","b_raw":"{b_number}","from_raw":"sip:+{a_number}@{ip}","pai":"sip:+{a_number}@in-{account}",'
            f'"diversion":"<sip:+{a_number}@{ip}>;reason=no-answer","attestation":"A","lrn":"{b_number}","sent_number":"00{b_number}",'
            f'"imsi":"23201{one:010d}",'
        )
    return found
