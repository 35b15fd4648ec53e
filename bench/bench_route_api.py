"""`POST /v1/route` under load: so many requests per second over kept connections, and how long each takes.

    python bench/bench_route_api.py [REQUESTS_PER_S] [SECONDS]
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil
from bench_route import NOW_MS, house

TOKEN = "a-token-of-the-bench"
CONNECTIONS = 32


def serve(port: int) -> None:
    """The API over the terms of bench_route, without books behind it."""
    import uvicorn

    from api.app import app
    from books import migrate, open_books
    from books.credentials import Credential
    from rating.routes.durations import Durations
    from rating.routes.live import Live
    from services.asking import AskedRoute, Asking

    engine = open_books(f"{tempfile.mkdtemp()}/books.db")
    migrate(engine)
    terms = house(1)
    gc.freeze()  # as the part does once it has compiled a version
    asking = Asking(engine, lambda version: terms, lambda tenant, now_ms: Durations(), lambda tenant: Live(), Path("/nowhere"), lambda: NOW_MS)
    asking._terms = terms
    while not asking._tables:  # until then the scalar choice answers, in milliseconds
        asking.route("t1", AskedRoute(account="acme", b_number="4312345678"))
        time.sleep(0.1)
    served = app(asking, lambda token: Credential(("t1",), "k1"))
    uvicorn.run(served, host="127.0.0.1", port=port, http="httptools", loop="asyncio", log_level="warning", access_log=False)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: str) -> bytes:
    body = f'{{"account":"acme","b_number":"{number}"}}'.encode()
    head = f"POST /v1/route HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def load(port: int, per_s: float, seconds: float) -> list[float]:
    """Each connection asks at its own times, and does not wait for the others; time counts from when a request was due."""
    chance, found = random.Random(5), list[float]()
    began = time.perf_counter() + 0.2

    async def one(at: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = began + at / per_s
        while due < began + seconds:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            await ask(reader, writer, f"{chance.randrange(1, 10)}{chance.randrange(10**9):010}")
            found.append(1000 * (time.perf_counter() - due))
            due += CONNECTIONS / per_s
        writer.close()

    await asyncio.gather(*(one(at) for at in range(CONNECTIONS)))
    return found


async def warm(port: int) -> None:
    """Until it is up."""
    for _ in range(600):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
            continue
        for _ in range(20):
            await ask(reader, writer, "4312345678")
        writer.close()
        return


def main(per_s: float, seconds: float) -> None:
    port = random.randrange(20_000, 60_000)
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    try:
        asyncio.run(warm(port))
        process = psutil.Process(server.pid)
        began = process.cpu_times()
        took = sorted(asyncio.run(load(port, per_s, seconds)))
        used_s = sum(process.cpu_times()[:2]) - sum(began[:2])
    finally:
        server.terminate()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"POST /v1/route              {len(took) / seconds:10,.0f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, the longest {took[-1]:.0f} ms")
    print(f"  of the server's core      {1e6 * used_s / len(took):10.0f} us a request")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2_000, float(sys.argv[2]) if len(sys.argv) > 2 else 5)
