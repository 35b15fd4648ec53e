"""Routes at a real Kamailio: 300,000 rows delivered, the start with them, the look-up, and a change of 1,000 and of one.

    python bench/bench_switch_routes.py [ROWS]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import msgspec
from figures import need

from switches.routes import Gateway, Plan, Route

VIEW = "best@t1"


def row(*names: str) -> str:
    return msgspec.json.encode(Route(names)).decode()


def main(n: int) -> None:
    need("kamailio")
    from kamailio_calls import TOKEN, bench

    from switches.control import Change

    chance = random.Random(3)
    names = [f"gw-{at}" for at in range(8)]
    prefixes = list({str(chance.randrange(1, 10)) + "".join(chance.choices("0123456789", k=chance.randrange(3, 9))) for _ in range(2 * n)})[:n]

    def routes(count: int, at: int = 0) -> list[Change]:
        return [Change("routes", f"{VIEW}|{prefix}", row(*chance.sample(names, 4)), 0) for prefix in prefixes[at : at + count]]

    with tempfile.TemporaryDirectory() as folder, bench(Path(folder), shm_mb=512) as it:
        it.fill("gateways", {f"t1|{name}": msgspec.json.encode(Gateway(name, "127.0.0.1:5080")).decode() for name in names})
        it.fill("plans", {VIEW: msgspec.json.encode(Plan(4, ("486",), ("5xx",))).decode()})
        control = it.control()

        def timed(what: str, changes: list[Change]) -> None:
            began = time.monotonic()
            control.apply(changes)
            took = time.monotonic() - began
            print(f"{what:28s}{took:10.3f} s" + (f"   {len(changes) / took:,.0f} rows/s" if len(changes) > 1 else ""))

        timed(f"deliver {n:,} routes", routes(n))
        timed("change 1,000 of them", routes(1_000))
        timed("change one", routes(1, 5_000))
        began = time.monotonic()
        print(f"compare by digest           {control.digest('routes').entries:10,} rows in {time.monotonic() - began:.2f} s")
        began = time.monotonic()
        it.restart()
        print(f"kill and start with them    {time.monotonic() - began:10.2f} s until it answers OPTIONS")
        url, headers = it.running.control_url.removesuffix("/RPC"), {"X-Ringfence-Token": TOKEN}
        spent = []
        for prefix in chance.sample(prefixes, 20):
            path = f"/route/t1/{VIEW}/{prefix}{'5' * (12 - len(prefix))}/2000"
            found = msgspec.json.decode(httpx2.get(url + path, headers=headers, trust_env=False, timeout=30).content)
            assert found["gateways"], found
            spent.append(found["ms"] / 2_000)
        print(f"look up one call            {1_000 * sum(spent) / len(spent):10.1f} us, the worst of 20 numbers {1_000 * max(spent):.1f} us")
        control.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
