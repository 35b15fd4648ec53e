"""A config of 100,000 accounts, each with an agreement: publishing one agreement, and the memory of 64 versions over 8 decks in a judge.

    python bench/bench_config.py [--accounts 100000] [--versions 64]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psutil

from books import configs, decks, migrate, open_books, reading, tenants, writing
from core.config import Account, Agreement, Carrier, Config, DeckSpan, Trunk
from services import in_force, publishing
from simulator.mix import bench_config

TENANT = "bench"


def config_of(accounts: int, deck_ids: dict[str, str]) -> Config:
    """Accounts with a trunk and an agreement each, over the decks in turn."""
    names = sorted(deck_ids)
    numbers = range(accounts)
    return Config(
        agreements=tuple(
            Agreement(tenant=TENANT, name=f"agreement-{n}", role="sell", currency="EUR", plan=(DeckSpan(deck=names[n % len(names)]),))
            for n in numbers
        ),
        accounts=tuple(Account(tenant=TENANT, name=f"account-{n}", agreement=f"agreement-{n}") for n in numbers),
        trunks=tuple(Trunk(tenant=TENANT, name=f"trunk-{n}", account=f"account-{n}") for n in numbers),
        carriers=tuple(Carrier(tenant=TENANT, name=name, buy_deck=name) for name in names),
        decks={f"{TENANT}/{name}": deck_id for name, deck_id in deck_ids.items()},
    )


def seconds(work: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def memory_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--versions", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_books(f"{folder}/books.db")
        migrate(engine)
        _, csvs = bench_config()
        with writing(engine) as conn:
            tenants.add(conn, TENANT, 0)
            ids = {name: decks.add(conn, csv, "EUR", "bench", 0) for name, csv in csvs.items()}
        config = config_of(options.accounts, ids)

        def publish_whole() -> None:
            with writing(engine) as conn:
                configs.publish(conn, config, "bench", "the whole", 0)

        def publish_one(number: int) -> Callable[[], None]:
            def change() -> None:
                row = msgspec.structs.replace(config.agreements[number], payment_days=14 + number % 10)
                with writing(engine) as conn:
                    done = publishing.change(conn, [row], [], "bench", "one agreement", 0)
                    assert done.parts == 1 and len(done.changes) == 1

            return change

        whole_s = seconds(publish_whole)
        csvs.clear()
        before_mb = memory_mb()
        terms_of = in_force.from_books(engine)
        first_s = seconds(lambda: terms_of(1))
        one_mb = memory_mb() - before_mb
        published, compiled = [], []
        for version in range(2, options.versions + 1):
            published.append(seconds(publish_one(version * 97 % options.accounts)))
            terms = []
            compiled.append(seconds(lambda version=version, terms=terms: terms.append(terms_of(version))))
            for n in range(0, options.accounts, 100):
                terms[0].sold(TENANT, f"account-{n}")
        all_mb = memory_mb() - before_mb
        one_s = statistics.median(published)
        print(f"{options.accounts:,} accounts, agreements and trunks; 8 decks of 30,000 prefixes; {options.versions} versions")
        print(f"publish the whole        {whole_s * 1000:9.1f} ms")
        print(f"publish one agreement    {one_s * 1000:9.1f} ms median, {max(published) * 1000:.1f} ms longest")
        print(f"  of the whole           {one_s / whole_s:9.3f}")
        print(f"compile the first        {first_s * 1000:9.1f} ms, with its decks")
        print(f"compile the next         {statistics.median(compiled) * 1000:9.1f} ms median, {max(compiled) * 1000:.1f} ms longest")
        print(f"memory of one version    {one_mb:9.1f} MB")
        print(f"memory of all versions   {all_mb:9.1f} MB, {(all_mb - one_mb) / max(1, options.versions - 1):.2f} MB for each more")
        with reading(engine) as conn:
            print(f"parts in force           {len(configs.parts(conn, options.versions)):9,}")


if __name__ == "__main__":
    main()
