"""How many stored calls a rating run prices again per second, end to end, and with how much memory.

.venv/bin/python bench/bench_rerate.py [--calls 1000000] [--days 3] [--prefixes 30000] [--carriers 8] [--count]

Calls of many accounts over several carriers lie in an embedded warehouse, priced. Then a what-if prices all of them under other decks: read, priced,
compared. `--count` makes it count as well: priced once more and written. Beside it, in the same run, the price of one call at a time.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil
from stored_calls import fill

from books import configs, decks, migrate, tenants
from core.config import Account, Carrier, Config, Trunk
from rating.deck import Call
from rating.price import price_one
from services import rerate
from services.installation import Installation, books
from services.reading import warehouse
from warehouse import migrate as migrate_warehouse
from warehouse import open_warehouse, slices

UNTIL_MS = 1_764_028_800_000
DAY_MS = 86_400_000


def price_list(seed: int, prefixes: int) -> bytes:
    """Codes of up to seven digits under the countries that the stored calls go to."""
    rng = Random(seed)
    codes = {"43", "49", "39", "33", "44", "1", "88213"}
    while len(codes) < prefixes:
        codes.add(rng.choice(("43", "49", "39", "33", "44", "1")) + "".join(rng.choices("0123456789", k=rng.randint(1, 5))))
    rows = (f"{code},Destination {code[:3]},0.{rng.randint(1, 99999):05d},0,0.001,1,1" for code in sorted(codes))
    return ("prefix,destination,price_per_min,connect_fee,attempt_fee,first_s,next_s\n" + "\n".join(rows)).encode()


def publish(installation: Installation, prefixes: int, carriers: int) -> dict[str, str]:
    with books(installation) as conn:
        names = {"sell": 0} | {f"buy-{n}": n + 1 for n in range(carriers)}
        ids = {f"t1/{name}": decks.add(conn, price_list(seed, prefixes), "EUR", "bench", 0) for name, seed in names.items()}
        other = decks.add(conn, price_list(99, prefixes), "EUR", "bench", 0)
        config = Config(
            accounts=tuple(Account(tenant="t1", name=f"account-{n}", sell_deck="sell") for n in range(2000)),
            carriers=tuple(Carrier(tenant="t1", name=f"carrier-{n}", buy_deck=f"buy-{n}") for n in range(carriers)),
            trunks=tuple(Trunk(tenant="t1", name=f"account-{n}-sbc", account=f"account-{n}") for n in range(2000)),
            decks=ids,
        )
        configs.publish(conn, config, "bench", "bench", 0)
    return {"sell": other}


@contextmanager
def peak() -> Iterator[list[float]]:
    """The highest resident memory meanwhile, in MB above what it was before."""
    process, found, stop = psutil.Process(), [0.0], threading.Event()
    gc.collect()
    before = process.memory_info().rss

    def watch() -> None:
        while not stop.wait(0.02):
            found[0] = max(found[0], (process.memory_info().rss - before) / 2**20)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def now() -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    return time.perf_counter(), time.process_time()


def told(what: str, count: int, began_s: tuple[float, float], memory_mb: float = 0.0, what_of: str = "calls") -> None:
    """A line of figures. On a machine that others use as well, the processor's seconds say more than the clock's."""
    by_clock, by_processor = (one - began for one, began in zip(now(), began_s, strict=True))
    memory = f"   {memory_mb:6,.0f} MB" if memory_mb else ""
    print(f"  {what:41s} {count / by_clock:9,.0f} {what_of}/s   {count / by_processor:9,.0f} per second of one core   {by_clock:5.1f} s{memory}")


def scalar(installation: Installation, count: int) -> None:
    """Sell and buy of one call at a time, without reading or comparing anything."""
    with books(installation) as conn:
        spec = rerate.spec_of(conn, UNTIL_MS - DAY_MS, UNTIL_MS + DAY_MS)
    terms = rerate.terms_of(installation, spec)
    with warehouse(installation) as client:
        period = slices.Period(spec.from_ms, spec.to_ms)
        one = slices.slices(rerate.ask(client, slices.bands(period)))[0]
        rows = slices.calls(client, one, period, ("account", "carrier", "b_number", "answer_ms", "duration_ms")).head(count).rows()
    began_s = now()
    for account, carrier, number, at_ms, duration_ms in rows:
        for by in (terms.sold("t1", account)[0], terms.bought("t1", carrier)):
            offer = terms.offers[by.offer]
            price_one(offer.deck, Call(number), at_ms, duration_ms, True, offer.rules)
    told("one call at a time, priced alone:", len(rows), began_s)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=200_000)
    options.add_argument("--days", type=float, default=3)
    options.add_argument("--prefixes", type=int, default=30_000)
    options.add_argument("--carriers", type=int, default=8)
    options.add_argument("--count", action="store_true", help="make it count as well")
    options.add_argument("--home", type=Path, help="a directory that stays; what is stored there already is taken as it is")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = given.home or Path(place)
        installation = Installation.embedded(home)
        fresh = not (home / "books.db").exists()
        home.mkdir(exist_ok=True)
        if fresh:
            migrate(installation.books_dsn)
            with books(installation) as conn:
                tenants.add(conn, "t1", 0)
        began_s = time.perf_counter()
        other = publish(installation, given.prefixes, given.carriers)
        if fresh:
            client = open_warehouse(installation.warehouse_dsn)
            migrate_warehouse(client)
            fill(client, given.calls, given.days, UNTIL_MS)
            client.close()
        print(f"  {given.calls:,} calls over {given.days:g} days are stored in {time.perf_counter() - began_s:.0f} s")
        with books(installation) as conn:
            spec = rerate.spec_of(conn, UNTIL_MS - round(given.days * DAY_MS) - DAY_MS, UNTIL_MS + DAY_MS, price_lists=other)
        began_s = now()
        rates = sum(len(deck.prefixes) for deck in rerate.terms_of(installation, spec).decks)
        told("price lists read, which is part of both:", rates, began_s, what_of="rates")
        scalar(installation, 20_000)
        began_s = now()
        with peak() as memory:
            run = rerate.compute(installation, "rerate", spec, "bench", "bench", 0)
        told("what-if: read, priced and compared:", run.found.calls, began_s, memory[0])
        if given.count:
            began_s = now()
            with peak() as memory:
                rerate.count(installation, run.run, "bench", "bench", 1)
            told("counted: priced once more and written:", run.found.calls, began_s, memory[0])
        print(f"  load of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        highest_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  highest memory of the process {highest_mb:,.0f} MB, with the warehouse's engine in it")


if __name__ == "__main__":
    main()
