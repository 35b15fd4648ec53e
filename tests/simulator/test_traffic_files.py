"""Traffic of all families as files."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.record import Record
from simulator.episodes import Traffic, traffic
from simulator.truth import Truth
from simulator.write_traffic import write_traffic
from switches.files.mapping import read_mapping
from switches.files.records import read_rows


@pytest.fixture(scope="module")
def town() -> Traffic:
    return traffic(2, 2000)


def test_the_file_is_read_back_as_it_was_made(town: Traffic, tmp_path: Path) -> None:
    truth = write_traffic(tmp_path, town, records=True)
    mapping = read_mapping((tmp_path / "mapping.yaml").read_text(), "mapping.yaml")
    rows = list(read_rows(tmp_path / "calls.csv", mapping))
    assert [row.fault for row in rows if row.record is None] == []
    assert len(rows) == town.frame.height == truth.calls
    sold = sum(Decimal(row.record.sell_amount) for row in rows if row.record and row.record.sell_amount)
    assert sold == Decimal(int(town.frame["sell_nanos"].sum())) / 10**9
    assert sum(row.record.answer_ms is not None for row in rows if row.record) == town.frame["talk_ms"].count()
    assert msgspec.json.decode((tmp_path / "truth.json").read_bytes(), type=Truth) == truth
    labels = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert sum(bool(row["episode"]) for row in labels) == sum(one.calls for one in truth.episodes)
    records = [msgspec.json.decode(line, type=Record) for line in (tmp_path / "records.jsonl").read_bytes().splitlines()]
    assert len(records) == truth.records == 2 * town.frame.height + town.frame["talk_ms"].count()
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    assert [one.at_ms for one in records] == sorted(one.at_ms for one in records)


def test_no_record_names_the_truth(town: Traffic, tmp_path: Path) -> None:
    write_traffic(tmp_path, town, records=True)
    for name in ("calls.csv", "records.jsonl"):
        text = (tmp_path / name).read_text()
        assert not [one.id for one in (*town.episodes, *town.look_alikes) if one.id in text]
