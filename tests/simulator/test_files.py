"""Traffic as files, and the fixed mix for benchmarks."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import yaml

from core.config import Config
from core.record import Record
from rating.decks import read_deck
from simulator.mix import ACCOUNTS, FIELDS, bench_config, bench_mix
from simulator.truth import Truth
from simulator.write import write


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    out = tmp_path_factory.mktemp("day")
    return out, write(out, seed=3, hours=0.7)


def test_a_day_is_written_with_its_truth(written: tuple[Path, Truth], tmp_path: Path) -> None:
    out, truth = written
    assert {one.name for one in out.iterdir()} == {
        "records.jsonl",
        "truth.json",
        "config.json",
        "decks",
        "calls.csv",
        "mapping.yaml",
        "rate-sheets",
    }
    records = [msgspec.json.decode(line, type=Record) for line in (out / "records.jsonl").read_bytes().splitlines()]
    assert len(records) == truth.records
    assert msgspec.json.decode((out / "truth.json").read_bytes(), type=Truth) == truth
    config = msgspec.json.decode((out / "config.json").read_bytes(), type=Config)
    for name, deck_id in config.decks.items():
        assert read_deck((out / "decks" / f"{name}.csv").read_bytes(), name, "EUR").deck_id == deck_id
    write(tmp_path, seed=3, hours=0.7)
    for name in ("records.jsonl", "truth.json", "calls.csv"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_cdr_file_has_one_row_per_attempt_and_the_money_of_the_truth(written: tuple[Path, Truth]) -> None:
    out, truth = written
    mapping = yaml.safe_load((out / "mapping.yaml").read_text())
    with (out / "calls.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(mapping["columns"].values()) == set(rows[0])
    assert mapping["format"] == "csv"
    by_call = Counter(row["call_id"] for row in rows)
    assert max(by_call.values()) <= 3
    assert len({(row["call_id"], row["attempt_no"]) for row in rows}) == len(rows)
    assert len(by_call) == truth.calls - truth.mess.get("never stopped", 0)
    sold = sum((Decimal(row["sell_amount"]) for row in rows if row["sell_amount"]), Decimal(0))
    assert sold == truth.told
    assert abs(sold - truth.sold) < truth.sold * Decimal("0.02")  # hung calls are told too long, calls without a stop not at all
    assert truth.attack is not None
    guilty = set(truth.attack.call_ids)
    assert sum((Decimal(row["sell_amount"]) for row in rows if row["call_id"] in guilty and row["sell_amount"]), Decimal(0)) > 0


def test_the_mix_has_its_documented_shares() -> None:
    lines = bench_mix(60_000, seed=3)
    assert lines == bench_mix(60_000, seed=3)
    assert len(lines) == 60_000
    assert {len(msgspec.json.decode(line)) for line in lines[:5000]} == {FIELDS}
    records = [msgspec.json.decode(line, type=Record) for line in lines]
    assert [one.seq for one in records] == list(range(1, 60_001))
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(records))
    # Whoever rings for at most 20 s has been answered or not 25 s after the setup: later calls are not decided yet.
    decided = {one.dialog_id for one in records if one.event == "setup" and one.at_ms < records[-1].at_ms - 25_000}
    events = Counter(one.event for one in records if one.dialog_id in decided)
    assert events["answer"] / events["setup"] == pytest.approx(0.3, abs=0.015)
    assert (events["answer"] + events["attempt"]) / events["setup"] == pytest.approx(1.3, abs=0.015)
    assert len({one.account for one in records}) == ACCOUNTS
    assert len({(one.account, one.a_raw) for one in records}) == sum(one.event == "setup" for one in records)


def test_the_mix_has_eight_decks_of_thirty_thousand_prefixes() -> None:
    config, decks = bench_config()
    assert len(decks) == 8
    assert set(config.decks) == set(decks)
    for name in ("sell-0", "buy-3"):
        assert len(set(read_deck(decks[name], name, "EUR").prefixes)) == 30_000
