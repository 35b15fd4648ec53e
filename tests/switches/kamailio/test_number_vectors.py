"""One file of raw numbers and what they mean, through Python and through the switch."""

from __future__ import annotations

import json
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
