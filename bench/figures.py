"""Shared by the benches on real calls: the chain of the tests, percentiles, and memory and processor time of each part."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "ringfence" / "calls"))
sys.path.insert(0, str(ROOT / "tests" / "switches" / "kamailio"))
sys.path.insert(0, str(ROOT / "tests" / "servers"))

for library in ("clickhouse_connect", "urllib3"):  # failed queries while the warehouse opens
    logging.getLogger(library).setLevel(logging.CRITICAL)


def need(*programs: str) -> None:
    """End with a message if a program is missing."""
    for program in programs:
        if not (shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")):
            print(f"{program} is not installed: no real calls here")
            raise SystemExit(1 if os.environ.get("RINGFENCE_REQUIRE") == "all" else 0)


def shares(values: list[float]) -> tuple[float, float, float]:
    """p50, p95 and the highest.

    >>> shares([float(n) for n in range(1, 101)])
    (50.0, 95.0, 100.0)
    """
    ranked = sorted(values)
    return ranked[(len(ranked) - 1) // 2], ranked[max(0, -(-len(ranked) * 95 // 100) - 1)], ranked[-1]


def print_ms(what: str, values: list[float]) -> None:
    p50, p95, most = shares(values)
    print(f"  {what:58s} p50 {p50:7.0f}   p95 {p95:7.0f}   max {most:7.0f} ms")


class Use(NamedTuple):
    cpu_s: float
    memory_mb: float


def use_of(chain: Any) -> dict[str, Use]:
    """Of each part now: processor seconds since it started, and resident memory (of Kamailio's processes, each shared page once)."""
    found = {}
    for name, part in chain.running.items():
        process = psutil.Process(part.pid)
        times = process.cpu_times()
        found[name] = Use(times.user + times.system, process.memory_info().rss / 2**20)
    switch = psutil.Process(chain.bench.running.process.pid)
    workers = [switch, *switch.children(recursive=True)]
    cpu_s = sum(times.user + times.system for worker in workers for times in [worker.cpu_times()])
    found["kamailio"] = Use(cpu_s, sum(worker.memory_full_info().pss for worker in workers) / 2**20)
    return found


def print_use(before: dict[str, Use], after: dict[str, Use], seconds: float) -> None:
    print("  part          memory    processor (100 % = one core)")
    for name, use in after.items():
        print(f"  {name:10s} {use.memory_mb:6.0f} MB    {100 * (use.cpu_s - before[name].cpu_s) / seconds:5.1f} %")
    print(f"  {'together':10s} {sum(use.memory_mb for use in after.values()):6.0f} MB")
