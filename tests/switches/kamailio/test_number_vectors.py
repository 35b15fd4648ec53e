"""One file of raw numbers and their readings, checked in Python and in the switch."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from kamailio_calls import TOKEN, Bench

from core.numbers import DialPlan, normalise

LINES = [json.loads(line) for line in (Path(__file__).parents[2] / "vectors" / "numbers.jsonl").read_text().splitlines()]
PLANS = {
    row["name"]: DialPlan(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
    for row in (line["dial_plan"] for line in LINES if "dial_plan" in line)
}
VECTORS = [line for line in LINES if "raw" in line]


def test_python_reads_every_vector_as_it_is_written() -> None:
    for line in VECTORS:
        assert normalise(line["raw"], PLANS[line["plan"]]) == (line["digits"], line["kind"]), line


@pytest.mark.kamailio
def test_the_switch_reads_every_vector_the_same(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(dial_plans=tuple(PLANS.values()))
    base = bench.running.control_url.removesuffix("/RPC")
    with httpx2.Client(headers={"X-Ringfence-Token": TOKEN}, trust_env=False) as http:
        for line in VECTORS:
            said = http.get(f"{base}/normalise/{line['plan']}/{line['raw'].encode().hex()}").json()
            assert (said["digits"], said["kind"]) == (line["digits"], line["kind"]), line


@pytest.mark.kamailio
def test_the_switch_and_python_agree_on_numbers_that_nobody_thought_of(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(dial_plans=tuple(PLANS.values()))
    base = bench.running.control_url.removesuffix("/RPC")
    chance = random.Random(20)
    words = "+ 00 0 011 810 8 1 43 7001# 7001 9* 112 911 88213 123 4567 - . ( / * # % a Z _ & ' ! @ ; : sip: tel: ä anonymous"
    pieces = words.split()
    pieces += [" ", "\0", "\n", "\t", '"']
    with httpx2.Client(headers={"X-Ringfence-Token": TOKEN}, trust_env=False) as http:
        for _ in range(1500):
            raw = "".join(chance.choices(pieces, k=chance.randint(0, 8)))
            plan = chance.choice(list(PLANS.values()))
            said = http.get(f"{base}/normalise/{plan.name}/{raw.encode().hex()}").json()
            assert (said["digits"], said["kind"]) == normalise(raw, plan), (raw, plan.name)
