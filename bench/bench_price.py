"""What pricing costs: columns (sell and buy over 8 carriers of 30,000 prefixes, plain and with windows, steps and origins), and one by one; and
what a deck of a million prefixes takes to be read and to be held.

    python bench/bench_price.py [CALLS]
    python bench/bench_price.py deck

Two sides in one run: plain decks beside decks with every kind of condition, and a call of ten seconds beside one of three hours.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from rating.deck import Call, Calls, Deck
from rating.decks import read_deck
from rating.price import Offer, price_by, price_one
from rating.rules import Rules

CARRIERS, PREFIXES = 8, 30_000
NOW_MS = 1_795_000_000_000


def decks(seed: int, rich: bool) -> list[Deck]:
    chance = random.Random(seed)
    prefixes = sorted({str(chance.randrange(1, 10)) + "".join(chance.choices("0123456789", k=chance.randrange(1, 7))) for _ in range(2 * PREFIXES)})
    found = []
    for carrier in range(CARRIERS + 1):
        lines = ["prefix,steps,window,origin"] if rich else ["prefix,price_per_min,first_s,next_s"]
        for prefix in chance.sample(prefixes, PREFIXES):
            price = f"0.{chance.randrange(1, 9999):04}"
            if rich:
                steps = f"0:{price}/60:60 60:{price}/60:1" if chance.random() < 0.5 else f"0:{price}/60:1"
                lines += [f"{prefix},{steps},,", f"{prefix},{steps},{'18:00-,' if chance.random() < 0.5 else ',49'}"]
            else:
                lines.append(f"{prefix},{price},{chance.choice(('1', '60'))},{chance.choice(('1', '6'))}")
        found.append(read_deck("\n".join(lines).encode(), f"carrier-{carrier}", "EUR"))
    return found


def million(count: int = 1_000_000) -> None:
    """A deck of a million prefixes with 60,000 different tariffs; in a process of its own, so that its memory is its own."""
    chance, codes = random.Random(7), dict[str, None]()
    while len(codes) < count:
        codes[chance.choice(("1", "44", "49", "43", "33", "7", "86", "91", "55", "20")) + str(chance.randrange(10 ** chance.randrange(3, 7)))] = None
    rows = (f"{c},Country {c[:3]} Mobile,0.{chance.randrange(20_000):05d},0,{chance.choice(('1,1', '60,60', '60,1'))},2026-12-01\n" for c in codes)
    content = ("prefix,destination,price_per_min,connect_fee,first_s,next_s,effective_from\n" + "".join(rows)).encode()
    del codes
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        del content
        subprocess.run([sys.executable, __file__, "deck", file.name], check=True)


def hold(file: Path) -> None:
    """Read a deck and say what that took."""
    before_mb, wall_s, begin_s = psutil.Process().memory_info().rss >> 20, time.perf_counter(), time.process_time()
    deck = read_deck(file.read_bytes(), "million", "EUR")
    assert deck.index.find_one("44") < len(deck.prefixes) and deck.tariff_columns.per_min.size
    wall_s, took_s = time.perf_counter() - wall_s, time.process_time() - begin_s
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"deck of {len(deck.prefixes):,}           {took_s:10.1f} s of a processor ({wall_s:.1f} s) to read and index; the process holds "
        f"{psutil.Process().memory_info().rss >> 20:,} MB ({before_mb} before), {most_mb:,} MB at most"
    )


def per_second(function: Callable[[], object], calls: int) -> float:
    best = min(_seconds(function) for _ in range(3))
    return calls / best


def _seconds(function: Callable[[], object]) -> float:
    begin = time.process_time()
    function()
    return time.process_time() - begin


def main(n: int) -> None:
    chance = random.Random(7)
    numbers = ["".join(chance.choices("123456789", k=1) + chance.choices("0123456789", k=10)) for _ in range(n)]
    callers = [chance.choice(("4930123456", "43664123456", "")) for _ in range(n)]
    at_ms = NOW_MS + np.asarray([chance.randrange(86_400_000) for _ in range(n)], np.int64)
    talk_ms = np.asarray([chance.randrange(1, 600_000) for _ in range(n)], np.int64)
    answered, bought = np.ones(n, np.bool_), np.asarray([chance.randrange(1, CARRIERS + 1) for _ in range(n)], np.int64)
    rates = {}
    for rich in (False, True):
        offers = [Offer(deck, Rules(time_zone="Europe/Vienna")) for deck in decks(1, rich)]
        for offer in offers:
            assert offer.deck.index  # built before it is timed, as a config version is

        def both(offers: list[Offer] = offers) -> None:
            calls = Calls(numbers, callers)
            price_by(offers, np.zeros(n, np.int64), calls, at_ms, talk_ms, answered)
            price_by(offers, bought, calls, at_ms, talk_ms, answered)

        rates[rich] = per_second(both, n)
    print(f"columns, plain decks        {rates[False]:10,.0f} calls/s, sell and buy over {CARRIERS} carriers of {PREFIXES:,} prefixes, one core")
    print(f"columns, windows and all    {rates[True]:10,.0f} calls/s: {rates[True] / rates[False]:.2f} of it")
    deck, rules = offers[0].deck, offers[0].rules
    some = [Call(number, caller) for number, caller in zip(numbers[:20_000], callers, strict=False)]
    plain = decks(1, False)[0]
    took = {}
    for name, by in (("plain", plain), ("windows and all", deck)):
        for talk in (10_000, 10_800_000):
            took[talk] = 1e6 / per_second(lambda by=by, talk=talk: [price_one(by, call, NOW_MS, talk, True, rules) for call in some], len(some))
            print(f"one by one, {name:<16}{took[talk]:10.1f} us per call of {talk // 1000} s")
        print(f"  three hours cost          {took[10_800_000] / took[10_000]:10.2f} of ten seconds")
    print(f"resident                    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f} MB at most")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["deck"]:
            million()
        case ["deck", file]:
            hold(Path(file))
        case other:
            main(int(other[0]) if other else 1_000_000)
            million()
